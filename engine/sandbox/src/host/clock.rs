//! `clock`: needs no grant.

use std::time::Duration;

use wasmtime::component::{Accessor, HasSelf};

use crate::bindings::host::clock;
use crate::state::HostState;

/// A longer sleep is cut to this; a plugin that wants more sleeps again.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 3600);

impl clock::Host for HostState {
    fn now_millis(&mut self) -> u64 {
        self.services.clock.now().0.max(0) as u64
    }

    fn monotonic_nanos(&mut self) -> u64 {
        self.born.elapsed().as_nanos() as u64
    }
}

impl<T: Send + 'static> clock::HostWithStore<T> for HasSelf<HostState> {
    async fn sleep_millis(_accessor: &Accessor<T, Self>, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis).min(LONGEST_SLEEP)).await;
    }
}
