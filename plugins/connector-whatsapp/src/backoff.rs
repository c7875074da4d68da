//! How long to wait before the next attempt to connect. Pure: the caller passes in the randomness.

use std::time::Duration;

use crate::config::Reconnect;

/// Counts the failures since the last connection that held.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection held: the next pause is the shortest again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause before the next attempt: doubled with every failure up to the bound, and drawn from its upper three quarters, so
    /// that many connectors that lost one server do not come back at once. `draw` is uniform.
    pub(crate) fn next(&mut self, bounds: &Reconnect, draw: u64) -> Duration {
        let least = u64::from(bounds.min_millis);
        let most = u64::from(bounds.max_seconds) * 1_000;
        let whole = least.saturating_mul(1 << self.failures.min(20)).min(most).max(1);
        self.failures = self.failures.saturating_add(1);
        let least = whole / 4;
        Duration::from_millis(least + draw % (whole - least + 1))
    }

    /// Whether enough attempts failed to warn the operator.
    pub(crate) fn is_visible(&self, bounds: &Reconnect) -> bool {
        self.failures >= bounds.visible_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_begin_anew() {
        let bounds = Reconnect { min_millis: 1_000, max_seconds: 10, visible_after: 3 };
        let mut backoff = Backoff::default();
        for whole in [1_000, 2_000, 4_000, 8_000, 10_000, 10_000] {
            let mut again = Backoff { failures: backoff.failures };
            assert_eq!(again.next(&bounds, 0).as_millis(), whole / 4);
            assert_eq!(backoff.next(&bounds, (whole - whole / 4) as u64).as_millis(), whole);
        }
        assert!(backoff.is_visible(&bounds));
        backoff.reset();
        assert!(!backoff.is_visible(&bounds));
        assert!(backoff.next(&bounds, u64::MAX) <= Duration::from_secs(1));
    }

    #[test]
    fn a_long_outage_does_not_overflow() {
        let bounds = Reconnect { min_millis: 60_000, max_seconds: 3_600, visible_after: 1 };
        let mut backoff = Backoff { failures: u32::MAX };
        assert!(backoff.next(&bounds, 7) <= Duration::from_secs(3_600));
    }
}
