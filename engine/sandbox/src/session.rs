//! How a connector's session stands, and who is told.

use std::sync::Arc;

use parking_lot::Mutex;
use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{ConnectorEvents, SessionState};

/// One connector's session state.
pub(crate) struct Session {
    connector: ConnectorIndex,
    /// And whether anybody is told of it still.
    state: Mutex<(SessionState, bool)>,
    events: Arc<dyn ConnectorEvents>,
}

impl Session {
    pub(crate) fn new(connector: ConnectorIndex, events: Arc<dyn ConnectorEvents>) -> Self {
        Self { connector, state: Mutex::new((SessionState::Stopped, true)), events }
    }

    pub(crate) fn get(&self) -> SessionState {
        self.state.lock().0.clone()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.state.lock().0 == SessionState::Connected
    }

    /// Tells of a change; the same state again is none. The observer is called under the lock, so that it hears the changes
    /// in their order: it must not block, as its contract says.
    pub(crate) fn set(&self, next: SessionState) {
        let mut held = self.state.lock();
        let (state, told) = &mut *held;
        if *state != next {
            *state = next.clone();
            if *told {
                self.events.session_changed(self.connector, next);
            }
        }
    }

    /// Nobody is told any more: a successor speaks for the connector.
    pub(crate) fn mute(&self) {
        self.state.lock().1 = false;
    }
}
