//! The ports in memory, for this facade's tests: the real commands and the real HTTP stack over a store that keeps the port's
//! conditions (revisions, unique e-mails, Idempotency-Keys) and plugins that do what a test can foresee.

mod automations;
mod plugins;
mod ports;
mod store;

use std::sync::Arc;

use pombo_domain::Timestamp;
use pombo_domain::commands::{Commands, PluginPolicy, Ports};

pub(in crate::tests) use plugins::{FakePlugins, FakeTelemetry, digest_of};
pub(in crate::tests) use ports::{FakeConnectors, ManualClock};
pub(in crate::tests) use store::FakeStore;

/// Where the tests' clock starts: 2030-01-01T00:00:00Z.
pub(in crate::tests) const START: Timestamp = Timestamp(1_893_456_000_000);

/// The commands with what is behind them.
pub(in crate::tests) struct Fakes {
    pub(in crate::tests) commands: Commands,
    pub(in crate::tests) store: Arc<FakeStore>,
    pub(in crate::tests) connectors: Arc<FakeConnectors>,
    pub(in crate::tests) clock: Arc<ManualClock>,
    pub(in crate::tests) plugins: Arc<FakePlugins>,
    pub(in crate::tests) telemetry: Arc<FakeTelemetry>,
    /// Files; removed with the test.
    pub(in crate::tests) folder: tempfile::TempDir,
}

impl Fakes {
    pub(in crate::tests) fn new(plugin_policy: PluginPolicy) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let store = Arc::new(FakeStore::new(clock.clone()));
        let connectors = Arc::new(FakeConnectors::default());
        let (plugins, telemetry) = (Arc::new(FakePlugins::default()), Arc::new(FakeTelemetry::default()));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let commands = Commands::new(Ports {
            store: store.clone(),
            clock: clock.clone(),
            entropy: Arc::new(ports::Counting::default()),
            passwords: Arc::new(ports::PlainPasswords),
            secrets: Arc::new(ports::XorSecrets),
            renderer: Arc::new(ports::PlainRenderer),
            connectors: connectors.clone(),
            guard: Arc::new(ports::OpenGuard),
            media: Arc::new(ports::FolderMedia(folder.path().to_owned())),
            plugins: plugins.clone(),
            telemetry: telemetry.clone(),
            plugin_policy,
        });
        Self { commands, store, connectors, clock, plugins, telemetry, folder }
    }
}
