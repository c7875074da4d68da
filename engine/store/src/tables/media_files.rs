//! Files that were stored ahead of their messages: by id, with a second key by expiry; and for each tenant, how much of them no message
//! uses.

use pombo_domain::model::{FileUse, MediaFile};
use pombo_domain::ports::{Conflict, StoreError, StoreResult};
use pombo_domain::{TenantIndex, Timestamp};
use uuid::Uuid;

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{bad_key, damaged, decode, encode};
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::staged::Staged;

const WHAT: &str = "stored files";

pub(crate) fn parse(row: &[u8]) -> StoreResult<MediaFile> {
    decode(row, WHAT)
}

pub(crate) fn parse_use(row: &[u8]) -> StoreResult<FileUse> {
    let mut parts = Parts(row);
    let (files, bytes) = parts.u64().zip(parts.u64()).ok_or_else(|| damaged("stored files: a malformed count"))?;
    Ok(FileUse { files, bytes })
}

pub(crate) fn read(backend: &dyn Backend, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<MediaFile>> {
    let row = backend.get(Space::Documents, &keys::owned(keys::MEDIA_FILE, tenant, id))?;
    row.map(|row| parse(&row)).transpose()
}

/// What of a tenant's files no message uses.
pub(crate) fn read_use(backend: &dyn Backend, tenant: TenantIndex) -> StoreResult<FileUse> {
    let row = backend.get(Space::Documents, &keys::one_of_tenant(keys::MEDIA_USE, tenant))?;
    row.map_or(Ok(FileUse::default()), |row| parse_use(&row))
}

/// Files that expired at `until` or earlier, the longest expired first.
pub(crate) fn expired(backend: &dyn Backend, until: Timestamp, limit: usize) -> StoreResult<Vec<MediaFile>> {
    let range = KeyRange::prefix(&[keys::MEDIA_EXPIRY]).through(&keys::media_expiry_until(until));
    let mut found = Vec::new();
    for row in backend.scan(Space::Documents, range, Order::Forward).take(limit) {
        let (tenant, id) = keys::parse_media_expiry(&row?.0).ok_or_else(|| bad_key(WHAT))?;
        found.push(read(backend, tenant, id)?.ok_or_else(|| damaged("stored files: a row is missing"))?);
    }
    Ok(found)
}

/// Adds a file, or replaces it, unless the tenant would have more than `most` that no message uses.
pub(crate) fn add(staged: &mut Staged<'_>, file: &MediaFile, most: FileUse) -> StoreResult<()> {
    delete(staged, file.tenant, file.attachment.id)?;
    if !file.used {
        let now = staged_use(staged, file.tenant)?.with(file.attachment.size);
        if now.exceeds(most) {
            return Err(StoreError::Conflict(Conflict::TooManyFiles));
        }
        put_use(staged, file.tenant, now);
    }
    staged.put(Space::Documents, expiry_key(file), Vec::new());
    put(staged, file);
    Ok(())
}

/// A message has the file from now on. Nothing for a file that is none of these.
pub(crate) fn note_use(staged: &mut Staged<'_>, tenant: TenantIndex, id: Uuid) -> StoreResult<()> {
    if let Some(file) = staged_file(staged, tenant, id)?
        && !file.used
    {
        let rest = staged_use(staged, tenant)?.without(file.attachment.size);
        put_use(staged, tenant, rest);
        put(staged, &MediaFile { used: true, ..file });
    }
    Ok(())
}

/// Deletes a file's rows, if they are there.
pub(crate) fn delete(staged: &mut Staged<'_>, tenant: TenantIndex, id: Uuid) -> StoreResult<()> {
    let Some(file) = staged_file(staged, tenant, id)? else { return Ok(()) };
    if !file.used {
        let rest = staged_use(staged, tenant)?.without(file.attachment.size);
        put_use(staged, tenant, rest);
    }
    staged.delete(Space::Documents, expiry_key(&file));
    staged.delete(Space::Documents, keys::owned(keys::MEDIA_FILE, tenant, id).bytes());
    Ok(())
}

/// A file's key by its expiry.
pub(crate) fn expiry_key(file: &MediaFile) -> crate::backend::Bytes {
    keys::media_expiry(file.expires_at, file.tenant, file.attachment.id).bytes()
}

fn put(staged: &mut Staged<'_>, file: &MediaFile) {
    let key = keys::owned(keys::MEDIA_FILE, file.tenant, file.attachment.id);
    staged.put(Space::Documents, key.bytes(), encode(file));
}

fn staged_file(staged: &Staged<'_>, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<MediaFile>> {
    let row = staged.get(Space::Documents, &keys::owned(keys::MEDIA_FILE, tenant, id))?;
    row.map(|row| parse(&row)).transpose()
}

fn staged_use(staged: &Staged<'_>, tenant: TenantIndex) -> StoreResult<FileUse> {
    let row = staged.get(Space::Documents, &keys::one_of_tenant(keys::MEDIA_USE, tenant))?;
    row.map_or(Ok(FileUse::default()), |row| parse_use(&row))
}

/// Stores the counts; a tenant without such files has no row.
fn put_use(staged: &mut Staged<'_>, tenant: TenantIndex, now: FileUse) {
    let key = keys::one_of_tenant(keys::MEDIA_USE, tenant).bytes();
    if now == FileUse::default() {
        return staged.delete(Space::Documents, key);
    }
    staged.put(Space::Documents, key, [now.files.to_be_bytes(), now.bytes.to_be_bytes()].concat());
}
