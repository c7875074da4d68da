//! Short calls on instances that are never configured: who a plugin is, and whether recipients are valid.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use wasmtime::{Engine, Store};

use crate::bindings::connector::{Connector, ConnectorPre};
use crate::bindings::types::Description;
use crate::limits::{REASON_BYTES, cut};
use crate::state::{HostState, Services, store};
use crate::watchdog::{Pulse, Starved};

/// Why a call gave no result; in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// The guest trapped or ran out of memory.
    #[error("the plugin failed: {0}")]
    Trap(String),
    /// It did not give way.
    #[error("the plugin used more processor time than it may")]
    Starved,
    /// It waited for too long.
    #[error("the plugin did not answer in time")]
    TimedOut,
    /// There was no room for an instance.
    #[error("no instance of the plugin can be made: {0}")]
    NoInstance(String),
}

/// The root of a wasmtime error, without its backtrace: a guest's function names say nothing to an operator.
pub(crate) fn root(error: &wasmtime::Error) -> String {
    cut(&error.root_cause().to_string(), 300)
}

/// An instance and the store it lives in.
pub(crate) struct Slot<I> {
    pub(crate) store: Store<HostState>,
    pub(crate) instance: I,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) uses: u32,
}

/// Ends a call by its deadline or by the watchdog.
pub(crate) async fn bounded<R>(
    pulse: &Pulse,
    limit: Duration,
    call: impl Future<Output = wasmtime::Result<R>>,
) -> Result<R, CallError> {
    match pulse.outside(tokio::time::timeout(limit, call)).await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(trap))) => Err(CallError::Trap(root(&trap))),
        Ok(Err(_)) => Err(CallError::TimedOut),
        Err(Starved) => Err(CallError::Starved),
    }
}

/// Like [`bounded`] for making an instance: a component may run code of its own then.
pub(crate) async fn made<I>(
    pulse: &Pulse,
    limit: Duration,
    instantiation: impl Future<Output = wasmtime::Result<I>>,
) -> Result<I, CallError> {
    bounded(pulse, limit, instantiation).await.map_err(|error| match error {
        CallError::Trap(why) => CallError::NoInstance(why),
        other => other,
    })
}

/// Calls after which an instance is replaced.
const USES: u32 = 1000;
/// Instances at once; more callers wait.
const AT_ONCE: usize = 4;

/// The stateless instances of one connector plugin.
pub(crate) struct Checkers {
    engine: Engine,
    plugin: Arc<str>,
    pre: ConnectorPre<HostState>,
    services: Arc<Services>,
    idle: Mutex<Vec<Slot<Connector>>>,
    permits: Semaphore,
}

impl Checkers {
    pub(crate) fn new(
        engine: &Engine,
        plugin: Arc<str>,
        pre: ConnectorPre<HostState>,
        services: Arc<Services>,
    ) -> Self {
        let (idle, permits) = (Mutex::new(Vec::new()), Semaphore::new(AT_ONCE));
        Self { engine: engine.clone(), plugin, pre, services, idle, permits }
    }

    async fn slot(&self) -> Result<Slot<Connector>, CallError> {
        if let Some(slot) = self.idle.lock().pop() {
            return Ok(slot);
        }
        let (mut store, pulse) = store(&self.engine, self.plugin.clone(), &self.services, None);
        let limit = self.services.limits.host_call;
        let instance = made(&pulse, limit, self.pre.instantiate_async(&mut store)).await?;
        Ok(Slot { store, instance, pulse, uses: 0 })
    }

    fn put_back(&self, mut slot: Slot<Connector>) {
        slot.uses += 1;
        if slot.uses < USES {
            self.idle.lock().push(slot);
        }
    }

    pub(crate) async fn describe(&self) -> Result<Description, CallError> {
        let mut slot = self.slot().await?;
        let call = slot.instance.call_describe(&mut slot.store);
        let description = bounded(&slot.pulse, self.services.limits.host_call, call).await?;
        self.put_back(slot);
        Ok(description)
    }

    /// One answer for each recipient, in order.
    pub(crate) async fn check(&self, recipients: &[String]) -> Result<Vec<Result<String, String>>, CallError> {
        // Never closed.
        let Ok(_permit) = self.permits.acquire().await else { return Err(CallError::TimedOut) };
        let mut slot = self.slot().await?;
        let call = slot.instance.call_check_recipients(&mut slot.store, recipients);
        let answers = bounded(&slot.pulse, self.services.limits.host_call, call).await?;
        self.put_back(slot);
        if answers.len() != recipients.len() {
            return Err(CallError::Trap("it did not answer for each recipient".to_owned()));
        }
        let reason = |why: String| cut(&why, REASON_BYTES);
        Ok(answers.into_iter().map(|a| a.map_err(reason)).collect())
    }
}
