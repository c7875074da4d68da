//! The connectors port, and how everything is opened and closed.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use futures::{StreamExt, stream};
use parking_lot::{Mutex, RwLock};
use pombo_domain::ConnectorIndex;
use pombo_domain::error::FieldProblem;
use pombo_domain::model::Attachment;
use pombo_domain::ports::{
    Account, Answer, ConnectorError, ConnectorSpec, Connectors, Operation, OperationError, Outgoing, PluginDescription,
    SendOutcome, SessionState,
};
use serde_json::Value;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, oneshot};
use wasmtime::Engine;

use crate::cache::Cache;
use crate::capability::Hosts;
use crate::engine::{Ticker, engine};
use crate::host::network::{self, GuardedResolver};
use crate::jobs;
use crate::limits::{SMTP_LARGE_AT_ONCE, SWAPS_AT_ONCE};
use crate::options::{Options, Ports};
use crate::registry::{ConnectorPlugin, Refused, Registry};
use crate::renderer::Renderers;
use crate::session::Line;
use crate::state::{Context, Services};
use crate::supervisor::{Assignment, Running};
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
    registry: Registry,
    services: Arc<Services>,
    renderers: Arc<Renderers>,
    /// Of every connector that was ever asked for.
    lines: Mutex<HashMap<ConnectorIndex, Arc<Line>>>,
    /// One plugin at a time is put in the place of another.
    reloading: tokio::sync::Mutex<()>,
    running: RwLock<HashMap<ConnectorIndex, Running>>,
    _ticker: Ticker,
}

