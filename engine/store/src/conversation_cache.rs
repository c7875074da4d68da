//! Conversations that a recent commit changed, as they are on disk: the committer and the automations' runner would otherwise read and
//! decode them again for each event. The committer alone puts them here, after a commit.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::backend::Bytes;
use crate::tables::conversations::{Stored, chat_key};

/// How many are kept before the older half is let go: between this and twice as many.
const MOST: usize = 4096;

/// The conversations, a younger and an older half.
#[derive(Default)]
pub(crate) struct ConversationCache(Mutex<[Half; 2]>);

#[derive(Default)]
struct Half {
    conversations: HashMap<Uuid, Arc<Stored>>,
    chats: HashMap<Bytes, Uuid>,
}

impl ConversationCache {
    pub(crate) fn get(&self, id: Uuid) -> Option<Arc<Stored>> {
        self.0.lock().iter().find_map(|half| half.conversations.get(&id)).cloned()
    }

    /// The conversation under a [`crate::keys::chat`] key.
    pub(crate) fn with(&self, chat: &[u8]) -> Option<Uuid> {
        self.0.lock().iter().find_map(|half| half.chats.get(chat)).copied()
    }

    /// What a commit did is on disk: conversations as they were before it and as they are now; `None` where they were not there, or are
    /// gone.
    pub(crate) fn changed(&self, conversations: impl Iterator<Item = (Option<Arc<Stored>>, Option<Arc<Stored>>)>) {
        let mut halves = self.0.lock();
        for (before, now) in conversations {
            if let Some(before) =
                before.filter(|before| now.as_ref().is_none_or(|now| now.conversation.chat != before.conversation.chat))
            {
                let chat = chat_key(&before.conversation);
                for half in halves.iter_mut() {
                    half.chats.remove(&chat);
                    half.conversations.remove(&before.conversation.id);
                }
            }
            let Some(stored) = now else { continue };
            if halves[0].conversations.len() >= MOST {
                halves.swap(0, 1);
                halves[0] = Half::default();
            }
            let chat = chat_key(&stored.conversation);
            let id = stored.conversation.id;
            if halves[0].conversations.insert(id, stored).is_none() {
                halves[0].chats.insert(chat, id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pombo_domain::model::Conversation;
    use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};

    fn stored(id: u128, next_task: u64) -> Arc<Stored> {
        let (tenant, connector) = (TenantIndex(1), ConnectorIndex(2));
        let new = Conversation::new(Uuid::from_u128(id), tenant, connector, id.to_string(), false, Timestamp(0));
        Arc::new(Stored { conversation: Conversation { next_task, ..new }, lanes: Vec::new() })
    }

    fn new(id: u128) -> (Option<Arc<Stored>>, Option<Arc<Stored>>) {
        (None, Some(stored(id, 0)))
    }

    #[test]
    fn the_newest_version_is_found_and_old_ones_are_let_go() {
        let cache = ConversationCache::default();
        let most = MOST as u128;
        cache.changed((0..most).map(new));
        cache.changed([(Some(stored(0, 0)), Some(stored(0, 7))), new(most)].into_iter());
        assert_eq!(cache.get(Uuid::from_u128(0)), Some(stored(0, 7)), "the older half has another");
        assert_eq!(cache.with(&crate::keys::chat(ConnectorIndex(2), "5")), Some(Uuid::from_u128(5)));
        cache.changed((most..3 * most).map(new));
        assert_eq!(cache.get(Uuid::from_u128(0)), None);
        assert_eq!(cache.with(&crate::keys::chat(ConnectorIndex(2), "5")), None);
        assert!(cache.get(Uuid::from_u128(3 * most - 1)).is_some());
    }

    #[test]
    fn a_conversation_that_is_gone_or_has_another_address_is_not_found_by_the_old_one() {
        let cache = ConversationCache::default();
        let key = |chat: &str| crate::keys::chat(ConnectorIndex(2), chat);
        cache.changed([new(1), new(2)].into_iter());
        let renamed = |stored: &Stored| {
            let conversation = Conversation { chat: "new".to_owned(), ..stored.conversation.clone() };
            Arc::new(Stored { conversation, lanes: Vec::new() })
        };
        let now = renamed(&stored(1, 0));
        cache.changed([(Some(stored(1, 0)), Some(now)), (Some(stored(2, 0)), None)].into_iter());
        assert_eq!((cache.with(&key("1")), cache.with(&key("new"))), (None, Some(Uuid::from_u128(1))));
        assert_eq!((cache.with(&key("2")), cache.get(Uuid::from_u128(2))), (None, None));
    }
}
