//! A store in memory that keeps the port's promises: atomic batches, revisions, queues that follow from the states, one due
//! delivery per message, effects after the commit and in order. Faults are decorators around it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use pombo_domain::model::connector::*;
use pombo_domain::model::contact::*;
use pombo_domain::model::delivery::*;
use pombo_domain::model::event::*;
use pombo_domain::model::health::*;
use pombo_domain::model::import::Import;
use pombo_domain::model::message::*;
use pombo_domain::model::receipt::*;
use pombo_domain::model::tenant::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use uuid::Uuid;

use super::clock::ManualClock;

#[derive(Default)]
pub struct Data {
    pub messages: HashMap<MessageKey, StoredMessage>,
    pub ready: BTreeMap<ConnectorIndex, BTreeSet<ReadyEntry>>,
    pub scheduled: BTreeSet<ScheduledEntry>,
    pub in_flight: BTreeSet<MessageKey>,
    pub deliveries: BTreeMap<DeliveryKey, Delivery>,
    pub due: BTreeSet<(Timestamp, DeliveryKey)>,
    pub connectors: BTreeMap<ConnectorIndex, Arc<Connector>>,
    pub pace: BTreeMap<ConnectorIndex, PaceState>,
    pub contacts: Vec<Contact>,
    /// Other addresses, each with the identifier that its contact is known by.
    pub aliases: BTreeMap<(TenantIndex, ContactType, String), String>,
    pub kv: BTreeMap<(ConnectorIndex, String), Vec<u8>>,
    pub events: Vec<Event>,
    marks: BTreeSet<(TenantIndex, [u8; 16])>,
    pub receipts: HashMap<MessageKey, Receipts>,
    pub health: BTreeMap<ConnectorIndex, HealthState>,
    serials: HashMap<TenantIndex, u64>,
    /// Every state a message has had, in order of commits: what a user would have seen.
    pub history: Vec<(MessageKey, Status)>,
}

impl Data {
    fn enqueue(&mut self, stored: &StoredMessage, effects: &mut Vec<Effect>) {
        let (key, connector) = (stored.message.key, stored.message.content.connector);
        match stored.state.position(&stored.message) {
            Position::Ready(order) => {
                let entry = ReadyEntry { order, key };
                self.ready.entry(connector).or_default().insert(entry);
                effects.push(Effect::Ready(connector, entry));
            }
            Position::Scheduled(due_at) => {
                let entry = ScheduledEntry { due_at, connector, key };
                self.scheduled.insert(entry);
                effects.push(Effect::Scheduled(entry));
            }
            Position::InFlight => drop(self.in_flight.insert(key)),
            Position::None => {}
        }
    }

    fn dequeue(&mut self, stored: &StoredMessage, next: Status, effects: &mut Vec<Effect>) {
        let (key, connector) = (stored.message.key, stored.message.content.connector);
        match stored.state.position(&stored.message) {
            Position::Ready(order) => {
                let entry = ReadyEntry { order, key };
                assert!(self.ready.entry(connector).or_default().remove(&entry), "the queue follows the state");
                if next != Status::Processing {
                    effects.push(Effect::Unready(connector, entry));
                }
            }
            Position::Scheduled(due_at) => {
                assert!(self.scheduled.remove(&ScheduledEntry { due_at, connector, key }));
            }
            Position::InFlight => assert!(self.in_flight.remove(&key)),
            Position::None => {}
        }
    }

    /// Puts the message's oldest open delivery into the due queue, and no other.
    fn requeue_deliveries(&mut self, message: MessageKey, effects: &mut Vec<Effect>) {
        self.due.retain(|(_, key)| key.message != message);
        let from = DeliveryKey { message, revision: 0 };
        let head = self
            .deliveries
            .range(from..)
            .take_while(|(key, _)| key.message == message)
            .find(|(_, delivery)| delivery.status == DeliveryStatus::Pending);
        if let Some((key, delivery)) = head {
            self.due.insert((delivery.next_at, *key));
            effects.push(Effect::DeliveryDue(delivery.next_at));
        }
    }

