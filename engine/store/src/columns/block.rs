//! The packed columns of 65,536 serials of one tenant: words, times and, where any of them has an external id, two columns of
//! fingerprint halves. It also knows how often each word occurs, so that a count seldom reads the words.

use pombo_domain::Timestamp;
use pombo_domain::ports::StoreResult;

use super::word::Pattern;
use crate::codec::damaged;

/// Serials in a block.
pub(crate) const BLOCK: usize = 1 << 16;

/// A set of a block's messages, a bit each.
pub(crate) type Mask = [u64; BLOCK / 64];

/// One message's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) word: u32,
    pub(crate) at: Timestamp,
    /// Fingerprint of the external id; never 0.
    pub(crate) print: Option<u64>,
}

/// Times as milliseconds since the first, while they fit.
#[derive(Clone, Debug)]
enum Times {
    Narrow { base: i64, offsets: Vec<u32> },
    Wide(Vec<i64>),
}

impl Times {
    fn get(&self, i: usize) -> i64 {
        match self {
            Self::Narrow { base, offsets } => base + i64::from(offsets[i]),
            Self::Wide(all) => all[i],
        }
    }
    fn push(&mut self, at: i64) {
        match self {
            Self::Narrow { base, offsets } => {
                if offsets.is_empty() {
                    *base = at;
                }
                match u32::try_from(at - *base) {
                    Ok(offset) => offsets.push(offset),
                    Err(_) => {
                        let mut all: Vec<i64> = offsets.iter().map(|o| *base + i64::from(*o)).collect();
                        all.push(at);
                        *self = Self::Wide(all);
                    }
                }
            }
            Self::Wide(all) => all.push(at),
        }
    }
}

/// How often each word occurs; gives up where a block has too many different ones.
#[derive(Clone, Debug, Default)]
struct Histogram {
    counts: Vec<(u32, u32)>,
    overflown: bool,
}

impl Histogram {
    const MOST: usize = 256;

    fn add(&mut self, word: u32) {
        if self.overflown {
            return;
        }
        match self.counts.iter().position(|(w, _)| *w == word) {
            Some(i) => {
                self.counts[i].1 += 1;
                // Frequent words drift to the front, where they are found at once.
                if i > 0 && self.counts[i].1 > self.counts[i - 1].1 {
                    self.counts.swap(i, i - 1);
                }
            }
            None if self.counts.len() == Self::MOST => *self = Self { counts: Vec::new(), overflown: true },
            None => self.counts.push((word, 1)),
        }
    }
    fn remove(&mut self, word: u32) {
        if let Some(i) = self.counts.iter().position(|(w, _)| *w == word) {
            self.counts[i].1 -= 1;
            if self.counts[i].1 == 0 {
                self.counts.swap_remove(i);
            }
        }
    }
    fn count(&self, pattern: Pattern) -> Option<u64> {
        (!self.overflown)
            .then(|| self.counts.iter().filter(|(w, _)| pattern.matches(*w)).map(|(_, n)| u64::from(*n)).sum())
    }
}

/// The columns of a block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    words: Vec<u32>,
    times: Times,
    prints: Option<(Vec<u32>, Vec<u32>)>,
    histogram: Histogram,
    /// The first delta in the log that the stored image lacks; `None` when the image has all.
    pub(crate) dirty_since: Option<u64>,
}

