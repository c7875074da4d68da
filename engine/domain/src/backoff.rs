//! The pause before something that failed is tried again: exponential, bounded, and spread by jitter. Pure: the caller counts
//! its failures and passes in the randomness.

/// How a computed pause is spread, so that many callers that failed together do not try again together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// Anything from 0 to the whole pause.
    Full,
    /// Half of the pause, plus anything up to the other half.
    Equal,
}

/// An exponential backoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure, in milliseconds; it doubles with each further one.
    pub base_ms: u64,
    /// The longest pause, in milliseconds.
    pub max_ms: u64,
    /// How pauses are spread.
    pub jitter: Jitter,
}

impl Backoff {
    /// The pause in milliseconds after `failures` failures in a row (from 1), spread by `seed`.
    pub fn delay_ms(&self, failures: u32, seed: u64) -> i64 {
        let doubled = self.base_ms.saturating_mul(1u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX));
        let whole = doubled.min(self.max_ms);
        let pause = match self.jitter {
            Jitter::Full => between(seed, 0, whole),
            Jitter::Equal => between(seed, whole / 2, whole),
        };
        i64::try_from(pause).unwrap_or(i64::MAX)
    }
}

/// A number from `min` to `max`, both included, uniform over seeds; `min` where the bounds are reversed.
pub fn between(seed: u64, min: u64, max: u64) -> u64 {
    let span = u128::from(max.saturating_sub(min)) + 1;
    let offset = (u128::from(seed) * span) >> 64;
    min + u64::try_from(offset).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff { base_ms: 1_000, max_ms: 5_000, jitter: Jitter::Equal };
        let longest: Vec<_> = (1..=5).map(|failures| backoff.delay_ms(failures, u64::MAX)).collect();
        assert_eq!(longest, [1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!((backoff.delay_ms(4, 0), backoff.delay_ms(u32::MAX, 0)), (2_500, 2_500));
        let full = Backoff { jitter: Jitter::Full, ..backoff };
        assert_eq!((full.delay_ms(1, 0), full.delay_ms(1, u64::MAX)), (0, 1_000));
    }

    #[test]
    fn stays_between_and_reaches_both_ends() {
        assert_eq!((between(0, 3, 9), between(u64::MAX, 3, 9)), (3, 9));
        assert_eq!((between(u64::MAX, 0, u64::MAX), between(77, 5, 1)), (u64::MAX, 5));
    }

    #[test]
    fn backoff_never_overflows_and_keeps_its_bounds() {
        for jitter in [Jitter::Full, Jitter::Equal] {
            let backoff = Backoff { base_ms: 1_000, max_ms: 60_000, jitter };
            for n in [0, 1, 2, 7, 63, 64, 65, 1_000, u32::MAX] {
                for seed in [0, 12_345 << 44, u64::MAX] {
                    let pause = backoff.delay_ms(n, seed);
                    let least = if jitter == Jitter::Equal { 500 } else { 0 };
                    assert!((least..=60_000).contains(&pause), "{jitter:?} {n} {pause}");
                }
            }
        }
    }
}
