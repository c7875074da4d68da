//! Webhook deliveries, the queue of those that are due, and the index of those not delivered.
//!
//! A row is `format:1 status:1 next_at:8` and the delivery as postcard: the head of a message's queue is found without
//! decoding bodies. Invariant: of one message, exactly its oldest pending delivery is in the due queue.

use pombo_domain::model::{Delivery, DeliveryKey, DeliveryStatus};
use pombo_domain::ports::{DeliveryFilter, DueDelivery, Effect, StoreResult};
use pombo_domain::{MessageKey, TenantIndex, Timestamp};

use super::queues::{self, Frontiers, Queue};
use crate::backend::{Backend, Bytes, KeyRange, Order};
use crate::codec::{FORMAT, append, bad_key, body_of, damaged};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;

const HEADER: usize = 1 + 1 + 8;

pub(crate) fn encode(delivery: &Delivery) -> Vec<u8> {
    let mut row = Vec::with_capacity(HEADER + 128 + delivery.url.len() + delivery.body.len());
    row.push(FORMAT);
    row.push(delivery.status as u8);
    row.extend_from_slice(&delivery.next_at.0.to_le_bytes());
    append(row, delivery)
}

pub(crate) fn decode(row: &[u8]) -> StoreResult<Delivery> {
    head(row)?;
    body_of(&row[HEADER..], "deliveries")
}

/// Status number and next try.
fn head(row: &[u8]) -> StoreResult<(u8, Timestamp)> {
    let read = || {
        let next_at = i64::from_le_bytes(row.get(2..HEADER)?.try_into().ok()?);
        (row[0] == FORMAT).then_some((row[1], Timestamp(next_at)))
    };
    read().ok_or_else(|| damaged("deliveries: an unknown row format"))
}

/// The oldest pending delivery among rows in key order.
fn oldest_pending(rows: &[(Bytes, Bytes)]) -> StoreResult<Option<DueDelivery>> {
    for (key, row) in rows {
        let (status, due_at) = head(row)?;
        if status == DeliveryStatus::Pending as u8 {
            let key = keys::parse_delivery(key).ok_or_else(|| bad_key("deliveries"))?;
            return Ok(Some(DueDelivery { due_at, key }));
        }
    }
    Ok(None)
}

/// Stores a delivery of a message that was just inserted and has no other.
pub(crate) fn insert(staged: &mut Staged<'_>, delivery: &Delivery, effects: &mut Vec<Effect>) {
    let key = delivery.key;
    staged.fresh(Space::Deliveries, keys::delivery(key).bytes(), encode(delivery));
    staged.fresh(Space::Deliveries, keys::delivery_open(delivery.status, key).bytes(), Vec::new());
    let due = DueDelivery { due_at: delivery.next_at, key };
    staged.fresh(Space::Deliveries, keys::delivery_due(due).bytes(), Vec::new());
    effects.push(Effect::DeliveryDue(due));
}

/// Stores or replaces a delivery, and updates the message's place in the due queue and the index. Returns the due queue's new key,
/// if any.
pub(crate) fn put(
    staged: &mut Staged<'_>,
    delivery: &Delivery,
    effects: &mut Vec<Effect>,
) -> StoreResult<Option<Bytes>> {
    let key = delivery.key;
    let row_key = keys::delivery(key).bytes();
    let mut rows = staged.prefix(Space::Deliveries, &keys::deliveries_of(key.message))?;
    let before = oldest_pending(&rows)?;
    let row = encode(delivery);
    let old = match rows.binary_search_by(|(k, _)| k.cmp(&row_key)) {
        Ok(i) => {
            let (status, _) = head(&rows[i].1)?;
            rows[i].1 = Bytes::from(row.as_slice());
            Some(status)
        }
        Err(i) => {
            rows.insert(i, (row_key.clone(), Bytes::from(row.as_slice())));
            None
        }
    };
    let after = oldest_pending(&rows)?;

    if old != Some(delivery.status as u8) {
        for status in [DeliveryStatus::Pending, DeliveryStatus::Abandoned] {
            if old == Some(status as u8) {
                staged.delete(Space::Deliveries, keys::delivery_open(status, key).bytes());
            }
            if delivery.status == status {
                staged.put(Space::Deliveries, keys::delivery_open(status, key).bytes(), Vec::new());
            }
        }
    }
    staged.put(Space::Deliveries, row_key, row);
    if before != after {
        if let Some(due) = before {
            staged.delete(Space::Deliveries, keys::delivery_due(due).bytes());
        }
        if let Some(due) = after {
            let key = keys::delivery_due(due).bytes();
            staged.put(Space::Deliveries, key.clone(), Vec::new());
            effects.push(Effect::DeliveryDue(due));
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// The due queue up to `until`, after the entry `after`.
pub(crate) fn due(
    backend: &dyn Backend,
    frontiers: &Frontiers,
    until: Timestamp,
    after: Option<DueDelivery>,
    limit: usize,
) -> StoreResult<Vec<DueDelivery>> {
    let all = KeyRange::prefix(&[keys::DELIVERY_DUE]).through(&keys::delivery_due_until(until));
    let queue = (Queue::Deliveries, Space::Deliveries);
    queues::live(backend, frontiers, queue, (all, after.map(keys::delivery_due)), limit, |key, _| {
        keys::parse_delivery_due(key).ok_or_else(|| bad_key("deliveries"))
    })
}

pub(crate) fn read(backend: &dyn Backend, key: DeliveryKey) -> StoreResult<Option<Delivery>> {
    backend.get(Space::Deliveries, &keys::delivery(key))?.map(|row| decode(&row)).transpose()
}

/// All deliveries of a message, oldest first.
pub(crate) fn of_message(backend: &dyn Backend, message: MessageKey) -> StoreResult<Vec<Delivery>> {
    backend
        .scan(Space::Deliveries, KeyRange::prefix(&keys::deliveries_of(message)), Order::Forward)
        .map(|row| decode(&row?.1))
        .collect()
}

/// A tenant's deliveries, newest message first.
pub(crate) fn list(
    backend: &dyn Backend,
    tenant: TenantIndex,
    filter: &DeliveryFilter,
    offset: u64,
    limit: u32,
) -> StoreResult<Vec<Delivery>> {
    let (offset, limit) = (usize::try_from(offset).unwrap_or(usize::MAX), limit as usize);
    if let (None, Some(status @ (DeliveryStatus::Pending | DeliveryStatus::Abandoned))) =
        (filter.message, filter.status)
    {
        let range = KeyRange::prefix(&keys::deliveries_open(tenant, status));
        let mut page = Vec::new();
        for row in backend.scan(Space::Deliveries, range, Order::Reverse).skip(offset).take(limit) {
            let (_, key) = keys::parse_delivery_open(&row?.0).ok_or_else(|| bad_key("deliveries"))?;
            page.extend(read(backend, key)?);
        }
        return Ok(page);
    }
    let range = match filter.message {
        Some(message) if message.tenant == tenant => KeyRange::prefix(&keys::deliveries_of(message)),
        Some(_) => return Ok(Vec::new()),
        None => KeyRange::prefix(&keys::deliveries_of_tenant(tenant)),
    };
    let mut page = Vec::new();
    let mut skip = offset;
    for row in backend.scan(Space::Deliveries, range, Order::Reverse) {
        if page.len() >= limit {
            break;
        }
        let (_, row) = row?;
        if filter.status.is_some_and(|status| head(&row).is_ok_and(|(have, _)| have != status as u8)) {
            continue;
        }
        if skip > 0 {
            skip -= 1;
            continue;
        }
        page.push(decode(&row)?);
    }
    Ok(page)
}
