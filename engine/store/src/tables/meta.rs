//! What the store keeps about itself: schema version, counters, the seed of its fingerprints.

use pombo_domain::ConnectorIndex;
use pombo_domain::ports::StoreResult;

use crate::backend::Backend;
use crate::codec::damaged;
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::staged::Staged;

/// The schema version of the data.
pub(crate) const SCHEMA: &str = "schema";
/// The seed of the external ids' fingerprints.
pub(crate) const SEED: &str = "fingerprint-seed";

/// A counter whose numbers are given once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    Tenant,
    Connector,
    User,
    AccessToken,
}

impl Counter {
    /// The name of its row.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tenant => "next-tenant",
            Self::Connector => "next-connector",
            Self::User => "next-user",
            Self::AccessToken => "next-access-token",
        }
    }
}

pub(crate) fn number(backend: &dyn Backend, name: &str) -> StoreResult<Option<u64>> {
    match backend.get(Space::Documents, &keys::meta(name))? {
        Some(row) => Ok(Some(parse(&row)?)),
        None => Ok(None),
    }
}

fn parse(row: &[u8]) -> StoreResult<u64> {
    Parts(row).u64().ok_or_else(|| damaged("meta: a malformed number"))
}

impl Counter {
    /// The last number it can give.
    fn last(self) -> u64 {
        match self {
            Self::Tenant | Self::User | Self::AccessToken => u64::from(u32::MAX),
            // The columns keep a connector in 24 bits, and the last of them means none.
            Self::Connector => u64::from(ConnectorIndex::NONE.0) - 1,
        }
    }
}

/// The next number of a counter, from 1.
pub(crate) fn count(staged: &mut Staged<'_>, counter: Counter) -> StoreResult<u32> {
    let key = keys::meta(counter.name()).bytes();
    let last = staged.get(Space::Documents, &key)?.map(|row| parse(&row)).transpose()?.unwrap_or(0);
    if last >= counter.last() {
        return Err(damaged("meta: a counter is exhausted"));
    }
    let next = last as u32 + 1;
    staged.put(Space::Documents, key, u64::from(next).to_be_bytes().to_vec());
    Ok(next)
}
