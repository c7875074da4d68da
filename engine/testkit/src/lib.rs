//! The engine's test doubles, each defined once: for tests and examples of every crate, never for production.
//!
//! - [`clock`], [`entropy`], [`secrets`]: time that a test moves, randomness that repeats, passwords and secrets that can be
//!   read.
//! - [`connectors`], [`plugins`], [`renderer`]: plugins that do what a test says; [`built`]: real ones, as they were built. [`outbound`], [`media`], [`proxy`]: the outside world.
//! - [`store`]: the real store in a folder of its own, behind a decorator that fails as planned. There is no other store in
//!   tests.
//! - [`world`]: the commands over all of these. `http` (a feature): asks a facade and reads its answers; `qr` (the same): reads
//!   the pictures in them.
//! - [`documents`]: whether the kept OpenAPI documents are those that the code generates.
//! - [`samples`]: messages, connectors, plugins and other values; a test changes fields with `..`.
//!
//! Two values of a double share nothing, because tests run in parallel. The kit knows only the domain and the store; a double that
//! needs a facade, a sandbox or a scheduler belongs in that crate's own tests.

pub mod built;
pub mod clock;
pub mod connectors;
pub mod documents;
pub mod entropy;
#[cfg(feature = "http")]
pub mod http;
pub mod media;
pub mod outbound;
pub mod plugins;
pub mod proxy;
#[cfg(feature = "http")]
pub mod qr;
pub mod renderer;
pub mod samples;
pub mod secrets;
pub mod store;
pub mod world;

pub use built::built;
pub use clock::{ManualClock, NOON, SystemClock, settle};
pub use connectors::{Does, ScriptedConnectors, Sent, Versions, accepted, throttled};
pub use entropy::{ConstantEntropy, CountingEntropy};
pub use media::FolderMedia;
pub use outbound::{
    Hook, HookAct, LoopbackGuard, LoopbackProxies, OpenGuard, PlainForm, ScriptedFetcher, ScriptedWebhooks,
    ServingFetcher,
};
pub use plugins::{FakePluginEngine, FakeTelemetry, Says, digest_of, fails, nothing, says};
pub use proxy::TestProxy;
pub use renderer::BraceRenderer;
pub use secrets::{PlainPasswords, ReversingBox};
pub use store::{Fate, TestStore};
pub use world::{Caller, World, WorldOptions};
