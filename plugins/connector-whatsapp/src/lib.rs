//! WhatsApp as a connector: one paired account, held as a linked device by `whatsapp-rust`, inside the engine's sandbox.
//!
//! # Layout
//! - [`config`]: what the operator may set. [`outcome`], [`message_id`], [`backoff`], [`version`]: pure rules.
//! - `glue`: what the library asks of a platform, over the host's imports: clock, log, executor, socket, HTTP.
//! - `store`: the library's storage over the host's key/value store, and [`store::codec`], the encodings.
//! - `session`: pairing, login, reconnecting, logging out, and the states that are reported to the engine.
//! - `live`: what the parts below need of a client that exists: [`Live`](live::Live).
//! - `send`: from a message of the engine's to an outcome after the server's acknowledgement. `ledger`: which of our messages an id
//!   belongs to.
//! - `presence`: when the account is shown as online.
//! - `outreach`: how far WhatsApp lets the account start conversations. `passkey`: what some accounts demand while they are linked.
//! - `out`: the protocol's messages from the engine's. `inbound`: the engine's events from the library's. `media`: files. `groups`,
//!   `identity`.
//!
//! # Who runs what
//! `run` drains the executor of [`glue`]: every task of the library and of ours that outlives a call is queued there. `send` and
//! `operate` run in their own calls, concurrently with it, and may only wait; work that must continue after them is passed to
//! `glue::executor::spawn`. A guest has one thread: state is shared by `Rc`, and no `RefCell` is borrowed across an `.await`.
//!
//! # The seam between the session and the content
//! - `out::build(&Live, &Outgoing, id) -> Result<out::Parcel, Outcome>`: addresses, uploads, and the protocol's messages. `id` is
//!   the
//!   first one's id on the channel, already derived from the client-id. The caller types, sends and waits.
//! - `inbound::commit(&Live, &[InboundMessage]) -> Result<(), String>`: called by the library's durability hook before it
//!   acknowledges:
//!   returns `Ok` only when `events.commit` has.
//! - `inbound::handle(&Live, &Event)`: every other event of the library that is not the session's own, one after the other.
//! - `inbound::logged_in(&Live)`: after each login, to go on with what a restart interrupted.
//! - `groups::operate(&Live, Operation) -> Result<Answer, OperationError>`: every operation but those on the session.
//! - `identity::check(text) -> Result<String, String>`: pure; `identity::own_account(&Live) -> events::Account`.
//! - [`ledger::Ledger`] answers which client-id an id of ours belongs to.
//!
//! Invariant: nothing here logs a body, a number or a jid at info or above; the library's own log is dropped down to debug.

#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "what a session calls is compiled only where there is one")
)]

mod backoff;
mod config;
mod message_id;
mod outcome;
mod outreach;
mod passkey;
mod presence;
mod redact;
mod store;
mod version;

#[cfg(target_arch = "wasm32")]
mod connector;
#[cfg(target_arch = "wasm32")]
mod glue;
#[cfg(target_arch = "wasm32")]
mod ledger;
#[cfg(target_arch = "wasm32")]
mod live;
#[cfg(target_arch = "wasm32")]
mod send;
#[cfg(target_arch = "wasm32")]
mod session;

#[cfg(target_arch = "wasm32")]
mod groups;
mod identity;
mod inbound;
mod media;
mod out;
