//! How an account stands with its channel, counted from what happens to its messages. The score and what it does to the pace
//! are the scheduler's rules; here is what is counted.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What one hour counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HealthHour {
    /// Hours since 1970.
    pub hour: i64,
    /// Messages that the channel accepted.
    pub sent: u32,
    /// Of them, with a report that they reached the recipient.
    pub delivered: u32,
    /// Attempts that the channel refused for good.
    pub failed: u32,
    /// Received messages of people, one for each conversation and hour.
    pub replies: u32,
    /// Blocks and reports.
    pub blocks: u32,
    /// Restrictions that the channel imposed.
    pub restrictions: u32,
}

/// A connector's counts, oldest hour first, no further back than the window.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HealthState {
    /// The hours that counted something.
    pub hours: Vec<HealthHour>,
    /// The account's own address; another one starts anew.
    pub account: Option<String>,
    /// Counted from here, after a person resumed a connector that its health had paused.
    pub since: Timestamp,
    /// The last level that was told in an event: 0 good, 1 slowed, 2 paused.
    pub told: u8,
}

/// Something that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthSignal {
    /// The channel accepted a message.
    Sent,
    /// A sent message reached its recipient (once a message).
    Delivered,
    /// The channel refused a message for good.
    Failed,
    /// A person wrote.
    Reply,
    /// A recipient blocked or reported the account.
    Blocked,
    /// The channel restricts the account.
    Restricted,
}
