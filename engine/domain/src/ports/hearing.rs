//! Views of what connectors hear, for the code that shows them.

use crate::ConnectorIndex;
use crate::model::hearing::HearingView;

/// Tells what connectors hear. Implemented by the scheduler, which sees what they report.
pub trait HearingViews: Send + Sync + 'static {
    /// The view of `connector` at this instant. Reads memory alone.
    fn hearing(&self, connector: ConnectorIndex) -> HearingView;
}
