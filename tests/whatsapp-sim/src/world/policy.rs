//! What the server insists on beyond what every client gives it: switches, off in a new world because a client that is right
//! notices none of them. Knows no socket; sessions' tasks read it, tests and the admin set it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The switches.
#[derive(Default)]
pub struct Policy {
    deduplicates: AtomicBool,
    demands_tokens: AtomicBool,
    strict_acks: AtomicBool,
    wrong_acks: AtomicU64,
}

impl Policy {
    /// Whether a message that its sender sends again under its id is kept from devices that have it. Off, as far as anyone knows of
    /// the real server: every copy is delivered, and clients drop what they have.
    pub fn set_deduplicates(&self, on: bool) {
        self.deduplicates.store(on, Ordering::Release);
    }

    /// Whether a message of a companion to one person is refused with 463 when it carries no valid privacy token.
    pub fn set_demands_tokens(&self, on: bool) {
        self.demands_tokens.store(on, Ordering::Release);
    }

    /// Whether a wrong ack ends the stream with `<stream:error><ack/>`. They are counted in any case.
    pub fn set_strict_acks(&self, on: bool) {
        self.strict_acks.store(on, Ordering::Release);
    }

    /// See [`set_deduplicates`](Self::set_deduplicates).
    pub fn deduplicates(&self) -> bool {
        self.deduplicates.load(Ordering::Acquire)
    }

    /// See [`set_demands_tokens`](Self::set_demands_tokens).
    pub fn demands_tokens(&self) -> bool {
        self.demands_tokens.load(Ordering::Acquire)
    }

    /// See [`set_strict_acks`](Self::set_strict_acks).
    pub fn strict_acks(&self) -> bool {
        self.strict_acks.load(Ordering::Acquire)
    }

    /// How many acks did not name what they acknowledge as it was sent.
    pub fn wrong_acks(&self) -> u64 {
        self.wrong_acks.load(Ordering::Acquire)
    }

    pub(crate) fn count_wrong_ack(&self) {
        self.wrong_acks.fetch_add(1, Ordering::AcqRel);
    }
}
