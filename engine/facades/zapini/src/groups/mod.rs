//! Section "Grupos": the groups of an instance's account, as WhatsApp reports them now.

mod wire;

use std::borrow::Cow;

use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use pombo_api::declared::{Declared, Param};
use pombo_api::error::Failure;
use pombo_api::fields::{self, required};
use pombo_api::json::{JsonBytes, OptionalJsonBytes};
use pombo_domain::commands::connectors::groups::GroupRequest;
use pombo_domain::model::Right;
use pombo_domain::ports::{GroupInfo, MemberChange, MemberResult};
use pombo_domain::{Error, Field, FieldProblem};
use uuid::Uuid;

use self::wire::*;
use crate::Section;
use crate::credentials::Caller;
use crate::envelope::{Created, Success};
use crate::errors::{BODY, CHANNEL, NAMED, Refused, VALUES};
use crate::gate::State;
use crate::params::{Text, Texts, list};
use crate::refs::{group, instance, jid, person};
use crate::sending::about;

/// The members that a body names; required.
fn members(given: fields::Field<Texts>, problems: &mut Vec<FieldProblem>) -> Option<Vec<String>> {
    let given = given.take(Field::Members, problems).map(|texts| texts.0).filter(|texts| !texts.is_empty());
    required(Field::Members, given, problems).map(|texts| texts.iter().map(|text| person(text)).collect())
}

/// The members of a DELETE: in its body, or, because some clients cannot send one, in the query.
fn members_of(request: &Request, body: &OptionalJsonBytes<Declared<Participants>>) -> Result<Vec<String>, Failure> {
    let fields: ParticipantFields<'_> = body.object()?;
    let asked = list(request, "participants");
    if !asked.is_empty() && fields.participants == fields::Field::Missing {
        return Ok(asked.iter().map(|text| person(text)).collect());
    }
    named(fields)
}

fn named(fields: ParticipantFields<'_>) -> Result<Vec<String>, Failure> {
    let mut problems = Vec::new();
    let members = members(fields.participants, &mut problems);
    members.ok_or_else(|| Error::invalid_fields(problems).into())
}

