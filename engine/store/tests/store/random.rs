//! Random operations on the store and on the model; what either shows must be equal. The store is closed and opened between
//! some of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use pombo_domain::model::message::{Reason, ReasonCode, Resolution};
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use pombo_store::DiskStore;
use proptest::prelude::*;

use crate::model::Model;
use crate::support::*;

const TEXTS: [&str; 8] = [
    "Olá Maria, seu pedido 4411 saiu",
    "Confirmação de CONSULTA amanhã às 10h",
    "Promoção! 50% de desconto",
    "olá",
    "",
    "pedido pedido pedido",
    "a  b\tc\n d",
    "código de acesso: 998877",
];
const NAMES: [Option<&str>; 4] = [None, Some("João Ação"), Some("maria"), Some("Érica Conceição")];
const QUERIES: [&str; 12] =
    ["ola", "OLÁ maria", "pedido 44", "acao", "5511", "conceição", "zzz", "e", "50%", "código: 99", "  ", "a b"];

#[derive(Debug, Clone)]
struct Row {
    connector: u32,
    kind: usize,
    priority: u8,
    scheduled: Option<i64>,
    approval: bool,
    direct: bool,
    webhook: bool,
    external: Option<u8>,
    text: usize,
    name: usize,
    to: u8,
}

#[derive(Debug, Clone)]
enum Op {
    Insert(bool, Vec<Row>),
    Step(usize, u8),
    /// Two updates of one message at once: one wins.
    Race(usize),
    Stale(usize, bool),
    Delivery(usize, u8),
    Contact(u8, u8, bool),
    Kv(Vec<(u8, Option<u8>)>),
    Alias(u8, u8),
    /// Events of one batch: second tenant, connector, kind, mark; and whether the batch fails.
    Events(Vec<(bool, u32, bool, Option<u8>)>, bool),
    /// One marked event twice at once: one wins.
    EventRace(u8),
    Forget(i64, usize),
    Receipts(usize, bool),
    Health(u32, u8),
    Advance(i64),
    List(Filter),
    Check,
    Reopen,
}

#[derive(Debug, Clone)]
struct Filter {
    second: bool,
    status: Option<usize>,
    connector: Option<u32>,
    kind: Option<usize>,
    external: Option<u8>,
    query: Option<usize>,
    from: Option<i64>,
    to: Option<i64>,
    offset: u64,
    limit: u32,
}

const KINDS: [MessageType; 6] = [
    MessageType::General,
    MessageType::Notification,
    MessageType::Marketing,
    MessageType::Transactional,
    MessageType::Support,
    MessageType::Reminder,
];

fn row() -> impl Strategy<Value = Row> {
    let attributes = (0..3u32, 0..6usize, 1..=10u8, proptest::option::weighted(0.2, -50..500i64));
    let flags = (proptest::bool::weighted(0.2), proptest::bool::weighted(0.1), proptest::bool::weighted(0.3));
    let content = (proptest::option::weighted(0.3, 0..6u8), 0..TEXTS.len(), 0..NAMES.len(), 0..20u8);
    (attributes, flags, content).prop_map(
        |((connector, kind, priority, scheduled), (approval, direct, webhook), (external, text, name, to))| Row {
            connector,
            kind,
            priority,
            scheduled,
            approval,
            direct,
            webhook,
            external,
            text,
            name,
            to,
        },
    )
}

fn filter() -> impl Strategy<Value = Filter> {
    let some = |n: usize| proptest::option::weighted(0.3, 0..n);
    let attributes = (any::<bool>(), some(8), proptest::option::weighted(0.3, 0..4u32), some(6));
    let content = (proptest::option::weighted(0.2, 0..7u8), proptest::option::weighted(0.4, 0..QUERIES.len()));
    let when = || proptest::option::weighted(0.3, -100..3000i64);
    (attributes, content, when(), when(), 0..20u64, 0..30u32).prop_map(
        |((second, status, connector, kind), (external, query), from, to, offset, limit)| Filter {
            second,
            status,
            connector,
            kind,
            external,
            query,
            from,
            to,
            offset,
            limit,
        },
    )
}

