//! The groups' wire types: bodies as they are declared and read, and answers.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{Enum, Object};
use pombo_api::declared::Declares;
use pombo_api::json_fields;
use pombo_domain::commands::connectors::groups::{
    MAX_GROUP_DESCRIPTION_CHARS, MAX_GROUP_MEMBERS, MAX_GROUP_SUBJECT_CHARS,
};
use pombo_domain::ports::{GroupInfo, GroupMember};
use serde::Serialize;
use serde_json::json;

use crate::params::Texts;
use crate::refs::jid;
use crate::schemas::text;

json_fields! {
    pub(super) struct GroupFields<'a> {
        subject: "subject" as Cow<'a, str>,
        description: "description" as Cow<'a, str>,
        participants: "participants" as Texts,
    }
}

json_fields! {
    pub(super) struct ParticipantFields<'a> {
        participants: "participants" as Texts,
    }
}

fn participants() -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some("Phone numbers, digits with country code, or JIDs."),
        items: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))))),
        min_items: Some(1),
        max_items: Some(MAX_GROUP_MEMBERS),
        ..MetaSchema::new("array")
    }))
}

/// `CreateGroup` in the document.
pub(super) struct CreateGroup;

impl Declares for CreateGroup {
    const NAME: &'static str = "CreateGroup";

    fn schema(_: &mut Registry) -> MetaSchema {
        MetaSchema {
            description: Some("A group to create."),
            required: vec!["subject", "participants"],
            properties: vec![
                ("subject", text("Name of the group.", Some(1), MAX_GROUP_SUBJECT_CHARS)),
                ("description", text("Description of the group.", None, MAX_GROUP_DESCRIPTION_CHARS)),
                ("participants", participants()),
            ],
            example: Some(json!({"subject": "My New Group", "participants": ["5511987654321", "5511976543210"]})),
            ..MetaSchema::new("object")
        }
    }
}

/// `UpdateGroup` in the document.
pub(super) struct UpdateGroup;

impl Declares for UpdateGroup {
    const NAME: &'static str = "UpdateGroup";

    fn schema(_: &mut Registry) -> MetaSchema {
        MetaSchema {
            description: Some("A change of a group: at least one of the two."),
            properties: vec![
                ("subject", text("New name of the group.", Some(1), MAX_GROUP_SUBJECT_CHARS)),
                ("description", text("New description; an empty text removes it.", None, MAX_GROUP_DESCRIPTION_CHARS)),
            ],
            example: Some(json!({"subject": "New Group Name", "description": "Updated description"})),
            ..MetaSchema::new("object")
        }
    }
}

/// `Participants` in the document.
pub(super) struct Participants;

impl Declares for Participants {
    const NAME: &'static str = "Participants";

    fn schema(_: &mut Registry) -> MetaSchema {
        MetaSchema {
            description: Some("Members of a group."),
            required: vec!["participants"],
            properties: vec![("participants", participants())],
            example: Some(json!({"participants": ["5511987654321"]})),
            ..MetaSchema::new("object")
        }
    }
}

/// A group, in a list.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "GroupSummary")]
pub(super) struct GroupSummary {
    /// JID of the group.
    pub(super) jid: String,
    /// Name of the group.
    pub(super) subject: String,
    /// JID of the group's creator; null where it is not known.
    #[oai(nullable)]
    pub(super) owner: Option<String>,
    /// Number of its members.
    pub(super) size: usize,
    /// Description of the group; null where there is none.
    #[oai(nullable)]
    pub(super) description: Option<String>,
}

/// The account's groups.
#[derive(Debug, Serialize, Object)]
pub(super) struct GroupList {
    /// The groups, in WhatsApp's order.
    pub(super) groups: Vec<GroupSummary>,
    /// Number of the groups.
    pub(super) total: usize,
}

