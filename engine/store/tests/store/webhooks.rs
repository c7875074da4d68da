//! Connectors' webhooks: which events become deliveries, in which order, and when they are forgotten.

use std::path::Path;
use std::sync::Arc;

use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, Timestamp};
use pombo_store::DiskStore;

use crate::chats::{change, commit, conversation, in_chat, inbound, received, say, text};
use crate::support::*;

const C: ConnectorIndex = ConnectorIndex(1);

fn webhook(kinds: &[HookKind], active: bool, at: Timestamp) -> Change {
    let set = ConnectorWebhook {
        tenant: A,
        connector: C,
        url: "https://example.com/told".to_owned(),
        secret: vec![7],
        kinds: kinds.iter().copied().collect(),
        active,
        gone_at: None,
        updated_at: at,
    };
    hook(WebhookChange::Put(set))
}

fn hook(change: WebhookChange) -> Change {
    Change::Webhook(Box::new(change))
}

/// A store with a connector whose webhook wants these kinds.
async fn hooked(folder: &Path, clock: &Arc<ManualClock>, kinds: &[HookKind]) -> Arc<DiskStore> {
    let store = open(folder, clock);
    let connector = Change::Connector(samples::connector(C, A, "whatsapp"));
    commit(&store, vec![connector, webhook(kinds, true, clock.now())]).await;
    store
}

fn session(word: &str) -> EventBody {
    EventBody::Session { state: word.into(), account: None, reason: None }
}

/// A message from the channel, with its event.
fn told(one: &Inbound, mark: u8, at: Timestamp) -> Vec<Change> {
    vec![event(A, 1, at, EventBody::Message(one.clone()), Some(mark)), received(one)]
}

fn due(store: &DiskStore) -> Vec<(HookKind, u64)> {
    let due = store.due_event_deliveries(Timestamp(i64::MAX), None, 99).unwrap();
    due.into_iter().map(|due| (due.key.kind, due.key.event.serial)).collect()
}

/// All deliveries, oldest event first: kind, conversation and state.
fn all(store: &DiskStore) -> Vec<(HookKind, u64, DeliveryStatus)> {
    let page = store.event_deliveries(A, &EventDeliveryFilter::default(), None, 99).unwrap();
    let mut all: Vec<_> = page.rows;
    all.sort_by_key(|one| one.key);
    all.into_iter().map(|one| (one.key.kind, one.conversation, one.state.status)).collect()
}

async fn ended(store: &DiskStore, kind: HookKind, serial: u64, status: DeliveryStatus) {
    let key = EventDeliveryKey { event: EventKey { tenant: A, serial }, kind };
    let mut one = store.event_delivery(key).unwrap().unwrap();
    one.state.status = status;
    commit(store, vec![hook(WebhookChange::Delivery(one))]).await;
}

/// Claims a message with an entry in a chat, and gives it its next state.
async fn stepped(store: &DiskStore, key: MessageKey, chat: &str, next: impl Fn(&MessageState) -> MessageState) {
    let stored = store.message(key).unwrap().unwrap();
    let claimed = Change::Update(update(&stored, stored.state.claim(Timestamp(9)).unwrap()));
    let attempted = change(ChatChange::Attempted(key, stored.message.id, in_chat(A, chat, say(key, "oi"))));
    commit(store, vec![claimed, attempted]).await;
    step(store, key, next).await;
}

const PENDING: DeliveryStatus = DeliveryStatus::Pending;

