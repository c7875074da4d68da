//! The connectors port over the [`Fleet`], and how everything is opened and closed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use pombo_domain::model::Attachment;
use pombo_domain::ports::{
    Account, Answer, ConnectorError, ConnectorSpec, Connectors, LinkStep, Operation, OperationError, Outgoing,
    PluginDescription, ProxyStatus, ReceiveError, ReceivedRequest, ReceivedResponse, SendOutcome, SessionState,
};
use pombo_domain::{ConnectorIndex, Field, FieldProblem, Timestamp};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::cache::Cache;
use crate::engine::{Ticker, engine};
use crate::fleet::Fleet;
use crate::host::network::{self, GuardedResolver};
use crate::limits::SMTP_LARGE_AT_ONCE;
use crate::options::{Options, Ports};
use crate::registry::{Refused, Registry};
use crate::renderer::Renderers;
use crate::state::Services;
use crate::telemetry::Telemetry;
use crate::uploads::{NotOpened, Plugins};

/// Why the sandbox does not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine or the limits do not allow the engine.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
    /// The folder for compiled code cannot be used.
    #[error("the folder {0} for compiled plugins cannot be used: {1}")]
    Cache(PathBuf, std::io::Error),
    /// The folder for uploaded components cannot be used.
    #[error("the folder {0} for uploaded plugins cannot be used: {1}")]
    Folder(PathBuf, std::io::Error),
    /// A plugin of the binary does not load.
    #[error("the plugin {name} does not load: {reason}")]
    Plugin {
        /// Name under which the binary carries the plugin.
        name: String,
        /// Why, for the operator.
        reason: String,
    },
    /// The binary carries no renderer.
    #[error("there is no renderer among the plugins")]
    NoRenderer,
}

/// The plugins and the connectors that run in them.
pub struct Sandbox {
    fleet: Fleet,
    renderers: Arc<Renderers>,
    plugins: Arc<Plugins>,
    _ticker: Ticker,
}

impl Sandbox {
    /// Loads every plugin; compiles those that are new. Blocks the calling task while it compiles.
    pub async fn open(mut options: Options, ports: Ports) -> Result<Self, Error> {
        let engine = engine(&options.limits).map_err(|e| Error::Engine(format!("{e:#}")))?;
        let ticker = Ticker::start(&engine).map_err(|e| Error::Engine(e.to_string()))?;
        let authorities = options.authorities.iter().cloned().map(Into::into);
        let tls = network::tls(authorities).map_err(|e| Error::Engine(format!("TLS: {e}")))?;
        let connect_to = Arc::new(options.connect_to.clone());
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .dns_resolver(Arc::new(GuardedResolver { guard: ports.guard.clone(), connect_to: connect_to.clone() }))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|e| Error::Engine(format!("HTTP: {e}")))?;
        let telemetry = Telemetry::new(ports.clock.clone(), options.limits.automations.log_lines);
        let services = Arc::new(Services {
            telemetry,
            clock: ports.clock,
            entropy: ports.entropy,
            kv: ports.kv,
            events: ports.events,
            media: ports.media,
            links: ports.links,
            guard: ports.guard,
            proxies: ports.proxies,
            http,
            tls: Arc::new(tls),
            connect_to,
            large_sends: Arc::new(Semaphore::new(SMTP_LARGE_AT_ONCE)),
            starts: Arc::new(Semaphore::new(options.limits.starts_at_once.max(1))),
            smtp_plain_hosts: options.smtp_plain_hosts.clone(),
            http_plain_hosts: options.http_plain_hosts.clone(),
            limits: options.limits.clone(),
        });
        let cache = Cache::open(&options.cache_dir, options.compiled_ahead.as_deref(), &engine)
            .map_err(|e| Error::Cache(options.cache_dir.clone(), e))?;
        // First: what is kept tells the cache what stays when the registry prunes it.
        let opened = Plugins::open(&options, &services, &engine, &cache).await.map_err(|why| match why {
            NotOpened::Engine(why) => Error::Engine(why),
            NotOpened::Folder(folder, error) => Error::Folder(folder, error),
            NotOpened::Embedded(name, reason) => Error::Plugin { name, reason },
        });
        let (plugins, others) = opened?;
        options.embedded = others;
        let registry = Registry::load(&engine, cache, &options, &services)
            .await
            .map_err(|(name, reason)| Error::Plugin { name, reason })?;
        let (name, pre) = registry.renderer.clone().ok_or(Error::NoRenderer)?;
        let instances = match options.renderers {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            n => n,
        };
        let renderers = Arc::new(Renderers::new(&engine, name, pre, services.clone(), instances));
        let fleet = Fleet::new(engine, registry, services);
        Ok(Self { fleet, renderers, plugins: Arc::new(plugins), _ticker: ticker })
    }

    /// The renderer port.
    pub fn renderers(&self) -> Arc<Renderers> {
        self.renderers.clone()
    }

    /// Logs and figures of the plugins.
    pub fn telemetry(&self) -> Arc<Telemetry> {
        self.fleet.services.telemetry.clone()
    }

    /// Uploaded components and the automations among them.
    pub fn plugins(&self) -> Arc<Plugins> {
        self.plugins.clone()
    }

    /// The operator's plugins that were left out.
    pub fn refused(&self) -> &[Refused] {
        &self.fleet.registry.refused
    }

    /// Stops every connector; their sends may go on for `drain`.
    pub async fn shutdown(&self, drain: Duration) {
        self.fleet.shutdown(drain).await;
    }

    /// Makes an uploaded version the one that runs, for connectors that run already and for those that are started later: what
    /// the server does with the stored choice before it starts connectors. An `Err` leaves everything as it was.
    pub async fn use_version(&self, plugin: &str, digest: &str) -> Result<PluginDescription, ConnectorError> {
        self.fleet.use_version(plugin, digest).await
    }
}