fn appended() -> impl Strategy<Value = (bool, u32, bool, Option<u8>)> {
    (any::<bool>(), 0..3u32, any::<bool>(), proptest::option::weighted(0.6, 0..9u8))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (any::<bool>(), proptest::collection::vec(row(), 0..12)).prop_map(|(b, rows)| Op::Insert(b, rows)),
        10 => (any::<usize>(), 0..12u8).prop_map(|(pick, which)| Op::Step(pick, which)),
        1 => any::<usize>().prop_map(Op::Race),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(pick, skip)| Op::Stale(pick, skip)),
        5 => (any::<usize>(), 0..4u8).prop_map(|(pick, outcome)| Op::Delivery(pick, outcome)),
        2 => (0..5u8, 0..4u8, any::<bool>()).prop_map(|(id, address, put)| Op::Contact(id, address, put)),
        1 => proptest::collection::vec((0..5u8, proptest::option::of(0..40u8)), 0..6).prop_map(Op::Kv),
        2 => (0..7u8, 0..4u8).prop_map(|(alias, address)| Op::Alias(alias, address)),
        4 => (proptest::collection::vec(appended(), 0..6), proptest::bool::weighted(0.2))
            .prop_map(|(events, fails)| Op::Events(events, fails)),
        1 => (0..9u8).prop_map(Op::EventRace),
        1 => (-100..1000i64, 0..9usize).prop_map(|(age, limit)| Op::Forget(age, limit)),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(pick, read)| Op::Receipts(pick, read)),
        1 => (0..3u32, 0..3u8).prop_map(|(connector, told)| Op::Health(connector, told)),
        3 => (-40..400i64).prop_map(Op::Advance),
        6 => filter().prop_map(Op::List),
        2 => Just(Op::Check),
        1 => Just(Op::Reopen),
    ]
}

/// What the effects say of the ready queues and of the event logs.
#[derive(Default)]
struct Mirror(Mutex<BTreeSet<(ConnectorIndex, ReadyEntry)>>, Mutex<BTreeMap<TenantIndex, u64>>);

impl CommitObserver for Mirror {
    fn committed(&self, effects: &[Effect]) {
        let mut ready = self.0.lock();
        for effect in effects {
            match effect {
                Effect::Ready(connector, entry) => assert!(ready.insert((*connector, *entry)), "joined twice"),
                Effect::Unready(connector, entry) => assert!(ready.remove(&(*connector, *entry)), "left twice"),
                Effect::Event(tenant, serial) => {
                    let mut logs = self.1.lock();
                    let last = logs.entry(*tenant).or_default();
                    *last += 1;
                    assert_eq!(*serial, *last, "events are told in order, each once");
                }
                _ => {}
            }
        }
    }
}

struct World {
    store: Arc<DiskStore>,
    model: Model,
    mirror: Arc<Mirror>,
    clock: Arc<ManualClock>,
    start: Timestamp,
}

fn body(other: bool) -> EventBody {
    if other {
        return EventBody::Other("k".to_owned(), "{}".to_owned());
    }
    EventBody::Session { state: "connected".into(), account: None, reason: None }
}

/// A step by number, where the state allows it.
fn transition(state: &MessageState, which: u8, now: Timestamp) -> Option<MessageState> {
    let reason = || Reason::new(ReasonCode::Temporary, "later");
    match which {
        0 => state.approve(now).ok(),
        1 => state.reject(None, now).ok(),
        2 => state.cancel(None, now).ok(),
        3 => state.retry(now).ok(),
        4 => state.resolve(Resolution::Retry, now).ok(),
        5 => state.due(now).ok(),
        6 => state.hold(reason(), now.plus_ms(50), now).ok(),
        7 => state.sent(Some("p".to_owned()), now).ok(),
        8 => state.failed(reason(), now).ok(),
        9 => state.retry_later(reason(), now.plus_ms(30), false, now).ok(),
        10 => state.unknown(reason(), now).ok(),
        _ => state.claim(now).ok(),
    }
}

impl World {
    fn pick(&self, pick: usize) -> Option<StoredMessage> {
        let count = self.model.all().count();
        (count > 0).then(|| self.model.all().nth(pick % count).unwrap().clone())
    }

    async fn update(&mut self, message: &StoredMessage, state: MessageState) {
        if state.status == Status::Processing
            && let pombo_domain::model::message::Position::Ready(order) = message.state.position(&message.message)
        {
            let entry = ReadyEntry { order, key: message.message.key };
            self.mirror.0.lock().remove(&(message.message.content.connector, entry));
        }
        let update = update(message, state);
        self.store.commit(Batch::of(vec![Change::Update(update.clone())])).await.unwrap();
        self.model.updated(update);
    }

