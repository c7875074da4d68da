//! Tests of the store through its port.
//!
//! - `support`: a manual clock, seeded randomness, builders.
//! - `model`: the store as a naive program, to compare with.
//! - `random`: random operations against the model, with reopening.
//! - `lists`, `queues`, `documents`, `contacts`, `tags`, `templates`, `campaigns`, `files`, `events`, `effects`, `automations`, `phone`, `chats`,
//!   `plugins`, `rules`, `stats`, `webhooks`: one subject each.
//! - `crash`: a child process that is killed at random moments. `faults`: failing writes.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod automations;
mod campaigns;
mod chats;
mod contacts;
mod crash;
mod documents;
mod effects;
mod events;
mod faults;
mod files;
mod lists;
mod model;
mod phone;
mod plugins;
mod queues;
mod random;
mod rules;
mod stats;
mod support;
mod tags;
mod templates;
mod webhooks;
