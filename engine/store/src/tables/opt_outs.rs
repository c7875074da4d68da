//! Opt-outs that outlived their contacts, by address.
//!
//! Invariant: no contact has the address of an opt-out: who is added there takes it over. An opt-out of an address that becomes an
//! alias moves to the identifier that the alias names.

use pombo_domain::TenantIndex;
use pombo_domain::model::{ContactType, OptOut, Refusals};
use pombo_domain::ports::StoreResult;

use crate::backend::Backend;
use crate::codec::{FORMAT, append, body_of, format_of, unknown_format};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;

/// With the only categories that are not wanted.
const PARTIAL_FORMAT: u8 = 2;

pub(crate) fn parse(row: &[u8]) -> StoreResult<OptOut> {
    const WHAT: &str = "opt-outs";
    match format_of(row, WHAT)? {
        (FORMAT, body) => body_of(body, WHAT),
        (PARTIAL_FORMAT, body) => {
            let (opt_out, only) = body_of::<(OptOut, Refusals)>(body, WHAT)?;
            Ok(OptOut { only: Some(only), ..opt_out })
        }
        (format, _) => Err(unknown_format(format, WHAT)),
    }
}

fn encode(opt_out: &OptOut) -> Vec<u8> {
    match opt_out.only {
        None => append(vec![FORMAT], opt_out),
        Some(only) => append(vec![PARTIAL_FORMAT], &(opt_out, only)),
    }
}

/// The opt-out of exactly this address.
pub(crate) fn read(
    backend: &dyn Backend,
    tenant: TenantIndex,
    kind: ContactType,
    address: &str,
) -> StoreResult<Option<OptOut>> {
    let row = backend.get(Space::Documents, &keys::opt_out(tenant, kind, address))?;
    row.map(|row| parse(&row)).transpose()
}

/// The same, as the group leaves it.
pub(crate) fn staged(
    staged: &Staged<'_>,
    tenant: TenantIndex,
    kind: ContactType,
    address: &str,
) -> StoreResult<Option<OptOut>> {
    let row = staged.get(Space::Documents, &keys::opt_out(tenant, kind, address))?;
    row.map(|row| parse(&row)).transpose()
}

pub(crate) fn put(staged: &mut Staged<'_>, tenant: TenantIndex, kind: ContactType, address: &str, opt_out: &OptOut) {
    staged.put(Space::Documents, keys::opt_out(tenant, kind, address), encode(opt_out));
}

/// Removes and returns the opt-out of an address.
pub(crate) fn take(
    rows: &mut Staged<'_>,
    tenant: TenantIndex,
    kind: ContactType,
    address: &str,
) -> StoreResult<Option<OptOut>> {
    let found = staged(rows, tenant, kind, address)?;
    if found.is_some() {
        rows.delete(Space::Documents, keys::opt_out(tenant, kind, address));
    }
    Ok(found)
}
