//! Short calls on pooled instances that serve no connector: renderers, what a plugin says of itself, and whether recipients are valid.
//! Runs on the calling task.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::{Engine, Store};

use crate::bindings::renderer::{Renderer, RendererPre};
use crate::bindings::types::Description;
use crate::limits::{REASON_BYTES, cut};
use crate::state::{HostState, Services, store};
use crate::watchdog::{CpuExceeded, CpuWatchdog};
use crate::worlds::connector_guest::{ConnectorGuest, ConnectorGuestPre};

/// Why a call gave no result, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// The guest trapped or ran out of memory.
    #[error("the plugin failed: {0}")]
    Trap(String),
    /// The guest did not give way.
    #[error("the plugin used more processor time than it may")]
    CpuExceeded,
    /// The guest did not answer before its deadline.
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

/// Ends a call by its deadline or by the watchdog.
pub(crate) async fn bounded<R>(
    watchdog: &CpuWatchdog,
    limit: Duration,
    call: impl Future<Output = wasmtime::Result<R>>,
) -> Result<R, CallError> {
    match watchdog.outside(tokio::time::timeout(limit, call)).await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(trap))) => Err(CallError::Trap(root(&trap))),
        Ok(Err(_)) => Err(CallError::TimedOut),
        Err(CpuExceeded) => Err(CallError::CpuExceeded),
    }
}

/// Like [`bounded`] for making an instance: a component may run code of its own then.
pub(crate) async fn made<I>(
    watchdog: &CpuWatchdog,
    limit: Duration,
    instantiation: impl Future<Output = wasmtime::Result<I>>,
) -> Result<I, CallError> {
    bounded(watchdog, limit, instantiation).await.map_err(|error| match error {
        CallError::Trap(why) => CallError::NoInstance(why),
        other => other,
    })
}

/// A plugin whose instances a [`Pool`] can make.
pub(crate) trait Instantiate: Send + Sync {
    /// The plugin's exports.
    type Instance: Send;

    /// Makes an instance in a store.
    fn instantiate(
        &self,
        store: &mut Store<HostState>,
    ) -> impl Future<Output = wasmtime::Result<Self::Instance>> + Send;
}

impl Instantiate for ConnectorGuestPre {
    type Instance = ConnectorGuest;
    async fn instantiate(&self, store: &mut Store<HostState>) -> wasmtime::Result<ConnectorGuest> {
        self.instantiate_async(store).await
    }
}

impl Instantiate for RendererPre<HostState> {
    type Instance = Renderer;
    async fn instantiate(&self, store: &mut Store<HostState>) -> wasmtime::Result<Renderer> {
        self.instantiate_async(store).await
    }
}

/// Instances of one plugin that serve no connector, each lent to one caller at a time. Made when none is idle.
pub(crate) struct Pool<P: Instantiate> {
    engine: Engine,
    /// The plugin's name, for logs.
    plugin: Arc<str>,
    pre: P,
    services: Arc<Services>,
    idle: Mutex<Vec<Idle<P::Instance>>>,
    permits: Semaphore,
    /// Calls after which an instance is replaced, so that nothing it keeps grows forever.
    uses: u32,
}

/// An instance that waits for its next caller.
struct Idle<I> {
    store: Store<HostState>,
    instance: I,
    watchdog: Arc<CpuWatchdog>,
    uses: u32,
}

/// An instance, lent. Dropped without [`Pool::put_back`], it is gone: one that failed serves no other caller.
pub(crate) struct Lent<'p, I> {
    pub(crate) store: Store<HostState>,
    pub(crate) instance: I,
    pub(crate) watchdog: Arc<CpuWatchdog>,
    uses: u32,
    _permit: Option<SemaphorePermit<'p>>,
}

impl<P: Instantiate> Pool<P> {
    /// An empty pool: at most `at_once` callers have an instance, each instance for `uses` calls in its life.
    pub(crate) fn new(
        engine: &Engine,
        plugin: Arc<str>,
        pre: P,
        services: Arc<Services>,
        at_once: usize,
        uses: u32,
    ) -> Self {
        let (idle, permits) = (Mutex::new(Vec::new()), Semaphore::new(at_once));
        Self { engine: engine.clone(), plugin, pre, services, idle, permits, uses }
    }

    /// How long one call may take.
    pub(crate) fn limit(&self) -> Duration {
        self.services.limits.host_call
    }

    /// An instance, once there are fewer callers than may have one.
    pub(crate) async fn take(&self) -> Result<Lent<'_, P::Instance>, CallError> {
        // Never closed.
        let permit = self.permits.acquire().await.map_err(|_| CallError::TimedOut)?;
        self.lend(Some(permit)).await
    }

    /// An instance without waiting for other callers.
    pub(crate) async fn take_now(&self) -> Result<Lent<'_, P::Instance>, CallError> {
        self.lend(None).await
    }

    async fn lend<'p>(&self, permit: Option<SemaphorePermit<'p>>) -> Result<Lent<'p, P::Instance>, CallError> {
        let idle = self.idle.lock().pop();
        if let Some(Idle { store, instance, watchdog, uses }) = idle {
            return Ok(Lent { store, instance, watchdog, uses, _permit: permit });
        }
        let (mut store, watchdog) = store(&self.engine, self.plugin.clone(), &self.services, None);
        let instance = made(&watchdog, self.limit(), self.pre.instantiate(&mut store)).await?;
        Ok(Lent { store, instance, watchdog, uses: 0, _permit: permit })
    }

    /// Gives an instance that served its call to the next caller.
    pub(crate) fn put_back(&self, lent: Lent<'_, P::Instance>) {
        let Lent { store, instance, watchdog, uses, _permit } = lent;
        let uses = uses + 1;
        if uses < self.uses {
            self.idle.lock().push(Idle { store, instance, watchdog, uses });
        }
    }
}

/// Calls after which a stateless instance is replaced.
const USES: u32 = 1000;
/// Stateless instances at once; more callers wait.
const AT_ONCE: usize = 4;

/// The instances of one connector plugin that are never configured: they describe the plugin and check recipients.
pub(crate) struct StatelessPool(Pool<ConnectorGuestPre>);

impl StatelessPool {
    pub(crate) fn new(engine: &Engine, plugin: Arc<str>, pre: ConnectorGuestPre, services: Arc<Services>) -> Self {
        Self(Pool::new(engine, plugin, pre, services, AT_ONCE, USES))
    }

    /// What the plugin says of itself.
    pub(crate) async fn describe(&self) -> Result<Description, CallError> {
        let mut lent = self.0.take_now().await?;
        let call = lent.instance.describe(&mut lent.store);
        let description = bounded(&lent.watchdog, self.0.limit(), call).await?;
        self.0.put_back(lent);
        Ok(description)
    }

    /// One answer for each recipient, in order.
    pub(crate) async fn check(&self, recipients: &[String]) -> Result<Vec<Result<String, String>>, CallError> {
        let mut lent = self.0.take().await?;
        let call = lent.instance.check_recipients(&mut lent.store, recipients);
        let answers = bounded(&lent.watchdog, self.0.limit(), call).await?;
        self.0.put_back(lent);
        if answers.len() != recipients.len() {
            return Err(CallError::Trap("it did not answer for each recipient".to_owned()));
        }
        let reason = |why: String| cut(&why, REASON_BYTES);
        Ok(answers.into_iter().map(|a| a.map_err(reason)).collect())
    }
}
