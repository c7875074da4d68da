//! The tenants' event logs, the marks of events that must not be appended twice, and where each log begins and ends.
//!
//! A row is `format:1 at:8 connector:4 kind:1 id:16 marked:1`, the mark if there is one, and the body as postcard: a filter
//! and the forgetting look at the head only. Rows are written once and forgotten from the front.
//!
//! Invariant: the numbers of a log are dense from its edge (the first event that is not forgotten) to its end; every mark
//! names an event of its log that carries it, and the event's mark is there.

use std::collections::HashMap;

use parking_lot::RwLock;
use pombo_domain::model::{Event, EventBody, EventDeliveryKey, EventKey, NewEvent};
use pombo_domain::ports::{EventFilter, StoreResult};
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use uuid::Uuid;

use super::webhooks;
use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{FORMAT, append, bad_key, body_of, damaged};
use crate::keys::{self, Parts};
use crate::space::Space;

/// Rows that one read looks at, at most, when its filter matches rarely.
const LOOK: usize = 10_000;

/// Rows of a log that are looked at beyond the last one that is old enough to forget.
const LOOK_BEYOND: usize = 100;

const HEADER: usize = 1 + 8 + 4 + 1 + 16 + 1;

/// 16 bytes by which a repeated event is known.
pub(crate) type Mark = [u8; 16];

/// The kinds by their stored numbers. Append only.
const KINDS: [&str; 15] = [
    "message.received",
    "message.media",
    "message.receipt",
    "session.changed",
    "contact.changed",
    "group.changed",
    "health.changed",
    "other",
    "automation.emitted",
    "conversation.changed",
    "automation.parked",
    "plugin.changed",
    "message.sent",
    "message.status",
    "session.code",
];

/// The stored number of an event's kind.
fn kind(body: &EventBody) -> u8 {
    match body {
        EventBody::Message(_) => 0,
        EventBody::Media { .. } => 1,
        EventBody::Receipt { .. } => 2,
        EventBody::Session { .. } => 3,
        EventBody::Contact { .. } => 4,
        EventBody::Group { .. } => 5,
        EventBody::Health { .. } => 6,
        EventBody::Other(..) => 7,
        EventBody::Emitted { .. } => 8,
        EventBody::Conversation { .. } => 9,
        EventBody::DeadLetter { .. } => 10,
        EventBody::Plugin { .. } => 11,
        EventBody::Sent { .. } => 12,
        EventBody::Status { .. } => 13,
        EventBody::Code { .. } => 14,
    }
}

/// What comes before the body.
pub(crate) struct Head {
    pub(crate) at: Timestamp,
    pub(crate) connector: ConnectorIndex,
    kind: u8,
    pub(crate) id: Uuid,
    pub(crate) mark: Option<Mark>,
}

/// A row, made on the caller's task.
pub(crate) fn encode(event: &NewEvent, mark: Option<&Mark>) -> Vec<u8> {
    let mut row = Vec::with_capacity(HEADER + 160);
    row.push(FORMAT);
    row.extend_from_slice(&event.at.0.to_le_bytes());
    row.extend_from_slice(&event.connector.0.to_le_bytes());
    row.push(kind(&event.body));
    row.extend_from_slice(event.id.as_bytes());
    row.push(u8::from(mark.is_some()));
    row.extend_from_slice(mark.map(Mark::as_slice).unwrap_or_default());
    append(row, &event.body)
}

/// The head and the encoded body.
pub(crate) fn head(row: &[u8]) -> StoreResult<(Head, &[u8])> {
    let mut parts = Parts(row);
    let mut read = || {
        (parts.u8()? == FORMAT).then_some(())?;
        let at = Timestamp(i64::from_le_bytes(parts.take(8)?.try_into().ok()?));
        let connector = ConnectorIndex(u32::from_le_bytes(parts.take(4)?.try_into().ok()?));
        let kind = parts.u8()?;
        let id = parts.uuid()?;
        let mark = match parts.u8()? {
            0 => None,
            _ => Some(parts.take(16)?.try_into().ok()?),
        };
        Some(Head { at, connector, kind, id, mark })
    };
    let head = read().ok_or_else(|| damaged("events: an unknown row format"))?;
    Ok((head, parts.0))
}

