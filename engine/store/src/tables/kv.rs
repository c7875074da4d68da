//! The key spaces of plugin instances, with a count of the bytes each holds.

use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{KvWrite, StoreResult};

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::damaged;
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;

/// Stages the writes of one instance. Returns its size in bytes after them.
pub(crate) fn write(
    staged: &mut Staged<'_>,
    connector: ConnectorIndex,
    writes: Vec<KvWrite>,
    mut bytes: u64,
) -> StoreResult<u64> {
    for KvWrite { key, value } in writes {
        let row_key = keys::kv_prefix(connector, &key);
        let old = staged.get(Space::Kv, &row_key)?;
        if let Some(old) = &old {
            bytes = bytes.saturating_sub((key.len() + old.len()) as u64);
        }
        match value {
            Some(value) => {
                bytes += (key.len() + value.len()) as u64;
                staged.put(Space::Kv, row_key, value);
            }
            None if old.is_some() => staged.delete(Space::Kv, row_key),
            None => {}
        }
    }
    let count = keys::of_connector(keys::KV_BYTES, connector).bytes();
    staged.put(Space::Documents, count, bytes.to_be_bytes().to_vec());
    Ok(bytes)
}

pub(crate) fn get(backend: &dyn Backend, connector: ConnectorIndex, key: &str) -> StoreResult<Option<Vec<u8>>> {
    Ok(backend.get(Space::Kv, &keys::kv_prefix(connector, key))?.map(|value| value.to_vec()))
}

/// Entries in the order of their keys, after `after`.
pub(crate) fn list(
    backend: &dyn Backend,
    connector: ConnectorIndex,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> StoreResult<Vec<(String, Vec<u8>)>> {
    let all = KeyRange::prefix(&keys::kv_prefix(connector, prefix));
    let range = match after {
        // An `after` below the prefix must not widen the range.
        Some(after) if after >= prefix => all.after(&keys::kv_prefix(connector, after)),
        _ => all,
    };
    if super::queues::is_empty(&range) {
        return Ok(Vec::new());
    }
    backend
        .scan(Space::Kv, range, Order::Forward)
        .take(limit)
        .map(|row| {
            let (key, value) = row?;
            let key = std::str::from_utf8(&key[4..]).map_err(|_| damaged("kv: a key that is not text"))?;
            Ok((key.to_owned(), value.to_vec()))
        })
        .collect()
}
