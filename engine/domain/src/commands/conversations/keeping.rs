//! Opening, archiving, restoring and deleting conversations.

use uuid::Uuid;

use super::ConversationView;
use crate::commands::Commands;
use crate::commands::access::actor::Actor;
use crate::commands::connectors::offering::{checked_address, unindexed};
use crate::commands::plugins::catalog::automation_change;
use crate::model::{ConversationAction, ConversationStep};
use crate::ports::{AutomationChange, Batch, Change, ChatChange};
use crate::{Error, ErrorCode, Field, Result};

impl Commands {
    /// The conversation with an address, which is opened if there is none, and whether it was opened. Refused where the connector's
    /// channel has no conversations.
    pub async fn open_conversation(
        &self,
        actor: &Actor,
        connector: Uuid,
        to: &str,
        is_group: bool,
    ) -> Result<(ConversationView, bool)> {
        let tenant = actor.tenant()?;
        let offering = self.offering(tenant, connector)?;
        offering.must("inbound")?;
        let to = checked_address(Field::To, to)?;
        let to = self.addresses(&offering, Field::To, vec![to]).await.map_err(|error| unindexed(error, Field::To))?;
        let to = to.into_iter().next().unwrap_or_default();
        if let Some(found) = self.conversation_of(&offering.connector, &to)? {
            return Ok((self.conversation_view(found)?, false));
        }
        let chat = self.chat_of(&offering.connector, &to)?;
        let connector = offering.connector.index;
        let open = ChatChange::Open { tenant, connector, chat: chat.clone(), is_group, by: actor.by.clone() };
        self.ports().store.commit(Batch::of(vec![Change::Chat(Box::new(open))])).await?;
        let opened = self.ports().store.conversation_with(connector, &chat)?;
        Ok((self.conversation_view(opened.ok_or_else(|| Error::not_found("Conversation"))?)?, true))
    }

    /// Archives a conversation: lists can leave it out until the other side writes. One that is archived stays as it is.
    pub async fn archive_conversation(&self, actor: &Actor, id: Uuid) -> Result<ConversationView> {
        let step = ConversationStep::Archive(self.ports().clock.now());
        self.keep_conversation(actor, id, false, step, ConversationAction::Archived).await
    }

    /// Takes a conversation back from the archive. One that is not archived stays as it is.
    pub async fn restore_conversation(&self, actor: &Actor, id: Uuid) -> Result<ConversationView> {
        self.keep_conversation(actor, id, true, ConversationStep::Restore, ConversationAction::Restored).await
    }

    /// Hands an archived conversation back to its automations: takes it back from the archive and resumes them, in one batch.
    /// [`ErrorCode::Conflict`] where it is not archived.
    pub async fn hand_back_conversation(&self, actor: &Actor, id: Uuid) -> Result<ConversationView> {
        let tenant = actor.tenant()?;
        let conversation = self.own_conversation(tenant, id)?;
        if conversation.archived_at.is_none() {
            return Err(Error::new(ErrorCode::Conflict, "the conversation is not archived; archive it first"));
        }
        let mut steps = vec![ConversationStep::Restore];
        let mut events =
            vec![self.conversation_event(actor, &conversation, ConversationAction::Restored, String::new())];
        if conversation.handover.is_some() {
            steps.push(ConversationStep::Resume);
            events.push(self.conversation_event(actor, &conversation, ConversationAction::Resumed, String::new()));
        }
        let mut changes = vec![automation_change(AutomationChange::Conversation(tenant, id, steps))];
        changes.append(&mut events);
        self.ports().store.commit(Batch::of(changes)).await?;
        self.get_conversation(tenant, id)
    }

    /// Does a step in a conversation that is archived, or is not; in any other nothing is to be done.
    async fn keep_conversation(
        &self,
        actor: &Actor,
        id: Uuid,
        is_archived: bool,
        step: ConversationStep,
        action: ConversationAction,
    ) -> Result<ConversationView> {
        let tenant = actor.tenant()?;
        let conversation = self.own_conversation(tenant, id)?;
        if conversation.archived_at.is_some() == is_archived {
            let changes = vec![
                automation_change(AutomationChange::Conversation(tenant, id, vec![step])),
                self.conversation_event(actor, &conversation, action, String::new()),
            ];
            self.ports().store.commit(Batch::of(changes)).await?;
        }
        self.get_conversation(tenant, id)
    }

    /// Deletes a conversation with its history and what automations left in it. The messages that were sent stay in the lists of
    /// messages. The next message from or to its address opens a new conversation.
    pub async fn delete_conversation(&self, actor: &Actor, id: Uuid) -> Result<()> {
        let tenant = actor.tenant()?;
        let conversation = self.own_conversation(tenant, id)?;
        let changes = vec![
            Change::Chat(Box::new(ChatChange::Delete(tenant, id))),
            self.conversation_event(actor, &conversation, ConversationAction::Deleted, String::new()),
        ];
        self.ports().store.commit(Batch::of(changes)).await?;
        Ok(())
    }
}