    fn apply(&mut self, batch: Batch, now: Timestamp, effects: &mut Vec<Effect>) -> StoreResult<Committed> {
        let mut committed = Committed::default();
        let mut appended = 0;
        if !batch.skip_stale {
            for change in &batch.changes {
                if let Change::Update(update) = change
                    && self.messages.get(&update.key).is_none_or(|m| m.state.revision + 1 != update.state.revision)
                {
                    return Err(StoreError::Conflict(Conflict::Message(update.key)));
                }
            }
        }
        for change in batch.changes {
            match change {
                Change::Insert(insert) => {
                    for content in insert.messages {
                        let serial = self.serials.entry(insert.tenant).or_default();
                        let key = MessageKey { tenant: insert.tenant, serial: *serial };
                        *serial += 1;
                        let id = pombo_domain::ids::message_id(now, key.serial, key.serial);
                        let message = Message { id, key, created_at: now, content };
                        let state = message.initial_state();
                        if let Some(delivery) = Delivery::of(&message, None, &state) {
                            self.deliveries.insert(delivery.key, delivery);
                            self.requeue_deliveries(key, effects);
                        }
                        let stored = StoredMessage { message, state };
                        self.enqueue(&stored, effects);
                        self.history.push((key, stored.state.status));
                        self.messages.insert(key, stored);
                        committed.inserted.push((key, id, now));
                    }
                }
                Change::Update(Update { key, state, delivery }) => {
                    let Some(mut stored) = self.messages.get(&key).cloned() else { continue };
                    if stored.state.revision + 1 != state.revision {
                        committed.stale.push(key);
                        continue;
                    }
                    let after = StoredMessage { message: stored.message.clone(), state: state.clone() };
                    if stored.state.position(&stored.message) != after.state.position(&after.message) {
                        self.dequeue(&stored, state.status, effects);
                        self.enqueue(&after, effects);
                    }
                    self.history.push((key, state.status));
                    stored.state = state;
                    self.messages.insert(key, stored);
                    if let Some(delivery) = delivery {
                        self.deliveries.insert(delivery.key, delivery);
                        self.requeue_deliveries(key, effects);
                    }
                }
                Change::Delivery(delivery) => {
                    let message = delivery.key.message;
                    self.deliveries.insert(delivery.key, delivery);
                    self.requeue_deliveries(message, effects);
                }
                Change::Connector(connector) => {
                    effects.push(Effect::Connector(connector.index));
                    self.connectors.insert(connector.index, Arc::new(connector));
                }
                Change::Pace(connector, state) => drop(self.pace.insert(connector, state)),
                Change::Contact(contact) => {
                    self.contacts.retain(|known| known.id != contact.id);
                    self.contacts.push(contact);
                }
                Change::ContactAlias { tenant, kind, alias, identifier } => {
                    self.aliases.insert((tenant, kind, alias), identifier);
                }
                Change::Kv(connector, writes) => {
                    for KvWrite { key, value } in writes {
                        match value {
                            Some(value) => self.kv.insert((connector, key), value),
                            None => self.kv.remove(&(connector, key)),
                        };
                    }
                }
                Change::Event(AppendEvent { tenant, event, once }) => {
                    if once.is_none_or(|mark| self.marks.insert((tenant, mark))) {
                        let serial = 1 + self.events.iter().filter(|event| event.key.tenant == tenant).count() as u64;
                        self.events.push(Event { key: EventKey { tenant, serial }, event });
                        effects.push(Effect::Event(tenant, serial));
                    } else {
                        committed.repeated.push(appended);
                    }
                    appended += 1;
                }
                Change::Receipts(key, receipts) => drop(self.receipts.insert(key, receipts)),
                Change::Health(connector, health) => drop(self.health.insert(connector, health)),
                _ => unreachable!("the scheduler and its tests write nothing else"),
            }
        }
        Ok(committed)
    }
}

pub struct FakeStore {
    clock: ManualClock,
    pub data: Mutex<Data>,
    observer: Mutex<Option<Arc<dyn CommitObserver>>>,
    /// Commits that the scheduler asked for, refused ones included.
    pub commits: AtomicUsize,
    /// Asked before each commit of the scheduler, with its number: `Some` refuses it.
    fault: Mutex<Option<Fault>>,
    /// Real milliseconds that a commit takes, for measuring; a test's commits take one yield.
    pub commit_takes: AtomicU64,
}

type Fault = Box<dyn FnMut(usize, &Batch) -> Option<StoreError> + Send>;

impl FakeStore {
    pub fn new(clock: ManualClock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            data: Mutex::default(),
            observer: Mutex::default(),
            commits: AtomicUsize::new(0),
            fault: Mutex::default(),
            commit_takes: AtomicU64::new(0),
        })
    }

    /// Plans faults.
    pub fn fault(&self, fault: impl FnMut(usize, &Batch) -> Option<StoreError> + Send + 'static) {
        *self.fault.lock() = Some(Box::new(fault));
    }

    /// Commits like [`Store::commit`], for a test's own writes.
    pub fn write(&self, batch: Batch) -> StoreResult<Committed> {
        let mut effects = Vec::new();
        let committed = self.data.lock().apply(batch, pombo_domain::ports::Clock::now(&self.clock), &mut effects)?;
        let observer = self.observer.lock().clone();
        if let Some(observer) = observer {
            observer.committed(&effects);
        }
        Ok(committed)
    }
}

