//! A call of an automation as data: the event it is given, what the host answered it, what it answered, how it failed. A recording
//! keeps these, so their encoding (the order of fields and cases) is part of [`crate::model::recording`]'s form.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Attachment, WorkBody};
use crate::Timestamp;

/// The event of a call, with its conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallEvent {
    /// The event's id.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// From 1.
    pub attempt: u32,
    /// The conversation's id.
    pub conversation: Uuid,
    /// The connector's id.
    pub connector: Uuid,
    /// Its channel.
    pub channel: String,
    /// The other side's address.
    pub chat: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// The other side's name.
    pub contact_name: Option<String>,
    /// The conversation's tags.
    pub tags: Vec<String>,
    /// Who is in charge.
    pub assignee: Option<String>,
    /// When the conversation was opened.
    pub opened_at: Timestamp,
    /// What happened.
    pub body: WorkBody,
}

/// What the host answered to one question of a guest; in the order in which it asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostAnswer {
    /// A value of its key/value store.
    KvGet {
        /// What it asked for.
        key: String,
        /// The answer; `Err` as it was told.
        value: Result<Option<String>, String>,
    },
    /// A listing.
    KvList {
        /// What it asked for: prefix, after, limit.
        asked: (String, Option<String>, u32),
        /// The answer.
        entries: Result<Vec<(String, String)>, String>,
    },
    /// An HTTP request.
    Http {
        /// SHA-256 of method, URL, headers and body before secrets were put in.
        request: [u8; 32],
        /// Method and URL, to be shown.
        shown: String,
        /// The answer: status, headers, body; or the error's case and words.
        response: Result<(u16, Vec<(String, String)>, Vec<u8>), (String, String)>,
    },
}

/// What an automation answered: its new state, and what shall be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What it wants to find next time.
    pub state: Option<String>,
    /// In order.
    pub actions: Vec<Action>,
    /// Whether the event is dealt with.
    pub claim: bool,
}

/// One thing that an automation wants done. As in `wit/automation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Sends into the conversation.
    Send(SendAction),
    /// Writes its key/value store; `None` deletes.
    WriteKv(String, Option<String>),
    /// Sets a timer: name, delay in ms, payload.
    SetTimer(String, u64, String),
    /// Takes a timer back.
    CancelTimer(String),
    /// Adds a tag.
    AddTag(String),
    /// Takes a tag away.
    RemoveTag(String),
    /// The contact's name, and whether it may be sent to.
    UpdateContact(Option<String>, Option<bool>),
    /// Pauses the conversation's automations; says why.
    HandOver(String),
    /// Puts somebody in charge.
    Assign(Option<String>),
    /// Appends to the event log: a kind and JSON.
    Emit(String, String),
    /// Marks the conversation as read.
    MarkRead,
}

/// A message that an automation wants sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAction {
    /// What it says.
    pub content: SendContent,
    /// The channel's id of the message it answers.
    pub reply_to: Option<String>,
    /// Not before this many ms.
    pub delay_ms: u64,
    /// Given back when its status changes.
    pub label: Option<String>,
}

/// What a sent message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendContent {
    /// As it is.
    Text(String),
    /// A template and a JSON object of variables.
    Template(String, String),
    /// A file that the engine fetches.
    FileUrl {
        /// From where.
        url: String,
        /// What is said with it.
        caption: Option<String>,
        /// Audio goes as a voice note.
        voice_note: bool,
    },
    /// A file that the engine has.
    File {
        /// Which.
        file: Attachment,
        /// What is said with it.
        caption: Option<String>,
        /// Audio goes as a voice note.
        voice_note: bool,
    },
    /// A reaction.
    Reaction {
        /// The channel's id of the message.
        message: String,
        /// Who wrote that message; `None`: the account.
        sender: Option<String>,
        /// Empty: takes it back.
        emoji: String,
    },
}

/// Why a call gave no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum CallFailure {
    /// It trapped.
    #[error("it failed: {0}")]
    Trap(String),
    /// It used more processor time than granted.
    #[error("it used more processor time than it may")]
    Processor,
    /// It wanted more memory than granted.
    #[error("it wanted more memory than it may have")]
    Memory,
    /// It waited too long.
    #[error("it did not answer in time")]
    TimedOut,
    /// It answered with an error.
    #[error("{0}")]
    Said(String),
    /// Its answer cannot be done; says why.
    #[error("its answer cannot be carried out: {0}")]
    Unfit(String),
    /// In a replay, it asked what it was not asked to be told then.
    #[error("it asked for what was not recorded: {0}")]
    Diverged(String),
    /// Not its fault: there was no room, or the version is not there.
    #[error("it could not be called: {0}")]
    NotCalled(String),
}

impl CallFailure {
    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Processor => "processor",
            Self::Memory => "memory",
            Self::TimedOut => "timeout",
            Self::Said(_) => "error",
            Self::Unfit(_) => "unfit",
            Self::Diverged(_) => "diverged",
            Self::NotCalled(_) => "not-called",
        }
    }
    /// Whether it is the kind that a good plugin never has: a trap or an exceeded bound.
    pub fn is_trap(&self) -> bool {
        matches!(self, Self::Trap(_) | Self::Processor | Self::Memory | Self::TimedOut)
    }
}
