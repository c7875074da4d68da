//! Section Messages: lists, single messages, and a person's decisions about them.

pub(crate) mod sending;
pub(crate) mod templates;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::MetaSchema;
use poem_openapi::{Enum, Object, OpenApi};
use pombo_domain::commands::messages::list::{MAX_SEARCH_CHARS, MessageQuery};
use pombo_domain::commands::messages::transitions::{MessageView, RenderedMessage, Transition};
use pombo_domain::model;
use pombo_domain::model::message::{Reason, ReasonCode, Resolution};
use pombo_domain::model::{MessageOptions, Receipts};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::messages::wire::{MessageAct, MessageReceipts, MessageTarget};
use crate::wire::{
    BODY, CONFLICT, DEFAULT_LIMIT, Instant, MessageType, OptionalBody, PathId, READ, Refused, WRITE, WordOf, body,
};
use pombo_api::declared::{Param, ParamKind};
use pombo_api::error::Failure;
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Messages;

impl pombo_api::Section for Messages {
    const FILE: &'static str = file!();
}

/// Status of a message.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum MessageStatus {
    /// Ready in the queue.
    Pending,
    /// Scheduled, waiting for a retry, or held back by the connector's pace.
    Waiting,
    /// The connector is sending it.
    Processing,
    /// The channel accepted it.
    Sent,
    /// Given up.
    Failed,
    /// Canceled or rejected.
    Canceled,
    /// Waits for approval.
    PendingApproval,
    /// It may or may not have been sent: a person decides.
    Unknown,
}

impl From<model::Status> for MessageStatus {
    fn from(status: model::Status) -> Self {
        match status {
            model::Status::Pending => Self::Pending,
            model::Status::Waiting => Self::Waiting,
            model::Status::Processing => Self::Processing,
            model::Status::Sent => Self::Sent,
            model::Status::Failed => Self::Failed,
            model::Status::Canceled => Self::Canceled,
            model::Status::PendingApproval => Self::PendingApproval,
            model::Status::Unknown => Self::Unknown,
        }
    }
}

impl From<MessageStatus> for model::Status {
    fn from(status: MessageStatus) -> Self {
        match status {
            MessageStatus::Pending => Self::Pending,
            MessageStatus::Waiting => Self::Waiting,
            MessageStatus::Processing => Self::Processing,
            MessageStatus::Sent => Self::Sent,
            MessageStatus::Failed => Self::Failed,
            MessageStatus::Canceled => Self::Canceled,
            MessageStatus::PendingApproval => Self::PendingApproval,
            MessageStatus::Unknown => Self::Unknown,
        }
    }
}

/// The words of a search, as the list command takes them.
pub(crate) struct SearchWords;

impl ParamKind for SearchWords {
    type Value = String;

    fn schema() -> MetaSchema {
        MetaSchema {
            max_length: Some(MAX_SEARCH_CHARS),
            // A word of two characters at least.
            pattern: Some("\\S\\S".to_owned()),
            ..MetaSchema::new("string")
        }
    }
    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// Why a message has its status.
#[derive(Object)]
pub(crate) struct MessageReason {
    code: WordOf<ReasonCode>,
    /// The reason, for a person.
    detail: String,
}

impl From<Reason> for MessageReason {
    fn from(reason: Reason) -> Self {
        Self { code: reason.code.into(), detail: reason.detail }
    }
}

/// A file of a message.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct MessageFile {
    /// Id of the file.
    id: Uuid,
    /// Name of the file.
    file_name: String,
    /// MIME type of the file.
    content_type: String,
    /// Size in bytes.
    size: u64,
    /// URL that opens the file without a credential, for a limited time.
    url: String,
}

/// The text and subject that the recipient gets.
#[derive(Object)]
#[oai(rename = "RenderedMessage")]
pub(crate) struct Rendered {
    /// The text.
    message: String,
    /// The subject, if the message has its own.
    #[oai(skip_serializing_if_is_none)]
    subject: Option<String>,
}

impl From<RenderedMessage> for Rendered {
    fn from(rendered: RenderedMessage) -> Self {
        Self { message: rendered.text, subject: rendered.subject }
    }
}