#[tokio::test]
async fn a_webhook_is_told_what_it_wants_from_when_it_is_set_on() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = hooked(folder.path(), &clock, &[HookKind::Received, HookKind::Connected]).await;
    let now = clock.now();
    commit(&store, told(&inbound("a", "1", text("Oi")), 1, now)).await;
    commit(&store, told(&inbound("a", "1", text("Oi")), 1, now)).await;
    let reaction = InboundContent::Reaction { to: "1".to_owned(), emoji: "x".to_owned() };
    commit(&store, told(&inbound("a", "2", reaction), 2, now)).await;
    commit(&store, told(&Inbound { from_me: true, ..inbound("a", "3", text("do celular")) }, 3, now)).await;
    commit(&store, vec![event(A, 1, now, session("connected"), None), event(A, 1, now, session("disconnected"), None)])
        .await;
    commit(&store, vec![event(A, 2, now, session("connected"), None), event(B, 1, now, session("connected"), None)])
        .await;
    let number = conversation(&store, "a").number;
    assert_eq!(all(&store), [(HookKind::Received, number, PENDING), (HookKind::Connected, 0, PENDING)]);
    assert_sound(&store);

    // Switched off, or removed, it is told nothing; what was made stays.
    commit(&store, vec![webhook(&HookKind::ALL, false, now), event(A, 1, now, session("connected"), None)]).await;
    commit(&store, vec![hook(WebhookChange::Remove(C))]).await;
    commit(&store, vec![hook(WebhookChange::Remove(C)), event(A, 1, now, session("connected"), None)]).await;
    assert!(store.connector_webhook(C).unwrap().is_none());
    assert_eq!(all(&store).len(), 2);
    assert_sound(&store);
}

#[tokio::test]
async fn own_messages_are_told_with_their_change_and_not_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = hooked(folder.path(), &clock, &HookKind::ALL).await;
    let keys = insert(&store, A, vec![message(1, "a", "x"), message(1, "a", "y"), message(1, "b", "z")]).await;
    let now = clock.now();
    stepped(&store, keys[0], "a", |state| state.sent(Some("P1".to_owned()), now).unwrap()).await;
    let a = conversation(&store, "a").number;
    assert_eq!(all(&store), [(HookKind::Sent, a, PENDING), (HookKind::Status, a, PENDING)]);
    let (events, _) = store.events(A, &EventFilter::default(), 0, 9).unwrap();
    let id = store.message(keys[0]).unwrap().unwrap().message.id;
    let expected = EventBody::Sent {
        message: id,
        conversation: a,
        item: 1,
        chat: "a".to_owned(),
        provider_id: Some("P1".to_owned()),
        previous: Progress::Pending.into(),
    };
    let bodies: Vec<_> = events.iter().map(|event| &event.event.body).collect();
    assert!(matches!(bodies[0], EventBody::Conversation { .. }), "it was opened: {:?}", bodies[0]);
    assert_eq!(bodies[1..], [&expected]);

    // A change that is not stored is not told.
    let stored = store.message(keys[0]).unwrap().unwrap();
    let stale = Change::Update(Update { key: keys[0], state: stored.state.clone(), delivery: None });
    store.commit(Batch { changes: vec![stale], skip_stale: true }).await.unwrap();
    assert_eq!(store.last_event(A).unwrap(), 2);

    let reason = || Reason::new(ReasonCode::Temporary, "why");
    stepped(&store, keys[1], "a", |state| state.failed(reason(), now).unwrap()).await;
    // Given up before its first attempt.
    step(&store, keys[2], |state| state.failed(reason(), now).unwrap()).await;
    assert_eq!(all(&store)[2..], [(HookKind::Status, a, PENDING), (HookKind::Status, 0, PENDING)]);
    assert_sound(&store);
}

#[tokio::test]
async fn a_receipt_that_came_before_the_outcome_is_not_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = hooked(folder.path(), &clock, &HookKind::ALL).await;
    let keys = insert(&store, A, vec![message(1, "a", "x")]).await;
    let mut receipts = Receipts::default();
    receipts.note(None, ReceiptKind::Delivered, clock.now(), None);
    commit(&store, vec![Change::Receipts(keys[0], receipts)]).await;
    stepped(&store, keys[0], "a", |state| state.sent(None, clock.now()).unwrap()).await;
    assert_eq!(all(&store), [(HookKind::Sent, conversation(&store, "a").number, PENDING)]);
}

