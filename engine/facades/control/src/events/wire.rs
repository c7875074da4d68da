//! Wire types of events: one form for each type.

use poem_openapi::types::{ParseFromJSON, ToJSON};
use poem_openapi::{Enum, Object, Union};
use pombo_domain::Timestamp;
use pombo_domain::commands::conversations::ConversationView;
use pombo_domain::model::event::{GroupStep, SessionChange};
use pombo_domain::model::health::HealthChange;
use pombo_domain::model::{self, EventBody, Inbound, InboundContent, Progress};
use uuid::Uuid;

use crate::events::automations::{ChangedConversation, ChangedPlugin, Emitted, Parked};
use crate::wire::content::{FileState, Links, Location, ReceivedFile, StoredFile, Untyped};
use crate::wire::conversation::Conversation;
use crate::wire::{Instant, WordOf};
use pombo_api::options::ApiState;

/// The fields that every event has.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct EventOf<T: ParseFromJSON + ToJSON> {
    /// Id of the event, the same whenever it is read.
    id: Uuid,
    /// Position in the log; pass it as `after` for the events that follow.
    cursor: u64,
    /// When the engine stored it.
    at: Instant,
    /// Id of the connector on which it happened; absent if it happened on none.
    #[oai(skip_serializing_if_is_none)]
    connector_id: Option<Uuid>,
    /// What happened; the form depends on `type`.
    data: T,
}

/// Something that happened. `type` names the form of its `data`.
#[derive(Union)]
#[expect(clippy::large_enum_variant, reason = "most are messages, and each is written out at once")]
#[oai(discriminator_name = "type", one_of = true)]
pub(crate) enum Event {
    /// A message was received.
    #[oai(mapping = "message.received")]
    Received(EventOf<ReceivedMessage>),
    /// The file of an earlier received message is available, or cannot be fetched.
    #[oai(mapping = "message.media")]
    Media(EventOf<ReceivedMedia>),
    /// The channel reported progress of a sent message.
    #[oai(mapping = "message.receipt")]
    Receipt(EventOf<ReceivedReceipt>),
    /// The session's state changed.
    #[oai(mapping = "session.changed")]
    Session(EventOf<ChangedSession>),
    /// A contact's name or other addresses became known.
    #[oai(mapping = "contact.changed")]
    Contact(EventOf<ChangedContact>),
    /// A group changed.
    #[oai(mapping = "group.changed")]
    Group(EventOf<ChangedGroup>),
    /// The account's health changed.
    #[oai(mapping = "health.changed")]
    Health(EventOf<ChangedHealth>),
    /// The connector reported something else.
    #[oai(mapping = "other")]
    Other(EventOf<Untyped>),
    /// An automation emitted it.
    #[oai(mapping = "automation.emitted")]
    Emitted(EventOf<Emitted>),
    /// A conversation was opened or changed. That a message came or went is told by `message.received` and `message.sent`.
    #[oai(mapping = "conversation.changed")]
    Conversation(EventOf<ChangedConversation>),
    /// An event was parked after an automation failed to handle it on the last attempt.
    #[oai(mapping = "automation.parked")]
    Parked(EventOf<Parked>),
    /// A plugin or its versions changed.
    #[oai(mapping = "plugin.changed")]
    Plugin(EventOf<ChangedPlugin>),
    /// The channel accepted a message that was sent in a conversation.
    #[oai(mapping = "message.sent")]
    Sent(EventOf<SentMessage>),
    /// An own message came further after it was sent, or failed.
    #[oai(mapping = "message.status")]
    Status(EventOf<MessageProgress>),
    /// There is a new code to scan. Only where the connector's webhook wants it.
    #[oai(mapping = "session.code")]
    Code(EventOf<SessionCode>),
}

/// Kind of content; it names the field of the message that has it.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum ContentKind {
    /// The content is in `text`.
    Text,
    /// The content is in `attachment`.
    Attachment,
    /// The content is in `location`.
    Location,
    /// The content is in `reaction`.
    Reaction,
    /// The content is in `edit`.
    Edit,
    /// The content is in `revoked`.
    Revoke,
    /// The content is in `other`.
    Other,
}

