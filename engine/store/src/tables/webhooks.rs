//! Connectors' webhooks, and the deliveries of events to them: their rows, the queue of those that are due, and the queues of those that
//! wait, one for each conversation of a connector.
//!
//! A row of a delivery is `format:1 status:1 next_at:8` and the rest as postcard. Invariants: a delivery that is pending is in the queue of
//! its conversation, and no other is; of each such queue, exactly the first is in the due queue; a delivery's event is in the log.

use pombo_domain::model::delivery::DeliveryAttempt;
use pombo_domain::model::{ConnectorWebhook, DeliveryState, DeliveryStatus, EventDelivery, EventDeliveryKey, EventKey};
use pombo_domain::ports::{DueEventDelivery, Effect, EventDeliveryFilter, EventDeliveryPage, StoreResult};
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use serde::{Deserialize, Serialize};

use super::queues::{self, Frontiers, Queue};
use crate::backend::{Backend, Bytes, KeyRange, Order};
use crate::codec::{FORMAT, append, bad_key, body_of, damaged, decode, encode as encode_row};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;

const WHAT: &str = "event deliveries";

const HEADER: usize = 1 + 1 + 8;

/// Rows that one read looks at, at most, when its filter matches rarely.
const LOOK: usize = 10_000;

// ---- webhooks ----

pub(crate) fn put_webhook(staged: &mut Staged<'_>, webhook: &ConnectorWebhook) {
    let key = keys::of_connector(keys::WEBHOOK, webhook.connector).bytes();
    staged.put(Space::Documents, key, encode_row(webhook));
}

pub(crate) fn delete_webhook(staged: &mut Staged<'_>, connector: ConnectorIndex) {
    staged.delete(Space::Documents, keys::of_connector(keys::WEBHOOK, connector).bytes());
}

pub(crate) fn parse_webhook(row: &[u8]) -> StoreResult<ConnectorWebhook> {
    decode(row, "webhooks")
}

// ---- rows of deliveries ----

/// What comes after the head. `A` is a list of attempts.
#[derive(Serialize, Deserialize)]
struct Body<A> {
    connector: ConnectorIndex,
    conversation: u64,
    attempts: A,
    tries: u16,
    created_at: Timestamp,
}

fn encode(delivery: &EventDelivery) -> Vec<u8> {
    let EventDelivery { key: _, connector, conversation, state, created_at } = delivery;
    let mut row = Vec::with_capacity(HEADER + 32);
    row.push(FORMAT);
    row.push(state.status as u8);
    row.extend_from_slice(&state.next_at.0.to_le_bytes());
    let attempts = state.attempts.as_slice();
    let (connector, conversation, tries, created_at) = (*connector, *conversation, state.tries, *created_at);
    append(row, &Body { connector, conversation, attempts, tries, created_at })
}

/// Status and next try.
fn head(row: &[u8]) -> StoreResult<(DeliveryStatus, Timestamp)> {
    let read = || {
        let next_at = i64::from_le_bytes(row.get(2..HEADER)?.try_into().ok()?);
        let known = [DeliveryStatus::Pending, DeliveryStatus::Delivered, DeliveryStatus::Abandoned];
        let status = known.into_iter().find(|status| *status as u8 == row[1])?;
        (row[0] == FORMAT).then_some((status, Timestamp(next_at)))
    };
    read().ok_or_else(|| damaged(format!("{WHAT}: an unknown row format")))
}

/// The delivery under a key.
pub(crate) fn parse(key: &[u8], row: &[u8]) -> StoreResult<EventDelivery> {
    let key = keys::parse_event_delivery(key).ok_or_else(|| bad_key(WHAT))?;
    let (status, next_at) = head(row)?;
    let body: Body<Vec<DeliveryAttempt>> = body_of(&row[HEADER..], WHAT)?;
    let Body { connector, conversation, attempts, tries, created_at } = body;
    let state = DeliveryState { status, next_at, attempts, tries };
    Ok(EventDelivery { key, connector, conversation, state, created_at })
}

// ---- changes ----

/// The first that waits in the queue of a delivery, as the due queue has it.
fn first_waiting(staged: &Staged<'_>, of: &EventDelivery) -> StoreResult<Option<DueEventDelivery>> {
    let queue = keys::event_deliveries_waiting(of.key.event.tenant, of.connector, of.conversation);
    let Some((place, _)) = staged.first_after(Space::Deliveries, &queue, &queue)? else { return Ok(None) };
    let key = keys::parse_event_delivery_waits(&place).ok_or_else(|| bad_key(WHAT))?;
    let row = staged.get(Space::Deliveries, &keys::event_delivery(key))?;
    let row = row.ok_or_else(|| damaged(format!("{WHAT}: one that waits is missing")))?;
    Ok(Some(DueEventDelivery { due_at: head(&row)?.1, key }))
}

