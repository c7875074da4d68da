//! The [`Store`] port: writes go to the committer, reads to the tables and to memory.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pombo_domain::ids::message_serial;
use pombo_domain::model::message::ReadyOrder;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::backend::{KeyRange, Order};
use crate::catalog::Catalog;
use crate::codec::{bad_key, damaged};
use crate::columns::tenant::Wanted;
use crate::columns::word::{self, Pattern};
use crate::committer::Request;
use crate::group::{Prepared, PreparedChange, PreparedEvent, PreparedInsert, numbered};
use crate::keys;
use crate::search::{Search, fold};
use crate::shared::Shared;
use crate::space::Space;
use crate::tables::meta::Counter;
use crate::tables::{
    contacts, deliveries, events, health, idempotency, imports, kv, media_files, messages, queues, receipts, states,
    stats, tasks, timeline,
};

/// Events forgotten by one commit, at most, since other commits wait for it.
const FORGET: usize = 1_000;

/// A store in a folder on disk. Made by [`crate::open`].
pub struct DiskStore {
    pub(crate) shared: Arc<Shared>,
    pub(crate) search: Arc<Search>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) committer: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// Seed of the external ids' fingerprints.
    pub(crate) seed: u64,
}

impl DiskStore {
    /// Ends the committer and the search index once they have finished what they are doing, and syncs. Reads go on; writes are refused.
    /// It blocks: call it outside of async tasks. Dropping the store does the same.
    pub fn close(&self) -> StoreResult<()> {
        let Some(committer) = self.committer.lock().take() else { return Ok(()) };
        let mut request = Request::Close;
        // The channel may be full; the committer makes room. It is closed only once the committer has ended.
        while let Err(mpsc::error::TrySendError::Full(back)) = self.requests.try_send(request) {
            request = back;
            std::thread::yield_now();
        }
        let panicked = committer.join().is_err();
        self.search.stop();
        if panicked {
            return Err(StoreError::Unavailable("the committer panicked".to_owned()));
        }
        match self.health() {
            StoreHealth::Good => self.shared.backend.sync(),
            StoreHealth::Failed(why) => Err(StoreError::Unavailable(why)),
        }
    }