fn page<'a, T: Ord + Copy + 'a>(set: &'a BTreeSet<T>, after: Option<T>, limit: usize) -> impl Iterator<Item = &'a T> {
    use std::ops::Bound::{Excluded, Unbounded};
    set.range((after.map_or(Unbounded, Excluded), Unbounded)).take(limit)
}

/// It holds no automations.
impl AutomationStore for FakeStore {}

#[async_trait]
impl Store for FakeStore {
    async fn commit(&self, batch: Batch) -> StoreResult<Committed> {
        match self.commit_takes.load(Ordering::Relaxed) {
            0 => tokio::task::yield_now().await,
            ms => tokio::time::sleep(std::time::Duration::from_millis(ms)).await,
        }
        let number = self.commits.fetch_add(1, Ordering::Relaxed);
        let refused = self.fault.lock().as_mut().and_then(|fault| fault(number, &batch));
        match refused {
            Some(error) => Err(error),
            None => self.write(batch),
        }
    }
    fn observe(&self, observer: Arc<dyn CommitObserver>) {
        *self.observer.lock() = Some(observer);
    }
    fn health(&self) -> StoreHealth {
        StoreHealth::Good
    }
    fn message(&self, key: MessageKey) -> StoreResult<Option<StoredMessage>> {
        Ok(self.data.lock().messages.get(&key).cloned())
    }
    fn messages(&self, keys: &[MessageKey]) -> StoreResult<Vec<Option<StoredMessage>>> {
        let data = self.data.lock();
        Ok(keys.iter().map(|key| data.messages.get(key).cloned()).collect())
    }
    fn ready(
        &self,
        connector: ConnectorIndex,
        after: Option<ReadyOrder>,
        limit: usize,
    ) -> StoreResult<Vec<ReadyEntry>> {
        let data = self.data.lock();
        let Some(queue) = data.ready.get(&connector) else { return Ok(Vec::new()) };
        let key = MessageKey { tenant: TenantIndex(u32::MAX), serial: u64::MAX };
        let after = after.map(|order| ReadyEntry { order, key });
        Ok(page(queue, after, limit).copied().collect())
    }
    fn scheduled(
        &self,
        until: Timestamp,
        after: Option<ScheduledEntry>,
        limit: usize,
    ) -> StoreResult<Vec<ScheduledEntry>> {
        let data = self.data.lock();
        Ok(page(&data.scheduled, after, limit).take_while(|entry| entry.due_at <= until).copied().collect())
    }
    fn next_scheduled(&self) -> StoreResult<Option<Timestamp>> {
        Ok(self.data.lock().scheduled.first().map(|entry| entry.due_at))
    }
    fn in_flight(&self, after: Option<MessageKey>, limit: usize) -> StoreResult<Vec<MessageKey>> {
        Ok(page(&self.data.lock().in_flight, after, limit).copied().collect())
    }
    fn due_deliveries(&self, until: Timestamp, limit: usize) -> StoreResult<Vec<DeliveryKey>> {
        let data = self.data.lock();
        Ok(data.due.iter().take_while(|(at, _)| *at <= until).take(limit).map(|(_, key)| *key).collect())
    }
    fn next_delivery(&self) -> StoreResult<Option<Timestamp>> {
        Ok(self.data.lock().due.first().map(|(at, _)| *at))
    }
    fn delivery(&self, key: DeliveryKey) -> StoreResult<Option<Delivery>> {
        Ok(self.data.lock().deliveries.get(&key).cloned())
    }
    fn deliveries(
        &self,
        tenant: TenantIndex,
        filter: &DeliveryFilter,
        offset: u64,
        limit: u32,
    ) -> StoreResult<Vec<Delivery>> {
        let data = self.data.lock();
        let matches = data.deliveries.values().filter(|delivery| {
            delivery.key.message.tenant == tenant
                && filter.message.is_none_or(|message| delivery.key.message == message)
                && filter.status.is_none_or(|status| delivery.status == status)
        });
        Ok(matches.skip(usize::try_from(offset).unwrap_or(0)).take(limit as usize).cloned().collect())
    }
    fn connector(&self, index: ConnectorIndex) -> StoreResult<Option<Arc<Connector>>> {
        Ok(self.data.lock().connectors.get(&index).cloned())
    }
    fn connectors(&self, tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Connector>>> {
        let data = self.data.lock();
        let listed = data.connectors.values().filter(|connector| {
            connector.status != ConnectorStatus::Deleted && tenant.is_none_or(|tenant| connector.tenant == tenant)
        });
        Ok(listed.cloned().collect())
    }
    fn pace_state(&self, connector: ConnectorIndex) -> StoreResult<PaceState> {
        Ok(self.data.lock().pace.get(&connector).cloned().unwrap_or_default())
    }
    fn contact(&self, tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Option<Contact>> {
        let data = self.data.lock();
        let known_as = |identifier: &str| {
            data.contacts.iter().find(|c| c.tenant == tenant && c.kind == kind && c.identifier == identifier).cloned()
        };
        let alias = || data.aliases.get(&(tenant, kind, identifier.to_owned()));
        Ok(known_as(identifier).or_else(|| known_as(alias()?)))
    }
    fn message_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<StoredMessage>> {
        let data = self.data.lock();
        Ok(data.messages.values().find(|m| m.message.id == id && m.message.key.tenant == tenant).cloned())
    }
    fn contact_aliases(&self, tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Vec<String>> {
        let data = self.data.lock();
        let own = data.aliases.iter().filter(|((of, k, _), known)| (*of, *k) == (tenant, kind) && *known == identifier);
        Ok(own.map(|((_, _, alias), _)| alias.clone()).collect())
    }
    fn receipts(&self, key: MessageKey) -> StoreResult<Receipts> {
        Ok(self.data.lock().receipts.get(&key).cloned().unwrap_or_default())
    }
    fn health_state(&self, connector: ConnectorIndex) -> StoreResult<HealthState> {
        Ok(self.data.lock().health.get(&connector).cloned().unwrap_or_default())
    }

    // What the scheduler never asks.
    fn events(&self, _: TenantIndex, _: &EventFilter, _: u64, _: usize) -> StoreResult<(Vec<Event>, u64)> {
        unreachable!()
    }
    fn last_event(&self, _: TenantIndex) -> StoreResult<u64> {
        unreachable!()
    }
    async fn forget_events(&self, _: Timestamp, _: usize) -> StoreResult<usize> {
        unreachable!()
    }
    async fn list_messages(&self, _: TenantIndex, _: MessageFilter, _: u64, _: u32) -> StoreResult<MessagePage> {
        unreachable!()
    }
    fn status_counts(&self, _: TenantIndex) -> [u64; 8] {
        unreachable!()
    }
    fn idempotency(&self, _: TenantIndex, _: &[u8; 32]) -> StoreResult<Option<IdempotencyRecord>> {
        unreachable!()
    }
    fn delivery_by_id(&self, _: TenantIndex, _: Uuid) -> StoreResult<Option<Delivery>> {
        unreachable!()
    }
    fn tenants(&self) -> StoreResult<Vec<Tenant>> {
        unreachable!()
    }
    fn tenant_by_id(&self, _: Uuid) -> StoreResult<Option<Tenant>> {
        unreachable!()
    }
    fn tenant(&self, _: TenantIndex) -> StoreResult<Option<Tenant>> {
        unreachable!()
    }
    async fn next_tenant_index(&self) -> StoreResult<TenantIndex> {
        unreachable!()
    }
    fn user_by_email(&self, _: &str) -> StoreResult<Option<User>> {
        unreachable!()
    }
    fn users(&self, _: TenantIndex) -> StoreResult<Vec<User>> {
        unreachable!()
    }
    fn api_key_by_hash(&self, _: &[u8; 32]) -> StoreResult<Option<ApiKey>> {
        unreachable!()
    }
    fn api_keys(&self, _: TenantIndex) -> StoreResult<Vec<ApiKey>> {
        unreachable!()
    }
    async fn next_connector_index(&self) -> StoreResult<ConnectorIndex> {
        unreachable!()
    }
    fn connector_by_id(&self, _: TenantIndex, _: Uuid) -> StoreResult<Option<Arc<Connector>>> {
        unreachable!()
    }
    fn contact_by_id(&self, _: TenantIndex, _: Uuid) -> StoreResult<Option<Contact>> {
        unreachable!()
    }
    fn contacts(&self, _: TenantIndex, _: Option<Uuid>, _: usize) -> StoreResult<Vec<Contact>> {
        unreachable!()
    }
    fn import(&self, _: TenantIndex, _: Uuid) -> StoreResult<Option<Import>> {
        unreachable!()
    }
    fn imports(&self, _: TenantIndex, _: usize) -> StoreResult<Vec<Import>> {
        unreachable!()
    }
    fn kv_get(&self, _: ConnectorIndex, _: &str) -> StoreResult<Option<Vec<u8>>> {
        unreachable!()
    }
    fn kv_list(&self, _: ConnectorIndex, _: &str, _: Option<&str>, _: usize) -> StoreResult<Vec<(String, Vec<u8>)>> {
        unreachable!()
    }
    fn kv_bytes(&self, _: ConnectorIndex) -> StoreResult<u64> {
        unreachable!()
    }
}
