//! The pauses of automations that end by themselves, by their ends, in memory. On disk there is a row for each, from which this is built when
//! the store opens; the committer changes both with the conversations. Memory grows with the conversations that are answered on a phone at
//! present.
//!
//! Invariant: a pause is here, and has its row, exactly while its conversation has it.

use std::collections::BTreeSet;
use std::ops::Bound;

use parking_lot::RwLock;
use pombo_domain::Timestamp;
use pombo_domain::model::Conversation;
use pombo_domain::ports::{PauseEnd, StoreResult};

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::bad_key;
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;
use crate::tables::conversations::Stored;

/// The pauses that end by themselves.
#[derive(Default)]
pub(crate) struct Pauses(RwLock<BTreeSet<PauseEnd>>);

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

fn behind(after: Option<PauseEnd>) -> (Bound<PauseEnd>, Bound<PauseEnd>) {
    (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

impl Pauses {
    /// Finds them by their rows.
    pub(crate) fn open(backend: &dyn Backend) -> StoreResult<Self> {
        let ends = backend.scan(Space::Work, KeyRange::prefix(&[keys::PAUSE_END]), Order::Forward);
        let ends = ends.map(|row| keys::parse_pause_end(&row?.0).ok_or_else(|| bad_key("pauses")));
        Ok(Self(RwLock::new(ends.collect::<StoreResult<_>>()?)))
    }

    /// What a commit did to conversations is on disk; `None` where they were not there before, or are gone.
    pub(crate) fn changed<'a>(&self, changes: impl Iterator<Item = (Option<&'a Stored>, Option<&'a Stored>)>) {
        let end = |stored: Option<&Stored>| stored.and_then(|stored| end_of(&stored.conversation));
        for (before, now) in changes.map(|(before, now)| (end(before), end(now))).filter(|(before, now)| before != now)
        {
            let mut ends = self.0.write();
            if let Some(before) = before {
                ends.remove(&before);
            }
            ends.extend(now);
        }
    }

    /// Those behind `after` that end up to and including `until`, the first to end first.
    pub(crate) fn ending(&self, until: Timestamp, after: Option<PauseEnd>, limit: usize) -> Vec<PauseEnd> {
        let ends = self.0.read();
        ends.range(behind(after)).take_while(|end| end.at <= until).take(limit).copied().collect()
    }

    /// When the next one behind `after` ends.
    pub(crate) fn next(&self, after: Option<PauseEnd>) -> Option<Timestamp> {
        self.0.read().range(behind(after)).next().map(|end| end.at)
    }

    pub(crate) fn all(&self) -> BTreeSet<PauseEnd> {
        self.0.read().clone()
    }
}

#[cfg(test)]
mod tests {
    use pombo_domain::model::Handover;
    use pombo_domain::model::conversation::PHONE;
    use pombo_domain::{ConnectorIndex, TenantIndex};
    use uuid::Uuid;

    use super::*;

    fn stored(id: u128, until: Option<i64>) -> Stored {
        let (id, connector, at) = (Uuid::from_u128(id), ConnectorIndex(1), Timestamp(0));
        let mut conversation = Conversation::new(id, TenantIndex(1), connector, id.to_string(), false, at);
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
        let (a, b, none) = (stored(1, Some(9)), stored(2, Some(5)), stored(3, None));
        pauses.changed([(None, Some(&a)), (None, Some(&b)), (None, Some(&none))].into_iter());
        let ids = |until| -> Vec<u128> {
            pauses.ending(Timestamp(until), None, 9).iter().map(|end| end.conversation.as_u128()).collect()
        };
        assert_eq!((ids(4), ids(5), ids(9), pauses.next(None)), (vec![], vec![2], vec![2, 1], Some(Timestamp(5))));
        assert_eq!(pauses.ending(Timestamp(9), None, 1).len(), 1);
        let (first, last) = (end_of(&b.conversation), end_of(&a.conversation));
        assert_eq!(
            (pauses.ending(Timestamp(9), first, 9), pauses.next(first)),
            (Vec::from_iter(last), Some(Timestamp(9)))
        );
        assert_eq!((pauses.ending(Timestamp(9), last, 9), pauses.next(last)), (vec![], None));
        let (moved, over) = (stored(1, Some(20)), stored(2, None));
        pauses.changed([(Some(&a), Some(&moved)), (Some(&b), Some(&over))].into_iter());
        assert_eq!((ids(19), ids(20)), (vec![], vec![1]));
        pauses.changed([(Some(&moved), None)].into_iter());
        assert_eq!((pauses.next(None), pauses.all().len()), (None, 0));
    }
}
