//! The store. Its lists are walks: tests have few rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use pombo_domain::model::delivery::DeliveryKey;
use pombo_domain::model::message::ReadyOrder;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp, ids};
use uuid::Uuid;

use super::ManualClock;
use super::automations::Automations;

#[derive(Default)]
struct Data {
    messages: BTreeMap<MessageKey, StoredMessage>,
    deliveries: BTreeMap<DeliveryKey, Delivery>,
    keys: HashMap<(TenantIndex, [u8; 32]), IdempotencyRecord>,
    tenants: BTreeMap<TenantIndex, Tenant>,
    users: Vec<User>,
    api_keys: BTreeMap<Uuid, ApiKey>,
    connectors: BTreeMap<ConnectorIndex, Arc<Connector>>,
    contacts: BTreeMap<Uuid, Contact>,
    imports: BTreeMap<Uuid, Import>,
    events: Vec<Event>,
    receipts: HashMap<MessageKey, Receipts>,
    health: HashMap<ConnectorIndex, HealthState>,
    /// What an address is another one of.
    aliases: HashMap<(TenantIndex, ContactType, String), String>,
    next_tenant: u32,
    next_connector: u32,
    automations: Automations,
}

type Fault = Box<dyn FnMut(&Batch) -> Option<StoreError> + Send>;

/// See the module.
pub(in crate::tests) struct FakeStore {
    clock: Arc<ManualClock>,
    data: Mutex<Data>,
    fault: Mutex<Option<Fault>>,
    observer: Mutex<Option<Arc<dyn CommitObserver>>>,
}

impl FakeStore {
    pub(super) fn new(clock: Arc<ManualClock>) -> Self {
        Self { clock, data: Mutex::default(), fault: Mutex::default(), observer: Mutex::default() }
    }
    /// Asked before each commit: `Some` refuses it.
    pub(in crate::tests) fn fault(&self, fault: impl FnMut(&Batch) -> Option<StoreError> + Send + 'static) {
        *self.fault.lock().expect("no test panics in it") = Some(Box::new(fault));
    }
    /// Puts a state into a message, as the scheduler would.
    pub(in crate::tests) fn force(&self, key: MessageKey, change: impl FnOnce(&mut MessageState)) {
        let mut data = self.data();
        let stored = data.messages.get_mut(&key).expect("the message is there");
        change(&mut stored.state);
        stored.state.revision += 1;
    }
    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().expect("no test panics in it")
    }
    pub(super) fn held(&self) -> MappedGuard<'_> {
        MappedGuard(self.data())
    }
}

/// The part of the data that [`Automations`] are.
pub(super) struct MappedGuard<'a>(MutexGuard<'a, Data>);

impl std::ops::Deref for MappedGuard<'_> {
    type Target = Automations;
    fn deref(&self) -> &Automations {
        &self.0.automations
    }
}

impl std::ops::DerefMut for MappedGuard<'_> {
    fn deref_mut(&mut self) -> &mut Automations {
        &mut self.0.automations
    }
}

impl Data {
    fn apply(&mut self, batch: Batch, now: Timestamp) -> StoreResult<Committed> {
        for change in &batch.changes {
            self.check(change)?;
        }
        let mut committed = Committed::default();
        for change in batch.changes {
            match change {
                Change::Insert(insert) => self.insert(insert, now, &mut committed),
                Change::Update(Update { key, state, delivery }) => {
                    if let Some(stored) = self.messages.get_mut(&key) {
                        stored.state = state;
                    }
                    self.deliveries.extend(delivery.map(|delivery| (delivery.key, delivery)));
                }
                Change::Delivery(delivery) => drop(self.deliveries.insert(delivery.key, delivery)),
                Change::Tenant(tenant) => drop(self.tenants.insert(tenant.index, tenant)),
                Change::User(user) => {
                    self.users.retain(|known| known.id != user.id);
                    self.users.push(user);
                }
                Change::ApiKey(key) => drop(self.api_keys.insert(key.id, key)),
                Change::Connector(connector) => drop(self.connectors.insert(connector.index, Arc::new(connector))),
                Change::Contact(contact) => drop(self.contacts.insert(contact.id, contact)),
                Change::DeleteContact(_, id) => drop(self.contacts.remove(&id)),
                Change::Import(import) => drop(self.imports.insert(import.id, import)),
                Change::Event(AppendEvent { tenant, event, .. }) => {
                    let serial = self.events.iter().filter(|known| known.key.tenant == tenant).count() as u64 + 1;
                    self.events.push(Event { key: EventKey { tenant, serial }, event });
                }
                Change::Receipts(key, receipts) => drop(self.receipts.insert(key, receipts)),
                Change::Health(connector, health) => drop(self.health.insert(connector, health)),
                Change::ContactAlias { tenant, kind, alias, identifier } => {
                    self.aliases.insert((tenant, kind, alias), identifier);
                }
                Change::Automation(change) => self.automations.apply(*change, now),
                Change::Pace(..) | Change::Kv(..) => {}
            }
        }
        Ok(committed)
    }

