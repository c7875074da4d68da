//! What a peer does with groups. The server's answer is the method's; what the members are told is in their record.

use wacore_binary::Jid;
use whatsapp_rust::features::{
    GroupCreateOptions, GroupDescription, GroupMetadata, GroupParticipantOptions, GroupSubject,
    ParticipantChangeResponse, PreviousDescription,
};

use super::{Error, Peer, client_error};

impl Peer {
    /// Makes a group with these members; its creator is its first admin.
    pub async fn create_group(&self, subject: &str, members: &[Jid]) -> Result<Jid, Error> {
        let mut options = GroupCreateOptions::new(subject);
        options.participants = members.iter().cloned().map(GroupParticipantOptions::new).collect();
        let created = self.client()?.groups().create_group(options).await.map_err(client_error("create a group"))?;
        Ok(created.metadata.id)
    }

    /// The group as the server has it.
    pub async fn group(&self, group: &Jid) -> Result<GroupMetadata, Error> {
        self.client()?.groups().get_metadata(group).await.map_err(client_error("query a group"))
    }

    /// All groups this peer is in.
    pub async fn groups(&self) -> Result<Vec<GroupMetadata>, Error> {
        let groups = self.client()?.groups().get_participating().await.map_err(client_error("list groups"))?;
        Ok(groups.into_values().collect())
    }

    /// Gives the group another name.
    pub async fn set_subject(&self, group: &Jid, subject: &str) -> Result<(), Error> {
        let subject = GroupSubject::new(subject).map_err(client_error("name a group"))?;
        self.client()?.groups().set_subject(group, subject).await.map_err(client_error("name a group"))
    }

    /// Gives the group a description, or takes it away.
    pub async fn set_description(&self, group: &Jid, description: Option<&str>) -> Result<(), Error> {
        let description =
            description.map(GroupDescription::new).transpose().map_err(client_error("describe a group"))?;
        self.client()?
            .groups()
            .set_description(group, description, PreviousDescription::Resolve)
            .await
            .map_err(client_error("describe a group"))
    }

    /// Adds members; an answer for each.
    pub async fn add_members(&self, group: &Jid, who: &[Jid]) -> Result<Vec<ParticipantChangeResponse>, Error> {
        self.client()?.groups().add_participants(group, who).await.map_err(client_error("add members"))
    }

    /// Removes members; an answer for each.
    pub async fn remove_members(&self, group: &Jid, who: &[Jid]) -> Result<Vec<ParticipantChangeResponse>, Error> {
        self.client()?.groups().remove_participants(group, who).await.map_err(client_error("remove members"))
    }

    /// Makes members admins.
    pub async fn promote(&self, group: &Jid, who: &[Jid]) -> Result<Vec<ParticipantChangeResponse>, Error> {
        self.client()?.groups().promote_participants(group, who).await.map_err(client_error("promote members"))
    }

    /// Makes admins members.
    pub async fn demote(&self, group: &Jid, who: &[Jid]) -> Result<Vec<ParticipantChangeResponse>, Error> {
        self.client()?.groups().demote_participants(group, who).await.map_err(client_error("demote members"))
    }

    /// Leaves the group.
    pub async fn leave(&self, group: &Jid) -> Result<(), Error> {
        self.client()?.groups().leave(group).await.map_err(client_error("leave a group"))
    }

    /// The group's invite link; with `revoke`, a new one, and the old one is no longer valid.
    pub async fn invite_link(&self, group: &Jid, revoke: bool) -> Result<String, Error> {
        self.client()?.groups().get_invite_link(group, revoke).await.map_err(client_error("get an invite link"))
    }

    /// The group behind an invite link, without joining.
    pub async fn invite_info(&self, link: &str) -> Result<GroupMetadata, Error> {
        self.client()?.groups().get_invite_info(link).await.map_err(client_error("read an invite link"))
    }

    /// Joins by an invite link.
    pub async fn join(&self, link: &str) -> Result<Jid, Error> {
        let joined = self.client()?.groups().join_with_invite_code(link).await.map_err(client_error("join a group"))?;
        Ok(joined.group_jid().clone())
    }
}
