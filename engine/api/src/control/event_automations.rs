//! Events of automations, conversations and plugins as they are answered.

use poem_openapi::Object;
use serde_json::Value;
use uuid::Uuid;

/// What an automation told.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(super) struct Emitted {
    /// The automation.
    pub(super) automation_id: Uuid,
    /// The conversation.
    pub(super) conversation_id: Uuid,
    /// What the automation calls it.
    pub(super) kind: String,
    /// What it told.
    pub(super) payload: Value,
}

/// Who answers a conversation.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(super) struct ChangedConversation {
    /// The conversation.
    pub(super) conversation_id: Uuid,
    /// Its address.
    pub(super) chat: String,
    /// `paused`, `resumed`, `assigned`.
    pub(super) step: String,
    /// `user:…`, `key:…`, `operator` or `automation:…`.
    pub(super) by: String,
    /// Why, or who is in charge now.
    pub(super) detail: String,
}

/// An event that an automation failed at.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(super) struct Parked {
    /// The automation.
    pub(super) automation_id: Uuid,
    /// The conversation.
    pub(super) conversation_id: Uuid,
    /// What to replay or discard it by.
    pub(super) parked_id: Uuid,
    /// `trap`, `timeout`, `processor`, `memory`, `error`, `unfit`.
    pub(super) code: String,
    /// For a person.
    pub(super) reason: String,
}

/// A change of a plugin.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct ChangedPlugin {
    /// Its name.
    pub(super) plugin: String,
    /// `uploaded`, `granted`, `canary`, `activated`, `promoted`, `rolled-back`, `deleted` …
    pub(super) step: String,
    /// The version.
    pub(super) digest: Option<String>,
    /// For a person.
    pub(super) detail: String,
}

impl Emitted {
    pub(super) fn of(automation_id: Uuid, conversation_id: Uuid, kind: String, json: &str) -> Self {
        let payload = serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.to_owned()));
        Self { automation_id, conversation_id, kind, payload }
    }
}
