//! Event tasks and dead letters.
//!
//! A row is `format:1 failures:4 due_at:8 held:1 after:1 position:4 automation:4` and (tenant, id, at, body) as postcard: a try
//! that ends changes the head only. The body is encoded once for all lanes, for a received message on the caller's task.

use pombo_domain::model::{DeadLetter, EventTask, TaskBody, TaskKey};
use pombo_domain::ports::StoreResult;
use pombo_domain::{TenantIndex, Timestamp};
use uuid::Uuid;

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{FORMAT, append, bad_key, body_of, damaged, decode, encode};
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::staged::Staged;
use crate::tables::conversations::Lane;

const HEADER: usize = 1 + 4 + 8 + 1 + 1 + 4 + 4;

const WHAT: &str = "work";

/// The state of an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) failures: u32,
    pub(crate) due_at: Timestamp,
    /// Kept until the conversation's automations are resumed.
    pub(crate) held: bool,
    pub(crate) after: Option<(u32, u32)>,
}

impl Head {
    /// The state of a new item.
    pub(crate) fn new(due_at: Timestamp) -> Self {
        Self { failures: 0, due_at, held: false, after: None }
    }
}

/// A row whose head is not filled in.
pub(crate) fn prepare(tenant: TenantIndex, id: Uuid, at: Timestamp, body: &TaskBody) -> Vec<u8> {
    let mut row = Vec::with_capacity(HEADER + 192);
    row.push(FORMAT);
    row.resize(HEADER, 0);
    append(row, &(tenant, id, at, body))
}

/// Fills in the head.
pub(crate) fn set_head(row: &mut [u8], head: &Head) {
    let (position, automation) = head.after.unwrap_or_default();
    row[1..5].copy_from_slice(&head.failures.to_le_bytes());
    row[5..13].copy_from_slice(&head.due_at.0.to_le_bytes());
    row[13] = u8::from(head.held);
    row[14] = u8::from(head.after.is_some());
    row[15..19].copy_from_slice(&position.to_le_bytes());
    row[19..HEADER].copy_from_slice(&automation.to_le_bytes());
}

pub(crate) fn head(row: &[u8]) -> StoreResult<Head> {
    let mut parts = Parts(row);
    let mut read = || {
        (parts.u8()? == FORMAT).then_some(())?;
        let failures = u32::from_le_bytes(parts.take(4)?.try_into().ok()?);
        let due_at = Timestamp(i64::from_le_bytes(parts.take(8)?.try_into().ok()?));
        let held = parts.u8()? != 0;
        let handled = parts.u8()? != 0;
        let position = u32::from_le_bytes(parts.take(4)?.try_into().ok()?);
        let automation = u32::from_le_bytes(parts.take(4)?.try_into().ok()?);
        Some(Head { failures, due_at, held, after: handled.then_some((position, automation)) })
    };
    read().ok_or_else(|| damaged("work: an unknown row format"))
}

pub(crate) fn parse(key: TaskKey, row: &[u8]) -> StoreResult<EventTask> {
    let Head { failures, due_at, after, .. } = head(row)?;
    let (tenant, id, at, body) = body_of(&row[HEADER..], WHAT)?;
    Ok(EventTask { key, tenant, id, at, body, failures, due_at, after })
}

/// Up to `limit` items of a lane that begins at `first`.
pub(crate) fn list(
    backend: &dyn Backend,
    conversation: Uuid,
    lane: &Lane,
    limit: usize,
) -> StoreResult<Vec<EventTask>> {
    let first = TaskKey { conversation, lane: lane.lane, number: lane.first };
    if limit == 0 {
        return Ok(Vec::new());
    }
    if (limit == 1 || lane.first == lane.last)
        && let Some(row) = backend.get(Space::Work, &keys::task(first))?
    {
        return Ok(vec![parse(first, &row)?]);
    }
    // From the first on: before it lie only the remains of what was handled.
    let range = KeyRange::prefix(&keys::lane(conversation, lane.lane)).from(&keys::task(first));
    let items = backend.scan(Space::Work, range, Order::Forward).take(limit).map(|row| {
        let (key, row) = row?;
        parse(keys::parse_task(&key).ok_or_else(|| bad_key(WHAT))?, &row)
    });
    items.collect()
}

pub(crate) fn put_dead_letter(staged: &mut Staged<'_>, dead_letter: &DeadLetter) {
    let key = keys::of_tenant(keys::DEAD_LETTER, dead_letter.task.tenant).uuid(dead_letter.id).bytes();
    staged.put(Space::Conversations, key, encode(dead_letter));
}

pub(crate) fn parse_dead_letter(row: &[u8]) -> StoreResult<DeadLetter> {
    decode(row, "dead letters")
}

pub(crate) fn dead_letter(backend: &dyn Backend, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<DeadLetter>> {
    let row = backend.get(Space::Conversations, &keys::of_tenant(keys::DEAD_LETTER, tenant).uuid(id))?;
    row.map(|row| parse_dead_letter(&row)).transpose()
}

/// A tenant's dead letters by id, after `after`.
pub(crate) fn list_dead_letters(
    backend: &dyn Backend,
    tenant: TenantIndex,
    after: Option<Uuid>,
    limit: usize,
) -> StoreResult<Vec<DeadLetter>> {
    let prefix = || keys::of_tenant(keys::DEAD_LETTER, tenant);
    let all = KeyRange::prefix(&prefix());
    let range = after.map_or(all.clone(), |after| all.after(&prefix().uuid(after)));
    let rows = backend.scan(Space::Conversations, range, Order::Forward).take(limit);
    rows.map(|row| parse_dead_letter(&row?.1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_changes_and_the_rest_stays() {
        let key = TaskKey { conversation: Uuid::from_u128(1), lane: 3, number: 9 };
        let mut row = prepare(TenantIndex(4), Uuid::from_u128(2), Timestamp(-5), &TaskBody::Opened);
        for head in [
            Head::new(Timestamp(7)),
            Head { failures: 3, due_at: Timestamp(-1), held: true, after: Some((0, u32::MAX)) },
            Head { failures: u32::MAX, due_at: Timestamp(i64::MAX), held: false, after: Some((5, 6)) },
        ] {
            set_head(&mut row, &head);
            assert_eq!(super::head(&row).expect("readable"), head);
            let task = parse(key, &row).expect("readable");
            assert_eq!((task.tenant, task.id, task.at), (TenantIndex(4), Uuid::from_u128(2), Timestamp(-5)));
            assert_eq!((task.failures, task.due_at, task.after), (head.failures, head.due_at, head.after));
        }
        assert!(parse(key, &row[..row.len() - 1]).is_err(), "torn");
        assert!(super::head(&row[..HEADER - 1]).is_err(), "torn");
    }
}
