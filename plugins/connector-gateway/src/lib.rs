//! WhatsApp through a gateway elsewhere: it sends over Zapini's instance API, and takes the webhooks in Baileys' form that such a
//! gateway posts.
//!
//! # Layout
//! - `config`, `address`, `redact`, `session`, `recent`: pure. `outcome`: what an answer of the gateway means for a message.
//! - `outside`: what the rest needs of the engine; `engine`: the engine's imports behind it.
//! - `gateway`: one connector and what it keeps in memory, of these: `ledger` (whose an id is, and receipts that come before the
//!   answer), `states` (how the session stands), `files` (those still to be fetched), `echoes` (which messages of the account are the
//!   engine's own).
//! - `sending`: from a message to calls and an outcome. `receiving`: from a webhook to events, one module for each path.
//! - `upkeep`: what is done from time to time. `connector`: the plugin itself.
//!
//! # Who runs what
//! `run` fetches files and does the `upkeep`: it takes up what was kept, asks a gateway that is not connected, stores what could not be
//! stored before, and forgets what is old. `send` and `receive` run in their own calls, concurrently with it. A guest has one thread,
//! and no `RefCell` is borrowed across an `.await`.
//!
//! Invariant: nothing here logs a text, a number or a link.

#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "what only the plugin calls is compiled only where there is an engine")
)]

mod address;
mod config;
mod echoes;
mod files;
mod gateway;
mod ledger;
mod outcome;
mod outside;
mod receiving;
mod recent;
mod redact;
mod sending;
mod session;
mod states;
mod upkeep;

#[cfg(target_arch = "wasm32")]
mod connector;
#[cfg(target_arch = "wasm32")]
mod engine;
