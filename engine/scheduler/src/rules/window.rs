//! The part of a connector's ready queue that its lane holds in memory. Pure: knows no store and no task.
//!
//! Invariant: every entry of the queue up to [`Covers`] is in the window, unless it was taken. Entries past it are only on
//! disk and are found by reading on from there, so what was claimed before is never read again. A new entry before the end
//! always joins; where that overflows the window, the last entry leaves and the end moves back to the one before it, from
//! where reading goes on. Memory is bounded by twice the capacity, whatever the queue's length.
//!
//! An entry in the window may be gone from the queue already (canceled, or noted late): the task that takes it checks its state.

use std::collections::BTreeSet;

use pombo_domain::model::message::ReadyOrder;
use pombo_domain::ports::ReadyEntry;

/// How far the window reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Covers {
    /// Nothing was read yet.
    Nothing,
    /// Up to this place, included.
    UpTo(ReadyOrder),
    /// The whole queue.
    All,
}

impl Covers {
    fn reaches(self, order: ReadyOrder) -> bool {
        match self {
            Self::Nothing => false,
            Self::UpTo(end) => order <= end,
            Self::All => true,
        }
    }
}

/// Entries past the end that were noted while the store was being read.
#[derive(Debug, Default)]
struct Skipped {
    entries: BTreeSet<ReadyEntry>,
    /// The smallest that did not fit.
    lost: Option<ReadyOrder>,
}

#[derive(Debug)]
struct Refill {
    from: Covers,
    limit: usize,
    skipped: Skipped,
}

/// What to read from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefillRequest {
    /// Read the entries after this one; from the head with `None`.
    pub after: Option<ReadyOrder>,
    /// Read at most this many entries.
    pub limit: usize,
}

/// A bounded, ordered view of the head of a ready queue.
#[derive(Debug)]
pub struct Window {
    entries: BTreeSet<ReadyEntry>,
    covers: Covers,
    capacity: usize,
    refill: Option<Refill>,
}

impl Window {
    /// An empty window of at least one entry.
    pub fn new(capacity: usize) -> Self {
        Self { entries: BTreeSet::new(), covers: Covers::Nothing, capacity: capacity.max(1), refill: None }
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    /// Whether it holds no entry; there may be more on disk.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    /// Whether the queue may hold more than the window.
    pub fn more_on_disk(&self) -> bool {
        self.covers != Covers::All
    }
    /// The head of the queue, as far as the window knows it.
    pub fn first(&self) -> Option<ReadyEntry> {
        self.entries.first().copied()
    }

    /// An entry joined the queue (or comes back because its claim was not stored).
    pub fn note(&mut self, entry: ReadyEntry) {
        if self.covers.reaches(entry.order) {
            self.entries.insert(entry);
            self.shrink();
        } else if let Some(refill) = &mut self.refill {
            let skipped = &mut refill.skipped;
            skipped.entries.insert(entry);
            if skipped.entries.len() > self.capacity
                && let Some(last) = skipped.entries.pop_last()
            {
                skipped.lost = Some(skipped.lost.map_or(last.order, |lost| lost.min(last.order)));
            }
        }
    }

    /// An entry left the queue.
    pub fn forget(&mut self, entry: &ReadyEntry) {
        self.entries.remove(entry);
        if let Some(refill) = &mut self.refill {
            refill.skipped.entries.remove(entry);
        }
    }

    fn shrink(&mut self) {
        while self.entries.len() > self.capacity {
            self.entries.pop_last();
            if let Some(last) = self.entries.last() {
                self.covers = Covers::UpTo(last.order);
            }
        }
    }

    /// What to read so that at least `want` entries are held; `None` when that is so, or there is nothing to read. After the
    /// read, call [`Self::finish_refill`] or [`Self::abort_refill`]; entries may be noted in the meantime.
    pub fn begin_refill(&mut self, want: usize) -> Option<RefillRequest> {
        if self.covers == Covers::All || self.entries.len() >= want.min(self.capacity) {
            return None;
        }
        let limit = self.capacity - self.entries.len();
        self.refill = Some(Refill { from: self.covers, limit, skipped: Skipped::default() });
        let after = match self.covers {
            Covers::UpTo(end) => Some(end),
            Covers::Nothing | Covers::All => None,
        };
        Some(RefillRequest { after, limit })
    }

    /// The read failed.
    pub fn abort_refill(&mut self) {
        self.refill = None;
    }

    /// What the read found, in order.
    pub fn finish_refill(&mut self, mut found: Vec<ReadyEntry>) {
        let Some(refill) = self.refill.take() else { return };
        if self.covers != refill.from {
            // The end has moved back: the window is full of earlier entries, and what was read leaves a gap.
            return;
        }
        let mut covers = match found.last() {
            Some(last) if found.len() >= refill.limit => Covers::UpTo(last.order),
            _ => Covers::All,
        };
        let Skipped { entries: mut skipped, lost } = refill.skipped;
        if let Some(lost) = lost.filter(|lost| covers.reaches(*lost)) {
            // One that was not kept may be missing from the read: reach only up to the last known one before it.
            found.retain(|entry| entry.order < lost);
            skipped.retain(|entry| entry.order < lost);
            covers = match found.last().max(skipped.last()) {
                Some(last) => Covers::UpTo(last.order),
                None => refill.from,
            };
        }
        self.covers = covers;
        self.entries.extend(found);
        self.entries.extend(skipped.into_iter().filter(|entry| covers.reaches(entry.order)));
        self.shrink();
    }

    /// Takes the first entries: direct ones up to `direct`, then others up to `normal`. The window then no longer holds them.
    pub fn take(&mut self, direct: usize, normal: usize) -> Vec<ReadyEntry> {
        let mut taken = Vec::new();
        let (mut direct, mut normal) = (direct, normal);
        while let Some(first) = self.entries.first() {
            let room = if first.order.is_direct() { &mut direct } else { &mut normal };
            if *room == 0 {
                break;
            }
            *room -= 1;
            taken.extend(self.entries.pop_first());
        }
        taken
    }
}
