//! Wire types of the messages of a conversation.

use std::collections::BTreeMap;

use poem_openapi::{Enum, Object};
use pombo_domain::commands::contacts::KnownContact;
use pombo_domain::commands::conversations::{self, EntryView, Quoted};
use pombo_domain::model::{self, EntryContent, EntryReaction, InboundContent, TimelineEntry};
use uuid::Uuid;

use crate::wire::Instant;
use crate::wire::content::{Links, Location, ReceivedFile, StoredFile, Untyped};
use crate::wire::conversation::{Direction, Kind};
use crate::wire::message::{MessageReason, MessageReceipts, MessageStatus};

/// The same reaction of one or several people.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct GroupedReaction {
    /// The emoji.
    emoji: String,
    /// How many people reacted with it.
    count: u64,
    /// Whether the connector's own account is one of them.
    by_me: bool,
    /// Addresses of the others.
    by: Vec<String>,
    /// Their names, in the same order; the address of somebody without a name.
    names: Vec<String>,
}

/// Contacts by the addresses that messages name them by.
pub(crate) type People = BTreeMap<String, KnownContact>;

fn name_of<'p>(people: &'p People, address: &str) -> Option<&'p str> {
    people.get(address).and_then(|contact| contact.name.as_deref())
}

/// Reactions by emoji, the first one first.
fn grouped(reactions: Vec<EntryReaction>, people: &People) -> Vec<GroupedReaction> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<GroupedReaction> = Vec::new();
    for EntryReaction { by, emoji, .. } in reactions {
        let place = *places.entry(emoji.clone()).or_insert_with(|| {
            groups.push(GroupedReaction { emoji, count: 0, by_me: false, by: Vec::new(), names: Vec::new() });
            groups.len() - 1
        });
        let group = &mut groups[place];
        group.count += 1;
        match by {
            Some(who) => {
                group.names.push(name_of(people, &who).unwrap_or(&who).to_owned());
                group.by.push(who);
            }
            None => group.by_me = true,
        }
    }
    groups
}

/// What kind of author wrote a message.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum AuthorKind {
    /// Somebody on the other side.
    Contact,
    /// A user.
    User,
    /// A program, with an API key.
    Key,
    /// An automation.
    Automation,
    /// A campaign.
    Campaign,
    /// The operator of the engine.
    Operator,
    /// The connector's own account: from another of its devices, or from the engine if nobody knows who wrote it.
    Account,
}

impl From<conversations::AuthorKind> for AuthorKind {
    fn from(kind: conversations::AuthorKind) -> Self {
        match kind {
            conversations::AuthorKind::Contact => Self::Contact,
            conversations::AuthorKind::User => Self::User,
            conversations::AuthorKind::Key => Self::Key,
            conversations::AuthorKind::Automation => Self::Automation,
            conversations::AuthorKind::Campaign => Self::Campaign,
            conversations::AuthorKind::Operator => Self::Operator,
            conversations::AuthorKind::Account => Self::Account,
        }
    }
}

/// Who wrote a message.
#[derive(Object)]
#[oai(rename = "MessageAuthor", skip_serializing_if_is_none)]
pub(crate) struct Author {
    /// The kind of author.
    kind: AuthorKind,
    /// Id of the contact, user, key, automation or campaign, if there is one.
    id: Option<Uuid>,
    /// Name that it goes by, if it has one.
    name: Option<String>,
}

impl From<conversations::Author> for Author {
    fn from(conversations::Author { kind, id, name }: conversations::Author) -> Self {
        Self { kind: kind.into(), id, name }
    }
}

/// The message that another one replies to.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct RepliedTo {
    /// The channel's id of the message.
    provider_id: String,
    /// Id of the message; absent if it is not among the conversation's messages.
    id: Option<Uuid>,
    /// Number of the message; absent in the same case.
    number: Option<u64>,
    /// Kind of content; absent in the same case.
    kind: Option<Kind>,
    /// How its text begins, on one line of at most 200 characters; for a file without text, its name. Absent if there is nothing to show.
    excerpt: Option<String>,
}

impl RepliedTo {
    fn of(provider_id: String, quoted: Option<Quoted>) -> Self {
        let Some(Quoted { id, number, kind, excerpt }) = quoted else {
            return Self { provider_id, id: None, number: None, kind: None, excerpt: None };
        };
        let excerpt = Some(excerpt).filter(|excerpt| !excerpt.is_empty());
        Self { provider_id, id: Some(id), number: Some(number), kind: Some(kind.into()), excerpt }
    }
}

/// Somebody whom a text mentions.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Mentioned {
    /// The address, as in the text.
    address: String,
    /// Name of the contact, if known.
    name: Option<String>,
}

