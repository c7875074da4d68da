//! Wire types of conversations, and of a message into one.

use std::collections::BTreeMap;

use poem_openapi::{Enum, Object};
use pombo_domain::commands::conversations::{self, ConversationDetail, ConversationView};
use pombo_domain::model::{self, EntryKind, EventTask, TimerKey};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::wire::send::{AttachedFile, MessageRef, OwnContent, SendMessage, TemplateHeader};
use crate::wire::{Instant, MessageType};

/// Who paused the automations in a conversation, when and why.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Handover {
    /// Who paused them: `user:…`, `key:…`, `operator`, `automation:…`, or `phone`: somebody answered on the account's own phone.
    by: String,
    /// When they were paused.
    at: Instant,
    /// The reason, for the person who takes over.
    reason: String,
    /// When the pause ends by itself: only one by `phone` does. Each further message on the phone moves it on.
    until: Option<Instant>,
}

impl From<model::Handover> for Handover {
    fn from(handover: model::Handover) -> Self {
        let (at, until) = (Instant(handover.at), handover.until.map(Instant));
        Self { by: handover.by, at, reason: handover.reason, until }
    }
}

/// Until when anything may be written to a person, by the channel's time of what that person last wrote.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ReplyWindow {
    /// When it closes, or closed; absent if the person never wrote.
    until: Option<Instant>,
    /// Whether it is open now. Outside of it the channel takes only certain kinds of content.
    open: bool,
}

impl From<conversations::ReplyWindow> for ReplyWindow {
    fn from(window: conversations::ReplyWindow) -> Self {
        Self { until: window.until.map(Instant), open: window.open }
    }
}

/// A chat on a connector, with whatever was received and sent in it.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Conversation {
    /// Id of the conversation.
    id: Uuid,
    /// Id of the connector.
    connector_id: Uuid,
    /// Address of the contact, or of the group.
    chat: String,
    /// Whether it is a group.
    is_group: bool,
    /// Name that the contact goes by, if known.
    contact_name: Option<String>,
    /// Tags of the conversation, sorted.
    tags: Vec<String>,
    /// Who the conversation is assigned to.
    assignee: Option<String>,
    /// Id of the user that the conversation is assigned to.
    assignee_id: Option<Uuid>,
    /// Id of the queue that the conversation is in.
    queue_id: Option<Uuid>,
    /// Id of the status that the conversation has.
    status_id: Option<Uuid>,
    /// Number of the conversation: counted from 1 for each tenant, never given again.
    number: u64,
    /// Number of messages of the other side that nobody has read.
    unread: u64,
    /// The newest message.
    last_message: Option<LastMessage>,
    /// When the other side last wrote.
    last_received_at: Option<Instant>,
    /// Until when anything may be written to the person; absent if the channel always takes everything.
    reply_window: Option<ReplyWindow>,
    /// When it was archived; absent if it is not.
    archived_at: Option<Instant>,
    /// Whether its automations are paused.
    paused: bool,
    /// Who paused the automations, when and why.
    handover: Option<Handover>,
    /// Whether an automation is active in it now: messages by hand are then refused.
    automated: bool,
    /// When its first event happened.
    opened_at: Instant,
    /// When its newest event happened.
    last_event_at: Instant,
}

impl From<ConversationView> for Conversation {
    fn from(view: ConversationView) -> Self {
        let conversation = view.conversation;
        let unread = conversation.unread();
        Self {
            id: conversation.id,
            connector_id: view.connector,
            chat: conversation.chat,
            is_group: conversation.is_group,
            contact_name: conversation.contact_name,
            tags: conversation.tags,
            assignee: conversation.assignee,
            assignee_id: conversation.assigned_user,
            queue_id: view.queue,
            status_id: view.status,
            number: conversation.number,
            unread,
            last_message: conversation.last.map(LastMessage::from),
            last_received_at: conversation.last_received_at.map(Instant),
            reply_window: view.window.map(ReplyWindow::from),
            archived_at: conversation.archived_at.map(Instant),
            paused: conversation.handover.is_some(),
            handover: conversation.handover.map(Handover::from),
            automated: view.automated,
            opened_at: Instant(conversation.opened_at),
            last_event_at: Instant(conversation.last_event_at),
        }
    }
}

