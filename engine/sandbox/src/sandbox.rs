//! The connectors port, and how everything is opened and closed.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::{Mutex, RwLock};
use pombo_domain::ConnectorIndex;
use pombo_domain::error::FieldProblem;
use pombo_domain::ports::{
    Account, Answer, ConnectorError, ConnectorSpec, Connectors, Operation, OperationError, Outgoing, PluginDescription,
    SendOutcome, SessionState,
};
use serde_json::Value;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, oneshot};
use wasmtime::Engine;

use crate::cache::Cache;
use crate::connector::assignment::Assignment;
use crate::connector::jobs;
use crate::connector::session::Line;
use crate::connector::supervisor::Running;
use crate::connector::versions::{Beside, Pair};
use crate::engine::{Ticker, engine};
use crate::grants::Hosts;
use crate::host::network::{self, GuardedResolver};
use crate::limits::SMTP_LARGE_AT_ONCE;
use crate::options::{Options, Ports};
use crate::registry::{ConnectorPlugin, Refused, Registry};
use crate::renderer::Renderers;
use crate::rollout::Rollout;
use crate::state::{Context, Services};
use crate::telemetry::{Telemetry, Whose};
use crate::uploads::{NotOpened, Plugins};
use crate::worlds;

/// Why the sandbox does not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine or the limits do not allow it.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
    /// The folder for compiled code.
    #[error("the folder {0} for compiled plugins cannot be used: {1}")]
    Cache(PathBuf, std::io::Error),
    /// The folder for uploaded components.
    #[error("the folder {0} for uploaded plugins cannot be used: {1}")]
    Folder(PathBuf, std::io::Error),
    /// A plugin of the binary's own.
    #[error("the plugin {name} does not load: {reason}")]
    Plugin {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// Nothing renders.
    #[error("there is no renderer among the plugins")]
    NoRenderer,
}

