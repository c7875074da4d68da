//! Random operations on the store and on the model; what either shows must be equal. The store is closed and opened between
//! some of them.
//!
//! - `operations`: what there is to do, and how it is drawn. `checks`: what must be equal. `chats`: conversations, with their model.
//!   Here: how each other operation is done.

mod chats;
mod checks;
mod operations;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use pombo_domain::model::message::Resolution;
use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use pombo_store::DiskStore;
use proptest::prelude::*;

use self::operations::{KINDS, NAMES, Op, TEXTS, op};
use crate::model::Model;
use crate::support::*;

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
    chats: chats::Chats,
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

/// A report by number, about a message in the state with this revision.
fn report_by_number(receipts: &mut Receipts, which: u8, revision: u32, now: Timestamp) {
    match which {
        0 | 1 => {
            let kind = if which == 0 { ReceiptKind::Delivered } else { ReceiptKind::Read };
            receipts.note(Some("m"), kind, now, None);
        }
        2 => {
            receipts.note(None, ReceiptKind::Failed, now, Some("r"));
            if let Some(failed) = &mut receipts.failed {
                (failed.code, failed.provider_id) = (Some("131026".to_owned()), Some("p".to_owned()));
            }
        }
        3 => {
            let reason = Reason::new(ReasonCode::Undeliverable, "r").with_channel_code(Some("131049"));
            let failure = LateFailure { reason, provider_id: None, later: revision < 3 };
            receipts.early = Some(EarlyFailure { revision, failure });
        }
        _ => receipts.forget_failure(),
    }
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
        self.follow_own(message, &update);
        self.model.updated(update);
    }

    /// A webhook that is told of sessions and of sent messages of the first tenant's connector 1. What it is told is checked by the store.
    async fn hook(&self) {
        let connector = samples::connector(ConnectorIndex(1), A, "whatsapp");
        let webhook = ConnectorWebhook {
            tenant: A,
            connector: connector.index,
            url: "https://example.com/told".to_owned(),
            secret: vec![7],
            kinds: [HookKind::Sent, HookKind::Connected].into_iter().collect(),
            active: true,
            gone_at: None,
            updated_at: self.start,
        };
        let webhook = Change::Webhook(Box::new(WebhookChange::Put(webhook)));
        self.store.commit(Batch::of(vec![Change::Connector(connector), webhook])).await.unwrap();
    }

    /// The delivery of an event that is due first arrives, or is tried again later.
    async fn deliver_first(&self, arrives: bool) {
        let due = self.store.due_event_deliveries(self.clock.now(), None, 1).unwrap();
        let Some(due) = due.first() else { return };
        let mut delivery = self.store.event_delivery(due.key).unwrap().unwrap();
        delivery.state.tries += 1;
        match arrives {
            true => delivery.state.status = DeliveryStatus::Delivered,
            false => delivery.state.next_at = self.clock.now().plus_ms(40),
        }
        let change = Change::Webhook(Box::new(WebhookChange::Delivery(delivery)));
        self.store.commit(Batch::of(vec![change])).await.unwrap();
    }

    /// Takes over the event that the store itself appended for a message in a conversation, if it did.
    fn follow_own(&mut self, message: &StoredMessage, update: &Update) {
        let tenant = update.key.tenant;
        let last = self.model.logs.get(&tenant).map_or(0, |log| log.last);
        let (own, _) = self.store.events(tenant, &EventFilter::default(), last, 9).unwrap();
        let status = update.state.status;
        for event in &own {
            match &event.event.body {
                EventBody::Sent { .. } => assert_eq!(status, Status::Sent),
                EventBody::Status { .. } => assert!(matches!(status, Status::Failed | Status::Unknown)),
                other => panic!("{other:?} is not about an own message"),
            }
        }
        let tells = matches!(status, Status::Sent | Status::Failed | Status::Unknown) && status != message.state.status;
        assert_eq!(own.len(), usize::from(tells && self.has_entry(&message.message)), "{:?}", update.key);
        let append = |event: Event| AppendEvent { tenant, event: event.event, once: None };
        self.model.appended(own.into_iter().map(append).collect());
    }

    /// Takes over the events that the store itself appended for a conversation, which are these.
    fn follow_conversation(&mut self, steps: &[&str]) {
        let last = self.model.logs.get(&A).map_or(0, |log| log.last);
        let (own, _) = self.store.events(A, &EventFilter::default(), last, 9).unwrap();
        let told: Vec<&str> = own
            .iter()
            .map(|event| match &event.event.body {
                EventBody::Conversation { step, .. } => step.as_str(),
                other => panic!("{other:?} is not about a conversation"),
            })
            .collect();
        assert_eq!(told, steps);
        let append = |event: Event| AppendEvent { tenant: A, event: event.event, once: None };
        self.model.appended(own.into_iter().map(append).collect());
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
                let Some(active) = put else {
                    self.store.commit(Batch::of(vec![Change::DeleteContact(A, id)])).await.unwrap();
                    self.model.contact_deleted(id, now);
                    return;
                };
                let contact = Contact {
                    active,
                    reason: (!active).then(|| format!("r{address}")),
                    connectors: vec![ConnectorIndex(u32::from(address))],
                    ..Contact::new(id, A, ContactType::Email, format!("{address}@x"), now)
                };
                let result = self.store.commit(Batch::of(vec![Change::Contact(contact.clone())])).await;
                if self.model.contact_put(contact) {
                    result.unwrap();
                } else {
                    assert_eq!(result, Err(StoreError::Conflict(Conflict::Contact)));
                }
            }
            Op::ContactStep(id, name, connector) => {
                let id = uuid::Uuid::from_u128(u128::from(id) + 1);
                let steps =
                    vec![ContactStep::PushName(format!("n{name}")), ContactStep::Join(ConnectorIndex(connector))];
                let change = |must_exist| {
                    let steps = steps.clone();
                    Batch::of(vec![Change::ContactSteps { tenant: A, id, at: now, steps, must_exist }])
                };
                match self.model.contacts.values_mut().find(|contact| contact.id == id) {
                    Some(contact) => drop(contact.apply(&steps, now)),
                    None => {
                        let missing = self.store.commit(change(true)).await;
                        assert_eq!(missing, Err(StoreError::Conflict(Conflict::Contact)));
                    }
                }
                self.store.commit(change(false)).await.unwrap();
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
                self.model.aliased(ContactType::Email, &alias, &identifier);
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
            Op::Receipts(pick, report) => {
                let Some(message) = self.pick(pick) else { return };
                let key = message.message.key;
                let mut receipts = self.store.receipts(key).unwrap();
                report_by_number(&mut receipts, report, message.state.revision, now);
                self.store.commit(Batch::of(vec![Change::Receipts(key, receipts.clone())])).await.unwrap();
                self.model.receipts.insert(key, receipts);
            }
            Op::Health(connector, told) => {
                let connector = ConnectorIndex(connector);
                let state = HealthState { told, since: now, ..HealthState::default() };
                self.store.commit(Batch::of(vec![Change::Health(connector, state.clone())])).await.unwrap();
                self.model.health.insert(connector, state);
            }
            Op::Receive(..)
            | Op::Attempt(..)
            | Op::Read(..)
            | Op::Archive(..)
            | Op::DeleteChat(_)
            | Op::Purge(_)
            | Op::Outdated(..)
            | Op::Chats(..) => self.run_in_chats(op).await,
            Op::Advance(ms) => {
                self.clock.jump(ms);
                self.deliver_first(ms % 2 == 0).await;
            }
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
            let mut world = World { store, model: Model::default(), chats: chats::Chats::default(), mirror, start: clock.now(), clock };
            world.hook().await;
            for op in ops {
                world.run(op, folder.path()).await;
            }
            world.check();
        });
    }
}
