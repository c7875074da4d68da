//! Numbers drawn from a seed: the only randomness of this crate's rules. The seed comes from the entropy port once per task,
//! so that a test repeats exactly.

pub use pombo_domain::backoff::between;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_drawn_in_a_row_reach_all_of_a_range() {
        let mut draw = Draw::new(1);
        let mut seen = [false; 7];
        for _ in 0..200 {
            let n = between(draw.seed(), 3, 9);
            seen[usize::try_from(n - 3).expect("small")] = true;
        }
        assert_eq!(seen, [true; 7]);
    }
}