/// A member of a group.
#[derive(Debug, Serialize, Object)]
pub(super) struct Participant {
    /// JID of the member.
    pub(super) jid: String,
    /// `superadmin` for who created the group, `admin` for who may change it, null for a plain member.
    #[oai(nullable)]
    pub(super) admin: Option<String>,
}

impl Participant {
    pub(super) fn of(member: &GroupMember) -> Self {
        let admin = match (member.owner, member.admin) {
            (true, _) => Some("superadmin"),
            (false, true) => Some("admin"),
            (false, false) => None,
        };
        Self { jid: jid(&member.address), admin: admin.map(str::to_owned) }
    }
}

/// A group with its members.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Group")]
pub(super) struct GroupDetail {
    /// JID of the group.
    pub(super) jid: String,
    /// Name of the group.
    pub(super) subject: String,
    /// Description of the group; null where there is none.
    #[oai(nullable)]
    pub(super) description: Option<String>,
    /// JID of the group's creator; null where it is not known.
    #[oai(nullable)]
    pub(super) owner: Option<String>,
    /// Its members.
    pub(super) participants: Vec<Participant>,
    /// Number of its members.
    pub(super) size: usize,
}

/// A group that was created.
#[derive(Debug, Serialize, Object)]
pub(super) struct NewGroup {
    /// JID of the group.
    pub(super) jid: String,
    /// Name of the group.
    pub(super) subject: String,
}

/// The answer to a creation.
#[derive(Debug, Serialize, Object)]
pub(super) struct GroupMade {
    /// The group.
    pub(super) group: NewGroup,
    /// What was done, for people.
    pub(super) message: String,
}

/// The answer to a change.
#[derive(Debug, Serialize, Object)]
pub(super) struct GroupChanged {
    /// JID of the group.
    pub(super) jid: String,
    /// Its new name, if it was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub(super) subject: Option<String>,
    /// Its new description, if it was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub(super) description: Option<String>,
}

/// Whether a change was made for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename_all = "lowercase")]
pub(super) enum MemberStatus {
    /// It was made.
    Success,
    /// It was not made.
    Error,
}

/// The result of a change for one member.
#[derive(Debug, Serialize, Object)]
pub(super) struct ParticipantResult {
    /// JID of the member.
    pub(super) jid: String,
    /// Whether the change was made.
    pub(super) status: MemberStatus,
    /// Why it was not made; null where it was.
    #[oai(nullable)]
    pub(super) message: Option<String>,
}

/// The results of a change.
#[derive(Debug, Serialize, Object)]
pub(super) struct ParticipantResults {
    /// One result for each member.
    pub(super) participants: Vec<ParticipantResult>,
}

/// A group that the account left.
#[derive(Debug, Serialize, Object)]
pub(super) struct GroupLeft {
    /// JID of the group.
    pub(super) jid: String,
}

/// An invitation to a group.
#[derive(Debug, Serialize, Object)]
pub(super) struct Invite {
    /// The invitation's code, the last part of the link.
    pub(super) code: String,
    /// Link with which anyone can join the group.
    pub(super) invite_link: String,
}

/// An invitation that replaced another.
#[derive(Debug, Serialize, Object)]
pub(super) struct NewInvite {
    /// The new invitation's code.
    pub(super) new_code: String,
    /// The new link.
    pub(super) new_invite_link: String,
}

/// The code in an invitation's link.
pub(super) fn invite_code(link: &str) -> String {
    link.split(['?', '#'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// JID of a group's creator.
pub(super) fn owner_of(group: &GroupInfo) -> Option<String> {
    group.owner.as_deref().map(jid)
}

#[cfg(test)]
mod tests {
    use super::invite_code;

    #[test]
    fn a_code_is_the_last_part_of_its_link() {
        for link in ["https://chat.whatsapp.com/AbCdEfGhIjKl", "https://chat.whatsapp.com/AbCdEfGhIjKl/?x=1"] {
            assert_eq!(invite_code(link), "AbCdEfGhIjKl");
        }
    }
}
