//! Connectors that run: one task each, which outlives the instances that it drives one after another.
//!
//! # Layout
//! - `supervisor.rs` the task of each connector: it drives the instance (`actor.rs`), starts it again after a failure, and puts the
//!   next version or specification in its place; `assignment.rs` what it and the instance are told.
//! - `jobs.rs` what waits for an instance; `sending.rs` which instance a message goes to; `receiving.rs` how a request of the channel
//!   gets to one; `versions.rs` the instances of one connector while two versions of its plugin run.
//! - `session.rs` the connector's session, which outlives its instances; `events_gate.rs` the gate in front of its events.
//! - `metrics.rs` what an instance adds to the figures of its plugin's version.
//!
//! This module must not know why a version is tried or taken back.

mod actor;
pub(crate) mod assignment;
mod events_gate;
pub(crate) mod jobs;
mod metrics;
mod receiving;
mod restarts;
mod sending;
pub(crate) mod session;
pub(crate) mod supervisor;
pub(crate) mod versions;