/// A received message, or one that the account sent from another of its devices.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ReceivedMessage {
    /// The channel's id of the message, unique within conversation and sender.
    provider_id: String,
    /// The conversation: address of a contact or group. To reply, send to this address.
    chat: String,
    /// Address of the sender.
    sender: String,
    /// Name that the sender goes by.
    sender_name: Option<String>,
    /// Whether the connector's own account wrote it.
    from_me: bool,
    /// Whether `chat` is a group.
    is_group: bool,
    /// Provider id of the message that it replies to.
    reply_to: Option<String>,
    /// Addresses mentioned in the text.
    mentions: Vec<String>,
    /// When it was sent.
    sent_at: Instant,
    /// Kind of content: which of the following fields is present.
    kind: ContentKind,
    /// The text.
    text: Option<String>,
    /// A file.
    attachment: Option<ReceivedFile>,
    /// A place.
    location: Option<Location>,
    /// A reaction to an earlier message.
    reaction: Option<Reaction>,
    /// A new text for an earlier message.
    edit: Option<Edit>,
    /// Provider id of a message that was deleted for everyone.
    revoked: Option<String>,
    /// Other content.
    other: Option<Untyped>,
    /// Its conversation as it is when the event is read; absent if it was deleted since.
    conversation_row: Option<Conversation>,
}

/// A reaction to a message.
#[derive(Object)]
pub(crate) struct Reaction {
    /// Provider id of the message.
    to: String,
    /// The emoji; empty if the reaction was removed.
    emoji: String,
}

/// A new text for a message.
#[derive(Object)]
pub(crate) struct Edit {
    /// Provider id of the message.
    of: String,
    /// The new text.
    text: String,
}

/// The state of the file of an earlier received message.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ReceivedMedia {
    /// The conversation: address of a contact or group.
    chat: String,
    /// Provider id of that message.
    provider_id: String,
    /// Whether the file's bytes are available.
    state: FileState,
    /// The stored file, if it is available.
    file: Option<StoredFile>,
    /// Why the file cannot be fetched.
    reason: Option<String>,
}

/// Progress of a sent message.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum ReceiptStep {
    /// The channel's server has it.
    Server,
    /// It reached a device of the recipient.
    Delivered,
    /// It was shown to the recipient.
    Read,
    /// The recipient played the voice note or video.
    Played,
    /// The channel reports that it could not be delivered.
    Failed,
}

/// Progress of a sent message, as the channel reported it.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ReceivedReceipt {
    /// Id of the message.
    message_id: Uuid,
    /// The channel's id of the message.
    provider_id: String,
    /// Address of the recipient; in a group, of the member.
    recipient: Option<String>,
    /// The progress.
    kind: ReceiptStep,
    /// When it happened, according to the channel.
    reached_at: Instant,
    /// Why it failed, with `failed`.
    reason: Option<String>,
}

/// The new state of a session.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct ChangedSession {
    state: WordOf<SessionChange>,
    /// Address of the account, if it is known.
    account: Option<String>,
    /// Why the state changed.
    reason: Option<String>,
}

/// A contact whose name or addresses became known.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ChangedContact {
    /// The contact's main address.
    address: String,
    /// Name that the contact goes by.
    display_name: Option<String>,
    /// Other addresses of the contact.
    aliases: Vec<String>,
}

/// Kind of change of a group.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum GroupChange {
    /// It was created, or the account joined it.
    Created,
    /// `text` is the new subject.
    Subject,
    /// `text` is the new description.
    Description,
    /// `members` joined or were added.
    Added,
    /// `members` left or were removed.
    Removed,
    /// `members` became admins.
    Promoted,
    /// `members` became plain members.
    Demoted,
    /// Another change, described by `other`.
    Other,
}

/// A change of a group.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ChangedGroup {
    /// Address of the group.
    group: String,
    /// Address of the person who made the change.
    actor: Option<String>,
    /// When it happened, according to the channel.
    changed_at: Instant,
    /// Kind of change.
    change: GroupChange,
    /// The new text.
    text: Option<String>,
    /// Addresses of the members concerned.
    members: Option<Vec<String>>,
    /// Another change.
    other: Option<Untyped>,
}

