//! What a connector can be asked for besides sending: sessions, look-ups, read marks, typing, groups; and its answers.

use crate::Timestamp;
use crate::model::message::Target;

/// A request to a connector other than sending. The connector's features say which it supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Begins pairing; with the account's address, by a code to type.
    OpenSession(Option<String>),
    /// Logs out and deletes the session.
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
    /// Shows a typing state.
    Typing {
        /// The conversation.
        chat: String,
        /// The typing state.
        typing: Typing,
    },
    /// Lists the groups of the account.
    Groups,
    /// Gets one group.
    Group(String),
    /// Creates a group.
    CreateGroup {
        /// Subject of the group.
        subject: String,
        /// Description of the group.
        description: Option<String>,
        /// Addresses of the members, in addition to the account.
        members: Vec<String>,
    },
    /// Sets a group's subject.
    SetGroupSubject(String, String),
    /// Sets a group's description.
    SetGroupDescription(String, String),
    /// Adds, removes, promotes or demotes members of a group.
    ChangeMembers {
        /// The group.
        group: String,
        /// The change.
        change: MemberChange,
        /// Addresses of the members.
        members: Vec<String>,
    },
    /// Leaves a group.
    LeaveGroup(String),
    /// Gets a group's invitation link.
    GroupInvite(String),
    /// Invalidates a group's invitation link and returns a new one.
    RevokeGroupInvite(String),
    /// Asks the channel whether the session works: [`OperationError::Disconnected`] if it does not.
    Check,
    /// Asks for the picture of a contact or a group.
    ProfilePicture(String),
    /// One of the kinds that the plugin's description names, and its JSON.
    Other(String, String),
}

/// A change of a group's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberChange {
    /// Adds them to the group.
    Add,
    /// Removes them from the group.
    Remove,
    /// Makes them admins.
    Promote,
    /// Makes them plain members.
    Demote,
}

/// The typing state that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typing {
    /// Somebody is writing.
    Composing,
    /// Somebody is recording a voice note.
    Recording,
    /// Nobody is writing or recording.
    Paused,
}

/// The answer to an [`Operation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The operation was carried out.
    Done,
    /// The answer to [`Operation::Lookup`], in order.
    Lookup(Vec<LookupResult>),
    /// The answer to [`Operation::Groups`].
    Groups(Vec<GroupInfo>),
    /// The answer to [`Operation::Group`] and [`Operation::CreateGroup`].
    Group(GroupInfo),
    /// The answer to [`Operation::ChangeMembers`].
    Members(Vec<MemberResult>),
    /// An invitation link.
    Invite(String),
    /// The answer to [`Operation::ProfilePicture`]: a link to the picture; `None` if there is none, or the account may not see it.
    Picture(Option<String>),
    /// The answer to [`Operation::Other`], as JSON.
    Other(String),
}

/// The result for one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupResult {
    /// The address as it was asked for.
    pub asked: String,
    /// The address in the channel's own form; `None` if it does not exist.
    pub address: Option<String>,
    /// Other addresses of the same contact.
    pub aliases: Vec<String>,
}

/// A group as the channel reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInfo {
    /// Address of the group.
    pub id: String,
    /// Subject of the group.
    pub subject: String,
    /// Description of the group.
    pub description: Option<String>,
    /// Address of the group's creator.
    pub owner: Option<String>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Members of the group.
    pub members: Vec<GroupMember>,
    /// Whether only admins may write.
    pub announcement: bool,
    /// Whether only admins may change the group's subject and description.
    pub locked: bool,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Address of the member.
    pub address: String,
    /// Other addresses of the same member.
    pub aliases: Vec<String>,
    /// Whether the member may change the group.
    pub admin: bool,
    /// Whether the member created the group.
    pub owner: bool,
}

/// The result of a change for one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberResult {
    /// Address of the member.
    pub address: String,
    /// Why the change was not made.
    pub problem: Option<String>,
}

/// Why an operation was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// The connector's plugin does not support it.
    #[error("not offered by this connector: {0}")]
    Unsupported(String),
    /// The request is malformed; says what to change.
    #[error("{0}")]
    Invalid(String),
    /// There is no such group or message.
    #[error("{0}")]
    NotFound(String),
    /// The channel refuses it.
    #[error("{0}")]
    Refused(String),
    /// The channel asks to slow down.
    #[error("{reason}")]
    Throttled {
        /// How long to wait, in milliseconds, if the channel said so.
        retry_after_ms: Option<u64>,
        /// The channel's reason.
        reason: String,
    },
    /// There is no session.
    #[error("{0}")]
    Disconnected(String),
    /// Whether the operation was carried out is unknown.
    #[error("{0}")]
    Unknown(String),
    /// Any other failure.
    #[error("{0}")]
    Failed(String),
}
