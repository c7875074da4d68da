//! The real store in a folder of its own, behind a decorator that refuses commits as planned and knows when none is under way.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use pombo_domain::model::message::ReadyOrder;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{AutomationIndex, ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use pombo_store::DiskStore;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::support::ManualClock;

/// A counter as randomness, one for the whole process.
pub struct Counting;

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        for chunk in bytes.chunks_mut(8) {
            let n = NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            chunk.copy_from_slice(&n.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// What becomes of a commit.
pub enum Fate {
    Passes,
    /// Nothing is stored.
    Refused,
    /// It is stored, and whoever asked is told that it was refused.
    StoredButRefused,
}

type Plan = Box<dyn FnMut(&Batch) -> Fate + Send>;

pub struct TestStore {
    pub inner: Arc<DiskStore>,
    plan: Mutex<Option<Plan>>,
    under_way: AtomicUsize,
    ended: Notify,
}

struct UnderWay<'a>(&'a TestStore);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
        self.0.ended.notify_one();
    }
}

impl TestStore {
    pub fn open(path: &Path, clock: &ManualClock) -> Arc<Self> {
        let options = pombo_store::Options {
            backend: pombo_store::FjallOptions { memtable_bytes: 1 << 20, ..Default::default() },
            ..Default::default()
        };
        let inner = pombo_store::open(options, path, Arc::new(clock.clone()), Arc::new(Counting)).expect("it opens");
        Arc::new(Self { inner, plan: Mutex::default(), under_way: AtomicUsize::new(0), ended: Notify::new() })
    }

    pub fn plan(&self, plan: impl FnMut(&Batch) -> Fate + Send + 'static) {
        *self.plan.lock() = Some(Box::new(plan));
    }

    pub fn no_plan(&self) {
        *self.plan.lock() = None;
    }

    /// Lets every task run until none has anything left to do but wait for the clock.
    pub async fn settle(&self) {
        loop {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            if self.under_way.load(Ordering::SeqCst) == 0 {
                return;
            }
            self.ended.notified().await;
        }
    }
}

macro_rules! through {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)*) => {
        $(fn $name(&self, $($arg: $ty),*) -> $ret { self.inner.$name($($arg),*) })*
    };
}

