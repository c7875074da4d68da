//! Idempotency keys with what they answered. A record counts for a day; the committer removes older ones from time to time.

use pombo_domain::ports::{Conflict, IdempotencyRecord, NewIdempotency, StoreError, StoreResult};
use pombo_domain::{TenantIndex, Timestamp};
use serde::{Deserialize, Serialize};

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{bad_key, decode, encode};
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::staged::Staged;

/// How long a record is valid, ms.
const LIFE_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Serialize, Deserialize)]
struct Row {
    request: [u8; 32],
    at: Timestamp,
    first: u64,
    count: u32,
    extra: Vec<u8>,
}

fn parse(row: &[u8]) -> StoreResult<IdempotencyRecord> {
    let Row { request, at, first, count, extra } = decode(row, "idempotency")?;
    Ok(IdempotencyRecord { request, at, messages: (first, count), extra })
}

fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    now.since(at) < LIFE_MS
}

/// The record, unless it is too old.
pub(crate) fn read(
    backend: &dyn Backend,
    tenant: TenantIndex,
    key: &[u8; 32],
    now: Timestamp,
) -> StoreResult<Option<IdempotencyRecord>> {
    let row = backend.get(Space::Documents, &keys::idempotency(tenant, key))?;
    Ok(row.map(|row| parse(&row)).transpose()?.filter(|record| is_fresh(record.at, now)))
}

/// Takes a key that is free or too old.
pub(crate) fn take(
    staged: &mut Staged<'_>,
    tenant: TenantIndex,
    new: NewIdempotency,
    messages: (u64, u32),
    now: Timestamp,
) -> StoreResult<()> {
    let key = keys::idempotency(tenant, &new.key).bytes();
    if let Some(row) = staged.get(Space::Documents, &key)? {
        let old = parse(&row)?;
        if is_fresh(old.at, now) {
            return Err(StoreError::Conflict(Conflict::IdempotencyKey));
        }
        staged.delete(Space::Documents, keys::idempotency_time(old.at, tenant, &new.key).bytes());
    }
    staged.put(Space::Documents, keys::idempotency_time(now, tenant, &new.key).bytes(), Vec::new());
    let row = Row { request: new.request, at: now, first: messages.0, count: messages.1, extra: new.extra };
    staged.put(Space::Documents, key, encode(&row));
    Ok(())
}

/// Removes up to `limit` records that no longer count.
pub(crate) fn trim(backend: &dyn Backend, staged: &mut Staged<'_>, now: Timestamp, limit: usize) -> StoreResult<usize> {
    let range = KeyRange::prefix(&[keys::IDEMPOTENCY_TIME]);
    let mut removed = 0;
    for row in backend.scan(Space::Documents, range, Order::Forward).take(limit) {
        let (key, _) = row?;
        let mut parts = Parts(&key[1..]);
        let parsed = parts.time().zip(parts.u32()).zip(parts.take(32).and_then(|k| <[u8; 32]>::try_from(k).ok()));
        let ((at, tenant), id) = parsed.ok_or_else(|| bad_key("idempotency"))?;
        if is_fresh(at, now) {
            break;
        }
        let record = keys::idempotency(TenantIndex(tenant), &id).bytes();
        // The key may have been used again since; then the record is younger than this entry.
        if let Some(row) = staged.get(Space::Documents, &record)?
            && parse(&row)?.at == at
        {
            staged.delete(Space::Documents, record);
        }
        staged.delete(Space::Documents, key);
        removed += 1;
    }
    Ok(removed)
}
