//! Contacts by address, with a second key by id and a third by number, and their other addresses. On disk only.
//!
//! An alias names an identifier, whether a contact has that identifier or not yet. It belongs to the address, not to the
//! contact: a contact that gets another identifier leaves the aliases of the old one behind. Invariant: each alias is stored under its
//! identifier, and only there.

use pombo_domain::model::{Contact, ContactStep, ContactType, OptOut, Refusals};
use pombo_domain::ports::{Conflict, StoreError, StoreResult};
use pombo_domain::{TenantIndex, Timestamp};
use uuid::Uuid;

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{FORMAT, append, bad_key, body_of, damaged, format_of, unknown_format};
use crate::keys::{self, Key, Parts};
use crate::space::Space;
use crate::staged::Staged;
use crate::tables::earlier::Contact1;
use crate::tables::numbers::{self, Series};
use crate::tables::opt_outs;

const WHAT: &str = "contacts";

/// The row format that this engine writes: with number, push name, details and connectors.
const FORMAT_2: u8 = 2;
/// The same, and behind it the categories that the contact refuses. Only one that refuses some is written in it.
const FORMAT_3: u8 = 3;

/// The row by id and by number: kind and identifier.
pub(crate) fn address(kind: ContactType, identifier: &str) -> Vec<u8> {
    let mut row = vec![keys::contact_kind(kind)];
    row.extend_from_slice(identifier.as_bytes());
    row
}

pub(crate) fn parse_address(row: &[u8]) -> StoreResult<(ContactType, &str)> {
    let parsed = row
        .split_first()
        .and_then(|(kind, identifier)| Some((keys::parse_contact_kind(*kind)?, std::str::from_utf8(identifier).ok()?)));
    parsed.ok_or_else(|| damaged("contacts: a malformed address"))
}

/// A contact that a group changed, for the lists in memory; `None` where it was deleted.
pub(crate) struct Changed {
    pub(crate) tenant: TenantIndex,
    pub(crate) number: u64,
    pub(crate) contact: Option<Contact>,
}

impl Changed {
    fn now(contact: Contact) -> Self {
        Self { tenant: contact.tenant, number: contact.number, contact: Some(contact) }
    }
}

pub(crate) fn encode(contact: &Contact) -> Vec<u8> {
    match contact.refused.is_empty() {
        true => append(vec![FORMAT_2], contact),
        false => append(vec![FORMAT_3], &(contact, contact.refused)),
    }
}

pub(crate) fn parse(row: &[u8]) -> StoreResult<Contact> {
    match format_of(row, WHAT)? {
        (FORMAT_2, body) => body_of(body, WHAT),
        (FORMAT_3, body) => {
            let (contact, refused) = body_of::<(Contact, Refusals)>(body, WHAT)?;
            Ok(Contact { refused, ..contact })
        }
        (FORMAT, body) => body_of::<Contact1>(body, WHAT).map(Contact::from),
        (format, _) => Err(unknown_format(format, WHAT)),
    }
}

/// Whether a row has the present format.
pub(crate) fn is_present(row: &[u8]) -> bool {
    matches!(row.first(), Some(&(FORMAT_2 | FORMAT_3)))
}

/// A contact as the group leaves it, by identifier only.
fn staged_at(
    staged: &Staged<'_>,
    tenant: TenantIndex,
    kind: ContactType,
    identifier: &str,
) -> StoreResult<Option<Contact>> {
    let row = staged.get(Space::Documents, &keys::contact(tenant, kind, identifier))?;
    row.map(|row| parse(&row)).transpose()
}

/// A contact as the group leaves it.
pub(crate) fn staged_by_id(staged: &Staged<'_>, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Contact>> {
    match staged.get(Space::Documents, &keys::owned(keys::CONTACT_ID, tenant, id))? {
        Some(row) => {
            let (kind, identifier) = parse_address(&row)?;
            staged_at(staged, tenant, kind, identifier)
        }
        None => Ok(None),
    }
}

