//! The randomness of one call: SplitMix64, drawn from the call's seed, so that the same seed gives the same numbers in every engine.
//! Not for secrets, and the world says so.

/// A generator whose numbers follow from its seed.
#[derive(Debug, Clone)]
pub(crate) struct Randomness(u64);

impl Randomness {
    /// A generator for a call with this seed; each `stream` of a seed has other numbers.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut start = Self(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        start.number();
        start
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn bytes(&mut self, into: &mut [u8]) {
        for piece in into.chunks_mut(8) {
            piece.copy_from_slice(&self.number().to_le_bytes()[..piece.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        // Recordings depend on them.
        let mut one = Randomness::new(42, 0);
        let numbers = [one.number(), one.number()];
        let mut bytes = [0; 16];
        Randomness::new(42, 0).bytes(&mut bytes);
        assert_eq!(bytes[..8], numbers[0].to_le_bytes());
        assert_eq!(bytes[8..], numbers[1].to_le_bytes());
        assert_ne!(Randomness::new(42, 1).number(), numbers[0]);
        assert_ne!(Randomness::new(43, 0).number(), numbers[0]);
        assert_eq!(numbers, [0x28ef_e333_b266_f103, 0x4752_6757_130f_9f52]);
    }
}
