//! Which connectors the task that notices deaf ones is to look at, and what wakes it.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use pombo_domain::ConnectorIndex;
use tokio::sync::Notify;

/// Connectors to be looked at. Bounded by the number of connectors.
#[derive(Default)]
pub(crate) struct HearingSignals {
    noted: Mutex<BTreeSet<ConnectorIndex>>,
    pub(crate) wake: Notify,
}

impl HearingSignals {
    /// Something happened to a connector that may be news.
    pub(crate) fn note(&self, connector: ConnectorIndex) {
        self.noted.lock().insert(connector);
        self.wake.notify_one();
    }

    pub(super) fn take(&self) -> BTreeSet<ConnectorIndex> {
        std::mem::take(&mut *self.noted.lock())
    }
}
