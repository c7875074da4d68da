//! Runs plugins: WebAssembly components that can harm only themselves.
//!
//! # Layout
//! - [`Plugins`] (`uploads/`) is the `PluginEngine` port: it checks what is uploaded (`uploads/inspect/`), keeps it, and calls
//!   automations (`automation/`). [`Telemetry`] (`telemetry/`) is the `PluginTelemetry` port: what plugins log and use.
//! - [`Sandbox`] (`sandbox.rs`): opens the plugins and is the `Connectors` port; [`Renderers`] (`renderer.rs`) is the `Renderer` port.
//! - `fleet.rs` which connectors run; `connector/` how each of them does; `rollout/` another version of a connector's plugin, tried
//!   next to the running one, put in its place, or rolled back.
//! - `engine.rs` the wasmtime engines, one for connectors and one for automations, and the thread that ticks the first one's epoch;
//!   `bindings.rs` the only `bindgen!` site; `state.rs` what one store holds; `limits.rs` every bound there is; `options.rs` what the
//!   server gives to the sandbox.
//! - `registry.rs` which plugins are known; `cache.rs` native code kept on disk, which `precompile.rs` fills at a start; `grants/`
//!   what a plugin may ask for.
//! - `instances.rs` short calls on pooled instances that serve no connector; `watchdog.rs` ends a guest that does not give way.
//! - `proxy/` the only way out of a connector that has a proxy.
//! - `host/` one file per interface that plugins import; `wasi.rs` what there is of WASI; `offline.rs` ports that refuse everything;
//!   `worlds/` conversions between the domain's types and the plugins', and the versions of the worlds that are accepted
//!   (`accepted.rs`).
//!
//! # Who runs where
//! Each running connector has one tokio task that owns its store; no other task touches it. Renderer and stateless instances are
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
//! - A secret is put into an SMTP login or an HTTP header by the host, a proof of two of them into a query as well; neither enters a
//!   guest's memory.
//! - A connector with a proxy reaches nothing without it: `host/network.rs` (with `host/route.rs`) and `host/http` are the only places that
//!   decide on a way, and both ask for the proxy first.
//! - Every call into the host has a deadline; the watchdog ends every guest that does not give way.
//!
//! This crate must not know how messages are stored, scheduled or served.

mod automation;
mod bindings;
mod cache;
mod connector;
mod engine;
mod fleet;
mod grants;
mod host;
mod instances;
mod limits;
mod offline;
mod options;
mod precompile;
mod proxy;
mod randomness;
mod registry;
mod renderer;
mod rollout;
mod sandbox;
mod state;
mod telemetry;
mod uploads;
mod wasi;
mod watchdog;
mod worlds;

pub use grants::Capability;
pub use limits::{AutomationLimits, Limits, UploadLimits};
pub use options::{ConnectTo, Embedded, Options, PluginKv, Ports};
pub use precompile::Compiling;
pub use registry::Refused;
pub use renderer::Renderers;
pub use sandbox::{Error, Sandbox};
pub use telemetry::Telemetry;
pub use uploads::Plugins;
pub use uploads::inspect::compile::compile_component;
