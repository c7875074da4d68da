//! The event log: numbers, marks, cursors, forgetting; receipts and health counts beside it.

use std::sync::Arc;

use parking_lot::Mutex;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use pombo_store::DiskStore;

use crate::support::*;

fn text(from: &str) -> EventBody {
    let content = InboundContent::Text("oi".to_owned());
    EventBody::Message(Inbound { sent_at: Timestamp(1), content, ..samples::inbound(from, "3EB0") })
}

fn session() -> EventBody {
    EventBody::Session { state: "connected".into(), account: None, reason: None }
}

async fn append(store: &DiskStore, events: Vec<Change>) -> Committed {
    store.commit(Batch::of(events)).await.unwrap()
}

/// Numbers of the events that a read finds, and its next cursor.
fn numbers(store: &DiskStore, tenant: TenantIndex, filter: &EventFilter, after: u64, limit: usize) -> (Vec<u64>, u64) {
    let (events, next) = store.events(tenant, filter, after, limit).unwrap();
    assert!(events.iter().all(|e| e.key.tenant == tenant));
    (events.iter().map(|e| e.key.serial).collect(), next)
}

#[tokio::test]
async fn each_tenant_counts_its_events_from_one_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    assert_eq!(store.last_event(A).unwrap(), 0);
    let at = clock.now();
    append(&store, vec![event(A, 1, at, text("1"), None), event(B, 9, at, text("2"), None)]).await;
    append(&store, vec![event(A, 2, at.plus_ms(5), session(), None)]).await;
    let check = |store: &DiskStore| {
        assert_eq!((store.last_event(A).unwrap(), store.last_event(B).unwrap()), (2, 1));
        let (events, next) = store.events(A, &EventFilter::default(), 0, 10).unwrap();
        assert_eq!(next, 2);
        assert_eq!(events[0].event.body, text("1"));
        assert_eq!((events[1].event.connector, events[1].event.at), (ConnectorIndex(2), at.plus_ms(5)));
        assert_eq!(numbers(store, B, &EventFilter::default(), 0, 10), (vec![1], 1));
        assert_sound(store);
    };
    check(&store);
    drop(store);
    let store = open(folder.path(), &clock);
    check(&store);
    append(&store, vec![event(B, 9, at, text("2"), None)]).await;
    assert_eq!(store.last_event(B).unwrap(), 2);
}

#[tokio::test]
async fn filters_combine_and_the_cursor_moves_over_what_does_not_match() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let change = |n: u32| event(A, n % 2, clock.now(), if n < 4 { text("1") } else { session() }, None);
    append(&store, (0..8).map(change).collect()).await;
    let filter = |connector: Option<u32>, kinds: &[&str]| EventFilter {
        connector: connector.map(ConnectorIndex),
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
    };
    let all = |filter| numbers(&store, A, &filter, 0, 100);
    assert_eq!(all(filter(None, &[])), ((1..=8).collect(), 8));
    assert_eq!(all(filter(Some(0), &[])), (vec![1, 3, 5, 7], 8));
    assert_eq!(all(filter(None, &["session.changed"])), (vec![5, 6, 7, 8], 8));
    assert_eq!(all(filter(Some(1), &["session.changed", "group.changed"])), (vec![6, 8], 8));
    assert_eq!(all(filter(None, &["no.such"])), (vec![], 8));
    let sessions = filter(None, &["session.changed"]);
    assert_eq!(numbers(&store, A, &sessions, 0, 2), (vec![5, 6], 6), "no further than the last one given");
    assert_eq!(numbers(&store, A, &sessions, 6, 2), (vec![7, 8], 8));
    assert_eq!(numbers(&store, A, &sessions, 8, 2), (vec![], 8));
    assert_eq!(numbers(&store, A, &sessions, u64::MAX, 2), (vec![], u64::MAX));
    assert_eq!(numbers(&store, A, &sessions, 3, 0), (vec![], 3));
    assert_eq!(numbers(&store, TenantIndex(99), &sessions, 0, 2), (vec![], 0));
}

