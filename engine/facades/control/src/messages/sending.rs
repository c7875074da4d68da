//! Section Sending: one message, and reactions, edits and deletions of messages. Each is queued and stored like any message, and
//! the answer is that message.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::commands::connectors::offering::TargetRef;
use pombo_domain::commands::messages::actions::{ActionOptions, ActionRequest};
use pombo_domain::commands::messages::send::{Draft, Idempotency};
use pombo_domain::commands::messages::transitions::MessageView;
use pombo_domain::{Error, Field, FieldProblem, TenantIndex, model};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::messages::Message;
use crate::wire::{BODY, CONFLICT, Created, Instant, MessageType, OptionalBody, PathId, READ, Refused, WRITE, body};
use pombo_api::declared::{KeyHeader, Param};
use pombo_api::error::Failure;
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Sending;

impl pombo_api::Section for Sending {
    const FILE: &'static str = file!();
}

pub(crate) type Queued = Result<Created<Message>, Refused<{ READ | BODY | WRITE | CONFLICT }>>;

/// Refers to a message by exactly one of `messageId`, `event` and `providerId`.
#[derive(Object, Deserialize, Clone)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MessageRef {
    /// Id of a message that was sent with this API.
    #[oai(nullable)]
    message_id: Option<Uuid>,
    /// For a received message: the `cursor` of its `message.received` event.
    #[oai(nullable, validator(minimum(value = "1")))]
    event: Option<u64>,
    /// For any message: the channel's own id, at most 255 characters.
    #[oai(nullable, validator(min_length = 1, max_length = 255, pattern = "^[!-~]+$"))]
    provider_id: Option<String>,
    /// With `providerId`: address of the message's author. If omitted, the connector's own account.
    #[oai(nullable, validator(min_length = 1, max_length = 320))]
    sender: Option<String>,
}

impl MessageRef {
    /// The message that this refers to; `field` names it in a refusal.
    pub(crate) fn named(self, field: &str) -> Result<TargetRef, Failure> {
        let Self { message_id, event, provider_id, sender } = self;
        if sender.is_some() && provider_id.is_none() {
            return Err(Error::invalid(format!("{field}.sender"), "is allowed only together with providerId").into());
        }
        match (message_id, event, provider_id) {
            (Some(id), None, None) => Ok(TargetRef::Message(id)),
            (None, Some(cursor), None) => Ok(TargetRef::Event(cursor)),
            (None, None, Some(id)) => Ok(TargetRef::Provider { id, sender }),
            _ => {
                Err(Error::invalid(field, "must name the message by exactly one of messageId, event and providerId")
                    .into())
            }
        }
    }
}

/// A file that was uploaded before.
#[derive(Object, Deserialize, Clone)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AttachedFile {
    /// The `id` that the upload returned.
    id: Uuid,
    /// Name that the recipient sees, from 1 to 255 characters; the uploaded name if omitted.
    #[oai(nullable, validator(min_length = 1, max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f/\\\\]+$"))]
    file_name: Option<String>,
    /// MIME type; it decides whether the file is sent as a picture, video, audio or document.
    #[oai(nullable, validator(max_length = 127, pattern = "^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$"))]
    content_type: Option<String>,
}

/// A message to send.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SendMessage {
    /// Address of the recipient, in the form that the connector's channel uses; for a group, the group's `id`. At most 320
    /// characters.
    #[oai(validator(min_length = 1, max_length = 320))]
    pub(crate) to: String,
    /// Text of at most 64 KB, with the markup of messaging apps and templates. Required unless there is a file.
    #[oai(nullable)]
    pub(crate) text: Option<String>,
    /// Subject of at most 500 characters, for channels that have one.
    #[oai(nullable, validator(max_length = 500))]
    pub(crate) subject: Option<String>,
    /// Name of the recipient, at most 255 characters; stored with the contact.
    #[oai(nullable, validator(max_length = 255))]
    pub(crate) contact_name: Option<String>,
    /// Category; GERAL if omitted.
    #[oai(nullable)]
    pub(crate) message_type: Option<MessageType>,
    /// Addresses that the text mentions as `@address`; at most 100.
    #[oai(default, validator(max_items = 100))]
    #[serde(default)]
    pub(crate) mentions: Vec<String>,
    /// The message to reply to.
    #[oai(nullable)]
    pub(crate) reply_to: Option<MessageRef>,
    /// Whether audio is sent as a voice note.
    #[oai(default)]
    #[serde(default)]
    pub(crate) voice_note: bool,
    /// Uploaded files, at most 10.
    #[oai(default, validator(max_items = 10))]
    #[serde(default)]
    pub(crate) attachments: Vec<AttachedFile>,
    /// URL of a file that the engine fetches once, before the first attempt; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    pub(crate) attachment_url: Option<String>,
    /// Priority, from 1 to 10, where 10 goes first; 5 if omitted.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "10")))]
    pub(crate) priority: Option<u8>,
    /// When to send it at the earliest, at most 366 days ahead; at once if omitted.
    #[oai(nullable)]
    pub(crate) scheduled_at: Option<Instant>,
    /// Whether it waits for approval.
    #[oai(default)]
    #[serde(default)]
    pub(crate) requires_approval: bool,
    /// Whether it goes ahead of the queue and bypasses the pace.
    #[oai(default)]
    #[serde(default)]
    pub(crate) force_direct: bool,
    /// Internal remark of at most 4000 characters, never sent.
    #[oai(nullable, validator(max_length = 4000))]
    pub(crate) notes: Option<String>,
    /// URL that receives every status change of the message; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    pub(crate) webhook_url: Option<String>,
    /// Your own reference, at most 255 characters.
    #[oai(nullable, validator(max_length = 255))]
    pub(crate) external_id: Option<String>,
    /// Values for the template: texts, numbers, true and false; at most 64 KB of JSON.
    #[oai(default)]
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, Value>,
    /// Whether to send it even while an automation is active in the conversation. Otherwise the request is then refused with the
    /// code `AUTOMATION_ACTIVE`: pause the conversation first.
    #[oai(default)]
    #[serde(default)]
    pub(crate) during_automation: bool,
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

