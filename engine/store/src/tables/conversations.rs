//! Conversations, each with its lanes, and their keys by chat and by tenant; what automations left in them; which automation
//! sent a message.
//!
//! A conversation's row holds its lanes, because whatever happens in a lane changes the conversation or is asked with it: one
//! row is read and written for both. Invariant: a lane is there exactly while it has work; it names its first and last item.

use pombo_domain::model::{Conversation, Handover, Origin};
use pombo_domain::ports::{ConversationFilter, StoreResult};
use pombo_domain::{AutomationIndex, ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::earlier::Conversation1;
use crate::backend::{Backend, Bytes, KeyRange, Order};
use crate::codec::{
    FORMAT, append, bad_key, body_of, damaged, decode, encode as encode_row, format_of, unknown_format,
};
use crate::keys::{self, Parts};
use crate::search::fold;
use crate::space::Space;
use crate::staged::Staged;

const WHAT: &str = "conversations";

/// Format 2 has number, timeline and archive; rows of format 1 are read, never written.
const CONVERSATION_FORMAT: u8 = 2;
/// Format 3 has when the other side last wrote by the channel's own time, behind the rest. Only a conversation of which that is known, and
/// that has neither queue nor status, is written in it.
const WRITTEN_FORMAT: u8 = 3;
/// Format 4 has queue and status behind the rest. Only a conversation that has one of them is written in it.
const SORTED_FORMAT: u8 = 4;

/// Format 5 has behind the rest, too, since when the other side waits for an answer. Only a conversation is written in it of which the newest
/// message does not tell that, see [`waiting_by_last`].
const WAITING_FORMAT: u8 = 5;
/// Format 6 has behind all that when the pause of the automations ends by itself. Only a conversation with such a pause is written in it.
const PAUSED_FORMAT: u8 = 6;

/// What a row of the formats from 4 on has behind the rest.
#[derive(Serialize, Deserialize)]
struct Behind {
    /// When the other side last wrote by the channel's own time.
    written_at: Option<Timestamp>,
    queue: Option<u32>,
    status: Option<u32>,
}

/// Since when the other side waits, as far as a row of an earlier format tells: since its newest message, if nothing was said since.
fn waiting_by_last(conversation: &Conversation) -> Option<Timestamp> {
    let waits = conversation.last.as_ref().is_some_and(|last| !last.from_me);
    conversation.last_received_at.filter(|_| waits)
}

/// Conversations that one list looks at, at most, when its filter matches rarely.
const LOOK: usize = 2_000;

/// A conversation and its lanes that have work, by number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Stored {
    pub(crate) conversation: Conversation,
    pub(crate) lanes: Vec<Lane>,
}

/// A lane that has work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lane {
    pub(crate) lane: u32,
    /// The number of its first item.
    pub(crate) first: u64,
    /// The number of its last item.
    pub(crate) last: u64,
    /// When the first item is due.
    pub(crate) due_at: Timestamp,
    /// Whether it is held until the conversation's automations are resumed.
    pub(crate) held: bool,
}

impl Stored {
    pub(crate) fn lane(&self, lane: u32) -> Option<&Lane> {
        self.lanes.binary_search_by_key(&lane, |l| l.lane).ok().map(|place| &self.lanes[place])
    }
}

pub(crate) fn encode(stored: &Stored) -> Vec<u8> {
    let Conversation { queue, status_label: status, written_at, waiting_since, .. } = stored.conversation;
    if let Some(until) = stored.conversation.pause_ends_at() {
        let behind = Behind { written_at, queue, status };
        return append(vec![PAUSED_FORMAT], &(&stored.conversation, &stored.lanes, behind, waiting_since, until));
    }
    if waiting_since != waiting_by_last(&stored.conversation) {
        let behind = Behind { written_at, queue, status };
        return append(vec![WAITING_FORMAT], &(&stored.conversation, &stored.lanes, behind, waiting_since));
    }
    if queue.is_some() || status.is_some() {
        let behind = Behind { written_at, queue, status };
        return append(vec![SORTED_FORMAT], &(&stored.conversation, &stored.lanes, behind));
    }
    match written_at {
        None => append(vec![CONVERSATION_FORMAT], &(&stored.conversation, &stored.lanes)),
        Some(at) => append(vec![WRITTEN_FORMAT], &(&stored.conversation, &stored.lanes, at)),
    }
}

