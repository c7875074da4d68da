//! Plugins, trust roots and audit trails: their rows. Plugins and trust roots are read from the catalog in memory.
//!
//! A plugin's row is `format:1 revision:8` and the plugin as postcard: a change looks at the revision only.

use pombo_domain::model::{AuditEntry, Plugin, TrustRoot};
use pombo_domain::ports::{Conflict, StoreError, StoreResult};

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{FORMAT, append, body_of, damaged, decode, encode};
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::staged::Staged;

const HEADER: usize = 1 + 8;

fn encode_plugin(plugin: &Plugin) -> Vec<u8> {
    let mut row = Vec::with_capacity(HEADER + 1024);
    row.push(FORMAT);
    row.extend_from_slice(&plugin.revision.to_be_bytes());
    append(row, plugin)
}

fn revision(row: &[u8]) -> StoreResult<u64> {
    let number = row.strip_prefix(&[FORMAT]).and_then(|row| Parts(row).u64());
    number.ok_or_else(|| damaged("plugins: an unknown row format"))
}

pub(crate) fn parse(row: &[u8]) -> StoreResult<Plugin> {
    revision(row)?;
    body_of(&row[HEADER..], "plugins")
}

/// Stores a plugin, if its revision follows the stored one.
pub(crate) fn put(staged: &mut Staged<'_>, plugin: &Plugin) -> StoreResult<()> {
    let key = keys::plugin(&plugin.name);
    let stored = staged.get(Space::Documents, &key)?.map_or(Ok(0), |row| revision(&row))?;
    if stored.checked_add(1) != Some(plugin.revision) {
        return Err(StoreError::Conflict(Conflict::Plugin(plugin.name.clone())));
    }
    staged.put(Space::Documents, key, encode_plugin(plugin));
    Ok(())
}

/// Deletes a plugin, if it is at this revision.
pub(crate) fn delete(staged: &mut Staged<'_>, name: &str, expected: u64) -> StoreResult<()> {
    let key = keys::plugin(name);
    let stored = staged.get(Space::Documents, &key)?.map(|row| revision(&row)).transpose()?;
    if stored != Some(expected) {
        return Err(StoreError::Conflict(Conflict::Plugin(name.to_owned())));
    }
    staged.delete(Space::Documents, key);
    Ok(())
}

pub(crate) fn put_trust_root(staged: &mut Staged<'_>, root: &TrustRoot) {
    staged.put(Space::Documents, keys::trust_root(root.id).bytes(), encode(root));
}

pub(crate) fn parse_trust_root(row: &[u8]) -> StoreResult<TrustRoot> {
    decode(row, "trust roots")
}

pub(crate) fn put_audit(staged: &mut Staged<'_>, number: u64, entry: &AuditEntry) {
    staged.fresh(Space::Documents, keys::audit(&entry.plugin, number), encode(entry));
}

pub(crate) fn parse_audit(row: &[u8]) -> StoreResult<AuditEntry> {
    decode(row, "audit trails")
}

/// The audit entries of a plugin, newest first.
pub(crate) fn audit(backend: &dyn Backend, plugin: &str, limit: usize) -> StoreResult<Vec<AuditEntry>> {
    // No name is that long, and its length would not fit a key.
    if plugin.len() > usize::from(u16::MAX) {
        return Ok(Vec::new());
    }
    let rows = backend.scan(Space::Documents, KeyRange::prefix(&keys::audit_of(plugin)), Order::Reverse);
    rows.take(limit).map(|row| parse_audit(&row?.1)).collect()
}