    async fn run(&mut self, op: Op, path: &std::path::Path) {
        let now = self.clock.now();
        match op {
            Op::Insert(second, rows) => {
                let tenant = if second { B } else { A };
                let base = if second { 10 } else { 0 };
                let content: Vec<NewMessage> = rows
                    .into_iter()
                    .map(|row| NewMessage {
                        message_type: KINDS[row.kind],
                        priority: row.priority,
                        scheduled_at: row.scheduled.map(|ms| now.plus_ms(ms)),
                        requires_approval: row.approval,
                        force_direct: row.direct,
                        webhook_url: row.webhook.then(|| "https://example.com/hook".to_owned()),
                        external_id: row.external.map(|n| format!("ext{n}")),
                        contact_name: NAMES[row.name].map(str::to_owned),
                        ..message(row.connector + base, &format!("5511{:04}", row.to), TEXTS[row.text])
                    })
                    .collect();
                let committed = self.store.commit(inserts(tenant, content.clone())).await.unwrap();
                self.model.inserted(tenant, content, &committed);
            }
            Op::Step(pick, which) => {
                let Some(message) = self.pick(pick) else { return };
                if let Some(state) = transition(&message.state, which, now) {
                    self.update(&message, state).await;
                }
            }
            Op::Race(pick) => {
                let Some(message) = self.pick(pick) else { return };
                let Some(state) = transition(&message.state, 2, now) else { return };
                let batch = Batch::of(vec![Change::Update(update(&message, state.clone()))]);
                let (one, two) = tokio::join!(self.store.commit(batch.clone()), self.store.commit(batch));
                let lost = Err(StoreError::Conflict(Conflict::Message(message.message.key)));
                assert!(one.is_ok() != two.is_ok());
                assert!(one == lost || two == lost);
                self.model.updated(update(&message, state));
            }
            Op::Stale(pick, skip) => {
                let Some(message) = self.pick(pick) else { return };
                let mut state = message.state.clone();
                state.revision += 2;
                let stale = Change::Update(Update { key: message.message.key, state, delivery: None });
                let kv = Change::Kv(ConnectorIndex(1), vec![KvWrite { key: "k9".into(), value: Some(vec![9]) }]);
                let result = self.store.commit(Batch { changes: vec![kv, stale], skip_stale: skip }).await;
                if skip {
                    assert_eq!(result.unwrap().stale, vec![message.message.key]);
                    self.model.kv.insert("k9".into(), vec![9]);
                } else {
                    assert_eq!(result, Err(StoreError::Conflict(Conflict::Message(message.message.key))));
                }
            }
            Op::Delivery(pick, outcome) => {
                if self.model.deliveries.is_empty() {
                    return;
                }
                let mut delivery =
                    self.model.deliveries.values().nth(pick % self.model.deliveries.len()).unwrap().clone();
                delivery.status = match outcome {
                    0 => DeliveryStatus::Delivered,
                    1 => DeliveryStatus::Abandoned,
                    _ => DeliveryStatus::Pending,
                };
                delivery.next_at = now.plus_ms(i64::from(outcome));
                delivery.tries += 1;
                self.store.commit(Batch::of(vec![Change::Delivery(delivery.clone())])).await.unwrap();
                self.model.deliveries.insert(delivery.key, delivery);
            }
            Op::Contact(id, address, put) => {
                let id = uuid::Uuid::from_u128(u128::from(id) + 1);
                if !put {
                    self.store.commit(Batch::of(vec![Change::DeleteContact(A, id)])).await.unwrap();
                    let deleted: Vec<String> =
                        self.model.contacts.values().filter(|c| c.id == id).map(|c| c.identifier.clone()).collect();
                    self.model.aliases.retain(|_, identifier| !deleted.contains(identifier));
                    self.model.contacts.retain(|_, contact| contact.id != id);
                    return;
                }
                let contact = Contact {
                    id,
                    tenant: A,
                    kind: ContactType::Email,
                    identifier: format!("{address}@x"),
                    name: None,
                    active: true,
                    reason: None,
                    created_at: now,
                    updated_at: now,
                };
                let place = (contact.kind, contact.identifier.clone());
                let taken = self.model.contacts.get(&place).is_some_and(|other| other.id != id);
                let result = self.store.commit(Batch::of(vec![Change::Contact(contact.clone())])).await;
                if taken {
                    assert_eq!(result, Err(StoreError::Conflict(Conflict::Contact)));
                } else {
                    result.unwrap();
                    self.model.contacts.retain(|_, contact| contact.id != id);
                    self.model.contacts.insert(place, contact);
                }
            }
            Op::Kv(writes) => {
                let write = |(key, value): &(u8, Option<u8>)| KvWrite {
                    key: format!("k{key}"),
                    value: value.map(|n| vec![n; usize::from(n)]),
                };
                let writes: Vec<KvWrite> = writes.iter().map(write).collect();
                self.store.commit(Batch::of(vec![Change::Kv(ConnectorIndex(1), writes.clone())])).await.unwrap();
                for KvWrite { key, value } in writes {
                    match value {
                        Some(value) => self.model.kv.insert(key, value),
                        None => self.model.kv.remove(&key),
                    };
                }
            }
            Op::Alias(alias, address) => {
                let (alias, identifier) = (format!("{alias}@x"), format!("{address}@x"));
                let change = Change::ContactAlias {
                    tenant: A,
                    kind: ContactType::Email,
                    alias: alias.clone(),
                    identifier: identifier.clone(),
                };
                self.store.commit(Batch::of(vec![change])).await.unwrap();
                if alias != identifier {
                    self.model.aliases.insert(alias, identifier);
                }
            }
            Op::Events(events, fails) => self.append(events, fails).await,
            Op::EventRace(mark) => {
                let change = event(A, 1, now, body(true), Some(mark));
                let batch = Batch::of(vec![change.clone()]);
                let (one, two) = tokio::join!(self.store.commit(batch.clone()), self.store.commit(batch));
                let repeated = [one.unwrap().repeated, two.unwrap().repeated];
                let Change::Event(append) = change else { unreachable!() };
                assert_eq!(repeated, [self.model.appended(vec![append.clone()]), self.model.appended(vec![append])]);
            }
            Op::Forget(age, limit) => {
                let before = now.plus_ms(-age);
                assert_eq!(self.store.forget_events(before, limit).await, Ok(self.model.forgotten(before, limit)));
            }
            Op::Receipts(pick, read) => {
                let Some(message) = self.pick(pick) else { return };
                let key = message.message.key;
                let mut receipts = self.store.receipts(key).unwrap();
                receipts.note(Some("m"), if read { ReceiptKind::Read } else { ReceiptKind::Delivered }, now, None);
                self.store.commit(Batch::of(vec![Change::Receipts(key, receipts.clone())])).await.unwrap();
                self.model.receipts.insert(key, receipts);
            }
            Op::Health(connector, told) => {
                let connector = ConnectorIndex(connector);
                let state = HealthState { told, since: now, ..HealthState::default() };
                self.store.commit(Batch::of(vec![Change::Health(connector, state.clone())])).await.unwrap();
                self.model.health.insert(connector, state);
            }
            Op::Advance(ms) => self.clock.jump(ms),
            Op::List(filter) => self.list(filter).await,
            Op::Check => self.check(),
            Op::Reopen => {
                let before = snapshot(&self.store);
                self.store.close().unwrap();
                let placeholder = tempfile::tempdir().unwrap();
                // The folder is locked until the last handle is gone.
                self.store = open(placeholder.path(), &self.clock);
                self.store = open(path, &self.clock);
                self.store.observe(self.mirror.clone());
                assert_eq!(before, snapshot(&self.store));
                self.check();
            }
        }
    }

