//! A key space in memory, for tests of what does not need a disk.

use std::collections::BTreeMap;

use parking_lot::RwLock;
use pombo_domain::ports::StoreResult;

use crate::backend::{Backend, Bytes, KeyRange, Order, Scan, Write};
use crate::space::Space;

#[derive(Default)]
pub(crate) struct MemoryBackend(RwLock<BTreeMap<(Space, Bytes), Bytes>>);

impl Backend for MemoryBackend {
    fn get(&self, space: Space, key: &[u8]) -> StoreResult<Option<Bytes>> {
        Ok(self.0.read().get(&(space, Bytes::from(key))).cloned())
    }
    fn scan(&self, space: Space, range: KeyRange, order: Order) -> Scan<'_> {
        use std::ops::RangeBounds;
        let range = (range.start, range.end);
        let rows = self.0.read();
        let inside = rows.iter().filter(|((s, key), _)| *s == space && range.contains(key));
        let mut found: Vec<_> = inside.map(|((_, key), value)| Ok((key.clone(), value.clone()))).collect();
        if order == Order::Reverse {
            found.reverse();
        }
        Box::new(found.into_iter())
    }
    fn write(&self, writes: Vec<Write>) -> StoreResult<()> {
        let mut rows = self.0.write();
        for Write { space, key, value } in writes {
            match value {
                Some(value) => rows.insert((space, key), value),
                None => rows.remove(&(space, key)),
            };
        }
        Ok(())
    }
    fn sync(&self) -> StoreResult<()> {
        Ok(())
    }
}