/// A row of any format. One of format 1 has no number yet.
pub(crate) fn parse(row: &[u8]) -> StoreResult<Stored> {
    let (format, body) = format_of(row, WHAT)?;
    if format == WAITING_FORMAT {
        let (conversation, lanes, behind, waiting_since): (Conversation, Vec<Lane>, Behind, Option<Timestamp>) =
            body_of(body, WHAT)?;
        let Behind { written_at, queue, status } = behind;
        let conversation = Conversation { written_at, queue, status_label: status, waiting_since, ..conversation };
        return Ok(Stored { conversation, lanes });
    }
    if format == PAUSED_FORMAT {
        type Row = (Conversation, Vec<Lane>, Behind, Option<Timestamp>, Timestamp);
        let (conversation, lanes, behind, waiting_since, until): Row = body_of(body, WHAT)?;
        let Behind { written_at, queue, status } = behind;
        let handover = conversation.handover.map(|handover| Handover { until: Some(until), ..handover });
        let status_label = status;
        let conversation = Conversation { handover, written_at, queue, status_label, waiting_since, ..conversation };
        return Ok(Stored { conversation, lanes });
    }
    let mut stored = parse_earlier(format, body)?;
    stored.conversation.waiting_since = waiting_by_last(&stored.conversation);
    Ok(stored)
}

/// A row of a format that does not have since when the other side waits.
fn parse_earlier(format: u8, body: &[u8]) -> StoreResult<Stored> {
    match (format, body) {
        (CONVERSATION_FORMAT, body) => body_of(body, WHAT),
        (WRITTEN_FORMAT, body) => {
            let (conversation, lanes, at): (Conversation, Vec<Lane>, Timestamp) = body_of(body, WHAT)?;
            Ok(Stored { conversation: Conversation { written_at: Some(at), ..conversation }, lanes })
        }
        (SORTED_FORMAT, body) => {
            let (conversation, lanes, behind): (Conversation, Vec<Lane>, Behind) = body_of(body, WHAT)?;
            let Behind { written_at, queue, status } = behind;
            Ok(Stored { conversation: Conversation { written_at, queue, status_label: status, ..conversation }, lanes })
        }
        (1, body) => {
            let (conversation, lanes): (Conversation1, Vec<Lane>) = body_of(body, WHAT)?;
            Ok(Stored { conversation: conversation.into(), lanes })
        }
        (format, _) => Err(unknown_format(format, WHAT)),
    }
}

pub(crate) fn put(staged: &mut Staged<'_>, stored: &Stored) {
    staged.put(Space::Conversations, keys::conversation(stored.conversation.id).bytes(), encode(stored));
}

/// The keys by which a conversation is found. Only its chat ever changes: when its contact becomes known by another address.
pub(crate) fn put_keys(staged: &mut Staged<'_>, conversation: &Conversation) {
    let Conversation { id, tenant, connector, .. } = *conversation;
    let chat = keys::chat(connector, &conversation.chat);
    staged.put(Space::Conversations, chat, id.as_bytes().to_vec());
    let listed = keys::of_tenant(keys::CONVERSATION_OF, tenant).uuid(id).bytes();
    staged.put(Space::Conversations, listed, Vec::new());
    put_number(staged, conversation);
}

/// The key by which a conversation is found by its number.
pub(crate) fn put_number(staged: &mut Staged<'_>, conversation: &Conversation) {
    let key = keys::numbered(keys::CONVERSATION_NUMBER, conversation.tenant, conversation.number).bytes();
    staged.put(Space::Conversations, key, conversation.id.as_bytes().to_vec());
}

/// Deletes the row and the keys of a conversation.
pub(crate) fn delete(staged: &mut Staged<'_>, conversation: &Conversation) {
    let Conversation { id, tenant, connector, number, .. } = *conversation;
    staged.delete(Space::Conversations, keys::chat(connector, &conversation.chat));
    staged.delete(Space::Conversations, keys::of_tenant(keys::CONVERSATION_OF, tenant).uuid(id).bytes());
    staged.delete(Space::Conversations, keys::numbered(keys::CONVERSATION_NUMBER, tenant, number).bytes());
    staged.delete(Space::Conversations, keys::conversation(id).bytes());
}

