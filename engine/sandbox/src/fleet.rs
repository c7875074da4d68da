//! The connectors that run, and what changes with them: their instances, their slots, and which versions of plugins are being
//! tried. How a version is tried is in `rollout`, how a message finds its instance in `connector::sending`, how a request of the channel
//! does in `connector::receiving`.
//!
//! Invariant: [`Fleet::running`] is locked before [`Fleet::rollouts`] and [`Fleet::stranded`], so that a change of versions either
//! sees a connector that starts or is seen by it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use parking_lot::{Mutex, RwLock};
use pombo_domain::ConnectorIndex;
use pombo_domain::model::Attachment;
use pombo_domain::ports::{
    Answer, ConnectorError, ConnectorSpec, Operation, OperationError, ProxyStatus, SessionState,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use wasmtime::Engine;

use crate::connector::assignment::Assignment;
use crate::connector::jobs;
use crate::connector::session::{Role, SessionSlot};
use crate::connector::supervisor::Running;
use crate::connector::versions::{Canary, Versions};
use crate::grants::Hosts;
use crate::limits::cut;
use crate::proxy::{Proxy, Surroundings};
use crate::registry::{ConnectorPlugin, Registry};
use crate::rollout::plan::Rollout;
use crate::state::{Context, Services};
use crate::telemetry::MetricLabels;
use crate::worlds;

/// What runs, and which versions it runs on.
pub(crate) struct Fleet {
    engine: Engine,
    pub(crate) registry: Registry,
    pub(crate) services: Arc<Services>,
    /// The session slot of every connector that was ever asked for.
    slots: Mutex<HashMap<ConnectorIndex, Arc<SessionSlot>>>,
    /// Held while one plugin's version is put in the place of another.
    pub(crate) reloading: tokio::sync::Mutex<()>,
    /// What runs for each connector.
    pub(crate) running: RwLock<HashMap<ConnectorIndex, Versions>>,
    /// Changes of versions under way, by the plugin's name.
    pub(crate) rollouts: Mutex<BTreeMap<String, Rollout>>,
    /// Connectors that were to run when their plugin was not there.
    pub(crate) stranded: Mutex<HashMap<ConnectorIndex, ConnectorSpec>>,
}

impl Fleet {
    pub(crate) fn new(engine: Engine, registry: Registry, services: Arc<Services>) -> Self {
        Self {
            engine,
            registry,
            services,
            slots: Mutex::default(),
            reloading: tokio::sync::Mutex::default(),
            running: RwLock::default(),
            rollouts: Mutex::default(),
            stranded: Mutex::default(),
        }
    }

    /// Stops every connector; their sends may go on for `drain`.
    pub(crate) async fn shutdown(&self, drain: Duration) {
        let all: Vec<_> = self.running.write().drain().collect();
        let ends = all.into_iter().map(|(index, versions)| {
            let last = self.slot(index).attach(Role::Primary);
            async move {
                self.end(versions, drain, false).await;
                last.end_silently();
            }
        });
        join_all(ends).await;
    }

    /// Stops a connector: its sends are finished first, for as long as they may take.
    pub(crate) async fn stop(&self, connector: ConnectorIndex) {
        let (versions, session) = {
            let mut all = self.running.write();
            self.stranded.lock().remove(&connector);
            let Some(versions) = all.remove(&connector) else { return };
            (versions, self.slot(connector).attach(Role::Primary))
        };
        self.end(versions, self.services.limits.drain, false).await;
        session.end(SessionState::Stopped);
    }

    /// Does something other than sending, by the connector's stable instance, which may read these files meanwhile. With files it may take
    /// as long as a send: they go to the channel.
    pub(crate) async fn operate(
        &self,
        connector: ConnectorIndex,
        operation: Operation,
        files: Vec<Attachment>,
    ) -> Result<Answer, OperationError> {
        let operations = {
            let running = self.running.read();
            let Some(stable) = running.get(&connector).map(|versions| &versions.stable) else {
                return Err(OperationError::Disconnected("the connector is not running".to_owned()));
            };
            match &operation {
                Operation::Other(kind, _) if !stable.plugin().description.takes_operation(kind) => {
                    let why = format!("its plugin does not describe the operation {:?}", cut(kind, 64));
                    return Err(OperationError::Unsupported(why));
                }
                _ => stable.operations.clone(),
            }
        };
        let limits = &self.services.limits;
        let limit = if files.is_empty() { limits.operation } else { limits.operation.max(limits.send) };
        let _granted = self.slot(connector).media.grant(files);
        let timed = jobs::TimedOperation { operation: worlds::operation::operation(operation), limit };
        let (job, answer) = jobs::Operate::new(timed);
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

    fn surroundings(&self) -> Surroundings {
        let services = &self.services;
        Surroundings {
            clock: services.clock.clone(),
            guard: services.guard.clone(),
            policy: services.proxies.clone(),
            connect_to: services.connect_to.clone(),
            tls: services.tls.clone(),
            http: services.http.clone(),
            host_call: services.limits.host_call,
        }
    }

    /// What is known of the proxy of a connector that runs; `None` if it has none.
    pub(crate) fn proxy_status(&self, connector: ConnectorIndex) -> Option<ProxyStatus> {
        let running = self.running.read();
        let context = &running.get(&connector)?.stable.assignment.context;
        context.proxy.as_ref().map(|proxy| proxy.status())
    }

    /// A connector's session slot, made when it is first asked for.
    pub(crate) fn slot(&self, connector: ConnectorIndex) -> Arc<SessionSlot> {
        let services = &self.services;
        let new = || SessionSlot::new(connector, services.events.clone(), services.clock.clone(), &services.limits);
        self.slots.lock().entry(connector).or_insert_with(new).clone()
    }

    /// Makes a plugin with a specification ready to run. `before` is dropped when the assignment before it is gone.
    pub(crate) fn assignment(
        &self,
        plugin: Arc<ConnectorPlugin>,
        spec: ConnectorSpec,
        before: Option<oneshot::Sender<()>>,
        role: Role,
    ) -> Assignment {
        let ConnectorSpec { index, id, tenant, plugin: name, config, secrets, proxy } = spec;
        let session = Arc::new(self.slot(index).attach(role));
        let way_out = proxy.clone().map(|spec| Arc::new(Proxy::new(id, spec, self.surroundings(), session.clone())));
        let labels = MetricLabels {
            plugin: plugin.name.clone(),
            digest: plugin.digest.clone(),
            tenant: Some(tenant),
            instance: Some(id),
        };
        let context = Context::new(
            index,
            id,
            tenant,
            plugin.grants,
            Hosts::new(&plugin.hosts, &config),
            secrets,
            session,
            way_out,
            labels,
        );
        let text = config.to_string();
        Assignment {
            engine: self.engine.clone(),
            plugin,
            services: self.services.clone(),
            context: Arc::new(context),
            config: text,
            spec: ConnectorSpec { index, id, tenant, plugin: name, config, secrets: BTreeMap::new(), proxy },
            before: Mutex::new(before),
        }
    }

    /// Runs an assignment, in the place of all that ran for the connector before.
    fn run(&self, running: &mut HashMap<ConnectorIndex, Versions>, assignment: Assignment) {
        let index = assignment.spec.index;
        let needs_session = |a: &Assignment| a.plugin.description.needs_session;
        let drain = self.services.limits.drain;
        match running.get_mut(&index) {
            // Two sessions of one account at once would end each other.
            Some(old) if needs_session(&old.stable.assignment) || needs_session(&assignment) => {
                old.stable.replace(assignment);
                drop(old.canary.take().map(|canary| canary.running.halt(drain)));
            }
            _ => {
                // Their sends end while the new instance runs.
                if let Some(old) = running.insert(index, Versions::new(Running::start(assignment))) {
                    drop(old.stable.retire(drain));
                    drop(old.canary.map(|canary| canary.running.retire(drain)));
                }
            }
        }
    }

    /// Starts a connector on the versions of its plugin that are due.
    pub(crate) fn start(&self, spec: ConnectorSpec) -> Result<(), ConnectorError> {
        // Found under the lock: a change of versions either sees this connector or is seen by it.
        let mut running = self.running.write();
        let Some(plugin) = self.registry.find(&spec.plugin) else {
            let unknown = ConnectorError::UnknownPlugin(spec.plugin.clone());
            self.stranded.lock().insert(spec.index, spec);
            return Err(unknown);
        };
        self.stranded.lock().remove(&spec.index);
        let rollout = self.rollouts.lock().get(&spec.plugin).cloned();
        let (plugin, canary) = match &rollout {
            Some(rollout) => {
                let on_it = |(index, versions): (&ConnectorIndex, &Versions)| {
                    *index != spec.index && Arc::ptr_eq(versions.stable.plugin(), rollout.to())
                };
                rollout.versions(&spec, running.iter().any(on_it))
            }
            None => (plugin, None),
        };
        let canary = canary.map(|new| self.assignment(new, spec.clone(), None, Role::Standby));
        let index = spec.index;
        let own = self.assignment(plugin, spec, None, Role::Primary);
        self.run(&mut running, own);
        if let (Some(versions), Some(canary), Some(rollout)) = (running.get_mut(&index), canary, rollout) {
            versions.canary = Some(Canary { running: Running::start(canary), share: rollout.share() });
        }
        Ok(())
    }

    /// Puts a connector onto another version of its plugin; returns when the old instance is gone.
    pub(crate) async fn swap(&self, connector: ConnectorIndex, plugin: Arc<ConnectorPlugin>) {
        self.replace(connector, |old| (old.name == plugin.name).then_some(plugin)).await;
    }

    /// Puts a connector onto a new instance of the version that it runs; returns when the old one is gone. What it keeps stays, and with
    /// that its session.
    pub(crate) async fn restart(&self, connector: ConnectorIndex) -> Result<(), ConnectorError> {
        match self.replace(connector, |old| Some(old.clone())).await {
            true => Ok(()),
            false => Err(ConnectorError::Plugin("the connector is not running".to_owned())),
        }
    }

    /// Puts a connector onto the version that is chosen by the one that it runs; whether it runs and one was chosen.
    async fn replace(
        &self,
        connector: ConnectorIndex,
        choose: impl FnOnce(&Arc<ConnectorPlugin>) -> Option<Arc<ConnectorPlugin>>,
    ) -> bool {
        let (before, gone) = oneshot::channel();
        {
            // The version is chosen under the lock: a change of versions comes either before it or after it.
            let mut running = self.running.write();
            let Some(old) = running.get(&connector).map(|r| r.stable.assignment.clone()) else { return false };
            let Some(plugin) = choose(&old.plugin) else { return false };
            let assignment = self.assignment(plugin, old.whole_spec(), Some(before), Role::Primary);
            self.run(&mut running, assignment);
        }
        // By the drop of the sender.
        let _ = gone.await;
        true
    }

    /// The connectors that run a plugin.
    pub(crate) fn connectors_of(&self, plugin: &str) -> Vec<Arc<Assignment>> {
        let running = self.running.read();
        let all = running.values().map(|versions| &versions.stable.assignment);
        let mut all: Vec<_> = all.filter(|a| &*a.plugin.name == plugin).collect();
        all.sort_by_key(|a| a.spec.index.0);
        all.into_iter().cloned().collect()
    }

    /// Ends all that runs for a connector, which nothing refers to any longer.
    pub(crate) async fn end(&self, versions: Versions, drain: Duration, halt: bool) {
        let all = std::iter::once(versions.stable).chain(versions.canary.map(|canary| canary.running));
        let ends = all.map(|running| if halt { running.halt(drain) } else { running.retire(drain) });
        // The waits cannot fail: they hold no plugin code.
        join_all(ends).await;
    }
}
