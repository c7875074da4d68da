//! Events as they are answered: one form for each type.

use poem_openapi::types::{ParseFromJSON, ToJSON};
use poem_openapi::{Enum, Object, Union};
use pombo_domain::model::event::GroupStep;
use pombo_domain::model::{self, EventBody, Inbound, InboundContent, MediaState};
use pombo_domain::{TenantIndex, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use crate::events::automations::{ChangedConversation, ChangedPlugin, Emitted, Parked};
use crate::wire::Instant;
use pombo_api::options::ApiState;

/// What every event has.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct EventOf<T: ParseFromJSON + ToJSON> {
    /// Its id: the same event has the same one whenever it is read.
    id: Uuid,
    /// Its place in the log; give it as `after` for what follows.
    cursor: u64,
    /// When the engine took it.
    at: Instant,
    /// The connector it happened on; absent where it happened on none.
    #[oai(skip_serializing_if_is_none)]
    connector_id: Option<Uuid>,
    /// What happened.
    data: T,
}

/// Something that happened; `type` says what its `data` is.
#[derive(Union)]
#[expect(clippy::large_enum_variant, reason = "most are messages, and each is written out at once")]
#[oai(discriminator_name = "type", one_of = true)]
pub(crate) enum Event {
    /// A message was received.
    #[oai(mapping = "message.received")]
    Received(EventOf<ReceivedMessage>),
    /// The file of an earlier received message is there, or cannot be had.
    #[oai(mapping = "message.media")]
    Media(EventOf<ReceivedMedia>),
    /// The channel reported a step of a sent message.
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
    /// Something else that the connector told.
    #[oai(mapping = "other")]
    Other(EventOf<Untyped>),
    /// An automation told it.
    #[oai(mapping = "automation.emitted")]
    Emitted(EventOf<Emitted>),
    /// Who answers a conversation changed.
    #[oai(mapping = "conversation.changed")]
    Conversation(EventOf<ChangedConversation>),
    /// An event was put aside after an automation failed at it for the last time.
    #[oai(mapping = "automation.parked")]
    Parked(EventOf<Parked>),
    /// A plugin or its versions changed.
    #[oai(mapping = "plugin.changed")]
    Plugin(EventOf<ChangedPlugin>),
}

/// What a received message is.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum ContentKind {
    /// `text` is there.
    Text,
    /// `attachment` is there.
    Attachment,
    /// `location` is there.
    Location,
    /// `reaction` is there.
    Reaction,
    /// `edit` is there.
    Edit,
    /// `revoked` is there.
    Revoke,
    /// `other` is there.
    Other,
}

/// A received message, or one that the account sent from another of its devices.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ReceivedMessage {
    /// The channel's id for it, unique within conversation and sender.
    provider_id: String,
    /// The conversation: a contact's or a group's address. What an answer has as `to`.
    chat: String,
    /// Who wrote it.
    sender: String,
    /// The name that the sender gave himself.
    sender_name: Option<String>,
    /// Written by the connector's own account.
    from_me: bool,
    /// Whether `chat` is a group.
    is_group: bool,
    /// The provider id of the message it answers.
    reply_to: Option<String>,
    /// Addresses mentioned in the text.
    mentions: Vec<String>,
    /// When the sender sent it.
    sent_at: Instant,
    /// Which of the following there is.
    kind: ContentKind,
    /// What it says.
    text: Option<String>,
    /// A file.
    attachment: Option<ReceivedFile>,
    /// A place.
    location: Option<Location>,
    /// A reaction to an earlier message.
    reaction: Option<Reaction>,
    /// A new text for an earlier message.
    edit: Option<Edit>,
    /// The provider id of a message that was deleted for everyone.
    revoked: Option<String>,
    /// Something else.
    other: Option<Untyped>,
}

/// What sort of file.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum FileKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// Sound.
    Audio,
    /// A voice note.
    Voice,
    /// Any file.
    Document,
    /// A sticker.
    Sticker,
}

