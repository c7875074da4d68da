//! The engine's events from the library's.
//!
//! - [`content`]: what a message of the protocol says, whatever it is wrapped in. Pure.
//! - [`message`]: the event of a message: who, where, when. Pure except for names.
//! - [`notice`]: receipts, presence, changes of groups and contacts. Pure but for names.
//! - [`acquaintance`]: which contacts were reported to the engine recently. [`group_names`]: which groups' names are to be asked for.
//!   [`received`]: which conversations the newest messages are of. Pure.
//! - `commit`: a batch of messages and everything that belongs to it, in one piece; and the other events, one after the other.
//!
//! Messages come through the library's durability hook: the library acknowledges them to the server only when [`commit`] has put
//! their events into the engine, in the same batch in which the library's own note of them is deleted. So each is taken once,
//! however often the connection breaks.

#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, unused_imports, reason = "what a session calls is compiled only where there is one")
)]

mod acquaintance;
mod content;
mod group_names;
mod message;
mod notice;
mod received;

#[cfg(target_arch = "wasm32")]
mod live;

pub(crate) use acquaintance::Acquaintances;
pub(crate) use group_names::GroupNames;
#[cfg(target_arch = "wasm32")]
pub(crate) use live::{KINDS, commit, handle, logged_in};
pub(crate) use received::Received;