#[derive(Default)]
struct Told(Mutex<Vec<(TenantIndex, u64)>>);

impl CommitObserver for Told {
    fn committed(&self, effects: &[Effect]) {
        let told = effects.iter().filter_map(|effect| match effect {
            Effect::Event(tenant, serial) => Some((*tenant, *serial)),
            _ => None,
        });
        self.0.lock().extend(told);
    }
}

#[tokio::test]
async fn a_marked_event_is_appended_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let told = Arc::new(Told::default());
    store.observe(told.clone());
    let marked = |tenant, mark| event(tenant, 1, clock.now(), text("1"), Some(mark));

    // Within one batch, and the places count the events alone.
    let kv = Change::Kv(ConnectorIndex(1), vec![KvWrite { key: "k".to_owned(), value: Some(vec![1]) }]);
    let batch = vec![kv, marked(A, 1), marked(A, 1), event(A, 1, clock.now(), session(), None), marked(A, 2)];
    assert_eq!(append(&store, batch).await.repeated, vec![1]);
    assert_eq!(store.last_event(A).unwrap(), 3);
    // Stored; another tenant's marks are its own.
    assert_eq!(append(&store, vec![marked(A, 2), marked(B, 2), marked(A, 3), marked(A, 1)]).await.repeated, vec![0, 3]);
    // Within one group: both wait while the committer has not looked.
    let batch = || store.commit(Batch::of(vec![marked(A, 7)]));
    let (one, two, three) = tokio::join!(batch(), batch(), batch());
    let repeated: usize = [one, two, three].into_iter().map(|c| c.unwrap().repeated.len()).sum();
    assert_eq!(repeated, 2);
    assert_eq!(*told.0.lock(), vec![(A, 1), (A, 2), (A, 3), (B, 1), (A, 4), (A, 5)]);
    assert_sound(&store);
    drop(store);

    let store = open(folder.path(), &clock);
    assert_eq!(append(&store, vec![marked(A, 7), marked(A, 8)]).await.repeated, vec![0]);
    assert_eq!(store.last_event(A).unwrap(), 6);
}

#[tokio::test]
async fn a_batch_that_fails_appends_nothing_and_marks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let key = MessageKey { tenant: A, serial: 5 };
    let wrong = Change::Receipts(key, Receipts::default());
    let marked = |mark| event(A, 1, clock.now(), text("1"), Some(mark));
    let failing = store.commit(Batch::of(vec![marked(1), event(B, 1, clock.now(), text("1"), None), marked(2), wrong]));
    let (first, failed, last) = tokio::join!(
        store.commit(Batch::of(vec![marked(1)])),
        failing,
        store.commit(Batch::of(vec![marked(2), event(B, 1, clock.now(), session(), None)]))
    );
    assert_eq!(failed, Err(StoreError::Conflict(Conflict::Message(key))));
    assert_eq!((first.unwrap().repeated, last.unwrap().repeated), (vec![], vec![]));
    assert_eq!((store.last_event(A).unwrap(), store.last_event(B).unwrap()), (2, 1));
    assert_eq!(store.events(B, &EventFilter::default(), 0, 9).unwrap().0[0].event.body, session());
    assert_sound(&store);
}