    pub(crate) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<StoreResult<T>>) -> Request,
    ) -> StoreResult<T> {
        let closed = || match self.health() {
            StoreHealth::Failed(why) => StoreError::Unavailable(why),
            StoreHealth::Good => StoreError::Unavailable("the store is closed".to_owned()),
        };
        let (asker, answer) = oneshot::channel();
        self.requests.send(request(asker)).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(crate) fn print_of(&self, external_id: &str) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(external_id.as_bytes(), self.seed).max(1)
    }

    fn prepare(&self, batch: Batch) -> Prepared {
        let change = |change| match change {
            Change::Insert(Insert { tenant, messages, idempotency }) => {
                let rows = messages
                    .iter()
                    .map(|m| (messages::prepare(m), m.external_id.as_deref().map(|id| self.print_of(id))))
                    .collect();
                PreparedChange::Insert(PreparedInsert { tenant, messages, rows, idempotency })
            }
            Change::Event(AppendEvent { tenant, event, once }) => {
                let (connector, row) = (event.connector, events::encode(&event, once.as_ref()));
                let (kinds, conversation) = (HookKind::of(&event.body), numbered(&event.body));
                PreparedChange::Event(PreparedEvent { tenant, connector, row, once, kinds, conversation })
            }
            Change::Automation(change) => {
                let row = match &*change {
                    AutomationChange::Event(new) => Some(tasks::prepare(new.tenant, new.id, new.at, &new.body)),
                    _ => None,
                };
                PreparedChange::Automation(change, row)
            }
            Change::Chat(change) => {
                let row = match &*change {
                    ChatChange::Received(message) | ChatChange::Attempted(_, _, message) => match &message.act {
                        TimelineAct::Say(entry) => Some(timeline::prepare(entry)),
                        _ => None,
                    },
                    _ => None,
                };
                PreparedChange::Chat(change, row)
            }
            other => PreparedChange::Other(other),
        };
        Prepared { changes: batch.changes.into_iter().map(change).collect(), skip_stale: batch.skip_stale }
    }

    fn with_state(&self, message: Message) -> StoreResult<StoredMessage> {
        let untouched = self.shared.columns.word(message.key).is_some_and(|word| !word::is_changed(word));
        if untouched {
            let state = message.initial_state();
            return Ok(StoredMessage { message, state });
        }
        let state = match self.shared.backend.get(Space::States, &keys::message(message.key))? {
            Some(row) => states::decode(&row)?.1,
            None => message.initial_state(),
        };
        Ok(StoredMessage { message, state })
    }

    /// The messages of a page. Serials that lie close together are read in one range.
    fn page_rows(&self, tenant: TenantIndex, serials: &[u64]) -> StoreResult<Vec<StoredMessage>> {
        let (Some(newest), Some(oldest)) = (serials.first(), serials.last()) else { return Ok(Vec::new()) };
        let key = |serial| MessageKey { tenant, serial };
        let missing = || damaged("messages: a record is missing");
        if newest - oldest >= serials.len() as u64 * 3 || serials.len() < 4 {
            let row = |serial: &u64| messages::read(&*self.shared.backend, key(*serial))?.ok_or_else(missing);
            return serials.iter().map(|serial| self.with_state(row(serial)?)).collect();
        }
        let range = || KeyRange::prefix(&keys::message(key(*oldest))).through(&keys::message(key(*newest)));
        let backend = &*self.shared.backend;
        let mut state_rows = backend.scan(Space::States, range(), Order::Reverse);
        let mut state_row = state_rows.next().transpose()?;
        let mut rows = Vec::with_capacity(serials.len());
        let mut wanted = serials.iter().peekable();
        for row in backend.scan(Space::Messages, range(), Order::Reverse) {
            let (row_key, row) = row?;
            let at = keys::parse_message(&row_key).ok_or_else(|| bad_key("messages"))?;
            if wanted.peek().is_none_or(|serial| **serial != at.serial) {
                continue;
            }
            wanted.next();
            let message = messages::parse(at, &row)?;
            while state_row.as_ref().is_some_and(|(key, _)| key[..] > row_key[..]) {
                state_row = state_rows.next().transpose()?;
            }
            let state = match &state_row {
                Some((key, row)) if key == &row_key => states::decode(row)?.1,
                _ => message.initial_state(),
            };
            rows.push(StoredMessage { message, state });
        }
        if wanted.next().is_some() {
            return Err(missing());
        }
        Ok(rows)
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}

impl FileStore for DiskStore {
    fn media_file(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<MediaFile>> {
        media_files::read(&*self.shared.backend, tenant, id)
    }

    fn media_file_use(&self, tenant: TenantIndex) -> StoreResult<FileUse> {
        media_files::read_use(&*self.shared.backend, tenant)
    }

    fn expired_media_files(&self, until: Timestamp, limit: usize) -> StoreResult<Vec<MediaFile>> {
        media_files::expired(&*self.shared.backend, until, limit)
    }
}

#[async_trait]
impl Store for DiskStore {
    async fn commit(&self, batch: Batch) -> StoreResult<Committed> {
        let prepared = self.prepare(batch);
        self.ask(|asker| Request::Commit(prepared, asker)).await
    }

    fn observe(&self, observer: Arc<dyn CommitObserver>) {
        *self.shared.observer.write() = Some(observer);
    }

    fn health(&self) -> StoreHealth {
        self.shared.health()
    }

    fn message(&self, key: MessageKey) -> StoreResult<Option<StoredMessage>> {
        let message = messages::read(&*self.shared.backend, key)?;
        message.map(|message| self.with_state(message)).transpose()
    }

    fn messages(&self, keys: &[MessageKey]) -> StoreResult<Vec<Option<StoredMessage>>> {
        let found = keys.iter().map(|key| self.message(*key)).collect::<StoreResult<Vec<_>>>()?;
        // A caller that reads many at once is about to claim them.
        let unchanged = |m: &&StoredMessage| m.state.revision == 0;
        self.shared.births.note(found.iter().flatten().filter(unchanged).map(|m| &m.message));
        Ok(found)
    }