/// The id of the conversation with a number.
pub(crate) fn id_by_number(backend: &dyn Backend, tenant: TenantIndex, number: u64) -> StoreResult<Option<Uuid>> {
    let row = backend.get(Space::Conversations, &keys::numbered(keys::CONVERSATION_NUMBER, tenant, number))?;
    row.map(|row| parse_id(&row)).transpose()
}

pub(crate) fn read(backend: &dyn Backend, id: Uuid) -> StoreResult<Option<Stored>> {
    backend.get(Space::Conversations, &keys::conversation(id))?.map(|row| parse(&row)).transpose()
}

/// The conversation that a [`keys::CHAT`] row names.
pub(crate) fn parse_id(row: &[u8]) -> StoreResult<Uuid> {
    Parts(row).uuid().ok_or_else(|| damaged("conversations: a malformed id"))
}

pub(crate) fn id_of(backend: &dyn Backend, connector: ConnectorIndex, chat: &str) -> StoreResult<Option<Uuid>> {
    let row = backend.get(Space::Conversations, &keys::chat(connector, chat))?;
    row.map(|row| parse_id(&row)).transpose()
}

/// What is looked through for a search: name, address and the beginning of the newest message, folded.
pub(crate) fn searched(conversation: &Conversation) -> String {
    let mut text = String::new();
    for part in [
        conversation.contact_name.as_deref(),
        Some(conversation.chat.as_str()),
        conversation.last.as_ref().map(|last| last.preview.as_str()),
    ] {
        fold::fold_into(part.unwrap_or_default(), &mut text);
        text.push('\n');
    }
    text
}

