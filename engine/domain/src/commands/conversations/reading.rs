//! Marking conversations as read. It counts at once and is durable; the channel is told of the newest messages that nobody had read. What
//! it could not be told, because there was no connection, it is told when there is one again.

use uuid::Uuid;

use super::ConversationView;
use crate::commands::Commands;
use crate::commands::access::actor::Actor;
use crate::commands::connectors::operations::MAX_READ;
use crate::commands::plugins::catalog::automation_change;
use crate::model::message::Target;
use crate::model::{Conversation, ConversationAction, ConversationStep, TimelineItem};
use crate::ports::{AutomationChange, Batch, Connectors, Operation, OperationError, Store, StoreResult};
use crate::{ConnectorIndex, Result};

/// The feature of a plugin that can tell its channel what was read.
const FEATURE: &str = "read-receipts";

/// Tells the channel what was read in a conversation, if that is still to be done. Returns false if it is still to be done afterwards.
pub async fn tell_read(
    store: &dyn Store,
    connectors: &dyn Connectors,
    conversation: &Conversation,
) -> StoreResult<bool> {
    if !conversation.is_untold() {
        return Ok(true);
    }
    let entries = store.read_untold(conversation, MAX_READ)?;
    if !entries.is_empty() {
        let operation = Operation::Read { chat: conversation.chat.clone(), messages: targets(entries) };
        match connectors.operate(conversation.connector, operation).await {
            Ok(_) => {}
            // It would be refused again whenever it is tried.
            Err(OperationError::Unsupported(_) | OperationError::Invalid(_) | OperationError::NotFound(_)) => {}
            Err(_) => return Ok(false),
        }
    }
    let told = vec![ConversationStep::ReadTold(conversation.read_to)];
    let change = AutomationChange::Conversation(conversation.tenant, conversation.id, told);
    store.commit(Batch::of(vec![automation_change(change)])).await?;
    Ok(true)
}

fn targets(entries: Vec<TimelineItem>) -> Vec<Target> {
    let target = |item: TimelineItem| {
        let sender = item.entry.sender;
        item.entry.provider_id.map(|provider_id| Target { provider_id, sender, text: None })
    };
    entries.into_iter().filter_map(target).collect()
}

impl Commands {
    /// Marks what was received in a conversation as read, up to the entry with the number `up_to`, or all of it. The channel is told, if
    /// `tell` and if its plugin can; where it has no connection now, that is no failure.
    pub async fn read_conversation(
        &self,
        actor: &Actor,
        id: Uuid,
        up_to: Option<u64>,
        tell: bool,
    ) -> Result<ConversationView> {
        let tenant = actor.tenant()?;
        let conversation = self.own_conversation(tenant, id)?;
        if conversation.unread() > 0 {
            let tell = tell && self.tells_read(conversation.connector)?;
            let step = ConversationStep::Read { up_to: up_to.unwrap_or(u64::MAX), tell };
            let changes = vec![
                automation_change(AutomationChange::Conversation(tenant, id, vec![step])),
                self.conversation_event(actor, &conversation, ConversationAction::Read, String::new()),
            ];
            self.ports().store.commit(Batch::of(changes)).await?;
        }
        let conversation = self.own_conversation(tenant, id)?;
        if tell {
            tell_read(&*self.ports().store, &*self.ports().connectors, &conversation).await?;
        }
        self.get_conversation(tenant, id)
    }

    /// Marks a conversation as unread: its newest received message is to be read again. The channel is not told.
    pub async fn unread_conversation(&self, actor: &Actor, id: Uuid) -> Result<ConversationView> {
        let tenant = actor.tenant()?;
        let conversation = self.own_conversation(tenant, id)?;
        if conversation.clone().apply(&ConversationStep::Unread) {
            let changes = vec![
                automation_change(AutomationChange::Conversation(tenant, id, vec![ConversationStep::Unread])),
                self.conversation_event(actor, &conversation, ConversationAction::Unread, String::new()),
            ];
            self.ports().store.commit(Batch::of(changes)).await?;
        }
        self.get_conversation(tenant, id)
    }

    fn tells_read(&self, connector: ConnectorIndex) -> Result<bool> {
        let Some(connector) = self.ports().store.connector(connector)? else { return Ok(false) };
        let plugin = self.ports().connectors.plugin(&connector.plugin);
        Ok(plugin.is_some_and(|plugin| plugin.offers(FEATURE)))
    }
}
