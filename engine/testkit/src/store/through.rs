//! The port of the decorated store: each read can fail as planned, and each commit follows the plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use pombo_domain::model::message::ReadyOrder;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{AutomationIndex, ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use uuid::Uuid;

use super::TestStore;

macro_rules! through {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) -> StoreResult<$ret:ty>;)*) => {
        $(fn $name(&self, $($arg: $ty),*) -> StoreResult<$ret> {
            self.reading(stringify!($name))?;
            self.disk.$name($($arg),*)
        })*
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
        fn tasks(conversation: Uuid, lane: u32, limit: usize) -> StoreResult<Vec<EventTask>>;
        fn automation_state(conversation: Uuid, automation: AutomationIndex) -> StoreResult<Option<String>>;
        fn timers_due(until: Timestamp, limit: usize) -> StoreResult<Vec<TimerKey>>;
        fn next_timer() -> StoreResult<Option<Timestamp>>;
        fn timers_of(conversation: Uuid) -> StoreResult<Vec<TimerKey>>;
        fn pauses_ending(until: Timestamp, after: Option<PauseEnd>, limit: usize) -> StoreResult<Vec<PauseEnd>>;
        fn next_pause_end(after: Option<PauseEnd>) -> StoreResult<Option<Timestamp>>;
        fn dead_letters(tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<DeadLetter>>;
        fn dead_letter(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<DeadLetter>>;
        fn recordings(automation: AutomationIndex, limit: usize) -> StoreResult<Vec<Vec<u8>>>;
        fn plugin(name: &str) -> StoreResult<Option<Arc<Plugin>>>;
        fn plugins() -> StoreResult<Vec<Arc<Plugin>>>;
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
        self.reading("conversations")?;
        let found = self.disk.conversations(tenant, filter, after, limit)?;
        let rows = self.page_rows.load(Ordering::SeqCst);
        if rows == 0 {
            return Ok(found);
        }
        let all = ConversationFilter::default();
        let (read, next) = self.disk.conversations(tenant, &all, after, rows.min(limit))?;
        let inside = |one: &Conversation| read.iter().any(|conversation| conversation.id == one.id);
        Ok((found.0.into_iter().filter(inside).collect(), next))
    }
    fn check_automations(&self) -> Result<(), StoreError> {
        self.disk.check_automations()
    }
}

#[async_trait]
impl ChatStore for TestStore {
    through! {
        fn conversation_by_number(tenant: TenantIndex, number: u64) -> StoreResult<Option<Conversation>>;
        fn timeline_item(tenant: TenantIndex, number: u64) -> StoreResult<Option<TimelineItem>>;
        fn timeline_item_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<TimelineItem>>;
        fn timeline_item_of(
            tenant: TenantIndex,
            conversation: u64,
            provider_id: &str
        ) -> StoreResult<Option<TimelineItem>>;
        fn timeline(
            tenant: TenantIndex,
            conversation: u64,
            range: &TimelineRange,
            limit: usize
        ) -> StoreResult<TimelinePage>;
        fn message_author(key: MessageKey) -> StoreResult<Option<String>>;
        fn message_origin(key: MessageKey) -> StoreResult<Option<Origin>>;
        fn read_untold(conversation: &Conversation, limit: usize) -> StoreResult<Vec<TimelineItem>>;
        fn untold_conversations(
            connector: ConnectorIndex,
            after: Option<Uuid>,
            limit: usize
        ) -> StoreResult<Vec<Uuid>>;
        fn tenant_settings(tenant: TenantIndex) -> StoreResult<TenantSettings>;
        fn purgeable(limit: usize) -> StoreResult<Option<Purge>>;
        fn outdated(tenant: TenantIndex, before: Timestamp, limit: usize) -> StoreResult<Option<Purge>>;
    }
    async fn find_conversations(
        &self,
        tenant: TenantIndex,
        filter: ConversationFilter,
        order: ConversationOrder,
        limit: usize,
    ) -> StoreResult<FoundConversations> {
        self.reading("find_conversations")?;
        self.disk.find_conversations(tenant, filter, order, limit).await
    }
    async fn search_entries(&self, tenant: TenantIndex, search: EntrySearch) -> StoreResult<FoundEntries> {
        self.reading("search_entries")?;
        self.disk.search_entries(tenant, search).await
    }
    async fn last_activity(&self, tenant: TenantIndex) -> StoreResult<BTreeMap<ConnectorIndex, Timestamp>> {
        self.reading("last_activity")?;
        self.disk.last_activity(tenant).await
    }
    async fn count_conversations(&self, tenant: TenantIndex, user: Option<Uuid>) -> StoreResult<ConversationCounts> {
        self.reading("count_conversations")?;
        self.disk.count_conversations(tenant, user).await
    }
    async fn purge(&self, purge: Purge) -> StoreResult<()> {
        self.disk.purge(purge).await
    }
}

#[async_trait]
impl ContactStore for TestStore {
    through! {
        fn contact_by_number(tenant: TenantIndex, number: u64) -> StoreResult<Option<Contact>>;
        fn contact_identifier(tenant: TenantIndex, kind: ContactType, address: &str) -> StoreResult<String>;
        fn opt_out(tenant: TenantIndex, kind: ContactType, address: &str) -> StoreResult<Option<OptOut>>;
        fn tags(tenant: TenantIndex) -> StoreResult<Vec<Arc<Tag>>>;
        fn tag_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Tag>>>;
        fn tag_by_name(tenant: TenantIndex, name: &str) -> StoreResult<Option<Arc<Tag>>>;
    }
    async fn list_contacts(
        &self,
        tenant: TenantIndex,
        filter: ContactFilter,
        after: u64,
        skip: u64,
        limit: usize,
    ) -> StoreResult<ContactPage> {
        self.reading("list_contacts")?;
        self.disk.list_contacts(tenant, filter, after, skip, limit).await
    }
    async fn tag_counts(&self, tenant: TenantIndex) -> StoreResult<BTreeMap<u32, u64>> {
        self.reading("tag_counts")?;
        self.disk.tag_counts(tenant).await
    }
}

impl RuleStore for TestStore {
    through! {
        fn channel_limits(connector: ConnectorIndex) -> StoreResult<ChannelLimits>;
        fn outreach(connector: ConnectorIndex) -> StoreResult<OutreachRecord>;
        fn audience(audience: &AudienceKey, limit: usize) -> StoreResult<Vec<(PersonKey, Timestamp)>>;
        fn audience_limit(audience: &AudienceKey) -> StoreResult<Option<Option<u32>>>;
        fn expired_people(
            now: Timestamp,
            after: Option<(AudienceKey, PersonKey)>,
            limit: usize
        ) -> StoreResult<PeoplePage>;
    }
}

impl CampaignStore for TestStore {
    through! {
        fn campaign(tenant: TenantIndex, number: u32) -> StoreResult<Option<Campaign>>;
        fn campaign_number(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<u32>>;
        fn campaigns(tenant: TenantIndex, before: Option<u32>, limit: usize) -> StoreResult<Vec<Campaign>>;
        fn open_campaigns() -> StoreResult<Arc<[(TenantIndex, u32)]>>;
        fn campaign_counts(tenant: TenantIndex, number: u32) -> StoreResult<CampaignCounts>;
        fn campaign_row(tenant: TenantIndex, campaign: u32, row: u32) -> StoreResult<Option<StoredRow>>;
        fn campaign_rows(
            tenant: TenantIndex,
            campaign: u32,
            status: Option<RowStatus>,
            after: u32,
            limit: usize
        ) -> StoreResult<CampaignRows>;
        fn open_campaign_rows(
            tenant: TenantIndex,
            campaign: u32,
            status: RowStatus,
            after: u32,
            limit: usize
        ) -> StoreResult<Vec<StoredRow>>;
        fn listed_rows(
            tenant: TenantIndex,
            campaign: u32,
            generation: u32,
            after: u32,
            limit: usize
        ) -> StoreResult<Vec<ListedRow>>;
    }
}

impl FileStore for TestStore {
    through! {
        fn media_file(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<MediaFile>>;
        fn media_file_use(tenant: TenantIndex) -> StoreResult<FileUse>;
        fn expired_media_files(until: Timestamp, limit: usize) -> StoreResult<Vec<MediaFile>>;
    }
}

impl StatStore for TestStore {
    through! {
        fn stats(tenant: TenantIndex, filter: &StatFilter, limit: usize) -> StoreResult<Option<Vec<stats::StatRow>>>;
        fn has_stats_before(tenant: TenantIndex, span: stats::StatSpan, before: u32) -> StoreResult<bool>;
    }
}

impl TemplateStore for TestStore {
    through! {
        fn template_by_number(tenant: TenantIndex, number: u32) -> StoreResult<Option<Arc<Template>>>;
        fn template_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Template>>>;
        fn template_named(
            tenant: TenantIndex,
            connector: Option<ConnectorIndex>,
            name: &str,
            language: Option<&str>
        ) -> StoreResult<Option<Arc<Template>>>;
        fn templates(
            tenant: TenantIndex,
            filter: &TemplateFilter,
            after: u32,
            limit: usize
        ) -> StoreResult<TemplatePage>;
        fn labels(tenant: TenantIndex, kind: LabelKind) -> StoreResult<Vec<Arc<Label>>>;
        fn label_by_number(tenant: TenantIndex, kind: LabelKind, number: u32) -> StoreResult<Option<Arc<Label>>>;
        fn label_by_id(tenant: TenantIndex, kind: LabelKind, id: Uuid) -> StoreResult<Option<Arc<Label>>>;
    }
}

impl WebhookStore for TestStore {
    through! {
        fn connector_webhook(connector: ConnectorIndex) -> StoreResult<Option<Arc<ConnectorWebhook>>>;
        fn due_event_deliveries(
            until: Timestamp,
            after: Option<DueEventDelivery>,
            limit: usize
        ) -> StoreResult<Vec<DueEventDelivery>>;
        fn event_delivery(key: EventDeliveryKey) -> StoreResult<Option<EventDelivery>>;
        fn event_delivery_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<EventDelivery>>;
        fn event_deliveries(
            tenant: TenantIndex,
            filter: &EventDeliveryFilter,
            before: Option<u64>,
            limit: usize
        ) -> StoreResult<EventDeliveryPage>;
        fn event_before(key: EventKey, filter: &EventFilter) -> StoreResult<Option<Event>>;
    }
}

#[async_trait]
impl Store for TestStore {
    async fn commit(&self, batch: Batch) -> StoreResult<Committed> {
        self.committing(batch).await
    }
    fn health(&self) -> StoreHealth {
        self.disk.health()
    }
    fn status_counts(&self, tenant: TenantIndex) -> [u64; 8] {
        self.disk.status_counts(tenant)
    }
    fn observe(&self, observer: Arc<dyn CommitObserver>) {
        self.disk.observe(observer);
    }
    through! {
        fn message(key: MessageKey) -> StoreResult<Option<StoredMessage>>;
        fn messages(keys: &[MessageKey]) -> StoreResult<Vec<Option<StoredMessage>>>;
        fn message_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<StoredMessage>>;
        fn message_by_provider_id(connector: ConnectorIndex, provider_id: &str) -> StoreResult<Option<StoredMessage>>;
        fn idempotency(tenant: TenantIndex, key: &[u8; 32]) -> StoreResult<Option<IdempotencyRecord>>;
        fn ready(connector: ConnectorIndex, after: Option<ReadyOrder>, limit: usize) -> StoreResult<Vec<ReadyEntry>>;
        fn scheduled(until: Timestamp, after: Option<ScheduledEntry>, limit: usize) -> StoreResult<Vec<ScheduledEntry>>;
        fn next_scheduled() -> StoreResult<Option<Timestamp>>;
        fn in_flight(after: Option<MessageKey>, limit: usize) -> StoreResult<Vec<MessageKey>>;
        fn delivery(key: DeliveryKey) -> StoreResult<Option<Delivery>>;
        fn delivery_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Delivery>>;
        fn tenants() -> StoreResult<Vec<Tenant>>;
        fn tenant_by_id(id: Uuid) -> StoreResult<Option<Tenant>>;
        fn tenant(index: TenantIndex) -> StoreResult<Option<Tenant>>;
        fn user_by_email(email: &str) -> StoreResult<Option<User>>;
        fn user(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<User>>;
        fn users(tenant: TenantIndex) -> StoreResult<Vec<User>>;
        fn api_key_by_hash(hash: &[u8; 32]) -> StoreResult<Option<ApiKey>>;
        fn api_key(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<ApiKey>>;
        fn api_keys(tenant: TenantIndex) -> StoreResult<Vec<ApiKey>>;
        fn access_token(number: u64) -> StoreResult<Option<AccessToken>>;
        fn access_tokens(user: Uuid) -> StoreResult<Vec<AccessToken>>;
        fn access_tokens_unused_since(day: i32, limit: usize) -> StoreResult<Vec<u64>>;
        fn connector(index: ConnectorIndex) -> StoreResult<Option<Arc<Connector>>>;
        fn connector_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Connector>>>;
        fn connector_of_any_tenant(id: Uuid) -> StoreResult<Option<Arc<Connector>>>;
        fn connectors(tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Connector>>>;
        fn pace_state(connector: ConnectorIndex) -> StoreResult<PaceState>;
        fn contact(tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Option<Contact>>;
        fn contact_by_id(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Contact>>;
        fn contacts(tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<Contact>>;
        fn contact_aliases(tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Vec<String>>;
        fn first_event(tenant: TenantIndex) -> StoreResult<u64>;
        fn last_event(tenant: TenantIndex) -> StoreResult<u64>;
        fn receipts(key: MessageKey) -> StoreResult<Receipts>;
        fn health_state(connector: ConnectorIndex) -> StoreResult<HealthState>;
        fn import(tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Import>>;
        fn imports(tenant: TenantIndex, limit: usize) -> StoreResult<Vec<Import>>;
        fn kv_get(connector: ConnectorIndex, key: &str) -> StoreResult<Option<Vec<u8>>>;
        fn kv_bytes(connector: ConnectorIndex) -> StoreResult<u64>;
    }
    fn due_deliveries(
        &self,
        until: Timestamp,
        after: Option<DueDelivery>,
        limit: usize,
    ) -> StoreResult<Vec<DueDelivery>> {
        self.reading("due_deliveries")?;
        let due = self.disk.due_deliveries(until, after, limit)?;
        self.due_deliveries_read.fetch_add(due.len(), Ordering::SeqCst);
        Ok(due)
    }
    fn deliveries(
        &self,
        tenant: TenantIndex,
        filter: &DeliveryFilter,
        offset: u64,
        limit: u32,
    ) -> StoreResult<Vec<Delivery>> {
        self.reading("deliveries")?;
        self.disk.deliveries(tenant, filter, offset, limit)
    }
    fn events(
        &self,
        tenant: TenantIndex,
        filter: &EventFilter,
        after: u64,
        limit: usize,
    ) -> StoreResult<(Vec<Event>, u64)> {
        self.reading("events")?;
        self.disk.events(tenant, filter, after, limit)
    }
    fn kv_list(
        &self,
        connector: ConnectorIndex,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> StoreResult<Vec<(String, Vec<u8>)>> {
        self.reading("kv_list")?;
        self.disk.kv_list(connector, prefix, after, limit)
    }
    async fn message_after(&self, key: MessageKey, revision: u32) -> StoreResult<Option<MessageState>> {
        self.reading("message_after")?;
        self.disk.message_after(key, revision).await
    }
    async fn list_messages(
        &self,
        tenant: TenantIndex,
        filter: MessageFilter,
        offset: u64,
        limit: u32,
    ) -> StoreResult<MessagePage> {
        self.reading("list_messages")?;
        self.disk.list_messages(tenant, filter, offset, limit).await
    }
    async fn forget_events(&self, before: Timestamp, limit: usize) -> StoreResult<usize> {
        self.disk.forget_events(before, limit).await
    }
    async fn next_tenant_index(&self) -> StoreResult<TenantIndex> {
        self.disk.next_tenant_index().await
    }
    async fn next_user_number(&self) -> StoreResult<u32> {
        self.disk.next_user_number().await
    }
    async fn next_access_token_number(&self) -> StoreResult<u64> {
        self.disk.next_access_token_number().await
    }
    async fn next_connector_index(&self) -> StoreResult<ConnectorIndex> {
        self.disk.next_connector_index().await
    }
}
