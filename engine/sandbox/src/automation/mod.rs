//! Calls of automations.
//!
//! # Layout
//! - `call.rs` one call; `state.rs` what its store holds; `imports.rs`, `http.rs` what it may ask the host for.
//! - `fairness.rs` what one tenant may take from others; `slices.rs` which thread runs a call and how its time is measured.
//!
//! # Who runs where
//! A call begins on its caller's task and, when it computes for long, goes on in a runtime of its own.
//!
//! # Invariants
//! - An instance serves one call: nothing of one conversation is there in the next.
//! - What a call depends on is what it was given: its clock, its randomness and the host's answers are recorded or derived.
//!
//! This module must not know where components come from, what is done with an answer, nor when an event is handled again.

pub(crate) mod call;
pub(crate) mod fairness;
mod http;
mod imports;
pub(crate) mod slices;
pub(crate) mod state;
