//! How many messages reached which stage, counted for each hour and each day: what charts are drawn from without looking at messages.
//!
//! A message counts once for each stage, in the hour and the day in which it reached it, under its connector, category, template and
//! campaign. Days are those of UTC. Plain values; the store counts.

use serde::{Deserialize, Serialize};

use super::MessageType;
use crate::words::words;
use crate::{ConnectorIndex, Timestamp};

const HOUR_MS: i64 = 60 * 60 * 1000;
/// Length of a day, in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// For how many days counts by the hour are kept.
pub const HOURS_KEPT_DAYS: i64 = 45;
/// For how many days counts by the day are kept.
pub const DAYS_KEPT: i64 = 400;

words! {
    /// A stage that a message reaches.
    pub enum Stage {
        /// The channel accepted it.
        Accepted = "accepted",
        /// It was delivered; in a group, to the first member.
        Delivered = "delivered",
        /// It was read; in a group, by the first member.
        Read = "read",
        /// It was given up, or the channel reported that it could not be delivered.
        Failed = "failed",
    }
}

/// How many messages reached each stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StageCounts {
    /// Messages that the channel accepted.
    pub accepted: u64,
    /// Messages that were delivered.
    pub delivered: u64,
    /// Messages that were read.
    pub read: u64,
    /// Messages that failed.
    pub failed: u64,
}

impl StageCounts {
    /// Counts one more.
    pub fn count(&mut self, stage: Stage) {
        let slot = match stage {
            Stage::Accepted => &mut self.accepted,
            Stage::Delivered => &mut self.delivered,
            Stage::Read => &mut self.read,
            Stage::Failed => &mut self.failed,
        };
        *slot = slot.saturating_add(1);
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.delivered = self.delivered.saturating_add(other.delivered);
        self.read = self.read.saturating_add(other.read);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// What messages are counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatSubject {
    /// The connector.
    pub connector: ConnectorIndex,
    /// The category.
    pub message_type: MessageType,
    /// Number of the template that they were made from.
    pub template: Option<u32>,
    /// Number of the campaign that they are rows of.
    pub campaign: Option<u32>,
}

/// The spans of time that are counted. The numbers are stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StatSpan {
    /// An hour.
    Hour = 1,
    /// A day of UTC.
    Day = 2,
}

impl StatSpan {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Hour, Self::Day];

    /// Its length in milliseconds.
    pub const fn ms(self) -> i64 {
        match self {
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
        }
    }

    /// The number of the span in which an instant lies, counted from the epoch; of an earlier one, the first.
    pub fn of(self, at: Timestamp) -> u32 {
        u32::try_from(at.0.div_euclid(self.ms()).max(0)).unwrap_or(u32::MAX)
    }

    /// When the span with this number begins.
    pub fn start(self, number: u32) -> Timestamp {
        Timestamp(i64::from(number).saturating_mul(self.ms()))
    }

    /// For how many days it is kept.
    pub const fn kept_days(self) -> i64 {
        match self {
            Self::Hour => HOURS_KEPT_DAYS,
            Self::Day => DAYS_KEPT,
        }
    }
}

/// The counts of one span and subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatRow {
    /// Number of the span, see [`StatSpan::of`].
    pub number: u32,
    /// What is counted.
    pub subject: StatSubject,
    /// How many.
    pub counts: StageCounts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_lies_in_the_span_that_begins_before_it() {
        let at = Timestamp(1_736_937_000_000);
        for span in StatSpan::ALL {
            let number = span.of(at);
            assert!(span.start(number) <= at && at < span.start(number + 1));
            assert_eq!(span.of(span.start(number)), number);
        }
        assert_eq!(StatSpan::Day.of(Timestamp(-1)), 0);
    }

    #[test]
    fn each_stage_has_a_count_of_its_own() {
        let mut counts = StageCounts::default();
        for (times, stage) in Stage::ALL.into_iter().enumerate() {
            (0..=times).for_each(|_| counts.count(stage));
        }
        assert_eq!(counts, StageCounts { accepted: 1, delivered: 2, read: 3, failed: 4 });
        counts.add(counts);
        assert_eq!(counts, StageCounts { accepted: 2, delivered: 4, read: 6, failed: 8 });
    }
}