/// A message, as it was posted, with its present state.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Message {
    /// Id of the message.
    id: Uuid,
    /// Id of the connector that sends it.
    connector_id: Uuid,
    /// Address of the recipient, normalised.
    to: String,
    /// The text as posted.
    message: String,
    /// The subject as posted.
    subject: Option<String>,
    /// What the recipient gets. Present only when a single message is requested and its template can be rendered.
    rendered: Option<Rendered>,
    /// Name of the contact.
    contact_name: Option<String>,
    /// Category of the message.
    message_type: MessageType,
    /// Priority, from 1 to 10, where 10 goes first.
    priority: u8,
    /// When to send it at the earliest.
    scheduled_at: Option<Instant>,
    /// Whether it had to be approved: its first status was then PENDING_APPROVAL.
    requires_approval: bool,
    /// Whether it goes ahead of the queue and bypasses the pace.
    force_direct: bool,
    /// Internal remark, never sent.
    notes: Option<String>,
    /// URL that receives every status change.
    webhook_url: Option<String>,
    /// Your own reference.
    external_id: Option<String>,
    /// Files that were posted with it.
    attachments: Vec<MessageFile>,
    /// URL of a file that the engine fetches before the first attempt.
    attachment_url: Option<String>,
    /// The file fetched from `attachmentUrl`.
    fetched_attachment: Option<MessageFile>,
    /// Template variables as posted.
    variables: Option<BTreeMap<String, Value>>,
    /// What it does to another message; absent for a message with content of its own.
    act: Option<MessageAct>,
    /// The message that it replies to.
    reply_to: Option<MessageTarget>,
    /// Addresses mentioned in the text.
    mentions: Option<Vec<String>>,
    /// Whether audio is sent as a voice note.
    voice_note: Option<bool>,
    /// What the channel reported after it was sent. Present only when a single message is requested.
    receipts: Option<MessageReceipts>,
    /// Status of the message.
    status: MessageStatus,
    /// Why it has this status.
    reason: Option<MessageReason>,
    /// Number of changes so far.
    revision: u32,
    /// Number of attempts begun.
    attempts: u16,
    /// When the next attempt may be made at the earliest.
    due_at: Instant,
    /// Until when the pace holds it back.
    held_until: Option<Instant>,
    /// The provider's id of the message.
    provider_id: Option<String>,
    /// When the engine accepted it.
    created_at: Instant,
    /// When it was last changed.
    updated_at: Instant,
    /// When the channel accepted it.
    sent_at: Option<Instant>,
}

impl Message {
    pub(crate) fn of(
        view: MessageView,
        rendered: Option<RenderedMessage>,
        receipts: Option<Receipts>,
        state: &ApiState,
    ) -> Self {
        let MessageView { stored: model::StoredMessage { message, state: now }, connector_id } = view;
        let at = state.commands.now();
        let file = |file: model::Attachment| MessageFile {
            url: state.media_links.url(message.key.tenant, &file, at),
            id: file.id,
            file_name: file.file_name,
            content_type: file.content_type,
            size: file.size,
        };
        let content = message.content;
        let MessageOptions { action, reply_to, mentions, voice_note } = content.options;
        Self {
            id: message.id,
            connector_id,
            to: content.to,
            message: content.text,
            subject: content.subject,
            rendered: rendered.map(Rendered::from),
            contact_name: content.contact_name,
            message_type: content.message_type.into(),
            priority: content.priority,
            scheduled_at: content.scheduled_at.map(Instant),
            requires_approval: content.requires_approval,
            force_direct: content.force_direct,
            notes: content.notes,
            webhook_url: content.webhook_url,
            external_id: content.external_id,
            attachments: content.attachments.into_iter().map(file).collect(),
            attachment_url: content.attachment_url,
            fetched_attachment: now.fetched.map(file),
            // Checked to be an object when it was posted.
            variables: content.variables.and_then(|variables| serde_json::from_str(&variables).ok()),
            act: MessageAct::of(action),
            reply_to: reply_to.map(MessageTarget::from),
            mentions: Some(mentions).filter(|mentions| !mentions.is_empty()),
            voice_note: voice_note.then_some(true),
            receipts: receipts.map(MessageReceipts::from),
            status: now.status.into(),
            reason: now.reason.map(MessageReason::from),
            revision: now.revision,
            attempts: now.attempts,
            due_at: Instant(now.due_at),
            held_until: now.hold_until.map(Instant),
            provider_id: now.provider_id,
            created_at: Instant(message.created_at),
            updated_at: Instant(now.updated_at),
            sent_at: now.sent_at.map(Instant),
        }
    }
}

/// A page of messages.
#[derive(Object)]
pub(crate) struct MessagePage {
    /// The messages, newest first.
    data: Vec<Message>,
    /// Position of the page in the list.
    meta: PageMeta,
}

/// Position of a page in its list.
#[derive(Object)]
pub(crate) struct PageMeta {
    /// Exact number of all matching messages.
    total: u64,
    /// Number of this page, from 1.
    page: u32,
    /// Maximum number of rows per page.
    limit: u32,
    /// Number of pages.
    pages: u64,
}

/// The reason for rejecting or canceling a message.
#[derive(Object, Deserialize, Default)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopMessage {
    /// Reason for people to read, at most 500 characters.
    #[oai(nullable, validator(max_length = 500, pattern = "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$"))]
    reason: Option<String>,
}

/// What happened to an UNKNOWN message.
#[derive(Enum, Deserialize, Clone, Copy)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It arrived.
    Sent,
    /// It did not arrive and is not to be sent again.
    Failed,
    /// It did not arrive and is to be sent again.
    Retry,
}

/// A person's decision about an UNKNOWN message.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolveMessage {
    /// What happened to it.
    outcome: Outcome,
}

