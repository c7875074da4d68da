//! Views of connectors' paces, for the code that shows them.

use super::StoreResult;
use crate::ConnectorIndex;
use crate::model::pace::PaceView;

/// Gives the present state of a connector's pace. Implemented by the scheduler, which keeps the pace.
pub trait PaceViews: Send + Sync + 'static {
    /// The view of `connector` at this instant; `None` when there is no such connector. Reads memory, and the store where the
    /// connector has no lane.
    fn pace(&self, connector: ConnectorIndex) -> StoreResult<Option<PaceView>>;
}
