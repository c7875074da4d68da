//! The health of an account on its channel, counted from what happens to its messages. The score and its effect on the pace are
//! the scheduler's rules; this module only has the counts.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::words::words;

/// The counts of one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HealthHour {
    /// Number of the hour, in hours since 1970.
    pub hour: i64,
    /// Messages that the channel accepted.
    pub sent: u32,
    /// Accepted messages that were reported as delivered.
    pub delivered: u32,
    /// Attempts that the channel refused permanently.
    pub failed: u32,
    /// Messages received from people, at most one for each conversation and hour.
    pub replies: u32,
    /// Blocks and reports by recipients.
    pub blocks: u32,
    /// Restrictions that the channel imposed.
    pub restrictions: u32,
}

/// A connector's counts, oldest hour first, no further back than the period that counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HealthState {
    /// The hours in which something was counted.
    pub hours: Vec<HealthHour>,
    /// Address of the account; when another one is paired, the counts start again.
    pub account: Option<String>,
    /// Counting begins here, after a person resumed a connector that its health had paused.
    pub since: Timestamp,
    /// The last level that was reported in an event: 0 good, 1 slowed, 2 paused.
    pub told: u8,
}

/// Something that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthSignal {
    /// The channel accepted a message.
    Sent,
    /// A sent message reached its recipient (counted once per message).
    Delivered,
    /// The channel refused a message permanently.
    Failed,
    /// A person wrote a message.
    Reply,
    /// A recipient blocked or reported the account.
    Blocked,
    /// The channel restricts the account.
    Restricted,
}

words! {
    /// Effect of an account's health score, from good to bad.
    #[derive(Default)]
    pub enum HealthLevel {
        /// The connector sends at its configured pace.
        #[default]
        Good = "good",
        /// Pauses are longer and the day's cap is lower, in proportion.
        Slowed = "slowed",
        /// The connector is paused until a person resumes it.
        Paused = "paused",
    }
}

words! {
    /// What happened to an account's health.
    pub enum HealthChange {
        /// The score fell: pauses are longer and the day's cap is lower.
        Slowed = "slowed",
        /// The score fell so low that the connector was paused until a person resumes it.
        Paused = "paused",
        /// The connector sends at its configured pace again, or the counts began again.
        Restored = "restored",
        /// A recipient blocked or reported the account.
        Blocked = "blocked",
        /// The channel restricted the account.
        Restricted = "restricted",
    }
}
