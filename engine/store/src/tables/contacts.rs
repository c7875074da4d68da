//! Contacts by address, with a second key by id. On disk only.

use pombo_domain::TenantIndex;
use pombo_domain::model::{Contact, ContactType};
use pombo_domain::ports::{Conflict, StoreError, StoreResult};
use uuid::Uuid;

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{bad_key, damaged, decode, encode};
use crate::keys::{self, Key, Parts, Space};
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

/// Deletes by id; what is not there stays so.
pub(crate) fn delete(staged: &mut Staged<'_>, tenant: TenantIndex, id: Uuid) -> StoreResult<()> {
    let id_key = keys::owned(keys::CONTACT_ID, tenant, id).bytes();
    if let Some(row) = staged.get(Space::Documents, &id_key)? {
        let (kind, identifier) = parse_address(&row)?;
        staged.delete(Space::Documents, keys::contact(tenant, kind, identifier));
        staged.delete(Space::Documents, id_key);
    }
    Ok(())
}

pub(crate) fn by_address(
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
            by_address(backend, tenant, kind, identifier)
        }
        None => Ok(None),
    }
}

/// By id, after `after`.
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
