//! The parts of a message that only some channels have: what it is about, and what was reported after it was sent.

use poem_openapi::{Enum, Object};
use pombo_domain::model::message::{Act, Target};
use pombo_domain::model::{Reached, Receipts};

use crate::wire::Instant;

/// What a message does to another one.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum ActKind {
    /// Puts an emoji to it; an empty one takes it back.
    React,
    /// Gives it a new text.
    Edit,
    /// Deletes it for everyone.
    Revoke,
}

/// A message of the conversation, as the channel knows it.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct MessageTarget {
    /// The channel's id for it.
    provider_id: String,
    /// Who wrote it; absent when the connector's own account did.
    #[oai(skip_serializing_if_is_none)]
    sender: Option<String>,
}

impl From<Target> for MessageTarget {
    fn from(target: Target) -> Self {
        Self { provider_id: target.provider_id, sender: target.sender }
    }
}

/// What a message does to another one.
#[derive(Object)]
pub(crate) struct MessageAct {
    /// What.
    kind: ActKind,
    /// To which.
    message: MessageTarget,
}

impl MessageAct {
    /// `None` for a message that says something new.
    pub(crate) fn of(act: Act) -> Option<Self> {
        let (kind, target) = match act {
            Act::Say => return None,
            Act::React(target) => (ActKind::React, target),
            Act::Edit(target) => (ActKind::Edit, target),
            Act::Revoke(target) => (ActKind::Revoke, target),
        };
        Some(Self { kind, message: target.into() })
    }
}

/// That the channel could not deliver it.
#[derive(Object)]
pub(crate) struct NotDelivered {
    /// When the channel said so.
    at: Instant,
    /// Why.
    reason: String,
}

/// What one member of a group reached.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct MemberReceipt {
    /// Who.
    address: String,
    /// Reached a device.
    delivered_at: Option<Instant>,
    /// Was shown.
    read_at: Option<Instant>,
    /// Was played.
    played_at: Option<Instant>,
}

/// What the channel reported of a message after it was sent.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct MessageReceipts {
    /// First reached a device of a recipient.
    delivered_at: Option<Instant>,
    /// First shown to a recipient.
    read_at: Option<Instant>,
    /// First played.
    played_at: Option<Instant>,
    /// The channel could not deliver it.
    failed: Option<NotDelivered>,
    /// In a group, each member's own.
    members: Vec<MemberReceipt>,
}

impl From<Receipts> for MessageReceipts {
    fn from(receipts: Receipts) -> Self {
        let Reached { delivered_at, read_at, played_at } = receipts.first;
        let member = |(address, reached): (String, Reached)| MemberReceipt {
            address,
            delivered_at: reached.delivered_at.map(Instant),
            read_at: reached.read_at.map(Instant),
            played_at: reached.played_at.map(Instant),
        };
        Self {
            delivered_at: delivered_at.map(Instant),
            read_at: read_at.map(Instant),
            played_at: played_at.map(Instant),
            failed: receipts.failed.map(|(at, reason)| NotDelivered { at: Instant(at), reason }),
            members: receipts.members.into_iter().map(member).collect(),
        }
    }
}