/// Makes the due queue agree with a queue that began with `before`. Returns the due queue's new key, if any.
fn requeue(
    staged: &mut Staged<'_>,
    of: &EventDelivery,
    before: Option<DueEventDelivery>,
    effects: &mut Vec<Effect>,
) -> StoreResult<Option<Bytes>> {
    let after = first_waiting(staged, of)?;
    if before == after {
        return Ok(None);
    }
    if let Some(due) = before {
        staged.delete(Space::Deliveries, keys::event_delivery_due(due).bytes());
    }
    let Some(due) = after else { return Ok(None) };
    let key = keys::event_delivery_due(due).bytes();
    staged.put(Space::Deliveries, key.clone(), Vec::new());
    effects.push(Effect::EventDeliveryDue(due));
    Ok(Some(key))
}

/// Stores a new delivery at the end of its queue. Returns the due queue's new key, if any.
pub(crate) fn insert(
    staged: &mut Staged<'_>,
    delivery: &EventDelivery,
    effects: &mut Vec<Effect>,
) -> StoreResult<Option<Bytes>> {
    let before = first_waiting(staged, delivery)?;
    staged.put(Space::Deliveries, keys::event_delivery(delivery.key).bytes(), encode(delivery));
    staged.put(Space::Deliveries, keys::event_delivery_waits(delivery).bytes(), Vec::new());
    requeue(staged, delivery, before, effects)
}

/// Replaces a delivery, unless it was forgotten, and updates its queue. Returns the due queue's new key, if any.
pub(crate) fn put(
    staged: &mut Staged<'_>,
    delivery: &EventDelivery,
    effects: &mut Vec<Effect>,
) -> StoreResult<Option<Bytes>> {
    let key = keys::event_delivery(delivery.key).bytes();
    if staged.get(Space::Deliveries, &key)?.is_none() {
        return Ok(None);
    }
    let before = first_waiting(staged, delivery)?;
    staged.put(Space::Deliveries, key, encode(delivery));
    let place = keys::event_delivery_waits(delivery).bytes();
    match delivery.state.status {
        DeliveryStatus::Pending => staged.put(Space::Deliveries, place, Vec::new()),
        DeliveryStatus::Delivered | DeliveryStatus::Abandoned => staged.delete(Space::Deliveries, place),
    }
    requeue(staged, delivery, before, effects)
}

/// Deletes a delivery together with its event. Returns the due queue's new key, if any.
pub(crate) fn forget(
    staged: &mut Staged<'_>,
    key: EventDeliveryKey,
    effects: &mut Vec<Effect>,
) -> StoreResult<Option<Bytes>> {
    let row_key = keys::event_delivery(key).bytes();
    let Some(row) = staged.get(Space::Deliveries, &row_key)? else { return Ok(None) };
    let delivery = parse(&row_key, &row)?;
    let before = first_waiting(staged, &delivery)?;
    staged.delete(Space::Deliveries, row_key);
    staged.delete(Space::Deliveries, keys::event_delivery_waits(&delivery).bytes());
    requeue(staged, &delivery, before, effects)
}

// ---- reads ----

/// The deliveries of a tenant's events from `first` to before `upto`.
pub(crate) fn of_events(
    backend: &dyn Backend,
    tenant: TenantIndex,
    first: u64,
    upto: u64,
) -> StoreResult<Vec<EventDeliveryKey>> {
    let from = keys::event_deliveries_of_event(EventKey { tenant, serial: first });
    let range = KeyRange::prefix(&keys::event_deliveries_of(tenant)).from(&from);
    let mut found = Vec::new();
    for row in backend.scan(Space::Deliveries, range, Order::Forward) {
        let key = keys::parse_event_delivery(&row?.0).ok_or_else(|| bad_key(WHAT))?;
        if key.event.serial >= upto {
            break;
        }
        found.push(key);
    }
    Ok(found)
}

/// The due queue up to `until`, after the entry `after`.
pub(crate) fn due(
    backend: &dyn Backend,
    frontiers: &Frontiers,
    until: Timestamp,
    after: Option<DueEventDelivery>,
    limit: usize,
) -> StoreResult<Vec<DueEventDelivery>> {
    let all = KeyRange::prefix(&[keys::EVENT_DELIVERY_DUE]).through(&keys::event_delivery_due_until(until));
    let queue = (Queue::EventDeliveries, Space::Deliveries);
    queues::live(backend, frontiers, queue, (all, after.map(keys::event_delivery_due)), limit, |key, _| {
        keys::parse_event_delivery_due(key).ok_or_else(|| bad_key(WHAT))
    })
}

pub(crate) fn read(backend: &dyn Backend, key: EventDeliveryKey) -> StoreResult<Option<EventDelivery>> {
    let key = keys::event_delivery(key);
    backend.get(Space::Deliveries, &key)?.map(|row| parse(&key, &row)).transpose()
}

/// All deliveries of an event.
pub(crate) fn of_event(backend: &dyn Backend, event: EventKey) -> StoreResult<Vec<EventDelivery>> {
    let range = KeyRange::prefix(&keys::event_deliveries_of_event(event));
    let rows = backend.scan(Space::Deliveries, range, Order::Forward);
    rows.map(|row| row.and_then(|(key, row)| parse(&key, &row))).collect()
}