/// The part of [`searched`] that says with whom it is: name and address.
pub(crate) fn who(text: &str) -> &str {
    let end = text.match_indices('\n').nth(1).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// The words of a search. A number may be written with its plus, and in groups of digits joined by signs.
pub(crate) fn search_words(search: &str) -> Vec<String> {
    let mut words = fold::query_words(search);
    for word in &mut words {
        let is_number = word.bytes().any(|b| b.is_ascii_digit())
            && word.bytes().all(|b| b.is_ascii_digit() || b"+-().".contains(&b));
        if is_number {
            word.retain(|c| c.is_ascii_digit());
        }
    }
    words
}

fn matches(conversation: &Conversation, filter: &ConversationFilter) -> bool {
    let tagged = |tag: &String| conversation.tags.binary_search(tag).is_ok();
    let is_assigned = conversation.assignee.is_some() || conversation.assigned_user.is_some();
    filter.connector.is_none_or(|connector| conversation.connector == connector)
        && filter.connectors.as_ref().is_none_or(|some| some.contains(&conversation.connector))
        && filter.paused.is_none_or(|paused| conversation.handover.is_some() == paused)
        && filter.automated.is_none_or(|automated| {
            let is_answered = filter.answered.contains(&(conversation.connector, conversation.is_group));
            (conversation.engaged && conversation.handover.is_none() && is_answered) == automated
        })
        && filter.tag.as_ref().is_none_or(tagged)
        && (filter.tags.is_empty() || filter.tags.iter().any(tagged))
        && filter.tagged.is_none_or(|any| conversation.tags.is_empty() != any)
        && filter.archived.is_none_or(|archived| conversation.archived_at.is_some() == archived)
        && filter.unread.is_none_or(|unread| (conversation.unread() > 0) == unread)
        && filter.is_group.is_none_or(|is_group| conversation.is_group == is_group)
        && filter.assigned.is_none_or(|assigned| is_assigned == assigned)
        && filter.assigned_user.is_none_or(|user| conversation.assigned_user == Some(user))
        && filter.queue.is_none_or(|queue| conversation.queue == Some(queue))
        && filter.status_label.is_none_or(|status| conversation.status_label == Some(status))
        && filter.assignee.as_ref().is_none_or(|who| conversation.assignee.as_ref() == Some(who))
        && filter.search.as_ref().is_none_or(|search| {
            let text = searched(conversation);
            search_words(search).iter().all(|word| text.contains(word.as_str()))
        })
        && filter.search_who.as_ref().is_none_or(|search| {
            let text = searched(conversation);
            filter.search_chats.contains(&conversation.chat)
                || search_words(search).iter().all(|word| who(&text).contains(word.as_str()))
        })
}

/// A tenant's conversations after `after`, and how far it looked; `None` at the end. `named` puts the names of tags into a conversation,
/// by which the filter asks.
pub(crate) fn list(
    backend: &dyn Backend,
    tenant: TenantIndex,
    filter: &ConversationFilter,
    named: impl Fn(Conversation) -> Conversation,
    (after, limit): (Option<Uuid>, usize),
) -> StoreResult<(Vec<Conversation>, Option<Uuid>)> {
    let prefix = || keys::of_tenant(keys::CONVERSATION_OF, tenant);
    let all = KeyRange::prefix(&prefix());
    let range = after.map_or(all.clone(), |after| all.after(&prefix().uuid(after)));
    let (mut found, mut looked, mut at) = (Vec::new(), 0, after);
    for row in backend.scan(Space::Conversations, range, Order::Forward) {
        if found.len() >= limit || looked >= LOOK {
            return Ok((found, at));
        }
        let (_, id) = keys::parse_of_tenant(&row?.0).ok_or_else(|| bad_key(WHAT))?;
        (looked, at) = (looked + 1, Some(id));
        // One that was deleted since the scan began has no row.
        let Some(stored) = read(backend, id)? else { continue };
        let conversation = named(stored.conversation);
        if matches(&conversation, filter) {
            found.push(conversation);
        }
    }
    Ok((found, None))
}

/// All conversations of a tenant.
pub(crate) fn all_of(
    backend: &dyn Backend,
    tenant: TenantIndex,
    mut take: impl FnMut(Conversation),
) -> StoreResult<()> {
    let range = KeyRange::prefix(&keys::of_tenant(keys::CONVERSATION_OF, tenant));
    for row in backend.scan(Space::Conversations, range, Order::Forward) {
        let (_, id) = keys::parse_of_tenant(&row?.0).ok_or_else(|| bad_key(WHAT))?;
        // One that was deleted since the scan began has no row.
        if let Some(stored) = read(backend, id)? {
            take(stored.conversation);
        }
    }
    Ok(())
}

/// Stores the state that an automation left in a conversation.
pub(crate) fn put_state(staged: &mut Staged<'_>, conversation: Uuid, automation: AutomationIndex, state: Option<&str>) {
    let key = keys::automation_state(conversation, automation).bytes();
    match state {
        Some(state) => {
            let mut row = Vec::with_capacity(1 + state.len());
            row.push(FORMAT);
            row.extend_from_slice(state.as_bytes());
            staged.put(Space::Conversations, key, row);
        }
        None => staged.delete(Space::Conversations, key),
    }
}

pub(crate) fn parse_state(row: &[u8]) -> StoreResult<String> {
    let text = row.strip_prefix(&[FORMAT]).and_then(|text| std::str::from_utf8(text).ok());
    text.map(str::to_owned).ok_or_else(|| damaged("automation states: an unknown row format"))
}

pub(crate) fn state(
    backend: &dyn Backend,
    conversation: Uuid,
    automation: AutomationIndex,
) -> StoreResult<Option<String>> {
    let row = backend.get(Space::Conversations, &keys::automation_state(conversation, automation))?;
    row.map(|row| parse_state(&row)).transpose()
}

/// Which automation sent a message, with the message's public id.
pub(crate) fn put_origin(staged: &mut Staged<'_>, message: MessageKey, id: Uuid, origin: &Origin) {
    staged.fresh(Space::Conversations, keys::origin(message).bytes(), encode_row(&(id, origin)));
}

pub(crate) fn parse_origin(row: &[u8]) -> StoreResult<(Uuid, Origin)> {
    decode(row, "origins")
}

/// Bytes of a key, for maps.
pub(crate) fn chat_key(conversation: &Conversation) -> Bytes {
    keys::chat(conversation.connector, &conversation.chat)
}
