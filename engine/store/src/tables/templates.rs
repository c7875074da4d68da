//! Templates, by tenant and number, and their numbers by id and by connector, name and language.

use pombo_domain::model::Template;
use pombo_domain::ports::StoreResult;
use pombo_domain::{ConnectorIndex, TenantIndex};
use uuid::Uuid;

use crate::backend::{Backend, Bytes, KeyRange, Order};
use crate::codec::{FORMAT, append, body_of, damaged, encode, format_of, unknown_format};
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::staged::Staged;

const WHAT: &str = "templates";
/// The format of a template whose numbered variables have names: they follow it.
const WITH_NAMES: u8 = 2;

pub(crate) fn parse(row: &[u8]) -> StoreResult<Template> {
    match format_of(row, WHAT)? {
        (FORMAT, body) => body_of(body, WHAT),
        (WITH_NAMES, body) => {
            let (template, variable_names): (Template, Vec<String>) = body_of(body, WHAT)?;
            Ok(Template { variable_names, ..template })
        }
        (format, _) => Err(unknown_format(format, WHAT)),
    }
}

fn row_of(template: &Template) -> Vec<u8> {
    match template.variable_names.as_slice() {
        [] => encode(template),
        names => append(vec![WITH_NAMES], &(template, names)),
    }
}

/// A number that a key leads to.
pub(crate) fn parse_number(row: &[u8]) -> StoreResult<u32> {
    Parts(row).u32().ok_or_else(|| damaged("templates: a malformed number"))
}

pub(crate) fn name_of(template: &Template) -> Bytes {
    keys::template_name(template.tenant, template.connector, &template.name, template.language.as_deref())
}

/// Writes a template and the keys by which it is found; `old` is the one that it replaces.
pub(crate) fn put(staged: &mut Staged<'_>, template: &Template, old: Option<&Template>) {
    let Template { tenant, number, id, .. } = *template;
    if let Some(old) = old.filter(|old| name_of(old) != name_of(template)) {
        staged.delete(Space::Documents, name_of(old));
    }
    let number_row = number.to_be_bytes().to_vec();
    staged.put(Space::Documents, keys::template(tenant, number).bytes(), row_of(template));
    staged.put(Space::Documents, keys::template_id(tenant, id).bytes(), number_row.clone());
    staged.put(Space::Documents, name_of(template), number_row);
}

pub(crate) fn delete(staged: &mut Staged<'_>, template: &Template) {
    let Template { tenant, number, id, .. } = *template;
    staged.delete(Space::Documents, keys::template(tenant, number).bytes());
    staged.delete(Space::Documents, keys::template_id(tenant, id).bytes());
    staged.delete(Space::Documents, name_of(template));
}

pub(crate) fn by_number(backend: &dyn Backend, tenant: TenantIndex, number: u32) -> StoreResult<Option<Template>> {
    let row = backend.get(Space::Documents, &keys::template(tenant, number))?;
    row.map(|row| parse(&row)).transpose()
}

fn led(backend: &dyn Backend, tenant: TenantIndex, key: &[u8]) -> StoreResult<Option<Template>> {
    match backend.get(Space::Documents, key)? {
        Some(row) => by_number(backend, tenant, parse_number(&row)?),
        None => Ok(None),
    }
}

pub(crate) fn by_id(backend: &dyn Backend, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Template>> {
    led(backend, tenant, &keys::template_id(tenant, id))
}

pub(crate) fn by_name(
    backend: &dyn Backend,
    tenant: TenantIndex,
    connector: Option<ConnectorIndex>,
    name: &str,
    language: Option<&str>,
) -> StoreResult<Option<Template>> {
    led(backend, tenant, &keys::template_name(tenant, connector, name, language))
}

/// Gives each of a tenant's templates to `each`, ordered by number.
pub(crate) fn all(backend: &dyn Backend, tenant: TenantIndex, mut each: impl FnMut(Template)) -> StoreResult<()> {
    let range = KeyRange::prefix(&keys::templates_of(tenant));
    for row in backend.scan(Space::Documents, range, Order::Forward) {
        each(parse(&row?.1)?);
    }
    Ok(())
}

/// How many templates a tenant has.
pub(crate) fn count(staged: &Staged<'_>, tenant: TenantIndex) -> StoreResult<u32> {
    let row = staged.get(Space::Documents, &keys::one_of_tenant(keys::TEMPLATE_COUNT, tenant))?;
    row.map_or(Ok(0), |row| parse_number(&row))
}

pub(crate) fn set_count(staged: &mut Staged<'_>, tenant: TenantIndex, count: u32) {
    let key = keys::one_of_tenant(keys::TEMPLATE_COUNT, tenant).bytes();
    staged.put(Space::Documents, key, count.to_be_bytes().to_vec());
}
