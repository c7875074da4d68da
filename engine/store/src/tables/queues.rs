//! The ready queues, one per connector, and the scheduled queue. An entry is a key; it moves in the batch that changes its
//! message's state.

use pombo_domain::model::message::{Position, ReadyOrder};
use pombo_domain::ports::{Effect, ReadyEntry, ScheduledEntry, StoreResult};
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};

use crate::backend::{Backend, Bytes, KeyRange, Order};
use crate::codec::bad_key;
use crate::frontier::Frontier;
use crate::keys::{self, Parts};
use crate::space::Space;

/// An entry of a queue.
pub(crate) struct Entry {
    pub(crate) queue: Queue,
    pub(crate) key: Bytes,
    pub(crate) value: [u8; 4],
    /// What it means to join the queue.
    pub(crate) effect: Effect,
}

/// The queue entry of a position, if it is in a queue.
pub(crate) fn entry(connector: ConnectorIndex, key: MessageKey, position: Position) -> Option<Entry> {
    let value = key.tenant.0.to_be_bytes();
    match position {
        Position::Ready(order) => Some(Entry {
            queue: Queue::Ready(connector),
            key: keys::ready(connector, order).bytes(),
            value,
            effect: Effect::Ready(connector, ReadyEntry { order, key }),
        }),
        Position::Scheduled(due_at) => {
            let entry = ScheduledEntry { due_at, connector, key };
            let key = keys::scheduled(entry).bytes();
            Some(Entry { queue: Queue::Scheduled, key, value, effect: Effect::Scheduled(entry) })
        }
        Position::InFlight | Position::None => None,
    }
}

/// A queue with a frontier of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Queue {
    Ready(ConnectorIndex),
    Scheduled,
    Deliveries,
    EventDeliveries,
    Timers,
}

/// Where the live parts of the queues begin.
pub(crate) type Frontiers = Frontier<Queue>;

pub(crate) fn parse_entry(key: &[u8], value: &[u8]) -> StoreResult<(ConnectorIndex, ReadyEntry)> {
    let parsed = keys::parse_ready(key).zip(Parts(value).u32());
    let ((connector, order), tenant) = parsed.ok_or_else(|| bad_key("queues"))?;
    Ok((connector, ReadyEntry { order, key: MessageKey { tenant: TenantIndex(tenant), serial: order.serial } }))
}

/// Entries of a queue within `all`, in order: those after the key `after`, or from where its live part begins.
pub(crate) fn live<T>(
    backend: &dyn Backend,
    frontiers: &Frontiers,
    (queue, space): (Queue, Space),
    (all, after): (KeyRange, Option<keys::Key>),
    limit: usize,
    parse: impl Fn(&Bytes, &Bytes) -> StoreResult<T>,
) -> StoreResult<Vec<T>> {
    let seen = frontiers.seen(queue);
    let range = match &after {
        Some(after) => all.after(after),
        None if seen.from.is_empty() => all,
        None => all.from(&seen.from),
    };
    let mut entries = Vec::new();
    if is_empty(&range) {
        return Ok(entries);
    }
    let mut rows = backend.scan(space, range, Order::Forward);
    while entries.len() < limit
        && let Some(row) = rows.next()
    {
        let (key, value) = row?;
        if after.is_none() && entries.is_empty() {
            seen.found(&key);
        }
        entries.push(parse(&key, &value)?);
    }
    Ok(entries)
}

/// A connector's ready queue.
pub(crate) fn ready(
    backend: &dyn Backend,
    frontiers: &Frontiers,
    connector: ConnectorIndex,
    after: Option<ReadyOrder>,
    limit: usize,
) -> StoreResult<Vec<ReadyEntry>> {
    let all = KeyRange::prefix(&keys::ready_prefix(connector));
    let after = after.map(|order| keys::ready(connector, order));
    let queue = (Queue::Ready(connector), Space::Queues);
    live(backend, frontiers, queue, (all, after), limit, |key, value| Ok(parse_entry(key, value)?.1))
}

/// The scheduled queue.
pub(crate) fn scheduled(
    backend: &dyn Backend,
    frontiers: &Frontiers,
    until: Timestamp,
    after: Option<ScheduledEntry>,
    limit: usize,
) -> StoreResult<Vec<ScheduledEntry>> {
    let all = KeyRange::prefix(&[keys::SCHEDULED]).through(&keys::scheduled_until(until));
    let queue = (Queue::Scheduled, Space::Queues);
    live(backend, frontiers, queue, (all, after.map(keys::scheduled)), limit, |key, _| {
        keys::parse_scheduled(key).ok_or_else(|| bad_key("queues"))
    })
}

/// The first scheduled entry.
pub(crate) fn next_scheduled(backend: &dyn Backend, frontiers: &Frontiers) -> StoreResult<Option<Timestamp>> {
    Ok(scheduled(backend, frontiers, Timestamp(i64::MAX), None, 1)?.first().map(|e| e.due_at))
}

/// Whether a range ends before it starts; backends need not take such.
pub(crate) fn is_empty(range: &KeyRange) -> bool {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    match (&range.start, &range.end) {
        (Unbounded, _) | (_, Unbounded) => false,
        (Included(start), Included(end)) => start > end,
        (Included(start) | Excluded(start), Excluded(end) | Included(end)) => start >= end,
    }
}
