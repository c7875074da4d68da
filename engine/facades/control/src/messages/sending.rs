//! Section Sending: one message, and reactions, edits and deletions of messages. Each is queued and stored like any message, and
//! the answer is that message.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use pombo_domain::TenantIndex;
use pombo_domain::commands::messages::actions::{ActionOptions, ActionRequest};
use pombo_domain::commands::messages::send::Idempotency;
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::queueing::{Queued, idempotency, queued, send_to};
use crate::wire::message::Message;
use crate::wire::send::{MessageRef, SendMessage};
use crate::wire::{Created, PathId, body, optional};
use pombo_api::declared::KeyHeader;
use pombo_api::error::Failure;
use pombo_api::json::{JsonBytes, OptionalJsonBytes};
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Sending;

impl pombo_api::Section for Sending {
    const FILE: &'static str = file!();
}

/// A reaction to a message that was sent with this API.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct React {
    /// One emoji; an empty text removes the reaction.
    #[oai(validator(max_length = 16))]
    emoji: String,
    /// Whether it goes ahead of the queue and bypasses the pace.
    #[oai(default)]
    #[serde(default)]
    force_direct: bool,
    /// URL that receives every status change of the reaction; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    webhook_url: Option<String>,
    /// Your own reference, at most 255 characters.
    #[oai(nullable, validator(max_length = 255))]
    external_id: Option<String>,
}

/// A new text for a message that was sent with this API.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EditMessage {
    /// The new text, at most 64 KB; templates are allowed.
    #[oai(validator(min_length = 1))]
    text: String,
    /// Whether it goes ahead of the queue and bypasses the pace.
    #[oai(default)]
    #[serde(default)]
    force_direct: bool,
    /// URL that receives every status change of the edit; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    webhook_url: Option<String>,
    /// Your own reference, at most 255 characters.
    #[oai(nullable, validator(max_length = 255))]
    external_id: Option<String>,
}

/// Options of a deletion.
#[derive(Object, Deserialize, Default)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RevokeMessage {
    /// Whether it goes ahead of the queue and bypasses the pace.
    #[oai(default)]
    #[serde(default)]
    force_direct: bool,
    /// URL that receives every status change of the deletion; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    webhook_url: Option<String>,
    /// Your own reference, at most 255 characters.
    #[oai(nullable, validator(max_length = 255))]
    external_id: Option<String>,
}

/// A reaction to any message of a conversation.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReactInChat {
    /// One emoji; an empty text removes the reaction.
    #[oai(validator(max_length = 16))]
    emoji: String,
    /// The message to react to.
    message: MessageRef,
    /// The message's conversation: address of a contact or group. Required with `providerId`.
    #[oai(nullable, validator(min_length = 1, max_length = 320))]
    chat: Option<String>,
    /// Whether it goes ahead of the queue and bypasses the pace.
    #[oai(default)]
    #[serde(default)]
    force_direct: bool,
    /// URL that receives every status change of the reaction; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    webhook_url: Option<String>,
    /// Your own reference, at most 255 characters.
    #[oai(nullable, validator(max_length = 255))]
    external_id: Option<String>,
}

/// A deletion, for everyone, of any message of a conversation: a message of another member in a group that the account
/// administers, or one that the account sent from another device.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RevokeInChat {
    /// The message to delete.
    message: MessageRef,
    /// The message's conversation: address of a contact or group. Required with `providerId`.
    #[oai(nullable, validator(min_length = 1, max_length = 320))]
    chat: Option<String>,
    /// Whether it goes ahead of the queue and bypasses the pace.
    #[oai(default)]
    #[serde(default)]
    force_direct: bool,
    /// URL that receives every status change of the deletion; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    webhook_url: Option<String>,
    /// Your own reference, at most 255 characters.
    #[oai(nullable, validator(max_length = 255))]
    external_id: Option<String>,
}

/// Queues an action on a message that was sent with this API.
async fn act_on(
    state: &ApiState,
    tenant: TenantIndex,
    id: Uuid,
    request: ActionRequest,
    options: ActionOptions,
    key: Option<Idempotency>,
) -> Result<Created<Message>, Failure> {
    let commands = &state.commands;
    let stored = commands.act_on_message(tenant, id, request, options, key).await?;
    let connector_id = commands.get_message(tenant, id)?.connector_id;
    Ok(queued(state, connector_id, stored))
}

