//! A manual clock, seeded randomness and builders.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use async_trait::async_trait;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use pombo_store::{DiskStore, Options};
use uuid::Uuid;

/// A clock that stands until it is moved.
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_700_000_000_000)))
    }
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
    async fn sleep_until(&self, _: Timestamp) {
        unreachable!("the store never sleeps")
    }
}

/// A counter as randomness, one for the whole process: a store that is opened again draws other numbers.
pub struct Counting;

impl Counting {
    pub fn new() -> Arc<Self> {
        Arc::new(Self)
    }
}

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        for chunk in bytes.chunks_mut(8) {
            let n = NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            chunk.copy_from_slice(&n.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Small limits, so that blocks, logs and groups turn over in a test.
pub fn options() -> Options {
    Options {
        search_segment_bytes: 2_000,
        column_log_bytes: 2_000,
        group_messages: 500,
        backend: pombo_store::FjallOptions { memtable_bytes: 1 << 20, ..Default::default() },
        ..Options::default()
    }
}

pub fn open(path: &Path, clock: &Arc<ManualClock>) -> Arc<DiskStore> {
    pombo_store::open(options(), path, clock.clone(), Counting::new()).unwrap()
}

pub const A: TenantIndex = TenantIndex(1);
pub const B: TenantIndex = TenantIndex(2);

pub fn message(connector: u32, to: &str, text: &str) -> NewMessage {
    NewMessage {
        connector: ConnectorIndex(connector),
        to: to.to_owned(),
        text: text.to_owned(),
        subject: None,
        contact_name: None,
        message_type: MessageType::General,
        priority: 5,
        scheduled_at: None,
        requires_approval: false,
        force_direct: false,
        notes: None,
        webhook_url: None,
        external_id: None,
        attachments: Vec::new(),
        attachment_url: None,
        variables: None,
        options: MessageOptions::default(),
    }
}

pub fn inserts(tenant: TenantIndex, messages: Vec<NewMessage>) -> Batch {
    Batch::of(vec![Change::Insert(Insert { tenant, messages, idempotency: None })])
}

pub async fn insert(store: &DiskStore, tenant: TenantIndex, messages: Vec<NewMessage>) -> Vec<MessageKey> {
    let committed = store.commit(inserts(tenant, messages)).await.unwrap();
    committed.inserted.iter().map(|(key, ..)| *key).collect()
}

/// An event to append; `mark` as its `once`.
pub fn event(tenant: TenantIndex, connector: u32, at: Timestamp, body: EventBody, mark: Option<u8>) -> Change {
    let id = Uuid::from_u128(Counting.u64().into());
    let event = NewEvent { id, connector: ConnectorIndex(connector), at, body };
    Change::Event(AppendEvent { tenant, event, once: mark.map(|mark| [mark; 16]) })
}

/// An update with the delivery that belongs to it.
pub fn update(message: &StoredMessage, state: MessageState) -> Update {
    let delivery = Delivery::of(&message.message, Some(message.state.status), &state);
    Update { key: message.message.key, state, delivery }
}

pub async fn step(store: &DiskStore, key: MessageKey, next: impl Fn(&MessageState) -> MessageState) {
    let message = store.message(key).unwrap().unwrap();
    let state = next(&message.state);
    store.commit(Batch::of(vec![Change::Update(update(&message, state))])).await.unwrap();
}

pub fn snapshot(store: &DiskStore) -> String {
    let mut text = Vec::new();
    store.snapshot_text(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[track_caller]
pub fn assert_sound(store: &DiskStore) {
    let problems = store.verify().unwrap();
    assert!(problems.is_empty(), "{problems:#?}");
}
