//! The store port: records, queues, outbox and documents, and the one way to change them, [`Store::commit`].
//!
//! Reads are short and synchronous (microseconds from cache). Writes go through one committer that gathers concurrent batches
//! and syncs once: when `commit` returns, the batch is on disk.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::{AutomationChange, AutomationStore, DueLane, StoreResult};
use crate::model::message::ReadyOrder;
use crate::model::*;
use crate::{AutomationIndex, ConnectorIndex, MessageKey, TenantIndex, Timestamp};

/// A queue entry as a lane holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadyEntry {
    /// Its place.
    pub order: ReadyOrder,
    /// The message (its serial stands in `order` too).
    pub key: MessageKey,
}

/// An entry of the scheduled queue, ordered by due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScheduledEntry {
    /// When it is due.
    pub due_at: Timestamp,
    /// Its connector.
    pub connector: ConnectorIndex,
    /// The message.
    pub key: MessageKey,
}

/// The filters of a list, all optional, combined by AND.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageFilter {
    /// This status.
    pub status: Option<Status>,
    /// This connector.
    pub connector: Option<ConnectorIndex>,
    /// This category.
    pub message_type: Option<MessageType>,
    /// Exactly this external id.
    pub external_id: Option<String>,
    /// Every word must occur in recipient, contact name or text; case and accents do not count.
    pub search: Option<String>,
    /// Created at or after.
    pub from: Option<Timestamp>,
    /// Created at or before.
    pub to: Option<Timestamp>,
}

/// A page of a list, newest first, with the exact number of matches.
pub struct MessagePage {
    /// The page's rows.
    pub rows: Vec<StoredMessage>,
    /// All matches.
    pub total: u64,
}

/// An idempotency key with what it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// SHA-256 of the request that used it first.
    pub request: [u8; 32],
    /// When.
    pub at: Timestamp,
    /// Serials of the messages it made: first and count.
    pub messages: (u64, u32),
    /// What the facade wants to remember besides (e.g. the refused rows), opaque.
    pub extra: Vec<u8>,
}

/// A key to be stored with the messages it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdempotency {
    /// SHA-256 of the caller's key (and the operation).
    pub key: [u8; 32],
    /// SHA-256 of the request.
    pub request: [u8; 32],
    /// See [`IdempotencyRecord::extra`].
    pub extra: Vec<u8>,
}

/// Messages to insert together: they get consecutive serials in order.
#[derive(Clone)]
pub struct Insert {
    /// Owner.
    pub tenant: TenantIndex,
    /// The messages.
    pub messages: Vec<NewMessage>,
    /// Stored in the same batch; [`Conflict::IdempotencyKey`] when taken (and not older than a day).
    pub idempotency: Option<NewIdempotency>,
}

/// A message's next state.
#[derive(Clone)]
pub struct Update {
    /// Which.
    pub key: MessageKey,
    /// The new state; its revision must be the stored one plus one.
    pub state: MessageState,
    /// The webhook delivery of this change, where the message has a `webhookUrl`.
    pub delivery: Option<Delivery>,
}

/// A write into a plugin's own key space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvWrite {
    /// Key, at most 512 bytes.
    pub key: String,
    /// `None` deletes.
    pub value: Option<Vec<u8>>,
}

/// One change of a batch.
#[derive(Clone)]
pub enum Change {
    /// New messages, with their initial state, queue entries and, where they have a `webhookUrl`, a first delivery made by
    /// [`crate::model::delivery::Delivery::of`].
    Insert(Insert),
    /// A message's step.
    Update(Update),
    /// A delivery after a try: replaces it, and queues the message's next one when this one is over.
    Delivery(Delivery),
    /// Creates or replaces.
    Tenant(Tenant),
    /// Creates or replaces; the e-mail is unique.
    User(User),
    /// Creates or replaces.
    ApiKey(ApiKey),
    /// Creates or replaces.
    Connector(Connector),
    /// Replaces a connector's pace state.
    Pace(ConnectorIndex, PaceState),
    /// Creates or replaces; (type, identifier) is unique per tenant.
    Contact(Contact),
    /// Deletes by id.
    DeleteContact(TenantIndex, Uuid),
    /// Creates or replaces.
    Import(Import),
    /// Writes of one plugin instance, atomically.
    Kv(ConnectorIndex, Vec<KvWrite>),
    /// Appends to a tenant's event log.
    Event(AppendEvent),
    /// Replaces what was reported of a message.
    Receipts(MessageKey, Receipts),
    /// Replaces a connector's health counts.
    Health(ConnectorIndex, HealthState),
    /// Makes `alias` another address of the contact that is known as `identifier`; an alias of another contact moves.
    ContactAlias {
        /// Owner.
        tenant: TenantIndex,
        /// Kind of address.
        kind: ContactType,
        /// The other address.
        alias: String,
        /// What the contact is known by.
        identifier: String,
    },
    /// A change of automations, conversations, work or packages.
    Automation(Box<AutomationChange>),
}

