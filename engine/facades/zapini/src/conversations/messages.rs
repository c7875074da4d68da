//! The messages of a conversation: who wrote them, how far they came, their files; for user interfaces of chats also the text as HTML
//! and the reactions by emoji.

use std::collections::{BTreeMap, BTreeSet};

use poem_openapi::{Enum, Object};
use pombo_api::error::Failure;
use pombo_api::options::ApiState;
use pombo_domain::commands::connectors::overview::ConnectorOverview;
use pombo_domain::commands::contacts::KnownContact;
use pombo_domain::commands::conversations::{ConversationView, EntryView};
use pombo_domain::model::{
    Attachment, EntryContent, EntryKind, EntryReaction, InboundContent, MediaState, MessageState, Receipts, Status,
    TimelineEntry,
};
use pombo_domain::ports::TimelineRange;
use serde::Serialize;
use uuid::Uuid;

use super::mentions::{Mention, formatted};
use crate::credentials::Caller;
use crate::instance::phone_number;
use crate::refs::{instance, jid, number};
use crate::times::seconds;

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename = "MessageDirection", rename_all = "lowercase")]
enum Direction {
    /// The other side.
    Incoming,
    /// The instance's account, with this engine or from its phone.
    Outgoing,
}

/// How far a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename_all = "lowercase")]
enum MessageStatus {
    /// It is being sent.
    Pending,
    /// WhatsApp has it.
    Sent,
    /// It reached a device of the recipient. Of a received message: nobody has read it here.
    Delivered,
    /// It was read.
    Read,
    /// It was played.
    Played,
    /// It was not sent, or could not be delivered.
    Failed,
    /// It may or may not have been sent.
    Unknown,
}

/// Kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename = "MessageMediaType", rename_all = "lowercase")]
enum MediaType {
    /// A picture or a sticker.
    Image,
    /// A video.
    Video,
    /// An audio file or a voice note.
    Audio,
    /// Any other file.
    Document,
}

impl MediaType {
    /// `None` for a message without a file.
    fn of(kind: EntryKind) -> Option<Self> {
        match kind {
            EntryKind::Image | EntryKind::Sticker => Some(Self::Image),
            EntryKind::Video => Some(Self::Video),
            EntryKind::Audio | EntryKind::Voice => Some(Self::Audio),
            EntryKind::Document => Some(Self::Document),
            EntryKind::Text | EntryKind::Location | EntryKind::Other | EntryKind::Revoked => None,
        }
    }
}

/// The reactions to a message with one emoji.
#[derive(Debug, Serialize, Object)]
pub(crate) struct GroupedReaction {
    /// The emoji.
    emoji: String,
    /// Number of people who reacted with it, the instance's own account included.
    count: u64,
    /// Whether the instance's own account is one of them.
    has_my_reaction: bool,
    /// Phone numbers of those people, digits; the JID where WhatsApp does not tell the number.
    reactors: Vec<String>,
    /// Their names, in the same order; the number of somebody without a name.
    reactor_names: Vec<String>,
}

/// A message of a conversation.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Message")]
struct MessageBody {
    /// Number of the message. Within a conversation it is the order.
    id: u64,
    /// Id of the message.
    unique_id: Uuid,
    /// WhatsApp's id of the message; null while there is none.
    #[oai(nullable)]
    whatsapp_message_id: Option<String>,
    /// Who wrote it.
    direction: Direction,
    /// Whether `direction` is `outgoing`.
    is_from_me: bool,
    /// The text, or the text that came with a file; empty where there is none, or where it was deleted.
    message_body: String,
    /// The text as HTML: all of it is escaped, and each mention is a `<span class="mention" data-phone="…">` with the person's name.
    /// Left out unless the format is `chat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    formatted_body: Option<String>,
    /// JIDs of those whom the text mentions.
    mentioned_jids: Vec<String>,
    /// Kind of its file; null without one.
    #[oai(nullable)]
    media_type: Option<MediaType>,
    /// URL that opens its file without a credential, for a limited time; null without one, or while a received one is being fetched.
    #[oai(nullable)]
    media_url: Option<String>,
    /// Phone number of who wrote it, digits; null where WhatsApp does not tell it.
    #[oai(nullable)]
    sender_number: Option<String>,
    /// Name of who wrote it; the number of somebody without a name. Of an own message, the name of the user, key or automation that
    /// sent it, or of the account.
    #[oai(nullable)]
    sender_name: Option<String>,
    /// WhatsApp's id of the message that it answers; null where it answers none.
    #[oai(nullable)]
    reply_to: Option<String>,
    /// How far it came.
    status: MessageStatus,
    /// The present reactions by emoji, the first one first. Left out unless the format is `chat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    grouped_reactions: Option<Vec<GroupedReaction>>,
    /// Whether its text was changed.
    is_edited: bool,
    /// Whether it was deleted for everyone.
    is_deleted: bool,
    /// When it came here, or began to be sent.
    created_at: String,
}