    async fn append(&mut self, events: Vec<(bool, u32, bool, Option<u8>)>, fails: bool) {
        let now = self.clock.now();
        let mut changes: Vec<Change> = events
            .into_iter()
            .map(|(second, connector, kind, mark)| event(if second { B } else { A }, connector, now, body(kind), mark))
            .collect();
        let appended = changes.iter().filter_map(|change| match change {
            Change::Event(append) => Some(append.clone()),
            _ => None,
        });
        let appended: Vec<AppendEvent> = appended.collect();
        if fails {
            let nothing = MessageKey { tenant: B, serial: 1 << 30 };
            changes.push(Change::Receipts(nothing, Receipts::default()));
            let failed = self.store.commit(Batch::of(changes)).await;
            assert_eq!(failed, Err(StoreError::Conflict(Conflict::Message(nothing))));
            return;
        }
        let committed = self.store.commit(Batch::of(changes)).await.unwrap();
        assert_eq!(committed.repeated, self.model.appended(appended));
    }

    fn check_events(&self) {
        for tenant in [A, B, TenantIndex(3)] {
            let log = self.model.logs.get(&tenant).cloned().unwrap_or_default();
            assert_eq!(self.store.last_event(tenant).unwrap(), log.last);
            let kinds = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect();
            for filter in [
                EventFilter::default(),
                EventFilter { connector: Some(ConnectorIndex(1)), kinds: Vec::new() },
                EventFilter { connector: None, kinds: kinds(&["other"]) },
                EventFilter { connector: Some(ConnectorIndex(0)), kinds: kinds(&["session.changed"]) },
            ] {
                let wanted = |e: &&Event| {
                    filter.connector.is_none_or(|c| e.event.connector == c)
                        && (filter.kinds.is_empty() || filter.kinds.iter().any(|kind| kind == e.event.body.kind()))
                };
                let expected: Vec<Event> = log.events.iter().map(|(e, _)| e).filter(wanted).cloned().collect();
                let (mut found, mut after) = (Vec::new(), 0);
                loop {
                    let (page, next) = self.store.events(tenant, &filter, after, 3).unwrap();
                    assert!(page.len() <= 3 && page.iter().all(|e| e.key.serial > after && e.key.serial <= next));
                    found.extend(page);
                    if next == after {
                        break;
                    }
                    after = next;
                }
                assert_eq!(found, expected);
            }
        }
    }