/// A change of the account's health.
#[derive(Object)]
pub(crate) struct ChangedHealth {
    kind: WordOf<HealthChange>,
    /// Health score, from 0 (worst) to 100 (best).
    score: u8,
    /// The reason, for a person.
    reason: String,
}

/// A message that was sent in a conversation.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct SentMessage {
    /// Id of the message.
    message_id: Uuid,
    /// Number of the conversation.
    conversation: u64,
    /// Number of its entry in the conversation's messages.
    item: u64,
    /// Address of the conversation.
    chat: String,
    /// The channel's id of the message, if it is known.
    provider_id: Option<String>,
    previous: WordOf<Progress>,
    /// The conversation as it is when the event is read; absent if it was deleted since.
    conversation_row: Option<Conversation>,
}

/// How far an own message came.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct MessageProgress {
    /// Id of the message.
    message_id: Uuid,
    /// Number of the conversation; absent if the message was given up before its first attempt.
    conversation: Option<u64>,
    /// Address of the conversation.
    chat: String,
    /// The channel's id of the message, if it is known.
    provider_id: Option<String>,
    previous: WordOf<Progress>,
    now: WordOf<Progress>,
    /// When it came there: according to the channel, for what that reports.
    reached_at: Instant,
}

/// A code to scan.
#[derive(Object)]
pub(crate) struct SessionCode {
    /// The code, to be shown as a QR code.
    text: String,
}

impl Links<'_> {
    fn received(&self, inbound: Inbound) -> ReceivedMessage {
        let mut message = ReceivedMessage {
            provider_id: inbound.provider_id,
            chat: inbound.chat,
            sender: inbound.sender,
            sender_name: inbound.sender_name,
            from_me: inbound.from_me,
            is_group: inbound.is_group,
            reply_to: inbound.reply_to,
            mentions: inbound.mentions,
            sent_at: Instant(inbound.sent_at),
            kind: ContentKind::Text,
            text: None,
            attachment: None,
            location: None,
            reaction: None,
            edit: None,
            revoked: None,
            other: None,
            conversation_row: None,
        };
        match inbound.content {
            InboundContent::Text(text) => message.text = Some(text),
            InboundContent::Attachment(file) => {
                message.kind = ContentKind::Attachment;
                message.attachment = Some(self.received_file(file));
            }
            InboundContent::Location { latitude, longitude, name } => {
                message.kind = ContentKind::Location;
                message.location = Some(Location { latitude, longitude, name });
            }
            InboundContent::Reaction { to, emoji } => {
                message.kind = ContentKind::Reaction;
                message.reaction = Some(Reaction { to, emoji });
            }
            InboundContent::Edit { of, text } => {
                message.kind = ContentKind::Edit;
                message.edit = Some(Edit { of, text });
            }
            InboundContent::Revoke(of) => {
                message.kind = ContentKind::Revoke;
                message.revoked = Some(of);
            }
            InboundContent::Other(kind, json) => {
                message.kind = ContentKind::Other;
                message.other = Some(Untyped::of(kind, json));
            }
        }
        message
    }
}

fn changed_group(group: String, actor: Option<String>, changed_at: Timestamp, step: GroupStep) -> ChangedGroup {
    let (change, text, members, other) = match step {
        GroupStep::Created => (GroupChange::Created, None, None, None),
        GroupStep::Subject(text) => (GroupChange::Subject, Some(text), None, None),
        GroupStep::Description(text) => (GroupChange::Description, Some(text), None, None),
        GroupStep::Added(members) => (GroupChange::Added, None, Some(members), None),
        GroupStep::Removed(members) => (GroupChange::Removed, None, Some(members), None),
        GroupStep::Promoted(members) => (GroupChange::Promoted, None, Some(members), None),
        GroupStep::Demoted(members) => (GroupChange::Demoted, None, Some(members), None),
        GroupStep::Other(kind, json) => (GroupChange::Other, None, None, Some(Untyped::of(kind, json))),
    };
    ChangedGroup { group, actor, changed_at: Instant(changed_at), change, text, members, other }
}

