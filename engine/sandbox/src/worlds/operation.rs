//! Operations and their answers.

use pombo_domain::Timestamp;
use pombo_domain::ports::{
    Answer, GroupInfo, GroupMember, LookupResult, MemberChange, MemberResult, Operation, OperationError, Typing,
};

use super::connector::target;
use crate::bindings::types as wit;
use crate::limits::{REASON_BYTES, cut};

/// Bytes of an address, an id, a link or a name in an answer.
const FIELD_BYTES: usize = 1024;
/// Bytes of a group's description.
const DESCRIPTION_BYTES: usize = 8 << 10;
/// Bytes of the JSON of an answer without a case of its own.
const OTHER_BYTES: usize = 256 << 10;

/// An operation as the plugin gets it.
pub(crate) fn operation(operation: Operation) -> wit::Operation {
    match operation {
        Operation::OpenSession(address) => wit::Operation::OpenSession(address),
        Operation::CloseSession => wit::Operation::CloseSession,
        Operation::Lookup(addresses) => wit::Operation::Lookup(addresses),
        Operation::Read { chat, messages } => {
            wit::Operation::Read(wit::ReadMark { chat, messages: messages.into_iter().map(target).collect() })
        }
        Operation::Typing { chat, typing } => {
            let shown = match typing {
                Typing::Composing => wit::Typing::Composing,
                Typing::Recording => wit::Typing::Recording,
                Typing::Paused => wit::Typing::Paused,
            };
            wit::Operation::Typing((chat, shown))
        }
        Operation::Groups => wit::Operation::Groups,
        Operation::Group(group) => wit::Operation::Group(group),
        Operation::CreateGroup { subject, description, members } => {
            wit::Operation::CreateGroup(wit::NewGroup { subject, description, members })
        }
        Operation::SetGroupSubject(group, text) => wit::Operation::SetGroupSubject(wit::GroupText { group, text }),
        Operation::SetGroupDescription(group, text) => {
            wit::Operation::SetGroupDescription(wit::GroupText { group, text })
        }
        Operation::ChangeMembers { group, change, members } => {
            let concerned = wit::GroupMembers { group, members };
            match change {
                MemberChange::Add => wit::Operation::AddMembers(concerned),
                MemberChange::Remove => wit::Operation::RemoveMembers(concerned),
                MemberChange::Promote => wit::Operation::PromoteMembers(concerned),
                MemberChange::Demote => wit::Operation::DemoteMembers(concerned),
            }
        }
        Operation::LeaveGroup(group) => wit::Operation::LeaveGroup(group),
        Operation::GroupInvite(group) => wit::Operation::GroupInvite(group),
        Operation::RevokeGroupInvite(group) => wit::Operation::RevokeGroupInvite(group),
        Operation::Check => wit::Operation::Check,
        Operation::ProfilePicture(address) => wit::Operation::ProfilePicture(address),
        Operation::Other(kind, json) => wit::Operation::Other((kind, json)),
    }
}

fn field(text: String) -> String {
    cut(&text, FIELD_BYTES)
}

fn fields(texts: Vec<String>) -> Vec<String> {
    texts.into_iter().map(field).collect()
}

fn group(said: wit::GroupInfo) -> GroupInfo {
    let member = |m: wit::Member| GroupMember {
        address: field(m.address),
        aliases: fields(m.aliases),
        admin: m.admin,
        owner: m.owner,
    };
    GroupInfo {
        id: field(said.id),
        subject: field(said.subject),
        // Its line ends are its own.
        description: said.description.map(|text| text.chars().take(DESCRIPTION_BYTES).collect()),
        owner: said.owner.map(field),
        created_at: said.created_at_millis.and_then(|ms| i64::try_from(ms).ok()).map(Timestamp),
        members: said.members.into_iter().map(member).collect(),
        announcement: said.announcement,
        locked: said.locked,
    }
}

/// The plugin's answer, with its texts cut to their bounds.
pub(crate) fn answer(said: Result<wit::Answer, wit::OperationError>) -> Result<Answer, OperationError> {
    Ok(match said.map_err(error)? {
        wit::Answer::Done => Answer::Done,
        wit::Answer::Lookup(results) => {
            let one = |r: wit::LookupResult| LookupResult {
                asked: field(r.asked),
                address: r.address.map(field),
                aliases: fields(r.aliases),
            };
            Answer::Lookup(results.into_iter().map(one).collect())
        }
        wit::Answer::Groups(groups) => Answer::Groups(groups.into_iter().map(group).collect()),
        wit::Answer::Group(one) => Answer::Group(group(one)),
        wit::Answer::Members(results) => {
            let one = |r: wit::MemberResult| MemberResult {
                address: field(r.address),
                problem: r.problem.map(|why| cut(&why, REASON_BYTES)),
            };
            Answer::Members(results.into_iter().map(one).collect())
        }
        wit::Answer::Invite(link) => Answer::Invite(field(link)),
        // A part of a link leads nowhere.
        wit::Answer::Picture(link) => Answer::Picture(link.filter(|link| link.len() <= FIELD_BYTES).map(field)),
        wit::Answer::Other(json) if json.len() > OTHER_BYTES => {
            return Err(OperationError::Unknown(format!("the plugin's answer has more than {OTHER_BYTES} bytes")));
        }
        wit::Answer::Other(json) => Answer::Other(json),
    })
}

fn error(said: wit::OperationError) -> OperationError {
    let reason = |text: String| cut(&text, REASON_BYTES);
    match said {
        wit::OperationError::Unsupported(why) => OperationError::Unsupported(reason(why)),
        wit::OperationError::Invalid(why) => OperationError::Invalid(reason(why)),
        wit::OperationError::NotFound(why) => OperationError::NotFound(reason(why)),
        wit::OperationError::Refused(why) => OperationError::Refused(reason(why)),
        wit::OperationError::Throttled(throttle) => OperationError::Throttled {
            retry_after_ms: Some(throttle.retry_after_millis).filter(|ms| *ms > 0),
            reason: reason(throttle.reason),
        },
        wit::OperationError::Disconnected(why) => OperationError::Disconnected(reason(why)),
        wit::OperationError::Unknown(why) => OperationError::Unknown(reason(why)),
        wit::OperationError::Failed(why) => OperationError::Failed(reason(why)),
    }
}
