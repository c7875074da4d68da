//! The store of Pombo: records, queues, outbox, event logs and documents in one folder, over an ordered key space.
//!
//! Layout
//! - [`keys`]: the registry of key spaces and prefixes, with the schema drawn; `tables/`: one file per table.
//! - [`committer`]: the one thread that writes; [`group`]: what it does with a batch; [`staged`]: the writes of a group.
//! - [`columns`]: packed columns that answer lists and exact totals; [`search`]: the words of messages.
//! - [`shared`]: what the committer and the readers share. [`catalog`]: the few tables that are held in memory as a whole, with
//!   [`automation_catalog`], those of automations and plugins, [`tag_catalog`], tags, and [`campaign_catalog`], which campaigns are open. [`directory`]: what lists of contacts
//!   and conversations and the counts of tags are answered from, kept of the tenants that ask. [`chats`]: the next numbers of
//!   conversations and entries. [`birth_cache`], [`in_flight`], [`conversation_cache`] and [`row_cache`]:
//!   rows that were used recently and will be needed again soon. [`watches`]: who waits for a message's next state. [`frontier`]: where the live part of a queue begins; [`lanes`]: which
//!   conversations have work. [`entry_search`]: words in what was said.
//! - [`backend`]: what is asked of a key space, with [`space`] and [`bytes`]; [`fjall`]: the one that is used; [`faults`]: one that fails
//!   on purpose.
//! - [`migrate`]: schema versions; [`verify`] and [`snapshot`]: the store checked and written as text.
//!
//! Threads: the committer writes; the indexer and the sealer keep the search index; reads run where they are called. Nothing
//! outside this crate knows what lies below the port.

mod automation_catalog;
mod automation_store;
mod backend;
mod birth_cache;
mod bytes;
mod campaign_catalog;
mod campaign_store;
mod catalog;
mod chat_store;
mod chats;
mod codec;
mod columns;
mod committer;
mod contact_store;
mod conversation_cache;
mod directory;
mod disk_store;
mod entry_search;
pub mod faults;
mod fjall;
mod frontier;
mod group;
mod in_flight;
mod keys;
mod lanes;
#[cfg(test)]
mod memory_backend;
mod migrate;
mod pauses;
mod row_cache;
mod rule_store;
mod search;
mod shared;
mod snapshot;
mod space;
mod staged;
mod stat_store;
mod tables;
mod tag_catalog;
mod template_store;
mod verify;
mod watches;
mod webhook_store;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use pombo_domain::ports::{Clock, Entropy, StoreError, StoreHealth};
use tokio::sync::{Semaphore, mpsc};

pub use disk_store::DiskStore;
pub use fjall::FjallOptions;

