//! Keys of files that were stored ahead of their messages; the registry is above. Their rows are [`super::owned`], their counts
//! [`super::one_of_tenant`].

use pombo_domain::{TenantIndex, Timestamp};
use uuid::Uuid;

use super::{Key, Parts};

pub(crate) const MEDIA_FILE: u8 = 0x29;
pub(crate) const MEDIA_EXPIRY: u8 = 0x2d;
pub(crate) const MEDIA_USE: u8 = 0x2e;

/// What the keys of all files that expire at this time begin with.
pub(crate) fn media_expiry_until(at: Timestamp) -> Key {
    Key::tag(MEDIA_EXPIRY).time(at)
}

pub(crate) fn media_expiry(at: Timestamp, tenant: TenantIndex, id: Uuid) -> Key {
    media_expiry_until(at).u32(tenant.0).uuid(id)
}

/// Tenant and id in a [`MEDIA_EXPIRY`] key.
pub(crate) fn parse_media_expiry(key: &[u8]) -> Option<(TenantIndex, Uuid)> {
    let mut parts = Parts(key.get(9..)?);
    Some((TenantIndex(parts.u32()?), parts.uuid()?))
}
