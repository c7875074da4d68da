//! What the store asks of an ordered key space. It must not know any table: a backend holds bytes by key in a few named
//! spaces, reads them in order and writes a batch atomically and durably. Everything above speaks only this trait, so that
//! a backend other than fjall can stand below it.

use std::ops::Bound;

use pombo_domain::ports::StoreResult;

pub(crate) use crate::bytes::Bytes;
use crate::space::Space;

/// One row to put (`Some`) or to delete (`None`).
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) space: Space,
    pub(crate) key: Bytes,
    pub(crate) value: Option<Bytes>,
}

/// A range of keys.
#[derive(Clone, Debug)]
pub(crate) struct KeyRange {
    pub(crate) start: Bound<Bytes>,
    pub(crate) end: Bound<Bytes>,
}

impl KeyRange {
    /// All keys that start with `prefix`.
    pub(crate) fn prefix(prefix: &[u8]) -> Self {
        Self { start: Bound::Included(Bytes::from(prefix)), end: after_prefix(prefix) }
    }
    /// This range from `start` (included) on.
    pub(crate) fn from(mut self, start: &[u8]) -> Self {
        self.start = Bound::Included(Bytes::from(start));
        self
    }
    /// This range after `start`.
    pub(crate) fn after(mut self, start: &[u8]) -> Self {
        self.start = Bound::Excluded(Bytes::from(start));
        self
    }
    /// This range up to and including all keys that start with `end`.
    pub(crate) fn through(mut self, end: &[u8]) -> Self {
        self.end = after_prefix(end);
        self
    }
}

/// The end of all keys that start with `prefix`.
fn after_prefix(prefix: &[u8]) -> Bound<Bytes> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return Bound::Excluded(Bytes::from(end));
        }
    }
    Bound::Unbounded
}

/// The order of a scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// By ascending key.
    Forward,
    /// By descending key.
    Reverse,
}

/// Rows in order.
pub(crate) type Scan<'a> = Box<dyn Iterator<Item = StoreResult<(Bytes, Bytes)>> + 'a>;

/// An ordered key space with atomic, durable batches.
pub(crate) trait Backend: Send + Sync + 'static {
    /// The value of a key.
    fn get(&self, space: Space, key: &[u8]) -> StoreResult<Option<Bytes>>;
    /// The rows of a range.
    fn scan(&self, space: Space, range: KeyRange, order: Order) -> Scan<'_>;
    /// Writes all or nothing; on return it is on disk. No key occurs twice. After an error the backend takes no more writes,
    /// and whether this one survives a restart is not known.
    fn write(&self, writes: Vec<Write>) -> StoreResult<()>;
    /// Everything written so far is on disk.
    fn sync(&self) -> StoreResult<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(KeyRange::prefix(&[1, 2]).end, Bound::Excluded(Bytes::from(&[1u8, 3][..])));
        assert_eq!(KeyRange::prefix(&[1, 0xff]).end, Bound::Excluded(Bytes::from(&[2u8][..])));
        assert_eq!(KeyRange::prefix(&[0xff, 0xff]).end, Bound::Unbounded);
    }
}
