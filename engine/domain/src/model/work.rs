//! What automations have to do: events of conversations, each handled in its turn and exactly once.
//!
//! A conversation has lanes: lane 0 for the automations that answer, asked one after the other until one claims the event, and
//! one for each observer, so that a failing observer holds up nobody. Within a lane the items go in order; within a conversation
//! one runs at a time.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::automation::EventKind;
use super::inbound::Inbound;
use crate::{AutomationIndex, TenantIndex, Timestamp};

/// The lane of the automations that answer; an observer's lane is its own number.
pub const ANSWERING: u32 = 0;

/// Where a work item lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkKey {
    /// The conversation.
    pub conversation: Uuid,
    /// See [`ANSWERING`].
    pub lane: u32,
    /// Its number in the conversation.
    pub number: u64,
}

/// An event that waits for its automations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Where it lives.
    pub key: WorkKey,
    /// Owner.
    pub tenant: TenantIndex,
    /// The event's id, the same in every lane and at every try.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub body: WorkBody,
    /// Failed tries of the automation whose turn it is.
    pub failures: u32,
    /// Not before.
    pub due_at: Timestamp,
    /// The order of the last automation that has handled it (and did not claim it).
    pub after: Option<(u32, u32)>,
}

/// What happened. Stored: variants are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "most are messages: a box would cost each of them an allocation")]
pub enum WorkBody {
    /// A message was received (never a reaction, never one of the account's own).
    Message(Inbound),
    /// A reaction was received.
    Reaction {
        /// The provider id of the message it is about.
        message: String,
        /// Who.
        sender: String,
        /// Empty: it was taken back.
        emoji: String,
    },
    /// A message of an automation made a step.
    Status {
        /// The message.
        message: Uuid,
        /// Who sent it.
        automation: AutomationIndex,
        /// As given when it was sent.
        label: Option<String>,
        /// The step.
        status: WorkStatus,
        /// Why.
        reason: Option<String>,
    },
    /// The first event of the conversation follows.
    Opened,
    /// A timer ran out.
    Timer {
        /// Who set it.
        automation: AutomationIndex,
        /// Its name.
        name: String,
        /// As given.
        payload: String,
        /// When it was to run out.
        due_at: Timestamp,
    },
    /// Somebody started an automation.
    Started {
        /// Which.
        automation: AutomationIndex,
        /// JSON.
        input: String,
        /// Who.
        by: String,
    },
    /// An automation's webhook was called.
    Webhook {
        /// Which.
        automation: AutomationIndex,
        /// Of the body.
        content_type: String,
        /// As it came.
        body: String,
    },
}

impl WorkBody {
    /// What it is.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Message(_) => EventKind::MessageReceived,
            Self::Reaction { .. } => EventKind::Reaction,
            Self::Status { .. } => EventKind::StatusChanged,
            Self::Opened => EventKind::ConversationOpened,
            Self::Timer { .. } => EventKind::TimerFired,
            Self::Started { .. } => EventKind::Started,
            Self::Webhook { .. } => EventKind::WebhookCalled,
        }
    }
    /// The one automation that it is for; `None`: for all that listen.
    pub fn addressee(&self) -> Option<AutomationIndex> {
        match self {
            Self::Message(_) | Self::Reaction { .. } | Self::Opened => None,
            Self::Status { automation, .. }
            | Self::Timer { automation, .. }
            | Self::Started { automation, .. }
            | Self::Webhook { automation, .. } => Some(*automation),
        }
    }
}

/// A step of a sent message, as an automation is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkStatus {
    /// The channel accepted it.
    Sent,
    /// It reached a device.
    Delivered,
    /// It was shown.
    Read,
    /// It was played.
    Played,
    /// Given up, or not deliverable.
    Failed,
    /// Nobody knows.
    Unknown,
    /// Canceled before it was sent.
    Canceled,
}

/// Which automation sent a message, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The conversation.
    pub conversation: Uuid,
    /// The automation.
    pub automation: AutomationIndex,
    /// What the automation calls it.
    pub label: Option<String>,
}

/// A timer: its name is unique within conversation and automation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey {
    /// When it runs out.
    pub due_at: Timestamp,
    /// The conversation.
    pub conversation: Uuid,
    /// Who set it.
    pub automation: AutomationIndex,
    /// Its name.
    pub name: String,
}

/// A work item that was put aside after its last try, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Public id: the event's id, made different for each lane.
    pub id: Uuid,
    /// The item.
    pub work: Work,
    /// The automation that failed.
    pub automation: AutomationIndex,
    /// How often it was tried.
    pub tries: u32,
    /// A stable word: `trap`, `timeout`, `processor`, `memory`, `error`, `unfit`.
    pub code: String,
    /// A sentence for a person; may quote the plugin.
    pub reason: String,
    /// When it was put aside.
    pub at: Timestamp,
}

impl Parked {
    /// The id under which an event is put aside in a lane.
    pub fn id_of(event: Uuid, lane: u32) -> Uuid {
        Uuid::from_u128(event.as_u128() ^ u128::from(lane))
    }
}
