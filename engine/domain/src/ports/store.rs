//! The store: records, queues, outbox and documents, and the only way to change them, [`Store::commit`].
//!
//! Reads are short and synchronous (microseconds from cache). Writes go through one committer that gathers concurrent batches and
//! syncs once: when `commit` returns, the batch is on disk.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    AutomationChange, AutomationStore, CampaignChange, CampaignStore, ChatChange, ChatStore, ContactStore,
    DueEventDelivery, DueLane, EventFilter, FileChange, FileStore, LabelChange, RuleChange, RuleStore, StatChange,
    StatStore, StoreResult, TagChange, TemplateChange, TemplateStore, WebhookChange, WebhookStore,
};
use crate::model::message::ReadyOrder;
use crate::model::reason::Reason;
use crate::model::*;
use crate::{AutomationIndex, ConnectorIndex, MessageKey, TenantIndex, Timestamp};

/// An entry of a ready queue, as a lane holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadyEntry {
    /// Position in the queue.
    pub order: ReadyOrder,
    /// The message (its serial is also in `order`).
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

/// An entry of the queue of due webhook deliveries, ordered by due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueDelivery {
    /// When the delivery's next attempt is due.
    pub due_at: Timestamp,
    /// The delivery.
    pub key: DeliveryKey,
}

/// Filters of a list of messages, all optional, combined by AND.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageFilter {
    /// Only messages with this status.
    pub status: Option<Status>,
    /// Only messages of this connector.
    pub connector: Option<ConnectorIndex>,
    /// Only messages of this category.
    pub message_type: Option<MessageType>,
    /// Only messages with exactly this external id.
    pub external_id: Option<String>,
    /// Only messages that contain every word in recipient, contact name or text; case and accents are ignored.
    pub search: Option<String>,
    /// Only messages created at this time or later.
    pub from: Option<Timestamp>,
    /// Only messages created at this time or earlier.
    pub to: Option<Timestamp>,
}

/// A page of a list, newest first, with the exact number of matches.
pub struct MessagePage {
    /// The rows of the page.
    pub rows: Vec<StoredMessage>,
    /// Number of all matches.
    pub total: u64,
}

/// An idempotency key with the result of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// SHA-256 of the request that used it first.
    pub request: [u8; 32],
    /// When it was used first.
    pub at: Timestamp,
    /// Serials of the messages that the request created: first and count.
    pub messages: (u64, u32),
    /// Further data that the facade wants to remember (e.g. the refused rows), opaque to the store.
    pub extra: Vec<u8>,
}

/// An idempotency key to be stored with the messages that it creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdempotency {
    /// SHA-256 of the caller's key (and the operation).
    pub key: [u8; 32],
    /// SHA-256 of the request.
    pub request: [u8; 32],
    /// Further data, see [`IdempotencyRecord::extra`].
    pub extra: Vec<u8>,
}

/// Messages to insert together: they get consecutive serials in order.
#[derive(Clone)]
pub struct Insert {
    /// The tenant that owns them.
    pub tenant: TenantIndex,
    /// The messages.
    pub messages: Vec<NewMessage>,
    /// Stored in the same batch; [`Conflict::IdempotencyKey`] if the key is taken (and not older than a day).
    pub idempotency: Option<NewIdempotency>,
}

/// The next state of a message.
#[derive(Clone)]
pub struct Update {
    /// The message.
    pub key: MessageKey,
    /// The new state; its revision must be the stored one plus one.
    pub state: MessageState,
    /// The webhook delivery of this change, if the message has a webhook URL.
    pub delivery: Option<Delivery>,
}

/// A write into a plugin's own key space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvWrite {
    /// The key, at most 512 bytes.
    pub key: String,
    /// The value; `None` deletes the key.
    pub value: Option<Vec<u8>>,
}