/// The plugins and the connectors that run in them.
pub struct Sandbox {
    engine: Engine,
    pub(crate) registry: Registry,
    pub(crate) services: Arc<Services>,
    renderers: Arc<Renderers>,
    plugins: Arc<Plugins>,
    /// Of every connector that was ever asked for.
    lines: Mutex<HashMap<ConnectorIndex, Arc<Line>>>,
    /// One plugin at a time is put in the place of another.
    pub(crate) reloading: tokio::sync::Mutex<()>,
    /// Taken before any of the locks below.
    pub(crate) running: RwLock<HashMap<ConnectorIndex, Pair>>,
    /// By the plugin's name.
    pub(crate) rollouts: Mutex<BTreeMap<String, Rollout>>,
    /// Connectors that were to run when their plugin was not there.
    pub(crate) stranded: Mutex<HashMap<ConnectorIndex, ConnectorSpec>>,
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
            guard: ports.guard,
            http,
            tls: Arc::new(tls),
            connect_to,
            large_sends: Arc::new(Semaphore::new(SMTP_LARGE_AT_ONCE)),
            starts: Arc::new(Semaphore::new(options.limits.starts_at_once.max(1))),
            smtp_plain_hosts: options.smtp_plain_hosts.clone(),
            limits: options.limits.clone(),
        });
        let cache = Cache::open(&options.cache_dir, &engine).map_err(|e| Error::Cache(options.cache_dir.clone(), e))?;
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
        let running = RwLock::new(HashMap::new());
        Ok(Self {
            engine,
            registry,
            services,
            renderers,
            plugins: Arc::new(plugins),
            lines: Mutex::default(),
            reloading: tokio::sync::Mutex::default(),
            running,
            rollouts: Mutex::default(),
            stranded: Mutex::default(),
            _ticker: ticker,
        })
    }

    /// The renderer port.
    pub fn renderers(&self) -> Arc<Renderers> {
        self.renderers.clone()
    }

    /// Logs and figures of the plugins.
    pub fn telemetry(&self) -> Arc<Telemetry> {
        self.services.telemetry.clone()
    }

    /// Uploaded components and the automations among them.
    pub fn plugins(&self) -> Arc<Plugins> {
        self.plugins.clone()
    }

    /// The operator's plugins that were left out.
    pub fn refused(&self) -> &[Refused] {
        &self.registry.refused
    }

    /// Stops every connector; their sends may go on for `drain`.
    pub async fn shutdown(&self, drain: Duration) {
        let all: Vec<_> = self.running.write().drain().collect();
        let ends = all.into_iter().map(|(index, pair)| {
            let silent = self.line(index).speak();
            async move {
                self.end(pair, drain, false).await;
                silent.end_silently();
            }
        });
        join_all(ends).await;
    }

    pub(crate) fn line(&self, connector: ConnectorIndex) -> Arc<Line> {
        let new = || Line::new(connector, self.services.events.clone(), &self.services.limits);
        self.lines.lock().entry(connector).or_insert_with(new).clone()
    }

    /// Makes a plugin with a specification ready to run; told of `before` when the assignment before it is gone.
    pub(crate) fn assignment(
        &self,
        plugin: Arc<ConnectorPlugin>,
        spec: ConnectorSpec,
        before: Option<oneshot::Sender<()>>,
        voice: Voice,
    ) -> Assignment {
        let ConnectorSpec { index, id, tenant, plugin: name, config, secrets } = spec;
        let line = self.line(index);
        let session = match voice {
            Voice::Heard => line.speak(),
            Voice::Aside => line.aside(),
        };
        let whose = Whose {
            plugin: plugin.name.clone(),
            digest: plugin.digest.clone(),
            tenant: Some(tenant),
            instance: Some(id),
        };
        let context =
            Context::new(index, id, tenant, plugin.grants, Hosts::new(&plugin.hosts, &config), secrets, session, whose);
        let text = config.to_string();
        Assignment {
            engine: self.engine.clone(),
            plugin,
            services: self.services.clone(),
            context: Arc::new(context),
            config: text,
            spec: ConnectorSpec { index, id, tenant, plugin: name, config, secrets: BTreeMap::new() },
            before: Mutex::new(before),
        }
    }

    /// Runs an assignment, in the place of all that ran for the connector before.
    fn run(&self, running: &mut HashMap<ConnectorIndex, Pair>, assignment: Assignment) {
        let index = assignment.spec.index;
        let needs_session = |a: &Assignment| a.plugin.description.needs_session;
        let drain = self.services.limits.drain;
        match running.get_mut(&index) {
            // Two sessions of one account at once would end each other.
            Some(old) if needs_session(&old.own.assignment) || needs_session(&assignment) => {
                old.own.replace(assignment);
                drop(old.beside.take().map(|beside| beside.running.halt(drain)));
            }
            _ => {
                // Their sends end beside the new one.
                if let Some(old) = running.insert(index, Pair::new(Running::start(assignment))) {
                    drop(old.own.retire(drain));
                    drop(old.beside.map(|beside| beside.running.retire(drain)));
                }
            }
        }
    }

    /// Starts a connector on the versions of its plugin that are due.
    pub(crate) fn start_one(&self, spec: ConnectorSpec) -> Result<(), ConnectorError> {
        // Found under the lock: a change of versions either sees this connector or is seen by it.
        let mut running = self.running.write();
        let Some(plugin) = self.registry.find(&spec.plugin) else {
            let unknown = ConnectorError::UnknownPlugin(spec.plugin.clone());
            self.stranded.lock().insert(spec.index, spec);
            return Err(unknown);
        };
        self.stranded.lock().remove(&spec.index);
        let rollout = self.rollouts.lock().get(&spec.plugin).cloned();
        let (plugin, beside) = match &rollout {
            Some(rollout) => {
                let on_it = |(index, pair): (&ConnectorIndex, &Pair)| {
                    *index != spec.index && Arc::ptr_eq(pair.own.plugin(), rollout.to())
                };
                rollout.versions(&spec, running.iter().any(on_it))
            }
            None => (plugin, None),
        };
        let beside = beside.map(|new| self.assignment(new, spec.clone(), None, Voice::Aside));
        let index = spec.index;
        let own = self.assignment(plugin, spec, None, Voice::Heard);
        self.run(&mut running, own);
        if let (Some(pair), Some(beside), Some(rollout)) = (running.get_mut(&index), beside, rollout) {
            pair.beside = Some(Beside { running: Running::start(beside), share: rollout.share() });
        }
        Ok(())
    }

    /// Puts a connector onto another version of its plugin; returns when the old instance is gone.
    pub(crate) async fn swap(&self, connector: ConnectorIndex, plugin: Arc<ConnectorPlugin>) {
        let (before, gone) = oneshot::channel();
        {
            let mut running = self.running.write();
            let Some(old) = running.get(&connector).map(|r| r.own.assignment.clone()) else { return };
            if old.plugin.name != plugin.name {
                return;
            }
            let assignment = self.assignment(plugin, old.whole_spec(), Some(before), Voice::Heard);
            self.run(&mut running, assignment);
        }
        // By the drop of the sender.
        let _ = gone.await;
    }

    /// The connectors that run a plugin.
    pub(crate) fn connectors_of(&self, plugin: &str) -> Vec<Arc<Assignment>> {
        let running = self.running.read();
        let all = running.values().map(|pair| &pair.own.assignment);
        let mut all: Vec<_> = all.filter(|a| &*a.plugin.name == plugin).collect();
        all.sort_by_key(|a| a.spec.index.0);
        all.into_iter().cloned().collect()
    }
}

