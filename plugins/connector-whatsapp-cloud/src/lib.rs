//! A WhatsApp number on Meta's Cloud API (the Graph API): no phone, no session that could break; templates outside of the 24 hours after
//! a person's last message.
//!
//! # Layout
//! - `config`, `address`, `redact`, `url`, `recent`, `instant`: pure. `undelivered`: whom Meta delivers no advertising to. `codes`: the one
//!   table of what Meta's codes mean; `answer`: what an answer of the Graph API means for a message or an operation.
//! - `outside`: what the rest needs of the engine; `engine`: the engine's imports behind it.
//! - `cloud`: one connector and what it keeps in memory, of these: `account` (whether the number works), `uploads` (files that Meta has
//!   already), `files` (received ones that are still to be fetched), `parts` (what was sent of a message that is several on the channel),
//!   `heard` (the last message of each conversation).
//! - `token`: when the access token ends. `samples`: files that show Meta what a template's header will be.
//! - `sending`: from a message to calls and an outcome; `contents` and `template` are the bodies of what is not a text or a file.
//! - `operations`: read marks, typing, the templates' operations. `receiving`: from a webhook to events.
//! - `upkeep`: what is done from time to time. `connector`: the plugin itself.
//!
//! # Who runs what
//! `run` fetches files and does the `upkeep`: it asks how the number stands, warns of a token that ends, and forgets what is old. `send`,
//! `operate` and `receive` run in their own calls, concurrently with it. A guest has one thread, and no `RefCell` is borrowed across an
//! `.await`.
//!
//! Invariants: nothing here logs a text, a number or a link. The token is put in by the engine, and goes to the Graph API's host and to
//! the hosts of received files only. What is sent is built from lists of known keys: Meta refuses a message with any other.

#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "what only the plugin calls is compiled only where there is an engine")
)]

mod account;
mod address;
mod answer;
mod cloud;
mod codes;
mod config;
mod contents;
mod files;
mod heard;
mod instant;
mod operations;
mod outside;
mod parts;
mod receiving;
mod recent;
mod redact;
mod samples;
mod sending;
mod template;
mod token;
mod undelivered;
mod upkeep;
mod uploads;
mod url;

#[cfg(target_arch = "wasm32")]
mod connector;
#[cfg(target_arch = "wasm32")]
mod engine;

#[cfg(test)]
mod examples;