    fn message_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<StoredMessage>> {
        let Some(serial) = message_serial(id) else { return Ok(None) };
        let key = MessageKey { tenant, serial };
        match messages::read_row(&*self.shared.backend, key)? {
            Some(row) if messages::id_of(&row)? == id => self.with_state(messages::parse(key, &row)?).map(Some),
            _ => Ok(None),
        }
    }

    fn message_by_provider_id(
        &self,
        connector: ConnectorIndex,
        provider_id: &str,
    ) -> StoreResult<Option<StoredMessage>> {
        match stats::by_provider(&*self.shared.backend, connector, provider_id)? {
            Some(key) => self.message(key),
            None => Ok(None),
        }
    }

    async fn message_after(&self, key: MessageKey, revision: u32) -> StoreResult<Option<MessageState>> {
        loop {
            // First this, then the read: a step in between is told.
            let watch = self.shared.watches.watch(key);
            let Some(stored) = self.message(key)? else { return Ok(None) };
            if stored.state.revision > revision {
                return Ok(Some(stored.state));
            }
            watch.stepped().await;
        }
    }

    async fn list_messages(
        &self,
        tenant: TenantIndex,
        filter: MessageFilter,
        offset: u64,
        limit: u32,
    ) -> StoreResult<MessagePage> {
        let Some(columns) = self.shared.columns.of(tenant) else {
            return Ok(MessagePage { rows: Vec::new(), total: 0 });
        };
        let wanted = Wanted {
            pattern: Pattern::of(filter.status, filter.message_type, filter.connector),
            print: filter.external_id.as_deref().map(|id| self.print_of(id)),
            from: filter.from,
            to: filter.to,
        };
        let words = fold::query_words(filter.search.as_deref().unwrap_or_default());
        let limit = limit as usize;
        let found = if words.is_empty() {
            columns.read().page(&wanted, None, u64::MAX, offset, limit)
        } else {
            let (upto, blocks) = {
                let columns = columns.read();
                (columns.len(), columns.candidates(&wanted, columns.len()))
            };
            self.search.caught_up(tenant, upto).await?;
            let search = self.search.clone();
            let masks = tokio::task::spawn_blocking(move || search.masks(tenant, &words, &blocks))
                .await
                .map_err(|_| StoreError::Unavailable("a search panicked".to_owned()))??;
            columns.read().page(&wanted, Some(&masks), upto, offset, limit)
        };
        Ok(MessagePage { rows: self.page_rows(tenant, &found.serials)?, total: found.total })
    }

    fn status_counts(&self, tenant: TenantIndex) -> [u64; 8] {
        self.shared.columns.of(tenant).map_or([0; 8], |columns| columns.read().counts())
    }

    fn idempotency(&self, tenant: TenantIndex, key: &[u8; 32]) -> StoreResult<Option<IdempotencyRecord>> {
        idempotency::read(&*self.shared.backend, tenant, key, self.clock.now())
    }

    fn ready(
        &self,
        connector: ConnectorIndex,
        after: Option<ReadyOrder>,
        limit: usize,
    ) -> StoreResult<Vec<ReadyEntry>> {
        queues::ready(&*self.shared.backend, &self.shared.frontiers, connector, after, limit)
    }

    fn scheduled(
        &self,
        until: Timestamp,
        after: Option<ScheduledEntry>,
        limit: usize,
    ) -> StoreResult<Vec<ScheduledEntry>> {
        queues::scheduled(&*self.shared.backend, &self.shared.frontiers, until, after, limit)
    }

    fn next_scheduled(&self) -> StoreResult<Option<Timestamp>> {
        queues::next_scheduled(&*self.shared.backend, &self.shared.frontiers)
    }

    fn in_flight(&self, after: Option<MessageKey>, limit: usize) -> StoreResult<Vec<MessageKey>> {
        let mut found = Vec::new();
        for (tenant, columns) in self.shared.columns.tenants() {
            let start = match after {
                Some(after) if tenant < after.tenant => continue,
                Some(after) if tenant == after.tenant => after.serial + 1,
                _ => 0,
            };
            let mut serials = Vec::new();
            columns.read().in_status(Status::Processing, start, limit - found.len(), &mut serials);
            found.extend(serials.into_iter().map(|serial| MessageKey { tenant, serial }));
            if found.len() >= limit {
                break;
            }
        }
        Ok(found)
    }

