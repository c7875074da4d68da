//! A row of a campaign: one recipient, what is sent to him, and what became of it; and the counts of all rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::message::{MessageState, Status};
use super::reason::{Reason, ReasonCode};
use super::receipt::Receipts;
use crate::Timestamp;
use crate::words::words;

/// Maximum number of different codes that are counted one by one; further ones are counted as [`OTHER_CODES`].
pub const MAX_CODES: usize = 64;
/// What codes beyond [`MAX_CODES`] are counted as.
pub const OTHER_CODES: &str = "other";
/// Maximum length of a code, in characters; a longer one is cut.
pub const MAX_CODE_CHARS: usize = 64;

words! {
    /// Why a row of a campaign is not sent. The places of the values are stored: add only behind the last one.
    #[derive(Serialize, Deserialize)]
    pub enum SkipReason {
        /// The contact does not want messages.
        OptedOut = "opted_out",
        /// The contact refuses messages of this category.
        Refused = "refused",
        /// An earlier row is to the same contact.
        Duplicate = "duplicate",
        /// The channel has no such address.
        BadAddress = "bad_address",
        /// A variable of the template has no value, or one that the template does not take.
        MissingVariable = "missing_variable",
        /// The channel does not deliver messages of this category to such an address.
        Undeliverable = "undeliverable",
    }
}

words! {
    /// Where a row of a campaign stands.
    #[derive(Serialize, Deserialize)]
    pub enum RowStatus {
        /// It is not a message yet.
        Pending = "pending",
        /// It is a message without an outcome.
        Queued = "queued",
        /// The channel accepted it. That is not a delivery.
        Accepted = "accepted",
        /// It reached the recipient.
        Delivered = "delivered",
        /// The recipient has seen it.
        Read = "read",
        /// It was not delivered, with a code.
        Failed = "failed",
        /// It was not sent, with the reason.
        Skipped = "skipped",
        /// A person canceled it, or stopped the campaign.
        Canceled = "canceled",
        /// It may or may not have been sent.
        Unknown = "unknown",
    }
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowOutcome {
    /// It is not a message yet.
    Pending,
    /// It is a message without an outcome.
    Queued,
    /// The channel accepted it.
    Accepted,
    /// It reached the recipient.
    Delivered,
    /// The recipient has seen it.
    Read,
    /// It was not delivered: the channel's code, otherwise the reason's word.
    Failed(String),
    /// It was not sent.
    Skipped(SkipReason),
    /// It was canceled.
    Canceled,
    /// It may or may not have been sent.
    Unknown,
    /// The channel accepted it and keeps it back for now. It stands where [`Self::Accepted`] stands.
    Held,
    /// It is a message to a stranger, put off because the account may start no conversation now. It stands where [`Self::Queued`] stands.
    /// Earlier engines did not tell the two apart.
    PutOff,
}

/// A code as it is counted.
fn cut(code: &str) -> String {
    code.chars().take(MAX_CODE_CHARS).collect()
}

impl RowOutcome {
    /// What the outcome of a message with this state and these reports is.
    pub fn of(state: &MessageState, receipts: &Receipts) -> Self {
        let code = |fallback: &str| {
            let told = |reason: &Reason| reason.channel_code.clone().unwrap_or_else(|| reason.code.as_str().to_owned());
            cut(&state.reason.as_ref().map_or_else(|| fallback.to_owned(), told))
        };
        match state.status {
            // It is sent once more, up to a day later: its campaign neither waits for that nor keeps a place for it.
            Status::Pending | Status::Waiting | Status::Processing if state.sent_at.is_some() && state.attempts > 0 => {
                Self::Accepted
            }
            Status::Waiting if state.is_put_off() => Self::PutOff,
            Status::Pending | Status::Waiting | Status::Processing | Status::PendingApproval => Self::Queued,
            Status::Sent if receipts.first.read_at.is_some() || receipts.first.played_at.is_some() => Self::Read,
            Status::Sent if receipts.first.delivered_at.is_some() => Self::Delivered,
            Status::Sent if state.is_held_by_channel() => Self::Held,
            Status::Sent => Self::Accepted,
            Status::Failed => Self::Failed(code("failed")),
            Status::Canceled if state.is_withdrawn() => Self::Pending,
            Status::Canceled => Self::Canceled,
            Status::Unknown => Self::Unknown,
        }
    }

    /// Where the row stands, without the details.
    pub fn status(&self) -> RowStatus {
        match self {
            Self::Pending => RowStatus::Pending,
            Self::Queued | Self::PutOff => RowStatus::Queued,
            Self::Accepted | Self::Held => RowStatus::Accepted,
            Self::Delivered => RowStatus::Delivered,
            Self::Read => RowStatus::Read,
            Self::Failed(_) => RowStatus::Failed,
            Self::Skipped(_) => RowStatus::Skipped,
            Self::Canceled => RowStatus::Canceled,
            Self::Unknown => RowStatus::Unknown,
        }
    }

    /// The code that it failed with, the reason for which it was skipped, or that the channel keeps it back.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Failed(code) => Some(code),
            Self::Skipped(reason) => Some(reason.as_str()),
            Self::Held => Some(ReasonCode::Held.as_str()),
            _ => None,
        }
    }

    /// Whether something is still to be done for it.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Pending | Self::Queued | Self::PutOff)
    }
}

