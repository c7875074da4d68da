//! The numbers that a tenant's things have: each series counts from 1, and no number is given twice, even after a deletion.

use pombo_domain::TenantIndex;
use pombo_domain::ports::StoreResult;

use crate::backend::Backend;
use crate::codec::damaged;
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::staged::Staged;

/// A series of numbers; its own number is in the key, so it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Series {
    Contacts = 1,
    Tags = 2,
    Templates = 3,
    Queues = 4,
    Statuses = 5,
    Campaigns = 8,
}

impl Series {
    /// The last number that it can give: what its keys hold.
    fn end(self) -> u64 {
        match self {
            Self::Contacts => (1 << 40) - 1,
            Self::Tags | Self::Templates | Self::Queues | Self::Statuses | Self::Campaigns => u64::from(u32::MAX),
        }
    }
}

fn parse(row: &[u8]) -> StoreResult<u64> {
    Parts(row).u64().ok_or_else(|| damaged("numbers: a malformed row"))
}

/// The last number that was given; 0 if none was.
pub(crate) fn last(backend: &dyn Backend, tenant: TenantIndex, series: Series) -> StoreResult<u64> {
    let row = backend.get(Space::Documents, &keys::last_number(tenant, series as u8))?;
    row.map_or(Ok(0), |row| parse(&row))
}

/// Gives the next number.
pub(crate) fn next(staged: &mut Staged<'_>, tenant: TenantIndex, series: Series) -> StoreResult<u64> {
    let key = keys::last_number(tenant, series as u8).bytes();
    let last = staged.get(Space::Documents, &key)?.map_or(Ok(0), |row| parse(&row))?;
    if last >= series.end() {
        return Err(damaged(format!("numbers: the series {series:?} is exhausted")));
    }
    staged.put(Space::Documents, key, (last + 1).to_be_bytes().to_vec());
    Ok(last + 1)
}
