//! Events that a person or another program causes for one automation: starting it in a conversation, calling its webhook.

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::access::actor::Actor;
use crate::commands::connectors::offering::{checked_address, unindexed};
use crate::commands::plugins::catalog::automation_change;
use crate::model::{Automation, AutomationStatus, EventKind, TaskBody};
use crate::ports::{AutomationChange, Batch, NewTask};
use crate::{Error, Field, Result, TenantIndex};

/// Maximum size of the input of a start, in bytes of JSON.
pub const MAX_INPUT_BYTES: usize = 64 * 1024;
/// Maximum size of the body of a webhook call, in bytes.
pub const MAX_HOOK_BYTES: usize = 256 * 1024;
/// Maximum length of the media type that is kept.
const MAX_CONTENT_TYPE_BYTES: usize = 255;

/// An event that was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Id of the event.
    pub event: Uuid,
    /// The conversation in which it happens.
    pub conversation: Option<Uuid>,
}

impl Commands {
    /// Starts an automation in the conversation with `to`, which is opened if it does not exist.
    pub async fn start_automation(
        &self,
        actor: &Actor,
        id: Uuid,
        to: &str,
        is_group: bool,
        input: String,
    ) -> Result<Made> {
        if input.len() > MAX_INPUT_BYTES {
            return Err(Error::invalid(Field::Input, format!("must be at most {} KB of JSON", MAX_INPUT_BYTES / 1024)));
        }
        let automation = self.live_automation(actor.tenant()?, id)?;
        takes(&automation, EventKind::Started)?;
        let body = TaskBody::Started { automation: automation.index, input, by: actor.by.clone() };
        self.make_event(&automation, to, is_group, body).await
    }

    /// Calls an automation's webhook for the conversation with `to`.
    pub async fn call_hook(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        to: &str,
        content_type: &str,
        body: String,
    ) -> Result<Made> {
        let automation = self.live_automation(tenant, id).map_err(|_| Error::not_found("Webhook"))?;
        takes(&automation, EventKind::WebhookCalled)?;
        let content_type: String =
            content_type.chars().filter(|c| !c.is_control()).take(MAX_CONTENT_TYPE_BYTES).collect();
        let body = TaskBody::Webhook { automation: automation.index, content_type, body };
        self.make_event(&automation, to, false, body).await
    }

    async fn make_event(&self, automation: &Automation, to: &str, is_group: bool, body: TaskBody) -> Result<Made> {
        let offering = self.offering(automation.tenant, self.connector_id(automation.connector)?)?;
        let to = checked_address(Field::To, to)?;
        let chat = self.addresses(&offering, Field::To, vec![to]).await.map_err(|error| unindexed(error, Field::To))?;
        let chat = self.chat_of(&offering.connector, &chat.into_iter().next().unwrap_or_default())?;
        let store = &self.ports().store;
        let connector = offering.connector.index;
        let known = self.conversation_of(&offering.connector, &chat)?;
        let is_group = known.as_ref().map_or(is_group, |conversation| conversation.is_group);
        if is_group && !automation.groups {
            return Err(Error::conflict("this automation does not work in groups; see its field groups"));
        }
        let id = self.ports().entropy.uuid();
        let task = NewTask {
            tenant: automation.tenant,
            connector,
            chat: chat.clone(),
            is_group,
            contact_name: None,
            id,
            at: self.ports().clock.now(),
            body,
            with_event: false,
        };
        let change = automation_change(AutomationChange::Event(task));
        store.commit(Batch::of(vec![change])).await?;
        let conversation = store.conversation_with(connector, &chat)?.map(|conversation| conversation.id);
        Ok(Made { event: id, conversation })
    }
}

/// Refuses an event for which the automation would not be called.
fn takes(automation: &Automation, kind: EventKind) -> Result<()> {
    if automation.status != AutomationStatus::Active {
        return Err(Error::conflict("this automation is paused; set its status to ACTIVE first"));
    }
    if !automation.events.has(kind) {
        let kind = kind.as_str();
        return Err(Error::conflict(format!("this automation's plugin does not listen to {kind}")));
    }
    Ok(())
}