    fn check(&self, change: &Change) -> StoreResult<()> {
        let conflict = match change {
            Change::Update(update) => {
                let stored = self.messages.get(&update.key);
                let fits = stored.is_some_and(|stored| stored.state.revision + 1 == update.state.revision);
                (!fits).then_some(Conflict::Message(update.key))
            }
            Change::Insert(Insert { tenant, idempotency: Some(new), .. }) => {
                self.keys.contains_key(&(*tenant, new.key)).then_some(Conflict::IdempotencyKey)
            }
            Change::User(user) => {
                let taken = self.users.iter().any(|known| known.email == user.email && known.id != user.id);
                taken.then_some(Conflict::Email)
            }
            Change::Contact(contact) => {
                let same = |known: &Contact| {
                    known.tenant == contact.tenant
                        && known.kind == contact.kind
                        && known.identifier == contact.identifier
                };
                self.contacts.values().any(|known| same(known) && known.id != contact.id).then_some(Conflict::Contact)
            }
            Change::Automation(change) => return self.automations.check(change),
            _ => None,
        };
        conflict.map_or(Ok(()), |conflict| Err(StoreError::Conflict(conflict)))
    }

    fn insert(&mut self, insert: Insert, now: Timestamp, committed: &mut Committed) {
        let tenant = insert.tenant;
        let first = self.messages.keys().filter(|key| key.tenant == tenant).count() as u64;
        let count = insert.messages.len() as u32;
        for (serial, content) in (first..).zip(insert.messages) {
            let key = MessageKey { tenant, serial };
            let message =
                Message { id: ids::message_id(now, serial, u64::from(tenant.0)), key, created_at: now, content };
            let state = message.initial_state();
            let delivery = Delivery::of(&message, None, &state);
            self.deliveries.extend(delivery.map(|delivery| (delivery.key, delivery)));
            committed.inserted.push((key, message.id, now));
            self.messages.insert(key, StoredMessage { message, state });
        }
        if let Some(NewIdempotency { key, request, extra }) = insert.idempotency {
            self.keys.insert((tenant, key), IdempotencyRecord { request, at: now, messages: (first, count), extra });
        }
    }
}

fn matches(stored: &StoredMessage, filter: &MessageFilter) -> bool {
    let content = &stored.message.content;
    let text = format!("{} {} {}", content.to, content.contact_name.as_deref().unwrap_or_default(), content.text);
    let text = text.to_lowercase();
    let found = |words: &String| words.to_lowercase().split_whitespace().all(|word| text.contains(word));
    filter.status.is_none_or(|status| stored.state.status == status)
        && filter.connector.is_none_or(|connector| content.connector == connector)
        && filter.message_type.is_none_or(|kind| content.message_type == kind)
        && filter.external_id.as_ref().is_none_or(|id| content.external_id.as_ref() == Some(id))
        && filter.search.as_ref().is_none_or(found)
        && filter.from.is_none_or(|from| stored.message.created_at >= from)
        && filter.to.is_none_or(|to| stored.message.created_at <= to)
}

