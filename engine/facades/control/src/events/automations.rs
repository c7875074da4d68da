//! Wire types of the events of automations, conversations and plugins.

use poem_openapi::Object;
use pombo_domain::model::FailureCode;
use pombo_domain::model::conversation::ConversationAction;
use pombo_domain::model::plugin::AuditAction;
use serde_json::Value;
use uuid::Uuid;

use crate::wire::WordOf;
use crate::wire::conversation::Conversation;

/// An event that an automation emitted.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Emitted {
    /// Id of the automation.
    pub(crate) automation_id: Uuid,
    /// Id of the conversation.
    pub(crate) conversation_id: Uuid,
    /// Kind that the automation gave the event.
    pub(crate) kind: String,
    /// Data of the event, any JSON.
    pub(crate) payload: Value,
}

/// A conversation that was opened or changed.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ChangedConversation {
    /// Id of the conversation.
    pub(crate) conversation_id: Uuid,
    /// Address of the conversation.
    pub(crate) chat: String,
    pub(crate) step: WordOf<ConversationAction>,
    /// Who did it: `user:…`, `key:…`, `operator` or `automation:…`; `channel` for what happened on the channel, `engine` for what
    /// follows from something else.
    pub(crate) by: String,
    /// The reason, the new assignee, or the new tags, separated by commas.
    pub(crate) detail: String,
    /// The conversation as it is when the event is read; absent if it was deleted since.
    #[oai(skip_serializing_if_is_none)]
    pub(crate) conversation: Option<Conversation>,
}

/// An event that an automation failed to handle.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Parked {
    /// Id of the automation.
    pub(crate) automation_id: Uuid,
    /// Id of the conversation.
    pub(crate) conversation_id: Uuid,
    /// Id by which the parked event is replayed or discarded.
    pub(crate) parked_id: Uuid,
    pub(crate) code: WordOf<FailureCode>,
    /// Why it failed, for a person.
    pub(crate) reason: String,
}

/// A change of a plugin or its versions.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct ChangedPlugin {
    /// Name of the plugin.
    pub(crate) plugin: String,
    pub(crate) step: WordOf<AuditAction>,
    /// SHA-256 of the version's component.
    pub(crate) digest: Option<String>,
    /// Details, for a person.
    pub(crate) detail: String,
}

impl Emitted {
    pub(crate) fn of(automation_id: Uuid, conversation_id: Uuid, kind: String, json: &str) -> Self {
        let payload = serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.to_owned()));
        Self { automation_id, conversation_id, kind, payload }
    }
}
