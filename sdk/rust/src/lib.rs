//! What a Pombo plugin written in Rust needs.
//!
//! A plugin implements one trait and names it in one macro:
//!
//! ```ignore
//! use pombo_plugin::connector::*;
//!
//! struct Carrier;
//!
//! impl Connector for Carrier {
//!     fn describe() -> Description { Description::new("carrier", env!("CARGO_PKG_VERSION"), "pigeon") }
//!     async fn start(_config: &str) -> Result<Self, RunError> { Ok(Self) }
//!     async fn send(&self, message: Outgoing) -> Outcome { Outcome::Accepted(None) }
//! }
//! pombo_plugin::export_connector!(Carrier);
//! ```
//!
//! The target `wasm32-unknown-unknown` has no clock, no randomness and no standard streams: `SystemTime::now` panics there.
//! [`clock`], [`random`] and [`log`] are the engine's, and fall back to the system's when a plugin is compiled for the host,
//! so that `cargo test` runs natively. The export macros expand to nothing there for the same reason.
//!
//! Enable the feature `connector` or `renderer`, never both in one plugin.

pub mod clock;
pub mod log;
pub mod random;

#[cfg(feature = "connector")]
pub mod connector;
#[cfg(feature = "renderer")]
pub mod renderer;

mod panics;

#[doc(hidden)]
pub use panics::install as __install_panic_hook;
#[doc(hidden)]
pub use wit_bindgen as __wit_bindgen;

/// The raw imports that every world has, under one name whichever world was chosen.
#[cfg(all(target_arch = "wasm32", feature = "connector"))]
use connector::bindings::pombo::host as imports;
#[cfg(all(target_arch = "wasm32", feature = "renderer", not(feature = "connector")))]
use renderer::bindings::pombo::host as imports;