impl MessageState {
    /// Whether it was taken back because its campaign was paused: the row becomes another message later.
    pub fn is_withdrawn(&self) -> bool {
        self.status == Status::Canceled
            && self.reason.as_ref().is_some_and(|reason| reason.code == ReasonCode::Withdrawn)
    }

    /// Whether the channel accepted it and kept it back. What it reports afterwards is not looked at here.
    pub fn is_held_by_channel(&self) -> bool {
        self.status == Status::Sent && self.reason.as_ref().is_some_and(|reason| reason.code == ReasonCode::Held)
    }

    /// Whether it waits because the account may start no conversation now.
    pub fn is_put_off(&self) -> bool {
        self.status == Status::Waiting && self.reason.as_ref().is_some_and(|reason| reason.code == ReasonCode::Outreach)
    }

    /// The channel's code with which an attempt ended that is to be repeated, while the message waits for that.
    pub fn put_back_code(&self) -> Option<&str> {
        let waits = matches!(self.status, Status::Pending | Status::Waiting);
        self.reason.as_ref().filter(|_| waits)?.channel_code.as_deref()
    }
}

/// A row as it was fixed. Written once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignRow {
    /// Its number in the campaign, from 1 without gaps.
    pub number: u32,
    /// The line that it stands on in the file that it came from.
    pub line: Option<u32>,
    /// The recipient's address: normalised by the connector's plugin, or as it was written where the plugin refused it.
    pub to: String,
    /// The recipient's name.
    pub name: Option<String>,
    /// Public id of the contact, if there was one.
    pub contact: Option<Uuid>,
    /// What the template is filled with.
    pub variables: BTreeMap<String, String>,
}

/// What became of a row, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowState {
    /// What became of it.
    pub outcome: RowOutcome,
    /// The same for a person, where there is more to say. Never a message's text.
    pub detail: Option<String>,
    /// Serial and public id of its message.
    pub message: Option<(u64, Uuid)>,
    /// When that was.
    pub at: Timestamp,
}

/// A row with what became of it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// The row.
    pub row: CampaignRow,
    /// What became of it.
    pub state: RowState,
}

/// How many rows stand where. Invariant: the sum of [`Self::by_status`] is the number of rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CampaignCounts {
    /// Not messages yet.
    pub pending: u64,
    /// Messages without an outcome.
    pub queued: u64,
    /// Accepted by the channel, and no more is known.
    pub accepted: u64,
    /// Delivered, and not read.
    pub delivered: u64,
    /// Read.
    pub read: u64,
    /// Failed.
    pub failed: u64,
    /// Not sent.
    pub skipped: u64,
    /// Canceled.
    pub canceled: u64,
    /// Sent or not: nobody knows.
    pub unknown: u64,
    /// Failed, by code.
    pub failed_by: BTreeMap<String, u64>,
    /// Not sent, by reason.
    pub skipped_by: BTreeMap<SkipReason, u64>,
    /// Those of [`Self::accepted`] that the channel keeps back for now.
    pub held: u64,
    /// How often the channel refused a message for now, so that it went back to its queue, by the channel's code. It never falls.
    pub put_back_by: BTreeMap<String, u64>,
    /// Those of [`Self::queued`] that are put off, because they would start conversations and the account may start none now.
    pub put_off: u64,
}

impl CampaignCounts {
    /// How many rows stand where, without details.
    pub fn by_status(&self) -> [(RowStatus, u64); 9] {
        RowStatus::ALL.map(|status| (status, self.at(status)))
    }

    /// How many rows stand there.
    pub fn at(&self, status: RowStatus) -> u64 {
        match status {
            RowStatus::Pending => self.pending,
            RowStatus::Queued => self.queued,
            RowStatus::Accepted => self.accepted,
            RowStatus::Delivered => self.delivered,
            RowStatus::Read => self.read,
            RowStatus::Failed => self.failed,
            RowStatus::Skipped => self.skipped,
            RowStatus::Canceled => self.canceled,
            RowStatus::Unknown => self.unknown,
        }
    }