    fn due_deliveries(
        &self,
        until: Timestamp,
        after: Option<DueDelivery>,
        limit: usize,
    ) -> StoreResult<Vec<DueDelivery>> {
        deliveries::due(&*self.shared.backend, &self.shared.frontiers, until, after, limit)
    }

    fn delivery(&self, key: DeliveryKey) -> StoreResult<Option<Delivery>> {
        deliveries::read(&*self.shared.backend, key)
    }

    fn delivery_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Delivery>> {
        let Some(serial) = message_serial(id) else { return Ok(None) };
        let all = deliveries::of_message(&*self.shared.backend, MessageKey { tenant, serial })?;
        Ok(all.into_iter().find(|delivery| delivery.id == id))
    }

    fn deliveries(
        &self,
        tenant: TenantIndex,
        filter: &DeliveryFilter,
        offset: u64,
        limit: u32,
    ) -> StoreResult<Vec<Delivery>> {
        deliveries::list(&*self.shared.backend, tenant, filter, offset, limit)
    }

    fn tenants(&self) -> StoreResult<Vec<Tenant>> {
        Ok(self.shared.catalog.read().tenants.values().cloned().collect())
    }

    fn tenant_by_id(&self, id: Uuid) -> StoreResult<Option<Tenant>> {
        Ok(self.shared.catalog.read().tenant_by_id(id).cloned())
    }

    fn tenant(&self, index: TenantIndex) -> StoreResult<Option<Tenant>> {
        Ok(self.shared.catalog.read().tenants.get(&index).cloned())
    }

    async fn next_tenant_index(&self) -> StoreResult<TenantIndex> {
        self.ask(|asker| Request::Count(Counter::Tenant, asker)).await.map(TenantIndex)
    }

    fn user_by_email(&self, email: &str) -> StoreResult<Option<User>> {
        Ok(self.shared.catalog.read().user_by_email(email).cloned())
    }

    async fn next_user_number(&self) -> StoreResult<u32> {
        self.ask(|asker| Request::Count(Counter::User, asker)).await
    }

