//! Wire types of conversations.

use poem_openapi::{Enum, Object};
use pombo_domain::commands::conversations::{self, ConversationDetail, ConversationView};
use pombo_domain::model::{self, EntryKind, EventTask, TimerKey};
use uuid::Uuid;

use crate::wire::Instant;
use crate::wire::message::MessageStatus;

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
    /// What to call it: `contactName`, otherwise the address that the contact is known by, or the group's.
    display_name: String,
    /// Id of the contact; absent for a group, and where there is no contact.
    contact_id: Option<Uuid>,
    /// Name of the contact or the group, if known. Of a contact it is the one that the tenant chose, otherwise the one that the channel
    /// reported.
    contact_name: Option<String>,
    /// Tags of the conversation, sorted.
    tags: Vec<String>,
    /// Who the conversation is assigned to.
    assignee: Option<String>,
    /// Id of the user that the conversation is assigned to.
    assignee_id: Option<Uuid>,
    /// Name of the user that the conversation is assigned to.
    assignee_name: Option<String>,
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
    /// Since when the other side waits for an answer: when it wrote its first message behind the newest one of the account. Absent if it
    /// does not wait.
    waiting_since: Option<Instant>,
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
    /// The automation that is active in it now; of several, the one that is asked first.
    automation: Option<AnsweringAutomation>,
    /// When its first event happened.
    opened_at: Instant,
    /// When its newest event happened.
    last_event_at: Instant,
}

impl From<ConversationView> for Conversation {
    fn from(view: ConversationView) -> Self {
        let (display_name, contact_name) = (view.display_name().to_owned(), view.name().map(str::to_owned));
        let automated = view.automated();
        let conversation = view.conversation;
        let unread = conversation.unread();
        Self {
            id: conversation.id,
            connector_id: view.connector,
            chat: conversation.chat,
            is_group: conversation.is_group,
            display_name,
            contact_id: view.contact.map(|contact| contact.id),
            contact_name,
            tags: conversation.tags,
            assignee: conversation.assignee,
            assignee_id: conversation.assigned_user,
            assignee_name: view.assignee_name,
            queue_id: view.queue,
            status_id: view.status,
            number: conversation.number,
            unread,
            last_message: conversation.last.map(|last| LastMessage::of(last, view.last_sent)),
            last_received_at: conversation.last_received_at.map(Instant),
            waiting_since: conversation.waiting_since.map(Instant),
            reply_window: view.window.map(ReplyWindow::from),
            archived_at: conversation.archived_at.map(Instant),
            paused: conversation.handover.is_some(),
            handover: conversation.handover.map(Handover::from),
            automated,
            automation: view.automation.map(AnsweringAutomation::from),
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

/// An automation that answers a conversation.
#[derive(Object)]
pub(crate) struct AnsweringAutomation {
    /// Id of the automation.
    id: Uuid,
    /// Name of the automation.
    name: String,
}

impl From<conversations::AnsweredBy> for AnsweringAutomation {
    fn from(conversations::AnsweredBy { id, name }: conversations::AnsweredBy) -> Self {
        Self { id, name }
    }
}

/// Maximum length of a preview, in characters.
const MAX_PREVIEW_CHARS: usize = 120;

/// The newest message of a conversation.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct LastMessage {
    /// Number of the message, as in the list of the conversation's messages.
    number: u64,
    /// When the engine took it.
    at: Instant,
    /// Who wrote it.
    direction: Direction,
    /// Kind of content.
    kind: Kind,
    /// How its text begins, on one line of at most 120 characters; for a file without text, its name.
    preview: String,
    /// Status, of a message that was sent with the engine.
    status: Option<MessageStatus>,
    /// Who sent it with the engine, if that is known: `user:…`, `key:…`, `operator` or `automation:…`.
    by: Option<String>,
}

impl LastMessage {
    fn of(last: model::LastMessage, sent: Option<conversations::LastSent>) -> Self {
        let (status, by) = sent.map(|sent| (sent.status.into(), sent.by)).unzip();
        Self {
            number: last.item,
            at: Instant(last.at),
            direction: Direction::of(last.from_me),
            kind: last.kind.into(),
            preview: last.preview.chars().take(MAX_PREVIEW_CHARS).collect::<String>().trim_end().to_owned(),
            status,
            by: by.flatten(),
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
