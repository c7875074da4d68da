//! The test doubles of the engine, each once: for tests and examples of every crate, never for production.
//!
//! - [`clock`], [`entropy`], [`secrets`]: time that a test moves, randomness that repeats, passwords and secrets that can be
//!   read.
//! - [`connectors`], [`plugins`], [`renderer`]: plugins that do what a test says. [`outbound`], [`media`]: what lies outside.
//! - [`store`]: the real store in a folder of its own, behind a decorator that fails as planned. There is no other store in
//!   tests.
//! - [`samples`]: messages, connectors, packages and other nouns, to be changed by `..`.
//!
//! Nothing is shared between two values of a double: tests run side by side. The kit knows the domain and the store alone; what
//! needs a facade, a sandbox or a scheduler stands in that crate's own tests.

pub mod clock;
pub mod connectors;
pub mod entropy;
pub mod media;
pub mod outbound;
pub mod plugins;
pub mod renderer;
pub mod samples;
pub mod secrets;
pub mod store;

pub use clock::{ManualClock, NOON, SystemClock, settle};
pub use connectors::{Does, ScriptedConnectors, Sent, Versions, accepted};
pub use entropy::{ConstantEntropy, CountingEntropy};
pub use media::FolderMedia;
pub use outbound::{Hook, HookAct, LoopbackGuard, OpenGuard, ScriptedFetcher, ScriptedWebhooks};
pub use plugins::{FakePluginEngine, FakeTelemetry, Says, digest_of, fails, nothing, says};
pub use renderer::BraceRenderer;
pub use secrets::{PlainPasswords, ReversingBox};
pub use store::{Fate, TestStore};
