//! Where the live part of a queue begins. A queue is eaten from its front, which leaves tombstones there; a read that starts
//! at the front would walk over all of them. The frontier remembers, per queue, a key before which nothing lives.
//!
//! Invariant: no entry below the frontier is live. The committer lowers it after a commit that queued something below;
//! readers raise it to the first live entry they found, unless the committer lowered it meanwhile.

use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::Mutex;

use crate::backend::Bytes;

/// The frontiers of several queues of one kind.
pub(crate) struct Frontier<Q> {
    queues: Mutex<HashMap<Q, Mark>>,
}

#[derive(Clone, Default)]
struct Mark {
    key: Lowest,
    lowered: u64,
}

/// An empty key stands before all others.
type Lowest = Vec<u8>;

/// What a reader saw before it read.
pub(crate) struct Seen {
    pub(crate) from: Vec<u8>,
    lowered: u64,
}

impl<Q> Default for Frontier<Q> {
    fn default() -> Self {
        Self { queues: Mutex::default() }
    }
}

impl<Q: Hash + Eq + Clone> Frontier<Q> {
    /// Where to begin reading.
    pub(crate) fn seen(&self, queue: &Q) -> Seen {
        let mark = self.queues.lock().get(queue).cloned().unwrap_or_default();
        Seen { from: mark.key, lowered: mark.lowered }
    }

    /// A reader began at `seen` and found `first` alive first, or reached `end` without finding any.
    pub(crate) fn found(&self, queue: Q, seen: &Seen, first: &[u8]) {
        let mut queues = self.queues.lock();
        let mark = queues.entry(queue).or_default();
        if mark.lowered == seen.lowered && mark.key.as_slice() < first {
            mark.key = first.to_vec();
        }
    }

    /// The committer queued `key`.
    pub(crate) fn queued(&self, queue: &Q, key: &Bytes) {
        if let Some(mark) = self.queues.lock().get_mut(queue)
            && key[..] < mark.key[..]
        {
            mark.key = key.to_vec();
            mark.lowered += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_never_raises_it_over_an_entry_queued_meanwhile() {
        let frontier = Frontier::<u32>::default();
        let seen = frontier.seen(&1);
        assert!(seen.from.is_empty());
        frontier.found(1, &seen, b"m");
        assert_eq!(frontier.seen(&1).from, b"m");

        let stale = frontier.seen(&1);
        frontier.queued(&1, &Bytes::from(&b"c"[..]));
        frontier.found(1, &stale, b"z");
        assert_eq!(frontier.seen(&1).from, b"c");

        frontier.queued(&1, &Bytes::from(&b"d"[..]));
        assert_eq!(frontier.seen(&1).from, b"c");
        assert!(frontier.seen(&2).from.is_empty());
    }
}