/// One change of a batch.
#[derive(Clone)]
pub enum Change {
    /// New messages, with their initial state, queue entries and, if they have a webhook URL, a first delivery made by
    /// [`crate::model::delivery::Delivery::of`]. Stored files that they carry are used from then on, see [`FileChange`]. One that names
    /// a campaign is a row of it in the same batch, see [`CampaignChange`].
    Insert(Insert),
    /// A new state of a message. Of one with an entry in a timeline, the store appends an event when it becomes SENT, FAILED or UNKNOWN;
    /// of one that becomes FAILED without an entry, only if the webhook of its connector wants it.
    Update(Update),
    /// A delivery after an attempt: replaces it, and queues the message's next one when this one has ended.
    Delivery(Delivery),
    /// Creates or replaces a tenant.
    Tenant(Tenant),
    /// Creates or replaces a user; the e-mail is unique.
    User(User),
    /// Deletes a user by its id. Its access tokens are revoked in the same batch by changes of their own.
    DeleteUser(TenantIndex, Uuid),
    /// Creates an access token; [`Conflict::Gone`] if its user does not exist.
    AccessToken(AccessToken),
    /// Sets the day on which an access token was last used; nothing if the token is gone.
    AccessTokenUsed(u64, i32),
    /// Deletes an access token by its number, if it is there.
    RevokeAccessToken(u64),
    /// Creates or replaces an API key.
    ApiKey(ApiKey),
    /// Creates or replaces a connector.
    Connector(Connector),
    /// Replaces a connector's pace state.
    Pace(ConnectorIndex, PaceState),
    /// Creates or replaces a contact; (type, identifier) is unique per tenant. A new one gets its number; one that is there keeps its
    /// number, and stays on the connectors that it is known on. A new one whose address opted out becomes inactive.
    Contact(Contact),
    /// Changes a contact in steps, see [`ContactStep`].
    ContactSteps {
        /// The tenant that owns it.
        tenant: TenantIndex,
        /// Its public id.
        id: Uuid,
        /// When.
        at: Timestamp,
        /// The steps, in order.
        steps: Vec<ContactStep>,
        /// If it does not exist: true for [`Conflict::Contact`], false for doing nothing.
        must_exist: bool,
    },
    /// Deletes a contact by its id. If it is inactive, its opt-out stays, see [`ContactStore::opt_out`].
    DeleteContact(TenantIndex, Uuid),
    /// A change of a tenant's tags.
    Tag(TagChange),
    /// A change of a tenant's stored files.
    File(FileChange),
    /// Creates or replaces an import.
    Import(Import),
    /// Writes of one plugin instance, atomically.
    Kv(ConnectorIndex, Vec<KvWrite>),
    /// Appends to a tenant's event log. If the active webhook of its connector wants it, a delivery is made in the same batch; that of a
    /// message once [`ChatChange::Received`] behind it adds an entry.
    Event(AppendEvent),
    /// Replaces the reports about a message.
    Receipts(MessageKey, Receipts),
    /// A change of a tenant's counts of messages. Everything else that is counted, the store counts itself, in the batch in which a message
    /// reaches a stage.
    Stat(StatChange),
    /// Replaces a connector's health counts.
    Health(ConnectorIndex, HealthState),
    /// Makes `alias` another address of the contact that is known as `identifier`; an alias of another contact moves to this one.
    ContactAlias {
        /// The tenant that owns the contact.
        tenant: TenantIndex,
        /// Kind of the address.
        kind: ContactType,
        /// The other address.
        alias: String,
        /// The identifier of the contact.
        identifier: String,
    },
    /// A change of automations, conversations, event tasks or plugins.
    Automation(Box<AutomationChange>),
    /// A change of a tenant's templates.
    Template(Box<TemplateChange>),
    /// A change of a tenant's labels.
    Label(LabelChange),
    /// A change of conversations and their timelines.
    Chat(Box<ChatChange>),
    /// A change of connectors' webhooks, or of a delivery to one.
    Webhook(Box<WebhookChange>),
    /// A change of what is known of channels' demands.
    Rule(RuleChange),
    /// A change of campaigns and their rows.
    Campaign(Box<CampaignChange>),
}

/// An event to append.
#[derive(Clone)]
pub struct AppendEvent {
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// The event.
    pub event: NewEvent,
    /// Mark of 16 bytes of a hash: the event is appended only if no event with the same mark was. The mark is deleted together
    /// with the event, by [`Store::forget_events`].
    pub once: Option<[u8; 16]>,
}

/// Changes that are stored together or not at all.
#[derive(Clone, Default)]
pub struct Batch {
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// If true, an [`Update`] with a stale revision is left out and reported in [`Committed::stale`], and the rest of the batch
    /// is stored.
    pub skip_stale: bool,
}

impl Batch {
    /// A batch that fails as a whole if one condition does not hold.
    pub fn of(changes: Vec<Change>) -> Self {
        Self { changes, skip_stale: false }
    }
}

/// The result of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The inserted messages in order: key, id and time of creation.
    pub inserted: Vec<(MessageKey, Uuid, Timestamp)>,
    /// Updates left out, see [`Batch::skip_stale`].
    pub stale: Vec<MessageKey>,
    /// Events left out because their mark already existed, see [`AppendEvent::once`]: their positions among the batch's events.
    pub repeated: Vec<usize>,
}

