//! Wire types of a message: its state, and the parts that only some channels have, such as the message that it refers to and what
//! was reported after it was sent.

use std::collections::BTreeMap;

use poem_openapi::{Enum, Object};
use pombo_domain::commands::messages::transitions::{MessageView, RenderedMessage};
use pombo_domain::commands::messages::why;
use pombo_domain::model;
use pombo_domain::model::message::{MessageAction, Target};
use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::model::{MessageOptions, Reached, Receipts};
use serde_json::Value;
use uuid::Uuid;

use crate::wire::hearing::NotSeen;
use crate::wire::send::OwnContent;
use crate::wire::{Instant, MessageType, WordOf};
use pombo_api::options::ApiState;

/// What a message does to another one.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum ActKind {
    /// Adds an emoji; an empty one removes the reaction.
    React,
    /// Gives it a new text.
    Edit,
    /// Deletes it for everyone.
    Revoke,
}

/// A message of the conversation, as the channel identifies it.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct MessageTarget {
    /// The channel's id of the message.
    provider_id: String,
    /// Address of its author; absent for the connector's own account.
    #[oai(skip_serializing_if_is_none)]
    sender: Option<String>,
}

impl From<Target> for MessageTarget {
    fn from(target: Target) -> Self {
        Self { provider_id: target.provider_id, sender: target.sender }
    }
}

/// What a message does to another one.
#[derive(Object)]
pub(crate) struct MessageAct {
    /// Kind of action.
    kind: ActKind,
    /// The other message.
    message: MessageTarget,
}

impl MessageAct {
    /// `None` for a message that says something new.
    pub(crate) fn of(action: MessageAction) -> Option<Self> {
        let (kind, target) = match action {
            MessageAction::Say | MessageAction::Other(_) => return None,
            MessageAction::React(target) => (ActKind::React, target),
            MessageAction::Edit(target) => (ActKind::Edit, target),
            MessageAction::Revoke(target) => (ActKind::Revoke, target),
        };
        Some(Self { kind, message: target.into() })
    }
}

/// A report that the channel could not deliver a message.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct NotDelivered {
    /// When the channel reported it.
    at: Instant,
    /// Why it could not be delivered.
    reason: String,
    /// The channel's own code, if it gave one.
    #[oai(skip_serializing_if_is_none)]
    channel_code: Option<String>,
}

impl From<model::NotDelivered> for NotDelivered {
    fn from(failed: model::NotDelivered) -> Self {
        Self { at: Instant(failed.at), reason: failed.why, channel_code: failed.code }
    }
}

/// What was reported for one member of a group.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct MemberReceipt {
    /// Address of the member.
    address: String,
    /// When it reached a device of the member.
    delivered_at: Option<Instant>,
    /// When it was shown to the member.
    read_at: Option<Instant>,
    /// When the member played it.
    played_at: Option<Instant>,
}

/// What the channel reported about a message after it was sent.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct MessageReceipts {
    /// When it first reached a device of a recipient.
    delivered_at: Option<Instant>,
    /// When it was first shown to a recipient.
    read_at: Option<Instant>,
    /// When a recipient first played it.
    played_at: Option<Instant>,
    /// The report that it could not be delivered.
    failed: Option<NotDelivered>,
    /// In a group, the reports for each member.
    members: Vec<MemberReceipt>,
    /// Set if it was not delivered although it was accepted longer ago than the connector's other messages took. It is computed when it is
    /// asked for. Present only when a single message is requested.
    not_seen: Option<NotSeen>,
}

impl From<Receipts> for MessageReceipts {
    fn from(receipts: Receipts) -> Self {
        let Reached { delivered_at, read_at, played_at } = receipts.first;
        let member = |(address, reached): (String, Reached)| MemberReceipt {
            address,
            delivered_at: reached.delivered_at.map(Instant),
            read_at: reached.read_at.map(Instant),
            played_at: reached.played_at.map(Instant),
        };
        Self {
            delivered_at: delivered_at.map(Instant),
            read_at: read_at.map(Instant),
            played_at: played_at.map(Instant),
            failed: receipts.failed.map(NotDelivered::from),
            members: receipts.members.into_iter().map(member).collect(),
            not_seen: None,
        }
    }
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

/// Why a message has its status.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct MessageReason {
    code: WordOf<ReasonCode>,
    /// The reason, for a person.
    detail: String,
    /// The channel's own code, if it gave one.
    #[oai(skip_serializing_if_is_none)]
    channel_code: Option<String>,
}

impl From<Reason> for MessageReason {
    fn from(reason: Reason) -> Self {
        Self { code: reason.code.into(), detail: reason.detail, channel_code: reason.channel_code }
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
    /// Content that only the connector's plugin knows; `message` is then what people read of it.
    content: Option<OwnContent>,
    /// The tenant's number for the template that it was made from.
    template_number: Option<u32>,
    /// The tenant's number for the campaign that it is a row of.
    campaign_number: Option<u32>,
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
        let MessageOptions { action, reply_to, mentions, voice_note, template, campaign, .. } = content.options;
        let (act, own) = match action {
            MessageAction::Other(own) => (None, Some(OwnContent::of(own))),
            action => (MessageAct::of(action), None),
        };
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
            content: own,
            template_number: template,
            campaign_number: campaign,
            act,
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

    /// With whether it is accepted and not seen, where its receipts are shown.
    pub(crate) fn with_not_seen(mut self, not_seen: Option<why::NotSeen>) -> Self {
        if let Some(receipts) = &mut self.receipts {
            receipts.not_seen = not_seen.map(NotSeen::from);
        }
        self
    }
}