/// Who wrote a message.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[oai(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// The other side.
    In,
    /// The connector's own account, with the engine or from another of its devices.
    Out,
}

impl Direction {
    pub(crate) fn of(from_me: bool) -> Self {
        if from_me { Self::Out } else { Self::In }
    }
}

/// Kind of content of a message.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase", rename = "MessageKind")]
pub(crate) enum Kind {
    /// A text.
    Text,
    /// A picture.
    Image,
    /// A video.
    Video,
    /// An audio file.
    Audio,
    /// A voice note.
    Voice,
    /// Any other file.
    Document,
    /// A sticker.
    Sticker,
    /// A place.
    Location,
    /// Anything else.
    Other,
    /// Nothing any longer: it was deleted for everyone.
    Revoked,
}

impl From<EntryKind> for Kind {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::Text => Self::Text,
            EntryKind::Image => Self::Image,
            EntryKind::Video => Self::Video,
            EntryKind::Audio => Self::Audio,
            EntryKind::Voice => Self::Voice,
            EntryKind::Document => Self::Document,
            EntryKind::Sticker => Self::Sticker,
            EntryKind::Location => Self::Location,
            EntryKind::Other => Self::Other,
            EntryKind::Revoked => Self::Revoked,
        }
    }
}

/// The newest message of a conversation.
#[derive(Object)]
pub(crate) struct LastMessage {
    /// Number of the message, as in the list of the conversation's messages.
    number: u64,
    /// When the engine took it.
    at: Instant,
    /// Who wrote it.
    direction: Direction,
    /// Kind of content.
    kind: Kind,
    /// How its text begins, on one line of at most 200 characters; for a file without text, its name.
    preview: String,
}

impl From<model::LastMessage> for LastMessage {
    fn from(last: model::LastMessage) -> Self {
        Self {
            number: last.item,
            at: Instant(last.at),
            direction: Direction::of(last.from_me),
            kind: last.kind.into(),
            preview: last.preview,
        }
    }
}

/// A timer that an automation set.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ConversationTimer {
    /// Id of the automation.
    automation_id: Uuid,
    /// Name that the automation gave the timer.
    name: String,
    /// When it fires.
    due_at: Instant,
}

impl From<(TimerKey, Uuid)> for ConversationTimer {
    fn from((timer, automation_id): (TimerKey, Uuid)) -> Self {
        Self { automation_id, name: timer.name, due_at: Instant(timer.due_at) }
    }
}

/// An event that waits for the conversation's automations.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct WaitingEvent {
    /// Id of the event.
    event_id: Uuid,
    /// Kind of event, such as `message-received`.
    kind: String,
    /// When it happened.
    at: Instant,
    /// Id of the observer for which it waits; absent if it waits for the automations that answer.
    observer_id: Option<Uuid>,
    /// Number of failed attempts to handle it.
    failures: u32,
    /// When it is handled at the earliest.
    due_at: Instant,
}

impl From<(EventTask, Option<Uuid>)> for WaitingEvent {
    fn from((task, observer_id): (EventTask, Option<Uuid>)) -> Self {
        Self {
            event_id: task.id,
            kind: task.body.kind().as_str().to_owned(),
            at: Instant(task.at),
            observer_id,
            failures: task.failures,
            due_at: Instant(task.due_at),
        }
    }
}

/// A conversation, with its timers and waiting events.
#[derive(Object)]
pub(crate) struct WholeConversation {
    /// The conversation.
    #[oai(flatten)]
    conversation: Conversation,
    /// Its timers, the next to fire first.
    timers: Vec<ConversationTimer>,
    /// The first events that wait for automations.
    waiting: Vec<WaitingEvent>,
}

impl From<ConversationDetail> for WholeConversation {
    fn from(detail: ConversationDetail) -> Self {
        Self {
            conversation: detail.view.into(),
            timers: detail.timers.into_iter().map(ConversationTimer::from).collect(),
            waiting: detail.waiting.into_iter().map(WaitingEvent::from).collect(),
        }
    }
}

