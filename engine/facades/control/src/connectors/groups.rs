//! Section Groups: the groups of a connector's account, as the channel reports them now.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::registry::MetaSchema;
use poem_openapi::{Object, OpenApi};
use pombo_domain::Error;
use pombo_domain::commands::connectors::groups::GroupRequest;
use pombo_domain::ports::{GroupInfo, GroupMember, MemberChange, MemberResult};
use serde::Deserialize;

use crate::Section;
use crate::access::Acting;
use crate::wire::{BODY, CHANNEL, Created, Done, Instant, PathId, READ, Refused, body};
use pombo_api::declared::{Param, ParamKind};
use pombo_api::error::Failure;
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Groups;

impl pombo_api::Section for Groups {
    const FILE: &'static str = file!();
}

/// A group's address, as lists of groups and received messages have it.
pub(crate) struct GroupAddress;

impl ParamKind for GroupAddress {
    type Value = String;

    fn schema() -> MetaSchema {
        MetaSchema { min_length: Some(1), max_length: Some(320), ..MetaSchema::new("string") }
    }
    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// A member of a group.
#[derive(Object)]
pub(crate) struct Member {
    /// Address of the member.
    address: String,
    /// Other addresses of the same member.
    aliases: Vec<String>,
    /// Whether the member may change the group.
    admin: bool,
    /// Whether the member created the group.
    owner: bool,
}

impl From<GroupMember> for Member {
    fn from(member: GroupMember) -> Self {
        let GroupMember { address, aliases, admin, owner } = member;
        Self { address, aliases, admin, owner }
    }
}

/// A group of the connector's account.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Group {
    /// Address of the group: the `to` of messages to it.
    id: String,
    /// Subject of the group.
    subject: String,
    /// Description of the group.
    description: Option<String>,
    /// Address of the group's creator.
    owner: Option<String>,
    /// When the group was created.
    created_at: Option<Instant>,
    /// Whether only admins may write.
    announcement: bool,
    /// Whether only admins may change the group's subject and description.
    locked: bool,
    /// Members of the group.
    members: Vec<Member>,
}

impl From<GroupInfo> for Group {
    fn from(group: GroupInfo) -> Self {
        Self {
            id: group.id,
            subject: group.subject,
            description: group.description,
            owner: group.owner,
            created_at: group.created_at.map(Instant),
            announcement: group.announcement,
            locked: group.locked,
            members: group.members.into_iter().map(Member::from).collect(),
        }
    }
}

/// The groups of the connector's account.
#[derive(Object)]
pub(crate) struct GroupList {
    /// The groups, in the channel's order.
    data: Vec<Group>,
}

/// A group to create.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateGroup {
    /// Subject, from 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100))]
    subject: String,
    /// Description, at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    description: Option<String>,
    /// Addresses of the members, at most 256, in addition to the connector's own account.
    #[oai(default, validator(max_items = 256))]
    #[serde(default)]
    members: Vec<String>,
}

/// A change of a group. Omitted fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateGroup {
    /// New subject, from 1 to 100 characters.
    #[oai(nullable, validator(min_length = 1, max_length = 100))]
    subject: Option<String>,
    /// New description, at most 2048 characters; an empty text removes it.
    #[oai(nullable, validator(max_length = 2048))]
    description: Option<String>,
}

/// A change of a group's members: exactly one of the four fields, with 1 to 256 addresses.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeMembers {
    /// Addresses to add to the group.
    #[oai(nullable, validator(min_items = 1, max_items = 256))]
    add: Option<Vec<String>>,
    /// Addresses to remove from the group.
    #[oai(nullable, validator(min_items = 1, max_items = 256))]
    remove: Option<Vec<String>>,
    /// Addresses of members to make admins.
    #[oai(nullable, validator(min_items = 1, max_items = 256))]
    promote: Option<Vec<String>>,
    /// Addresses of admins to make plain members.
    #[oai(nullable, validator(min_items = 1, max_items = 256))]
    demote: Option<Vec<String>>,
}

impl ChangeMembers {
    fn one(self) -> Result<(MemberChange, Vec<String>), Failure> {
        match (self.add, self.remove, self.promote, self.demote) {
            (Some(members), None, None, None) => Ok((MemberChange::Add, members)),
            (None, Some(members), None, None) => Ok((MemberChange::Remove, members)),
            (None, None, Some(members), None) => Ok((MemberChange::Promote, members)),
            (None, None, None, Some(members)) => Ok((MemberChange::Demote, members)),
            _ => Err(Error::invalid("body", "name exactly one of add, remove, promote and demote").into()),
        }
    }
}

/// The result of a change for one member.
#[derive(Object)]
pub(crate) struct MemberOutcome {
    /// Address of the member.
    address: String,
    /// Whether the change was made.
    done: bool,
    /// Why the change was not made.
    #[oai(skip_serializing_if_is_none)]
    problem: Option<String>,
}