#[async_trait]
impl Connectors for Sandbox {
    fn plugins(&self) -> Vec<PluginDescription> {
        self.fleet.registry.connectors.read().values().map(|p| p.description.clone()).collect()
    }

    fn plugin(&self, name: &str) -> Option<PluginDescription> {
        self.fleet.registry.find(name).map(|p| p.description.clone())
    }

    fn check_config(&self, plugin: &str, config: &Value) -> Result<(), Vec<FieldProblem>> {
        match self.fleet.registry.find(plugin) {
            Some(plugin) => plugin.check_config(config),
            None => Err(vec![FieldProblem::new(
                Field::Plugin,
                format!("there is no plugin {:?}", crate::limits::cut(plugin, 64)),
            )]),
        }
    }

    fn check_content(&self, plugin: &str, kind: &str, value: &Value) -> Result<(), Vec<FieldProblem>> {
        self.fleet.registry.find(plugin).map_or(Ok(()), |plugin| plugin.check_content(kind, value))
    }

    fn check_operation(&self, plugin: &str, kind: &str, value: &Value) -> Result<(), Vec<FieldProblem>> {
        self.fleet.registry.find(plugin).map_or(Ok(()), |plugin| plugin.check_operation(kind, value))
    }

    async fn check_recipients(
        &self,
        plugin: &str,
        recipients: Vec<String>,
    ) -> Result<Vec<Result<String, String>>, ConnectorError> {
        let plugin =
            self.fleet.registry.find(plugin).ok_or_else(|| ConnectorError::UnknownPlugin(plugin.to_owned()))?;
        plugin.stateless.check(&recipients).await.map_err(|e| ConnectorError::Plugin(e.to_string()))
    }

    async fn start(&self, spec: ConnectorSpec) -> Result<(), ConnectorError> {
        self.fleet.start(spec)
    }

    async fn stop(&self, connector: ConnectorIndex) {
        self.fleet.stop(connector).await;
    }

    async fn send(&self, connector: ConnectorIndex, message: Outgoing) -> SendOutcome {
        self.fleet.send(connector, message).await
    }

    async fn operate_with_files(
        &self,
        connector: ConnectorIndex,
        operation: Operation,
        files: Vec<Attachment>,
    ) -> Result<Answer, OperationError> {
        self.fleet.operate(connector, operation, files).await
    }

    async fn receive(
        &self,
        connector: ConnectorIndex,
        request: ReceivedRequest,
    ) -> Result<ReceivedResponse, ReceiveError> {
        self.fleet.receive(connector, request).await
    }

    fn check_proxy(&self, host: &str, port: u16) -> Result<(), String> {
        self.fleet.services.proxies.check_proxy(host, port)
    }

    fn proxy_status(&self, connector: ConnectorIndex) -> Option<ProxyStatus> {
        self.fleet.proxy_status(connector)
    }

    async fn restart(&self, connector: ConnectorIndex) -> Result<(), ConnectorError> {
        self.fleet.restart(connector).await
    }

    fn session(&self, connector: ConnectorIndex) -> SessionState {
        self.fleet.slot(connector).status().state
    }

    fn account(&self, connector: ConnectorIndex) -> Option<Account> {
        self.fleet.slot(connector).status().account
    }

    fn link_step(&self, connector: ConnectorIndex) -> Option<LinkStep> {
        self.fleet.slot(connector).link_step()
    }

    fn connected_at(&self, connector: ConnectorIndex) -> Option<Timestamp> {
        self.fleet.slot(connector).connected_at()
    }

    fn session_since(&self, connector: ConnectorIndex) -> Option<Timestamp> {
        self.fleet.slot(connector).since()
    }

    async fn session_after(&self, connector: ConnectorIndex, seen: &SessionState) -> SessionState {
        let slot = self.fleet.slot(connector);
        let mut status = slot.subscribe();
        match status.wait_for(|now| now.state != *seen).await {
            Ok(now) => now.state.clone(),
            // The slot holds the sender.
            Err(_) => SessionState::Stopped,
        }
    }

    async fn reload(&self, plugin: &str) -> Result<PluginDescription, ConnectorError> {
        self.fleet.reload(plugin).await
    }

    async fn stage(&self, plugin: &str, digest: &str, share: u8) -> Result<(), ConnectorError> {
        self.fleet.stage(plugin, digest, share).await
    }

    async fn promote(&self, plugin: &str) -> Result<PluginDescription, ConnectorError> {
        self.fleet.promote(plugin).await
    }

    async fn unstage(&self, plugin: &str) -> Result<(), ConnectorError> {
        self.fleet.unstage(plugin).await
    }

    async fn settle(&self, plugin: &str) {
        self.fleet.settle(plugin).await;
    }
}
