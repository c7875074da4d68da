//! The queues past tombstones, and idempotency keys.

use std::time::{Duration, Instant};

use pombo_domain::ConnectorIndex;
use pombo_domain::model::*;
use pombo_domain::ports::*;

use crate::support::*;

/// Claims everything in steps, always asking from the start as a lane does that lost its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_from_the_start_do_not_slow_down_over_tombstones() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = pombo_store::open(Default::default(), folder.path(), clock.clone(), entropy()).unwrap();
    const ALL: usize = 60_000;
    for _ in 0..ALL / 1000 {
        insert(&store, A, (0..1000).map(|n| message(1, &n.to_string(), "x")).collect()).await;
    }
    let (mut claimed, mut slowest) = (0, Duration::ZERO);
    loop {
        let started = Instant::now();
        let entries = store.ready(ConnectorIndex(1), None, 1000).unwrap();
        slowest = slowest.max(started.elapsed());
        if entries.is_empty() {
            break;
        }
        claimed += entries.len();
        let keys: Vec<_> = entries.iter().map(|e| e.key).collect();
        let messages = store.messages(&keys).unwrap();
        let claim = |m: &StoredMessage| {
            Change::Update(Update { key: m.message.key, state: m.state.claim(clock.now()).unwrap(), delivery: None })
        };
        store.commit(Batch::of(messages.iter().flatten().map(claim).collect())).await.unwrap();
    }
    assert_eq!(claimed, ALL);
    // A scan over all tombstones takes tens of milliseconds at the end; a thousand entries take about one.
    assert!(slowest < Duration::from_millis(250), "a read took {slowest:?}");
    assert_eq!(store.in_flight(None, usize::MAX).unwrap().len(), ALL);
    assert_sound(&store);
}

#[tokio::test]
async fn an_entry_below_the_frontier_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let low = insert(&store, A, vec![NewMessage { priority: 1, ..message(1, "a", "x") }]).await[0];
    assert_eq!(store.ready(ConnectorIndex(1), None, 10).unwrap()[0].key, low);
    let high = insert(&store, A, vec![NewMessage { priority: 10, ..message(1, "b", "x") }]).await[0];
    let keys: Vec<_> = store.ready(ConnectorIndex(1), None, 10).unwrap().iter().map(|e| e.key).collect();
    assert_eq!(keys, vec![high, low]);
}

#[tokio::test]
async fn an_idempotency_key_is_taken_once_and_for_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let with_key = |request: u8, extra: u8| {
        let idempotency = NewIdempotency { key: [7; 32], request: [request; 32], extra: vec![extra] };
        let messages = vec![message(1, "a", "x"), message(1, "b", "x")];
        Batch::of(vec![Change::Insert(Insert { tenant: A, messages, idempotency: Some(idempotency) })])
    };
    insert(&store, A, vec![message(1, "first", "x")]).await;
    let (one, two) = tokio::join!(store.commit(with_key(1, 1)), store.commit(with_key(1, 2)));
    assert!(one.is_ok());
    assert_eq!(two, Err(StoreError::Conflict(Conflict::IdempotencyKey)));
    let record = store.idempotency(A, &[7; 32]).unwrap().unwrap();
    assert_eq!((record.messages, record.request, record.extra), ((1, 2), [1; 32], vec![1]));
    assert!(store.idempotency(B, &[7; 32]).unwrap().is_none());

    clock.jump(24 * 3600 * 1000 - 1);
    assert!(store.commit(with_key(2, 3)).await.is_err());
    clock.jump(1);
    assert!(store.idempotency(A, &[7; 32]).unwrap().is_none());
    store.commit(with_key(2, 4)).await.unwrap();
    assert_eq!(store.idempotency(A, &[7; 32]).unwrap().unwrap().messages, (3, 2));

    // Old ones are removed in passing.
    clock.jump(25 * 3600 * 1000);
    insert(&store, A, vec![message(1, "later", "x")]).await;
    assert!(!snapshot(&store).contains("idempotency"));
    assert_sound(&store);
}
