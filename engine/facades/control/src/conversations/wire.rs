//! Conversations as they are answered, and a message into one as it is asked for.

use std::collections::BTreeMap;

use poem_openapi::Object;
use pombo_domain::commands::conversations::{ConversationDetail, ConversationView};
use pombo_domain::model::{self, TimerKey, Work};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::messages::MessageType;
use crate::messages::sending::{AttachedFile, MessageRef, SendMessage};
use crate::wire::Instant;

/// Who paused the automations of a conversation, when and why.
#[derive(Object)]
pub(crate) struct Handover {
    /// `user:…`, `key:…`, `operator` or `automation:…`.
    by: String,
    /// When.
    at: Instant,
    /// For the person who takes over.
    reason: String,
}

impl From<model::Handover> for Handover {
    fn from(handover: model::Handover) -> Self {
        Self { by: handover.by, at: Instant(handover.at), reason: handover.reason }
    }
}

/// A chat on a connector that an automation could take part in.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Conversation {
    /// Its id.
    id: Uuid,
    /// The connector.
    connector_id: Uuid,
    /// The other side's address, or the group's.
    chat: String,
    /// Whether it is a group.
    is_group: bool,
    /// The other side's name, where it gave one.
    contact_name: Option<String>,
    /// Its tags, sorted.
    tags: Vec<String>,
    /// Who is in charge of it.
    assignee: Option<String>,
    /// Whether its automations are paused.
    paused: bool,
    /// Who paused them.
    handover: Option<Handover>,
    /// Whether an automation answers it now: then messages by hand are refused.
    automated: bool,
    /// When its first event came.
    opened_at: Instant,
    /// When its newest event came.
    last_event_at: Instant,
}

impl From<ConversationView> for Conversation {
    fn from(view: ConversationView) -> Self {
        let conversation = view.conversation;
        Self {
            id: conversation.id,
            connector_id: view.connector,
            chat: conversation.chat,
            is_group: conversation.is_group,
            contact_name: conversation.contact_name,
            tags: conversation.tags,
            assignee: conversation.assignee,
            paused: conversation.handover.is_some(),
            handover: conversation.handover.map(Handover::from),
            automated: view.automated,
            opened_at: Instant(conversation.opened_at),
            last_event_at: Instant(conversation.last_event_at),
        }
    }
}

/// A timer that an automation set.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ConversationTimer {
    /// The automation.
    automation_id: Uuid,
    /// What the automation calls it.
    name: String,
    /// When it runs out.
    due_at: Instant,
}

impl From<(TimerKey, Uuid)> for ConversationTimer {
    fn from((timer, automation_id): (TimerKey, Uuid)) -> Self {
        Self { automation_id, name: timer.name, due_at: Instant(timer.due_at) }
    }
}

/// An event that waits for its automations.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct WaitingEvent {
    /// The event's id.
    event_id: Uuid,
    /// What happened, such as `message-received`.
    kind: String,
    /// When.
    at: Instant,
    /// The observer that it waits for; absent where it waits for the automations that answer.
    observer_id: Option<Uuid>,
    /// Failed tries.
    failures: u32,
    /// Not before.
    due_at: Instant,
}

impl From<(Work, Option<Uuid>)> for WaitingEvent {
    fn from((work, observer_id): (Work, Option<Uuid>)) -> Self {
        Self {
            event_id: work.id,
            kind: work.body.kind().as_str().to_owned(),
            at: Instant(work.at),
            observer_id,
            failures: work.failures,
            due_at: Instant(work.due_at),
        }
    }
}

/// A conversation with what is still to come in it.
#[derive(Object)]
pub(crate) struct WholeConversation {
    /// The conversation.
    #[oai(flatten)]
    conversation: Conversation,
    /// Its timers, the next first.
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

/// A message by hand into a conversation.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SendInConversation {
    /// The text, with the marks of messaging apps and templates. Needed unless there is a file.
    #[oai(nullable)]
    text: Option<String>,
    /// For channels that have one.
    #[oai(nullable, validator(max_length = 500))]
    subject: Option<String>,
    /// The recipient's name; kept with the contact.
    #[oai(nullable, validator(max_length = 255))]
    contact_name: Option<String>,
    /// Category; GERAL where left out.
    #[oai(nullable)]
    message_type: Option<MessageType>,
    /// Addresses that the text mentions as `@address`.
    #[oai(default, validator(max_items = 100))]
    #[serde(default)]
    mentions: Vec<String>,
    /// The message that it answers.
    #[oai(nullable)]
    reply_to: Option<MessageRef>,
    /// Sound goes as a voice note.
    #[oai(default)]
    #[serde(default)]
    voice_note: bool,
    /// Uploaded files.
    #[oai(default, validator(max_items = 10))]
    #[serde(default)]
    attachments: Vec<AttachedFile>,
    /// A file that the engine fetches once, before the first attempt.
    #[oai(nullable, validator(max_length = 2048))]
    attachment_url: Option<String>,
    /// 1 to 10; 10 goes first. 5 where left out.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "10")))]
    priority: Option<u8>,
    /// Not before.
    #[oai(nullable)]
    scheduled_at: Option<Instant>,
    /// Waits for approval.
    #[oai(default)]
    #[serde(default)]
    requires_approval: bool,
    /// Ahead of the queue and its pace.
    #[oai(default)]
    #[serde(default)]
    force_direct: bool,
    /// Internal remark, never sent.
    #[oai(nullable, validator(max_length = 4000))]
    notes: Option<String>,
    /// Gets every status change.
    #[oai(nullable, validator(max_length = 2048))]
    webhook_url: Option<String>,
    /// The caller's reference.
    #[oai(nullable, validator(max_length = 255))]
    external_id: Option<String>,
    /// Values for the template: texts, numbers, true and false.
    #[oai(default)]
    #[serde(default)]
    variables: BTreeMap<String, Value>,
    /// Also while an automation answers the conversation. Otherwise that is refused with the code `AUTOMATION_ACTIVE`: pause it
    /// first.
    #[oai(default)]
    #[serde(default)]
    during_automation: bool,
}

impl SendInConversation {
    /// The same message by its address.
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
            during_automation: self.during_automation,
        }
    }
}
