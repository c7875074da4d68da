//! Identities: maps the engine's addresses of people and groups to the phone numbers and hidden ids (LIDs) of the
//! channel.
//!
//! A person is the phone number where it is known and `…@lid` otherwise; a group is `…@g.us`. [`address`] has the forms,
//! [`brazil`] the ninth digit, [`mentions`] names in a text, [`person`] finds the other name of a jid, [`directory`] asks the
//! server which numbers exist. It must not know messages. Runs in the calls that use it.

#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, unused_imports, reason = "what a session calls is compiled only where there is one")
)]

mod address;
mod brazil;
mod directory;
mod mentions;
mod pace;
mod person;

#[cfg(target_arch = "wasm32")]
mod live;

pub(crate) use address::{Address, normalise as check, of_jid};
pub(crate) use brazil::other_form;
pub(crate) use directory::Directory;
#[cfg(target_arch = "wasm32")]
pub(crate) use directory::Error as DirectoryError;
pub(crate) use mentions::{Mention, rewrite};
pub(crate) use person::{Names, Person, jid_in, person};
#[cfg(test)]
pub(crate) use person::{Pairs, ready};

#[cfg(target_arch = "wasm32")]
pub(crate) use live::{Refusal, lookup, own_account, resolve};