#[tokio::test]
async fn what_is_forgotten_goes_with_its_marks_and_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let start = clock.now();
    let at = |n: i64| start.plus_ms(n * 1000);
    let change = |tenant, n: i64| event(tenant, 1, at(n), text("1"), Some(n as u8));
    append(&store, (0..6).map(|n| change(A, n)).collect()).await;
    append(&store, (0..3).map(|n| change(B, n)).collect()).await;

    assert_eq!(store.forget_events(at(0), 100).await, Ok(0));
    assert_eq!(store.forget_events(at(4), 2).await, Ok(2));
    assert_eq!(numbers(&store, A, &EventFilter::default(), 0, 9), (vec![3, 4, 5, 6], 6));
    assert_eq!(store.forget_events(at(4), 100).await, Ok(5), "of all tenants");
    assert_eq!(store.forget_events(at(4), 100).await, Ok(0));
    assert_eq!(numbers(&store, A, &EventFilter::default(), 0, 9), (vec![5, 6], 6));
    assert_eq!(numbers(&store, A, &EventFilter::default(), 2, 1), (vec![5], 5), "a cursor in what is forgotten");
    assert_eq!(numbers(&store, B, &EventFilter::default(), 0, 9), (vec![], 0));
    assert_eq!(store.last_event(B).unwrap(), 3, "a number is never given twice");
    assert_sound(&store);
    drop(store);

    let store = open(folder.path(), &clock);
    assert_sound(&store);
    assert_eq!((store.last_event(A).unwrap(), store.last_event(B).unwrap()), (6, 3));
    // Mark 5 is still known; 0 is not.
    assert_eq!(append(&store, vec![change(A, 5), change(A, 0), change(B, 0)]).await.repeated, vec![0]);
    assert_eq!(numbers(&store, A, &EventFilter::default(), 0, 9), (vec![5, 6, 7], 7));
    assert_eq!(numbers(&store, B, &EventFilter::default(), 0, 9), (vec![4], 4));
    // Two that forget at once do it once.
    let (one, two) = tokio::join!(store.forget_events(at(99), 100), store.forget_events(at(99), 100));
    assert_eq!(one.unwrap() + two.unwrap(), 4);
    assert_sound(&store);
}

#[tokio::test]
async fn many_are_forgotten_in_bounded_steps() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    for _ in 0..5 {
        append(&store, (0..500).map(|_| event(A, 1, clock.now(), session(), None)).collect()).await;
    }
    assert_eq!(store.forget_events(clock.now().plus_ms(1), 2_200).await, Ok(2_200));
    assert_eq!(numbers(&store, A, &EventFilter::default(), 0, 1), (vec![2_201], 2_201));
    assert_eq!(store.forget_events(clock.now().plus_ms(1), usize::MAX).await, Ok(300));
    assert_sound(&store);
}

#[tokio::test]
async fn receipts_and_health_are_replaced_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let keys = insert(&store, A, vec![message(1, "a", "x"), message(1, "b", "x")]).await;
    assert_eq!(store.receipts(keys[0]).unwrap(), Receipts::default());
    assert_eq!(store.health_state(ConnectorIndex(1)).unwrap(), HealthState::default());
    let mut receipts = Receipts::default();
    let mut health = HealthState { told: 1, ..HealthState::default() };
    for kind in [ReceiptKind::Delivered, ReceiptKind::Read] {
        receipts.note(Some("m"), kind, clock.now(), None);
        health.hours.push(HealthHour { hour: 1, sent: 2, ..HealthHour::default() });
        let changes =
            vec![Change::Receipts(keys[0], receipts.clone()), Change::Health(ConnectorIndex(1), health.clone())];
        append(&store, changes).await;
    }
    receipts.note(None, ReceiptKind::Failed, clock.now(), Some("cannot be reached"));
    let first = receipts.failed.as_mut().unwrap();
    (first.code, first.provider_id) = (Some("131026".to_owned()), Some("p-1".to_owned()));
    let reason = Reason::new(ReasonCode::InvalidRecipient, "cannot be reached").with_channel_code(Some("131026"));
    let failure = LateFailure { reason, provider_id: Some("p-1".to_owned()), later: false };
    receipts.early = Some(EarlyFailure { revision: 1, failure });
    append(&store, vec![Change::Receipts(keys[0], receipts.clone())]).await;
    let check = |store: &DiskStore| {
        assert_eq!(store.receipts(keys[0]).unwrap(), receipts);
        assert_eq!(store.receipts(keys[1]).unwrap(), Receipts::default());
        assert_eq!(store.health_state(ConnectorIndex(1)).unwrap(), health);
        assert_eq!(store.health_state(ConnectorIndex(2)).unwrap(), HealthState::default());
        assert_sound(store);
    };
    check(&store);
    drop(store);
    check(&open(folder.path(), &clock));
}
