//! Imports by id, with a second key by time.

use pombo_domain::TenantIndex;
use pombo_domain::model::Import;
use pombo_domain::ports::StoreResult;
use uuid::Uuid;

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{bad_key, decode, encode};
use crate::keys::{self, Key, Parts};
use crate::space::Space;
use crate::staged::Staged;

const WHAT: &str = "imports";

pub(crate) fn put(staged: &mut Staged<'_>, import: &Import) -> StoreResult<()> {
    let key = keys::owned(keys::IMPORT, import.tenant, import.id).bytes();
    if let Some(row) = staged.get(Space::Documents, &key)? {
        let old: Import = decode(&row, WHAT)?;
        if old.created_at != import.created_at {
            staged.delete(Space::Documents, keys::import_time(old.tenant, old.created_at, old.id).bytes());
        }
    }
    staged.put(Space::Documents, keys::import_time(import.tenant, import.created_at, import.id).bytes(), Vec::new());
    staged.put(Space::Documents, key, encode(import));
    Ok(())
}

pub(crate) fn read(backend: &dyn Backend, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Import>> {
    let row = backend.get(Space::Documents, &keys::owned(keys::IMPORT, tenant, id))?;
    row.map(|row| decode(&row, WHAT)).transpose()
}

/// A tenant's imports, newest first, without their reports: a report is megabytes, and only one of them is in memory at a time.
pub(crate) fn list(backend: &dyn Backend, tenant: TenantIndex, limit: usize) -> StoreResult<Vec<Import>> {
    let range = KeyRange::prefix(&Key::tag(keys::IMPORT_TIME).u32(tenant.0));
    let mut page = Vec::new();
    for row in backend.scan(Space::Documents, range, Order::Reverse).take(limit) {
        let (key, _) = row?;
        let id = Parts(key.get(13..).unwrap_or_default()).uuid().ok_or_else(|| bad_key(WHAT))?;
        let found = read(backend, tenant, id)?;
        page.extend(found.map(|import| Import { problems: Vec::new(), messages: Vec::new(), ..import }));
    }
    Ok(page)
}
