//! Rows that are read soon after a commit: items that it wrote or that became the first of their lane, and what automations left in
//! conversations, each read for every event. The committer alone puts them here, after a commit; a row that is not here is read from
//! the backend.
//!
//! Invariant: a row that is here is the one on disk. A key that was deleted, or whose row is too large, is not here.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::backend::{Bytes, Write};
use crate::keys;
use crate::space::Space;

/// Rows and their bytes after which the older half is let go: between this and twice as much is kept.
const MOST: usize = 8192;
const BYTES: usize = 4 << 20;
/// The longest row that is kept.
const LONGEST: usize = 4096;

/// The rows, a younger and an older half.
#[derive(Default)]
pub(crate) struct RowCache(Mutex<[Half; 2]>);

#[derive(Default)]
struct Half {
    rows: HashMap<Bytes, Bytes>,
    bytes: usize,
}

/// A change of a row that is kept here: put, or gone.
pub(crate) type Change = (Bytes, Option<Bytes>);

/// Whether the rows under this key are kept here. Keys of both spaces differ in their first byte.
fn is_kept(space: Space, key: &[u8]) -> bool {
    match space {
        Space::Work => key.first() == Some(&keys::TASK),
        Space::Conversations => key.first() == Some(&keys::AUTOMATION_STATE),
        _ => false,
    }
}

/// What of a group's writes concerns the rows here.
pub(crate) fn changes(writes: &[Write]) -> Vec<Change> {
    let kept = writes.iter().filter(|write| is_kept(write.space, &write.key));
    kept.map(|write| (write.key.clone(), write.value.clone())).collect()
}

impl RowCache {
    pub(crate) fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.0.lock().iter().find_map(|half| half.rows.get(key)).cloned()
    }

    /// What a commit did is on disk.
    pub(crate) fn changed(&self, changes: Vec<Change>) {
        let mut halves = self.0.lock();
        for (key, row) in changes {
            match row.filter(|row| row.len() <= LONGEST) {
                Some(row) => {
                    if halves[0].rows.len() >= MOST || halves[0].bytes >= BYTES {
                        halves.swap(0, 1);
                        halves[0] = Half::default();
                    }
                    let young = &mut halves[0];
                    young.bytes += key.len() + row.len();
                    if let Some(old) = young.rows.insert(key, row) {
                        young.bytes = young.bytes.saturating_sub(old.len());
                    }
                }
                None => {
                    for half in halves.iter_mut() {
                        if let Some(old) = half.rows.remove(&key) {
                            half.bytes = half.bytes.saturating_sub(key.len() + old.len());
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Bytes {
        Bytes::from(n.to_be_bytes().to_vec())
    }

    fn row(text: &str) -> Option<Bytes> {
        Some(Bytes::from(text.as_bytes()))
    }

    #[test]
    fn the_newest_row_is_found_and_what_is_gone_is_not() {
        let rows = RowCache::default();
        rows.changed(vec![(key(0), row("old")), (key(1), row("one"))]);
        // The younger half is full: the next change begins another.
        rows.changed((2..MOST).map(|n| (key(n), row("x"))).collect());
        rows.changed(vec![(key(0), row("new"))]);
        assert_eq!(rows.get(&key(0)), row("new"), "the older half has another");
        assert_eq!(rows.get(&key(1)), row("one"));
        rows.changed(vec![(key(0), None), (key(1), Some(Bytes::from(vec![b'x'; LONGEST + 1])))]);
        assert_eq!((rows.get(&key(0)), rows.get(&key(1))), (None, None), "gone from both halves");
        rows.changed((0..3 * MOST).map(|n| (key(MOST + n), row("x"))).collect());
        assert_eq!(rows.get(&key(2)), None, "old ones are let go");
        assert_eq!(rows.get(&key(4 * MOST - 1)), row("x"));
    }

    #[test]
    fn large_rows_count_by_their_bytes() {
        let rows = RowCache::default();
        let large = || Some(Bytes::from(vec![b'x'; LONGEST]));
        rows.changed((0..3 * BYTES / LONGEST).map(|n| (key(n), large())).collect());
        assert_eq!(rows.get(&key(0)), None);
        let kept: usize = rows.0.lock().iter().map(|half| half.bytes).sum();
        assert!(kept <= 2 * (BYTES + LONGEST + 8), "{kept}");
    }

    #[test]
    fn only_items_and_states_are_kept() {
        use pombo_domain::AutomationIndex;
        use uuid::Uuid;
        let write = |space, key: Bytes| Write { space, key, value: row("x") };
        let id = Uuid::from_u128(1);
        let state = keys::automation_state(id, AutomationIndex(3)).bytes();
        let item = keys::task(pombo_domain::model::TaskKey { conversation: id, lane: 0, number: 7 }).bytes();
        let others = [
            write(Space::Conversations, keys::conversation(id).bytes()),
            write(Space::Messages, Bytes::from(&[keys::TASK][..])),
            write(Space::Conversations, state.clone()),
            write(Space::Work, item.clone()),
        ];
        let kept: Vec<Bytes> = changes(&others).into_iter().map(|(key, _)| key).collect();
        assert_eq!(kept, [state, item]);
    }
}
