//! What the library needs from a platform, on top of the engine's imports. It must not know sessions or messages.
//!
//! Nothing here runs by itself: [`executor::drain`] is polled by `run`, and drives everything that was spawned.

pub(crate) mod executor;
pub(crate) mod http;
mod journal;
mod runtime;
pub(crate) mod socket;

pub(crate) use runtime::Guest as Runtime;

use std::sync::Once;

use pombo_plugin::clock;
use whatsapp_rust::wacore::time::{MonotonicProvider, TimeProvider, set_monotonic_provider, set_time_provider};

struct Clock;

impl TimeProvider for Clock {
    fn now_millis(&self) -> i64 {
        i64::try_from(clock::now_millis()).unwrap_or(i64::MAX)
    }
}

impl MonotonicProvider for Clock {
    fn now_nanos(&self) -> u64 {
        u64::try_from(clock::monotonic().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Gives the library its clock and its log. To be called before anything else of the library: without a clock it panics on this
/// target.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only when a provider is there already, which `ONCE` excludes.
        let _ = set_time_provider(Clock);
        let _ = set_monotonic_provider(Clock);
        journal::install();
    });
}

/// Eight random bytes from the engine.
pub(crate) fn draw() -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&pombo_plugin::random::bytes(8));
    u64::from_le_bytes(bytes)
}