/// A state that a message came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageStep {
    /// The message.
    pub key: MessageKey,
    /// Its new status.
    pub status: Status,
    /// Number of changes up to this one; 0 for the state that it was inserted with.
    pub revision: u32,
    /// Why it has this status.
    pub reason: Option<Reason>,
}

impl MessageStep {
    /// The step to this state.
    pub fn to(key: MessageKey, state: &MessageState) -> Self {
        Self { key, status: state.status, revision: state.revision, reason: state.reason.clone() }
    }
}

/// The effect of a commit, for those who wait for work. Sent after the sync, in the order of commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// An entry joined a ready queue.
    Ready(ConnectorIndex, ReadyEntry),
    /// An entry left a ready queue other than by a claim of the scheduler (canceled, failed, held …).
    Unready(ConnectorIndex, ReadyEntry),
    /// An entry joined the scheduled queue.
    Scheduled(ScheduledEntry),
    /// A delivery joined the due queue.
    DeliveryDue(DueDelivery),
    /// A delivery of an event joined the due queue.
    EventDeliveryDue(DueEventDelivery),
    /// A connector was created or changed.
    Connector(TenantIndex, ConnectorIndex),
    /// An event with this number was appended to this tenant's log.
    Event(TenantIndex, u64),
    /// A lane of a conversation has work.
    Work(DueLane),
    /// A timer was set, or a pause begun that ends by itself then.
    Timer(Timestamp),
    /// An automation was created or changed.
    Automation(TenantIndex, AutomationIndex),
    /// A plugin was changed.
    Plugin(String),
    /// A campaign, or where its rows stand, was changed.
    Campaign(TenantIndex, u32),
    /// A message was inserted, or came to another state. Told only of the tenants that the observer [follows](CommitObserver::follows).
    Message(MessageStep),
    /// A tenant set something for itself.
    Settings(TenantIndex),
}

/// Gets the effects of every commit, on the committer's thread: it may only record and wake, never block or commit.
pub trait CommitObserver: Send + Sync + 'static {
    /// Reports what one or several commits changed.
    fn committed(&self, effects: &[Effect]);
    /// Whether it wants to be told of the messages of this tenant one by one, see [`Effect::Message`]. Asked in commits that change
    /// messages, once their new states can be read: it must be cheap. By default it does not.
    #[expect(unused_variables, reason = "by default nobody is followed")]
    fn follows(&self, tenant: TenantIndex) -> bool {
        false
    }
}

/// Filters of a list of deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryFilter {
    /// Only deliveries of this message.
    pub message: Option<MessageKey>,
    /// Only deliveries in this state.
    pub status: Option<DeliveryStatus>,
}

/// Whether the store accepts writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreHealth {
    /// It accepts writes.
    Good,
    /// It does not, for this reason; only a restart (after the cause is removed) helps.
    Failed(String),
}