/// A page of the messages of a conversation.
#[derive(Debug, Serialize, Object)]
pub(crate) struct MessagePage {
    /// The messages, oldest first.
    messages: Vec<MessageBody>,
    /// Whether there are more beyond the page: newer ones where only `after_id` is given, else older ones.
    has_more: bool,
    /// Number of the first message of the page, the `before_id` of the page before it; null for an empty page.
    #[oai(nullable)]
    oldest_id: Option<u64>,
    /// Number of the last message of the page, the `after_id` of the page behind it; null for an empty page.
    #[oai(nullable)]
    newest_id: Option<u64>,
}

/// A page of what was said in a conversation.
pub(crate) async fn messages(
    state: &ApiState,
    caller: &Caller,
    view: &ConversationView,
    range: &TimelineRange,
    limit: u32,
    is_chat: bool,
) -> Result<MessagePage, Failure> {
    let found =
        state.commands.conversation_timeline(caller.tenant, view.conversation.id, range, limit as usize).await?;
    let own = instance(state, caller, &view.connector.to_string())?;
    let people = People::of(state, caller, &own, &found.entries, found.contacts)?;
    let page = Page { state, caller, people, read: found.conversation.read, is_chat };
    let forward = range.after.is_some() && range.before.is_none();
    Ok(MessagePage {
        has_more: if forward { found.has_newer } else { found.has_older },
        oldest_id: found.entries.first().map(|entry| entry.item.number),
        newest_id: found.entries.last().map(|entry| entry.item.number),
        messages: found.entries.into_iter().map(|entry| page.shown(entry)).collect(),
    })
}

/// What the messages of a page are shown with.
struct Page<'a> {
    state: &'a ApiState,
    caller: &'a Caller,
    people: People,
    /// The ordinal up to which the conversation is read.
    read: u64,
    is_chat: bool,
}

impl Page<'_> {
    fn shown(&self, view: EntryView) -> MessageBody {
        let EntryView { item, message, receipts, by, .. } = view;
        let entry = item.entry;
        let is_deleted = entry.revoked_at.is_some();
        let state = message.as_ref().map(|stored| &stored.state);
        let status = match entry.from_me {
            true => status_of_own(state, receipts.as_ref()),
            false if item.ordinal <= self.read => MessageStatus::Read,
            false => MessageStatus::Delivered,
        };
        // What was deleted is not shown, also where it was somebody else who deleted it.
        let mentioned: &[String] = if is_deleted { &[] } else { &entry.mentions };
        let text = text_of(&entry);
        let file = file_of(&entry).filter(|_| !is_deleted);
        let now = self.state.commands.now();
        let known_id = |state: &MessageState| state.provider_id.clone();
        let reported_id = || receipts.as_ref().and_then(|receipts| receipts.provider_id.clone());
        MessageBody {
            id: item.number,
            unique_id: item.id,
            whatsapp_message_id: entry.provider_id.clone().or_else(|| state.and_then(known_id)).or_else(reported_id),
            direction: if entry.from_me { Direction::Outgoing } else { Direction::Incoming },
            is_from_me: entry.from_me,
            formatted_body: self.is_chat.then(|| formatted(&text, &self.people.mentions(mentioned))),
            message_body: text,
            mentioned_jids: mentioned.iter().map(|address| jid(self.people.identifier(address))).collect(),
            media_type: MediaType::of(entry.kind()),
            media_url: file.map(|file| self.state.media_links.url(self.caller.tenant, file, now)),
            sender_number: self.people.sender_number(&entry),
            sender_name: self.people.sender_name(&entry, by.as_deref()),
            reply_to: entry.reply_to.clone(),
            status,
            grouped_reactions: self.is_chat.then(|| self.people.grouped(&entry.reactions)),
            is_edited: entry.edited_at.is_some() && !is_deleted,
            is_deleted,
            created_at: seconds(item.at),
        }
    }
}

fn status_of_own(state: Option<&MessageState>, receipts: Option<&Receipts>) -> MessageStatus {
    let reached = receipts.map(|receipts| receipts.first).unwrap_or_default();
    if reached.played_at.is_some() {
        return MessageStatus::Played;
    }
    if reached.read_at.is_some() {
        return MessageStatus::Read;
    }
    if reached.delivered_at.is_some() {
        return MessageStatus::Delivered;
    }
    if receipts.is_some_and(|receipts| receipts.failed.is_some()) {
        return MessageStatus::Failed;
    }
    match state.map(|state| state.status) {
        // Without a message, it was sent from another device of the account.
        None | Some(Status::Sent) => MessageStatus::Sent,
        Some(Status::Pending | Status::Waiting | Status::Processing | Status::PendingApproval) => {
            MessageStatus::Pending
        }
        Some(Status::Failed | Status::Canceled) => MessageStatus::Failed,
        Some(Status::Unknown) => MessageStatus::Unknown,
    }
}

/// Its text. Of a place without a name, where it is.
fn text_of(entry: &TimelineEntry) -> String {
    match (entry.text(), &entry.content) {
        (Some(text), _) => text.to_owned(),
        (None, EntryContent::Received(InboundContent::Location { latitude, longitude, .. }))
            if entry.revoked_at.is_none() =>
        {
            format!("{latitude},{longitude}")
        }
        (None, _) => String::new(),
    }
}

