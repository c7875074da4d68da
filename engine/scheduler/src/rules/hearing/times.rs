//! How long messages take until they are delivered: counts in buckets of growing width, for each of the last days. Bounded; it must not
//! know a clock.

use pombo_domain::Timestamp;
use pombo_domain::model::hearing::DeliveryTimes;

/// Days that count, with the present one.
const DAYS: usize = 4;
/// Four buckets to each doubling, from a quarter of a second to three months.
const PARTS: u32 = 4;
const BUCKETS: usize = 24 * PARTS as usize;
/// The width of the first buckets, ms.
const UNIT_MS: i64 = 250;
const DAY_MS: i64 = 86_400_000;

fn bucket(took_ms: i64) -> usize {
    let units = u64::try_from(took_ms / UNIT_MS).unwrap_or(0);
    if units < u64::from(PARTS) {
        return units as usize;
    }
    let doubling = units.ilog2();
    let part = (units >> (doubling - 2)) & u64::from(PARTS - 1);
    (((doubling - 1) * PARTS) as usize + part as usize).min(BUCKETS - 1)
}

/// The milliseconds below which everything in the bucket and in those before it lies.
fn edge(bucket: usize) -> i64 {
    let (doubling, part) = (bucket as u32 / PARTS, bucket as i64 % i64::from(PARTS));
    match doubling {
        0 => (part + 1) * UNIT_MS,
        n => ((i64::from(PARTS) + part + 1) << (n - 1)) * UNIT_MS,
    }
}

/// The deliveries of one day.
#[derive(Debug, Clone)]
struct Day {
    number: i64,
    counts: [u32; BUCKETS],
}

/// The deliveries of the last days.
#[derive(Debug, Clone, Default)]
pub(super) struct Times(Vec<Day>);

impl Times {
    /// A message was delivered at `now`, so long after it had been accepted.
    pub(super) fn add(&mut self, took_ms: i64, now: Timestamp) {
        let number = now.0.div_euclid(DAY_MS);
        let at = match self.0.iter().position(|day| day.number == number) {
            Some(at) => at,
            None => {
                if self.0.len() >= DAYS {
                    self.0.remove(0);
                }
                self.0.push(Day { number, counts: [0; BUCKETS] });
                self.0.len() - 1
            }
        };
        let count = &mut self.0[at].counts[bucket(took_ms.max(0))];
        *count = count.saturating_add(1);
    }

    /// What the last days tell; `None` where nothing was delivered in them.
    pub(super) fn read(&self, now: Timestamp) -> Option<DeliveryTimes> {
        let first = now.0.div_euclid(DAY_MS) - DAYS as i64 + 1;
        let mut counts = [0_u64; BUCKETS];
        for day in self.0.iter().filter(|day| day.number >= first) {
            counts.iter_mut().zip(day.counts).for_each(|(sum, count)| *sum += u64::from(count));
        }
        let all: u64 = counts.iter().sum();
        let quantile = |percent: u64| {
            let rank = (all * percent).div_ceil(100).max(1);
            let mut passed = 0;
            let found = counts.iter().position(|count| {
                passed += count;
                passed >= rank
            });
            edge(found.unwrap_or(BUCKETS - 1))
        };
        let samples = u32::try_from(all).unwrap_or(u32::MAX);
        (all > 0).then(|| DeliveryTimes { samples, p50_ms: quantile(50), p99_ms: quantile(99) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_714_564_800_000);

    #[test]
    fn every_time_is_in_the_bucket_that_ends_behind_it() {
        for ms in (0..20_000).step_by(7).chain([3_600_000, DAY_MS, 5 * DAY_MS]) {
            let at = bucket(ms);
            assert!(edge(at) > ms, "{ms} in {at}, which ends at {}", edge(at));
            assert!(at == 0 || edge(at - 1) <= ms, "{ms} in {at}, but the one before ends at {}", edge(at - 1));
            assert!(edge(at) <= ms + ms / 4 + UNIT_MS, "{ms}: {}", edge(at));
        }
        assert_eq!(bucket(i64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_last_days() {
        let mut times = Times::default();
        assert_eq!(times.read(NOW), None);
        for second in 1..=100 {
            times.add(second * 1_000, NOW);
        }
        let read = times.read(NOW).expect("there are some");
        assert_eq!(read.samples, 100);
        assert!((50_000..=62_500).contains(&read.p50_ms), "{read:?}");
        assert!((99_000..=125_000).contains(&read.p99_ms), "{read:?}");
        assert!(times.read(NOW.plus_ms(3 * DAY_MS)).is_some());
        assert_eq!(times.read(NOW.plus_ms(4 * DAY_MS)), None, "too long ago");
        for day in 0..30 {
            times.add(-5, NOW.plus_ms(day * DAY_MS));
        }
        assert_eq!(times.0.len(), DAYS);
    }
}