/// A message to send by hand into a conversation.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SendInConversation {
    /// Text of at most 64 KB, with the markup of messaging apps and templates. Required unless there is a file.
    #[oai(nullable)]
    text: Option<String>,
    /// Subject of at most 500 characters, for channels that have one.
    #[oai(nullable, validator(max_length = 500))]
    subject: Option<String>,
    /// Name of the recipient, at most 255 characters; stored with the contact.
    #[oai(nullable, validator(max_length = 255))]
    contact_name: Option<String>,
    /// Category; GERAL if omitted.
    #[oai(nullable)]
    message_type: Option<MessageType>,
    /// Addresses that the text mentions as `@address`; at most 100.
    #[oai(default, validator(max_items = 100))]
    #[serde(default)]
    mentions: Vec<String>,
    /// The message to reply to.
    #[oai(nullable)]
    reply_to: Option<MessageRef>,
    /// Whether audio is sent as a voice note.
    #[oai(default)]
    #[serde(default)]
    voice_note: bool,
    /// Uploaded files, at most 10.
    #[oai(default, validator(max_items = 10))]
    #[serde(default)]
    attachments: Vec<AttachedFile>,
    /// URL of a file that the engine fetches once, before the first attempt; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    attachment_url: Option<String>,
    /// Priority, from 1 to 10, where 10 goes first; 5 if omitted.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "10")))]
    priority: Option<u8>,
    /// When to send it at the earliest, at most 366 days ahead; at once if omitted.
    #[oai(nullable)]
    scheduled_at: Option<Instant>,
    /// Whether it waits for approval.
    #[oai(default)]
    #[serde(default)]
    requires_approval: bool,
    /// Whether it goes ahead of the queue and bypasses the pace.
    #[oai(default)]
    #[serde(default)]
    force_direct: bool,
    /// Internal remark of at most 4000 characters, never sent.
    #[oai(nullable, validator(max_length = 4000))]
    notes: Option<String>,
    /// URL that receives every status change of the message; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    webhook_url: Option<String>,
    /// Your own reference, at most 255 characters.
    #[oai(nullable, validator(max_length = 255))]
    external_id: Option<String>,
    /// Values for the template: texts, numbers, true and false; at most 64 KB of JSON.
    #[oai(default)]
    #[serde(default)]
    variables: BTreeMap<String, Value>,
    /// Content that only the connector's plugin knows; its kind is one of the plugin's `contents`. With it, `text` is what people read
    /// of it here; files and a template do not go with it.
    #[oai(nullable)]
    content: Option<OwnContent>,
    /// Id of a template: `variables` are its values, and its category is the message's. Text, subject, category, files and content do not
    /// go with it. It must be approved, and the connector's own or a text of yours.
    #[oai(nullable)]
    template_id: Option<Uuid>,
    /// With `templateId`: what the template's header shows, where that is not a text.
    #[oai(nullable)]
    header: Option<TemplateHeader>,
    /// Whether to send it even while an automation is active in the conversation. Otherwise the request is then refused with the
    /// code `AUTOMATION_ACTIVE`: pause the conversation first.
    #[oai(default)]
    #[serde(default)]
    during_automation: bool,
}

impl SendInConversation {
    /// The same message, with the conversation's address.
    pub(crate) fn to(self, to: String) -> SendMessage {
        SendMessage {
            to,
            text: self.text,
            subject: self.subject,
            contact_name: self.contact_name,
            message_type: self.message_type,
            mentions: self.mentions,
            reply_to: self.reply_to,
            voice_note: self.voice_note,
            attachments: self.attachments,
            attachment_url: self.attachment_url,
            priority: self.priority,
            scheduled_at: self.scheduled_at,
            requires_approval: self.requires_approval,
            force_direct: self.force_direct,
            notes: self.notes,
            webhook_url: self.webhook_url,
            external_id: self.external_id,
            variables: self.variables,
            content: self.content,
            template_id: self.template_id,
            header: self.header,
            during_automation: self.during_automation,
        }
    }
}
