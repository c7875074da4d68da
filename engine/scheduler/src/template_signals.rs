//! Which connectors are to be asked for their templates: noted by the intake, taken by the task in [`crate::templates`].

use std::collections::BTreeSet;

use parking_lot::Mutex;
use pombo_domain::ConnectorIndex;
use tokio::sync::Notify;

/// Connectors to be asked, and what wakes the task that asks them. Bounded by the number of connectors.
#[derive(Default)]
pub(crate) struct TemplateSignals {
    told: Mutex<BTreeSet<ConnectorIndex>>,
    pub(crate) wake: Notify,
}

impl TemplateSignals {
    /// The channel of a connector told that a template consists of something else.
    pub(crate) fn note(&self, connector: ConnectorIndex) {
        self.told.lock().insert(connector);
        self.wake.notify_one();
    }

    /// Those that were noted since the last call.
    pub(crate) fn take(&self) -> BTreeSet<ConnectorIndex> {
        std::mem::take(&mut *self.told.lock())
    }
}
