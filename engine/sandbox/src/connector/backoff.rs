//! How long to wait before a failed connector is started again: doubling, with jitter, forgotten after a good while.

use std::time::Duration;

/// An instance that lived this long starts again as if it had never failed.
const FORGIVEN_AFTER: Duration = Duration::from_secs(120);

/// Counts failures in a row.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, failures: 0 }
    }

    /// The pause after an instance that lived for `lived`: between half and all of the doubled time, by `random`.
    pub(crate) fn next(&mut self, lived: Duration, random: u64) -> Duration {
        if lived >= FORGIVEN_AFTER {
            self.failures = 0;
        }
        let full = self.first.saturating_mul(1 << self.failures.min(20)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        let half = full / 2;
        half + half.mul_f64((random >> 11) as f64 / (1u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_over_after_a_good_run() {
        let mut b = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let short = Duration::from_secs(1);
        let pauses: Vec<_> = (0..5).map(|_| b.next(short, u64::MAX).as_secs_f64().round()).collect();
        assert_eq!(pauses, [1.0, 2.0, 4.0, 5.0, 5.0]);
        assert_eq!(b.next(short, 0), Duration::from_millis(2500));
        assert_eq!(b.next(FORGIVEN_AFTER, 0), Duration::from_millis(500));
    }
}