#[tokio::test]
async fn each_conversation_keeps_its_order_and_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = hooked(folder.path(), &clock, &HookKind::ALL).await;
    let now = clock.now();
    for (mark, chat) in [(1, "a"), (2, "b"), (3, "a"), (4, "a")] {
        commit(&store, told(&inbound(chat, &mark.to_string(), text("Oi")), mark, now)).await;
    }
    // Behind the first message of each, the log has that its conversation was opened.
    assert_eq!(due(&store), [(HookKind::Received, 1), (HookKind::Received, 3)]);
    ended(&store, HookKind::Received, 1, DeliveryStatus::Delivered).await;
    assert_eq!(due(&store), [(HookKind::Received, 3), (HookKind::Received, 5)]);
    ended(&store, HookKind::Received, 5, DeliveryStatus::Abandoned).await;
    assert_eq!(due(&store), [(HookKind::Received, 3), (HookKind::Received, 6)]);
    ended(&store, HookKind::Received, 1, DeliveryStatus::Pending).await;
    assert_eq!(due(&store), [(HookKind::Received, 1), (HookKind::Received, 3)]);
    let before = snapshot(&store);
    assert_sound(&store);
    store.close().unwrap();
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!(snapshot(&store), before);
    assert!(store.connector_webhook(C).unwrap().is_some());
    assert_sound(&store);
}

#[tokio::test]
async fn a_delivery_is_forgotten_with_its_event() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = hooked(folder.path(), &clock, &HookKind::ALL).await;
    for mark in 1..=4 {
        commit(&store, told(&inbound("a", &mark.to_string(), text("Oi")), mark, clock.now())).await;
        clock.jump(1_000);
    }
    let key = EventDeliveryKey { event: EventKey { tenant: A, serial: 1 }, kind: HookKind::Received };
    let first = store.event_delivery(key).unwrap().unwrap();
    assert_eq!(store.event_delivery_by_id(A, first.id()).unwrap().as_ref(), Some(&first));
    assert_eq!(store.event_delivery_by_id(B, first.id()).unwrap(), None);
    assert_eq!(store.forget_events(clock.now().plus_ms(-1_500), 9).await, Ok(4), "with that it was opened");
    assert_eq!(due(&store), [(HookKind::Received, 5)]);
    // Its outcome comes too late.
    commit(&store, vec![hook(WebhookChange::Delivery(first))]).await;
    assert_eq!(all(&store).len(), 1);
    assert_sound(&store);
}

#[tokio::test]
async fn a_receiver_that_is_gone_ends_the_webhook_it_was_posted_for() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = hooked(folder.path(), &clock, &HookKind::ALL).await;
    let set = clock.now();
    let gone = |updated_at| hook(WebhookChange::Gone { connector: C, updated_at, at: Timestamp(5) });
    commit(&store, vec![gone(set.plus_ms(-1))]).await;
    let shown = || {
        let webhook = store.connector_webhook(C).unwrap().unwrap();
        (webhook.active, webhook.gone_at)
    };
    assert_eq!(shown(), (true, None), "it was set again since");
    commit(&store, vec![gone(set)]).await;
    assert_eq!(shown(), (false, Some(Timestamp(5))));
    assert_sound(&store);
}

#[tokio::test]
async fn a_batch_that_fails_leaves_no_webhook_and_no_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = hooked(folder.path(), &clock, &[HookKind::Connected]).await;
    let nothing = Change::Receipts(MessageKey { tenant: B, serial: 99 }, Receipts::default());
    let connected = || event(A, 1, clock.now(), session("connected"), None);
    let failing = vec![connected(), hook(WebhookChange::Remove(C)), nothing];
    assert!(store.commit(Batch::of(failing)).await.is_err());
    assert!(store.connector_webhook(C).unwrap().is_some() && all(&store).is_empty() && due(&store).is_empty());
    commit(&store, vec![connected()]).await;
    assert_eq!(due(&store), [(HookKind::Connected, 1)]);
    assert_sound(&store);
}
