//! A tenant's log of what happened on its connectors: received messages, receipts, sessions, groups, health. An event is written
//! in the batch of the change that it reports; the log is read by cursor.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::conversation::ConversationAction;
use super::failure_code::FailureCode;
use super::health::HealthChange;
use super::inbound::{Inbound, MediaState};
use super::plugin::AuditAction;
use super::progress::Progress;
use super::receipt::ReceiptKind;
use crate::words::{Word, words};
use crate::{ConnectorIndex, TenantIndex, Timestamp};

/// The key of an event: its owner and its number in the owner's log (from 1, without gaps at the time of writing).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// Number in the log, which is the cursor of the list.
    pub serial: u64,
}

/// An event before it is appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEvent {
    /// Public id.
    pub id: Uuid,
    /// The connector on which it happened; [`ConnectorIndex::NONE`] if it happened on none.
    pub connector: ConnectorIndex,
    /// When the engine accepted it.
    pub at: Timestamp,
    /// What happened.
    pub body: EventBody,
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The key under which it is stored.
    pub key: EventKey,
    /// The event.
    pub event: NewEvent,
}

/// What happened. It is stored: variants are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "most events are messages: a box would cost each of them an allocation")]
pub enum EventBody {
    /// A message was received.
    Message(Inbound),
    /// The file of an earlier received message is available, or cannot be fetched.
    Media {
        /// The conversation: address of a contact or group.
        chat: String,
        /// Provider id of that message.
        provider_id: String,
        /// Whether the file's bytes are available.
        media: MediaState,
    },
    /// The channel reported progress of a sent message.
    Receipt {
        /// Public id of the message.
        message: Uuid,
        /// The channel's id of the message.
        provider_id: String,
        /// Address of the recipient; in a group, of the member.
        recipient: Option<String>,
        /// The progress.
        kind: ReceiptKind,
        /// When it happened, according to the channel.
        reached_at: Timestamp,
        /// Why it failed.
        reason: Option<String>,
    },
    /// The session entered a lasting state: connected, disconnected, logged out, unpaired; or it is deaf, or hears again.
    Session {
        /// The state.
        state: Word<SessionChange>,
        /// Address of the account, if it is known.
        account: Option<String>,
        /// Why the state changed.
        reason: Option<String>,
    },
    /// A contact's name or other addresses became known.
    Contact {
        /// The contact's main address.
        address: String,
        /// Name that the contact goes by.
        display_name: Option<String>,
        /// Other addresses of the contact.
        aliases: Vec<String>,
    },
    /// A group changed.
    Group {
        /// Address of the group.
        group: String,
        /// Address of the person who made the change.
        actor: Option<String>,
        /// When it happened, according to the channel.
        changed_at: Timestamp,
        /// The change.
        step: GroupStep,
    },
    /// The account's health changed significantly (slowed, paused, restored), or the channel issued a warning.
    Health {
        /// What happened.
        kind: Word<HealthChange>,
        /// Health score, from 0 (worst) to 100 (best).
        score: u8,
        /// The reason, for a person.
        reason: String,
    },
    /// The connector reported something else: a kind and JSON.
    Other(String, String),
    /// An automation emitted it.
    Emitted {
        /// Public id of the automation.
        automation: Uuid,
        /// Public id of the conversation.
        conversation: Uuid,
        /// Kind that the automation gave the event.
        kind: String,
        /// Data of the event, as JSON.
        json: String,
    },
    /// A conversation was opened or changed: who answers it, who it is assigned to, what was read, its tags, the archive.
    Conversation {
        /// Public id of the conversation.
        conversation: Uuid,
        /// Address of the conversation.
        chat: String,
        /// What was done.
        step: Word<ConversationAction>,
        /// Who did it: `user:…`, `key:…`, `operator`, `automation:…`; `channel` for what happened on the channel, `phone` for who answers on
        /// the account's own phone, `engine` for what follows from something else.
        by: String,
        /// The reason, the new assignee, or the new tags, separated by commas.
        detail: String,
    },
    /// An event became a dead letter after the last attempt of an automation to handle it failed.
    DeadLetter {
        /// Public id of the automation.
        automation: Uuid,
        /// Public id of the conversation.
        conversation: Uuid,
        /// Id of the dead letter.
        dead_letter: Uuid,
        /// Why it failed, as a stable word.
        code: Word<FailureCode>,
        /// Why it failed, for a person.
        reason: String,
    },
    /// A plugin's versions changed. Has no connector.
    Plugin {
        /// Name of the plugin.
        plugin: String,
        /// What was done.
        step: Word<AuditAction>,
        /// Digest of the version.
        digest: Option<String>,
        /// Details, for a person.
        detail: String,
    },
    /// The channel accepted a message that was sent with the engine in a conversation.
    Sent {
        /// Public id of the message.
        message: Uuid,
        /// Number of the conversation.
        conversation: u64,
        /// Number of its entry in the timeline.
        item: u64,
        /// Address of the conversation.
        chat: String,
        /// The channel's id of the message, if it is known.
        provider_id: Option<String>,
        /// How far it was before.
        previous: Word<Progress>,
    },
    /// An own message came further after it was sent, or failed.
    Status {
        /// Public id of the message.
        message: Uuid,
        /// Number of the conversation; `None` for a message that was given up before its first attempt, of which it is only told where
        /// the connector's webhook wants it.
        conversation: Option<u64>,
        /// Address of the conversation.
        chat: String,
        /// The channel's id of the message, if it is known.
        provider_id: Option<String>,
        /// How far it was before.
        previous: Word<Progress>,
        /// How far it is.
        now: Word<Progress>,
        /// When it came there: according to the channel, for what that reports.
        reached_at: Timestamp,
    },
    /// There is a new code to scan. Written only where the connector's webhook wants it.
    Code {
        /// The code, as a text.
        text: String,
    },
}

words! {
    /// The lasting state of a connector's session.
    pub enum SessionChange {
        /// The account is connected to its channel.
        Connected = "connected",
        /// The connection was lost; it is opened again.
        Disconnected = "disconnected",
        /// The channel ended the session, or a person logged the account out.
        LoggedOut = "logged-out",
        /// No account is paired.
        Unpaired = "unpaired",
        /// It is connected, and does not hear what it should.
        Deaf = "deaf",
        /// It hears again after it was deaf.
        Hears = "hears",
    }
}

/// A change of a group. It is stored: variants are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupStep {
    /// It was created, or the account joined it.
    Created,
    /// A new subject.
    Subject(String),
    /// A new description.
    Description(String),
    /// Members joined or were added.
    Added(Vec<String>),
    /// Members left or were removed.
    Removed(Vec<String>),
    /// Members became admins.
    Promoted(Vec<String>),
    /// Admins became plain members.
    Demoted(Vec<String>),
    /// Another change: a kind and JSON.
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
            Self::DeadLetter { .. } => "automation.parked",
            Self::Plugin { .. } => "plugin.changed",
            Self::Sent { .. } => "message.sent",
            Self::Status { .. } => "message.status",
            Self::Code { .. } => "session.code",
        }
    }

    /// All the types that [`Self::kind`] returns.
    pub const KINDS: [&'static str; 15] = [
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
        "message.sent",
        "message.status",
        "session.code",
    ];
}
