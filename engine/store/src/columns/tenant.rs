//! A tenant's columns: its blocks, and the one scan that answers a page and an exact total.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use pombo_domain::Timestamp;
use pombo_domain::model::Status;

use super::block::{BLOCK, Block, Mask, Row};
use super::word::{self, Pattern};

/// A filter, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) pattern: Pattern,
    pub(crate) print: Option<u64>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

/// The serials of a page, newest first, and the number of all matches.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) serials: Vec<u64>,
    pub(crate) total: u64,
}

/// A tenant's columns.
#[derive(Default)]
pub(crate) struct TenantColumns {
    blocks: Vec<Block>,
    counts: [u64; 8],
}

impl TenantColumns {
    /// Number of messages; the next serial.
    pub(crate) fn len(&self) -> u64 {
        match self.blocks.last() {
            Some(last) => ((self.blocks.len() - 1) * BLOCK + last.len()) as u64,
            None => 0,
        }
    }

    /// When the newest message was created.
    pub(crate) fn last_at(&self) -> Option<Timestamp> {
        self.blocks.last().filter(|b| b.len() > 0).map(|b| b.row(b.len() - 1).at)
    }

    /// Messages by status.
    pub(crate) fn counts(&self) -> [u64; 8] {
        self.counts
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub(crate) fn block_mut(&mut self, block: u32) -> Option<&mut Block> {
        self.blocks.get_mut(block as usize)
    }

    pub(crate) fn word(&self, serial: u64) -> Option<u32> {
        let (block, i) = place(serial);
        self.blocks.get(block).filter(|b| i < b.len()).map(|b| b.word(i))
    }

    pub(crate) fn row(&self, serial: u64) -> Option<Row> {
        let (block, i) = place(serial);
        self.blocks.get(block).filter(|b| i < b.len()).map(|b| b.row(i))
    }

    /// Takes a stored block; they come in order and only the last may be short.
    pub(crate) fn load(&mut self, block: Block) {
        for i in 0..block.len() {
            self.counts[word::status(block.word(i))] += 1;
        }
        self.blocks.push(block);
    }

    /// Appends the row of the next serial, or sets one that is there (a replayed delta). False for a gap.
    pub(crate) fn put(&mut self, serial: u64, row: Row, sequence: u64) -> bool {
        let len = self.len();
        if serial < len {
            return self.set(serial, row.word, sequence);
        }
        if serial > len {
            return false;
        }
        let (block, _) = place(serial);
        if block == self.blocks.len() {
            self.blocks.push(Block::new());
        }
        self.blocks[block].push(row);
        self.blocks[block].dirty_since.get_or_insert(sequence);
        self.counts[word::status(row.word)] += 1;
        true
    }

    /// Sets a word. False when there is no such serial.
    pub(crate) fn set(&mut self, serial: u64, new: u32, sequence: u64) -> bool {
        let (block, i) = place(serial);
        let Some(block) = self.blocks.get_mut(block).filter(|b| i < b.len()) else { return false };
        let old = block.set(i, new);
        block.dirty_since.get_or_insert(sequence);
        self.counts[word::status(old)] -= 1;
        self.counts[word::status(new)] += 1;
        true
    }

    /// The serials between the dates, below `upto`.
    fn bounds(&self, wanted: &Wanted, upto: u64) -> Range<u64> {
        let first_not_older = |at: Timestamp| {
            let block = self.blocks.partition_point(|b| b.len() > 0 && b.row(b.len() - 1).at < at);
            self.blocks.get(block).map_or(self.len(), |b| (block * BLOCK + b.older_than(at)) as u64)
        };
        let start = wanted.from.map_or(0, first_not_older);
        let end = wanted.to.map_or(u64::MAX, |to| first_not_older(to.plus_ms(1)));
        start..end.min(upto).min(self.len())
    }

    /// The blocks that `range` touches, newest first, with the part of each.
    fn parts(range: Range<u64>) -> impl Iterator<Item = (usize, Range<usize>)> {
        let blocks = if range.is_empty() { 0..0 } else { place(range.start).0..place(range.end - 1).0 + 1 };
        blocks.rev().map(move |block| {
            let base = (block * BLOCK) as u64;
            let start = range.start.saturating_sub(base) as usize;
            let end = (range.end - base).min(BLOCK as u64) as usize;
            (block, start..end)
        })
    }

    /// The blocks in which a row may match, for building masks of them.
    pub(crate) fn candidates(&self, wanted: &Wanted, upto: u64) -> Vec<u32> {
        Self::parts(self.bounds(wanted, upto))
            .filter(|(b, _)| {
                let block = &self.blocks[*b];
                block.known_count(wanted.pattern) != Some(0) && (wanted.print.is_none() || block.has_prints())
            })
            .map(|(b, _)| b as u32)
            .collect()
    }

    /// A page and its total. With `masks`, a block without one has no match.
    pub(crate) fn page(
        &self,
        wanted: &Wanted,
        masks: Option<&HashMap<u32, Box<Mask>>>,
        upto: u64,
        offset: u64,
        limit: usize,
    ) -> Found {
        let mut found = Found::default();
        for (b, range) in Self::parts(self.bounds(wanted, upto)) {
            let block = &self.blocks[b];
            let mask = match masks.map(|m| m.get(&(b as u32))) {
                Some(None) => continue,
                Some(Some(mask)) => Some(&**mask),
                None => None,
            };
            let count = block.count(range.clone(), wanted.pattern, wanted.print, mask);
            let mut skip = offset.saturating_sub(found.total);
            found.total += count;
            if skip >= count || found.serials.len() >= limit {
                continue;
            }
            block.each(range, wanted.pattern, wanted.print, mask, |i| {
                if skip > 0 {
                    skip -= 1;
                    return ControlFlow::Continue(());
                }
                found.serials.push((b * BLOCK + i) as u64);
                if found.serials.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
        }
        found
    }

    /// The serials in a status from `start` on, oldest first.
    pub(crate) fn in_status(&self, status: Status, start: u64, limit: usize, into: &mut Vec<u64>) {
        let pattern = Pattern::of(Some(status), None, None);
        let (first, skip) = place(start);
        for (b, block) in self.blocks.iter().enumerate().skip(first) {
            if block.known_count(pattern) == Some(0) {
                continue;
            }
            for i in (if b == first { skip } else { 0 })..block.len() {
                if into.len() >= limit {
                    return;
                }
                if pattern.matches(block.word(i)) {
                    into.push((b * BLOCK + i) as u64);
                }
            }
        }
    }
}

fn place(serial: u64) -> (usize, usize) {
    ((serial >> 16) as usize, (serial & 0xffff) as usize)
}