/// An event to append.
#[derive(Clone)]
pub struct AppendEvent {
    /// Owner.
    pub tenant: TenantIndex,
    /// The event.
    pub event: NewEvent,
    /// Appended only if no event with this mark was: the mark is kept with the event, and forgotten with it after
    /// [`Store::forget_events`]. 16 bytes of a hash.
    pub once: Option<[u8; 16]>,
}

/// Changes that are stored together or not at all.
#[derive(Clone, Default)]
pub struct Batch {
    /// In order.
    pub changes: Vec<Change>,
    /// With it, an [`Update`] whose revision is stale is left out and reported in [`Committed::stale`] instead of failing the
    /// whole batch.
    pub skip_stale: bool,
}

impl Batch {
    /// A strict batch.
    pub fn of(changes: Vec<Change>) -> Self {
        Self { changes, skip_stale: false }
    }
}

/// What a commit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The inserted messages in order: key, id and creation.
    pub inserted: Vec<(MessageKey, Uuid, Timestamp)>,
    /// Updates left out, see [`Batch::skip_stale`].
    pub stale: Vec<MessageKey>,
    /// Events left out because their mark was there, see [`AppendEvent::once`]: their places among the batch's events.
    pub repeated: Vec<usize>,
}

/// What a commit means for whoever waits for work. Sent after the sync, in the order of commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// An entry joined a ready queue.
    Ready(ConnectorIndex, ReadyEntry),
    /// An entry left a ready queue other than by a claim of the scheduler (canceled, failed, held …).
    Unready(ConnectorIndex, ReadyEntry),
    /// An entry joined the scheduled queue.
    Scheduled(ScheduledEntry),
    /// A delivery joined the due queue.
    DeliveryDue(Timestamp),
    /// A connector was created or changed.
    Connector(ConnectorIndex),
    /// An event was appended to this tenant's log; its number.
    Event(TenantIndex, u64),
    /// A lane of a conversation has work.
    Work(DueLane),
    /// A timer was set.
    Timer(Timestamp),
    /// An automation was created or changed.
    Automation(AutomationIndex),
    /// A package was changed.
    Package(String),
}

/// Told of every commit, on the committer's thread: must only note and wake, never block or commit.
pub trait CommitObserver: Send + Sync + 'static {
    /// What a commit (or several) changed.
    fn committed(&self, effects: &[Effect]);
}

/// Filters of a delivery list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryFilter {
    /// Of this message.
    pub message: Option<MessageKey>,
    /// In this status.
    pub status: Option<DeliveryStatus>,
}

/// Filters of an event list, combined by AND.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// On this connector.
    pub connector: Option<ConnectorIndex>,
    /// Of one of these [`EventBody::kind`]s; empty for all.
    pub kinds: Vec<String>,
}

/// Whether the store takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreHealth {
    /// It does.
    Good,
    /// It does not, and why; only a restart (after the cause is gone) helps.
    Failed(String),
}

/// The store.
///
/// Invariant: a message's record, state, columns, queue entry and deliveries change in one batch.
#[async_trait]
pub trait Store: AutomationStore {
    /// Applies a batch; returns when it is on disk.
    async fn commit(&self, batch: Batch) -> StoreResult<Committed>;
    /// Registers the one observer. Called once, before traffic.
    fn observe(&self, observer: Arc<dyn CommitObserver>);
    /// Whether it takes writes.
    fn health(&self) -> StoreHealth;

    /// A message by its key.
    fn message(&self, key: MessageKey) -> StoreResult<Option<StoredMessage>>;
    /// Several, in order.
    fn messages(&self, keys: &[MessageKey]) -> StoreResult<Vec<Option<StoredMessage>>>;
    /// A message by its public id; `None` also when it belongs to another tenant.
    fn message_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<StoredMessage>>;
    /// A page of matches, newest first: skips `offset`, takes `limit`.
    async fn list_messages(
        &self,
        tenant: TenantIndex,
        filter: MessageFilter,
        offset: u64,
        limit: u32,
    ) -> StoreResult<MessagePage>;
    /// How many messages of a tenant are in each status, by [`Status`] number.
    fn status_counts(&self, tenant: TenantIndex) -> [u64; 8];
    /// A fresh idempotency record (younger than a day).
    fn idempotency(&self, tenant: TenantIndex, key: &[u8; 32]) -> StoreResult<Option<IdempotencyRecord>>;

    /// The connector's ready queue after `after`, in order.
    fn ready(&self, connector: ConnectorIndex, after: Option<ReadyOrder>, limit: usize)
    -> StoreResult<Vec<ReadyEntry>>;
    /// The scheduled queue up to and including `until`, after the entry `after`, in order.
    fn scheduled(
        &self,
        until: Timestamp,
        after: Option<ScheduledEntry>,
        limit: usize,
    ) -> StoreResult<Vec<ScheduledEntry>>;
    /// When the first scheduled entry is due.
    fn next_scheduled(&self) -> StoreResult<Option<Timestamp>>;
    /// Messages that were with a connector, after `after`; after a crash these need a decision.
    fn in_flight(&self, after: Option<MessageKey>, limit: usize) -> StoreResult<Vec<MessageKey>>;