/// Stores or replaces a contact; no other may have its address. A new one gets a number. One that is there keeps its number, and
/// stays on its connectors. An opt-out at an address that was nobody's makes it inactive.
pub(crate) fn put(staged: &mut Staged<'_>, mut contact: Contact) -> StoreResult<Changed> {
    let (tenant, kind) = (contact.tenant, contact.kind);
    let key = keys::contact(tenant, kind, &contact.identifier);
    let there = staged_at(staged, tenant, kind, &contact.identifier)?;
    if there.as_ref().is_some_and(|there| there.id != contact.id) {
        return Err(StoreError::Conflict(Conflict::Contact));
    }
    let is_here = there.is_some();
    let old = if is_here { there } else { staged_by_id(staged, tenant, contact.id)? };
    match &old {
        Some(old) => {
            contact.number = old.number;
            let joins: Vec<_> = old.connectors.iter().copied().map(ContactStep::Join).collect();
            contact.apply(&joins, contact.updated_at);
            if !is_here {
                staged.delete(Space::Documents, keys::contact(tenant, old.kind, &old.identifier));
            }
        }
        None => contact.number = numbers::next(staged, tenant, Series::Contacts)?,
    }
    if !is_here {
        let left = match opt_outs::take(staged, tenant, kind, &contact.identifier)? {
            Some(left) => Some(left),
            None => match staged.get(Space::Documents, &keys::contact_alias(tenant, kind, &contact.identifier))? {
                Some(row) => opt_outs::staged(staged, tenant, kind, parse_identifier(&row)?)?,
                None => None,
            },
        };
        match left {
            Some(OptOut { only: Some(only), .. }) => contact.refused = contact.refused.and(only),
            Some(OptOut { reason, only: None, .. }) if contact.active => {
                (contact.active, contact.reason) = (false, reason);
            }
            Some(_) | None => {}
        }
        let address = address(kind, &contact.identifier);
        let id_key = keys::owned(keys::CONTACT_ID, tenant, contact.id).bytes();
        staged.put(Space::Documents, id_key, address.clone());
        staged.put(Space::Documents, keys::contact_number(tenant, contact.number).bytes(), address);
    }
    staged.put(Space::Documents, key, encode(&contact));
    Ok(Changed::now(contact))
}

/// Changes a contact that is there.
pub(crate) fn step(
    staged: &mut Staged<'_>,
    mut contact: Contact,
    steps: &[ContactStep],
    at: Timestamp,
) -> Option<Changed> {
    if !contact.apply(steps, at) {
        return None;
    }
    let key = keys::contact(contact.tenant, contact.kind, &contact.identifier);
    staged.put(Space::Documents, key, encode(&contact));
    Some(Changed::now(contact))
}

/// Deletes a contact by id, if it is there. One that refuses nothing takes its aliases with it; another leaves them, and what it refuses,
/// so that it is found under each of its addresses.
pub(crate) fn delete(
    staged: &mut Staged<'_>,
    tenant: TenantIndex,
    id: Uuid,
    now: Timestamp,
    changed: &mut Vec<Changed>,
) -> StoreResult<()> {
    let Some(contact) = staged_by_id(staged, tenant, id)? else { return Ok(()) };
    let Contact { kind, identifier, number, .. } = contact;
    staged.delete(Space::Documents, keys::contact(tenant, kind, &identifier));
    staged.delete(Space::Documents, keys::contact_number(tenant, number).bytes());
    staged.delete(Space::Documents, keys::owned(keys::CONTACT_ID, tenant, id).bytes());
    changed.push(Changed { tenant, number, contact: None });
    if contact.active && contact.refused.is_empty() {
        for (row_key, _) in staged.prefix(Space::Documents, &keys::contact_aliases(tenant, kind, &identifier))? {
            let alias = parse_alias(&row_key, &identifier)?;
            staged.delete(Space::Documents, keys::contact_alias(tenant, kind, alias));
            staged.delete(Space::Documents, row_key);
        }
        return Ok(());
    }
    let named = staged.get(Space::Documents, &keys::contact_alias(tenant, kind, &identifier))?;
    let known_as = match &named {
        Some(row) => parse_identifier(row)?,
        None => identifier.as_str(),
    };
    let only = contact.active.then_some(contact.refused);
    let reason = contact.reason.filter(|_| !contact.active);
    let opt_out = OptOut { reason, at: now, only };
    leave_opt_out(staged, tenant, kind, known_as, opt_out, changed)
}

