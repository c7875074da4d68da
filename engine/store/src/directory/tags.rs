//! Which of a tenant's conversations have which tags, for the counts.

use std::collections::{BTreeMap, HashMap};

use pombo_domain::model::Conversation;
use uuid::Uuid;

use super::Kept;
use crate::tables::tags::number_of;

/// The conversations that have tags.
#[derive(Default)]
pub(crate) struct TagUse {
    conversations: HashMap<Uuid, Box<[u32]>>,
    counts: BTreeMap<u32, u64>,
    bytes: usize,
}

/// Bytes of a conversation besides its tags, with its share of the map.
const ROW_BYTES: usize = 48;

fn bytes_of(tags: &[u32]) -> usize {
    ROW_BYTES + size_of_val(tags)
}

/// The numbers of the tags that a conversation's row names.
pub(crate) fn tags_of(conversation: &Conversation) -> Box<[u32]> {
    conversation.tags.iter().filter_map(|reference| number_of(reference)).collect()
}

impl Kept for TagUse {
    /// A conversation and the tags that it has.
    type Change = (Uuid, Box<[u32]>);

    fn apply(&mut self, (conversation, tags): Self::Change) {
        for tag in &tags {
            *self.counts.entry(*tag).or_default() += 1;
        }
        let old = if tags.is_empty() {
            self.conversations.remove(&conversation)
        } else {
            self.bytes += bytes_of(&tags);
            self.conversations.insert(conversation, tags)
        };
        let Some(old) = old else { return };
        self.bytes -= bytes_of(&old);
        for tag in old {
            if let Some(count) = self.counts.get_mut(&tag) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&tag);
                }
            }
        }
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl TagUse {
    /// Number of conversations of each tag, deleted tags included.
    pub(crate) fn counts(&self) -> &BTreeMap<u32, u64> {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_the_conversations() {
        let mut tags = TagUse::default();
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        tags.apply((one, Box::new([1, 2])));
        tags.apply((two, Box::new([2])));
        tags.apply((two, Box::new([2])));
        assert_eq!(tags.counts(), &BTreeMap::from([(1, 1), (2, 2)]));
        tags.apply((one, Box::new([3])));
        tags.apply((two, Box::new([])));
        assert_eq!(tags.counts(), &BTreeMap::from([(3, 1)]));
        tags.apply((one, Box::new([])));
        assert!(tags.counts().is_empty() && tags.bytes() == 0);
    }
}
