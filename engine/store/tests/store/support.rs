//! Stores with small limits, and builders.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use pombo_store::{DiskStore, Options};
use uuid::Uuid;

pub use pombo_testkit::samples::{self, inserts, update};
pub use pombo_testkit::{CountingEntropy, ManualClock};

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)))
}

/// Draws what no other one of this process draws: so does a store that is opened again.
pub fn entropy() -> Arc<CountingEntropy> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Arc::new(CountingEntropy::new(NEXT.fetch_add(1 << 32, Ordering::Relaxed)))
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
    pombo_store::open(options(), path, clock.clone(), entropy()).unwrap()
}

pub const A: TenantIndex = TenantIndex(1);
pub const B: TenantIndex = TenantIndex(2);

pub fn message(connector: u32, to: &str, text: &str) -> NewMessage {
    samples::message(ConnectorIndex(connector), to, text)
}

pub async fn insert(store: &DiskStore, tenant: TenantIndex, messages: Vec<NewMessage>) -> Vec<MessageKey> {
    let committed = store.commit(inserts(tenant, messages)).await.unwrap();
    committed.inserted.iter().map(|(key, ..)| *key).collect()
}

/// An event to append; `mark` as its `once`.
pub fn event(tenant: TenantIndex, connector: u32, at: Timestamp, body: EventBody, mark: Option<u8>) -> Change {
    let id = Uuid::from_u128(entropy().u64().into());
    let event = NewEvent { id, connector: ConnectorIndex(connector), at, body };
    Change::Event(AppendEvent { tenant, event, once: mark.map(|mark| [mark; 16]) })
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
