//! What each connector hears, in memory. Filled by the lanes and the intake, read by the task and by whoever shows it. It must not know any of
//! them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use pombo_domain::model::hearing::HearingView;
use pombo_domain::{ConnectorIndex, Timestamp};

use crate::rules::hearing::Hearing;

/// What all connectors hear. Bounded by the number of connectors.
#[derive(Default)]
pub(crate) struct Hearings(RwLock<HashMap<ConnectorIndex, Arc<Mutex<Hearing>>>>);

impl Hearings {
    /// What one connector hears.
    pub(crate) fn of(&self, connector: ConnectorIndex) -> Arc<Mutex<Hearing>> {
        if let Some(found) = self.0.read().get(&connector) {
            return found.clone();
        }
        self.0.write().entry(connector).or_default().clone()
    }

    /// What is shown of it.
    pub(crate) fn view(&self, connector: ConnectorIndex, now: Timestamp) -> HearingView {
        self.0.read().get(&connector).map(|hearing| hearing.lock().view(now)).unwrap_or_default()
    }
}