    /// The number of all rows.
    pub fn rows(&self) -> u64 {
        self.by_status().iter().map(|(_, rows)| rows).sum()
    }

    /// Messages of which the channel said what became of them.
    pub fn ended(&self) -> u64 {
        self.accepted + self.delivered + self.read + self.failed
    }

    fn slot(&mut self, status: RowStatus) -> &mut u64 {
        match status {
            RowStatus::Pending => &mut self.pending,
            RowStatus::Queued => &mut self.queued,
            RowStatus::Accepted => &mut self.accepted,
            RowStatus::Delivered => &mut self.delivered,
            RowStatus::Read => &mut self.read,
            RowStatus::Failed => &mut self.failed,
            RowStatus::Skipped => &mut self.skipped,
            RowStatus::Canceled => &mut self.canceled,
            RowStatus::Unknown => &mut self.unknown,
        }
    }

    /// A message went back to its queue because the channel refused it for now, with this code.
    pub fn put_back(&mut self, code: &str) {
        let code = counted_code(&self.put_back_by, &cut(code));
        *self.put_back_by.entry(code).or_default() += 1;
    }

    /// Counts a row that stands there from now on.
    pub fn add(&mut self, outcome: &RowOutcome) {
        *self.slot(outcome.status()) += 1;
        match outcome {
            RowOutcome::Failed(code) => {
                let code = counted_code(&self.failed_by, code);
                *self.failed_by.entry(code).or_default() += 1;
            }
            RowOutcome::Skipped(reason) => *self.skipped_by.entry(*reason).or_default() += 1,
            RowOutcome::Held => self.held += 1,
            RowOutcome::PutOff => self.put_off += 1,
            _ => {}
        }
    }

    /// Counts a row that does not stand there any more.
    pub fn remove(&mut self, outcome: &RowOutcome) {
        let slot = self.slot(outcome.status());
        *slot = slot.saturating_sub(1);
        match outcome {
            RowOutcome::Failed(code) => {
                let code = counted_code(&self.failed_by, code);
                if let Some(rows) = self.failed_by.get_mut(&code) {
                    *rows = rows.saturating_sub(1);
                }
            }
            RowOutcome::Skipped(reason) => {
                if let Some(rows) = self.skipped_by.get_mut(reason) {
                    *rows = rows.saturating_sub(1);
                }
            }
            RowOutcome::Held => self.held = self.held.saturating_sub(1),
            RowOutcome::PutOff => self.put_off = self.put_off.saturating_sub(1),
            _ => {}
        }
    }
}

