//! What automations were given and answered, a ring for each automation: the newest stay, under numbers that are not given again while
//! a recording of the ring is left.

use pombo_domain::AutomationIndex;
use pombo_domain::ports::StoreResult;

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{FORMAT, bad_key, damaged};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;
use crate::tables::events::Extent;

const WHAT: &str = "recordings";

/// Adds a recording to a ring and forgets those beyond `keep`. Returns the extent of the ring after it.
pub(crate) fn put(
    staged: &mut Staged<'_>,
    automation: AutomationIndex,
    ring: Extent,
    mut sealed: Vec<u8>,
    keep: u32,
) -> Extent {
    let next = ring.next + 1;
    let first = next.saturating_sub(u64::from(keep)).max(ring.first);
    for number in ring.first..first.min(ring.next) {
        staged.delete(Space::Work, keys::recording(automation, number).bytes());
    }
    if keep > 0 {
        sealed.insert(0, FORMAT);
        staged.put(Space::Work, keys::recording(automation, ring.next).bytes(), sealed);
    }
    Extent { first, next }
}

pub(crate) fn parse(row: &[u8]) -> StoreResult<&[u8]> {
    row.strip_prefix(&[FORMAT]).ok_or_else(|| damaged("recordings: an unknown row format"))
}

/// The extent of a ring, found by two seeks.
pub(crate) fn extent(backend: &dyn Backend, automation: AutomationIndex) -> StoreResult<Extent> {
    let range = || KeyRange::prefix(&keys::recordings_of(automation));
    let mut ends = [None, None];
    for (end, order) in ends.iter_mut().zip([Order::Forward, Order::Reverse]) {
        if let Some(row) = backend.scan(Space::Work, range(), order).next() {
            *end = Some(keys::parse_recording(&row?.0).ok_or_else(|| bad_key(WHAT))?.1);
        }
    }
    Ok(match ends {
        [Some(first), Some(last)] => Extent { first, next: last + 1 },
        _ => Extent::default(),
    })
}

/// The newest recordings, newest first.
pub(crate) fn list(
    backend: &dyn Backend,
    automation: AutomationIndex,
    ring: Extent,
    limit: usize,
) -> StoreResult<Vec<Vec<u8>>> {
    let range = KeyRange::prefix(&keys::recordings_of(automation)).from(&keys::recording(automation, ring.first));
    let rows = backend.scan(Space::Work, range, Order::Reverse).take(limit);
    rows.map(|row| Ok(parse(&row?.1)?.to_vec())).collect()
}