/// The key of a request to `operation` on the thing `id`.
pub(crate) fn idempotency(
    operation: &str,
    key: KeyHeader,
    id: Uuid,
    body: &[u8],
) -> Result<Option<Idempotency>, Failure> {
    let Some(Param(key)) = key.0 else { return Ok(None) };
    let request = Sha256::new().chain_update(id.as_bytes()).chain_update(body).finalize().into();
    Ok(Some(Idempotency::new(operation, &key, request)?))
}

/// The uploaded files, each with its size on disk.
async fn attached(
    state: &ApiState,
    tenant: TenantIndex,
    files: Vec<AttachedFile>,
) -> Result<Vec<model::Attachment>, Failure> {
    let mut attachments = Vec::with_capacity(files.len());
    let mut problems = Vec::new();
    for (i, file) in files.into_iter().enumerate() {
        let mut problem = |part: &str, message: &str| {
            problems.push(FieldProblem::new(Field::Attachments.at(i).named(part), message));
        };
        let file_name = file.file_name.unwrap_or_else(|| file.id.to_string());
        let bad = |c: char| c.is_control() || matches!(c, '/' | '\\');
        if file_name.is_empty() || file_name.chars().count() > 255 || file_name.contains(bad) {
            problem("fileName", "must have 1 to 255 characters, without control characters and slashes");
        }
        let content_type = file.content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
        if !is_mime(&content_type) {
            problem("contentType", "must be a MIME type such as image/png");
        }
        match tokio::fs::metadata(state.commands.media().path(tenant, file.id)).await {
            Ok(found) => {
                attachments.push(model::Attachment { id: file.id, file_name, content_type, size: found.len() })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                problem("id", "is not a file of this tenant; upload it first");
            }
            Err(error) => return Err(Failure::internal(format!("looking for a media file: {error}"))),
        }
    }
    if problems.is_empty() { Ok(attachments) } else { Err(Error::invalid_fields(problems).into()) }
}

fn is_mime(text: &str) -> bool {
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b));
    text.len() <= 127 && text.split_once('/').is_some_and(|(kind, of)| token(kind) && token(of))
}

/// Variables are scalars; a list or an object has no place in a text.
fn scalars(variables: &BTreeMap<String, Value>) -> Result<(), Failure> {
    let problems: Vec<FieldProblem> = variables
        .iter()
        .filter(|(_, value)| value.is_array() || value.is_object() || value.is_null())
        .map(|(name, _)| {
            let name: String = name.chars().take(60).collect();
            FieldProblem::new(Field::Variables.named(name), "must be a text, a number, true or false")
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid_fields(problems).into()) }
}

fn queued(state: &ApiState, connector_id: Uuid, stored: model::StoredMessage) -> Created<Message> {
    Created::Made(Json(Message::of(MessageView { stored, connector_id }, None, None, state)))
}

/// Queues a message.
pub(crate) async fn send_to(
    state: &ApiState,
    tenant: TenantIndex,
    connector: Uuid,
    request: SendMessage,
    key: Option<Idempotency>,
) -> Result<Created<Message>, Failure> {
    scalars(&request.variables)?;
    let attachments = attached(state, tenant, request.attachments).await?;
    let reply_to = request.reply_to.map(|reference| reference.named("replyTo")).transpose()?;
    let commands = &state.commands;
    let options = commands.message_options(tenant, connector, reply_to, request.mentions, request.voice_note).await?;
    let draft = Draft {
        connector: Some(connector),
        to: Some(Cow::Owned(request.to)),
        text: request.text.map(Cow::Owned),
        wordless: true,
        subject: request.subject.map(Cow::Owned),
        contact_name: request.contact_name.map(Cow::Owned),
        message_type: request.message_type.map(model::MessageType::from).unwrap_or_default(),
        priority: request.priority,
        scheduled_at: request.scheduled_at.map(|at| at.0),
        requires_approval: request.requires_approval,
        force_direct: request.force_direct,
        notes: request.notes.map(Cow::Owned),
        webhook_url: request.webhook_url.map(Cow::Owned),
        external_id: request.external_id.map(Cow::Owned),
        attachments,
        attachment_url: request.attachment_url.map(Cow::Owned),
        variables: model::Variables::of(request.variables.into_iter().collect()),
        options,
        manual: !request.during_automation,
        problems: Vec::new(),
    };
    let stored = commands.send(tenant, &draft, key).await?;
    Ok(queued(state, connector, stored))
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
        Ok(send_to(&state, acting.tenant, connector, request, key).await?)
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
        json: OptionalBody<RevokeMessage>,
    ) -> Queued {
        let id = id.of("Message")?;
        let RevokeMessage { force_direct, webhook_url, external_id } = json.value;
        let key = idempotency("control.revoke_message", key, id, &json.bytes)?;
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
