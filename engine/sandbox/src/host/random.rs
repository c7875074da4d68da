//! `random`: needs no grant.

use crate::bindings::host::random;
use crate::state::HostState;

/// The longest answer.
const MOST_BYTES: u32 = 64 << 10;

impl random::Host for HostState {
    fn bytes(&mut self, len: u32) -> Vec<u8> {
        let mut bytes = vec![0; len.min(MOST_BYTES) as usize];
        self.services.entropy.fill(&mut bytes);
        bytes
    }

    fn number(&mut self) -> u64 {
        self.services.entropy.u64()
    }
}