/// How far the bytes of a received file are.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum FileState {
    /// They are being fetched; an event `message.media` follows.
    Pending,
    /// They are here: `file` opens them.
    Ready,
    /// They cannot be had: `reason` says why.
    Failed,
}

/// A file that is here.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct StoredFile {
    /// Its id.
    id: Uuid,
    /// Its name.
    file_name: String,
    /// Its MIME type.
    content_type: String,
    /// Its size in bytes.
    size: u64,
    /// Opens it without another credential, for a while.
    url: String,
}

/// A received file.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ReceivedFile {
    /// What sort.
    kind: FileKind,
    /// How far its bytes are.
    state: FileState,
    /// The file, when it is here.
    file: Option<StoredFile>,
    /// Why it cannot be had.
    reason: Option<String>,
    /// Its name, where the sender gave one.
    file_name: Option<String>,
    /// MIME type.
    content_type: String,
    /// Bytes, where the channel says.
    size: Option<u64>,
    /// The text that came with it.
    caption: Option<String>,
}

/// A place.
#[derive(Object)]
pub(crate) struct Location {
    /// Degrees north, as the channel wrote them.
    latitude: String,
    /// Degrees east, as the channel wrote them.
    longitude: String,
    /// What it is called.
    #[oai(skip_serializing_if_is_none)]
    name: Option<String>,
}

/// A reaction.
#[derive(Object)]
pub(crate) struct Reaction {
    /// The provider id of the message.
    to: String,
    /// Empty: the reaction is taken back.
    emoji: String,
}

/// A new text.
#[derive(Object)]
pub(crate) struct Edit {
    /// The provider id of the message.
    of: String,
    /// Its text now.
    text: String,
}

/// Something that has no form of its own.
#[derive(Object)]
pub(crate) struct Untyped {
    /// What the connector calls it.
    kind: String,
    /// What it told.
    payload: Value,
}

impl Untyped {
    fn of(kind: String, json: String) -> Self {
        let payload = serde_json::from_str(&json).unwrap_or(Value::String(json));
        Self { kind, payload }
    }
}

/// How far the file of an earlier received message is.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ReceivedMedia {
    /// The conversation.
    chat: String,
    /// That message's provider id.
    provider_id: String,
    /// How far it is.
    state: FileState,
    /// The file, when it is here.
    file: Option<StoredFile>,
    /// Why it cannot be had.
    reason: Option<String>,
}

/// A step of a sent message.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum ReceiptStep {
    /// The channel's server has it.
    Server,
    /// It reached a device of the recipient.
    Delivered,
    /// It was shown to the recipient.
    Read,
    /// A voice note or film was played.
    Played,
    /// The channel says that it could not be delivered.
    Failed,
}

/// That the channel reported a step of a sent message.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ReceivedReceipt {
    /// The message's id.
    message_id: Uuid,
    /// The channel's id for it.
    provider_id: String,
    /// Whose step; in a group, the member.
    recipient: Option<String>,
    /// Which step.
    kind: ReceiptStep,
    /// When, as the channel says.
    reached_at: Instant,
    /// For a failure.
    reason: Option<String>,
}

/// How the session stands now.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct ChangedSession {
    /// `connected`, `disconnected`, `logged-out`, `unpaired`.
    state: String,
    /// The account's own address, where it is known.
    account: Option<String>,
    /// Why.
    reason: Option<String>,
}

/// A contact.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ChangedContact {
    /// How it is known here.
    address: String,
    /// The name it gave itself.
    display_name: Option<String>,
    /// Other addresses.
    aliases: Vec<String>,
}

/// A change of a group.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum GroupChange {
    /// It was made, or the account joined it.
    Created,
    /// `text` is the new subject.
    Subject,
    /// `text` is the new description.
    Description,
    /// `members` came.
    Added,
    /// `members` went.
    Removed,
    /// `members` became admins.
    Promoted,
    /// `members` became plain members.
    Demoted,
    /// `other` says what.
    Other,
}

