//! What the channel reported about a message after it accepted it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::reason::Reason;
use crate::Timestamp;

/// Progress that the channel reports. Ordered: a later one implies the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ReceiptKind {
    /// The channel's server has it.
    Server,
    /// It reached a device of the recipient.
    Delivered,
    /// It was shown to the recipient.
    Read,
    /// The recipient played the voice note or video.
    Played,
    /// The channel reports that it could not be delivered.
    Failed,
}

impl ReceiptKind {
    /// Its name in the APIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed => "failed",
        }
    }
}

/// The progress for one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reached {
    /// When it was first delivered.
    pub delivered_at: Option<Timestamp>,
    /// When it was first read.
    pub read_at: Option<Timestamp>,
    /// When it was first played.
    pub played_at: Option<Timestamp>,
}

impl Reached {
    /// Notes a step and those that it implies; whether that told anything new.
    pub fn note(&mut self, kind: ReceiptKind, at: Timestamp) -> bool {
        let before = *self;
        let first = |slot: &mut Option<Timestamp>| {
            slot.get_or_insert(at);
        };
        match kind {
            ReceiptKind::Server | ReceiptKind::Failed => {}
            ReceiptKind::Delivered => first(&mut self.delivered_at),
            ReceiptKind::Read => {
                first(&mut self.delivered_at);
                first(&mut self.read_at);
            }
            ReceiptKind::Played => {
                first(&mut self.delivered_at);
                first(&mut self.read_at);
                first(&mut self.played_at);
            }
        }
        before != *self
    }
}

/// All reports about a message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Receipts {
    /// The channel's id of the message. If the outcome of the attempt was lost, it is known only from here.
    pub provider_id: Option<String>,
    /// The earliest of each kind, of any recipient.
    pub first: Reached,
    /// In a group, the progress for each member.
    pub members: BTreeMap<String, Reached>,
    /// The first report that it could not be delivered.
    pub failed: Option<NotDelivered>,
    /// The last failure for good that was told before the outcome of its attempt was stored. Stored behind the other reports.
    #[serde(skip)]
    pub early: Option<EarlyFailure>,
}

/// A report that the channel could not deliver a message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NotDelivered {
    /// When, by the channel's time.
    pub at: Timestamp,
    /// Why, in the channel's words; empty if it gave no reason.
    pub why: String,
    /// The channel's own code, if it gave one. Stored behind the other reports.
    #[serde(skip)]
    pub code: Option<String>,
    /// The channel's id of the message of which it was told for good; `None` for a plain receipt, which changes no status. Stored behind the
    /// other reports.
    #[serde(skip)]
    pub provider_id: Option<String>,
}

/// That a message could not be delivered, told for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateFailure {
    /// Why, with the channel's code.
    pub reason: Reason,
    /// The channel's id of the message.
    pub provider_id: Option<String>,
    /// The channel takes it a day later.
    pub later: bool,
}

/// A failure for good that was told while the message was with its connector. It takes effect when the attempt ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyFailure {
    /// The revision of the message's state when it was told: that of its attempt. It says nothing about a later attempt.
    pub revision: u32,
    /// What was told.
    pub failure: LateFailure,
}

impl Receipts {
    /// Notes a report; whether it told anything new.
    pub fn note(&mut self, member: Option<&str>, kind: ReceiptKind, at: Timestamp, reason: Option<&str>) -> bool {
        if kind == ReceiptKind::Failed {
            let new = self.failed.is_none();
            self.failed.get_or_insert_with(|| NotDelivered {
                at,
                why: reason.unwrap_or_default().to_owned(),
                ..NotDelivered::default()
            });
            return new;
        }
        let mut new = self.first.note(kind, at);
        if let Some(member) = member {
            new |= self.members.entry(member.to_owned()).or_default().note(kind, at);
        }
        new
    }

    /// The failure that was told during the attempt which began with this revision of the message's state.
    pub fn told_during(&self, revision: u32) -> Option<&LateFailure> {
        self.early.as_ref().filter(|early| early.revision == revision).map(|early| &early.failure)
    }

    /// The message is sent once more: what is told of the next attempt counts, and nothing proves that the channel has that one.
    pub fn forget_failure(&mut self) {
        (self.failed, self.early, self.provider_id) = (None, None, None);
    }

    /// Whether any report proves that the channel has the message: how far it came, or only the channel's id of it.
    pub fn prove_sent(&self) -> bool {
        self.first != Reached::default() || self.provider_id.is_some() && self.failed.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reason::ReasonCode;

    #[test]
    fn a_later_step_implies_the_earlier_and_the_first_instant_stays() {
        let mut receipts = Receipts::default();
        assert!(receipts.note(None, ReceiptKind::Read, Timestamp(20), None));
        assert!(!receipts.note(None, ReceiptKind::Delivered, Timestamp(10), None), "already known");
        assert_eq!(receipts.first.delivered_at, Some(Timestamp(20)));
        assert!(receipts.note(None, ReceiptKind::Played, Timestamp(30), None));
        assert!(receipts.prove_sent());
    }

    #[test]
    fn a_group_keeps_each_members_steps() {
        let mut receipts = Receipts::default();
        assert!(receipts.note(Some("a"), ReceiptKind::Delivered, Timestamp(1), None));
        assert!(receipts.note(Some("b"), ReceiptKind::Delivered, Timestamp(2), None));
        assert!(!receipts.note(Some("b"), ReceiptKind::Delivered, Timestamp(3), None));
        assert_eq!(receipts.first.delivered_at, Some(Timestamp(1)));
        assert_eq!(receipts.members["b"].delivered_at, Some(Timestamp(2)));
    }

    #[test]
    fn a_failure_is_kept_and_proves_nothing() {
        let mut receipts = Receipts::default();
        assert!(receipts.note(None, ReceiptKind::Failed, Timestamp(1), Some("463")));
        assert!(!receipts.note(None, ReceiptKind::Failed, Timestamp(2), Some("479")));
        let first = NotDelivered { at: Timestamp(1), why: "463".to_owned(), ..NotDelivered::default() };
        assert_eq!(receipts.failed, Some(first));
        receipts.provider_id = Some("p".to_owned());
        assert!(!receipts.prove_sent());
        receipts.failed = None;
        assert!(receipts.prove_sent(), "the channel's own server has it");
    }

    #[test]
    fn a_failure_that_came_early_is_about_its_own_attempt_alone() {
        let reason = Reason::new(ReasonCode::Undeliverable, "gone").with_channel_code(Some("131026"));
        let failure = LateFailure { reason, provider_id: Some("p".to_owned()), later: true };
        let early = Some(EarlyFailure { revision: 3, failure: failure.clone() });
        let mut receipts = Receipts { early, provider_id: Some("p".to_owned()), ..Receipts::default() };
        receipts.note(None, ReceiptKind::Failed, Timestamp(1), None);
        assert_eq!((receipts.told_during(3), receipts.told_during(5)), (Some(&failure), None));
        receipts.forget_failure();
        assert_eq!(receipts, Receipts::default());
    }
}
