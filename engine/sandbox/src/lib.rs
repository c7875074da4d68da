//! Runs plugins: WebAssembly components that can only hurt themselves.
//!
//! # Layout
//! - [`Plugins`] (`automation/`) is the `PluginEngine` port: it checks and keeps what is uploaded (`inspect/`) and calls automations.
//!   [`Telemetry`] (`telemetry/`) is the `PluginTelemetry` port: what plugins log and use.
//! - [`Sandbox`] (`sandbox.rs`): opens the plugins and is the `Connectors` port; [`Renderers`] (`renderer.rs`) is the `Renderer` port.
//! - `engine.rs` the wasmtime engines, one for connectors and one for automations, and the thread that ticks the first one's epoch;
//!   `bindings.rs` the only `bindgen!` site; `state.rs` what one store holds; `limits.rs` every bound there is.
//! - `registry.rs` which plugins are known; `cache.rs` native code kept on disk; `capability.rs` what a plugin was granted.
//! - `rollout.rs` another version of a connector's plugin, tried beside the running one, put in its place, or taken back; `pair.rs`
//!   the instances of one connector meanwhile; `sending.rs` which of them a message goes to; `tally.rs` what they add to the
//!   versions' figures.
//! - `supervisor.rs` the task of each connector: it drives the instance (`actor.rs`), starts it again, and puts the next
//!   version or specification in its place; `jobs.rs` what waits for an instance; `session.rs` the connector's line, which
//!   outlives them; `intake.rs` the gate in front of its events.
//! - `stateless.rs` short calls on instances that are never configured; `pulse.rs` the watchdog's evidence.
//! - `host/` one file per interface that plugins import; `worlds/` conversions between the domain's types and the plugins'.
//!
//! # Who runs where
//! Each running connector has one tokio task that owns its store; nobody else touches it. Renderer and stateless instances are
//! borrowed from a pool by the calling task. An automation's call begins on the calling task and moves to a runtime of its own when
//! it computes for long. Two threads of our own tick the engines' epochs. No plugin code runs anywhere else, and all of it yields to
//! tokio at every tick. Uploads are compiled by a child process.
//!
//! # Invariants
//! - Two instances of one connector whose plugin needs a session never run at once: the old one's store is dropped before
//!   the new one's is made, and what is in the queue waits.
//! - A message that was handed to an instance which then dies is `Unknown`; one that was not goes to whichever instance has the
//!   connector's work now, or is `Disconnected`.
//! - Two versions of a plugin never have the same message: an instance gives back only what it has not begun.
//! - A secret is put into an SMTP login or an HTTP header by the host; it never enters a guest's memory.
//! - Every call into the host ends by a deadline; every guest is ended by the watchdog when it does not give way.
//!
//! This crate must not know how messages are stored, scheduled or served.

mod actor;
mod automation;
mod backoff;
mod bindings;
mod cache;
mod capability;
mod engine;
mod host;
mod inspect;
mod intake;
mod jobs;
mod limits;
mod options;
mod pair;
mod pulse;
mod registry;
mod renderer;
mod rollout;
mod sandbox;
mod sending;
mod session;
mod state;
mod stateless;
mod supervisor;
mod tally;
mod telemetry;
mod worlds;

pub use automation::Plugins;
pub use capability::Capability;
pub use host::kv::{PluginKv, StoreKv};
pub use inspect::compile::compile_component;
pub use limits::{AutomationLimits, Limits, UploadLimits};
pub use options::{Embedded, Options, Ports};
pub use registry::Refused;
pub use renderer::Renderers;
pub use sandbox::{Error, Sandbox};
pub use telemetry::Telemetry;
