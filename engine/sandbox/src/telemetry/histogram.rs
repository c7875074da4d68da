//! Durations in buckets of growing width: four to each doubling, from a microsecond to a minute. A quantile is its bucket's upper
//! edge, so at most a quarter too high.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const PARTS: u32 = 4;
/// Enough for 2^26 µs; what is longer counts as that.
pub(super) const BUCKETS: usize = 25 * PARTS as usize;

fn bucket(us: u64) -> usize {
    if us < u64::from(PARTS) {
        return us as usize;
    }
    let doubling = us.ilog2();
    let part = (us >> (doubling - 2)) & u64::from(PARTS - 1);
    (((doubling - 1) * PARTS) as usize + part as usize).min(BUCKETS - 1)
}

/// The largest number of microseconds that falls into the bucket.
fn edge(bucket: usize) -> u64 {
    let (doubling, part) = (bucket as u32 / PARTS, bucket as u64 % u64::from(PARTS));
    match doubling {
        0 => part,
        n => ((u64::from(PARTS) + part + 1) << (n - 1)) - 1,
    }
}

/// The counts of all buckets.
#[derive(Debug)]
pub(super) struct Histogram([AtomicU64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Histogram {
    pub(super) fn add(&self, duration: Duration) {
        self.0[bucket(duration.as_micros().min(u128::from(u64::MAX)) as u64)].fetch_add(1, Relaxed);
    }
    pub(super) fn read(&self) -> Vec<u64> {
        self.0.iter().map(|n| n.load(Relaxed)).collect()
    }
}

/// The microseconds that `percent` of 100 took at most; 0 when there are none.
pub(super) fn quantile(buckets: &[u64], percent: u64) -> u64 {
    let all: u64 = buckets.iter().sum();
    let rank = (all * percent).div_ceil(100).max(1);
    let mut passed = 0;
    let found = buckets.iter().position(|n| {
        passed += n;
        passed >= rank
    });
    if all == 0 { 0 } else { edge(found.unwrap_or(BUCKETS - 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_in_the_bucket_that_ends_at_or_after_it() {
        for us in (0..5000).chain([1 << 20, (1 << 25) - 1]) {
            let at = bucket(us);
            assert!(edge(at) >= us, "{us} in {at}, which ends at {}", edge(at));
            assert!(at == 0 || edge(at - 1) < us, "{us} in {at}, but the one before ends at {}", edge(at - 1));
            assert!(edge(at) <= us + us / 4, "{us}: {}", edge(at));
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_read_from_the_counts() {
        let histogram = Histogram::default();
        assert_eq!(quantile(&histogram.read(), 99), 0);
        for us in 1..=100 {
            histogram.add(Duration::from_micros(us));
        }
        let buckets = histogram.read();
        assert_eq!(buckets.iter().sum::<u64>(), 100);
        assert!((50..=62).contains(&quantile(&buckets, 50)), "{}", quantile(&buckets, 50));
        assert!((99..=124).contains(&quantile(&buckets, 99)), "{}", quantile(&buckets, 99));
    }
}
