//! Events of automations, conversations and plugins as they are answered.

use poem_openapi::Object;
use serde_json::Value;
use uuid::Uuid;

/// What an automation told.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Emitted {
    /// The automation.
    pub(crate) automation_id: Uuid,
    /// The conversation.
    pub(crate) conversation_id: Uuid,
    /// What the automation calls it.
    pub(crate) kind: String,
    /// What it told.
    pub(crate) payload: Value,
}

/// Who answers a conversation.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ChangedConversation {
    /// The conversation.
    pub(crate) conversation_id: Uuid,
    /// Its address.
    pub(crate) chat: String,
    /// `paused`, `resumed`, `assigned`.
    pub(crate) step: String,
    /// `user:…`, `key:…`, `operator` or `automation:…`.
    pub(crate) by: String,
    /// Why, or who is in charge now.
    pub(crate) detail: String,
}

/// An event that an automation failed at.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Parked {
    /// The automation.
    pub(crate) automation_id: Uuid,
    /// The conversation.
    pub(crate) conversation_id: Uuid,
    /// What to replay or discard it by.
    pub(crate) parked_id: Uuid,
    /// `trap`, `timeout`, `processor`, `memory`, `error`, `unfit`.
    pub(crate) code: String,
    /// For a person.
    pub(crate) reason: String,
}

/// A change of a plugin.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct ChangedPlugin {
    /// Its name.
    pub(crate) plugin: String,
    /// `uploaded`, `granted`, `canary`, `activated`, `promoted`, `rolled-back`, `deleted` …
    pub(crate) step: String,
    /// The version.
    pub(crate) digest: Option<String>,
    /// For a person.
    pub(crate) detail: String,
}

impl Emitted {
    pub(crate) fn of(automation_id: Uuid, conversation_id: Uuid, kind: String, json: &str) -> Self {
        let payload = serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.to_owned()));
        Self { automation_id, conversation_id, kind, payload }
    }
}