/// Makes an opt-out count for an identifier: for the contact that has it, or for whoever will.
fn leave_opt_out(
    staged: &mut Staged<'_>,
    tenant: TenantIndex,
    kind: ContactType,
    identifier: &str,
    opt_out: OptOut,
    changed: &mut Vec<Changed>,
) -> StoreResult<()> {
    match staged_at(staged, tenant, kind, identifier)? {
        Some(contact) => {
            let steps: Vec<ContactStep> = match opt_out.only {
                Some(only) => only.iter().map(|kind| ContactStep::Refuse(kind, true)).collect(),
                None if contact.active => vec![ContactStep::Active(false, opt_out.reason)],
                None => Vec::new(),
            };
            changed.extend(step(staged, contact, &steps, opt_out.at));
        }
        None => {
            let left = opt_outs::staged(staged, tenant, kind, identifier)?;
            let opt_out = match left {
                Some(left) => left.and(opt_out),
                None => opt_out,
            };
            opt_outs::put(staged, tenant, kind, identifier, &opt_out);
        }
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

/// Makes `alias` another address of `identifier`, and of no other. An address is not its own alias. Its opt-out moves along.
pub(crate) fn put_alias(
    staged: &mut Staged<'_>,
    tenant: TenantIndex,
    kind: ContactType,
    alias: &str,
    identifier: &str,
    changed: &mut Vec<Changed>,
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
    match opt_outs::take(staged, tenant, kind, alias)? {
        Some(opt_out) => leave_opt_out(staged, tenant, kind, identifier, opt_out, changed),
        None => Ok(()),
    }
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
    row.map(|row| parse(&row)).transpose()
}

/// The identifier that an address leads to: itself where a contact has it, or nobody is known by it.
pub(crate) fn identifier_of(
    backend: &dyn Backend,
    tenant: TenantIndex,
    kind: ContactType,
    address: &str,
) -> StoreResult<String> {
    if backend.get(Space::Documents, &keys::contact(tenant, kind, address))?.is_none()
        && let Some(row) = backend.get(Space::Documents, &keys::contact_alias(tenant, kind, address))?
    {
        return Ok(parse_identifier(&row)?.to_owned());
    }
    Ok(address.to_owned())
}

/// The opt-out at an address, or at the identifier that it is an alias of.
pub(crate) fn opt_out(
    backend: &dyn Backend,
    tenant: TenantIndex,
    kind: ContactType,
    address: &str,
) -> StoreResult<Option<OptOut>> {
    if let Some(found) = opt_outs::read(backend, tenant, kind, address)? {
        return Ok(Some(found));
    }
    match backend.get(Space::Documents, &keys::contact_alias(tenant, kind, address))? {
        Some(row) => opt_outs::read(backend, tenant, kind, parse_identifier(&row)?),
        None => Ok(None),
    }
}

pub(crate) fn by_number(backend: &dyn Backend, tenant: TenantIndex, number: u64) -> StoreResult<Option<Contact>> {
    // A larger one has no key.
    if number >= 1 << 40 {
        return Ok(None);
    }
    match backend.get(Space::Documents, &keys::contact_number(tenant, number))? {
        Some(row) => {
            let (kind, identifier) = parse_address(&row)?;
            known_as(backend, tenant, kind, identifier)
        }
        None => Ok(None),
    }
}

/// All contacts of a tenant, in the order of their addresses.
pub(crate) fn all(backend: &dyn Backend, tenant: TenantIndex, mut take: impl FnMut(Contact)) -> StoreResult<()> {
    let range = KeyRange::prefix(&Key::tag(keys::CONTACT).u32(tenant.0));
    for row in backend.scan(Space::Documents, range, Order::Forward) {
        take(parse(&row?.1)?);
    }
    Ok(())
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