/// The row of a conversation, as in the list; an event is shown without one that cannot be read.
fn row(found: Option<ConversationView>) -> Option<Conversation> {
    found.map(Conversation::from)
}

impl Event {
    /// An event of the log, with links to its files.
    pub(crate) fn of(event: model::Event, connector_id: Option<Uuid>, state: &ApiState) -> Self {
        let model::Event { key, event: model::NewEvent { id, connector, at, body } } = event;
        let links = Links::new(state, key.tenant);
        let (cursor, at) = (key.serial, Instant(at));
        match body {
            EventBody::Message(inbound) => {
                let found = state.commands.conversation_at(key.tenant, connector, &inbound.chat);
                let conversation_row = row(found.ok().flatten());
                let data = ReceivedMessage { conversation_row, ..links.received(inbound) };
                Self::Received(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Media { chat, provider_id, media } => {
                let (state, file, reason) = links.media(media);
                let data = ReceivedMedia { chat, provider_id, state, file, reason };
                Self::Media(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Receipt { message, provider_id, recipient, kind, reached_at, reason } => {
                let kind = match kind {
                    model::ReceiptKind::Server => ReceiptStep::Server,
                    model::ReceiptKind::Delivered => ReceiptStep::Delivered,
                    model::ReceiptKind::Read => ReceiptStep::Read,
                    model::ReceiptKind::Played => ReceiptStep::Played,
                    model::ReceiptKind::Failed => ReceiptStep::Failed,
                };
                let reached_at = Instant(reached_at);
                let data = ReceivedReceipt { message_id: message, provider_id, recipient, kind, reached_at, reason };
                Self::Receipt(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Session { state, account, reason } => {
                let data = ChangedSession { state: state.into(), account, reason };
                Self::Session(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Contact { address, display_name, aliases } => {
                let data = ChangedContact { address, display_name, aliases };
                Self::Contact(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Group { group, actor, changed_at, step } => {
                let data = changed_group(group, actor, changed_at, step);
                Self::Group(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Health { kind, score, reason } => {
                let data = ChangedHealth { kind: kind.into(), score, reason };
                Self::Health(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Other(kind, json) => {
                Self::Other(EventOf { id, cursor, at, connector_id, data: Untyped::of(kind, json) })
            }
            EventBody::Emitted { automation, conversation, kind, json } => {
                let data = Emitted::of(automation, conversation, kind, &json);
                Self::Emitted(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Conversation { conversation, chat, step, by, detail } => {
                let found = state.commands.get_conversation(key.tenant, conversation);
                let (conversation_id, step, conversation) = (conversation, step.into(), row(found.ok()));
                let data = ChangedConversation { conversation_id, chat, step, by, detail, conversation };
                Self::Conversation(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::DeadLetter { automation, conversation, dead_letter, code, reason } => {
                let (automation_id, conversation_id, parked_id) = (automation, conversation, dead_letter);
                let data = Parked { automation_id, conversation_id, parked_id, code: code.into(), reason };
                Self::Parked(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Plugin { plugin, step, digest, detail } => {
                let data = ChangedPlugin { plugin, step: step.into(), digest, detail };
                Self::Plugin(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Sent { message, conversation, item, chat, provider_id, previous } => {
                let found = state.commands.get_conversation_numbered(key.tenant, conversation);
                let (message_id, previous, conversation_row) = (message, previous.into(), row(found.ok()));
                let data =
                    SentMessage { message_id, conversation, item, chat, provider_id, previous, conversation_row };
                Self::Sent(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Status { message, conversation, chat, provider_id, previous, now, reached_at } => {
                let (previous, now, reached_at) = (previous.into(), now.into(), Instant(reached_at));
                let data =
                    MessageProgress { message_id: message, conversation, chat, provider_id, previous, now, reached_at };
                Self::Status(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Code { text } => {
                Self::Code(EventOf { id, cursor, at, connector_id, data: SessionCode { text } })
            }
        }
    }
}
