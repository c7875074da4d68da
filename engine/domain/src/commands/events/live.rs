//! What is told to those who follow live names records by their numbers; here they become the ids that callers know.

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::conversations::ConversationView;
use crate::{AutomationIndex, ConnectorIndex, MessageKey, Result, TenantIndex};

/// A message of which something is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldMessage {
    /// Public id of the message.
    pub id: Uuid,
    /// Public id of its connector.
    pub connector: Uuid,
    /// Public id of its conversation, if there is one.
    pub conversation: Option<Uuid>,
}

/// An automation of which something is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldAutomation {
    /// Public id of the automation.
    pub id: Uuid,
    /// Public id of the connector in whose conversations it answers.
    pub connector: Uuid,
}

impl Commands {
    /// What a caller knows of a message; `None` if it is not there.
    pub fn told_message(&self, key: MessageKey) -> Result<Option<ToldMessage>> {
        let store = &self.ports().store;
        let Some(stored) = store.message(key)? else { return Ok(None) };
        let (id, content) = (stored.message.id, &stored.message.content);
        let Some(connector) = store.connector(content.connector)? else { return Ok(None) };
        let conversation = match store.timeline_item_by_id(key.tenant, id)? {
            Some(item) => store.conversation_by_number(key.tenant, item.conversation)?,
            // Before its first attempt it has no entry: it goes into the conversation with its address.
            None if self.converses(&connector.plugin) => self.conversation_of(&connector, &content.to)?,
            None => None,
        };
        let conversation = conversation.map(|conversation| conversation.id);
        Ok(Some(ToldMessage { id, connector: connector.id, conversation }))
    }

    /// What a caller knows of an automation; `None` if the tenant has no such automation. Deleted ones are still known.
    pub fn told_automation(&self, tenant: TenantIndex, index: AutomationIndex) -> Result<Option<ToldAutomation>> {
        let found = self.ports().store.automation(index)?.filter(|automation| automation.tenant == tenant);
        let Some(automation) = found else { return Ok(None) };
        Ok(Some(ToldAutomation { id: automation.id, connector: self.connector_id(automation.connector)? }))
    }

    /// The public id of a tenant's connector; `None` if it has no such connector. Deleted ones are still known.
    pub fn told_connector(&self, tenant: TenantIndex, index: ConnectorIndex) -> Result<Option<Uuid>> {
        let found = self.ports().store.connector(index)?.filter(|connector| connector.tenant == tenant);
        Ok(found.map(|connector| connector.id))
    }

    /// The conversation with an address on a tenant's connector; `None` if there is none.
    pub fn conversation_at(
        &self,
        tenant: TenantIndex,
        connector: ConnectorIndex,
        chat: &str,
    ) -> Result<Option<ConversationView>> {
        let found = self.ports().store.connector(connector)?.filter(|connector| connector.tenant == tenant);
        let Some(connector) = found else { return Ok(None) };
        self.conversation_of(&connector, chat)?.map(|found| self.conversation_view(found)).transpose()
    }

    /// Whether there may be conversations on a connector of this plugin.
    fn converses(&self, plugin: &str) -> bool {
        self.ports().connectors.plugin(plugin).is_some_and(|plugin| plugin.offers("inbound"))
    }
}
