//! Event tasks: events of conversations that automations handle, each in order and exactly once. An event that an automation still
//! fails to handle on the last attempt becomes a dead letter.
//!
//! A conversation has lanes: lane 0 for the automations that answer, which are asked one after the other until one claims the
//! event, and one lane for each observer, so that a failing observer delays nobody else. The tasks of a lane are handled in
//! order; of a conversation, only one task is handled at a time.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::automation::EventKind;
use super::failure_code::FailureCode;
use super::inbound::Inbound;
use crate::{AutomationIndex, TenantIndex, Timestamp, Word};

/// The lane of the automations that answer. An observer's lane is the observer's own number.
pub const ANSWERING: u32 = 0;

/// The key of an event task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskKey {
    /// The conversation.
    pub conversation: Uuid,
    /// The lane, see [`ANSWERING`].
    pub lane: u32,
    /// Its number in the conversation.
    pub number: u64,
}

/// An event that waits for its automations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTask {
    /// The key under which it is stored.
    pub key: TaskKey,
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// Id of the event, the same in every lane and on every attempt.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub body: TaskBody,
    /// Failed attempts of the automation whose turn it is.
    pub failures: u32,
    /// When it is handled at the earliest.
    pub due_at: Timestamp,
    /// The order of the last automation that has handled it without claiming it.
    pub after: Option<(u32, u32)>,
}

/// What happened. It is stored: variants are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "most are messages: a box would cost each of them an allocation")]
pub enum TaskBody {
    /// A message was received (never a reaction, never one of the account's own).
    Message(Inbound),
    /// A reaction was received.
    Reaction {
        /// Provider id of the message that the reaction is for.
        message: String,
        /// Address of the person who reacted.
        sender: String,
        /// The emoji; empty if the reaction was removed.
        emoji: String,
    },
    /// A message that an automation sent changed its status.
    Status {
        /// Id of the message.
        message: Uuid,
        /// The automation that sent it.
        automation: AutomationIndex,
        /// The label that the automation gave it.
        label: Option<String>,
        /// The new status.
        status: ReportedStatus,
        /// Why it has this status.
        reason: Option<String>,
    },
    /// A conversation opened; its first event follows.
    Opened,
    /// A timer fired.
    Timer {
        /// The automation that set it.
        automation: AutomationIndex,
        /// Name of the timer.
        name: String,
        /// The payload that it was set with.
        payload: String,
        /// When it was due.
        due_at: Timestamp,
    },
    /// Somebody started an automation.
    Started {
        /// The automation.
        automation: AutomationIndex,
        /// The input, as JSON.
        input: String,
        /// Who started it.
        by: String,
    },
    /// An automation's webhook was called.
    Webhook {
        /// The automation.
        automation: AutomationIndex,
        /// media type of the body.
        content_type: String,
        /// The body as received.
        body: String,
    },
}

impl TaskBody {
    /// The kind of event.
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
    /// The only automation that gets it; `None` if all automations that listen to it do.
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

/// A new status of a sent message, as automations see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportedStatus {
    /// The channel accepted it.
    Sent,
    /// It reached a device of the recipient.
    Delivered,
    /// It was shown to the recipient.
    Read,
    /// The recipient played it.
    Played,
    /// It was given up, or could not be delivered.
    Failed,
    /// It may or may not have been sent.
    Unknown,
    /// Canceled before it was sent.
    Canceled,
}

/// The automation and the conversation that a message came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The conversation.
    pub conversation: Uuid,
    /// The automation.
    pub automation: AutomationIndex,
    /// The label that the automation gave the message.
    pub label: Option<String>,
}

/// The key of a timer. Its name is unique within conversation and automation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey {
    /// When it fires.
    pub due_at: Timestamp,
    /// The conversation.
    pub conversation: Uuid,
    /// The automation that set it.
    pub automation: AutomationIndex,
    /// Name of the timer.
    pub name: String,
}

/// An event task that was set aside after the last attempt to handle it failed, for a person to decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Public id: the event's id, modified for each lane.
    pub id: Uuid,
    /// The event task.
    pub task: EventTask,
    /// The automation that failed.
    pub automation: AutomationIndex,
    /// Number of attempts to handle it.
    pub tries: u32,
    /// Why the last attempt failed, as a stable word.
    pub code: Word<FailureCode>,
    /// Why the last attempt failed, for a person; may quote the plugin.
    pub reason: String,
    /// When it was set aside.
    pub at: Timestamp,
}

impl DeadLetter {
    /// The id of the dead letter that an event becomes in a lane.
    pub fn id_of(event: Uuid, lane: u32) -> Uuid {
        Uuid::from_u128(event.as_u128() ^ u128::from(lane))
    }
}