impl Head {
    /// The name of its kind.
    pub(crate) fn kind(&self) -> &'static str {
        KINDS.get(usize::from(self.kind)).copied().unwrap_or("?")
    }

    fn matches(&self, filter: &EventFilter) -> bool {
        filter.connector.is_none_or(|connector| connector == self.connector)
            && (filter.kinds.is_empty() || filter.kinds.iter().any(|kind| kind == self.kind()))
    }

    fn with(self, key: EventKey, body: &[u8]) -> StoreResult<Event> {
        let body = body_of(body, "events")?;
        Ok(Event { key, event: NewEvent { id: self.id, connector: self.connector, at: self.at, body } })
    }
}

/// An event of any kind.
pub(crate) fn parse(key: EventKey, row: &[u8]) -> StoreResult<Event> {
    let (head, body) = head(row)?;
    if KINDS.get(usize::from(head.kind)).is_none() {
        return Err(damaged("events: an unknown kind"));
    }
    head.with(key, body)
}

/// A number that is stored in a row: of a mark's event, of an edge.
pub(crate) fn parse_number(row: &[u8]) -> StoreResult<u64> {
    Parts(row).u64().ok_or_else(|| damaged("events: a malformed number"))
}

/// The event that a mark names.
pub(crate) fn parse_mark(key: &[u8], row: &[u8]) -> StoreResult<(EventKey, Mark)> {
    let mut parts = Parts(key.get(1..).unwrap_or_default());
    let parsed = parts.u32().zip(parts.take(16).and_then(|mark| mark.try_into().ok()));
    let (tenant, mark) = parsed.ok_or_else(|| bad_key("events"))?;
    Ok((EventKey { tenant: TenantIndex(tenant), serial: parse_number(row)? }, mark))
}

/// Where a log begins and ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Extent {
    /// The first event that is not forgotten, or would be.
    pub(crate) first: u64,
    /// The number of the next event.
    pub(crate) next: u64,
}

impl Default for Extent {
    fn default() -> Self {
        Self { first: 1, next: 1 }
    }
}

/// The extents of all logs. The committer changes them after a commit.
#[derive(Default)]
pub(crate) struct Logs(RwLock<HashMap<TenantIndex, Extent>>);

impl Logs {
    /// Finds the extents: an edge and two seeks for each tenant.
    pub(crate) fn open(backend: &dyn Backend) -> StoreResult<Self> {
        let mut logs = HashMap::new();
        for row in backend.scan(Space::Events, KeyRange::prefix(&[keys::EVENT_EDGE]), Order::Forward) {
            let (key, value) = row?;
            let tenant = Parts(&key[1..]).u32().ok_or_else(|| bad_key("events"))?;
            let first = parse_number(&value)?;
            logs.insert(TenantIndex(tenant), Extent { first, next: first });
        }
        let at = |key: &[u8]| keys::parse_event(key).ok_or_else(|| bad_key("events"));
        let mut from = TenantIndex(0);
        loop {
            let serial = logs.get(&from).map_or(0, |log: &Extent| log.first);
            let range = KeyRange::prefix(&[keys::EVENT]).from(&keys::event(EventKey { tenant: from, serial }));
            let Some(row) = backend.scan(Space::Events, range, Order::Forward).next() else { break };
            let tenant = at(&row?.0)?.tenant;
            let range = KeyRange::prefix(&keys::events_of(tenant));
            if let Some(row) = backend.scan(Space::Events, range, Order::Reverse).next() {
                logs.entry(tenant).or_default().next = at(&row?.0)?.serial + 1;
            }
            let Some(next) = tenant.0.checked_add(1) else { break };
            from = TenantIndex(next);
        }
        Ok(Self(RwLock::new(logs)))
    }

    pub(crate) fn of(&self, tenant: TenantIndex) -> Extent {
        self.0.read().get(&tenant).copied().unwrap_or_default()
    }

    /// The tenants that ever had an event, in order.
    pub(crate) fn tenants(&self) -> Vec<TenantIndex> {
        let mut tenants: Vec<_> = self.0.read().keys().copied().collect();
        tenants.sort_unstable();
        tenants
    }

    /// What a commit changed is on disk.
    pub(crate) fn changed(&self, ends: HashMap<TenantIndex, u64>, edges: HashMap<TenantIndex, u64>) {
        if ends.is_empty() && edges.is_empty() {
            return;
        }
        let mut logs = self.0.write();
        ends.into_iter().for_each(|(tenant, next)| logs.entry(tenant).or_default().next = next);
        edges.into_iter().for_each(|(tenant, first)| logs.entry(tenant).or_default().first = first);
    }
}

