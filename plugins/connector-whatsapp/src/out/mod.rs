//! Turns the engine's messages into the protocol's: the recipient, the number of messages, and their ids.
//!
//! - [`plan`]: which messages one of the engine's becomes. Pure.
//! - [`compose`]: the protocol's message of each. Pure.
//! - `live`: addresses and uploads, with a client that exists. Runs in the send that asks.
//!
//! It must not know how a message is sent or acknowledged.

#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, unused_imports, reason = "what a session calls is compiled only where there is one")
)]

mod compose;
mod plan;

#[cfg(target_arch = "wasm32")]
mod live;

#[cfg(target_arch = "wasm32")]
pub(crate) use live::{Parcel, build};
pub(crate) use plan::metadata;
