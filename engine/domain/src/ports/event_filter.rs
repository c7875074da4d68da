//! Which events of a log are asked for.

use crate::ConnectorIndex;

/// Filters of a list of events, combined by AND.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Only events on this connector.
    pub connector: Option<ConnectorIndex>,
    /// Only events of these [`crate::model::EventBody::kind`]s; empty for all.
    pub kinds: Vec<String>,
}
