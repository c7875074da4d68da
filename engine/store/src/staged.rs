//! The writes of a group that are not on disk yet, laid over the backend: a later batch of the group sees what an earlier one
//! did. A batch that fails takes its own writes back.

use std::collections::BTreeMap;

use pombo_domain::ports::StoreResult;

use crate::backend::{Backend, Bytes, KeyRange, Order, Write};
use crate::space::Space;

/// A key and its space.
type Place = (Space, Bytes);

/// A row to put (`Some`) or to delete (`None`).
type Staging = Option<Bytes>;

/// Staged rows over those of the backend.
pub(crate) struct Staged<'a> {
    backend: &'a dyn Backend,
    rows: BTreeMap<Place, Staging>,
    /// What the present batch replaced, to take it back; `None` where nothing was staged.
    undo: Vec<(Place, Option<Staging>)>,
    /// Rows under keys that cannot occur twice and are not read before they are on disk.
    fresh: Vec<Write>,
    fresh_kept: usize,
    bytes: usize,
}

impl<'a> Staged<'a> {
    pub(crate) fn new(backend: &'a dyn Backend) -> Self {
        Self { backend, rows: BTreeMap::new(), undo: Vec::new(), fresh: Vec::new(), fresh_kept: 0, bytes: 0 }
    }

    pub(crate) fn get(&self, space: Space, key: &[u8]) -> StoreResult<Option<Bytes>> {
        match self.staged(space, key) {
            Some(row) => Ok(row.clone()),
            None => self.backend.get(space, key),
        }
    }

    /// What this group did to a key, if anything.
    pub(crate) fn staged(&self, space: Space, key: &[u8]) -> Option<&Option<Bytes>> {
        // The key is only made when something may be found by it.
        if self.rows.is_empty() { None } else { self.rows.get(&(space, Bytes::from(key))) }
    }

    /// The rows that start with `prefix`, in order. It collects them: only for prefixes with few rows.
    pub(crate) fn prefix(&self, space: Space, prefix: &[u8]) -> StoreResult<Vec<(Bytes, Bytes)>> {
        let rows =
            self.backend.scan(space, KeyRange::prefix(prefix), Order::Forward).collect::<StoreResult<Vec<_>>>()?;
        let mut staged = self
            .rows
            .range((space, Bytes::from(prefix))..)
            .take_while(|((s, key), _)| *s == space && key.starts_with(prefix))
            .peekable();
        if staged.peek().is_none() {
            return Ok(rows);
        }
        let mut rows: BTreeMap<Bytes, Bytes> = rows.into_iter().collect();
        for ((_, key), row) in staged {
            match row {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(rows.into_iter().collect())
    }

    /// The first row behind `after` that starts with `prefix`.
    pub(crate) fn first_after(&self, space: Space, prefix: &[u8], after: &[u8]) -> StoreResult<Option<(Bytes, Bytes)>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let staged = self
            .rows
            .range((Excluded((space, Bytes::from(after))), Unbounded))
            .take_while(|((s, key), _)| *s == space && key.starts_with(prefix))
            .find_map(|((_, key), row)| Some((key.clone(), row.clone()?)));
        for row in self.backend.scan(space, KeyRange::prefix(prefix).after(after), Order::Forward) {
            let (key, value) = row?;
            if staged.as_ref().is_some_and(|(first, _)| *first <= key) {
                break;
            }
            if self.staged(space, &key).is_none() {
                return Ok(Some((key, value)));
            }
        }
        Ok(staged)
    }

    pub(crate) fn put(&mut self, space: Space, key: Bytes, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.stage(space, key, Some(Bytes::from(value)));
    }

    pub(crate) fn delete(&mut self, space: Space, key: Bytes) {
        self.bytes += key.len();
        self.stage(space, key, None);
    }

    fn stage(&mut self, space: Space, key: Bytes, row: Option<Bytes>) {
        let key = (space, key);
        let old = self.rows.insert(key.clone(), row);
        self.undo.push((key, old));
    }

    /// A row under a key that never occurred before, e.g. of a new serial.
    pub(crate) fn fresh(&mut self, space: Space, key: Bytes, value: impl Into<Bytes>) {
        let value = value.into();
        self.bytes += key.len() + value.len();
        self.fresh.push(Write { space, key, value: Some(value) });
    }

    /// The present batch is valid: its writes stay.
    pub(crate) fn keep(&mut self) {
        self.undo.clear();
        self.fresh_kept = self.fresh.len();
    }

    /// The present batch failed: restores what was there before it.
    pub(crate) fn take_back(&mut self) {
        self.fresh.truncate(self.fresh_kept);
        for (key, old) in self.undo.drain(..).rev() {
            match old {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }

    /// Roughly how many bytes are staged so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All staged writes, for the backend.
    pub(crate) fn into_writes(self) -> Vec<Write> {
        let mut writes = self.fresh;
        writes.reserve(self.rows.len() + 4);
        writes.extend(self.rows.into_iter().map(|((space, key), value)| Write { space, key, value }));
        writes
    }
}
