//! Runs plugins: WebAssembly components that can only hurt themselves.
//!
//! # Layout
//! - [`Sandbox`] (`sandbox.rs`): opens the plugins and is the `Connectors` port; [`Renderers`] (`renderer.rs`) is the `Renderer` port.
//! - `engine.rs` the wasmtime engine and the thread that ticks its epoch; `bindings.rs` the only `bindgen!` site; `state.rs`
//!   what one store holds; `limits.rs` every bound there is.
//! - `registry.rs` which plugins are known; `cache.rs` native code kept on disk; `capability.rs` what a plugin was granted.
//! - `supervisor.rs` the task of each connector: it drives the instance (`actor.rs`), starts it again, and puts the next
//!   version or specification in its place; `jobs.rs` what waits for an instance; `session.rs` the connector's line, which
//!   outlives them; `intake.rs` the gate in front of its events.
//! - `stateless.rs` short calls on instances that are never configured; `pulse.rs` the watchdog's evidence.
//! - `host/` one file per interface that plugins import; `worlds/` conversions between the domain's types and the plugins'.
//!
//! # Who runs where
//! Each running connector has one tokio task that owns its store; nobody else touches it. Renderer and stateless instances are
//! borrowed from a pool by the calling task. One thread of our own ticks the epoch. No plugin code runs anywhere else, and all
//! of it yields to tokio at every tick.
//!
//! # Invariants
//! - Two instances of one connector whose plugin needs a session never run at once: the old one's store is dropped before
//!   the new one's is made, and what is in the queue waits.
//! - A message that was handed to an instance which then dies is `Unknown`; one that was not is `Disconnected`.
//! - A secret is put into an SMTP login or an HTTP header by the host; it never enters a guest's memory.
//! - Every call into the host ends by a deadline; every guest is ended by the watchdog when it does not give way.
//!
//! This crate must not know how messages are stored, scheduled or served.

mod actor;
mod backoff;
mod bindings;
mod cache;
mod capability;
mod engine;
mod host;
mod intake;
mod jobs;
mod limits;
mod options;
mod pulse;
mod registry;
mod renderer;
mod sandbox;
mod session;
mod state;
mod stateless;
mod supervisor;
mod worlds;

pub use capability::Capability;
pub use host::kv::{PluginKv, StoreKv};
pub use limits::Limits;
pub use options::{Embedded, Options, Ports};
pub use registry::Refused;
pub use renderer::Renderers;
pub use sandbox::{Error, Sandbox};