/// The name under which a code is counted. A code keeps its name: none is ever taken out.
fn counted_code(counted: &BTreeMap<String, u64>, code: &str) -> String {
    let known = counted.contains_key(code);
    if known || counted.len() < MAX_CODES { code.to_owned() } else { OTHER_CODES.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: Status, reason: Option<ReasonCode>) -> MessageState {
        MessageState {
            status,
            revision: 1,
            attempts: 1,
            due_at: Timestamp(1),
            held: false,
            hold_until: None,
            updated_at: Timestamp(1),
            sent_at: None,
            provider_id: None,
            reason: reason.map(|code| Reason::new(code, "x")),
            fetched: None,
        }
    }

    #[test]
    fn a_row_stands_where_its_message_stands() {
        let mut receipts = Receipts::default();
        let sent = state(Status::Sent, None);
        assert_eq!(RowOutcome::of(&sent, &receipts), RowOutcome::Accepted, "accepted is not delivered");
        receipts.note(None, super::super::receipt::ReceiptKind::Delivered, Timestamp(2), None);
        assert_eq!(RowOutcome::of(&sent, &receipts), RowOutcome::Delivered);
        receipts.note(None, super::super::receipt::ReceiptKind::Read, Timestamp(3), None);
        assert_eq!(RowOutcome::of(&sent, &receipts), RowOutcome::Read);
        let none = Receipts::default();
        let held = sent.clone().held_by_channel();
        assert_eq!(RowOutcome::of(&held, &none), RowOutcome::Held);
        assert_eq!(RowOutcome::of(&held, &receipts), RowOutcome::Read, "it was let through");
        for status in [Status::Pending, Status::Waiting, Status::Processing, Status::PendingApproval] {
            assert_eq!(RowOutcome::of(&state(status, None), &none), RowOutcome::Queued);
        }
        let again =
            MessageState { sent_at: Some(Timestamp(1)), ..state(Status::Waiting, Some(ReasonCode::Undeliverable)) };
        assert_eq!(RowOutcome::of(&again, &none), RowOutcome::Accepted, "it is sent once more");
        assert_eq!(
            RowOutcome::of(&MessageState { attempts: 0, ..again }, &none),
            RowOutcome::Queued,
            "a person retries"
        );
        let failed = state(Status::Failed, Some(ReasonCode::Rejected));
        assert_eq!(RowOutcome::of(&failed, &none), RowOutcome::Failed("rejected".to_owned()));
        assert_eq!(RowOutcome::of(&state(Status::Unknown, None), &none), RowOutcome::Unknown);
        let canceled = state(Status::Canceled, Some(ReasonCode::Canceled));
        assert_eq!(RowOutcome::of(&canceled, &none), RowOutcome::Canceled);
        let withdrawn = state(Status::Canceled, Some(ReasonCode::Withdrawn));
        assert_eq!(RowOutcome::of(&withdrawn, &none), RowOutcome::Pending);
    }

    #[test]
    fn a_row_that_the_channel_keeps_back_is_accepted_and_says_so() {
        let mut counts = CampaignCounts::default();
        counts.add(&RowOutcome::Accepted);
        counts.add(&RowOutcome::Held);
        assert_eq!((counts.accepted, counts.held, counts.rows(), counts.ended()), (2, 1, 2, 2));
        assert_eq!((RowOutcome::Held.status(), RowOutcome::Held.code()), (RowStatus::Accepted, Some("held")));
        counts.remove(&RowOutcome::Held);
        counts.add(&RowOutcome::Delivered);
        assert_eq!((counts.accepted, counts.held, counts.delivered), (1, 0, 1));
    }

    #[test]
    fn a_row_that_is_put_off_is_queued_and_counted_beside_the_others() {
        let none = Receipts::default();
        let put_off = state(Status::Waiting, Some(ReasonCode::Outreach));
        assert_eq!(RowOutcome::of(&put_off, &none), RowOutcome::PutOff);
        let paced = state(Status::Waiting, Some(ReasonCode::Throttled));
        assert_eq!(RowOutcome::of(&paced, &none), RowOutcome::Queued);
        let again = MessageState { sent_at: Some(Timestamp(1)), ..put_off };
        assert_eq!(RowOutcome::of(&again, &none), RowOutcome::Accepted, "the channel accepted it once");
        assert!(RowOutcome::PutOff.is_open());
        let mut counts = CampaignCounts::default();
        counts.add(&RowOutcome::Queued);
        counts.add(&RowOutcome::PutOff);
        assert_eq!((counts.queued, counts.put_off, counts.rows()), (2, 1, 2));
        counts.remove(&RowOutcome::PutOff);
        counts.add(&RowOutcome::Queued);
        assert_eq!((counts.queued, counts.put_off, counts.rows()), (2, 0, 2));
    }

    #[test]
    fn refusals_for_now_are_counted_by_a_bounded_number_of_codes() {
        let mut counts = CampaignCounts::default();
        (0..MAX_CODES + 3).for_each(|n| counts.put_back(&format!("c{n}")));
        counts.put_back("c0");
        assert_eq!((counts.put_back_by.get("c0"), counts.put_back_by.get(OTHER_CODES)), (Some(&2), Some(&3)));
        assert_eq!(counts.rows(), 0, "no row stands anywhere else for it");
        counts.put_back(&"x".repeat(MAX_CODE_CHARS + 1));
        assert_eq!(counts.put_back_by.len(), MAX_CODES + 1);
    }

    #[test]
    fn the_counts_add_up_also_beyond_the_codes_that_are_counted_alone() {
        let mut counts = CampaignCounts::default();
        let code = |n: usize| RowOutcome::Failed(format!("c{n}"));
        (0..MAX_CODES + 3).for_each(|n| counts.add(&code(n)));
        counts.add(&RowOutcome::Skipped(SkipReason::Duplicate));
        assert_eq!(counts.rows(), MAX_CODES as u64 + 4);
        assert_eq!(counts.failed_by.get(OTHER_CODES), Some(&3));
        assert_eq!(counts.failed_by.values().sum::<u64>(), counts.failed);
        (0..MAX_CODES + 3).for_each(|n| counts.remove(&code(n)));
        counts.remove(&RowOutcome::Skipped(SkipReason::Duplicate));
        assert_eq!((counts.rows(), counts.failed_by.values().sum::<u64>()), (0, 0));
        assert_eq!(counts.skipped_by.values().sum::<u64>(), 0);
    }
}
