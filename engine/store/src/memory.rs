//! What the committer and the readers share: the backend and everything that is held in memory beside it.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use pombo_domain::ports::{CommitObserver, StoreHealth};

use crate::backend::Backend;
use crate::catalog::Catalog;
use crate::columns::Columns;
use crate::tables::queues::Frontiers;

/// The shared part of a store.
pub(crate) struct Memory {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) columns: Arc<Columns>,
    pub(crate) catalog: RwLock<Catalog>,
    pub(crate) frontiers: Frontiers,
    pub(crate) health: RwLock<StoreHealth>,
    pub(crate) observer: RwLock<Option<Arc<dyn CommitObserver>>>,
    /// Held from a group's write until memory shows it; whoever compares disk and memory takes it.
    pub(crate) whole: Mutex<()>,
}