/// Its file, if it is stored; of several the first.
pub(crate) fn file_of(entry: &TimelineEntry) -> Option<&Attachment> {
    match &entry.content {
        EntryContent::Received(InboundContent::Attachment(file)) => match &file.media {
            MediaState::Ready(stored) => Some(stored),
            MediaState::Pending | MediaState::Failed(_) => None,
        },
        EntryContent::Sent { attachments, .. } => attachments.first(),
        EntryContent::Received(_) | EntryContent::Gone => None,
    }
}

/// The people of a page, by their addresses.
struct People {
    contacts: BTreeMap<String, KnownContact>,
    /// The names of those who sent something with the engine: users, keys, automations.
    senders: BTreeMap<String, String>,
    /// The account's own addresses, its number and its name.
    own: BTreeSet<String>,
    own_number: Option<String>,
    own_name: String,
}

impl People {
    fn of(
        state: &ApiState,
        caller: &Caller,
        own: &ConnectorOverview,
        entries: &[EntryView],
        contacts: BTreeMap<String, KnownContact>,
    ) -> Result<Self, Failure> {
        let mut senders: BTreeMap<String, String> = BTreeMap::new();
        for EntryView { by, .. } in entries {
            if let Some(by) = by.as_ref().filter(|by| !senders.contains_key(*by)) {
                senders.insert(by.clone(), state.commands.actor_name(caller.tenant, by)?);
            }
        }
        let account = own.account.as_ref();
        let aliases = account.into_iter().flat_map(|account| account.aliases.iter().cloned());
        Ok(Self {
            contacts,
            senders,
            own: aliases.chain(own.last_account.clone()).collect(),
            own_number: phone_number(own),
            own_name: account
                .and_then(|account| account.display_name.clone())
                .unwrap_or_else(|| own.connector.name.clone()),
        })
    }

    /// The address that somebody is known by.
    fn identifier<'a>(&'a self, address: &'a str) -> &'a str {
        if self.own.contains(address) {
            return self.own_number.as_deref().unwrap_or(address);
        }
        self.contacts.get(address).map_or(address, |contact| contact.identifier.as_str())
    }

    /// The name of somebody; `None` where there is none.
    fn name(&self, address: &str) -> Option<&str> {
        if self.own.contains(address) {
            return Some(&self.own_name);
        }
        self.contacts.get(address).and_then(|contact| contact.name.as_deref())
    }

    fn sender_number(&self, entry: &TimelineEntry) -> Option<String> {
        if entry.from_me {
            return self.own_number.clone();
        }
        entry.sender.as_deref().and_then(|address| number(self.identifier(address))).map(str::to_owned)
    }

    fn sender_name(&self, entry: &TimelineEntry, by: Option<&str>) -> Option<String> {
        if entry.from_me {
            return Some(by.and_then(|by| self.senders.get(by)).unwrap_or(&self.own_name).clone());
        }
        let address = entry.sender.as_deref();
        let name = address.and_then(|address| self.name(address)).or(entry.sender_name.as_deref());
        name.map(str::to_owned).or_else(|| self.sender_number(entry))
    }

    /// Those whom a text mentions, by each way in which it may write them: by the address that came with it, or the known number.
    fn mentions(&self, mentioned: &[String]) -> Vec<Mention> {
        let mut mentions: Vec<Mention> = Vec::new();
        for address in mentioned {
            let written = address.split('@').next().unwrap_or_default();
            let phone = number(self.identifier(address)).unwrap_or(written);
            let name = self.name(address).unwrap_or(phone);
            for written in [written, phone] {
                if mentions.iter().all(|known| known.written != written) {
                    let [written, phone, name] = [written, phone, name].map(str::to_owned);
                    mentions.push(Mention { written, phone, name });
                }
            }
        }
        mentions
    }

    /// Reactions by emoji, the first one first.
    fn grouped(&self, reactions: &[EntryReaction]) -> Vec<GroupedReaction> {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut groups: Vec<GroupedReaction> = Vec::new();
        for EntryReaction { by, emoji, .. } in reactions {
            let place = *places.entry(emoji).or_insert_with(|| {
                let (reactors, reactor_names) = (Vec::new(), Vec::new());
                let emoji = emoji.clone();
                groups.push(GroupedReaction { emoji, count: 0, has_my_reaction: false, reactors, reactor_names });
                groups.len() - 1
            });
            let group = &mut groups[place];
            group.count += 1;
            match by.as_deref() {
                Some(address) => {
                    let identifier = self.identifier(address);
                    group.reactors.push(identifier.to_owned());
                    group.reactor_names.push(self.name(address).unwrap_or(identifier).to_owned());
                }
                None => {
                    group.has_my_reaction = true;
                    group.reactors.extend(self.own_number.clone());
                    group.reactor_names.extend(self.own_number.as_ref().map(|_| self.own_name.clone()));
                }
            }
        }
        groups
    }
}
