//! The packed columns that answer lists: per tenant, in memory, a word (status, type, connector), a time and, where any has
//! one, a fingerprint of the external id for every message.
//!
//! They are kept on disk with the batch that changes them: each group commit writes its [`delta::Delta`] as one value. When
//! the log of deltas has grown, the block that has been dirty longest is written whole and the log trimmed. Opening reads
//! the blocks, then replays the log.
//!
//! Only the committer writes; it applies a delta to memory after its batch is on disk. Readers take the tenant's read lock
//! for one scan. The columns must not know records.

pub(crate) mod block;
pub(crate) mod delta;
pub(crate) mod tenant;
pub(crate) mod word;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use pombo_domain::ports::StoreResult;
use pombo_domain::{TenantIndex, Timestamp};

use crate::backend::{Backend, Bytes, KeyRange, Order, Write};
use crate::codec::damaged;
use crate::keys::{self, Key, Parts};
use crate::space::Space;
use block::Block;
use delta::{Delta, Step};
use tenant::TenantColumns;

/// A tenant's columns under their lock.
pub(crate) type Shared = Arc<RwLock<TenantColumns>>;

/// The columns of all tenants, and the log that keeps them.
pub(crate) struct Columns {
    tenants: RwLock<HashMap<TenantIndex, Shared>>,
    log: Mutex<Log>,
    /// Log bytes above which blocks are written.
    limit: u64,
}

/// The deltas on disk that still count.
#[derive(Default)]
struct Log {
    next: u64,
    entries: VecDeque<(u64, u64)>,
    bytes: u64,
}

/// The writes that keep the columns with a group, and what to note once they are on disk.
pub(crate) struct Kept {
    sequence: u64,
    bytes: u64,
    written: Option<(TenantIndex, u32)>,
    start: Option<u64>,
}

impl Columns {
    /// Reads the columns of all tenants.
    pub(crate) fn open(backend: &dyn Backend, limit: u64) -> StoreResult<Self> {
        let columns = Self { tenants: RwLock::default(), log: Mutex::default(), limit };
        for row in backend.scan(Space::Columns, KeyRange::prefix(&[keys::COLUMN_BLOCK]), Order::Forward) {
            let (key, image) = row?;
            let mut parts = Parts(&key[1..]);
            let (Some(tenant), Some(number)) = (parts.u32(), parts.u32()) else {
                return Err(damaged("columns: a malformed key"));
            };
            let shared = columns.of_or_new(TenantIndex(tenant));
            let mut tenant = shared.write();
            // A block that became dirty later than its successor may have no image yet; all its rows are in the log then.
            if tenant.blocks().len() as u64 == u64::from(number) && tenant.len().is_multiple_of(block::BLOCK as u64) {
                tenant.load(Block::from_image(&image)?);
            } else {
                return Err(damaged("columns: a block is missing"));
            }
        }
        let start = match backend.get(Space::Columns, &[keys::COLUMN_LOG_START])? {
            Some(bytes) => Parts(&bytes).u64().ok_or_else(|| damaged("columns: a malformed log start"))?,
            None => 0,
        };
        let mut log = Log { next: start, ..Log::default() };
        let range = KeyRange::prefix(&[keys::COLUMN_LOG]).from(&keys::column_log(start));
        for row in backend.scan(Space::Columns, range, Order::Forward) {
            let (key, value) = row?;
            let sequence = Parts(&key[1..]).u64().ok_or_else(|| damaged("columns: a malformed key"))?;
            columns.apply(&Delta::decode(&value)?, sequence)?;
            log.entries.push_back((sequence, value.len() as u64));
            log.bytes += value.len() as u64;
            log.next = sequence + 1;
        }
        *columns.log.lock() = log;
        Ok(columns)
    }

    /// A tenant's columns, if it has any messages.
    pub(crate) fn of(&self, tenant: TenantIndex) -> Option<Shared> {
        self.tenants.read().get(&tenant).cloned()
    }

    fn of_or_new(&self, tenant: TenantIndex) -> Shared {
        self.of(tenant).unwrap_or_else(|| self.tenants.write().entry(tenant).or_default().clone())
    }

    /// All tenants with messages, in order.
    pub(crate) fn tenants(&self) -> Vec<(TenantIndex, Shared)> {
        let mut all: Vec<_> = self.tenants.read().iter().map(|(t, c)| (*t, c.clone())).collect();
        all.sort_by_key(|(tenant, _)| *tenant);
        all
    }