impl AutomationStore for TestStore {
    through! {
        fn automation(index: AutomationIndex) -> StoreResult<Option<Arc<Automation>>>;
        fn automation_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Automation>>>;
        fn automations_on(connector: ConnectorIndex) -> StoreResult<Arc<[Arc<Automation>]>>;
        fn automations(tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Automation>>>;
        fn conversation(id: Uuid) -> StoreResult<Option<Conversation>>;
        fn conversation_with(connector: ConnectorIndex, chat: &str) -> StoreResult<Option<Conversation>>;
        fn due_lanes(until: Timestamp, after: Option<DueLane>, limit: usize) -> StoreResult<Vec<DueLane>>;
        fn next_due_lane() -> StoreResult<Option<Timestamp>>;
        fn work(conversation: Uuid, lane: u32, limit: usize) -> StoreResult<Vec<Work>>;
        fn automation_state(conversation: Uuid, automation: AutomationIndex) -> StoreResult<Option<String>>;
        fn timers_due(until: Timestamp, limit: usize) -> StoreResult<Vec<TimerKey>>;
        fn next_timer() -> StoreResult<Option<Timestamp>>;
        fn timers_of(conversation: Uuid) -> StoreResult<Vec<TimerKey>>;
        fn parked(tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<Parked>>;
        fn parked_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Parked>>;
        fn recordings(automation: AutomationIndex, limit: usize) -> StoreResult<Vec<Vec<u8>>>;
        fn package(name: &str) -> StoreResult<Option<Arc<Package>>>;
        fn packages() -> StoreResult<Vec<Arc<Package>>>;
        fn trust_roots() -> StoreResult<Vec<TrustRoot>>;
        fn audit(plugin: &str, limit: usize) -> StoreResult<Vec<AuditEntry>>;
    }
    fn conversations(
        &self,
        tenant: TenantIndex,
        filter: &ConversationFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> StoreResult<(Vec<Conversation>, Option<Uuid>)> {
        self.inner.conversations(tenant, filter, after, limit)
    }
    fn check_automations(&self) -> Result<(), StoreError> {
        self.inner.check_automations()
    }
}

#[async_trait]
impl Store for TestStore {
    async fn commit(&self, batch: Batch) -> StoreResult<Committed> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let _under_way = UnderWay(self);
        let fate = self.plan.lock().as_mut().map_or(Fate::Passes, |plan| plan(&batch));
        let refused = || Err(StoreError::Unavailable("a planned fault".to_owned()));
        match fate {
            Fate::Passes => self.inner.commit(batch).await,
            Fate::Refused => {
                tokio::task::yield_now().await;
                refused()
            }
            Fate::StoredButRefused => self.inner.commit(batch).await.and_then(|_| refused()),
        }
    }
    fn observe(&self, observer: Arc<dyn CommitObserver>) {
        self.inner.observe(observer);
    }
    through! {
        fn health() -> StoreHealth;
        fn message(key: MessageKey) -> StoreResult<Option<StoredMessage>>;
        fn messages(keys: &[MessageKey]) -> StoreResult<Vec<Option<StoredMessage>>>;
        fn message_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<StoredMessage>>;
        fn status_counts(tenant: TenantIndex) -> [u64; 8];
        fn idempotency(tenant: TenantIndex, key: &[u8; 32]) -> StoreResult<Option<IdempotencyRecord>>;
        fn ready(connector: ConnectorIndex, after: Option<ReadyOrder>, limit: usize) -> StoreResult<Vec<ReadyEntry>>;
        fn scheduled(until: Timestamp, after: Option<ScheduledEntry>, limit: usize) -> StoreResult<Vec<ScheduledEntry>>;
        fn next_scheduled() -> StoreResult<Option<Timestamp>>;
        fn in_flight(after: Option<MessageKey>, limit: usize) -> StoreResult<Vec<MessageKey>>;
        fn due_deliveries(until: Timestamp, limit: usize) -> StoreResult<Vec<DeliveryKey>>;
        fn next_delivery() -> StoreResult<Option<Timestamp>>;
        fn delivery(key: DeliveryKey) -> StoreResult<Option<Delivery>>;
        fn delivery_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Delivery>>;
        fn tenants() -> StoreResult<Vec<Tenant>>;
        fn tenant_by_id(id: Uuid) -> StoreResult<Option<Tenant>>;
        fn tenant(index: TenantIndex) -> StoreResult<Option<Tenant>>;
        fn user_by_email(email: &str) -> StoreResult<Option<User>>;
        fn users(tenant: TenantIndex) -> StoreResult<Vec<User>>;
        fn api_key_by_hash(hash: &[u8; 32]) -> StoreResult<Option<ApiKey>>;
        fn api_keys(tenant: TenantIndex) -> StoreResult<Vec<ApiKey>>;
        fn connector(index: ConnectorIndex) -> StoreResult<Option<Arc<Connector>>>;
        fn connector_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Connector>>>;
        fn connectors(tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Connector>>>;
        fn pace_state(connector: ConnectorIndex) -> StoreResult<PaceState>;
        fn contact(tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Option<Contact>>;
        fn contact_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Contact>>;
        fn contacts(tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<Contact>>;
        fn contact_aliases(tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Vec<String>>;
        fn last_event(tenant: TenantIndex) -> StoreResult<u64>;
        fn receipts(key: MessageKey) -> StoreResult<Receipts>;
        fn health_state(connector: ConnectorIndex) -> StoreResult<HealthState>;
        fn import(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Import>>;
        fn imports(tenant: TenantIndex, limit: usize) -> StoreResult<Vec<Import>>;
        fn kv_get(connector: ConnectorIndex, key: &str) -> StoreResult<Option<Vec<u8>>>;
        fn kv_bytes(connector: ConnectorIndex) -> StoreResult<u64>;
    }
    fn deliveries(
        &self,
        tenant: TenantIndex,
        filter: &DeliveryFilter,
        offset: u64,
        limit: u32,
    ) -> StoreResult<Vec<Delivery>> {
        self.inner.deliveries(tenant, filter, offset, limit)
    }
    fn events(
        &self,
        tenant: TenantIndex,
        filter: &EventFilter,
        after: u64,
        limit: usize,
    ) -> StoreResult<(Vec<Event>, u64)> {
        self.inner.events(tenant, filter, after, limit)
    }
    fn kv_list(
        &self,
        connector: ConnectorIndex,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> StoreResult<Vec<(String, Vec<u8>)>> {
        self.inner.kv_list(connector, prefix, after, limit)
    }
    async fn list_messages(
        &self,
        tenant: TenantIndex,
        filter: MessageFilter,
        offset: u64,
        limit: u32,
    ) -> StoreResult<MessagePage> {
        self.inner.list_messages(tenant, filter, offset, limit).await
    }
    async fn forget_events(&self, before: Timestamp, limit: usize) -> StoreResult<usize> {
        self.inner.forget_events(before, limit).await
    }
    async fn next_tenant_index(&self) -> StoreResult<TenantIndex> {
        self.inner.next_tenant_index().await
    }
    async fn next_connector_index(&self) -> StoreResult<ConnectorIndex> {
        self.inner.next_connector_index().await
    }
}
