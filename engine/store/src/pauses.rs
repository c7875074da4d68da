//! The pauses of automations that end by themselves, in memory: their ends are waited for, and every message that is about to be sent asks
//! whether its conversation is among them. On disk there is a row for each, from which this is built when the store opens; the committer
//! changes both with the conversations. Memory grows with the conversations that are answered on a phone at present.
//!
//! Invariant: a pause is here, and has its row, exactly while its conversation has it.

use std::collections::{BTreeSet, HashMap};

use parking_lot::RwLock;
use pombo_domain::model::Conversation;
use pombo_domain::ports::{PauseEnd, StoreResult};
use pombo_domain::{ConnectorIndex, Timestamp};
use uuid::Uuid;

use crate::backend::{Backend, Bytes, KeyRange, Order};
use crate::codec::bad_key;
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;
use crate::tables::conversations::{self, Stored, chat_key};

/// The pauses that end by themselves.
#[derive(Default)]
pub(crate) struct Pauses(RwLock<Known>);

#[derive(Default)]
struct Known {
    ends: BTreeSet<PauseEnd>,
    /// The conversations, by their chats' keys.
    chats: HashMap<Bytes, Uuid>,
}

impl Known {
    fn remove(&mut self, conversation: &Conversation) {
        let Some(end) = end_of(conversation) else { return };
        self.ends.remove(&end);
        self.chats.remove(&chat_key(conversation));
    }

    fn add(&mut self, conversation: &Conversation) {
        let Some(end) = end_of(conversation) else { return };
        self.ends.insert(end);
        self.chats.insert(chat_key(conversation), conversation.id);
    }
}

/// The end of a conversation's pause, if it ends by itself.
pub(crate) fn end_of(conversation: &Conversation) -> Option<PauseEnd> {
    conversation.pause_ends_at().map(|at| PauseEnd { at, conversation: conversation.id })
}

/// Lists an end in place of another; `None` where there is none.
pub(crate) fn put_end(staged: &mut Staged<'_>, before: Option<PauseEnd>, now: Option<PauseEnd>) {
    if let Some(end) = before {
        staged.delete(Space::Work, keys::pause_end(end).bytes());
    }
    if let Some(end) = now {
        staged.put(Space::Work, keys::pause_end(end).bytes(), Vec::new());
    }
}

impl Pauses {
    /// Finds them by their rows.
    pub(crate) fn open(backend: &dyn Backend) -> StoreResult<Self> {
        let mut known = Known::default();
        for row in backend.scan(Space::Work, KeyRange::prefix(&[keys::PAUSE_END]), Order::Forward) {
            let end = keys::parse_pause_end(&row?.0).ok_or_else(|| bad_key("pauses"))?;
            if let Some(stored) = conversations::read(backend, end.conversation)? {
                known.add(&stored.conversation);
            }
        }
        Ok(Self(RwLock::new(known)))
    }

    /// What a commit did to conversations is on disk; `None` where they were not there before, or are gone.
    pub(crate) fn changed<'a>(&self, changes: impl Iterator<Item = (Option<&'a Stored>, Option<&'a Stored>)>) {
        let has_one = |stored: Option<&Stored>| stored.is_some_and(|stored| end_of(&stored.conversation).is_some());
        for (before, after) in changes.filter(|(before, after)| has_one(*before) || has_one(*after)) {
            let mut known = self.0.write();
            if let Some(before) = before {
                known.remove(&before.conversation);
            }
            if let Some(after) = after {
                known.add(&after.conversation);
            }
        }
    }

    /// Those that end up to and including `until`, the first to end first.
    pub(crate) fn ending(&self, until: Timestamp, limit: usize) -> Vec<PauseEnd> {
        self.0.read().ends.iter().take_while(|end| end.at <= until).take(limit).copied().collect()
    }

    /// When the next one ends.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.0.read().ends.first().map(|end| end.at)
    }

    /// Whether the conversation of a chat has one.
    pub(crate) fn has(&self, connector: ConnectorIndex, chat: &str) -> bool {
        let known = self.0.read();
        // The key is only made where something may be found by it.
        !known.chats.is_empty() && known.chats.contains_key(&keys::chat(connector, chat))
    }

    pub(crate) fn all(&self) -> BTreeSet<PauseEnd> {
        self.0.read().ends.clone()
    }
}

#[cfg(test)]
mod tests {
    use pombo_domain::TenantIndex;
    use pombo_domain::model::Handover;
    use pombo_domain::model::conversation::PHONE;

    use super::*;

    fn stored(id: u128, chat: &str, until: Option<i64>) -> Stored {
        let id = Uuid::from_u128(id);
        let (connector, at) = (ConnectorIndex(1), Timestamp(0));
        let mut conversation = Conversation::new(id, TenantIndex(1), connector, chat.to_owned(), false, at);
        conversation.handover = until.map(|until| Handover {
            by: PHONE.to_owned(),
            at,
            reason: String::new(),
            until: Some(Timestamp(until)),
        });
        Stored { conversation, lanes: Vec::new() }
    }

    #[test]
    fn they_follow_their_conversations() {
        let pauses = Pauses::default();
        let (a, b, none) = (stored(1, "a", Some(9)), stored(2, "b", Some(5)), stored(3, "c", None));
        pauses.changed([(None, Some(&a)), (None, Some(&b)), (None, Some(&none))].into_iter());
        let ids = |until| -> Vec<u128> {
            pauses.ending(Timestamp(until), 9).iter().map(|end| end.conversation.as_u128()).collect()
        };
        assert_eq!((ids(4), ids(5), ids(9), pauses.next()), (vec![], vec![2], vec![2, 1], Some(Timestamp(5))));
        assert!(pauses.has(ConnectorIndex(1), "a") && !pauses.has(ConnectorIndex(2), "a"));
        assert!(!pauses.has(ConnectorIndex(1), "c"));

        // One is moved on, and its chat is known by another address; the other one is over; none is forgotten by halves.
        let (moved, over) = (stored(1, "x", Some(20)), stored(2, "b", None));
        pauses.changed([(Some(&a), Some(&moved)), (Some(&b), Some(&over))].into_iter());
        assert_eq!((ids(19), ids(20)), (vec![], vec![1]));
        assert!(pauses.has(ConnectorIndex(1), "x") && !pauses.has(ConnectorIndex(1), "a"));
        pauses.changed([(Some(&moved), None)].into_iter());
        assert_eq!((pauses.next(), pauses.has(ConnectorIndex(1), "x")), (None, false));
    }
}