/// That a group changed.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ChangedGroup {
    /// Its address.
    group: String,
    /// Who did it.
    actor: Option<String>,
    /// When, as the channel says.
    changed_at: Instant,
    /// What.
    change: GroupChange,
    /// The new text.
    text: Option<String>,
    /// The members that it is about.
    members: Option<Vec<String>>,
    /// Something else.
    other: Option<Untyped>,
}

/// How the account's health changed.
#[derive(Object)]
pub(crate) struct ChangedHealth {
    /// `slowed`, `paused`, `restored`, `blocked`, `restricted`.
    kind: String,
    /// 0 to 100.
    score: u8,
    /// For a person.
    reason: String,
}

/// What the links to files are made with.
struct Links<'a> {
    state: &'a ApiState,
    tenant: TenantIndex,
    now: Timestamp,
}

impl Links<'_> {
    /// A file's state, the file and the reason why there is none.
    fn media(&self, media: MediaState) -> (FileState, Option<StoredFile>, Option<String>) {
        match media {
            MediaState::Pending => (FileState::Pending, None, None),
            MediaState::Failed(reason) => (FileState::Failed, None, Some(reason)),
            MediaState::Ready(file) => {
                let stored = StoredFile {
                    url: self.state.media_links.url(self.tenant, &file, self.now),
                    id: file.id,
                    file_name: file.file_name,
                    content_type: file.content_type,
                    size: file.size,
                };
                (FileState::Ready, Some(stored), None)
            }
        }
    }

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
        };
        match inbound.content {
            InboundContent::Text(text) => message.text = Some(text),
            InboundContent::Attachment(file) => {
                let (state, stored, reason) = self.media(file.media);
                message.kind = ContentKind::Attachment;
                message.attachment = Some(ReceivedFile {
                    kind: match file.kind {
                        model::MediaKind::Image => FileKind::Image,
                        model::MediaKind::Video => FileKind::Video,
                        model::MediaKind::Audio => FileKind::Audio,
                        model::MediaKind::Voice => FileKind::Voice,
                        model::MediaKind::Document => FileKind::Document,
                        model::MediaKind::Sticker => FileKind::Sticker,
                    },
                    state,
                    file: stored,
                    reason,
                    file_name: file.file_name,
                    content_type: file.content_type,
                    size: file.size,
                    caption: file.caption,
                });
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

impl Event {
    /// An event of the log, with links to its files.
    pub(crate) fn of(event: model::Event, connector_id: Option<Uuid>, state: &ApiState) -> Self {
        let model::Event { key, event: model::NewEvent { id, at, body, .. } } = event;
        let links = Links { state, tenant: key.tenant, now: state.commands.ports().clock.now() };
        let (cursor, at) = (key.serial, Instant(at));
        match body {
            EventBody::Message(inbound) => {
                Self::Received(EventOf { id, cursor, at, connector_id, data: links.received(inbound) })
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
                Self::Session(EventOf { id, cursor, at, connector_id, data: ChangedSession { state, account, reason } })
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
                Self::Health(EventOf { id, cursor, at, connector_id, data: ChangedHealth { kind, score, reason } })
            }
            EventBody::Other(kind, json) => {
                Self::Other(EventOf { id, cursor, at, connector_id, data: Untyped::of(kind, json) })
            }
            EventBody::Emitted { automation, conversation, kind, json } => {
                let data = Emitted::of(automation, conversation, kind, &json);
                Self::Emitted(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Conversation { conversation, chat, step, by, detail } => {
                let data = ChangedConversation { conversation_id: conversation, chat, step, by, detail };
                Self::Conversation(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Parked { automation, conversation, parked, code, reason } => {
                let (automation_id, conversation_id, parked_id) = (automation, conversation, parked);
                let data = Parked { automation_id, conversation_id, parked_id, code, reason };
                Self::Parked(EventOf { id, cursor, at, connector_id, data })
            }
            EventBody::Plugin { plugin, step, digest, detail } => {
                let data = ChangedPlugin { plugin, step, digest, detail };
                Self::Plugin(EventOf { id, cursor, at, connector_id, data })
            }
        }
    }
}