/// The store.
///
/// Invariant: a message's record, state, columns, queue entry and deliveries change in one batch.
#[async_trait]
pub trait Store:
    AutomationStore
    + CampaignStore
    + ChatStore
    + ContactStore
    + FileStore
    + RuleStore
    + StatStore
    + TemplateStore
    + WebhookStore
{
    /// Applies a batch; returns when it is on disk.
    async fn commit(&self, batch: Batch) -> StoreResult<Committed>;
    /// Registers the only observer. Called once, before traffic.
    fn observe(&self, observer: Arc<dyn CommitObserver>);
    /// Whether the store accepts writes.
    fn health(&self) -> StoreHealth;

    /// A message by its key.
    fn message(&self, key: MessageKey) -> StoreResult<Option<StoredMessage>>;
    /// Several messages, in order.
    fn messages(&self, keys: &[MessageKey]) -> StoreResult<Vec<Option<StoredMessage>>>;
    /// A message by its public id; `None` also if it belongs to another tenant.
    fn message_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<StoredMessage>>;
    /// The message that the connector's channel knows by this id: the last one, if there are several.
    fn message_by_provider_id(
        &self,
        connector: ConnectorIndex,
        provider_id: &str,
    ) -> StoreResult<Option<StoredMessage>>;
    /// Waits until a message has changed more often than `revision` says, and returns its state then; `None` if there is no such
    /// message. It waits without an end of its own: race it with the clock, and drop it.
    async fn message_after(&self, key: MessageKey, revision: u32) -> StoreResult<Option<MessageState>>;
    /// A page of matches, newest first: skips `offset` and returns `limit`.
    async fn list_messages(
        &self,
        tenant: TenantIndex,
        filter: MessageFilter,
        offset: u64,
        limit: u32,
    ) -> StoreResult<MessagePage>;
    /// Number of a tenant's messages in each status, by [`Status`] number.
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
    /// Messages that were being sent, after `after`; after a crash it must be decided what happens to them.
    fn in_flight(&self, after: Option<MessageKey>, limit: usize) -> StoreResult<Vec<MessageKey>>;

    /// The queue of due deliveries up to and including `until`, after the entry `after`, oldest first.
    fn due_deliveries(
        &self,
        until: Timestamp,
        after: Option<DueDelivery>,
        limit: usize,
    ) -> StoreResult<Vec<DueDelivery>>;
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
    /// A number for a new tenant; never returned twice, even if it is not used.
    async fn next_tenant_index(&self) -> StoreResult<TenantIndex>;
    /// A user by e-mail (lower case).
    fn user_by_email(&self, email: &str) -> StoreResult<Option<User>>;
    /// A number for a new user; never returned twice, even if it is not used.
    async fn next_user_number(&self) -> StoreResult<u32>;
    /// A user by its public id.
    fn user(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<User>>;
    /// A tenant's users.
    fn users(&self, tenant: TenantIndex) -> StoreResult<Vec<User>>;
    /// A key by its hash, including revoked ones.
    fn api_key_by_hash(&self, hash: &[u8; 32]) -> StoreResult<Option<ApiKey>>;
    /// A key by its public id, including revoked ones.
    fn api_key(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<ApiKey>>;
    /// A tenant's keys, including revoked ones.
    fn api_keys(&self, tenant: TenantIndex) -> StoreResult<Vec<ApiKey>>;

    /// A number for a new access token; never returned twice, even if it is not used.
    async fn next_access_token_number(&self) -> StoreResult<u64>;
    /// An access token by its number. Cheap: from memory.
    fn access_token(&self, number: u64) -> StoreResult<Option<AccessToken>>;
    /// A user's access tokens, oldest first.
    fn access_tokens(&self, user: Uuid) -> StoreResult<Vec<AccessToken>>;
    /// Numbers of access tokens that were last used before this day, at most `limit`.
    fn access_tokens_unused_since(&self, day: i32, limit: usize) -> StoreResult<Vec<u64>>;

    /// A number for a new connector; never returned twice.
    async fn next_connector_index(&self) -> StoreResult<ConnectorIndex>;
    /// A connector by its number, including deleted ones. Cheap: from memory.
    fn connector(&self, index: ConnectorIndex) -> StoreResult<Option<Arc<Connector>>>;
    /// A connector by its public id, including deleted ones. Cheap: from memory.
    fn connector_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Connector>>>;
    /// A connector of whichever tenant by its public id, including deleted ones: for a caller who proves its right by the connector's
    /// own secret. Cheap: from memory.
    fn connector_of_any_tenant(&self, id: Uuid) -> StoreResult<Option<Arc<Connector>>>;
    /// A tenant's connectors, without deleted ones; with `None`, those of all tenants.
    fn connectors(&self, tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Connector>>>;
    /// A connector's pace state; the default if none is stored.
    fn pace_state(&self, connector: ConnectorIndex) -> StoreResult<PaceState>;

    /// A contact by its address.
    fn contact(&self, tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Option<Contact>>;
    /// A contact by its public id.
    fn contact_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Contact>>;
    /// A tenant's contacts after the id `after`, ordered by id.
    fn contacts(&self, tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<Contact>>;

    /// The other addresses of the contact that is known as `identifier`. [`Store::contact`] finds it by any of them.
    fn contact_aliases(&self, tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Vec<String>>;

    /// A tenant's events after the number `after`, oldest first, at most `limit`, and the number up to which the store looked
    /// (the next `after`, even if nothing matched).
    fn events(
        &self,
        tenant: TenantIndex,
        filter: &EventFilter,
        after: u64,
        limit: usize,
    ) -> StoreResult<(Vec<Event>, u64)>;
    /// The number of the tenant's oldest event that is not deleted; that of the next event if there is none.
    fn first_event(&self, tenant: TenantIndex) -> StoreResult<u64>;
    /// The number of the tenant's newest event; 0 if there is none.
    fn last_event(&self, tenant: TenantIndex) -> StoreResult<u64>;
    /// Deletes events older than `before`, with their marks; at most `limit`. Returns how many.
    async fn forget_events(&self, before: Timestamp, limit: usize) -> StoreResult<usize>;
    /// The reports about a message; the default if there are none.
    fn receipts(&self, key: MessageKey) -> StoreResult<Receipts>;
    /// A connector's health counts; the default if there are none.
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
    /// Size of a plugin instance's key/value store in bytes: keys and values.
    fn kv_bytes(&self, connector: ConnectorIndex) -> StoreResult<u64>;
}