/// Events after `after`, and how far it looked.
pub(crate) fn list(
    backend: &dyn Backend,
    log: Extent,
    tenant: TenantIndex,
    filter: &EventFilter,
    after: u64,
    limit: usize,
) -> StoreResult<(Vec<Event>, u64)> {
    // From the edge on: before it lie only the remains of what was forgotten.
    let from = EventKey { tenant, serial: after.saturating_add(1).max(log.first) };
    let range = KeyRange::prefix(&keys::events_of(tenant)).from(&keys::event(from));
    let (mut found, mut looked) = (Vec::new(), after);
    if limit == 0 {
        return Ok((found, looked));
    }
    for row in backend.scan(Space::Events, range, Order::Forward).take(LOOK) {
        let (key, row) = row?;
        let key = keys::parse_event(&key).ok_or_else(|| bad_key("events"))?;
        let (head, body) = head(&row)?;
        looked = key.serial;
        if head.matches(filter) {
            found.push(head.with(key, body)?);
            if found.len() >= limit {
                break;
            }
        }
    }
    Ok((found, looked))
}

/// The newest event before `key` that matches.
pub(crate) fn before(
    backend: &dyn Backend,
    log: Extent,
    key: EventKey,
    filter: &EventFilter,
) -> StoreResult<Option<Event>> {
    let tenant = key.tenant;
    let Some(last) = key.serial.checked_sub(1).filter(|last| *last >= log.first) else { return Ok(None) };
    let range = KeyRange::prefix(&keys::events_of(tenant))
        .from(&keys::event(EventKey { tenant, serial: log.first }))
        .through(&keys::event(EventKey { tenant, serial: last }));
    for row in backend.scan(Space::Events, range, Order::Reverse).take(LOOK) {
        let (key, row) = row?;
        let key = keys::parse_event(&key).ok_or_else(|| bad_key("events"))?;
        let (head, body) = head(&row)?;
        if head.matches(filter) {
            return head.with(key, body).map(Some);
        }
    }
    Ok(None)
}

/// The front of a log that is to be forgotten: events from `first` to before `upto`, with their marks and deliveries.
pub(crate) struct Forgotten {
    pub(crate) tenant: TenantIndex,
    pub(crate) first: u64,
    pub(crate) upto: u64,
    pub(crate) marks: Vec<Mark>,
    pub(crate) deliveries: Vec<EventDeliveryKey>,
}

