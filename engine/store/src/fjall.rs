//! The backend over fjall: a keyspace per [`Space`], one journal for all, so that a batch over several is atomic.
//!
//! Writing is the committer's alone; reading is for any thread. fjall's own workers flush and compact.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use pombo_domain::ports::{StoreError, StoreResult};

use crate::Error;
use crate::backend::{Backend, Bytes, KeyRange, Order, Scan, Write};
use crate::codec::damaged;
use crate::space::Space;

/// How much memory and journal fjall may use.
#[derive(Debug, Clone)]
pub struct FjallOptions {
    /// Cache of blocks read from disk, in bytes.
    pub cache_bytes: u64,
    /// Records that are written and not yet in a table on disk, in bytes; the buffers of the other key spaces are in proportion.
    /// Fixed when the folder is created.
    pub memtable_bytes: u64,
    /// Journal kept on disk, in bytes, at least 64 MiB; it bounds the time to open after a crash.
    pub journal_bytes: u64,
    /// Threads that flush and compact. With more than one, fjall's first passes compactions around in a busy loop while
    /// another works, which costs a core that two-core machines do not have to spare.
    pub workers: usize,
}

impl Default for FjallOptions {
    fn default() -> Self {
        Self { cache_bytes: 16 << 20, memtable_bytes: 8 << 20, journal_bytes: 64 << 20, workers: 1 }
    }
}

/// fjall with its keyspaces.
pub(crate) struct Fjall {
    database: Database,
    spaces: [Keyspace; Space::ALL.len()],
    /// How far a write has come when it returns.
    durability: PersistMode,
}

impl Fjall {
    /// Opens or creates it in `path`.
    pub(crate) fn open(options: &FjallOptions, path: &Path) -> Result<Self, Error> {
        Self::open_with(options, path, PersistMode::SyncData)
    }

    /// The same, but a write returns before it is synced: for tests.
    pub(crate) fn open_unsynced(options: &FjallOptions, path: &Path) -> Result<Self, Error> {
        Self::open_with(options, path, PersistMode::Buffer)
    }

    fn open_with(options: &FjallOptions, path: &Path, durability: PersistMode) -> Result<Self, Error> {
        let database = Database::builder(path)
            .cache_size(options.cache_bytes)
            .max_journaling_size(options.journal_bytes.max(64 << 20))
            .worker_threads(options.workers.max(1))
            // The committer asks for each batch's sync; nothing else may reach the journal unsynced.
            .manual_journal_persist(true)
            .open()
            .map_err(|e| open_error(path, e))?;
        let keyspace = |space: Space| {
            database.keyspace(space.name(), || settings(options, space)).map_err(|e| open_error(path, e))
        };
        let spaces = [
            keyspace(Space::ALL[0])?,
            keyspace(Space::ALL[1])?,
            keyspace(Space::ALL[2])?,
            keyspace(Space::ALL[3])?,
            keyspace(Space::ALL[4])?,
            keyspace(Space::ALL[5])?,
            keyspace(Space::ALL[6])?,
            keyspace(Space::ALL[7])?,
            keyspace(Space::ALL[8])?,
            keyspace(Space::ALL[9])?,
            keyspace(Space::ALL[10])?,
        ];
        Ok(Self { database, spaces, durability })
    }

    fn space(&self, space: Space) -> &Keyspace {
        &self.spaces[space as usize]
    }
}

/// Memory and layout of a keyspace. Records are read by keys that exist, so their last level needs no filter.
fn settings(options: &FjallOptions, space: Space) -> KeyspaceCreateOptions {
    let memtable = match space {
        Space::Messages => options.memtable_bytes,
        Space::States
        | Space::Queues
        | Space::Deliveries
        | Space::Columns
        | Space::Kv
        | Space::Events
        | Space::Conversations
        | Space::Work
        | Space::Timeline => options.memtable_bytes / 2,
        Space::Documents => options.memtable_bytes / 4,
    };
    KeyspaceCreateOptions::default()
        .manual_journal_persist(true)
        .max_memtable_size(memtable.max(1 << 20))
        .expect_point_read_hits(matches!(space, Space::Messages | Space::Columns))
}

fn open_error(path: &Path, error: fjall::Error) -> Error {
    match error {
        fjall::Error::Locked => Error::Locked { path: path.to_owned() },
        fjall::Error::Io(source) => Error::Io { path: path.to_owned(), source },
        other => Error::Damaged(other.to_string()),
    }
}

fn read_error(error: fjall::Error) -> StoreError {
    damaged(error.to_string())
}

fn write_error(error: fjall::Error) -> StoreError {
    StoreError::Unavailable(match &error {
        fjall::Error::Poisoned => "an earlier write, sync or flush failed".to_owned(),
        fjall::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    })
}

impl Backend for Fjall {
    fn get(&self, space: Space, key: &[u8]) -> StoreResult<Option<Bytes>> {
        Ok(self.space(space).get(key).map_err(read_error)?.map(Bytes::from))
    }

    fn scan(&self, space: Space, range: KeyRange, order: Order) -> Scan<'_> {
        let rows = self.space(space).range::<Bytes, _>((range.start, range.end));
        let open = |guard: fjall::Guard| {
            let (key, value) = guard.into_inner().map_err(read_error)?;
            Ok((Bytes::from(key), Bytes::from(value)))
        };
        match order {
            Order::Forward => Box::new(rows.map(open)),
            Order::Reverse => Box::new(rows.rev().map(open)),
        }
    }

    fn write(&self, writes: Vec<Write>) -> StoreResult<()> {
        let mut batch = fjall::OwnedWriteBatch::with_capacity(self.database.clone(), writes.len())
            .durability(Some(self.durability));
        for Write { space, key, value } in writes {
            match value {
                Some(value) => batch.insert(self.space(space), fjall::Slice::from(key), fjall::Slice::from(value)),
                None => batch.remove(self.space(space), fjall::Slice::from(key)),
            }
        }
        batch.commit().map_err(write_error)
    }

    fn sync(&self) -> StoreResult<()> {
        self.database.persist(PersistMode::SyncAll).map_err(write_error)
    }
}
