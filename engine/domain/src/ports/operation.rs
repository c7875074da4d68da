//! What a connector can be asked for besides sending: sessions, look-ups, read marks, typing, groups; and its answers.

use crate::Timestamp;
use crate::model::message::Target;

/// What a connector can be asked for besides sending. Which of them it offers, its features say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Begins pairing; with the account's address, by a code to type.
    OpenSession(Option<String>),
    /// Logs out and forgets the session.
    CloseSession,
    /// Asks the channel which of these addresses exist.
    Lookup(Vec<String>),
    /// Marks messages of a conversation as read.
    Read {
        /// The conversation.
        chat: String,
        /// The messages.
        messages: Vec<Target>,
    },
    /// Shows that somebody writes.
    Typing {
        /// The conversation.
        chat: String,
        /// What is shown.
        typing: Typing,
    },
    /// Lists the groups of the account.
    Groups,
    /// One of them.
    Group(String),
    /// Makes a group.
    CreateGroup {
        /// Its subject.
        subject: String,
        /// Its description.
        description: Option<String>,
        /// Members besides the account.
        members: Vec<String>,
    },
    /// A new subject for a group.
    SetGroupSubject(String, String),
    /// A new description for a group.
    SetGroupDescription(String, String),
    /// Adds, removes, promotes or demotes members of a group.
    ChangeMembers {
        /// The group.
        group: String,
        /// What to do.
        change: MemberChange,
        /// With whom.
        members: Vec<String>,
    },
    /// Leaves a group.
    LeaveGroup(String),
    /// The group's invitation link.
    GroupInvite(String),
    /// Makes the link invalid and gives a new one.
    RevokeGroupInvite(String),
}

/// What is done with members of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberChange {
    /// Into the group.
    Add,
    /// Out of it.
    Remove,
    /// To admins.
    Promote,
    /// To plain members.
    Demote,
}

/// What the other side is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typing {
    /// Writing.
    Composing,
    /// Recording a voice note.
    Recording,
    /// Neither.
    Paused,
}

/// The answer to an [`Operation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Done,
    /// For [`Operation::Lookup`], in order.
    Lookup(Vec<LookupResult>),
    /// For [`Operation::Groups`].
    Groups(Vec<GroupInfo>),
    /// For [`Operation::Group`] and [`Operation::CreateGroup`].
    Group(GroupInfo),
    /// For [`Operation::ChangeMembers`].
    Members(Vec<MemberResult>),
    /// A link.
    Invite(String),
}

/// Whether an address exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupResult {
    /// As asked.
    pub asked: String,
    /// How the channel knows it; `None` when it does not exist.
    pub address: Option<String>,
    /// Other addresses of it.
    pub aliases: Vec<String>,
}

/// A group as the channel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInfo {
    /// Its address.
    pub id: String,
    /// Its subject.
    pub subject: String,
    /// Its description.
    pub description: Option<String>,
    /// Who made it.
    pub owner: Option<String>,
    /// When.
    pub created_at: Option<Timestamp>,
    /// Its members.
    pub members: Vec<GroupMember>,
    /// Only admins may write.
    pub announcement: bool,
    /// Only admins may change it.
    pub locked: bool,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its address.
    pub address: String,
    /// Other addresses of it.
    pub aliases: Vec<String>,
    /// May change the group.
    pub admin: bool,
    /// Made the group.
    pub owner: bool,
}

/// What became of one member in a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberResult {
    /// Who.
    pub address: String,
    /// Why it was not done for him.
    pub problem: Option<String>,
}

/// Why an operation was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// The connector's plugin does not offer it.
    #[error("not offered by this connector: {0}")]
    Unsupported(String),
    /// Malformed; says what to change.
    #[error("{0}")]
    Invalid(String),
    /// No such group or message.
    #[error("{0}")]
    NotFound(String),
    /// The channel refuses it.
    #[error("{0}")]
    Refused(String),
    /// The channel asks to slow down.
    #[error("{reason}")]
    Throttled {
        /// How long, where it said so.
        retry_after_ms: Option<u64>,
        /// Its words.
        reason: String,
    },
    /// No session.
    #[error("{0}")]
    Disconnected(String),
    /// It may or may not have been done.
    #[error("{0}")]
    Unknown(String),
    /// Something else.
    #[error("{0}")]
    Failed(String),
}