/// How much memory and disk the store may use, and how it groups commits.
#[derive(Debug, Clone)]
pub struct Options {
    /// The key space that everything is stored in.
    pub backend: FjallOptions,
    /// Search dictionaries held in memory, in bytes; those past it are read from disk.
    pub search_bytes: u64,
    /// Size in bytes of a search dictionary above which it is sealed before its 65,536 messages are full.
    pub search_segment_bytes: usize,
    /// Lists of conversations held in memory, in bytes: those that were asked for last. One that is larger is held alone.
    pub directory_bytes: u64,
    /// The log of column changes, in bytes, above which a block is written again as a whole.
    pub column_log_bytes: u64,
    /// Batches that may wait for the committer before `commit` itself waits.
    pub waiting_batches: usize,
    /// Batches in a group, at most.
    pub group_batches: usize,
    /// Messages in a group, at most; a single batch may exceed it.
    pub group_messages: usize,
    /// Bytes in a group, at most; a single batch may exceed it.
    pub group_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backend: FjallOptions::default(),
            search_bytes: 32 << 20,
            search_segment_bytes: 16 << 20,
            directory_bytes: 64 << 20,
            column_log_bytes: 4 << 20,
            waiting_batches: 1024,
            group_batches: 1024,
            group_messages: 8192,
            group_bytes: 8 << 20,
        }
    }
}

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it open.
    #[error("the data folder {} is in use by another process; stop that one first or choose another folder", path.display())]
    Locked {
        /// The data folder.
        path: PathBuf,
    },
    /// A newer engine wrote it.
    #[error("the data is of schema version {found}, newer than this engine's {known}; use a newer engine")]
    TooNew {
        /// The version of the data.
        found: u64,
        /// The version that this engine writes.
        known: u64,
    },
    /// This engine has no migration from the version of the data.
    #[error(
        "the data is of schema version {found}, which this engine (version {known}) cannot migrate; use an older engine first"
    )]
    TooOld {
        /// The version of the data.
        found: u64,
        /// The version that this engine writes.
        known: u64,
    },
    /// The folder cannot be used.
    #[error("the data folder {}: {source}", path.display())]
    Io {
        /// The data folder.
        path: PathBuf,
        /// What the operating system reported.
        source: std::io::Error,
    },
    /// What is stored cannot be read.
    #[error("the stored data cannot be read: {0}")]
    Damaged(String),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged(context) => Self::Damaged(context),
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// Opens the store in the folder `path`, which is created if it is missing. Blocks while it reads.
pub fn open(
    options: Options,
    path: &Path,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Arc<DiskStore>, Error> {
    let folder = make_folder(path)?;
    open_over(&options, path, Arc::new(fjall::Fjall::open(&options.backend, &folder)?), clock, entropy)
}

/// Opens a store that does not sync: a commit survives the process, but not a crash of the machine. For tests, where syncing
/// would be most of the time.
pub fn open_unsynced(
    options: Options,
    path: &Path,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Arc<DiskStore>, Error> {
    let folder = make_folder(path)?;
    open_over(&options, path, Arc::new(fjall::Fjall::open_unsynced(&options.backend, &folder)?), clock, entropy)
}

/// Opens a store whose writes fail as `plan` says, for tests of what happens then.
pub fn open_with_faults(
    options: Options,
    path: &Path,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    plan: faults::FaultPlan,
) -> Result<Arc<DiskStore>, Error> {
    let folder = make_folder(path)?;
    let inner = fjall::Fjall::open(&options.backend, &folder)?;
    open_over(&options, path, Arc::new(faults::Faulty { inner, plan }), clock, entropy)
}

/// Creates the folders; returns the key space's one. The search index is next to it.
fn make_folder(path: &Path) -> Result<PathBuf, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    std::fs::create_dir_all(path).map_err(io)?;
    Ok(path.join("store"))
}

fn open_over(
    options: &Options,
    path: &Path,
    backend: Arc<dyn backend::Backend>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Arc<DiskStore>, Error> {
    migrate::bring_to(&*backend, migrate::SCHEMA, migrate::MIGRATIONS)?;
    let seed = match tables::meta::number(&*backend, tables::meta::SEED)? {
        Some(seed) => seed,
        None => {
            let seed = entropy.u64();
            migrate::put_number(&*backend, tables::meta::SEED, seed)?;
            seed
        }
    };
    let io = |source| Error::Io { path: path.to_owned(), source };
    let columns = Arc::new(columns::Columns::open(&*backend, options.column_log_bytes)?);
    let catalog = catalog::Catalog::open(&*backend)?;
    let events = tables::events::Logs::open(&*backend)?;
    let lanes = lanes::Lanes::open(&*backend)?;
    let pauses = pauses::Pauses::open(&*backend)?;
    let chats = chats::Chats::open(&*backend)?;
    let limits = search::Limits { memory: options.search_bytes, segment: options.search_segment_bytes };
    let search = search::Search::start(path.join("search"), limits, backend.clone(), columns.clone());
    let search = Arc::new(search.map_err(io)?);
    let shared = Arc::new(shared::Shared {
        backend,
        columns,
        catalog: RwLock::new(catalog),
        frontiers: tables::queues::Frontiers::default(),
        events,
        conversations: conversation_cache::ConversationCache::default(),
        chats,
        directory: directory::Directory::new(options.directory_bytes),
        rows: row_cache::RowCache::default(),
        lanes,
        pauses,
        health: RwLock::new(StoreHealth::Good),
        observer: RwLock::new(None),
        whole: Mutex::new(()),
        births: birth_cache::BirthCache::default(),
        writing_since: Mutex::new(None),
        watches: watches::Watches::default(),
        entry_searches: Arc::new(Semaphore::new(entry_search::AT_ONCE)),
    });
    let (requests, waiting) = mpsc::channel(options.waiting_batches.max(1));
    let committer = committer::Committer {
        shared: shared.clone(),
        search: search.clone(),
        clock: clock.clone(),
        entropy,
        requests: waiting,
        in_flight: in_flight::InFlight::default(),
        bounds: committer::Bounds {
            batches: options.group_batches.max(1),
            messages: options.group_messages.max(1),
            bytes: options.group_bytes.max(1),
        },
    };
    let thread =
        std::thread::Builder::new().name("pombo-commit".to_owned()).spawn(move || committer.run()).map_err(io)?;
    Ok(Arc::new(DiskStore { shared, search, clock, requests, committer: Mutex::new(Some(thread)), seed }))
}
