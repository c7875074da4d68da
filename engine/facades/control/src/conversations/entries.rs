//! Wire types of the messages of a conversation.

use std::collections::BTreeMap;

use poem_openapi::Object;
use pombo_domain::commands::conversations::EntryView;
use pombo_domain::model::{self, EntryContent, EntryReaction, InboundContent, TimelineEntry};
use uuid::Uuid;

use crate::conversations::wire::{Direction, Kind};
use crate::wire::Instant;
use crate::wire::content::{Links, Location, ReceivedFile, StoredFile, Untyped};
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
}

/// Reactions by emoji, the first one first.
fn grouped(reactions: Vec<EntryReaction>) -> Vec<GroupedReaction> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<GroupedReaction> = Vec::new();
    for EntryReaction { by, emoji, .. } in reactions {
        let place = *places.entry(emoji.clone()).or_insert_with(|| {
            groups.push(GroupedReaction { emoji, count: 0, by_me: false, by: Vec::new() });
            groups.len() - 1
        });
        let group = &mut groups[place];
        group.count += 1;
        match by {
            Some(who) => group.by.push(who),
            None => group.by_me = true,
        }
    }
    groups
}

/// A message of a conversation.
#[derive(Object)]
#[oai(rename = "ConversationMessage", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Entry {
    /// Id of the message; of a sent one, the same as in the list of messages.
    id: Uuid,
    /// Number of the message: counted from 1 for each tenant, never given again; within a conversation it is the order.
    number: u64,
    /// Who wrote it.
    direction: Direction,
    /// Kind of content.
    kind: Kind,
    /// When the engine took it; of a sent one, when its first attempt began.
    at: Instant,
    /// When it was written, according to the channel.
    sent_at: Instant,
    /// Address of the sender; absent for a message that was sent with the engine.
    sender: Option<String>,
    /// Name that the sender goes by.
    sender_name: Option<String>,
    /// Who sent it with the engine, if that is known: `user:…`, `key:…`, `operator` or `automation:…`.
    by: Option<String>,
    /// The channel's id of the message.
    provider_id: Option<String>,
    /// Provider id of the message that it replies to.
    reply_to: Option<String>,
    /// Addresses mentioned in the text.
    mentions: Vec<String>,
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
    pub(crate) fn of(view: EntryView, links: &Links<'_>) -> Self {
        let EntryView { item, message, receipts, by } = view;
        let kind = item.entry.kind().into();
        let text = item.entry.text().map(str::to_owned);
        let model::TimelineItem { number, id, at, entry, .. } = item;
        let is_revoked = entry.revoked_at.is_some();
        let TimelineEntry { from_me, sender, sender_name, provider_id, sent_at, reply_to, mentions, content, .. } =
            entry;
        let state = message.map(|message| message.state);
        let mut wire = Self {
            id,
            number,
            direction: Direction::of(from_me),
            kind,
            at: Instant(at),
            sent_at: Instant(sent_at),
            sender,
            sender_name,
            by,
            provider_id: provider_id.or_else(|| state.as_ref().and_then(|state| state.provider_id.clone())),
            reply_to,
            mentions: if is_revoked { Vec::new() } else { mentions },
            text,
            subject: None,
            attachment: None,
            files: None,
            location: None,
            other: None,
            reactions: grouped(entry.reactions),
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
