//! The SDK for Pombo plugins in Rust.
//!
//! A plugin implements one trait and exports it with one macro. An automation answers in conversations:
//!
//! ```ignore
//! use pombo_plugin::automation::*;
//!
//! struct Greeter;
//!
//! impl Automation for Greeter {
//!     type Config = NoConfig;
//!     type State = u32;
//!     fn describe() -> Description { Description::new("greeter", env!("CARGO_PKG_VERSION")) }
//!     fn on_message(turn: &mut Turn<'_, Self>, message: &Message) -> Result<(), Error> {
//!         turn.state += 1;
//!         turn.reply(format!("{}: {}", turn.state, message.text));
//!         Ok(())
//!     }
//! }
//! pombo_plugin::export_automation!(Greeter);
//! ```
//!
//! A connector connects a channel:
//!
//! ```ignore
//! use pombo_plugin::connector::*;
//!
//! struct Carrier;
//!
//! impl Connector for Carrier {
//!     fn describe() -> Description { Description::new("carrier", env!("CARGO_PKG_VERSION"), "pigeon") }
//!     async fn start(_config: &str) -> Result<Self, RunError> { Ok(Self) }
//!     async fn send(&self, message: Outgoing) -> Outcome { Outcome::accepted(None) }
//! }
//! pombo_plugin::export_connector!(Carrier);
//! ```
//!
//! The target `wasm32-unknown-unknown` has no clock, no randomness and no standard streams: `SystemTime::now` panics there.
//! [`clock`], [`random`] and [`log`] are the engine's, and fall back to the system's when a plugin is compiled for the host,
//! so that `cargo test` runs natively. The export macros expand to nothing there for the same reason.
//!
//! Enable one of the features `automation`, `connector` and `renderer`, never two in one plugin. With the feature `test`, as a
//! development dependency, [`test`] runs an automation natively through a scripted conversation.

pub mod clock;
pub mod log;
pub mod random;

#[cfg(feature = "automation")]
pub mod automation;
#[cfg(feature = "connector")]
pub mod connector;
#[cfg(feature = "renderer")]
pub mod renderer;
#[cfg(all(feature = "test", not(target_arch = "wasm32")))]
pub mod test;

mod panics;

#[doc(hidden)]
pub use panics::install as __install_panic_hook;
#[doc(hidden)]
pub use wit_bindgen as __wit_bindgen;

/// Automations allocate little, in small pieces, and end soon: this allocator is smaller and faster at it than the target's own.
#[cfg(all(target_arch = "wasm32", feature = "automation", feature = "allocator"))]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// The raw imports that every world has, under one name for all worlds.
#[cfg(all(target_arch = "wasm32", feature = "automation"))]
use automation::bindings::pombo::automation as imports;
#[cfg(all(target_arch = "wasm32", feature = "connector", not(feature = "automation")))]
use connector::bindings::pombo::host as imports;
#[cfg(all(target_arch = "wasm32", feature = "renderer", not(any(feature = "connector", feature = "automation"))))]
use renderer::bindings::pombo::host as imports;
