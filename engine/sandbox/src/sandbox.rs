//! The connectors port, and how everything is opened and closed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::RwLock;
use pombo_domain::ConnectorIndex;
use pombo_domain::error::FieldProblem;
use pombo_domain::model::Attachment;
use pombo_domain::ports::{
    ConnectorError, ConnectorSpec, Connectors, Outgoing, PluginDescription, SendOutcome, SessionState,
};
use serde_json::Value;
use tokio::sync::Semaphore;
use wasmtime::Engine;

use crate::actor::Job;
use crate::cache::Cache;
use crate::capability::Hosts;
use crate::engine::{Ticker, engine};
use crate::host::network::{self, GuardedResolver};
use crate::limits::SMTP_LARGE_AT_ONCE;
use crate::options::{Options, Ports};
use crate::registry::{ConnectorPlugin, Refused, Registry};
use crate::renderer::Renderers;
use crate::session::Session;
use crate::state::{Context, Services};
use crate::supervisor::Running;
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
    events: Arc<dyn pombo_domain::ports::ConnectorEvents>,
    running: RwLock<HashMap<ConnectorIndex, Running>>,
    _ticker: Ticker,
}

impl Sandbox {
    /// Loads every plugin; compiles those that are new. Blocks the calling task while it compiles.
    pub async fn open(options: Options, ports: Ports) -> Result<Self, Error> {
        let engine = engine(&options.limits).map_err(|e| Error::Engine(format!("{e:#}")))?;
        let ticker = Ticker::start(&engine).map_err(|e| Error::Engine(e.to_string()))?;
        let tls = network::tls([]).map_err(|e| Error::Engine(format!("TLS: {e}")))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .dns_resolver(Arc::new(GuardedResolver(ports.guard.clone())))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|e| Error::Engine(format!("HTTP: {e}")))?;
        let services = Arc::new(Services {
            clock: ports.clock,
            entropy: ports.entropy,
            kv: ports.kv,
            media: ports.media,
            guard: ports.guard,
            http,
            tls: Arc::new(tls),
            large_sends: Arc::new(Semaphore::new(SMTP_LARGE_AT_ONCE)),
            smtp_plain_hosts: options.smtp_plain_hosts.clone(),
            limits: options.limits.clone(),
        });
        let mut cache =
            Cache::open(&options.cache_dir, &engine).map_err(|e| Error::Cache(options.cache_dir.clone(), e))?;
        let registry = Registry::load(&engine, &mut cache, &options, &services)
            .await
            .map_err(|(name, reason)| Error::Plugin { name, reason })?;
        let (name, pre) = registry.renderer.clone().ok_or(Error::NoRenderer)?;
        let instances = match options.renderers {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            n => n,
        };
        let renderers = Arc::new(Renderers::new(&engine, name, pre, services.clone(), instances));
        let running = RwLock::new(HashMap::new());
        Ok(Self { engine, registry, services, renderers, events: ports.events, running, _ticker: ticker })
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
        let all: Vec<_> = self.running.write().drain().map(|(_, running)| running).collect();
        join_all(all.into_iter().map(|running| running.retire(drain))).await;
    }

    fn find(&self, plugin: &str) -> Option<&Arc<ConnectorPlugin>> {
        self.registry.connectors.get(plugin)
    }
}

/// The files of a message stay readable to its plugin while this lives.
struct Handing<'c>(&'c Context, Vec<Attachment>);

impl Drop for Handing<'_> {
    fn drop(&mut self) {
        self.0.media.take_back(&self.1);
    }
}

#[async_trait]
impl Connectors for Sandbox {
    fn plugins(&self) -> Vec<PluginDescription> {
        self.registry.connectors.values().map(|p| p.description.clone()).collect()
    }

    fn plugin(&self, name: &str) -> Option<PluginDescription> {
        self.find(name).map(|p| p.description.clone())
    }

    fn check_config(&self, plugin: &str, config: &Value) -> Result<(), Vec<FieldProblem>> {
        match self.find(plugin) {
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
        let plugin = self.find(plugin).ok_or_else(|| ConnectorError::UnknownPlugin(plugin.to_owned()))?;
        plugin.checkers.check(&recipients).await.map_err(|e| ConnectorError::Plugin(e.to_string()))
    }

    async fn start(&self, spec: ConnectorSpec) -> Result<(), ConnectorError> {
        let plugin = self.find(&spec.plugin).ok_or_else(|| ConnectorError::UnknownPlugin(spec.plugin.clone()))?;
        let context = Arc::new(Context::new(
            spec.index,
            spec.id,
            spec.tenant,
            plugin.grants,
            Hosts::new(&plugin.hosts, &spec.config),
            spec.secrets,
            Session::new(spec.index, self.events.clone()),
        ));
        let mut running = self.running.write();
        let old = running.remove(&spec.index).map(|old| old.retire(self.services.limits.drain));
        // Two sessions of one account at once would end each other.
        let before = old.filter(|_| plugin.description.needs_session);
        let new = Running::start(
            self.engine.clone(),
            plugin.clone(),
            self.services.clone(),
            context,
            spec.config.to_string(),
            before,
        );
        running.insert(spec.index, new);
        Ok(())
    }

    async fn stop(&self, connector: ConnectorIndex) {
        let running = self.running.write().remove(&connector);
        if let Some(running) = running {
            // The wait cannot fail: it holds no plugin code.
            let _ = running.retire(self.services.limits.drain).await;
            self.events.session_changed(connector, SessionState::Stopped);
        }
    }

    async fn send(&self, connector: ConnectorIndex, message: Outgoing) -> SendOutcome {
        let found = self.running.read().get(&connector).map(|r| (r.jobs.clone(), r.context.clone(), r.needs_session));
        let Some((jobs, context, needs_session)) = found else {
            return SendOutcome::Disconnected("the connector is not running".to_owned());
        };
        if needs_session && !context.session.is_connected() {
            return SendOutcome::Disconnected("no session".to_owned());
        }
        context.media.hand(&message.attachments);
        let _handing = Handing(&context, message.attachments.clone());
        let (job, outcome) = Job::new(worlds::connector::outgoing(message));
        if let Err(refused) = jobs.send(job).await {
            refused.0.refuse("the connector was stopped");
        }
        // Held on, it would keep a connector that is being stopped from ending.
        drop(jobs);
        outcome.await.unwrap_or_else(|_| SendOutcome::Unknown("the plugin failed while it was sending".to_owned()))
    }

    fn session(&self, connector: ConnectorIndex) -> SessionState {
        self.running.read().get(&connector).map_or(SessionState::Stopped, |r| r.context.session.get())
    }
}
