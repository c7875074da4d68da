//! Keys of contacts, their addresses, numbers and opt-outs, and of tags; the registry is above.

use pombo_domain::TenantIndex;
use pombo_domain::model::ContactType;

use super::{Key, Parts, long};
use crate::backend::Bytes;

pub(crate) const CONTACT: u8 = 0x16;
pub(crate) const CONTACT_ID: u8 = 0x17;
pub(crate) const CONTACT_ALIAS: u8 = 0x1e;
pub(crate) const CONTACT_ALIASES: u8 = 0x1f;
pub(crate) const LAST_NUMBER: u8 = 0x24;
pub(crate) const CONTACT_NUMBER: u8 = 0x25;
pub(crate) const TAG: u8 = 0x26;
pub(crate) const OPT_OUT: u8 = 0x2c;

pub(crate) fn contact(tenant: TenantIndex, kind: ContactType, identifier: &str) -> Bytes {
    long(CONTACT, &Key::new().u32(tenant.0).u8(contact_kind(kind)), identifier.as_bytes())
}

pub(crate) fn contact_alias(tenant: TenantIndex, kind: ContactType, alias: &str) -> Bytes {
    long(CONTACT_ALIAS, &Key::new().u32(tenant.0).u8(contact_kind(kind)), alias.as_bytes())
}

/// What all aliases of an identifier start with; the length keeps `ab` + `c` apart from `a` + `bc`.
pub(crate) fn contact_aliases(tenant: TenantIndex, kind: ContactType, identifier: &str) -> Vec<u8> {
    let fixed = Key::tag(CONTACT_ALIASES).u32(tenant.0).u8(contact_kind(kind));
    let mut key = fixed.to_vec();
    key.extend_from_slice(&(identifier.len() as u16).to_be_bytes());
    key.extend_from_slice(identifier.as_bytes());
    key
}

pub(crate) fn contact_alias_of(tenant: TenantIndex, kind: ContactType, identifier: &str, alias: &str) -> Bytes {
    let mut key = contact_aliases(tenant, kind, identifier);
    key.extend_from_slice(alias.as_bytes());
    Bytes::from(key)
}

/// Tenant, kind and address of a [`CONTACT`], [`CONTACT_ALIAS`] or [`OPT_OUT`] key.
pub(crate) fn parse_contact_address(key: &[u8]) -> Option<(TenantIndex, ContactType, &str)> {
    let mut parts = Parts(key);
    parts.u8()?;
    let tenant = TenantIndex(parts.u32()?);
    let kind = parse_contact_kind(parts.u8()?)?;
    Some((tenant, kind, std::str::from_utf8(parts.0).ok()?))
}

/// The last number that was given in a series of a tenant's numbers.
pub(crate) fn last_number(tenant: TenantIndex, series: u8) -> Key {
    Key::tag(LAST_NUMBER).u32(tenant.0).u8(series)
}

/// A contact by its number, which is below 2^40.
pub(crate) fn contact_number(tenant: TenantIndex, number: u64) -> Key {
    Key::tag(CONTACT_NUMBER).u32(tenant.0).serial(number)
}

pub(crate) fn opt_out(tenant: TenantIndex, kind: ContactType, identifier: &str) -> Bytes {
    long(OPT_OUT, &Key::new().u32(tenant.0).u8(contact_kind(kind)), identifier.as_bytes())
}

pub(crate) fn tag(tenant: TenantIndex, number: u32) -> Key {
    Key::tag(TAG).u32(tenant.0).u32(number)
}

/// The stored number of a contact type.
pub(crate) fn contact_kind(kind: ContactType) -> u8 {
    match kind {
        ContactType::WhatsApp => 0,
        ContactType::Email => 1,
    }
}

pub(crate) fn parse_contact_kind(kind: u8) -> Option<ContactType> {
    match kind {
        0 => Some(ContactType::WhatsApp),
        1 => Some(ContactType::Email),
        _ => None,
    }
}