    /// Deliveries due up to and including `until`, oldest first.
    fn due_deliveries(&self, until: Timestamp, limit: usize) -> StoreResult<Vec<DeliveryKey>>;
    /// When the next delivery is due.
    fn next_delivery(&self) -> StoreResult<Option<Timestamp>>;
    /// A delivery.
    fn delivery(&self, key: DeliveryKey) -> StoreResult<Option<Delivery>>;
    /// A delivery by its public id.
    fn delivery_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Delivery>>;
    /// A tenant's deliveries, newest message first.
    fn deliveries(
        &self,
        tenant: TenantIndex,
        filter: &DeliveryFilter,
        offset: u64,
        limit: u32,
    ) -> StoreResult<Vec<Delivery>>;

    /// All tenants.
    fn tenants(&self) -> StoreResult<Vec<Tenant>>;
    /// A tenant by its public id.
    fn tenant_by_id(&self, id: Uuid) -> StoreResult<Option<Tenant>>;
    /// A tenant by its number.
    fn tenant(&self, index: TenantIndex) -> StoreResult<Option<Tenant>>;
    /// A number for a new tenant; never given twice, even when unused.
    async fn next_tenant_index(&self) -> StoreResult<TenantIndex>;
    /// A user by e-mail (lower case).
    fn user_by_email(&self, email: &str) -> StoreResult<Option<User>>;
    /// A tenant's users.
    fn users(&self, tenant: TenantIndex) -> StoreResult<Vec<User>>;
    /// A key by its hash, revoked ones included.
    fn api_key_by_hash(&self, hash: &[u8; 32]) -> StoreResult<Option<ApiKey>>;
    /// A tenant's keys, revoked ones included.
    fn api_keys(&self, tenant: TenantIndex) -> StoreResult<Vec<ApiKey>>;

    /// A number for a new connector; never given twice.
    async fn next_connector_index(&self) -> StoreResult<ConnectorIndex>;
    /// A connector by its number, deleted ones included. Cheap: from memory.
    fn connector(&self, index: ConnectorIndex) -> StoreResult<Option<Arc<Connector>>>;
    /// A connector by its public id, deleted ones included. Cheap: from memory.
    fn connector_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Connector>>>;
    /// A tenant's connectors, deleted ones left out; all tenants' with `None`.
    fn connectors(&self, tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Connector>>>;
    /// A connector's pace state; the default when none was stored.
    fn pace_state(&self, connector: ConnectorIndex) -> StoreResult<PaceState>;

    /// A contact by its address.
    fn contact(&self, tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Option<Contact>>;
    /// A contact by its public id.
    fn contact_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Contact>>;
    /// A tenant's contacts after the id `after`, ordered by id.
    fn contacts(&self, tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<Contact>>;

    /// The other addresses of the contact that is known as `identifier`. [`Store::contact`] finds it by any of them.
    fn contact_aliases(&self, tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Vec<String>>;

    /// A tenant's events after the number `after`, oldest first, at most `limit`, and the number up to which was looked (the
    /// next `after`, whether anything matched or not).
    fn events(
        &self,
        tenant: TenantIndex,
        filter: &EventFilter,
        after: u64,
        limit: usize,
    ) -> StoreResult<(Vec<Event>, u64)>;
    /// The number of the tenant's newest event; 0 when there is none.
    fn last_event(&self, tenant: TenantIndex) -> StoreResult<u64>;
    /// Forgets events, with their marks, that are older than `before`; at most `limit`; how many.
    async fn forget_events(&self, before: Timestamp, limit: usize) -> StoreResult<usize>;
    /// What was reported of a message; the default when nothing was.
    fn receipts(&self, key: MessageKey) -> StoreResult<Receipts>;
    /// A connector's health counts; the default when there are none.
    fn health_state(&self, connector: ConnectorIndex) -> StoreResult<HealthState>;

    /// An import.
    fn import(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Import>>;
    /// A tenant's imports, newest first, without their reports: `problems` and `messages` are empty.
    fn imports(&self, tenant: TenantIndex, limit: usize) -> StoreResult<Vec<Import>>;

    /// A value of a plugin instance.
    fn kv_get(&self, connector: ConnectorIndex, key: &str) -> StoreResult<Option<Vec<u8>>>;
    /// Entries of a plugin instance whose key starts with `prefix`, ordered, after `after`.
    fn kv_list(
        &self,
        connector: ConnectorIndex,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> StoreResult<Vec<(String, Vec<u8>)>>;
    /// Bytes held by a plugin instance: keys and values.
    fn kv_bytes(&self, connector: ConnectorIndex) -> StoreResult<u64>;
}
