//! What runs for one connector: its stable instance, and, while another version of its plugin is tried or takes over, an instance
//! of that version as well. Owns the choice between the two; must not know why there are two. Changed under the fleet's lock.
//!
//! Invariant: only plugins without a session have two instances for one connector.

use std::sync::Arc;

use pombo_domain::ports::SessionState;
use uuid::Uuid;

use crate::connector::supervisor::Running;
use crate::registry::ConnectorPlugin;

/// The instances of one connector.
pub(crate) struct Versions {
    /// The one that counts: its session is the connector's.
    pub(crate) stable: Running,
    /// The one of another version, if there is one.
    pub(crate) canary: Option<Canary>,
}

/// An instance of another version. Its session is on standby until it is the stable one.
pub(crate) struct Canary {
    pub(crate) running: Running,
    /// How many of a hundred messages go to it.
    pub(crate) share: u8,
}

impl Versions {
    pub(crate) fn new(stable: Running) -> Self {
        Self { stable, canary: None }
    }

    /// The instance that gets a message: drawn by the message's id, so that it goes the same way each time it is tried; but never one
    /// that is down while the other is up.
    pub(crate) fn choose(&self, message: Uuid) -> &Running {
        match &self.canary {
            Some(canary) if canary.running.session().is_up() => {
                let down = !matches!(self.stable.session().state(), SessionState::Connected | SessionState::Connecting);
                if down || drawn(message.as_u128(), canary.share) { &canary.running } else { &self.stable }
            }
            _ => &self.stable,
        }
    }

    /// Whether the canary is of this version.
    pub(crate) fn tries(&self, plugin: &Arc<ConnectorPlugin>) -> bool {
        self.canary.as_ref().is_some_and(|canary| Arc::ptr_eq(canary.running.plugin(), plugin))
    }

    /// Makes another instance the stable one, whose session is the connector's from now on; gives the one before.
    #[must_use = "the one before must be ended"]
    pub(crate) fn promote(&mut self, new: Running) -> Running {
        new.session().promote();
        std::mem::replace(&mut self.stable, new)
    }
}

/// Whether `share` of a hundred ids, this one among them, are drawn. Ids that follow each other are drawn independently.
pub(crate) fn drawn(id: u128, share: u8) -> bool {
    // Finalizer of MurmurHash3: each bit of the id moves half of the bits.
    let mut mixed = (id >> 64) as u64 ^ (id as u64).rotate_left(32);
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        mixed ^= mixed >> 33;
        mixed = mixed.wrapping_mul(factor);
    }
    mixed ^= mixed >> 33;
    mixed % 100 < u64::from(share)
}

#[cfg(test)]
mod tests {
    use super::drawn;

    #[test]
    fn as_many_ids_are_drawn_as_the_share_says_and_always_the_same_ones() {
        for base in [0u128, 0x0190_0000_0000_7000_8000_0000_0000_0000] {
            for share in [0u8, 1, 10, 50, 99, 100] {
                let count = (0..10_000u128).filter(|n| drawn(base + n, share)).count();
                let wanted = usize::from(share) * 100;
                assert!(count.abs_diff(wanted) <= 200, "{count} of 10,000 for {share} %");
            }
            // A greater share keeps those that were drawn.
            assert!((0..1000u128).all(|n| !drawn(base + n, 10) || drawn(base + n, 40)));
        }
        assert!((0..1000u128).all(|n| drawn(n, 100) && !drawn(n, 0)));
    }
}
