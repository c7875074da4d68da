//! What the committer and the readers share: the backend, and everything that is held in memory over it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use pombo_domain::ports::{CommitObserver, StoreHealth};
use tokio::sync::Semaphore;

use crate::backend::Backend;
use crate::birth_cache::BirthCache;
use crate::catalog::Catalog;
use crate::chats::Chats;
use crate::columns::Columns;
use crate::conversation_cache::ConversationCache;
use crate::directory::Directory;
use crate::lanes::Lanes;
use crate::pauses::Pauses;
use crate::row_cache::RowCache;
use crate::tables::events::Logs;
use crate::tables::queues::Frontiers;
use crate::watches::Watches;

/// The shared part of a store.
pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) columns: Arc<Columns>,
    pub(crate) catalog: RwLock<Catalog>,
    pub(crate) frontiers: Frontiers,
    pub(crate) events: Logs,
    pub(crate) conversations: ConversationCache,
    pub(crate) chats: Chats,
    pub(crate) directory: Directory,
    pub(crate) rows: RowCache,
    pub(crate) lanes: Lanes,
    pub(crate) pauses: Pauses,
    pub(crate) health: RwLock<StoreHealth>,
    pub(crate) observer: RwLock<Option<Arc<dyn CommitObserver>>>,
    /// Held from a group's write until memory shows it; a comparison of disk and memory takes it.
    pub(crate) whole: Mutex<()>,
    pub(crate) births: BirthCache,
    /// When the write of the present group began, by the machine's clock; `None` while nothing is written.
    pub(crate) writing_since: Mutex<Option<Instant>>,
    pub(crate) watches: Watches,
    /// Turns of those that read entries to find words in them.
    pub(crate) entry_searches: Arc<Semaphore>,
}

/// A write that takes longer than this is reported as a failure.
const STUCK: Duration = Duration::from_secs(30);

impl Shared {
    /// Whether the store takes writes; a disk that never answers counts as a failure.
    pub(crate) fn health(&self) -> StoreHealth {
        let health = self.health.read().clone();
        match *self.writing_since.lock() {
            Some(since) if health == StoreHealth::Good && since.elapsed() > STUCK => {
                StoreHealth::Failed(format!("a write has not returned for {} s", since.elapsed().as_secs()))
            }
            _ => health,
        }
    }
}