    fn check_addresses(&self) {
        for address in (0..7).map(|n| format!("{n}@x")) {
            let expected = self.model.contact_at(ContactType::Email, &address);
            assert!(self.store.contact(A, ContactType::Email, &address).unwrap().as_ref() == expected);
            assert!(self.store.contact(B, ContactType::Email, &address).unwrap().is_none());
            let known = |alias: &String| self.model.contacts.contains_key(&(ContactType::Email, alias.clone()));
            let of = self.model.aliases.iter().filter(|(alias, of)| **of == address && !known(alias));
            let expected: Vec<String> = of.map(|(alias, _)| alias.clone()).collect();
            assert_eq!(self.store.contact_aliases(A, ContactType::Email, &address).unwrap(), expected);
        }
    }

    async fn list(&self, filter: Filter) {
        let tenant = if filter.second { B } else { A };
        let at = |ms: i64| self.start.plus_ms(ms);
        let wanted = MessageFilter {
            status: filter.status.map(|s| Status::ALL[s]),
            connector: filter.connector.map(|c| ConnectorIndex(if filter.second { c + 10 } else { c })),
            message_type: filter.kind.map(|k| KINDS[k]),
            external_id: filter.external.map(|n| format!("ext{n}")),
            search: filter.query.map(|q| QUERIES[q].to_owned()),
            from: filter.from.map(at),
            to: filter.to.map(at),
        };
        let expected = self.model.list(tenant, &wanted);
        let page = self.store.list_messages(tenant, wanted.clone(), filter.offset, filter.limit).await.unwrap();
        assert_eq!(page.total, expected.len() as u64, "{wanted:?}");
        let expected: Vec<_> =
            expected.into_iter().skip(filter.offset as usize).take(filter.limit as usize).cloned().collect();
        assert!(page.rows == expected, "{wanted:?}");
    }