impl Block {
    pub(crate) fn new() -> Self {
        Self {
            words: Vec::new(),
            times: Times::Narrow { base: 0, offsets: Vec::new() },
            prints: None,
            histogram: Histogram::default(),
            dirty_since: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    pub(crate) fn push(&mut self, row: Row) {
        self.words.push(row.word);
        self.times.push(row.at.0);
        if row.print.is_some() && self.prints.is_none() {
            self.prints = Some((vec![0; self.words.len() - 1], vec![0; self.words.len() - 1]));
        }
        if let Some((low, high)) = &mut self.prints {
            let print = row.print.unwrap_or(0);
            low.push(print as u32);
            high.push((print >> 32) as u32);
        }
        self.histogram.add(row.word);
    }

    /// Replaces a word. Returns the old one.
    pub(crate) fn set(&mut self, i: usize, word: u32) -> u32 {
        let old = std::mem::replace(&mut self.words[i], word);
        if old != word {
            self.histogram.remove(old);
            self.histogram.add(word);
        }
        old
    }

    pub(crate) fn word(&self, i: usize) -> u32 {
        self.words[i]
    }

    pub(crate) fn row(&self, i: usize) -> Row {
        let print = self.prints.as_ref().map(|(low, high)| u64::from(low[i]) | (u64::from(high[i]) << 32));
        Row { word: self.words[i], at: Timestamp(self.times.get(i)), print: print.filter(|p| *p != 0) }
    }

    /// How many of its first rows are older than `at` (times never decrease).
    pub(crate) fn older_than(&self, at: Timestamp) -> usize {
        let (mut low, mut high) = (0, self.words.len());
        while low < high {
            let middle = (low + high) / 2;
            if self.times.get(middle) < at.0 { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// How many rows match, where that is known without reading them.
    pub(crate) fn known_count(&self, pattern: Pattern) -> Option<u64> {
        if pattern.is_any() { Some(self.words.len() as u64) } else { self.histogram.count(pattern) }
    }

    /// Whether any row may have an external id.
    pub(crate) fn has_prints(&self) -> bool {
        self.prints.is_some()
    }

    /// Calls `found` for the matching rows of `range`, newest first.
    pub(crate) fn each(
        &self,
        range: std::ops::Range<usize>,
        pattern: Pattern,
        print: Option<u64>,
        mask: Option<&Mask>,
        mut found: impl FnMut(usize) -> std::ops::ControlFlow<()>,
    ) {
        if let Some(print) = print {
            let Some((low, high)) = &self.prints else { return };
            let (want_low, want_high) = (print as u32, (print >> 32) as u32);
            let mut end = range.end;
            while let Some(i) = memrchr_u32(&low[range.start..end], want_low) {
                let i = range.start + i;
                end = i;
                let masked = mask.is_none_or(|m| m[i / 64] >> (i % 64) & 1 == 1);
                if high[i] == want_high && masked && pattern.matches(self.words[i]) && found(i).is_break() {
                    return;
                }
            }
        } else if let Some(mask) = mask {
            for chunk in (range.start / 64..range.end.div_ceil(64)).rev() {
                let mut bits = mask[chunk];
                while bits != 0 {
                    let top = 63 - bits.leading_zeros() as usize;
                    bits &= !(1 << top);
                    let i = chunk * 64 + top;
                    if range.contains(&i) && pattern.matches(self.words[i]) && found(i).is_break() {
                        return;
                    }
                }
            }
        } else {
            for i in range.rev() {
                if pattern.matches(self.words[i]) && found(i).is_break() {
                    return;
                }
            }
        }
    }

    /// How many rows of `range` match.
    pub(crate) fn count(
        &self,
        range: std::ops::Range<usize>,
        pattern: Pattern,
        print: Option<u64>,
        mask: Option<&Mask>,
    ) -> u64 {
        if print.is_none() && mask.is_none() {
            if range == (0..self.words.len())
                && let Some(count) = self.known_count(pattern)
            {
                return count;
            }
            return self.words[range].iter().filter(|w| pattern.matches(**w)).count() as u64;
        }
        if let (None, Some(mask)) = (print, mask)
            && pattern.is_any()
            && range == (0..self.words.len())
        {
            return mask.iter().map(|bits| u64::from(bits.count_ones())).sum();
        }
        let mut count = 0;
        self.each(range, pattern, print, mask, |_| {
            count += 1;
            std::ops::ControlFlow::Continue(())
        });
        count
    }

    /// The block as stored.
    pub(crate) fn image(&self) -> Vec<u8> {
        let n = self.words.len();
        let mut out = Vec::with_capacity(16 + n * 16);
        out.push(IMAGE);
        out.extend_from_slice(&(n as u32).to_le_bytes());
        out.push(u8::from(self.prints.is_some()));
        words_to(&mut out, &self.words);
        match &self.times {
            Times::Narrow { base, offsets } => {
                out.push(0);
                out.extend_from_slice(&base.to_le_bytes());
                words_to(&mut out, offsets);
            }
            Times::Wide(all) => {
                out.push(1);
                all.iter().for_each(|t| out.extend_from_slice(&t.to_le_bytes()));
            }
        }
        if let Some((low, high)) = &self.prints {
            words_to(&mut out, low);
            words_to(&mut out, high);
        }
        out
    }

    /// Reads what [`Self::image`] wrote.
    pub(crate) fn from_image(bytes: &[u8]) -> StoreResult<Self> {
        Self::parse(bytes).ok_or_else(|| damaged("columns: a malformed block"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut take = |n: usize| {
            let (head, tail) = rest.split_at_checked(n)?;
            rest = tail;
            Some(head)
        };
        if take(1)? != [IMAGE] {
            return None;
        }
        let n = u32::from_le_bytes(take(4)?.try_into().ok()?) as usize;
        if n > BLOCK {
            return None;
        }
        let has_prints = take(1)? == [1];
        let words = words_from(take(n * 4)?);
        let times = if take(1)? == [0] {
            let base = i64::from_le_bytes(take(8)?.try_into().ok()?);
            Times::Narrow { base, offsets: words_from(take(n * 4)?) }
        } else {
            Times::Wide(
                take(n * 8)?.chunks_exact(8).map(|c| i64::from_le_bytes(c.try_into().unwrap_or_default())).collect(),
            )
        };
        let prints = if has_prints { Some((words_from(take(n * 4)?), words_from(take(n * 4)?))) } else { None };
        let mut histogram = Histogram::default();
        words.iter().for_each(|w| histogram.add(*w));
        Some(Self { words, times, prints, histogram, dirty_since: None })
    }
}

/// The format number of an image.
const IMAGE: u8 = 1;

fn words_to(out: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
}

fn words_from(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|c| u32::from_le_bytes(c.try_into().unwrap_or_default())).collect()
}

/// The last position of `wanted`. Whole chunks are compared without a branch, which the compiler turns into vector code.
fn memrchr_u32(words: &[u32], wanted: u32) -> Option<usize> {
    let mut end = words.len();
    while end >= 64 {
        let chunk = &words[end - 64..end];
        if chunk.iter().fold(false, |hit, w| hit | (*w == wanted)) {
            break;
        }
        end -= 64;
    }
    words[..end].iter().rposition(|w| *w == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_reads_back_and_times_widen() {
        let mut block = Block::new();
        for i in 0..500i64 {
            let print = (i % 7 == 3).then_some(0xdead_0000_0000_0000 | i as u64 | 1);
            let at = if i < 400 { i * 10 } else { i * 10 + (1 << 40) };
            block.push(Row { word: (i % 300) as u32, at: Timestamp(at), print });
        }
        let back = Block::from_image(&block.image()).expect("a good image");
        for i in 0..500 {
            assert_eq!(back.row(i), block.row(i), "{i}");
        }
        assert_eq!(block.older_than(Timestamp(35)), 4);
        assert_eq!(block.older_than(Timestamp(1 << 40)), 400);
        assert!(block.histogram.overflown);
        assert!(Block::from_image(&block.image()[..900]).is_err());
    }

    #[test]
    fn the_last_position_is_found_in_any_chunk() {
        let mut words = vec![1u32; 300];
        assert_eq!(memrchr_u32(&words, 9), None);
        for at in [0, 1, 63, 64, 150, 299] {
            words[at] = 9;
            assert_eq!(memrchr_u32(&words, 9), Some(at));
        }
        assert_eq!(memrchr_u32(&[], 9), None);
    }
}
