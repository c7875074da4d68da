//! Views of connectors' paces, for whoever shows them.

use super::StoreResult;
use crate::ConnectorIndex;
use crate::model::pace::PaceView;

/// Tells what a connector's pace looks like now. The scheduler, which keeps it, implements this.
pub trait PaceViews: Send + Sync + 'static {
    /// The view of `connector` at this instant; `None` when there is no such connector. Reads memory, and the store where the
    /// connector has no lane.
    fn pace(&self, connector: ConnectorIndex) -> StoreResult<Option<PaceView>>;
}
