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

    /// What a commit did is on disk.
    pub(crate) fn changed(&self, conversations: impl Iterator<Item = Arc<Stored>>) {
        let mut halves = self.0.lock();
        for stored in conversations {
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
        let conversation = Conversation {
            id: Uuid::from_u128(id),
            tenant: TenantIndex(1),
            connector: ConnectorIndex(2),
            chat: id.to_string(),
            is_group: false,
            contact_name: None,
            opened_at: Timestamp(0),
            last_event_at: Timestamp(0),
            tags: Vec::new(),
            assignee: None,
            handover: None,
            next_task,
        };
        Arc::new(Stored { conversation, lanes: Vec::new() })
    }

    #[test]
    fn the_newest_version_is_found_and_old_ones_are_let_go() {
        let cache = ConversationCache::default();
        let most = MOST as u128;
        cache.changed((0..most).map(|id| stored(id, 0)));
        cache.changed([stored(0, 7), stored(most, 0)].into_iter());
        assert_eq!(cache.get(Uuid::from_u128(0)), Some(stored(0, 7)), "the older half has another");
        assert_eq!(cache.with(&crate::keys::chat(ConnectorIndex(2), "5")), Some(Uuid::from_u128(5)));
        cache.changed((most..3 * most).map(|id| stored(id, 0)));
        assert_eq!(cache.get(Uuid::from_u128(0)), None);
        assert_eq!(cache.with(&crate::keys::chat(ConnectorIndex(2), "5")), None);
        assert!(cache.get(Uuid::from_u128(3 * most - 1)).is_some());
    }
}
