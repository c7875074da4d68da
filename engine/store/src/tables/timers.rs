//! Timers, by conversation and name, with a second key by due time. A row is `format:1 due_at:8` and the payload as text.
//! Invariant: each timer is listed under its due time, and only there.

use pombo_domain::model::TimerKey;
use pombo_domain::ports::StoreResult;
use pombo_domain::{AutomationIndex, Timestamp};
use uuid::Uuid;

use super::queues::{Frontiers, Queue, is_empty};
use crate::backend::{Backend, Bytes, KeyRange, Order};
use crate::codec::{FORMAT, bad_key, damaged};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;

const WHAT: &str = "timers";

fn encode(due_at: Timestamp, payload: &str) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + 8 + payload.len());
    row.push(FORMAT);
    row.extend_from_slice(&due_at.0.to_le_bytes());
    row.extend_from_slice(payload.as_bytes());
    row
}

/// Due time and payload.
pub(crate) fn parse(row: &[u8]) -> StoreResult<(Timestamp, &str)> {
    let read = || {
        let (due_at, payload) = row.strip_prefix(&[FORMAT])?.split_at_checked(8)?;
        Some((Timestamp(i64::from_le_bytes(due_at.try_into().ok()?)), std::str::from_utf8(payload).ok()?))
    };
    read().ok_or_else(|| damaged("timers: an unknown row format"))
}

/// Sets a timer in place of one of the same name. Returns the key by which it becomes due.
pub(crate) fn set(staged: &mut Staged<'_>, key: &TimerKey, payload: &str) -> StoreResult<Bytes> {
    cancel(staged, key.conversation, key.automation, &key.name)?;
    let due = keys::timer_due(key);
    staged.put(Space::Work, due.clone(), Vec::new());
    let row_key = keys::timer(key.conversation, key.automation, &key.name);
    staged.put(Space::Conversations, row_key, encode(key.due_at, payload));
    Ok(due)
}

/// Removes a timer. Returns its due time and payload, if it was there.
pub(crate) fn cancel(
    staged: &mut Staged<'_>,
    conversation: Uuid,
    automation: AutomationIndex,
    name: &str,
) -> StoreResult<Option<(Timestamp, String)>> {
    let row_key = keys::timer(conversation, automation, name);
    let Some(row) = staged.get(Space::Conversations, &row_key)? else { return Ok(None) };
    let (due_at, payload) = parse(&row)?;
    let key = TimerKey { due_at, conversation, automation, name: name.to_owned() };
    staged.delete(Space::Work, keys::timer_due(&key));
    staged.delete(Space::Conversations, row_key);
    Ok(Some((due_at, payload.to_owned())))
}

/// Removes a timer that ran out. Returns its payload; `None` where there is no such timer with this due time.
pub(crate) fn fire(staged: &mut Staged<'_>, key: &TimerKey) -> StoreResult<Option<String>> {
    let row_key = keys::timer(key.conversation, key.automation, &key.name);
    let Some(row) = staged.get(Space::Conversations, &row_key)? else { return Ok(None) };
    if parse(&row)?.0 != key.due_at {
        return Ok(None);
    }
    let taken = cancel(staged, key.conversation, key.automation, &key.name)?;
    Ok(taken.map(|(_, payload)| payload))
}

/// Timers due up to `until`.
pub(crate) fn due(
    backend: &dyn Backend,
    frontiers: &Frontiers,
    until: Timestamp,
    limit: usize,
) -> StoreResult<Vec<TimerKey>> {
    let seen = frontiers.seen(Queue::Timers);
    let all = KeyRange::prefix(&[keys::TIMER_DUE]).through(&keys::timer_due_until(until));
    let range = if seen.from.is_empty() { all } else { all.from(&seen.from) };
    let mut due = Vec::new();
    if limit == 0 || is_empty(&range) {
        return Ok(due);
    }
    let mut rows = backend.scan(Space::Work, range, Order::Forward);
    while due.len() < limit
        && let Some(row) = rows.next()
    {
        let (key, _) = row?;
        if due.is_empty() {
            seen.found(&key);
        }
        due.push(keys::parse_timer_due(&key).ok_or_else(|| bad_key(WHAT))?);
    }
    if due.is_empty() && until.0 < i64::MAX {
        seen.found(&keys::timer_due_until(until.plus_ms(1)));
    }
    Ok(due)
}

/// A conversation's timers, by automation and name.
pub(crate) fn of_conversation(backend: &dyn Backend, conversation: Uuid) -> StoreResult<Vec<TimerKey>> {
    let rows = backend.scan(Space::Conversations, KeyRange::prefix(&keys::timers_of(conversation)), Order::Forward);
    let timer = |row: StoreResult<(Bytes, Bytes)>| {
        let (key, row) = row?;
        let (conversation, automation, name) = keys::parse_timer(&key).ok_or_else(|| bad_key(WHAT))?;
        Ok(TimerKey { due_at: parse(&row)?.0, conversation, automation, name: name.to_owned() })
    };
    rows.map(timer).collect()
}