#[OpenApi(tag = "Section::Sending")]
impl Sending {
    /// Send a message
    ///
    /// Answers as soon as the message is stored. Features that the connector's plugin does not declare (`reply`, `mentions`,
    /// `voice-notes`) are refused with the code `unsupported`. A message into a conversation in which an automation is active is
    /// refused with the code `AUTOMATION_ACTIVE` and its `conversationId`. With an `Idempotency-Key`, a repeated request returns
    /// the same message for a day.
    #[oai(path = "/v1/connectors/:id/messages", method = "post", operation_id = "send_message")]
    async fn send_message(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        /// Key of at most 255 characters that makes it safe to repeat the request.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        json: JsonBytes<SendMessage>,
    ) -> Queued {
        let connector = id.of("Connector")?;
        let request: SendMessage = body(&json)?;
        let key = idempotency("control.send_message", key, connector, &json.bytes)?;
        let tenant = acting.tenant;
        Ok(send_to(&state, tenant, connector, request, key, Some(acting.actor().by)).await?)
    }

    /// React to a message that was sent with this API
    ///
    /// The reaction is a separate message in the connector's queue.
    #[oai(path = "/v1/messages/:id/reactions", method = "post", operation_id = "react_to_message")]
    async fn react_to_message(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        /// Key of at most 255 characters that makes it safe to repeat the request.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        json: JsonBytes<React>,
    ) -> Queued {
        let id = id.of("Message")?;
        let React { emoji, force_direct, webhook_url, external_id } = body(&json)?;
        let key = idempotency("control.react_to_message", key, id, &json.bytes)?;
        let options = ActionOptions { force_direct, webhook_url, external_id };
        Ok(act_on(&state, acting.tenant, id, ActionRequest::React(emoji), options, key).await?)
    }

    /// Edit a message that was sent with this API
    ///
    /// The edit is a separate message in the connector's queue.
    #[oai(path = "/v1/messages/:id/edit", method = "post", operation_id = "edit_message")]
    async fn edit_message(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        /// Key of at most 255 characters that makes it safe to repeat the request.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        json: JsonBytes<EditMessage>,
    ) -> Queued {
        let id = id.of("Message")?;
        let EditMessage { text, force_direct, webhook_url, external_id } = body(&json)?;
        let key = idempotency("control.edit_message", key, id, &json.bytes)?;
        let options = ActionOptions { force_direct, webhook_url, external_id };
        Ok(act_on(&state, acting.tenant, id, ActionRequest::Edit(text), options, key).await?)
    }

    /// Delete a message that was sent with this API, for everyone
    ///
    /// The deletion is a separate message in the connector's queue.
    #[oai(path = "/v1/messages/:id/revoke", method = "post", operation_id = "revoke_message")]
    async fn revoke_message(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        /// Key of at most 255 characters that makes it safe to repeat the request.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        json: OptionalJsonBytes<RevokeMessage>,
    ) -> Queued {
        let id = id.of("Message")?;
        let RevokeMessage { force_direct, webhook_url, external_id } = optional(&json)?;
        let key = idempotency("control.revoke_message", key, id, json.bytes_or_empty_object())?;
        let options = ActionOptions { force_direct, webhook_url, external_id };
        Ok(act_on(&state, acting.tenant, id, ActionRequest::Revoke, options, key).await?)
    }

    /// React to any message of a conversation
    ///
    /// For received messages. The reaction is a separate message in the connector's queue.
    #[oai(path = "/v1/connectors/:id/reactions", method = "post", operation_id = "react_in_chat")]
    async fn react_in_chat(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        /// Key of at most 255 characters that makes it safe to repeat the request.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        json: JsonBytes<ReactInChat>,
    ) -> Queued {
        let connector = id.of("Connector")?;
        let ReactInChat { emoji, message, chat, force_direct, webhook_url, external_id } = body(&json)?;
        let key = idempotency("control.react_in_chat", key, connector, &json.bytes)?;
        let options = ActionOptions { force_direct, webhook_url, external_id };
        let target = message.named("message")?;
        let request = ActionRequest::React(emoji);
        let stored = state.commands.act_in_chat(acting.tenant, connector, chat, target, request, options, key).await?;
        Ok(queued(&state, connector, stored))
    }

    /// Delete any message of a conversation, for everyone
    ///
    /// The channel decides which messages may be deleted. The deletion is a separate message in the connector's queue.
    #[oai(path = "/v1/connectors/:id/revoke", method = "post", operation_id = "revoke_in_chat")]
    async fn revoke_in_chat(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        /// Key of at most 255 characters that makes it safe to repeat the request.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        json: JsonBytes<RevokeInChat>,
    ) -> Queued {
        let connector = id.of("Connector")?;
        let RevokeInChat { message, chat, force_direct, webhook_url, external_id } = body(&json)?;
        let key = idempotency("control.revoke_in_chat", key, connector, &json.bytes)?;
        let options = ActionOptions { force_direct, webhook_url, external_id };
        let target = message.named("message")?;
        let commands = &state.commands;
        let stored =
            commands.act_in_chat(acting.tenant, connector, chat, target, ActionRequest::Revoke, options, key).await?;
        Ok(queued(&state, connector, stored))
    }
}
