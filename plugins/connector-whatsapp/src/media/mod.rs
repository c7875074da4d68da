//! Files: streamed between the engine's media store and WhatsApp's media hosts, encrypted and decrypted on the way, piece by
//! piece. A file is never in the guest's memory as a whole.
//!
//! - [`kind`]: which kind of message a file becomes, and how long an audio file plays. Pure.
//! - [`look`]: what a message tells of its file: size, thumbnail, length, waveform.
//! - [`decrypt`]: the counterpart of the library's encryptor. Pure.
//! - [`outside`]: what is needed of the engine and of the session, as traits, so that the streams are tested natively.
//! - [`upload`]: twice over the file: once for its hashes, once to the host. [`uploads`] keeps what was uploaded, and lets many
//!   sends of one file share one upload.
//! - [`download`]: one file. [`pending`]: what is still to be fetched, kept over restarts, and the tasks that fetch it.
//!
//! Uploads run in the sends; downloads in a few tasks of the executor. Knows messages only by the fields that name a file.

#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, unused_imports, reason = "what a session calls is compiled only where there is one")
)]

mod decrypt;
mod download;
mod kind;
mod look;
mod outside;
mod pending;
mod upload;
mod uploads;

#[cfg(target_arch = "wasm32")]
mod live;

pub(crate) use download::without_credential;
pub(crate) use kind::{Kind, kind_of};
pub(crate) use look::Look;
pub(crate) use pending::{Pending, Place, Reference};
pub(crate) use upload::Uploaded;

#[cfg(target_arch = "wasm32")]
pub(crate) use live::{Downloads, upload};
#[cfg(target_arch = "wasm32")]
pub(crate) use outside::Trouble;
#[cfg(target_arch = "wasm32")]
pub(crate) use uploads::Uploads;

/// How much of a file is in memory at once, on each side of a stream.
pub(crate) const PIECE: u32 = 128 * 1024;