/// The results, unless the change was made for nobody.
fn results(told: Vec<MemberResult>) -> Result<ParticipantResults, Failure> {
    if !told.is_empty() && told.iter().all(|one| one.problem.is_some()) {
        let problem = |(at, one): (usize, MemberResult)| {
            FieldProblem::new(Field::Members.at(at), one.problem.unwrap_or_default())
        };
        return Err(Error::invalid_fields(told.into_iter().enumerate().map(problem).collect()).into());
    }
    let result = |one: MemberResult| ParticipantResult {
        jid: jid(&one.address),
        status: if one.problem.is_none() { MemberStatus::Success } else { MemberStatus::Error },
        message: one.problem,
    };
    Ok(ParticipantResults { participants: told.into_iter().map(result).collect() })
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct GroupsApi;

impl pombo_api::Section for GroupsApi {
    const FILE: &'static str = file!();
}

impl GroupsApi {
    async fn change(
        state: &State<'_>,
        caller: &Caller,
        id: Uuid,
        group: &str,
        change: MemberChange,
        members: Vec<String>,
    ) -> Result<ParticipantResults, Failure> {
        let told = state.commands.change_members(caller.tenant, id, group, change, members).await;
        results(told.map_err(about(id))?)
    }
}

#[OpenApi(tag = "Section::Groups")]
impl GroupsApi {
    /// List the account's groups
    #[oai(path = "/instances/:uuid/groups", method = "get", operation_id = "list_groups")]
    async fn list_groups(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<GroupList>, Refused<{ NAMED | VALUES | CHANNEL }>> {
        caller.must(Right::Read)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let summary = |group: GroupInfo| GroupSummary {
            owner: owner_of(&group),
            size: group.members.len(),
            jid: group.id,
            subject: group.subject,
            description: group.description,
        };
        let found = state.commands.list_groups(caller.tenant, id).await.map_err(about(id))?;
        let groups: Vec<_> = found.into_iter().map(summary).collect();
        Ok(Success::of(GroupList { total: groups.len(), groups }))
    }

    /// Create a group
    #[oai(path = "/instances/:uuid/groups", method = "post", operation_id = "create_group")]
    async fn create_group(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
        body: JsonBytes<Declared<CreateGroup>>,
    ) -> Result<Created<GroupMade>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::ManageConnectors)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let fields: GroupFields<'_> = body.object()?;
        let mut problems = Vec::new();
        let subject = fields.subject.take(Field::Subject, &mut problems);
        let subject = required(Field::Subject, subject, &mut problems);
        let description = fields.description.take(Field::Description, &mut problems);
        let members = members(fields.participants, &mut problems);
        let (Some(subject), Some(members), true) = (subject, members, problems.is_empty()) else {
            return Err(Error::invalid_fields(problems).into());
        };
        let description = description.map(Cow::into_owned);
        let request = GroupRequest { subject: subject.into_owned(), description, members };
        let made = state.commands.create_group(caller.tenant, id, request).await.map_err(about(id))?;
        let group = NewGroup { jid: made.id, subject: made.subject };
        Ok(Created::of(GroupMade { group, message: "Group created successfully".to_owned() }))
    }

    /// Get a group
    #[oai(path = "/instances/:uuid/groups/:jid", method = "get", operation_id = "get_group")]
    async fn get_group(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
        /// JID of the group.
        jid: Path<Param<Text>>,
    ) -> Result<Success<GroupDetail>, Refused<{ NAMED | VALUES | CHANNEL }>> {
        caller.must(Right::Read)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let found = state.commands.get_group(caller.tenant, id, &group(&jid.0.0)).await.map_err(about(id))?;
        Ok(Success::of(GroupDetail {
            owner: owner_of(&found),
            participants: found.members.iter().map(Participant::of).collect(),
            size: found.members.len(),
            jid: found.id,
            subject: found.subject,
            description: found.description,
        }))
    }

    /// Change a group's name or description
    #[oai(path = "/instances/:uuid/groups/:jid", method = "patch", operation_id = "update_group")]
    async fn update_group(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
        /// JID of the group.
        jid: Path<Param<Text>>,
        body: JsonBytes<Declared<UpdateGroup>>,
    ) -> Result<Success<GroupChanged>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::ManageConnectors)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let fields: GroupFields<'_> = body.object()?;
        let mut problems = Vec::new();
        let subject = fields.subject.take(Field::Subject, &mut problems);
        let description = fields.description.take(Field::Description, &mut problems);
        if !problems.is_empty() {
            return Err(Error::invalid_fields(problems).into());
        }
        let jid = group(&jid.0.0);
        let changed = state.commands.update_group(caller.tenant, id, &jid, subject.as_deref(), description.as_deref());
        changed.await.map_err(about(id))?;
        let (subject, description) = (subject.map(Cow::into_owned), description.map(Cow::into_owned));
        Ok(Success::saying("Group updated successfully", GroupChanged { jid, subject, description }))
    }

    /// Add members to a group
    ///
    /// Answers 200 if at least one was added, with a result for each; 422 if none was.
    #[oai(path = "/instances/:uuid/groups/:jid/participants", method = "post", operation_id = "add_participants")]
    async fn add_participants(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
        /// JID of the group.
        jid: Path<Param<Text>>,
        body: JsonBytes<Declared<Participants>>,
    ) -> Result<Success<ParticipantResults>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::ManageConnectors)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let members = named(body.object()?)?;
        let told = Self::change(&state, &caller, id, &group(&jid.0.0), MemberChange::Add, members).await?;
        Ok(Success::saying("Participants added", told))
    }

    /// Remove members from a group
    ///
    /// As for adding. A client that cannot send a body with DELETE names them in the query: `?participants=5511987654321,…`.
    #[oai(path = "/instances/:uuid/groups/:jid/participants", method = "delete", operation_id = "remove_participants")]
    async fn remove_participants(
        &self,
        caller: Caller,
        state: State<'_>,
        request: &Request,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
        /// JID of the group.
        jid: Path<Param<Text>>,
        body: OptionalJsonBytes<Declared<Participants>>,
    ) -> Result<Success<ParticipantResults>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::ManageConnectors)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let members = members_of(request, &body)?;
        let told = Self::change(&state, &caller, id, &group(&jid.0.0), MemberChange::Remove, members).await?;
        Ok(Success::saying("Participants removed", told))
    }

    /// Make members admins of a group
    ///
    /// As for adding members.
    #[oai(path = "/instances/:uuid/groups/:jid/admins", method = "post", operation_id = "promote_participants")]
    async fn promote_participants(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
        /// JID of the group.
        jid: Path<Param<Text>>,
        body: JsonBytes<Declared<Participants>>,
    ) -> Result<Success<ParticipantResults>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::ManageConnectors)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let members = named(body.object()?)?;
        let told = Self::change(&state, &caller, id, &group(&jid.0.0), MemberChange::Promote, members).await?;
        Ok(Success::saying("Participants promoted", told))
    }

    /// Make admins of a group plain members
    ///
    /// As for removing members.
    #[oai(path = "/instances/:uuid/groups/:jid/admins", method = "delete", operation_id = "demote_participants")]
    async fn demote_participants(
        &self,
        caller: Caller,
        state: State<'_>,
        request: &Request,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
        /// JID of the group.
        jid: Path<Param<Text>>,
        body: OptionalJsonBytes<Declared<Participants>>,
    ) -> Result<Success<ParticipantResults>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::ManageConnectors)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let members = members_of(request, &body)?;
        let told = Self::change(&state, &caller, id, &group(&jid.0.0), MemberChange::Demote, members).await?;
        Ok(Success::saying("Participants demoted", told))
    }

    /// Leave a group
    #[oai(path = "/instances/:uuid/groups/:jid/leave", method = "post", operation_id = "leave_group")]
    async fn leave_group(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
        /// JID of the group.
        jid: Path<Param<Text>>,
    ) -> Result<Success<GroupLeft>, Refused<{ NAMED | VALUES | CHANNEL }>> {
        caller.must(Right::ManageConnectors)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let jid = group(&jid.0.0);
        state.commands.leave_group(caller.tenant, id, &jid).await.map_err(about(id))?;
        Ok(Success::saying("Left the group", GroupLeft { jid }))
    }

    /// Get a group's invitation link
    #[oai(path = "/instances/:uuid/groups/:jid/invite", method = "get", operation_id = "get_group_invite")]
    async fn get_group_invite(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
        /// JID of the group.
        jid: Path<Param<Text>>,
    ) -> Result<Success<Invite>, Refused<{ NAMED | VALUES | CHANNEL }>> {
        caller.must(Right::Converse)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let link = state.commands.group_invite(caller.tenant, id, &group(&jid.0.0)).await.map_err(about(id))?;
        Ok(Success::of(Invite { code: invite_code(&link), invite_link: link }))
    }

    /// Replace a group's invitation link
    ///
    /// The old link no longer works.
    #[oai(path = "/instances/:uuid/groups/:jid/invite", method = "delete", operation_id = "revoke_group_invite")]
    async fn revoke_group_invite(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
        /// JID of the group.
        jid: Path<Param<Text>>,
    ) -> Result<Success<NewInvite>, Refused<{ NAMED | VALUES | CHANNEL }>> {
        caller.must(Right::ManageConnectors)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let link = state.commands.revoke_group_invite(caller.tenant, id, &group(&jid.0.0)).await.map_err(about(id))?;
        let invite = NewInvite { new_code: invite_code(&link), new_invite_link: link };
        Ok(Success::saying("Invite link revoked", invite))
    }
}