/// A message of a conversation.
#[derive(Object)]
#[oai(rename = "ConversationMessage", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Entry {
    /// Id of the message; of a sent one, the same as in the list of messages.
    id: Uuid,
    /// Number of the message: counted from 1 for each tenant, never given again; within a conversation it is the order.
    number: u64,
    /// Id of the message in the list of messages, of one that was sent with the engine.
    message_id: Option<Uuid>,
    /// Which side wrote it.
    direction: Direction,
    /// Who wrote it.
    author: Author,
    /// Kind of content.
    kind: Kind,
    /// When the engine took it; of a sent one, when its first attempt began.
    at: Instant,
    /// When it was written, according to the channel.
    sent_at: Instant,
    /// Address of the sender; absent for a message that was sent with the engine.
    sender: Option<String>,
    /// Name that the sender gave itself when it wrote; see `author` for the name that it goes by now.
    sender_name: Option<String>,
    /// Who sent it with the engine, if that is known: `user:…`, `key:…`, `operator` or `automation:…`.
    by: Option<String>,
    /// The channel's id of the message.
    provider_id: Option<String>,
    /// The message that it replies to.
    reply_to: Option<RepliedTo>,
    /// Those whom the text mentions.
    mentions: Vec<Mentioned>,
    /// The text, or the text that came with a file.
    text: Option<String>,
    /// The subject, for channels that have one.
    subject: Option<String>,
    /// The file of a received message.
    attachment: Option<ReceivedFile>,
    /// The files of a sent message.
    files: Option<Vec<StoredFile>>,
    /// A place.
    location: Option<Location>,
    /// Other content.
    other: Option<Untyped>,
    /// The present reactions.
    reactions: Vec<GroupedReaction>,
    /// When its text was last changed.
    edited_at: Option<Instant>,
    /// When it was deleted for everyone.
    revoked_at: Option<Instant>,
    /// Status, of a message that was sent with the engine.
    status: Option<MessageStatus>,
    /// Why it has this status.
    reason: Option<MessageReason>,
    /// What the channel reported about it.
    receipts: Option<MessageReceipts>,
}

impl Entry {
    /// An entry with links to its files.
    pub(crate) fn of(view: EntryView, people: &People, links: &Links<'_>) -> Self {
        let EntryView { item, message, receipts, by, author, reply } = view;
        let kind = item.entry.kind().into();
        let text = item.entry.text().map(str::to_owned);
        let model::TimelineItem { number, id, at, entry, .. } = item;
        let is_revoked = entry.revoked_at.is_some();
        let TimelineEntry { from_me, sender, sender_name, provider_id, sent_at, reply_to, mentions, content, .. } =
            entry;
        let message_id = message.as_ref().map(|message| message.message.id);
        let state = message.map(|message| message.state);
        let mentioned = |address: String| {
            let name = name_of(people, &address).map(str::to_owned);
            Mentioned { address, name }
        };
        let mut wire = Self {
            id,
            number,
            message_id,
            direction: Direction::of(from_me),
            author: author.into(),
            kind,
            at: Instant(at),
            sent_at: Instant(sent_at),
            sender,
            sender_name,
            by,
            provider_id: provider_id.or_else(|| state.as_ref().and_then(|state| state.provider_id.clone())),
            reply_to: reply_to.map(|provider_id| RepliedTo::of(provider_id, reply)),
            mentions: if is_revoked { Vec::new() } else { mentions.into_iter().map(mentioned).collect() },
            text,
            subject: None,
            attachment: None,
            files: None,
            location: None,
            other: None,
            reactions: grouped(entry.reactions, people),
            edited_at: entry.edited_at.map(Instant),
            revoked_at: entry.revoked_at.map(Instant),
            status: state.as_ref().map(|state| state.status.into()),
            reason: state.and_then(|state| state.reason).map(MessageReason::from),
            receipts: receipts.map(MessageReceipts::from),
        };
        match content {
            // What was deleted is not shown, also where its author was another.
            _ if is_revoked => {}
            EntryContent::Gone => {}
            EntryContent::Sent { subject, attachments, .. } => {
                wire.subject = subject;
                let files: Vec<StoredFile> = attachments.into_iter().map(|file| links.stored(file)).collect();
                wire.files = Some(files).filter(|files| !files.is_empty());
            }
            EntryContent::Received(InboundContent::Attachment(file)) => {
                wire.attachment = Some(links.received_file(file));
            }
            EntryContent::Received(InboundContent::Location { latitude, longitude, name }) => {
                wire.location = Some(Location { latitude, longitude, name });
            }
            EntryContent::Received(InboundContent::Other(kind, json)) => wire.other = Some(Untyped::of(kind, json)),
            // A text is there already; the others are never an entry of their own.
            EntryContent::Received(_) => {}
        }
        wire
    }
}
