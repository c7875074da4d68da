//! A call of an automation as data: the event it is given, what the host answered it, what it answered, how it failed. A recording
//! keeps these, so their encoding (the order of fields and cases) is part of [`crate::model::recording`]'s form.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Attachment, FailureCode, TaskBody};
use crate::Timestamp;

/// The event of a call, with its conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallEvent {
    /// The event's id.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// The conversation's id.
    pub conversation: Uuid,
    /// The connector's id.
    pub connector: Uuid,
    /// Channel of the connector.
    pub channel: String,
    /// Address of the contact, or of the group.
    pub chat: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// Name that the contact goes by.
    pub contact_name: Option<String>,
    /// The conversation's tags.
    pub tags: Vec<String>,
    /// Who the conversation is assigned to.
    pub assignee: Option<String>,
    /// When the conversation was opened.
    pub opened_at: Timestamp,
    /// What happened.
    pub body: TaskBody,
}

/// The host's answer to one request of a guest. They are recorded in the order of the requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostAnswer {
    /// A value of its key/value store.
    KvGet {
        /// The key that was requested.
        key: String,
        /// The value, or the error as the guest got it.
        value: Result<Option<String>, String>,
    },
    /// A listing of its key/value store.
    KvList {
        /// The request: prefix, after, limit.
        asked: (String, Option<String>, u32),
        /// The entries, or the error as the guest got it.
        entries: Result<Vec<(String, String)>, String>,
    },
    /// An HTTP request.
    Http {
        /// SHA-256 of method, URL, headers and body, before secrets were inserted.
        request: [u8; 32],
        /// Method and URL, to be shown.
        shown: String,
        /// The response: status, headers, body; or the case and text of the error.
        response: Result<(u16, Vec<(String, String)>, Vec<u8>), (String, String)>,
    },
}

/// The answer of an automation: its new state and its actions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The state for the next event of the conversation.
    pub state: Option<String>,
    /// Actions, in order.
    pub actions: Vec<Action>,
    /// Whether the event is dealt with, so that later automations are not asked.
    pub claim: bool,
}

/// One action of an automation, as in `wit/automation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Sends a message into the conversation.
    Send(SendAction),
    /// Writes to its key/value store; `None` deletes.
    WriteKv(String, Option<String>),
    /// Sets a timer: name, delay in milliseconds, payload.
    SetTimer(String, u64, String),
    /// Cancels a timer.
    CancelTimer(String),
    /// Adds a tag.
    AddTag(String),
    /// Removes a tag.
    RemoveTag(String),
    /// Changes the contact's name, and whether messages may be sent to it.
    UpdateContact(Option<String>, Option<bool>),
    /// Pauses the automations in the conversation, for this reason.
    HandOver(String),
    /// Sets or clears the conversation's assignee.
    Assign(Option<String>),
    /// Appends to the event log: a kind and JSON.
    Emit(String, String),
    /// Marks the conversation as read.
    MarkRead,
}

/// A message that an automation sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAction {
    /// Content of the message.
    pub content: SendContent,
    /// The channel's id of the message to reply to.
    pub reply_to: Option<String>,
    /// Delay before it is sent, in milliseconds.
    pub delay_ms: u64,
    /// Returned when its status changes.
    pub label: Option<String>,
}

/// Content of a message that an automation sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendContent {
    /// A text that is sent literally.
    Text(String),
    /// A template and a JSON object of variables.
    Template(String, String),
    /// A file that the engine fetches.
    FileUrl {
        /// URL of the file.
        url: String,
        /// Text that is sent with it.
        caption: Option<String>,
        /// Whether audio is sent as a voice note.
        voice_note: bool,
    },
    /// A file that the engine has stored.
    File {
        /// The file.
        file: Attachment,
        /// Text that is sent with it.
        caption: Option<String>,
        /// Whether audio is sent as a voice note.
        voice_note: bool,
    },
    /// A reaction to a message.
    Reaction {
        /// The channel's id of the message.
        message: String,
        /// Address of the message's author; `None` for the account itself.
        sender: Option<String>,
        /// The emoji; empty removes the reaction.
        emoji: String,
    },
}

/// Why a call has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum CallFailure {
    /// The call trapped.
    #[error("it failed: {0}")]
    Trap(String),
    /// The call used more processor time than is granted.
    #[error("it used more processor time than it may")]
    Processor,
    /// The call needed more memory than is granted.
    #[error("it wanted more memory than it may have")]
    Memory,
    /// It did not answer in time.
    #[error("it did not answer in time")]
    TimedOut,
    /// It returned an error.
    #[error("{0}")]
    Said(String),
    /// Its answer cannot be carried out; says why.
    #[error("its answer cannot be carried out: {0}")]
    Unfit(String),
    /// In a replay, it asked for something that was not recorded.
    #[error("it asked for what was not recorded: {0}")]
    Diverged(String),
    /// The failure is not its fault: there was no room for an instance, or the version does not exist.
    #[error("it could not be called: {0}")]
    NotCalled(String),
}

impl CallFailure {
    /// The failure as a stable word.
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Trap(_) => FailureCode::Trap,
            Self::Processor => FailureCode::Processor,
            Self::Memory => FailureCode::Memory,
            Self::TimedOut => FailureCode::Timeout,
            Self::Said(_) => FailureCode::Error,
            Self::Unfit(_) => FailureCode::Unfit,
            Self::Diverged(_) => FailureCode::Diverged,
            Self::NotCalled(_) => FailureCode::NotCalled,
        }
    }
    /// Whether it is a kind of failure that a good plugin never has: a trap or an exceeded limit.
    pub fn is_trap(&self) -> bool {
        matches!(self, Self::Trap(_) | Self::Processor | Self::Memory | Self::TimedOut)
    }
}
