//! The reply window of a conversation: until when anything may be written to its person, by the channel's own time of what that person
//! last wrote. Reads only.

use crate::commands::Commands;
use crate::model::{Connector, Conversation, Rules};
use crate::{ConnectorIndex, Error, Result, TenantIndex, Timestamp};

/// The reply window of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyWindow {
    /// When it closes, or closed; `None`: the person never wrote.
    pub until: Option<Timestamp>,
    /// Whether it is open now. Outside of it the channel takes only certain kinds of content.
    pub open: bool,
}

impl Commands {
    /// The reply window of the conversation with an address of a person; `None`: the channel has no window, or it is a group.
    pub fn reply_window(
        &self,
        tenant: TenantIndex,
        connector: ConnectorIndex,
        chat: &str,
    ) -> Result<Option<ReplyWindow>> {
        let found = self.ports().store.connector(connector)?.filter(|found| found.tenant == tenant);
        let connector = found.ok_or_else(|| Error::not_found("Connector"))?;
        let Some(rules) = self.rules_of(&connector) else { return Ok(None) };
        if rules.reply_window_ms.is_none() {
            return Ok(None);
        }
        let conversation = self.conversation_of(&connector, chat)?;
        Ok(self.window_of(&rules, conversation.as_ref()))
    }

    /// What the channel of a connector demands; `None`: nothing, or its plugin is not loaded.
    pub(crate) fn rules_of(&self, connector: &Connector) -> Option<Rules> {
        self.ports().connectors.plugin(&connector.plugin).and_then(|plugin| plugin.rules)
    }

    /// The reply window under these rules. Without a conversation, the person never wrote.
    pub(crate) fn window_of(&self, rules: &Rules, conversation: Option<&Conversation>) -> Option<ReplyWindow> {
        rules.reply_window_ms?;
        if conversation.is_some_and(|conversation| conversation.is_group) {
            return None;
        }
        let until = rules.window_until(conversation.and_then(|conversation| conversation.written_at));
        Some(ReplyWindow { until, open: until.is_some_and(|until| until > self.ports().clock.now()) })
    }

    /// Whether what is sent to an address now is sent outside of its reply window, by which it counts for the channel's audience. Without a
    /// window everything is, but what goes to a group.
    pub(crate) fn is_outside_window(
        &self,
        connector: &Connector,
        rules: Option<&Rules>,
        address: &str,
    ) -> Result<bool> {
        let conversation = self.conversation_of(connector, address)?;
        if conversation.as_ref().is_some_and(|conversation| conversation.is_group) {
            return Ok(false);
        }
        let window = rules.and_then(|rules| self.window_of(rules, conversation.as_ref()));
        Ok(window.is_none_or(|window| !window.open))
    }
}