#[async_trait]
impl Store for FakeStore {
    async fn commit(&self, batch: Batch) -> StoreResult<Committed> {
        tokio::task::yield_now().await;
        let refused = self.fault.lock().expect("no test panics in it").as_mut().and_then(|fault| fault(&batch));
        match refused {
            Some(error) => Err(error),
            None => {
                let before = self.data().events.len();
                let committed = self.data().apply(batch, self.clock.now())?;
                let told = |event: &Event| Effect::Event(event.key.tenant, event.key.serial);
                let effects: Vec<Effect> = self.data().events.iter().skip(before).map(told).collect();
                if let Some(observer) = &*self.observer.lock().expect("no test panics in it") {
                    observer.committed(&effects);
                }
                Ok(committed)
            }
        }
    }
    fn observe(&self, observer: Arc<dyn CommitObserver>) {
        *self.observer.lock().expect("no test panics in it") = Some(observer);
    }
    fn health(&self) -> StoreHealth {
        StoreHealth::Good
    }
    fn message(&self, key: MessageKey) -> StoreResult<Option<StoredMessage>> {
        Ok(self.data().messages.get(&key).cloned())
    }
    fn messages(&self, keys: &[MessageKey]) -> StoreResult<Vec<Option<StoredMessage>>> {
        let data = self.data();
        Ok(keys.iter().map(|key| data.messages.get(key).cloned()).collect())
    }
    fn message_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<StoredMessage>> {
        let data = self.data();
        let found = data.messages.values().find(|m| m.message.key.tenant == tenant && m.message.id == id);
        Ok(found.cloned())
    }
    async fn list_messages(
        &self,
        tenant: TenantIndex,
        filter: MessageFilter,
        offset: u64,
        limit: u32,
    ) -> StoreResult<MessagePage> {
        let data = self.data();
        let mine = data.messages.values().rev().filter(|m| m.message.key.tenant == tenant && matches(m, &filter));
        let all: Vec<&StoredMessage> = mine.collect();
        let rows = all.iter().skip(offset as usize).take(limit as usize).map(|m| (*m).clone()).collect();
        Ok(MessagePage { rows, total: all.len() as u64 })
    }
    fn status_counts(&self, tenant: TenantIndex) -> [u64; 8] {
        let mut counts = [0; 8];
        for stored in self.data().messages.values().filter(|m| m.message.key.tenant == tenant) {
            counts[stored.state.status as usize] += 1;
        }
        counts
    }
    fn idempotency(&self, tenant: TenantIndex, key: &[u8; 32]) -> StoreResult<Option<IdempotencyRecord>> {
        Ok(self.data().keys.get(&(tenant, *key)).cloned())
    }

    fn ready(&self, _: ConnectorIndex, _: Option<ReadyOrder>, _: usize) -> StoreResult<Vec<ReadyEntry>> {
        unreachable!("no facade asks for a queue")
    }
    fn scheduled(&self, _: Timestamp, _: Option<ScheduledEntry>, _: usize) -> StoreResult<Vec<ScheduledEntry>> {
        unreachable!("no facade asks for a queue")
    }
    fn next_scheduled(&self) -> StoreResult<Option<Timestamp>> {
        unreachable!("no facade asks for a queue")
    }
    fn in_flight(&self, _: Option<MessageKey>, _: usize) -> StoreResult<Vec<MessageKey>> {
        unreachable!("no facade asks for a queue")
    }
    fn due_deliveries(&self, _: Timestamp, _: usize) -> StoreResult<Vec<DeliveryKey>> {
        unreachable!("no facade asks for a queue")
    }
    fn next_delivery(&self) -> StoreResult<Option<Timestamp>> {
        unreachable!("no facade asks for a queue")
    }

    fn delivery(&self, key: DeliveryKey) -> StoreResult<Option<Delivery>> {
        Ok(self.data().deliveries.get(&key).cloned())
    }
    fn delivery_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Delivery>> {
        let data = self.data();
        Ok(data.deliveries.values().find(|d| d.key.message.tenant == tenant && d.id == id).cloned())
    }
    fn deliveries(
        &self,
        tenant: TenantIndex,
        filter: &DeliveryFilter,
        offset: u64,
        limit: u32,
    ) -> StoreResult<Vec<Delivery>> {
        let data = self.data();
        let found = data.deliveries.values().rev().filter(|delivery| {
            delivery.key.message.tenant == tenant
                && filter.message.is_none_or(|message| delivery.key.message == message)
                && filter.status.is_none_or(|status| delivery.status == status)
        });
        Ok(found.skip(offset as usize).take(limit as usize).cloned().collect())
    }

    fn tenants(&self) -> StoreResult<Vec<Tenant>> {
        Ok(self.data().tenants.values().cloned().collect())
    }
    fn tenant_by_id(&self, id: Uuid) -> StoreResult<Option<Tenant>> {
        Ok(self.data().tenants.values().find(|tenant| tenant.id == id).cloned())
    }
    fn tenant(&self, index: TenantIndex) -> StoreResult<Option<Tenant>> {
        Ok(self.data().tenants.get(&index).cloned())
    }
    async fn next_tenant_index(&self) -> StoreResult<TenantIndex> {
        let mut data = self.data();
        data.next_tenant += 1;
        Ok(TenantIndex(data.next_tenant))
    }
    fn user_by_email(&self, email: &str) -> StoreResult<Option<User>> {
        Ok(self.data().users.iter().find(|user| user.email == email).cloned())
    }
    fn users(&self, tenant: TenantIndex) -> StoreResult<Vec<User>> {
        Ok(self.data().users.iter().filter(|user| user.tenant == tenant).cloned().collect())
    }
    fn api_key_by_hash(&self, hash: &[u8; 32]) -> StoreResult<Option<ApiKey>> {
        Ok(self.data().api_keys.values().find(|key| key.hash == *hash).cloned())
    }
    fn api_keys(&self, tenant: TenantIndex) -> StoreResult<Vec<ApiKey>> {
        Ok(self.data().api_keys.values().filter(|key| key.tenant == tenant).cloned().collect())
    }

