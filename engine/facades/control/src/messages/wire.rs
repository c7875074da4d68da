//! Wire types of the parts of a message that only some channels have: the message that it refers to, and what was reported after
//! it was sent.

use poem_openapi::{Enum, Object};
use pombo_domain::model::message::{MessageAction, Target};
use pombo_domain::model::{Reached, Receipts};

use crate::wire::Instant;

/// What a message does to another one.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum ActKind {
    /// Adds an emoji; an empty one removes the reaction.
    React,
    /// Gives it a new text.
    Edit,
    /// Deletes it for everyone.
    Revoke,
}

/// A message of the conversation, as the channel identifies it.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct MessageTarget {
    /// The channel's id of the message.
    provider_id: String,
    /// Address of its author; absent for the connector's own account.
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
    /// Kind of action.
    kind: ActKind,
    /// The other message.
    message: MessageTarget,
}

impl MessageAct {
    /// `None` for a message that says something new.
    pub(crate) fn of(action: MessageAction) -> Option<Self> {
        let (kind, target) = match action {
            MessageAction::Say => return None,
            MessageAction::React(target) => (ActKind::React, target),
            MessageAction::Edit(target) => (ActKind::Edit, target),
            MessageAction::Revoke(target) => (ActKind::Revoke, target),
        };
        Some(Self { kind, message: target.into() })
    }
}

/// A report that the channel could not deliver a message.
#[derive(Object)]
pub(crate) struct NotDelivered {
    /// When the channel reported it.
    at: Instant,
    /// Why it could not be delivered.
    reason: String,
}

/// What was reported for one member of a group.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct MemberReceipt {
    /// Address of the member.
    address: String,
    /// When it reached a device of the member.
    delivered_at: Option<Instant>,
    /// When it was shown to the member.
    read_at: Option<Instant>,
    /// When the member played it.
    played_at: Option<Instant>,
}

/// What the channel reported about a message after it was sent.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct MessageReceipts {
    /// When it first reached a device of a recipient.
    delivered_at: Option<Instant>,
    /// When it was first shown to a recipient.
    read_at: Option<Instant>,
    /// When a recipient first played it.
    played_at: Option<Instant>,
    /// The report that it could not be delivered.
    failed: Option<NotDelivered>,
    /// In a group, the reports for each member.
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
