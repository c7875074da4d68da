//! What the channel reported about a message after it accepted it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
    /// When and why the channel reported that it could not be delivered.
    pub failed: Option<(Timestamp, String)>,
}

impl Receipts {
    /// Notes a report; whether it told anything new.
    pub fn note(&mut self, member: Option<&str>, kind: ReceiptKind, at: Timestamp, reason: Option<&str>) -> bool {
        if kind == ReceiptKind::Failed {
            let new = self.failed.is_none();
            self.failed.get_or_insert_with(|| (at, reason.unwrap_or_default().to_owned()));
            return new;
        }
        let mut new = self.first.note(kind, at);
        if let Some(member) = member {
            new |= self.members.entry(member.to_owned()).or_default().note(kind, at);
        }
        new
    }

    /// Whether any report proves that the channel has the message: how far it came, or only the channel's id of it.
    pub fn prove_sent(&self) -> bool {
        self.first != Reached::default() || self.provider_id.is_some() && self.failed.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(receipts.failed, Some((Timestamp(1), "463".to_owned())));
        receipts.provider_id = Some("p".to_owned());
        assert!(!receipts.prove_sent());
        receipts.failed = None;
        assert!(receipts.prove_sent(), "the channel's own server has it");
    }
}
