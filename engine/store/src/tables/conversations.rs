//! Conversations, each with its lanes, and their keys by chat and by tenant; what automations left in them; which automation
//! sent a message.
//!
//! A conversation's row holds its lanes, because whatever happens in a lane changes the conversation or is asked with it: one
//! row is read and written for both. Invariant: a lane is there exactly while it has work; it names its first and last item.

use pombo_domain::model::{Conversation, Origin};
use pombo_domain::ports::{ConversationFilter, StoreResult};
use pombo_domain::{AutomationIndex, ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::backend::{Backend, Bytes, KeyRange, Order};
use crate::codec::{FORMAT, bad_key, damaged, decode, encode as encode_row};
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::staged::Staged;

const WHAT: &str = "conversations";

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
    encode_row(&(&stored.conversation, &stored.lanes))
}

pub(crate) fn parse(row: &[u8]) -> StoreResult<Stored> {
    decode(row, WHAT)
}

pub(crate) fn put(staged: &mut Staged<'_>, stored: &Stored) {
    staged.put(Space::Conversations, keys::conversation(stored.conversation.id).bytes(), encode(stored));
}

/// The keys by which a conversation is found. They never change.
pub(crate) fn put_keys(staged: &mut Staged<'_>, conversation: &Conversation) {
    let Conversation { id, tenant, connector, .. } = *conversation;
    let chat = keys::chat(connector, &conversation.chat);
    staged.put(Space::Conversations, chat, id.as_bytes().to_vec());
    let listed = keys::of_tenant(keys::CONVERSATION_OF, tenant).uuid(id).bytes();
    staged.put(Space::Conversations, listed, Vec::new());
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

fn matches(conversation: &Conversation, filter: &ConversationFilter) -> bool {
    filter.connector.is_none_or(|connector| conversation.connector == connector)
        && filter.paused.is_none_or(|paused| conversation.handover.is_some() == paused)
        && filter.tag.as_ref().is_none_or(|tag| conversation.tags.binary_search(tag).is_ok())
        && filter.assignee.as_ref().is_none_or(|who| conversation.assignee.as_ref() == Some(who))
}

/// A tenant's conversations after `after`, and how far it looked; `None` at the end.
pub(crate) fn list(
    backend: &dyn Backend,
    tenant: TenantIndex,
    filter: &ConversationFilter,
    after: Option<Uuid>,
    limit: usize,
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
        let stored = read(backend, id)?.ok_or_else(|| damaged("conversations: a row is missing"))?;
        (looked, at) = (looked + 1, Some(id));
        if matches(&stored.conversation, filter) {
            found.push(stored.conversation);
        }
    }
    Ok((found, None))
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
