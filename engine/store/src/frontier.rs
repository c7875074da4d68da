//! Where the live part of a queue begins. A queue is consumed from its front, which leaves tombstones there; a read that starts
//! at the front would walk over all of them. The frontier remembers, per queue, a key before which nothing lives.
//!
//! Invariant: no entry below the frontier is live. The committer lowers it after a commit that queued something below;
//! readers raise it to the first live entry they found, but never over one that was queued since they began: what they read
//! may be from before it.

use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::Mutex;

use crate::backend::Bytes;

/// The frontiers of several queues of one kind.
pub(crate) struct Frontier<Q: Hash + Eq + Clone> {
    queues: Mutex<HashMap<Q, Mark>>,
}

#[derive(Default)]
struct Mark {
    /// An empty key is before all others.
    key: Vec<u8>,
    /// The readers at present, each with the lowest key that was queued since it began.
    readers: Vec<(u64, Option<Vec<u8>>)>,
    next_reader: u64,
}

/// A reader, from before it reads until it is dropped.
pub(crate) struct Seen<'a, Q: Hash + Eq + Clone> {
    /// Where to begin reading.
    pub(crate) from: Vec<u8>,
    frontier: &'a Frontier<Q>,
    queue: Q,
    reader: u64,
}

impl<Q: Hash + Eq + Clone> Default for Frontier<Q> {
    fn default() -> Self {
        Self { queues: Mutex::default() }
    }
}

impl<Q: Hash + Eq + Clone> Frontier<Q> {
    /// Begins to read a queue.
    pub(crate) fn seen(&self, queue: Q) -> Seen<'_, Q> {
        let mut queues = self.queues.lock();
        let mark = queues.entry(queue.clone()).or_default();
        let reader = mark.next_reader;
        mark.next_reader += 1;
        mark.readers.push((reader, None));
        Seen { from: mark.key.clone(), frontier: self, queue, reader }
    }

    /// The committer queued `key`.
    pub(crate) fn queued(&self, queue: &Q, key: &Bytes) {
        let mut queues = self.queues.lock();
        // Before the first read, the frontier is below all keys.
        let Some(mark) = queues.get_mut(queue) else { return };
        if key[..] < mark.key[..] {
            mark.key = key.to_vec();
        }
        for (_, lowest) in &mut mark.readers {
            if lowest.as_ref().is_none_or(|lowest| key[..] < lowest[..]) {
                *lowest = Some(key.to_vec());
            }
        }
    }
}

impl<Q: Hash + Eq + Clone> Seen<'_, Q> {
    /// The first live entry that the reader found is `first`, or it read up to there without finding any.
    pub(crate) fn found(&self, first: &[u8]) {
        let mut queues = self.frontier.queues.lock();
        let Some(mark) = queues.get_mut(&self.queue) else { return };
        let queued = mark.readers.iter().find(|(reader, _)| *reader == self.reader).and_then(|(_, key)| key.as_deref());
        let live = queued.map_or(first, |key| key.min(first));
        if mark.key.as_slice() < live {
            mark.key = live.to_vec();
        }
    }
}

impl<Q: Hash + Eq + Clone> Drop for Seen<'_, Q> {
    fn drop(&mut self) {
        if let Some(mark) = self.frontier.queues.lock().get_mut(&self.queue) {
            mark.readers.retain(|(reader, _)| *reader != self.reader);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Bytes {
        Bytes::from(text.as_bytes())
    }

    #[test]
    fn a_reader_never_raises_it_over_an_entry_queued_meanwhile() {
        let frontier = Frontier::<u32>::default();
        let at = || frontier.seen(1).from.clone();
        let seen = frontier.seen(1);
        assert!(seen.from.is_empty());
        seen.found(b"m");
        assert_eq!(at(), b"m");

        // Below the frontier: it is lowered, and stays so.
        let stale = frontier.seen(1);
        frontier.queued(&1, &key("c"));
        stale.found(b"z");
        assert_eq!(at(), b"c");

        // Between the frontier and what the reader found: it is raised that far only.
        let stale = frontier.seen(1);
        frontier.queued(&1, &key("p"));
        frontier.queued(&1, &key("h"));
        frontier.queued(&1, &key("k"));
        stale.found(b"z");
        assert_eq!(at(), b"h");
        drop(stale);

        frontier.seen(1).found(b"z");
        assert_eq!(at(), b"z", "a later read knows of them");
        assert!(frontier.seen(2).from.is_empty());
    }

    #[test]
    fn readers_do_not_pile_up() {
        let frontier = Frontier::<u32>::default();
        for _ in 0..10 {
            drop(frontier.seen(1));
        }
        assert!(frontier.queues.lock()[&1].readers.is_empty());
    }
}
