//! Groups of a connector's account. The channel is asked each time; the engine keeps no copy that could be wrong.

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::connectors::offering::{checked_address, done, unexpected};
use crate::ports::{Answer, GroupInfo, MemberChange, MemberResult, Operation};
use crate::{Error, ErrorCode, Field, Result, TenantIndex};

/// Maximum length of a group's subject, in characters.
pub const MAX_GROUP_SUBJECT_CHARS: usize = 100;
/// Maximum length of a group's description, in characters.
pub const MAX_GROUP_DESCRIPTION_CHARS: usize = 2048;
/// Maximum number of members in one request.
pub const MAX_GROUP_MEMBERS: usize = 256;

const FEATURE: &str = "groups";

/// A group to create.
pub struct GroupRequest {
    /// Its subject.
    pub subject: String,
    /// Its description.
    pub description: Option<String>,
    /// Addresses of the members, in addition to the account.
    pub members: Vec<String>,
}

impl Commands {
    /// The account's groups.
    pub async fn list_groups(&self, tenant: TenantIndex, id: Uuid) -> Result<Vec<GroupInfo>> {
        match self.operate(&self.offering(tenant, id)?, FEATURE, Operation::Groups).await? {
            Answer::Groups(groups) => Ok(groups),
            _ => Err(unexpected()),
        }
    }

    /// One group.
    pub async fn get_group(&self, tenant: TenantIndex, id: Uuid, group: &str) -> Result<GroupInfo> {
        let offering = self.offering(tenant, id)?;
        offering.must(FEATURE)?;
        match self.operate(&offering, FEATURE, Operation::Group(group_address(group)?)).await? {
            Answer::Group(group) => Ok(group),
            _ => Err(unexpected()),
        }
    }

    /// Creates a group.
    pub async fn create_group(&self, tenant: TenantIndex, id: Uuid, request: GroupRequest) -> Result<GroupInfo> {
        let offering = self.offering(tenant, id)?;
        offering.must(FEATURE)?;
        let subject = checked_subject(&request.subject)?;
        let description = request.description.as_deref().map(checked_description).transpose()?;
        let description = description.filter(|text| !text.is_empty());
        check_members(Field::Members, &request.members, 0)?;
        let members = match request.members.is_empty() {
            true => Vec::new(),
            false => self.addresses(&offering, Field::Members, request.members).await?,
        };
        match self.operate(&offering, FEATURE, Operation::CreateGroup { subject, description, members }).await? {
            Answer::Group(group) => Ok(group),
            _ => Err(unexpected()),
        }
    }

    /// Changes a group's subject, its description or both, in this order.
    pub async fn update_group(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        group: &str,
        subject: Option<&str>,
        description: Option<&str>,
    ) -> Result<()> {
        let offering = self.offering(tenant, id)?;
        offering.must(FEATURE)?;
        let group = group_address(group)?;
        let subject = subject.map(checked_subject).transpose()?;
        let description = description.map(checked_description).transpose()?;
        if subject.is_none() && description.is_none() {
            return Err(Error::invalid(Field::Request, "name a subject, a description or both"));
        }
        let changed = subject.is_some();
        if let Some(subject) = subject {
            done(self.operate(&offering, FEATURE, Operation::SetGroupSubject(group.clone(), subject)).await?)?;
        }
        if let Some(description) = description {
            let set = Operation::SetGroupDescription(group, description);
            let told = self.operate(&offering, FEATURE, set).await.and_then(done);
            told.map_err(|error| match changed {
                true => Error {
                    message: format!("the subject was changed, but not the description: {}", error.message),
                    ..error
                },
                false => error,
            })?;
        }
        Ok(())
    }

    /// Adds, removes, promotes or demotes members; returns a result for each.
    pub async fn change_members(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        group: &str,
        change: MemberChange,
        members: Vec<String>,
    ) -> Result<Vec<MemberResult>> {
        let offering = self.offering(tenant, id)?;
        offering.must(FEATURE)?;
        let group = group_address(group)?;
        let field = match change {
            MemberChange::Add => Field::Add,
            MemberChange::Remove => Field::Remove,
            MemberChange::Promote => Field::Promote,
            MemberChange::Demote => Field::Demote,
        };
        check_members(field, &members, 1)?;
        let members = self.addresses(&offering, field, members).await?;
        match self.operate(&offering, FEATURE, Operation::ChangeMembers { group, change, members }).await? {
            Answer::Members(results) => Ok(results),
            _ => Err(unexpected()),
        }
    }

    /// Leaves a group.
    pub async fn leave_group(&self, tenant: TenantIndex, id: Uuid, group: &str) -> Result<()> {
        let offering = self.offering(tenant, id)?;
        offering.must(FEATURE)?;
        done(self.operate(&offering, FEATURE, Operation::LeaveGroup(group_address(group)?)).await?)
    }

    /// A group's invitation link.
    pub async fn group_invite(&self, tenant: TenantIndex, id: Uuid, group: &str) -> Result<String> {
        self.invite(tenant, id, group, Operation::GroupInvite).await
    }

    /// Invalidates the link and returns a new one.
    pub async fn revoke_group_invite(&self, tenant: TenantIndex, id: Uuid, group: &str) -> Result<String> {
        self.invite(tenant, id, group, Operation::RevokeGroupInvite).await
    }

    async fn invite(&self, tenant: TenantIndex, id: Uuid, group: &str, ask: fn(String) -> Operation) -> Result<String> {
        let offering = self.offering(tenant, id)?;
        offering.must(FEATURE)?;
        match self.operate(&offering, FEATURE, ask(group_address(group)?)).await? {
            Answer::Invite(link) => Ok(link),
            _ => Err(unexpected()),
        }
    }
}

/// An address in a path: one that is not valid is not found.
fn group_address(group: &str) -> Result<String> {
    checked_address(Field::Group, group).map_err(|_| Error::new(ErrorCode::NotFound, "Group not found"))
}

fn check_members(field: Field, members: &[String], least: usize) -> Result<()> {
    if members.len() < least || members.len() > MAX_GROUP_MEMBERS {
        return Err(Error::invalid(field, format!("must be {least} to {MAX_GROUP_MEMBERS} addresses")));
    }
    Ok(())
}

fn checked_subject(subject: &str) -> Result<String> {
    let subject = subject.trim();
    if subject.is_empty() || subject.chars().count() > MAX_GROUP_SUBJECT_CHARS {
        return Err(Error::invalid(Field::Subject, format!("must have 1 to {MAX_GROUP_SUBJECT_CHARS} characters")));
    }
    if subject.chars().any(char::is_control) {
        return Err(Error::invalid(Field::Subject, "must not contain line breaks or other control characters"));
    }
    Ok(subject.to_owned())
}

fn checked_description(description: &str) -> Result<String> {
    let description = description.trim();
    if description.chars().count() > MAX_GROUP_DESCRIPTION_CHARS {
        return Err(Error::invalid(
            Field::Description,
            format!("must have at most {MAX_GROUP_DESCRIPTION_CHARS} characters"),
        ));
    }
    if description.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(Error::invalid(Field::Description, "must not contain control characters other than line breaks"));
    }
    Ok(description.to_owned())
}
