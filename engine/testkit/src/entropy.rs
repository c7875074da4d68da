//! Randomness that is the same in every run.

use std::sync::atomic::{AtomicU64, Ordering};

use pombo_domain::ports::Entropy;

/// Different bytes at each call, but the same in each run. Two values with the same seed give the same bytes.
pub struct CountingEntropy(AtomicU64);

impl CountingEntropy {
    /// Bytes that begin at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Default for CountingEntropy {
    fn default() -> Self {
        Self::new(1)
    }
}

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            // SplitMix64: neighbouring counts give bytes that have nothing in common.
            let mut x = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^= x >> 31;
            chunk.copy_from_slice(&x.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Always this byte: for jitter that a test can compute.
pub struct ConstantEntropy(pub u8);

impl Entropy for ConstantEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}
