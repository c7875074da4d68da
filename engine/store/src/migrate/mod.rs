//! The schema version of the data and the way from an older one. A version names the key registry and the row formats; it
//! rises when data written by an older engine must be rewritten before this one can read it. A newer version than this
//! engine's is refused: what it means is not known here.

use crate::Error;
use crate::backend::{Backend, Bytes, KeyRange, Order, Write};
use crate::keys::{self, Space};
use crate::tables::meta;

/// The version that this engine reads and writes.
pub(crate) const SCHEMA: u64 = 1;

/// A step from `from` to the next version. It must do no harm when it runs again after a crash.
pub(crate) struct Migration {
    pub(crate) from: u64,
    pub(crate) run: fn(&dyn Backend) -> Result<(), Error>,
}

/// The steps, oldest first.
pub(crate) const MIGRATIONS: &[Migration] = &[];

/// Brings the data to `schema`, or says why that can not be. A new store gets its version at once.
pub(crate) fn bring_to(backend: &dyn Backend, schema: u64, migrations: &[Migration]) -> Result<(), Error> {
    let mut found = match meta::number(backend, meta::SCHEMA)? {
        Some(found) => found,
        None if is_empty(backend)? => return set(backend, schema),
        None => return Err(Error::Damaged("there is data but no schema version".to_owned())),
    };
    if found > schema {
        return Err(Error::TooNew { found, known: schema });
    }
    while found < schema {
        let step = migrations.iter().find(|step| step.from == found).ok_or(Error::TooOld { found, known: schema })?;
        tracing::info!(from = found, "migrating the store");
        (step.run)(backend)?;
        found += 1;
        set(backend, found)?;
    }
    Ok(())
}

fn set(backend: &dyn Backend, version: u64) -> Result<(), Error> {
    Ok(put_number(backend, meta::SCHEMA, version)?)
}

/// Stores a number of the store's own.
pub(crate) fn put_number(backend: &dyn Backend, name: &str, number: u64) -> pombo_domain::ports::StoreResult<()> {
    let value = Some(Bytes::from(number.to_be_bytes()));
    backend.write(vec![Write { space: Space::Documents, key: keys::meta(name).bytes(), value }])
}

fn is_empty(backend: &dyn Backend) -> Result<bool, Error> {
    for space in Space::ALL {
        if let Some(row) = backend.scan(space, KeyRange::prefix(&[]), Order::Forward).next() {
            row?;
            return Ok(false);
        }
    }
    Ok(true)
}