impl From<MemberResult> for MemberOutcome {
    fn from(result: MemberResult) -> Self {
        Self { address: result.address, done: result.problem.is_none(), problem: result.problem }
    }
}

/// The results of a change.
#[derive(Object)]
pub(crate) struct MemberOutcomes {
    /// One result for each member.
    data: Vec<MemberOutcome>,
}

/// An invitation to a group.
#[derive(Object)]
pub(crate) struct GroupInvite {
    /// Link with which anyone can join the group.
    link: String,
}

#[OpenApi(tag = "Section::Groups")]
impl Groups {
    /// List the account's groups
    ///
    /// Like all operations of this section, only for connectors whose plugin has the feature `groups`.
    #[oai(path = "/v1/connectors/:id/groups", method = "get", operation_id = "list_groups")]
    async fn list_groups(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<GroupList>, Refused<{ READ | CHANNEL }>> {
        let groups = state.commands.list_groups(acting.tenant, id.of("Connector")?).await?;
        Ok(Json(GroupList { data: groups.into_iter().map(Group::from).collect() }))
    }

    /// Create a group
    #[oai(path = "/v1/connectors/:id/groups", method = "post", operation_id = "create_group")]
    async fn create_group(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<CreateGroup>,
    ) -> Result<Created<Group>, Refused<{ READ | BODY | CHANNEL }>> {
        let id = id.of("Connector")?;
        let CreateGroup { subject, description, members } = body(&json)?;
        let request = GroupRequest { subject, description, members };
        Ok(Created::Made(Json(state.commands.create_group(acting.tenant, id, request).await?.into())))
    }

    /// Get a group
    #[oai(path = "/v1/connectors/:id/groups/:group", method = "get", operation_id = "get_group")]
    async fn get_group(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        group: Path<Param<GroupAddress>>,
    ) -> Result<Json<Group>, Refused<{ READ | CHANNEL }>> {
        let group = state.commands.get_group(acting.tenant, id.of("Connector")?, &group.0.0).await?;
        Ok(Json(group.into()))
    }

    /// Change a group's subject or description
    #[oai(path = "/v1/connectors/:id/groups/:group", method = "patch", operation_id = "update_group")]
    async fn update_group(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        group: Path<Param<GroupAddress>>,
        json: JsonBytes<UpdateGroup>,
    ) -> Result<Done, Refused<{ READ | BODY | CHANNEL }>> {
        let id = id.of("Connector")?;
        let UpdateGroup { subject, description } = body(&json)?;
        let (subject, description) = (subject.as_deref(), description.as_deref());
        state.commands.update_group(acting.tenant, id, &group.0.0, subject, description).await?;
        Ok(Done::Done)
    }

    /// Leave a group
    #[oai(path = "/v1/connectors/:id/groups/:group", method = "delete", operation_id = "leave_group")]
    async fn leave_group(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        group: Path<Param<GroupAddress>>,
    ) -> Result<Done, Refused<{ READ | CHANNEL }>> {
        state.commands.leave_group(acting.tenant, id.of("Connector")?, &group.0.0).await?;
        Ok(Done::Done)
    }

    /// Add, remove, promote or demote members
    ///
    /// The status is 200 even if the channel refused some of them: the answer has a result for each.
    #[oai(path = "/v1/connectors/:id/groups/:group/members", method = "post", operation_id = "change_members")]
    async fn change_members(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        group: Path<Param<GroupAddress>>,
        json: JsonBytes<ChangeMembers>,
    ) -> Result<Json<MemberOutcomes>, Refused<{ READ | BODY | CHANNEL }>> {
        let id = id.of("Connector")?;
        let (change, members) = body(&json)?.one()?;
        let results = state.commands.change_members(acting.tenant, id, &group.0.0, change, members).await?;
        Ok(Json(MemberOutcomes { data: results.into_iter().map(MemberOutcome::from).collect() }))
    }

    /// Get a group's invitation link
    #[oai(path = "/v1/connectors/:id/groups/:group/invite", method = "get", operation_id = "get_group_invite")]
    async fn get_group_invite(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        group: Path<Param<GroupAddress>>,
    ) -> Result<Json<GroupInvite>, Refused<{ READ | CHANNEL }>> {
        let link = state.commands.group_invite(acting.tenant, id.of("Connector")?, &group.0.0).await?;
        Ok(Json(GroupInvite { link }))
    }

    /// Replace a group's invitation link
    ///
    /// The old link no longer works.
    #[oai(
        path = "/v1/connectors/:id/groups/:group/invite/revoke",
        method = "post",
        operation_id = "revoke_group_invite"
    )]
    async fn revoke_group_invite(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        group: Path<Param<GroupAddress>>,
    ) -> Result<Json<GroupInvite>, Refused<{ READ | CHANNEL }>> {
        let link = state.commands.revoke_group_invite(acting.tenant, id.of("Connector")?, &group.0.0).await?;
        Ok(Json(GroupInvite { link }))
    }
}
