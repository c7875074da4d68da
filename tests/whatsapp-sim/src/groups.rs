//! Groups: who is in them, and what may be done to them. Knows no socket; called by the sessions' tasks, by the admin and
//! by the phones.
//!
//! # Layout
//! - this file: the state; `change`: the operations, each of which checks that its actor may, changes the group and tells
//!   the members; `iq`: the same as clients ask for it; `stanza`: groups and changes as nodes.
//!
//! `Invariant:` a change is made under the lock and told after it, so that no lock is held while stanzas are queued.

mod change;
mod iq;
mod stanza;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wacore_binary::{Jid, Node, Server};

pub use change::{change_members, create, invite_code, join, leave, set_description, set_subject};

use crate::session::SessionHandle;
use crate::world::{AccountInfo, World};

/// All groups, and the operations on them.
#[derive(Default)]
pub struct Groups {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_id: HashMap<Arc<str>, Group>,
    by_invite: HashMap<String, Arc<str>>,
}

/// How a group writes the addresses of its participants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// By phone number.
    Pn,
    /// By their LID.
    Lid,
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May write.
    Member,
    /// May change the group.
    Admin,
    /// The creator: an admin nobody can demote.
    Creator,
}

/// A member of a group.
#[derive(Debug, Clone)]
pub struct Member {
    /// The account's number.
    pub phone: Arc<str>,
    /// The member's rights.
    pub role: Role,
}

/// A description, with the token that its next change must name.
#[derive(Debug, Clone)]
pub struct Description {
    /// The token that the next change must carry as `prev`.
    pub id: String,
    /// The text of the description.
    pub text: String,
    /// Who wrote it.
    pub owner: Arc<str>,
    /// When it was written, in seconds since 1970.
    pub time: u64,
}

/// The switches of a group.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Only admins write.
    pub announcement: bool,
    /// Only admins change subject and description.
    pub locked: bool,
    /// Only admins add members.
    pub admin_add: bool,
    /// Seconds after which messages disappear.
    pub ephemeral: Option<u32>,
    /// Joining needs an admin's consent (kept, not enforced).
    pub approval: bool,
}

/// A group to make.
#[derive(Debug, Clone, Default)]
pub struct NewGroup<'a> {
    /// Subject of the group.
    pub subject: &'a str,
    /// Its members but for the creator. Those without an account are left out.
    pub members: &'a [Jid],
    /// How participants are written: as the creator's account is, unless given.
    pub addressing: Option<Addressing>,
    /// The switches of the group.
    pub settings: Settings,
    /// The token and the text of a description.
    pub description: Option<(String, String)>,
    /// What the creator's client calls its request: told to the creator alone, so that its client knows the group as the one it made.
    pub key: Option<&'a str>,
}

/// A group and its members.
#[derive(Debug, Clone)]
pub struct Group {
    /// The user part of its JID.
    pub id: Arc<str>,
    /// Subject of the group.
    pub subject: String,
    /// Who set the subject last.
    pub subject_owner: Arc<str>,
    /// When the subject was set, in seconds since 1970.
    pub subject_time: u64,
    /// Who created the group.
    pub creator: Arc<str>,
    /// When the group was created, in seconds since 1970.
    pub created: u64,
    /// The description.
    pub description: Option<Description>,
    /// The members, in the order in which they joined.
    pub members: Vec<Member>,
    /// The switches of the group.
    pub settings: Settings,
    /// The code of its invite link.
    pub invite: String,
    /// How participants are written.
    pub addressing: Addressing,
}

/// Why an operation is refused, as the server's error codes say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request makes no sense.
    #[error("bad-request")]
    BadRequest,
    /// The actor is not an admin, or not a member.
    #[error("forbidden")]
    Forbidden,
    /// There is no such group, invite or account.
    #[error("item-not-found")]
    NotFound,
    /// It changed in between, or is so already.
    #[error("conflict")]
    Conflict,
}

impl Refusal {
    /// The code on the wire.
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
        }
    }
}

/// A change of members.
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

impl MemberChange {
    fn tag(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Promote => "promote",
            Self::Demote => "demote",
        }
    }
}

/// The result for one member of a [`MemberChange`].
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The member, as asked for.
    pub asked: Jid,
    /// The account, if there is one.
    pub account: Option<AccountInfo>,
    /// Why it was refused.
    pub refusal: Option<Refusal>,
}

impl Group {
    /// The JID of the group.
    pub fn jid(&self) -> Jid {
        Jid::group(&*self.id)
    }

    fn member(&self, phone: &str) -> Option<&Member> {
        self.members.iter().find(|m| &*m.phone == phone)
    }

    fn require_member(&self, phone: &str) -> Result<Role, Refusal> {
        self.member(phone).map(|m| m.role).ok_or(Refusal::Forbidden)
    }

    fn require_admin(&self, phone: &str) -> Result<(), Refusal> {
        match self.require_member(phone)? {
            Role::Member => Err(Refusal::Forbidden),
            Role::Admin | Role::Creator => Ok(()),
        }
    }

    fn phones(&self) -> Vec<Arc<str>> {
        self.members.iter().map(|m| m.phone.clone()).collect()
    }

    /// How the group writes this account.
    pub fn write(&self, account: &AccountInfo) -> Jid {
        match self.addressing {
            Addressing::Pn => account.jid(),
            Addressing::Lid => account.lid_jid(),
        }
    }
}

impl Groups {
    /// A copy of the group.
    pub fn get(&self, group: &Jid) -> Option<Group> {
        (group.server == Server::Group).then(|| self.state.lock().by_id.get(group.user.as_str()).cloned())?
    }

    /// Copies of all groups this account is in.
    pub fn of(&self, phone: &str) -> Vec<Group> {
        let mut groups: Vec<Group> =
            self.state.lock().by_id.values().filter(|g| g.member(phone).is_some()).cloned().collect();
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        groups
    }

    /// Copies of all groups.
    pub fn all(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = self.state.lock().by_id.values().cloned().collect();
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        groups
    }

    /// A copy of the group behind an invite code.
    pub fn by_invite(&self, code: &str) -> Option<Group> {
        let state = self.state.lock();
        state.by_id.get(state.by_invite.get(code)?).cloned()
    }

    /// Changes a group that exists; gives a copy of it as it is then.
    fn change<T>(
        &self,
        group: &Jid,
        change: impl FnOnce(&mut Group) -> Result<T, Refusal>,
    ) -> Result<(Group, T), Refusal> {
        let mut state = self.state.lock();
        let group = state.by_id.get_mut(group.user.as_str()).ok_or(Refusal::NotFound)?;
        let result = change(group)?;
        Ok((group.clone(), result))
    }
}

/// The phone numbers of a group's members.
pub fn members(world: &World, group: &Jid) -> Option<Vec<String>> {
    let state = world.groups.state.lock();
    Some(state.by_id.get(group.user.as_str())?.members.iter().map(|m| m.phone.to_string()).collect())
}

/// How the group writes its participants.
pub fn addressing(world: &World, group: &Jid) -> Addressing {
    world.groups.state.lock().by_id.get(group.user.as_str()).map_or(Addressing::Pn, |g| g.addressing)
}

/// Answers an iq of `w:g2`.
pub fn handle_iq(world: &Arc<World>, session: &SessionHandle, request: &Node) -> Option<Node> {
    iq::handle(world, &session.device.phone, request)
}