type Changed = Result<Json<Message>, Refused<{ READ | WRITE | CONFLICT }>>;
type ChangedWithBody = Result<Json<Message>, Refused<{ READ | BODY | WRITE | CONFLICT }>>;

async fn change(
    state: &ApiState,
    acting: Acting,
    id: &PathId,
    transition: Transition,
) -> Result<Json<Message>, Failure> {
    let view = state.commands.change_message_status(acting.tenant, id.of("Message")?, transition).await?;
    Ok(Json(Message::of(view, None, None, state)))
}

#[OpenApi(tag = "Section::Messages")]
impl Messages {
    /// List messages, newest first
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/v1/messages", method = "get", operation_id = "list_messages")]
    async fn list_messages(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Only messages with this status.
        status: Query<Option<MessageStatus>>,
        /// Only messages of this connector.
        #[oai(name = "connectorId")]
        connector_id: Query<Option<Uuid>>,
        /// Only messages of this category.
        #[oai(name = "messageType")]
        message_type: Query<Option<MessageType>>,
        /// Only messages with exactly this reference.
        #[oai(name = "externalId")]
        external_id: Query<Option<String>>,
        /// Only messages that contain every word in recipient, contact name or text; case and accents are ignored. At most 200
        /// characters, with at least one word of 2 characters.
        search: Query<Option<Param<SearchWords>>>,
        /// Only messages created at this time or later.
        #[oai(name = "dateFrom")]
        date_from: Query<Option<Instant>>,
        /// Only messages created at this time or earlier.
        #[oai(name = "dateTo")]
        date_to: Query<Option<Instant>>,
        /// Number of the page, from 1; 1 if omitted.
        #[oai(validator(minimum(value = "1")))]
        page: Query<Option<u32>>,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<MessagePage>, Refused<READ>> {
        let (page, limit) = (page.unwrap_or(1), limit.unwrap_or(DEFAULT_LIMIT));
        let query = MessageQuery {
            status: status.0.map(model::Status::from),
            connector: connector_id.0,
            message_type: message_type.0.map(model::MessageType::from),
            external_id: external_id.0,
            search: search.0.map(|words| words.0),
            from: date_from.0.map(|at| at.0),
            to: date_to.0.map(|at| at.0),
            page,
            limit,
        };
        let listing = state.commands.list_messages(acting.tenant, query).await?;
        let row = |(stored, connector_id)| Message::of(MessageView { stored, connector_id }, None, None, &state);
        let meta = PageMeta { total: listing.total, page, limit, pages: listing.pages };
        Ok(Json(MessagePage { data: listing.rows.into_iter().map(row).collect(), meta }))
    }

    /// Get a message, with what its recipient gets and what the channel reported
    #[oai(path = "/v1/messages/:id", method = "get", operation_id = "get_message")]
    async fn get_message(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Message>, Refused<READ>> {
        let view = state.commands.get_message(acting.tenant, id.of("Message")?)?;
        let rendered = state.commands.render_message(&view.stored).await;
        let receipts = state.commands.message_receipts(&view.stored)?;
        Ok(Json(Message::of(view, rendered, Some(receipts), &state)))
    }

    /// Approve a PENDING_APPROVAL message
    #[oai(path = "/v1/messages/:id/approve", method = "post", operation_id = "approve_message")]
    async fn approve_message(&self, state: Data<&Arc<ApiState>>, acting: Acting, id: Path<PathId>) -> Changed {
        Ok(change(&state, acting, &id, Transition::Approve).await?)
    }

    /// Reject a PENDING_APPROVAL message
    #[oai(path = "/v1/messages/:id/reject", method = "post", operation_id = "reject_message")]
    async fn reject_message(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: OptionalBody<StopMessage>,
    ) -> ChangedWithBody {
        Ok(change(&state, acting, &id, Transition::Reject(json.value.reason)).await?)
    }

    /// Cancel a message that is not yet being sent
    #[oai(path = "/v1/messages/:id/cancel", method = "post", operation_id = "cancel_message")]
    async fn cancel_message(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: OptionalBody<StopMessage>,
    ) -> ChangedWithBody {
        Ok(change(&state, acting, &id, Transition::Cancel(json.value.reason)).await?)
    }

    /// Try a FAILED or CANCELED message again
    #[oai(path = "/v1/messages/:id/retry", method = "post", operation_id = "retry_message")]
    async fn retry_message(&self, state: Data<&Arc<ApiState>>, acting: Acting, id: Path<PathId>) -> Changed {
        Ok(change(&state, acting, &id, Transition::Retry).await?)
    }

    /// Decide what happened to an UNKNOWN message
    #[oai(path = "/v1/messages/:id/resolve", method = "post", operation_id = "resolve_message")]
    async fn resolve_message(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<ResolveMessage>,
    ) -> ChangedWithBody {
        let resolution = match body(&json)?.outcome {
            Outcome::Sent => Resolution::Sent,
            Outcome::Failed => Resolution::Failed,
            Outcome::Retry => Resolution::Retry,
        };
        Ok(change(&state, acting, &id, Transition::Resolve(resolution)).await?)
    }
}