/// A tenant's deliveries, newest event first.
pub(crate) fn list(
    backend: &dyn Backend,
    tenant: TenantIndex,
    filter: &EventDeliveryFilter,
    before: Option<u64>,
    limit: usize,
) -> StoreResult<EventDeliveryPage> {
    let mut range = KeyRange::prefix(&keys::event_deliveries_of(tenant));
    if let Some(before) = before {
        let Some(last) = before.checked_sub(1) else { return Ok(EventDeliveryPage::default()) };
        range = range.through(&keys::event_deliveries_of_event(EventKey { tenant, serial: last }));
    }
    let (mut page, mut looked) = (EventDeliveryPage::default(), 0);
    let mut at = None;
    for row in backend.scan(Space::Deliveries, range, Order::Reverse) {
        let (key, row) = row?;
        let serial = keys::parse_event_delivery(&key).ok_or_else(|| bad_key(WHAT))?.event.serial;
        if at.is_some_and(|at| at != serial) && (page.rows.len() >= limit || looked >= LOOK) {
            page.next = at;
            break;
        }
        at = Some(serial);
        looked += 1;
        let delivery = parse(&key, &row)?;
        if filter.connector.is_none_or(|connector| connector == delivery.connector)
            && filter.status.is_none_or(|status| status == delivery.state.status)
        {
            page.rows.push(delivery);
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_backend::MemoryBackend;
    use pombo_domain::model::HookKind;

    const T: TenantIndex = TenantIndex(1);

    fn key(serial: u64) -> EventDeliveryKey {
        EventDeliveryKey { event: EventKey { tenant: T, serial }, kind: HookKind::Status }
    }

    fn delivery(serial: u64, conversation: u64, at: i64) -> EventDelivery {
        EventDelivery::new(key(serial), ConnectorIndex(2), conversation, Timestamp(at))
    }

    /// Does something in a group of its own.
    fn write(backend: &MemoryBackend, change: impl FnOnce(&mut Staged<'_>, &mut Vec<Effect>)) {
        let mut staged = Staged::new(backend);
        change(&mut staged, &mut Vec::new());
        let writes = staged.into_writes();
        backend.write(writes).expect("written");
    }

    fn queued(backend: &MemoryBackend) -> Vec<u64> {
        let due = due(backend, &Frontiers::default(), Timestamp(i64::MAX), None, 99).expect("readable");
        due.into_iter().map(|due| due.key.event.serial).collect()
    }

    #[test]
    fn only_the_first_of_a_conversation_is_due() {
        let backend = MemoryBackend::default();
        write(&backend, |staged, effects| {
            for (serial, conversation) in [(1, 7), (2, 7), (3, 8), (4, 7)] {
                insert(staged, &delivery(serial, conversation, serial as i64), effects).expect("inserted");
            }
            assert_eq!(effects.len(), 2);
        });
        assert_eq!(queued(&backend), [1, 3]);
        let ended = |serial, status| {
            let mut one = read(&backend, key(serial)).expect("readable").expect("there");
            one.state.status = status;
            one
        };
        write(&backend, |staged, effects| {
            put(staged, &ended(1, DeliveryStatus::Delivered), effects).expect("put");
            assert_eq!(effects.len(), 1);
        });
        assert_eq!(queued(&backend), [2, 3]);
        // Posted again, the earlier one goes first; the later ones wait for it.
        write(&backend, |staged, effects| drop(put(staged, &ended(1, DeliveryStatus::Pending), effects).expect("put")));
        assert_eq!(queued(&backend), [1, 3]);
        // Forgotten with its event, it lets the next one through, and is not stored again.
        let late = ended(1, DeliveryStatus::Pending);
        write(&backend, |staged, effects| drop(forget(staged, key(1), effects).expect("forgotten")));
        assert_eq!(queued(&backend), [2, 3]);
        write(&backend, |staged, effects| assert!(put(staged, &late, effects).expect("ignored").is_none()));
        assert_eq!(read(&backend, key(1)).expect("readable"), None);
        assert_eq!(of_events(&backend, T, 1, 4).expect("readable"), [key(2), key(3)]);
    }

    #[test]
    fn a_list_goes_from_the_newest_event_on_in_pages() {
        let backend = MemoryBackend::default();
        write(&backend, |staged, effects| {
            for serial in 1..=5 {
                insert(staged, &delivery(serial, serial % 2, 0), effects).expect("inserted");
            }
        });
        let page = |before, limit| {
            let filter = EventDeliveryFilter { connector: Some(ConnectorIndex(2)), status: None };
            let page = list(&backend, T, &filter, before, limit).expect("readable");
            (page.rows.into_iter().map(|row| row.key.event.serial).collect::<Vec<_>>(), page.next)
        };
        assert_eq!(page(None, 2), (vec![5, 4], Some(4)));
        assert_eq!(page(Some(4), 3), (vec![3, 2, 1], None));
        assert_eq!(page(Some(1), 3), (vec![], None));
        assert_eq!(page(Some(0), 3), (vec![], None));
        let filter = EventDeliveryFilter { connector: Some(ConnectorIndex(9)), status: None };
        assert_eq!(list(&backend, T, &filter, None, 3).expect("readable"), EventDeliveryPage::default());
    }
}
