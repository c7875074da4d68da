//! Numbers drawn from a seed: the only randomness of this crate's rules. The seed comes from the entropy port once per task,
//! so that a test repeats exactly.

/// A sequence of seeds (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// Begins a sequence.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
    /// The next seed.
    pub fn seed(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

/// A number between `min` and `max`, both included, uniform over seeds. `min` where they are the wrong way round.
pub fn between(seed: u64, min: u64, max: u64) -> u64 {
    let span = u128::from(max.saturating_sub(min)) + 1;
    let offset = (u128::from(seed) * span) >> 64;
    min + u64::try_from(offset).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_between_and_reaches_both_ends() {
        assert_eq!((between(0, 3, 9), between(u64::MAX, 3, 9)), (3, 9));
        assert_eq!((between(u64::MAX, 0, u64::MAX), between(77, 5, 1)), (u64::MAX, 5));
        let mut draw = Draw::new(1);
        let mut seen = [false; 7];
        for _ in 0..200 {
            let n = between(draw.seed(), 3, 9);
            seen[usize::try_from(n - 3).expect("small")] = true;
        }
        assert_eq!(seen, [true; 7]);
    }
}
