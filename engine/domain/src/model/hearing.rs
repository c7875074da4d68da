//! What a connector hears of its channel, as it is shown to people: a view, computed when it is asked for and stored nowhere.
//!
//! A session may be connected by its plugin's word and hear nothing all the same. What is expected to be heard follows from the connector's
//! own past; this module has only the plain values.

use crate::Timestamp;
use crate::words::words;

words! {
    /// Why a connector whose session is connected is taken to be deaf.
    pub enum DeafReason {
        /// Several people were written to and nothing at all was heard since, although receipts usually come within seconds.
        NothingHeard = "nothing_heard",
        /// Several people were written to and no receipt came since, although other things were heard.
        NoReceipts = "no_receipts",
        /// Nothing was heard for longer than ever at these hours of the week.
        Silence = "silence",
        /// The plugin asked its account for a sign of life, and heard none.
        Heartbeat = "heartbeat",
    }
}

/// A connector does not hear although its session is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deaf {
    /// From when on nothing was heard that should have been.
    pub since: Timestamp,
    /// When that was noticed.
    pub noticed_at: Timestamp,
    /// Why it is taken to be deaf.
    pub reason: DeafReason,
    /// The evidence, for a person.
    pub detail: String,
}

/// How long messages took from their acceptance by the channel until they were delivered, within the last days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryTimes {
    /// Messages that were delivered.
    pub samples: u32,
    /// Half of them took no longer, ms. At most a quarter too high.
    pub p50_ms: i64,
    /// All but a hundredth of them took no longer, ms. At most a quarter too high.
    pub p99_ms: i64,
}

/// Deliveries from which it is known when a message is late, at least.
pub const ENOUGH_DELIVERIES: u32 = 100;
/// A message is not late before this, ms, however fast its peers were delivered.
pub const NEVER_LATE_BEFORE_MS: i64 = 600_000;

impl DeliveryTimes {
    /// After how many milliseconds a message that was not delivered is late; `None` where too few were delivered to say so.
    pub fn late_after_ms(&self) -> Option<i64> {
        (self.samples >= ENOUGH_DELIVERIES).then(|| self.p99_ms.max(NEVER_LATE_BEFORE_MS))
    }
}

/// What a connector hears at one instant. What the process has not seen since it started is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HearingView {
    /// When anything was heard last.
    pub heard_at: Option<Timestamp>,
    /// When a receipt was heard last.
    pub receipt_at: Option<Timestamp>,
    /// How many people were written to since then, as far as they are remembered. Of none of them came a receipt.
    pub unanswered: usize,
    /// How long messages take until they are delivered.
    pub delivery: Option<DeliveryTimes>,
    /// Set while the connector is taken to be deaf and its session is connected.
    pub deaf: Option<Deaf>,
    /// When the plugin's instance was last restarted because of that.
    pub restarted_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_needs_enough_peers_and_ten_minutes() {
        let times = |samples, p99_ms| DeliveryTimes { samples, p50_ms: 1_000, p99_ms };
        assert_eq!(times(99, 1_000).late_after_ms(), None);
        assert_eq!(times(100, 1_000).late_after_ms(), Some(600_000));
        assert_eq!(times(100, 3_600_000).late_after_ms(), Some(3_600_000));
    }
}