impl Sandbox {
    /// Loads every plugin; compiles those that are new. Blocks the calling task while it compiles.
    pub async fn open(options: Options, ports: Ports) -> Result<Self, Error> {
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
        let services = Arc::new(Services {
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
        let (lines, reloading) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { engine, registry, services, renderers, lines, reloading, running, _ticker: ticker })
    }

    /// The renderer port.
    pub fn renderers(&self) -> Arc<Renderers> {
        self.renderers.clone()
    }

    /// The operator's plugins that were left out.
    pub fn refused(&self) -> &[Refused] {
        &self.registry.refused
    }

    /// Stops every connector; their sends may go on for `drain`.
    pub async fn shutdown(&self, drain: Duration) {
        let all: Vec<_> = self.running.write().drain().collect();
        let ends = all.into_iter().map(|(index, running)| {
            let silent = self.line(index).speak();
            async move {
                // The wait cannot fail: it holds no plugin code.
                let _ = running.retire(drain).await;
                silent.end_silently();
            }
        });
        join_all(ends).await;
    }

    fn line(&self, connector: ConnectorIndex) -> Arc<Line> {
        let new = || Line::new(connector, self.services.events.clone(), &self.services.limits);
        self.lines.lock().entry(connector).or_insert_with(new).clone()
    }

    /// Makes a plugin with a specification ready to run; told of `before` when the assignment before it is gone.
    fn assignment(
        &self,
        plugin: Arc<ConnectorPlugin>,
        spec: ConnectorSpec,
        before: Option<oneshot::Sender<()>>,
    ) -> Assignment {
        let ConnectorSpec { index, id, tenant, plugin: name, config, secrets } = spec;
        let context = Context::new(
            index,
            id,
            tenant,
            plugin.grants,
            Hosts::new(&plugin.hosts, &config),
            secrets,
            self.line(index).speak(),
        );
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

    /// Runs an assignment, in the place of the connector's one before.
    fn run(&self, running: &mut HashMap<ConnectorIndex, Running>, assignment: Assignment) {
        let index = assignment.spec.index;
        let needs_session = |a: &Assignment| a.plugin.description.needs_session;
        match running.get_mut(&index) {
            // Two sessions of one account at once would end each other.
            Some(old) if needs_session(&old.assignment) || needs_session(&assignment) => old.replace(assignment),
            _ => {
                let old = running.insert(index, Running::start(assignment));
                // Its sends end beside the new one.
                drop(old.map(|old| old.retire(self.services.limits.drain)));
            }
        }
    }

    /// Puts a connector onto the newest version of its plugin; returns when the old instance is gone.
    async fn swap(&self, connector: ConnectorIndex, plugin: Arc<ConnectorPlugin>) {
        let (before, gone) = oneshot::channel();
        {
            let mut running = self.running.write();
            let Some(old) = running.get(&connector).map(|r| r.assignment.clone()) else { return };
            if old.plugin.name != plugin.name {
                return;
            }
            let spec = ConnectorSpec { secrets: old.context.secrets().clone(), ..old.spec.clone() };
            let assignment = self.assignment(plugin, spec, Some(before));
            self.run(&mut running, assignment);
        }
        // By the drop of the sender.
        let _ = gone.await;
    }

    /// The connectors that run a plugin.
    fn connectors_of(&self, plugin: &str) -> Vec<Arc<Assignment>> {
        let running = self.running.read();
        let mut all: Vec<_> = running.values().map(|r| &r.assignment).filter(|a| &*a.plugin.name == plugin).collect();
        all.sort_by_key(|a| a.spec.index.0);
        all.into_iter().cloned().collect()
    }
}

/// The files of a message stay readable to its plugin while this lives.
struct Handing<'c>(&'c Context, Vec<Attachment>);

impl Drop for Handing<'_> {
    fn drop(&mut self) {
        self.0.media().take_back(&self.1);
    }
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
        // Found under the lock: a reload either sees this connector or is seen by it.
        let mut running = self.running.write();
        let plugin =
            self.registry.find(&spec.plugin).ok_or_else(|| ConnectorError::UnknownPlugin(spec.plugin.clone()))?;
        let assignment = self.assignment(plugin, spec, None);
        self.run(&mut running, assignment);
        Ok(())
    }

    async fn stop(&self, connector: ConnectorIndex) {
        let (running, session) = {
            let mut all = self.running.write();
            let Some(running) = all.remove(&connector) else { return };
            (running, self.line(connector).speak())
        };
        // The wait cannot fail: it holds no plugin code.
        let _ = running.retire(self.services.limits.drain).await;
        session.end(SessionState::Stopped);
    }

    async fn send(&self, connector: ConnectorIndex, message: Outgoing) -> SendOutcome {
        let found = self.running.read().get(&connector).map(|r| (r.sends.clone(), r.assignment.clone()));
        let Some((sends, assignment)) = found else {
            return SendOutcome::Disconnected("the connector is not running".to_owned());
        };
        let context = &assignment.context;
        let line = &context.session.line;
        let waiting = assignment.plugin.description.needs_session && !line.is_connected();
        if waiting && line.waits_until().is_none() {
            return SendOutcome::Disconnected("no session".to_owned());
        }
        context.media().hand(&message.attachments);
        let _handing = Handing(context, message.attachments.clone());
        let (job, outcome) = jobs::Send::new(worlds::connector::outgoing(message));
        let queued = if waiting { line.queue(sends.send(job)).await } else { Some(sends.send(job).await) };
        match queued {
            Some(Ok(())) => {}
            Some(Err(refused)) => refused.0.refuse("the connector was stopped"),
            None => return SendOutcome::Disconnected("too many messages wait for the session".to_owned()),
        }
        // Held on, it would keep a connector that is being stopped from ending.
        drop(sends);
        outcome.await.unwrap_or_else(|_| SendOutcome::Unknown("the plugin failed while it was sending".to_owned()))
    }

    async fn operate(&self, connector: ConnectorIndex, operation: Operation) -> Result<Answer, OperationError> {
        let operations = self.running.read().get(&connector).map(|r| r.operations.clone());
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
        let lost = || Err(OperationError::Unknown("the plugin failed during the operation".to_owned()));
        answer.await.unwrap_or_else(|_| lost())
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
        let old = self.registry.find(plugin).ok_or_else(|| ConnectorError::UnknownPlugin(plugin.to_owned()))?;
        let new = Arc::new(self.registry.newer(&old).await.map_err(ConnectorError::Plugin)?);
        for connector in self.connectors_of(plugin) {
            let mut config = connector.spec.config.clone();
            if let Some(fields) = config.as_object_mut() {
                let known = |name: &String| new.description.secret_fields.contains(name);
                let secrets = connector.context.secrets().iter().filter(|(name, _)| known(name));
                fields.extend(secrets.map(|(name, secret)| (name.clone(), Value::String(secret.clone()))));
            }
            if let Err(problems) = new.check_config(&config) {
                let problem = problems.first().map(|p| format!("{} {}", p.field, p.message)).unwrap_or_default();
                return Err(ConnectorError::Plugin(format!(
                    "version {} does not take the configuration of the connector {}: {problem}",
                    new.description.version, connector.spec.id
                )));
            }
        }
        tracing::info!(
            plugin,
            from = old.description.version,
            to = new.description.version,
            digest = new.description.digest,
            "plugin reloaded"
        );
        self.registry.put(new.clone());
        let connectors = self.connectors_of(plugin);
        let swaps = connectors.iter().filter(|c| !Arc::ptr_eq(&c.plugin, &new)).map(|c| c.spec.index);
        stream::iter(swaps).for_each_concurrent(SWAPS_AT_ONCE, |index| self.swap(index, new.clone())).await;
        Ok(new.description.clone())
    }
}
