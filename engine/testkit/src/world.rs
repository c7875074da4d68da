//! The commands over the kit: what a facade's tests begin with.

use std::sync::Arc;

use pombo_domain::commands::media_files::FilePolicy;
use pombo_domain::commands::{Commands, PluginPolicy, Ports};
use pombo_domain::model::message::MessageState;
use pombo_domain::model::{Connector, Tenant};
use pombo_domain::ports::{Account, Clock, PluginDescription};
use pombo_domain::{MessageKey, TenantIndex, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use crate::*;

/// What a world is made from.
pub struct WorldOptions {
    /// Its clock; by default one that stands at [`NOON`].
    pub clock: ManualClock,
    /// What there is to make connectors from; by default [`samples::email_plugin`] and [`samples::chat_plugin`].
    pub plugins: Vec<PluginDescription>,
    /// Who may upload plugins, and how many.
    pub policy: PluginPolicy,
    /// How large stored files may be, and how many there may be.
    pub files: FilePolicy,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            clock: ManualClock::new(NOON),
            plugins: vec![samples::email_plugin(), samples::chat_plugin()],
            policy: PluginPolicy::default(),
            files: FilePolicy::default(),
        }
    }
}

/// The commands, with what is behind them.
pub struct World {
    /// The commands.
    pub commands: Commands,
    /// The store.
    pub store: Arc<TestStore>,
    /// The connectors. A connected session is of `5511900000001`.
    pub connectors: Arc<ScriptedConnectors>,
    /// The clock.
    pub clock: ManualClock,
    /// The uploaded plugins.
    pub plugins: Arc<FakePluginEngine>,
    /// What plugins write and use.
    pub telemetry: Arc<FakeTelemetry>,
    /// The tenants' files; removed with the test.
    pub media: TempDir,
    /// What is behind URLs.
    pub fetcher: Arc<ServingFetcher>,
}

/// A tenant with an API key.
pub struct Caller {
    /// The tenant.
    pub tenant: Tenant,
    /// Its key.
    pub key: String,
}

impl World {
    /// A world without a tenant.
    pub fn new(options: WorldOptions) -> Self {
        let WorldOptions { clock, plugins, policy, files } = options;
        let store = TestStore::open(clock.clone());
        let connectors = Arc::new(ScriptedConnectors::new(clock.clone(), plugins));
        *connectors.account.lock() = Some(Account {
            address: "5511900000001".to_owned(),
            display_name: Some("Loja".to_owned()),
            aliases: vec!["1@lid".to_owned()],
            platform: None,
            business: None,
            protocol_version: None,
        });
        let (plugins, telemetry) = (Arc::new(FakePluginEngine::new(clock.clone())), Arc::new(FakeTelemetry::default()));
        let media = TempDir::new().expect("a temporary folder");
        let folder = Arc::new(FolderMedia::new(media.path()));
        let fetcher = Arc::new(ServingFetcher::new(folder.clone()));
        let commands = Commands::new(Ports {
            store: store.clone(),
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(CountingEntropy::new(1 << 32)),
            passwords: Arc::new(PlainPasswords),
            secrets: Arc::new(ReversingBox),
            renderer: Arc::new(BraceRenderer::default()),
            connectors: connectors.clone(),
            guard: Arc::new(OpenGuard),
            media: folder,
            attachments: fetcher.clone(),
            file_policy: files,
            plugins: plugins.clone(),
            telemetry: telemetry.clone(),
            plugin_policy: policy,
        });
        Self { commands, store, connectors, clock, plugins, telemetry, media, fetcher }
    }

    /// A new tenant with a key.
    pub async fn caller(&self, name: &str) -> Caller {
        let tenant = self.commands.create_tenant(name).await.expect("a good name");
        let key = self.commands.create_api_key(tenant.index, "tests", None).await.expect("a good name").key;
        Caller { tenant, key }
    }

    /// A new connector.
    pub async fn connector(&self, tenant: TenantIndex, name: &str, plugin: &str, config: Value) -> Arc<Connector> {
        let request = pombo_domain::commands::connectors::ConnectorRequest {
            name: name.to_owned(),
            plugin: plugin.to_owned(),
            config,
            pace: None,
            proxy: None,
        };
        self.commands.create_connector(tenant, request).await.expect("a good request").connector
    }

    /// A message's step, as the scheduler would make it.
    pub fn step(&self, key: MessageKey, step: impl FnOnce(&MessageState, Timestamp) -> MessageState) {
        self.store.step(key, |state| step(state, self.clock.now()));
    }

    /// How many files the tenants have, those included that are still being written.
    pub fn files(&self) -> usize {
        let inside = std::fs::read_dir(self.media.path()).expect("the folder is there").flatten();
        inside.filter(|entry| entry.path().is_file()).count()
    }
}