    fn check(&self) {
        let store = &self.store;
        for connector in (0..3).chain(10..13).map(ConnectorIndex) {
            let expected = self.model.ready(connector);
            assert_eq!(store.ready(connector, None, 1000).unwrap(), expected);
            if let [_, second, rest @ ..] = expected.as_slice() {
                assert_eq!(store.ready(connector, Some(second.order), 1000).unwrap(), rest);
            }
            let mirrored: Vec<ReadyEntry> =
                self.mirror.0.lock().iter().filter(|(c, _)| *c == connector).map(|(_, e)| *e).collect();
            assert_eq!(mirrored, expected, "the effects tell the ready queues");
        }
        let scheduled = self.model.scheduled();
        assert_eq!(store.scheduled(Timestamp(i64::MAX), None, 1000).unwrap(), scheduled);
        assert_eq!(store.next_scheduled().unwrap(), scheduled.first().map(|e| e.due_at));
        if let [first, rest @ ..] = scheduled.as_slice() {
            assert_eq!(store.scheduled(Timestamp(i64::MAX), Some(*first), 1000).unwrap(), rest);
            let until = rest.first().map_or(first.due_at, |e| e.due_at);
            let expected: Vec<_> = scheduled.iter().filter(|e| e.due_at <= until).copied().collect();
            assert_eq!(store.scheduled(until, None, 1000).unwrap(), expected);
        }
        assert_eq!(store.in_flight(None, 1000).unwrap(), self.model.in_flight());
        let due = self.model.due();
        let keys = |due: &[(Timestamp, DeliveryKey)]| due.iter().map(|(_, key)| *key).collect::<Vec<_>>();
        assert_eq!(store.due_deliveries(Timestamp(i64::MAX), 1000).unwrap(), keys(&due));
        assert_eq!(store.next_delivery().unwrap(), due.first().map(|(at, _)| *at));
        self.check_deliveries();
        for tenant in [A, B] {
            let mut counts = [0; 8];
            self.model
                .all()
                .filter(|m| m.message.key.tenant == tenant)
                .for_each(|m| counts[m.state.status as usize] += 1);
            assert_eq!(store.status_counts(tenant), counts);
        }
        for message in self.model.all() {
            let MessageKey { tenant, .. } = message.message.key;
            assert!(store.message_by_id(tenant, message.message.id).unwrap().as_ref() == Some(message));
            let stranger = TenantIndex(3 - tenant.0);
            assert!(store.message_by_id(stranger, message.message.id).unwrap().is_none());
        }
        let mut contacts: Vec<_> = self.model.contacts.values().cloned().collect();
        contacts.sort_by_key(|contact| contact.id);
        assert!(store.contacts(A, None, 1000).unwrap() == contacts);
        for contact in &contacts {
            assert!(store.contact_by_id(A, contact.id).unwrap().as_ref() == Some(contact));
            assert!(store.contact(A, contact.kind, &contact.identifier).unwrap().as_ref() == Some(contact));
        }
        self.check_addresses();
        self.check_events();
        for message in self.model.all() {
            let expected = self.model.receipts.get(&message.message.key).cloned().unwrap_or_default();
            assert_eq!(store.receipts(message.message.key).unwrap(), expected);
        }
        for connector in (0..3).map(ConnectorIndex) {
            let expected = self.model.health.get(&connector).cloned().unwrap_or_default();
            assert_eq!(store.health_state(connector).unwrap(), expected);
        }
        let kv: Vec<_> = self.model.kv.clone().into_iter().collect();
        assert_eq!(store.kv_list(ConnectorIndex(1), "k", None, 1000).unwrap(), kv);
        let bytes: usize = kv.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert_eq!(store.kv_bytes(ConnectorIndex(1)).unwrap(), bytes as u64);
        assert_sound(store);
    }

    fn check_deliveries(&self) {
        for status in
            [None, Some(DeliveryStatus::Pending), Some(DeliveryStatus::Delivered), Some(DeliveryStatus::Abandoned)]
        {
            let expected: Vec<_> = self
                .model
                .deliveries
                .values()
                .rev()
                .filter(|d| d.key.message.tenant == A && status.is_none_or(|s| d.status == s))
                .skip(1)
                .take(5)
                .cloned()
                .collect();
            let filter = DeliveryFilter { message: None, status };
            assert!(self.store.deliveries(A, &filter, 1, 5).unwrap() == expected);
        }
        for delivery in self.model.deliveries.values() {
            let found = self.store.delivery_by_id(delivery.key.message.tenant, delivery.id).unwrap();
            assert!(found.as_ref() == Some(delivery));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_the_model(ops in proptest::collection::vec(op(), 1..120)) {
        let folder = tempfile::tempdir().unwrap();
        let clock = clock();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mirror = Arc::new(Mirror::default());
            let store = open(folder.path(), &clock);
            store.observe(mirror.clone());
            let mut world = World { store, model: Model::default(), mirror, start: clock.now(), clock };
            for op in ops {
                world.run(op, folder.path()).await;
            }
            world.check();
        });
    }
}
