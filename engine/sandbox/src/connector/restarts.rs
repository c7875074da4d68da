//! How long to wait before a failed connector is started again: doubling, with jitter, forgotten after a long run.

use std::time::Duration;

use pombo_domain::backoff::{Backoff, Jitter};

/// An instance that lived this long starts again as if it had never failed.
const FORGIVEN_AFTER: Duration = Duration::from_secs(120);

/// Counts failures in a row.
#[derive(Debug)]
pub(super) struct Restarts {
    backoff: Backoff,
    failures: u32,
}

impl Restarts {
    /// `first` and `longest` pause.
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        let millis = |pause: Duration| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let backoff = Backoff { base_ms: millis(first), max_ms: millis(longest), jitter: Jitter::Equal };
        Self { backoff, failures: 0 }
    }

    /// The pause after an instance that lived for `lived`: between half and all of the doubled time, by `random`.
    pub(super) fn next(&mut self, lived: Duration, random: u64) -> Duration {
        if lived >= FORGIVEN_AFTER {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        Duration::from_millis(u64::try_from(self.backoff.delay_ms(self.failures, random)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_over_after_a_good_run() {
        let mut restarts = Restarts::new(Duration::from_secs(1), Duration::from_secs(5));
        let short = Duration::from_secs(1);
        let pauses: Vec<_> = (0..5).map(|_| restarts.next(short, u64::MAX).as_secs_f64().round()).collect();
        assert_eq!(pauses, [1.0, 2.0, 4.0, 5.0, 5.0]);
        assert_eq!(restarts.next(short, 0), Duration::from_millis(2500));
        assert_eq!(restarts.next(FORGIVEN_AFTER, 0), Duration::from_millis(500));
    }
}
