//! Contacts by address, with a second key by id, and their other addresses. On disk only.
//!
//! An alias names an identifier, whether a contact has that identifier or not yet. It belongs to the address, not to the
//! contact: a contact that gets another identifier leaves the aliases of the old one behind. Invariant: each alias is stored under its
//! identifier, and only there.

use pombo_domain::TenantIndex;
use pombo_domain::model::{Contact, ContactType};
use pombo_domain::ports::{Conflict, StoreError, StoreResult};
use uuid::Uuid;

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{bad_key, damaged, decode, encode};
use crate::keys::{self, Key, Parts};
use crate::space::Space;
use crate::staged::Staged;

const WHAT: &str = "contacts";

/// The row by id: kind and identifier.
fn address(kind: ContactType, identifier: &str) -> Vec<u8> {
    let mut row = vec![keys::contact_kind(kind)];
    row.extend_from_slice(identifier.as_bytes());
    row
}

fn parse_address(row: &[u8]) -> StoreResult<(ContactType, &str)> {
    let parsed = row
        .split_first()
        .and_then(|(kind, identifier)| Some((keys::parse_contact_kind(*kind)?, std::str::from_utf8(identifier).ok()?)));
    parsed.ok_or_else(|| damaged("contacts: a malformed address"))
}

/// Stores or replaces a contact; no other may have its address.
pub(crate) fn put(staged: &mut Staged<'_>, contact: &Contact) -> StoreResult<()> {
    let key = keys::contact(contact.tenant, contact.kind, &contact.identifier);
    if let Some(row) = staged.get(Space::Documents, &key)? {
        let there: Contact = decode(&row, WHAT)?;
        if there.id != contact.id {
            return Err(StoreError::Conflict(Conflict::Contact));
        }
    }
    let id_key = keys::owned(keys::CONTACT_ID, contact.tenant, contact.id).bytes();
    if let Some(row) = staged.get(Space::Documents, &id_key)? {
        let (kind, identifier) = parse_address(&row)?;
        let old = keys::contact(contact.tenant, kind, identifier);
        if old != key {
            staged.delete(Space::Documents, old);
        }
    }
    staged.put(Space::Documents, id_key, address(contact.kind, &contact.identifier));
    staged.put(Space::Documents, key, encode(contact));
    Ok(())
}

/// Deletes a contact by id, with its aliases, if it is there.
pub(crate) fn delete(staged: &mut Staged<'_>, tenant: TenantIndex, id: Uuid) -> StoreResult<()> {
    let id_key = keys::owned(keys::CONTACT_ID, tenant, id).bytes();
    if let Some(row) = staged.get(Space::Documents, &id_key)? {
        let (kind, identifier) = parse_address(&row)?;
        for (row_key, _) in staged.prefix(Space::Documents, &keys::contact_aliases(tenant, kind, identifier))? {
            let alias = parse_alias(&row_key, identifier)?;
            staged.delete(Space::Documents, keys::contact_alias(tenant, kind, alias));
            staged.delete(Space::Documents, row_key);
        }
        staged.delete(Space::Documents, keys::contact(tenant, kind, identifier));
        staged.delete(Space::Documents, id_key);
    }
    Ok(())
}

/// The alias in the key of a [`keys::CONTACT_ALIASES`] row.
fn parse_alias<'a>(key: &'a [u8], identifier: &str) -> StoreResult<&'a str> {
    let alias = key.get(1 + 4 + 1 + 2 + identifier.len()..).and_then(|alias| std::str::from_utf8(alias).ok());
    alias.ok_or_else(|| bad_key(WHAT))
}

/// The identifier that an alias names, from its row.
pub(crate) fn parse_identifier(row: &[u8]) -> StoreResult<&str> {
    std::str::from_utf8(row).map_err(|_| damaged("contacts: a malformed alias"))
}

/// Makes `alias` another address of `identifier`, and of no other. An address is not its own alias.
pub(crate) fn put_alias(
    staged: &mut Staged<'_>,
    tenant: TenantIndex,
    kind: ContactType,
    alias: &str,
    identifier: &str,
) -> StoreResult<()> {
    if alias == identifier {
        return Ok(());
    }
    let key = keys::contact_alias(tenant, kind, alias);
    if let Some(row) = staged.get(Space::Documents, &key)? {
        let old = parse_identifier(&row)?;
        if old == identifier {
            return Ok(());
        }
        staged.delete(Space::Documents, keys::contact_alias_of(tenant, kind, old, alias));
    }
    staged.put(Space::Documents, key, identifier.as_bytes().to_vec());
    staged.put(Space::Documents, keys::contact_alias_of(tenant, kind, identifier, alias), Vec::new());
    Ok(())
}

/// The aliases of an identifier, without those that are another contact's identifier.
pub(crate) fn aliases(
    backend: &dyn Backend,
    tenant: TenantIndex,
    kind: ContactType,
    identifier: &str,
) -> StoreResult<Vec<String>> {
    // No key is longer than a contact's, so a longer identifier has none (and its length would not fit).
    if identifier.len() > usize::from(u16::MAX) {
        return Ok(Vec::new());
    }
    let range = KeyRange::prefix(&keys::contact_aliases(tenant, kind, identifier));
    let mut found = Vec::new();
    for row in backend.scan(Space::Documents, range, Order::Forward) {
        let (key, _) = row?;
        let alias = parse_alias(&key, identifier)?;
        if known_as(backend, tenant, kind, alias)?.is_none() {
            found.push(alias.to_owned());
        }
    }
    Ok(found)
}

/// Finds a contact by identifier, or else by an alias of one.
pub(crate) fn by_address(
    backend: &dyn Backend,
    tenant: TenantIndex,
    kind: ContactType,
    address: &str,
) -> StoreResult<Option<Contact>> {
    if let Some(contact) = known_as(backend, tenant, kind, address)? {
        return Ok(Some(contact));
    }
    match backend.get(Space::Documents, &keys::contact_alias(tenant, kind, address))? {
        Some(row) => known_as(backend, tenant, kind, parse_identifier(&row)?),
        None => Ok(None),
    }
}

/// Finds a contact by identifier only.
fn known_as(
    backend: &dyn Backend,
    tenant: TenantIndex,
    kind: ContactType,
    identifier: &str,
) -> StoreResult<Option<Contact>> {
    let row = backend.get(Space::Documents, &keys::contact(tenant, kind, identifier))?;
    row.map(|row| decode(&row, WHAT)).transpose()
}

pub(crate) fn by_id(backend: &dyn Backend, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Contact>> {
    match backend.get(Space::Documents, &keys::owned(keys::CONTACT_ID, tenant, id))? {
        Some(row) => {
            let (kind, identifier) = parse_address(&row)?;
            known_as(backend, tenant, kind, identifier)
        }
        None => Ok(None),
    }
}

/// A tenant's contacts by id, after `after`.
pub(crate) fn list(
    backend: &dyn Backend,
    tenant: TenantIndex,
    after: Option<Uuid>,
    limit: usize,
) -> StoreResult<Vec<Contact>> {
    let all = KeyRange::prefix(&Key::tag(keys::CONTACT_ID).u32(tenant.0));
    let range = match after {
        Some(id) => all.after(&keys::owned(keys::CONTACT_ID, tenant, id)),
        None => all,
    };
    let mut page = Vec::new();
    for row in backend.scan(Space::Documents, range, Order::Forward).take(limit) {
        let (key, _) = row?;
        let id = Parts(&key[5..]).uuid().ok_or_else(|| bad_key(WHAT))?;
        page.extend(by_id(backend, tenant, id)?);
    }
    Ok(page)
}
