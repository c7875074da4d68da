//! What the observer is told.

use std::sync::Arc;

use parking_lot::Mutex;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, TenantIndex};

use crate::support::*;

#[derive(Default)]
struct Recorder(Mutex<Vec<Effect>>);

impl CommitObserver for Recorder {
    fn committed(&self, effects: &[Effect]) {
        self.0.lock().extend_from_slice(effects);
    }
}

#[tokio::test]
async fn each_step_tells_what_it_means_for_the_queues() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let recorder = Arc::new(Recorder::default());
    store.observe(recorder.clone());
    let told = || std::mem::take(&mut *recorder.0.lock());
    let now = clock.now();

    let key = insert(&store, A, vec![message(1, "a", "x")]).await[0];
    let entry = store.ready(ConnectorIndex(1), None, 1).unwrap()[0];
    assert_eq!(told(), vec![Effect::Ready(ConnectorIndex(1), entry)]);
    // Held at the head: the same entry.
    step(&store, key, |s| {
        s.hold(pombo_domain::model::reason::Reason::new(ReasonCode::Pace, "p"), now.plus_ms(9), now).unwrap()
    })
    .await;
    assert_eq!(told(), vec![]);
    step(&store, key, |s| s.claim(now).unwrap()).await;
    assert_eq!(told(), vec![], "a claim is the scheduler's own");
    step(&store, key, |s| {
        s.retry_later(
            pombo_domain::model::reason::Reason::new(ReasonCode::Temporary, "t"),
            now.plus_ms(1000),
            false,
            now,
        )
        .unwrap()
    })
    .await;
    let scheduled = ScheduledEntry { due_at: now.plus_ms(1000), connector: ConnectorIndex(1), key };
    assert_eq!(told(), vec![Effect::Scheduled(scheduled)]);
    step(&store, key, |s| s.due(now).unwrap()).await;
    let entry = store.ready(ConnectorIndex(1), None, 1).unwrap()[0];
    assert_eq!(told(), vec![Effect::Ready(ConnectorIndex(1), entry)]);
    step(&store, key, |s| s.cancel(None, now).unwrap()).await;
    assert_eq!(told(), vec![Effect::Unready(ConnectorIndex(1), entry)]);

    let hooked = NewMessage { webhook_url: Some("https://x/".to_owned()), ..message(2, "b", "x") };
    let key = insert(&store, A, vec![hooked]).await[0];
    let entry = store.ready(ConnectorIndex(2), None, 1).unwrap()[0];
    let due = |revision| DueDelivery { due_at: now, key: DeliveryKey { message: key, revision } };
    assert_eq!(told(), vec![Effect::Ready(ConnectorIndex(2), entry), Effect::DeliveryDue(due(0))]);
    step(&store, key, |s| s.claim(now).unwrap()).await;
    assert_eq!(told(), vec![], "the second delivery waits for the first");
    let first = store.delivery(DeliveryKey { message: key, revision: 0 }).unwrap().unwrap();
    let delivered = Delivery { status: DeliveryStatus::Delivered, ..first };
    store.commit(Batch::of(vec![Change::Delivery(delivered)])).await.unwrap();
    assert_eq!(told(), vec![Effect::DeliveryDue(due(1))]);
    assert_eq!(store.due_deliveries(now, None, 10).unwrap(), vec![due(1)]);
    assert_eq!(store.due_deliveries(now, Some(due(1)), 10).unwrap(), vec![]);
    assert_sound(&store);
}

/// One that follows a tenant.
struct Follower(TenantIndex, Mutex<Vec<MessageStep>>);

impl CommitObserver for Follower {
    fn committed(&self, effects: &[Effect]) {
        let step = |effect: &Effect| match effect {
            Effect::Message(step) => Some(step.clone()),
            _ => None,
        };
        self.1.lock().extend(effects.iter().filter_map(step));
    }
    fn follows(&self, tenant: TenantIndex) -> bool {
        tenant == self.0
    }
}

#[tokio::test]
async fn messages_are_told_one_by_one_to_who_follows_their_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let follower = Arc::new(Follower(A, Mutex::default()));
    store.observe(follower.clone());
    let told = || std::mem::take(&mut *follower.1.lock());
    let now = clock.now();

    let keys = insert(&store, A, vec![message(1, "a", "x"), message(1, "b", "x")]).await;
    let theirs = insert(&store, B, vec![message(2, "c", "x")]).await[0];
    let new = |key| MessageStep { key, status: Status::Pending, revision: 0, reason: None };
    assert_eq!(told(), [new(keys[0]), new(keys[1])]);
    step(&store, theirs, |s| s.claim(now).unwrap()).await;
    step(&store, keys[1], |s| s.claim(now).unwrap()).await;
    let why = pombo_domain::model::reason::Reason::new(ReasonCode::Temporary, "t");
    step(&store, keys[1], |s| s.failed(why.clone(), now).unwrap()).await;
    let claimed = MessageStep { status: Status::Processing, revision: 1, ..new(keys[1]) };
    let failed = MessageStep { status: Status::Failed, revision: 2, reason: Some(why), ..new(keys[1]) };
    assert_eq!(told(), [claimed, failed]);
    // What is refused is no step.
    let stale = store.message(keys[1]).unwrap().unwrap();
    let mut state = stale.state.clone();
    state.revision += 2;
    store.commit(Batch::of(vec![Change::Update(Update { key: keys[1], state, delivery: None })])).await.unwrap_err();
    assert_eq!(told(), vec![]);
}

#[tokio::test]
async fn whoever_waits_for_a_message_reads_its_next_state() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let now = clock.now();
    let keys = insert(&store, A, vec![message(1, "a", "x"), message(1, "b", "y")]).await;
    let waiting = tokio::spawn({
        let (store, key) = (store.clone(), keys[0]);
        async move { store.message_after(key, 0).await }
    });
    tokio::task::yield_now().await;
    step(&store, keys[1], |s| s.claim(now).unwrap()).await;
    assert!(!waiting.is_finished(), "another message does not count");
    step(&store, keys[0], |s| s.claim(now).unwrap()).await;
    let state = waiting.await.unwrap().unwrap().unwrap();
    assert_eq!((state.status, state.revision), (Status::Processing, 1));
    // What has happened already is not waited for.
    assert_eq!(store.message_after(keys[0], 0).await.unwrap(), Some(state));
    let unknown = pombo_domain::MessageKey { serial: 1_000, ..keys[0] };
    assert_eq!(store.message_after(unknown, 0).await.unwrap(), None);
}