    /// A tenant's next serial and its newest time.
    pub(crate) fn tail(&self, tenant: TenantIndex) -> (u64, Option<Timestamp>) {
        self.of(tenant).map_or((0, None), |c| {
            let columns = c.read();
            (columns.len(), columns.last_at())
        })
    }

    /// A message's word.
    pub(crate) fn word(&self, key: pombo_domain::MessageKey) -> Option<u32> {
        self.of(key.tenant)?.read().word(key.serial)
    }

    /// Adds what keeps `delta` to a group's writes: the delta, now and then an image, and the log's trimming.
    pub(crate) fn keep(&self, delta: &Delta, writes: &mut Vec<Write>) -> Kept {
        let log = self.log.lock();
        let mut put = |key: Bytes, value: Option<Vec<u8>>| {
            writes.push(Write { space: Space::Columns, key, value: value.map(Bytes::from) });
        };
        let sequence = log.next;
        let value = delta.encode();
        let bytes = value.len() as u64;
        put(keys::column_log(sequence).bytes(), Some(value));
        let mut kept = Kept { sequence, bytes, written: None, start: None };

        // Every dirty block allows the log to be longer, or a few updates all over the past would write all blocks.
        let mut dirty = Vec::new();
        if log.bytes > self.limit {
            for (tenant, columns) in self.tenants() {
                for (number, block) in columns.read().blocks().iter().enumerate() {
                    if let Some(since) = block.dirty_since {
                        dirty.push((since, tenant, number as u32));
                    }
                }
            }
            dirty.sort_unstable();
        }
        if log.bytes > self.limit + dirty.len() as u64 * PER_DIRTY_BLOCK
            && let Some((_, tenant, number)) = dirty.first().copied()
            && let Some(columns) = self.of(tenant)
        {
            let image = columns.read().blocks()[number as usize].image();
            put(keys::column_block(tenant, number).bytes(), Some(image));
            kept.written = Some((tenant, number));
            let start = dirty.get(1).map_or(sequence, |(since, ..)| *since);
            for (old, _) in log.entries.iter().take_while(|(old, _)| *old < start) {
                put(keys::column_log(*old).bytes(), None);
            }
            put(Key::tag(keys::COLUMN_LOG_START).bytes(), Some(start.to_be_bytes().to_vec()));
            kept.start = Some(start);
        }
        kept
    }

    /// Notes that a group is on disk and makes its delta visible.
    pub(crate) fn kept(&self, delta: &Delta, kept: &Kept) -> StoreResult<()> {
        if let Some((tenant, number)) = kept.written
            && let Some(columns) = self.of(tenant)
            && let Some(block) = columns.write().block_mut(number)
        {
            block.dirty_since = None;
        }
        {
            let mut log = self.log.lock();
            log.next = kept.sequence + 1;
            log.entries.push_back((kept.sequence, kept.bytes));
            log.bytes += kept.bytes;
            if let Some(start) = kept.start {
                while let Some((_, bytes)) = log.entries.front().copied().filter(|(old, _)| *old < start) {
                    log.entries.pop_front();
                    log.bytes -= bytes;
                }
            }
        }
        self.apply(delta, kept.sequence)
    }

    fn apply(&self, delta: &Delta, sequence: u64) -> StoreResult<()> {
        let mut steps = delta.0.as_slice();
        while let Some(first) = steps.first() {
            let tenant = first.key().tenant;
            let run = steps.iter().take_while(|s| s.key().tenant == tenant).count();
            let shared = self.of_or_new(tenant);
            let mut columns = shared.write();
            for step in &steps[..run] {
                let done = match step {
                    Step::Row(key, row) => columns.put(key.serial, *row, sequence),
                    Step::Word(key, word) => columns.set(key.serial, *word, sequence),
                };
                if !done {
                    return Err(damaged("columns: a delta leaves a gap"));
                }
            }
            steps = &steps[run..];
        }
        Ok(())
    }
}

/// What [`Columns::keep`] put on disk, for [`Columns::kept`].
const PER_DIRTY_BLOCK: u64 = 256 << 10;

impl Step {
    pub(crate) fn key(&self) -> &pombo_domain::MessageKey {
        match self {
            Self::Row(key, _) | Self::Word(key, _) => key,
        }
    }
}