    fn user(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<User>> {
        Ok(self.shared.catalog.read().users.get(&(tenant, id)).cloned())
    }

    fn users(&self, tenant: TenantIndex) -> StoreResult<Vec<User>> {
        Ok(Catalog::owned(&self.shared.catalog.read().users, tenant))
    }

    fn api_key_by_hash(&self, hash: &[u8; 32]) -> StoreResult<Option<ApiKey>> {
        Ok(self.shared.catalog.read().api_key_by_hash(hash).cloned())
    }

    fn api_key(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<ApiKey>> {
        Ok(self.shared.catalog.read().api_keys.get(&(tenant, id)).cloned())
    }

    fn api_keys(&self, tenant: TenantIndex) -> StoreResult<Vec<ApiKey>> {
        Ok(Catalog::owned(&self.shared.catalog.read().api_keys, tenant))
    }

    async fn next_access_token_number(&self) -> StoreResult<u64> {
        self.ask(|asker| Request::Count(Counter::AccessToken, asker)).await.map(u64::from)
    }

    fn access_token(&self, number: u64) -> StoreResult<Option<AccessToken>> {
        Ok(self.shared.catalog.read().access_tokens.get(&number).cloned())
    }

    fn access_tokens(&self, user: Uuid) -> StoreResult<Vec<AccessToken>> {
        Ok(self.shared.catalog.read().access_tokens_of(user))
    }

    fn access_tokens_unused_since(&self, day: i32, limit: usize) -> StoreResult<Vec<u64>> {
        let catalog = self.shared.catalog.read();
        let unused = catalog.access_tokens.values().filter(|token| token.last_used_day < day);
        Ok(unused.map(|token| token.number).take(limit).collect())
    }

    async fn next_connector_index(&self) -> StoreResult<ConnectorIndex> {
        self.ask(|asker| Request::Count(Counter::Connector, asker)).await.map(ConnectorIndex)
    }

    fn connector(&self, index: ConnectorIndex) -> StoreResult<Option<Arc<Connector>>> {
        Ok(self.shared.catalog.read().connectors.get(&index).cloned())
    }

    fn connector_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Connector>>> {
        Ok(self.shared.catalog.read().connector_by_id(tenant, id).cloned())
    }

    fn connector_of_any_tenant(&self, id: Uuid) -> StoreResult<Option<Arc<Connector>>> {
        Ok(self.shared.catalog.read().connector_of_any_tenant(id).cloned())
    }

    fn connectors(&self, tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Connector>>> {
        let catalog = self.shared.catalog.read();
        let listed = |c: &&Arc<Connector>| {
            c.status != ConnectorStatus::Deleted && tenant.is_none_or(|tenant| c.tenant == tenant)
        };
        Ok(catalog.connectors.values().filter(listed).cloned().collect())
    }

    fn pace_state(&self, connector: ConnectorIndex) -> StoreResult<PaceState> {
        Ok(self.shared.catalog.read().pace.get(&connector).cloned().unwrap_or_default())
    }

    fn contact(&self, tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Option<Contact>> {
        contacts::by_address(&*self.shared.backend, tenant, kind, identifier)
    }

    fn contact_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Contact>> {
        contacts::by_id(&*self.shared.backend, tenant, id)
    }

    fn contacts(&self, tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<Contact>> {
        contacts::list(&*self.shared.backend, tenant, after, limit)
    }

    fn contact_aliases(&self, tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Vec<String>> {
        contacts::aliases(&*self.shared.backend, tenant, kind, identifier)
    }

    fn events(
        &self,
        tenant: TenantIndex,
        filter: &EventFilter,
        after: u64,
        limit: usize,
    ) -> StoreResult<(Vec<Event>, u64)> {
        events::list(&*self.shared.backend, self.shared.events.of(tenant), tenant, filter, after, limit)
    }

    fn first_event(&self, tenant: TenantIndex) -> StoreResult<u64> {
        Ok(self.shared.events.of(tenant).first)
    }

    fn last_event(&self, tenant: TenantIndex) -> StoreResult<u64> {
        Ok(self.shared.events.of(tenant).next - 1)
    }

    async fn forget_events(&self, before: Timestamp, limit: usize) -> StoreResult<usize> {
        let mut forgotten = 0;
        for tenant in self.shared.events.tenants() {
            while forgotten < limit {
                let step = (limit - forgotten).min(FORGET);
                let log = self.shared.events.of(tenant);
                let front = events::forgettable(&*self.shared.backend, log, tenant, before, step)?;
                let Some(front) = front else { break };
                let found = (front.upto - front.first) as usize;
                forgotten += self.ask(|asker| Request::Forget(front, asker)).await?;
                if found < step {
                    break;
                }
            }
            // Many logs without anything to forget must not hold up the thread.
            tokio::task::coop::consume_budget().await;
        }
        Ok(forgotten)
    }

    fn receipts(&self, key: MessageKey) -> StoreResult<Receipts> {
        receipts::read(&*self.shared.backend, key)
    }

    fn health_state(&self, connector: ConnectorIndex) -> StoreResult<HealthState> {
        health::read(&*self.shared.backend, connector)
    }

    fn import(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Import>> {
        imports::read(&*self.shared.backend, tenant, id)
    }

    fn imports(&self, tenant: TenantIndex, limit: usize) -> StoreResult<Vec<Import>> {
        imports::list(&*self.shared.backend, tenant, limit)
    }

    fn kv_get(&self, connector: ConnectorIndex, key: &str) -> StoreResult<Option<Vec<u8>>> {
        kv::get(&*self.shared.backend, connector, key)
    }

    fn kv_list(
        &self,
        connector: ConnectorIndex,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> StoreResult<Vec<(String, Vec<u8>)>> {
        kv::list(&*self.shared.backend, connector, prefix, after, limit)
    }

    fn kv_bytes(&self, connector: ConnectorIndex) -> StoreResult<u64> {
        Ok(self.shared.catalog.read().kv_bytes.get(&connector).copied().unwrap_or(0))
    }
}
