//! The lanes that have work, by when their first item is due, in memory: asked all the time, and changed twice for an event, so
//! that on disk it would be little but tombstones. It is built from the first item of each lane when the store opens, and changed by
//! the committer after a commit.
//!
//! Invariant: a lane is here exactly while it has work and is not held, with the due time of its first item.

use std::collections::BTreeSet;
use std::ops::Bound;

use parking_lot::RwLock;
use pombo_domain::Timestamp;
use pombo_domain::ports::{DueLane, StoreResult};
use uuid::Uuid;

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::bad_key;
use crate::keys;
use crate::space::Space;
use crate::tables::conversations::{self, Stored};
use crate::tables::tasks;

/// The due lanes.
#[derive(Default)]
pub(crate) struct Lanes(RwLock<BTreeSet<DueLane>>);

/// The lanes of one conversation that are not held, with when they are due.
fn due_of(stored: &Stored) -> impl Iterator<Item = DueLane> {
    let conversation = stored.conversation.id;
    let lanes = stored.lanes.iter().filter(|lane| !lane.held);
    lanes.map(move |lane| DueLane { due_at: lane.due_at, conversation, lane: lane.lane })
}

impl Lanes {
    /// Finds the lanes from the first item of each.
    pub(crate) fn open(backend: &dyn Backend) -> StoreResult<Self> {
        // What a deleted conversation left is never handled.
        let mut deleted = BTreeSet::new();
        for row in backend.scan(Space::Timeline, KeyRange::prefix(&[keys::DELETED]), Order::Forward) {
            deleted.insert(conversations::parse_id(&row?.1)?);
        }
        let mut lanes = BTreeSet::new();
        let mut last = None;
        for row in backend.scan(Space::Work, KeyRange::prefix(&[keys::TASK]), Order::Forward) {
            let (key, row) = row?;
            let key = keys::parse_task(&key).ok_or_else(|| bad_key("work"))?;
            let (conversation, lane) = (key.conversation, key.lane);
            if last.replace((conversation, lane)) != Some((conversation, lane)) && !deleted.contains(&conversation) {
                let head = tasks::head(&row)?;
                lanes.extend((!head.held).then_some(DueLane { due_at: head.due_at, conversation, lane }));
            }
        }
        Ok(Self(RwLock::new(lanes)))
    }

    /// What a commit did to conversations is on disk; `None` where they were not there before, or are gone.
    pub(crate) fn changed<'a>(&self, changes: impl Iterator<Item = (Option<&'a Stored>, Option<&'a Stored>)>) {
        let mut lanes = self.0.write();
        for (before, after) in changes {
            for due in before.into_iter().flat_map(due_of) {
                lanes.remove(&due);
            }
            lanes.extend(after.into_iter().flat_map(due_of));
        }
    }

    /// The lanes due up to and including `until`, after `after`.
    pub(crate) fn due(&self, until: Timestamp, after: Option<DueLane>, limit: usize) -> Vec<DueLane> {
        let end = DueLane { due_at: until, conversation: Uuid::max(), lane: u32::MAX };
        if after.is_some_and(|after| after >= end) {
            return Vec::new();
        }
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.read().range((start, Bound::Included(end))).take(limit).copied().collect()
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.0.read().first().map(|lane| lane.due_at)
    }

    pub(crate) fn all(&self) -> BTreeSet<DueLane> {
        self.0.read().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_and_end_at_the_bound() {
        let lane = |due, id, lane| DueLane { due_at: Timestamp(due), conversation: Uuid::from_u128(id), lane };
        let all = [lane(1, 9, 0), lane(1, 9, 4), lane(2, 1, 0), lane(5, 1, 7)];
        let lanes = Lanes(RwLock::new(all.into()));
        assert_eq!(lanes.due(Timestamp(5), None, 9), all);
        assert_eq!(lanes.due(Timestamp(4), None, 9), all[..3]);
        assert_eq!(lanes.due(Timestamp(5), Some(all[1]), 1), all[2..3]);
        assert!(lanes.due(Timestamp(1), Some(all[3]), 9).is_empty());
        assert!(lanes.due(Timestamp(0), None, 9).is_empty());
        assert_eq!(lanes.next(), Some(Timestamp(1)));
    }
}
