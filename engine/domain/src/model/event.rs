//! A tenant's log of what happened on its connectors: received messages, receipts, sessions, groups, health. Written in the
//! batch of what it tells of; read by cursor.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::inbound::{Inbound, MediaState};
use super::receipt::ReceiptKind;
use crate::{ConnectorIndex, TenantIndex, Timestamp};

/// Where an event lives: its owner and its number in the owner's log (from 1, without gaps at the time of writing).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// Owner.
    pub tenant: TenantIndex,
    /// Number; the cursor of the list.
    pub serial: u64,
}

/// An event as it is appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEvent {
    /// Its public id.
    pub id: Uuid,
    /// The connector it happened on; [`ConnectorIndex::NONE`] where there is none.
    pub connector: ConnectorIndex,
    /// When the engine took it.
    pub at: Timestamp,
    /// What happened.
    pub body: EventBody,
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where it lives.
    pub key: EventKey,
    /// The event.
    pub event: NewEvent,
}

/// What happened. Stored: variants are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "most events are messages: a box would cost each of them an allocation")]
pub enum EventBody {
    /// A message was received.
    Message(Inbound),
    /// The file of an earlier received message is there, or cannot be had.
    Media {
        /// The conversation.
        chat: String,
        /// That message's provider id.
        provider_id: String,
        /// How far the file is.
        media: MediaState,
    },
    /// The channel reported a step of a sent message.
    Receipt {
        /// The message's public id.
        message: Uuid,
        /// The channel's id for it.
        provider_id: String,
        /// Whose step; in a group, the member.
        recipient: Option<String>,
        /// Which step.
        kind: ReceiptKind,
        /// When, as the channel says.
        reached_at: Timestamp,
        /// For a failure.
        reason: Option<String>,
    },
    /// The session's state changed for good: connected, disconnected, logged out, unpaired.
    Session {
        /// `connected`, `disconnected`, `logged-out`, `unpaired`.
        state: String,
        /// The account's own address, where it is known.
        account: Option<String>,
        /// Why.
        reason: Option<String>,
    },
    /// A contact's name or other addresses became known.
    Contact {
        /// How the engine knows it.
        address: String,
        /// The name it gave itself.
        display_name: Option<String>,
        /// Other addresses.
        aliases: Vec<String>,
    },
    /// A group changed.
    Group {
        /// Its address.
        group: String,
        /// Who did it.
        actor: Option<String>,
        /// When, as the channel says.
        changed_at: Timestamp,
        /// What.
        step: GroupStep,
    },
    /// The account's health changed in a way that matters: slowed, paused, restored, or a warning of the channel.
    Health {
        /// `slowed`, `paused`, `restored`, `blocked`, `restricted`.
        kind: String,
        /// 0 to 100.
        score: u8,
        /// For a person.
        reason: String,
    },
    /// Something else that the connector told: a kind and JSON.
    Other(String, String),
    /// An automation told it.
    Emitted {
        /// The automation's public id.
        automation: Uuid,
        /// The conversation's public id.
        conversation: Uuid,
        /// As the automation calls it.
        kind: String,
        /// JSON.
        json: String,
    },
    /// Who answers a conversation changed: handed over to a person, or back; or somebody was put in charge.
    Conversation {
        /// The conversation's public id.
        conversation: Uuid,
        /// Its address.
        chat: String,
        /// `paused`, `resumed`, `assigned`.
        step: String,
        /// Who did it.
        by: String,
        /// Why, or who is in charge now.
        detail: String,
    },
    /// An event of an automation was put aside after its last try.
    Parked {
        /// The automation's public id.
        automation: Uuid,
        /// The conversation's public id.
        conversation: Uuid,
        /// Of the parked item.
        parked: Uuid,
        /// See [`crate::model::Parked::code`].
        code: String,
        /// For a person.
        reason: String,
    },
    /// A plugin's versions changed. Has no connector.
    Plugin {
        /// Its name.
        plugin: String,
        /// As in [`crate::model::AuditEntry::action`].
        step: String,
        /// The version's digest.
        digest: Option<String>,
        /// For a person.
        detail: String,
    },
}

/// A change of a group. Stored: variants are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupStep {
    /// It was made, or the account joined it.
    Created,
    /// A new subject.
    Subject(String),
    /// A new description.
    Description(String),
    /// Members came.
    Added(Vec<String>),
    /// Members went.
    Removed(Vec<String>),
    /// Members became admins.
    Promoted(Vec<String>),
    /// Admins became members.
    Demoted(Vec<String>),
    /// Something else: a kind and JSON.
    Other(String, String),
}

impl EventBody {
    /// The event's type in the API.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Message(_) => "message.received",
            Self::Media { .. } => "message.media",
            Self::Receipt { .. } => "message.receipt",
            Self::Session { .. } => "session.changed",
            Self::Contact { .. } => "contact.changed",
            Self::Group { .. } => "group.changed",
            Self::Health { .. } => "health.changed",
            Self::Other(..) => "other",
            Self::Emitted { .. } => "automation.emitted",
            Self::Conversation { .. } => "conversation.changed",
            Self::Parked { .. } => "automation.parked",
            Self::Plugin { .. } => "plugin.changed",
        }
    }

    /// All that [`Self::kind`] answers.
    pub const KINDS: [&'static str; 12] = [
        "message.received",
        "message.media",
        "message.receipt",
        "session.changed",
        "contact.changed",
        "group.changed",
        "health.changed",
        "other",
        "automation.emitted",
        "conversation.changed",
        "automation.parked",
        "plugin.changed",
    ];
}
