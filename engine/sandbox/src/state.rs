//! What a store holds for one instance, and how stores are made.

use std::sync::Arc;

use pombo_domain::ConnectorIndex;
use pombo_domain::TenantIndex;
use pombo_domain::ports::{AttachmentLinks, Clock, ConnectorEvents, Entropy, MediaStore, OutboundGuard, ProxyPolicy};
use tokio::sync::Semaphore;
use uuid::Uuid;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

use crate::connector::session::SessionHandle;
use crate::grants::{Grants, Hosts};
use crate::host::attachment_grants::AttachmentGrants;
use crate::host::log_gate::LogGate;
use crate::host::smtp::pool::Pool;
use crate::limits::{HANDLES, Limits, TRANSFER_BYTES};
use crate::options::{ConnectTo, PluginKv};
use crate::proxy::Proxy;
use crate::telemetry::{MetricLabels, Telemetry};
use crate::wasi::{Wasi, WasiState};
use crate::watchdog::CpuWatchdog;

/// What all instances share.
pub(crate) struct Services {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) kv: Arc<dyn PluginKv>,
    pub(crate) events: Arc<dyn ConnectorEvents>,
    pub(crate) media: Arc<dyn MediaStore>,
    pub(crate) links: Arc<dyn AttachmentLinks>,
    pub(crate) guard: Arc<dyn OutboundGuard>,
    pub(crate) proxies: Arc<dyn ProxyPolicy>,
    pub(crate) http: reqwest::Client,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) connect_to: Arc<ConnectTo>,
    /// Permits for mails that are streamed by a thread.
    pub(crate) large_sends: Arc<Semaphore>,
    /// Permits for sessions that are being opened.
    pub(crate) starts: Arc<Semaphore>,
    pub(crate) smtp_plain_hosts: Vec<String>,
    pub(crate) http_plain_hosts: Vec<String>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) limits: Limits,
}

/// What one configured connector has in addition. It lives as long as its specification, across restarts of its instance.
pub(crate) struct Context {
    pub(crate) index: ConnectorIndex,
    pub(crate) id: Uuid,
    pub(crate) tenant: TenantIndex,
    pub(crate) grants: Grants,
    pub(crate) hosts: Hosts,
    secrets: std::collections::BTreeMap<String, String>,
    /// Mail connections kept open between submissions.
    pub(crate) smtp: Arc<Pool>,
    pub(crate) session: Arc<SessionHandle>,
    /// The only way out of a connector that has one.
    pub(crate) proxy: Option<Arc<Proxy>>,
    /// The labels of its log lines and figures.
    pub(crate) labels: MetricLabels,
}

impl Context {
    #[allow(clippy::too_many_arguments, reason = "made in one place, from a specification")]
    pub(crate) fn new(
        index: ConnectorIndex,
        id: Uuid,
        tenant: TenantIndex,
        grants: Grants,
        hosts: Hosts,
        secrets: std::collections::BTreeMap<String, String>,
        session: Arc<SessionHandle>,
        proxy: Option<Arc<Proxy>>,
        labels: MetricLabels,
    ) -> Self {
        Self { index, id, tenant, grants, hosts, secrets, smtp: Arc::default(), session, proxy, labels }
    }

    /// The files of the messages that it is sending.
    pub(crate) fn media(&self) -> &AttachmentGrants {
        &self.session.slot.media
    }

    /// The secret fields, for the next assignment and for what is put into requests.
    pub(crate) fn secrets(&self) -> &std::collections::BTreeMap<String, String> {
        &self.secrets
    }

    /// A secret field of the configuration. `Err` holds what to tell the plugin.
    pub(crate) fn secret(&self, name: &str) -> Result<&str, String> {
        self.secrets.get(name).map(String::as_str).ok_or_else(|| format!("the secret field {name:?} is not set"))
    }
}

/// One store's data.
pub(crate) struct HostState {
    limits: StoreLimits,
    wasi: Wasi,
    pub(crate) table: ResourceTable,
    pub(crate) log: LogGate,
    pub(crate) born: std::time::Instant,
    pub(crate) services: Arc<Services>,
    /// `None` in an instance that is never configured.
    pub(crate) context: Option<Arc<Context>>,
}

impl HostState {
    /// The connector that an interface's call is for. `Err` holds what to tell the plugin.
    pub(crate) fn granted(&self, capability: crate::grants::Capability) -> Result<Arc<Context>, String> {
        let context = self.context.as_ref().ok_or("this instance serves no connector")?;
        context.grants.check(capability)?;
        Ok(context.clone())
    }
}

impl WasiState for HostState {
    fn wasi(&mut self) -> &mut Wasi {
        &mut self.wasi
    }
}

/// A store for one instance of `plugin`, with its watchdog.
pub(crate) fn store(
    engine: &Engine,
    plugin: Arc<str>,
    services: &Arc<Services>,
    context: Option<Arc<Context>>,
) -> (Store<HostState>, Arc<CpuWatchdog>) {
    let limits = &services.limits;
    let watchdog = CpuWatchdog::new(limits.cpu);
    let mut table = ResourceTable::new();
    table.set_max_capacity(HANDLES);
    let state = HostState {
        limits: StoreLimitsBuilder::new()
            .memory_size(limits.memory_bytes)
            .table_elements(crate::limits::TABLE_ELEMENTS)
            .instances(20)
            .tables(20)
            .memories(2)
            .build(),
        wasi: Wasi::live(services.clock.clone(), services.entropy.clone()),
        table,
        log: LogGate::new(plugin, context.as_ref().map(|c| c.id), limits.log_lines_per_second),
        born: std::time::Instant::now(),
        services: services.clone(),
        context,
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limits);
    store.set_hostcall_fuel(TRANSFER_BYTES);
    store.set_epoch_deadline(1);
    let counted = watchdog.clone();
    store.epoch_deadline_callback(move |_| {
        counted.tick();
        Ok(UpdateDeadline::Yield(1))
    });
    (store, watchdog)
}