/// Events at the front of a log that are older than `before`, at most `limit`. A younger one among them (clocks are set
/// back) is as old as the next ones, so that it does not keep them forever.
pub(crate) fn forgettable(
    backend: &dyn Backend,
    log: Extent,
    tenant: TenantIndex,
    before: Timestamp,
    limit: usize,
) -> StoreResult<Option<Forgotten>> {
    let from = keys::event(EventKey { tenant, serial: log.first });
    let range = KeyRange::prefix(&keys::events_of(tenant)).from(&from);
    let (mut upto, mut young) = (log.first, 0);
    let mut marks: Vec<(u64, Mark)> = Vec::new();
    for row in backend.scan(Space::Events, range, Order::Forward) {
        let (key, row) = row?;
        let serial = keys::parse_event(&key).ok_or_else(|| bad_key("events"))?.serial;
        let (head, _) = head(&row)?;
        marks.extend(head.mark.map(|mark| (serial, mark)));
        if head.at < before {
            (upto, young) = (serial + 1, 0);
        } else {
            young += 1;
        }
        if upto - log.first >= limit as u64 || young >= LOOK_BEYOND {
            break;
        }
    }
    let upto = upto.min(log.first.saturating_add(limit as u64));
    if upto <= log.first {
        return Ok(None);
    }
    let marks = marks.into_iter().filter(|(serial, _)| *serial < upto).map(|(_, mark)| mark).collect();
    // No other will be made: an event's deliveries are made with it.
    let deliveries = webhooks::of_events(backend, tenant, log.first, upto)?;
    Ok(Some(Forgotten { tenant, first: log.first, upto, marks, deliveries }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Write;
    use crate::memory_backend::MemoryBackend;

    const T: TenantIndex = TenantIndex(7);

    fn event(at: i64) -> NewEvent {
        let body = EventBody::Other("k".to_owned(), "{}".to_owned());
        NewEvent { id: Uuid::from_u128(at as u128), connector: ConnectorIndex(3), at: Timestamp(at), body }
    }

    fn log(times: &[i64]) -> MemoryBackend {
        let backend = MemoryBackend::default();
        let row = |(i, at): (usize, &i64)| {
            let key = EventKey { tenant: T, serial: i as u64 + 1 };
            let mark = [i as u8; 16];
            let value = encode(&event(*at), (i % 2 == 0).then_some(&mark));
            Write { space: Space::Events, key: keys::event(key).bytes(), value: Some(value.into()) }
        };
        backend.write(times.iter().enumerate().map(row).collect()).expect("written");
        backend
    }

    fn front(backend: &MemoryBackend, before: i64, limit: usize) -> (u64, usize) {
        let log = Logs::open(backend).expect("readable").of(T);
        let found = forgettable(backend, log, T, Timestamp(before), limit).expect("readable");
        found.map_or((1, 0), |front| (front.upto, front.marks.len()))
    }

    #[test]
    fn the_stored_kinds_are_the_ports() {
        assert_eq!(KINDS, EventBody::KINDS, "a kind keeps its number; new ones come at the end");
        let body = EventBody::Other(String::new(), String::new());
        assert_eq!(KINDS[usize::from(kind(&body))], body.kind());
    }

    #[test]
    fn a_row_reads_back_with_and_without_a_mark() {
        let key = EventKey { tenant: T, serial: 4 };
        for mark in [None, Some([9; 16])] {
            let row = encode(&event(5), mark.as_ref());
            assert_eq!(parse(key, &row).expect("readable"), Event { key, event: event(5) });
            assert_eq!(head(&row).expect("readable").0.mark, mark);
            assert!(parse(key, &row[..row.len() - 1]).is_err(), "torn");
        }
    }

    #[test]
    fn the_front_that_is_old_is_found_in_steps_with_its_marks() {
        let backend = log(&[10, 20, 30, 40]);
        assert_eq!(front(&backend, 10, 9), (1, 0));
        assert_eq!(front(&backend, 11, 9), (2, 1));
        assert_eq!(front(&backend, 35, 9), (4, 2));
        assert_eq!(front(&backend, 35, 2), (3, 1));
        assert_eq!(front(&backend, 99, 9), (5, 2));
    }

    #[test]
    fn an_event_of_a_wrong_clock_does_not_keep_the_old_ones_behind_it() {
        let backend = log(&[10, 9_000, 9_000, 20, 50]);
        assert_eq!(front(&backend, 25, 9), (5, 2));
        assert_eq!(front(&backend, 25, 1), (2, 1));
        assert_eq!(front(&backend, 15, 9), (2, 1));
    }

    #[test]
    fn extents_are_found_again() {
        let backend = log(&[1, 2, 3]);
        let other = EventKey { tenant: TenantIndex(9), serial: 5 };
        let number = |n: u64| Some(crate::backend::Bytes::from(n.to_be_bytes()));
        backend
            .write(vec![
                Write {
                    space: Space::Events,
                    key: keys::event(other).bytes(),
                    value: Some(encode(&event(1), None).into()),
                },
                Write { space: Space::Events, key: keys::event_edge(other.tenant).bytes(), value: number(5) },
                Write { space: Space::Events, key: keys::event_edge(TenantIndex(11)).bytes(), value: number(8) },
            ])
            .expect("written");
        let logs = Logs::open(&backend).expect("readable");
        assert_eq!(logs.of(T), Extent { first: 1, next: 4 });
        assert_eq!(logs.of(TenantIndex(9)), Extent { first: 5, next: 6 });
        assert_eq!(logs.of(TenantIndex(11)), Extent { first: 8, next: 8 }, "all forgotten, numbers go on");
        assert_eq!(logs.of(TenantIndex(10)), Extent::default());
        assert_eq!(logs.tenants(), vec![T, TenantIndex(9), TenantIndex(11)]);
    }

    #[test]
    fn a_rare_match_is_looked_for_in_bounded_steps() {
        let times: Vec<i64> = (0..LOOK as i64 + 5).collect();
        let backend = log(&times);
        let extent = Logs::open(&backend).expect("readable").of(T);
        let filter = EventFilter { connector: Some(ConnectorIndex(99)), kinds: Vec::new() };
        let (found, looked) = list(&backend, extent, T, &filter, 0, 10).expect("readable");
        assert_eq!((found.len(), looked), (0, LOOK as u64));
        let (found, looked) = list(&backend, extent, T, &filter, looked, 10).expect("readable");
        assert_eq!((found.len(), looked), (0, LOOK as u64 + 5));
        let (_, looked) = list(&backend, extent, T, &filter, looked, 10).expect("readable");
        assert_eq!(looked, LOOK as u64 + 5, "at the end the cursor stays");
    }
}
