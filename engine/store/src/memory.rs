//! What the committer and the readers share: the backend and everything that is held in memory beside it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use pombo_domain::ports::{CommitObserver, StoreHealth};

use crate::backend::Backend;
use crate::catalog::Catalog;
use crate::columns::Columns;
use crate::hot::Hot;
use crate::lanes::Lanes;
use crate::recent::Births;
use crate::rows::Rows;
use crate::tables::events::Logs;
use crate::tables::queues::Frontiers;

/// The shared part of a store.
pub(crate) struct Memory {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) columns: Arc<Columns>,
    pub(crate) catalog: RwLock<Catalog>,
    pub(crate) frontiers: Frontiers,
    pub(crate) events: Logs,
    pub(crate) hot: Hot,
    pub(crate) rows: Rows,
    pub(crate) lanes: Lanes,
    pub(crate) health: RwLock<StoreHealth>,
    pub(crate) observer: RwLock<Option<Arc<dyn CommitObserver>>>,
    /// Held from a group's write until memory shows it; whoever compares disk and memory takes it.
    pub(crate) whole: Mutex<()>,
    pub(crate) births: Births,
    /// While a group is being written: since when, by the machine's clock.
    pub(crate) writing_since: Mutex<Option<Instant>>,
}

/// A write that takes longer than this is reported as a failure.
const STUCK: Duration = Duration::from_secs(30);

impl Memory {
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
