//! A conversation with what there is to say about it besides what is stored with it: one form for all who show conversations. Each view
//! costs a few look-ups by key, so it is made for the rows that are shown and no others.

use uuid::Uuid;

use super::ReplyWindow;
use crate::commands::Commands;
use crate::commands::contacts::KnownContact;
use crate::model::{Connector, ContactType, Conversation, LabelKind, Status};
use crate::{MessageKey, Result};

/// A conversation with what there is to say about it.
pub struct ConversationView {
    /// The stored conversation.
    pub conversation: Conversation,
    /// The connector's public id.
    pub connector: Uuid,
    /// The contact that it is with; `None` for a group, and where there is none.
    pub contact: Option<KnownContact>,
    /// Name of the user that it is assigned to.
    pub assignee_name: Option<String>,
    /// How far its newest message came, if that was sent with the engine.
    pub last_sent: Option<LastSent>,
    /// The automation that answers it now; of several, the one that is asked first.
    pub automation: Option<AnsweredBy>,
    /// Its reply window, where its channel has one.
    pub window: Option<ReplyWindow>,
    /// The public id of the queue that it is in.
    pub queue: Option<Uuid>,
    /// The public id of the status that it has.
    pub status: Option<Uuid>,
}

/// An automation that answers a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredBy {
    /// Its public id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
}

/// The newest message of a conversation, if it was sent with the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSent {
    /// Its status.
    pub status: Status,
    /// Who sent it: `user:…`, `key:…`, `operator` or `automation:…`; `None` where that is not known.
    pub by: Option<String>,
}

impl ConversationView {
    /// Whether an automation is active in it now.
    pub fn automated(&self) -> bool {
        self.automation.is_some()
    }

    /// The name of the contact or the group, if known. Of a contact it is the one that the tenant chose, otherwise the one that the
    /// channel reported.
    pub fn name(&self) -> Option<&str> {
        let chosen = self.contact.as_ref().and_then(|contact| contact.name.as_deref());
        chosen.or(self.conversation.contact_name.as_deref())
    }

    /// The address that the contact is known by, or the group's.
    pub fn address(&self) -> &str {
        self.contact.as_ref().map_or(self.conversation.chat.as_str(), |contact| contact.identifier.as_str())
    }

    /// What to call it: its name, otherwise its address.
    pub fn display_name(&self) -> &str {
        self.name().unwrap_or_else(|| self.address())
    }
}

impl Commands {
    pub(crate) fn conversation_view(&self, conversation: Conversation) -> Result<ConversationView> {
        let tenant = conversation.tenant;
        let connector = self.connector_id(conversation.connector)?;
        let automation = self.answering(&conversation)?;
        let stored = self.ports().store.connector(conversation.connector)?;
        let contact = match &stored {
            Some(stored) => self.contact_in(stored, &conversation)?,
            None => None,
        };
        let rules = stored.and_then(|stored| self.rules_of(&stored));
        let assignee = match conversation.assigned_user {
            Some(user) => self.ports().store.user(tenant, user)?,
            None => None,
        };
        Ok(ConversationView {
            connector,
            contact,
            assignee_name: assignee.map(|user| user.name),
            last_sent: self.last_sent(&conversation)?,
            automation: automation.map(|found| AnsweredBy { id: found.id, name: found.name.clone() }),
            window: rules.and_then(|rules| self.window_of(&rules, Some(&conversation))),
            queue: self.label_id(tenant, LabelKind::Queue, conversation.queue)?,
            status: self.label_id(tenant, LabelKind::Status, conversation.status_label)?,
            conversation,
        })
    }

    fn contact_in(&self, connector: &Connector, conversation: &Conversation) -> Result<Option<KnownContact>> {
        let kind = ContactType::of_channel(&connector.channel).filter(|_| !conversation.is_group);
        let Some(kind) = kind else { return Ok(None) };
        let found = self.ports().store.contact(conversation.tenant, kind, &kind.identifier(&conversation.chat))?;
        Ok(found.map(KnownContact::from))
    }

    fn last_sent(&self, conversation: &Conversation) -> Result<Option<LastSent>> {
        let store = &self.ports().store;
        let Some(last) = conversation.last.as_ref().filter(|last| last.from_me) else { return Ok(None) };
        let Some(item) = store.timeline_item(conversation.tenant, last.item)? else { return Ok(None) };
        let Some(serial) = item.entry.message else { return Ok(None) };
        let key = MessageKey { tenant: conversation.tenant, serial };
        let Some(message) = store.message(key)? else { return Ok(None) };
        Ok(Some(LastSent { status: message.state.status, by: self.message_by(key)? }))
    }
}