/// Whether a new instance is heard on its connector's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// In the place of those before.
    Heard,
    /// Beside the one that is.
    Aside,
}

#[async_trait]
impl Connectors for Sandbox {
    fn plugins(&self) -> Vec<PluginDescription> {
        self.registry.connectors.read().values().map(|p| p.description.clone()).collect()
    }

    fn plugin(&self, name: &str) -> Option<PluginDescription> {
        self.registry.find(name).map(|p| p.description.clone())
    }

    fn check_config(&self, plugin: &str, config: &Value) -> Result<(), Vec<FieldProblem>> {
        match self.registry.find(plugin) {
            Some(plugin) => plugin.check_config(config),
            None => Err(vec![FieldProblem {
                field: "plugin".to_owned(),
                message: format!("there is no plugin {:?}", crate::limits::cut(plugin, 64)),
            }]),
        }
    }

    async fn check_recipients(
        &self,
        plugin: &str,
        recipients: Vec<String>,
    ) -> Result<Vec<Result<String, String>>, ConnectorError> {
        let plugin = self.registry.find(plugin).ok_or_else(|| ConnectorError::UnknownPlugin(plugin.to_owned()))?;
        plugin.checkers.check(&recipients).await.map_err(|e| ConnectorError::Plugin(e.to_string()))
    }

    async fn start(&self, spec: ConnectorSpec) -> Result<(), ConnectorError> {
        self.start_one(spec)
    }

    async fn stop(&self, connector: ConnectorIndex) {
        let (pair, session) = {
            let mut all = self.running.write();
            self.stranded.lock().remove(&connector);
            let Some(pair) = all.remove(&connector) else { return };
            (pair, self.line(connector).speak())
        };
        self.end(pair, self.services.limits.drain, false).await;
        session.end(SessionState::Stopped);
    }

    async fn send(&self, connector: ConnectorIndex, message: Outgoing) -> SendOutcome {
        self.send_message(connector, message).await
    }

    async fn operate(&self, connector: ConnectorIndex, operation: Operation) -> Result<Answer, OperationError> {
        let operations = self.running.read().get(&connector).map(|pair| pair.own.operations.clone());
        let Some(operations) = operations else {
            return Err(OperationError::Disconnected("the connector is not running".to_owned()));
        };
        let (job, answer) = jobs::Operate::new(worlds::operation::operation(operation));
        match operations.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Closed(job)) => job.refuse("the connector was stopped"),
            Err(TrySendError::Full(_)) => {
                let reason = "too many operations wait for this connector".to_owned();
                return Err(OperationError::Throttled { retry_after_ms: Some(1000), reason });
            }
        }
        drop(operations);
        match answer.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(untaken)) => Err(OperationError::Disconnected(untaken.why)),
            Err(_) => Err(OperationError::Unknown("the plugin failed during the operation".to_owned())),
        }
    }

    fn session(&self, connector: ConnectorIndex) -> SessionState {
        self.line(connector).standing().state
    }

    fn account(&self, connector: ConnectorIndex) -> Option<Account> {
        self.line(connector).standing().account
    }

    async fn session_after(&self, connector: ConnectorIndex, seen: &SessionState) -> SessionState {
        let line = self.line(connector);
        let mut standing = line.subscribe();
        match standing.wait_for(|now| now.state != *seen).await {
            Ok(now) => now.state.clone(),
            // Cannot be: the line holds the sender.
            Err(_) => SessionState::Stopped,
        }
    }

    async fn reload(&self, plugin: &str) -> Result<PluginDescription, ConnectorError> {
        let _one = self.reloading.lock().await;
        self.not_changing(plugin)?;
        let old = self.registry.find(plugin).ok_or_else(|| ConnectorError::UnknownPlugin(plugin.to_owned()))?;
        let new = Arc::new(self.registry.newer(&old).await.map_err(ConnectorError::Plugin)?);
        self.all_fit(&new)?;
        tracing::info!(
            plugin,
            from = old.description.version,
            to = new.description.version,
            digest = new.description.digest,
            "plugin reloaded"
        );
        self.put_everywhere(new.clone()).await;
        Ok(new.description.clone())
    }

    async fn stage(&self, plugin: &str, digest: &str, share: u8) -> Result<(), ConnectorError> {
        self.stage_version(plugin, digest, share).await
    }

    async fn promote(&self, plugin: &str) -> Result<PluginDescription, ConnectorError> {
        self.promote_version(plugin).await
    }

    async fn unstage(&self, plugin: &str) -> Result<(), ConnectorError> {
        self.unstage_version(plugin).await
    }

    async fn settle(&self, plugin: &str) {
        self.settle_version(plugin).await;
    }
}