    async fn next_connector_index(&self) -> StoreResult<ConnectorIndex> {
        let mut data = self.data();
        data.next_connector += 1;
        Ok(ConnectorIndex(data.next_connector))
    }
    fn connector(&self, index: ConnectorIndex) -> StoreResult<Option<Arc<Connector>>> {
        Ok(self.data().connectors.get(&index).cloned())
    }
    fn connector_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Connector>>> {
        Ok(self.data().connectors.values().find(|c| c.tenant == tenant && c.id == id).cloned())
    }
    fn connectors(&self, tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Connector>>> {
        let data = self.data();
        let live = data.connectors.values().filter(|connector| {
            connector.status != ConnectorStatus::Deleted && tenant.is_none_or(|tenant| connector.tenant == tenant)
        });
        Ok(live.cloned().collect())
    }
    fn pace_state(&self, _connector: ConnectorIndex) -> StoreResult<PaceState> {
        Ok(PaceState::default())
    }

    fn contact(&self, tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Option<Contact>> {
        let data = self.data();
        let known = data.aliases.get(&(tenant, kind, identifier.to_owned())).map_or(identifier, String::as_str);
        let found = |c: &&Contact| c.tenant == tenant && c.kind == kind && c.identifier == known;
        Ok(data.contacts.values().find(found).cloned())
    }
    fn contact_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Contact>> {
        Ok(self.data().contacts.get(&id).filter(|contact| contact.tenant == tenant).cloned())
    }
    fn contacts(&self, tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<Contact>> {
        let data = self.data();
        let later = data.contacts.values().filter(|c| c.tenant == tenant && after.is_none_or(|after| c.id > after));
        Ok(later.take(limit).cloned().collect())
    }

    fn contact_aliases(&self, tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Vec<String>> {
        let data = self.data();
        let mine =
            data.aliases.iter().filter(|(key, to)| (key.0, key.1) == (tenant, kind) && to.as_str() == identifier);
        Ok(mine.map(|(key, _)| key.2.clone()).collect())
    }
    fn events(
        &self,
        tenant: TenantIndex,
        filter: &EventFilter,
        after: u64,
        limit: usize,
    ) -> StoreResult<(Vec<Event>, u64)> {
        let data = self.data();
        let mut looked = after;
        let mut found = Vec::new();
        for event in data.events.iter().filter(|event| event.key.tenant == tenant && event.key.serial > after) {
            if found.len() == limit {
                break;
            }
            looked = event.key.serial;
            let wanted = filter.connector.is_none_or(|connector| connector == event.event.connector)
                && (filter.kinds.is_empty() || filter.kinds.iter().any(|kind| kind == event.event.body.kind()));
            if wanted {
                found.push(event.clone());
            }
        }
        Ok((found, looked))
    }
    fn last_event(&self, tenant: TenantIndex) -> StoreResult<u64> {
        Ok(self.data().events.iter().filter(|event| event.key.tenant == tenant).count() as u64)
    }
    async fn forget_events(&self, _: Timestamp, _: usize) -> StoreResult<usize> {
        Ok(0)
    }
    fn receipts(&self, key: MessageKey) -> StoreResult<Receipts> {
        Ok(self.data().receipts.get(&key).cloned().unwrap_or_default())
    }
    fn health_state(&self, connector: ConnectorIndex) -> StoreResult<HealthState> {
        Ok(self.data().health.get(&connector).cloned().unwrap_or_default())
    }
    fn import(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Import>> {
        Ok(self.data().imports.get(&id).filter(|import| import.tenant == tenant).cloned())
    }
    fn imports(&self, tenant: TenantIndex, limit: usize) -> StoreResult<Vec<Import>> {
        let data = self.data();
        let mut mine: Vec<Import> = data.imports.values().filter(|i| i.tenant == tenant).cloned().collect();
        mine.sort_by_key(|import| std::cmp::Reverse(import.created_at));
        mine.truncate(limit);
        Ok(mine.into_iter().map(|i| Import { problems: Vec::new(), messages: Vec::new(), ..i }).collect())
    }

    fn kv_get(&self, _: ConnectorIndex, _: &str) -> StoreResult<Option<Vec<u8>>> {
        Ok(None)
    }
    fn kv_list(&self, _: ConnectorIndex, _: &str, _: Option<&str>, _: usize) -> StoreResult<Vec<(String, Vec<u8>)>> {
        Ok(Vec::new())
    }
    fn kv_bytes(&self, _: ConnectorIndex) -> StoreResult<u64> {
        Ok(0)
    }
}
