//! The schema version of the data and the way from an older one. A version names the key registry and the row formats; it
//! rises when data written by an older engine must be rewritten before this one can read it, and when an older engine could
//! not read what this one writes. A newer version than this engine's is refused: this engine does not know what it means.
//!
//! - 1: the first.
//! - 2: event logs, receipts, health counts, contact aliases; records of format 2 (options), connectors of format 2 (health
//!   rules in the pace). Rows of format 1 stay as they are and are read.
//! - 3: automations, plugins, conversations, work; four more kinds of events. What is there stays as it is.
//! - 4: API keys of format 2 (the connector that a key is bound to); keys of format 1 stay as they are and are read. Users of format 2
//!   (number, role): all users are rewritten. Access tokens. Contacts of format 2, with numbers; tags, which the rows of conversations
//!   refer to; stored files; conversations for all messages, of format 2, with numbers and timelines: what is there is rewritten. See
//!   [`to_4`]. Three more kinds of events; webhooks of connectors with their deliveries, of which there are none at first.
//!   Connectors whose secret for requests of their channel was changed, of format 3; all others stay of format 2. Records of
//!   format 4 (what files are shown as, until when a message may be sent). Conversations whose pause ends by itself, of format 6, and the
//!   list of these pauses; settings of format 3 (what the account's own phone does).

#[cfg(test)]
mod fixture;
mod to_4;

use crate::Error;
use crate::backend::{Backend, Bytes, KeyRange, Order, Write};
use crate::keys;
use crate::space::Space;
use crate::tables::meta;

/// The version that this engine reads and writes.
pub(crate) const SCHEMA: u64 = 4;

/// A step from `from` to the next version. It must be safe to run again after a crash.
pub(crate) struct Migration {
    pub(crate) from: u64,
    pub(crate) run: fn(&dyn Backend) -> Result<(), Error>,
}

/// The steps, oldest first.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration { from: 1, run: |_| Ok(()) },
    Migration { from: 2, run: |_| Ok(()) },
    Migration { from: 3, run: to_4::run },
];

/// Brings the data to `schema`, or says why that is not possible. A new store gets its version at once.
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

/// Stores one of the store's own numbers.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_backend::MemoryBackend;

    fn number(backend: &MemoryBackend, name: &str) -> u64 {
        meta::number(backend, name).expect("readable").unwrap_or_default()
    }

    fn add(backend: &dyn Backend, by: u64) -> Result<(), Error> {
        let old = meta::number(backend, "proof")?.unwrap_or_default();
        Ok(put_number(backend, "proof", old * 10 + by)?)
    }

    const STEPS: &[Migration] = &[
        Migration { from: 1, run: |backend| add(backend, 1) },
        Migration { from: 2, run: |backend| add(backend, 2) },
        Migration { from: 3, run: |_| Err(Error::Damaged("half way".to_owned())) },
    ];

    #[test]
    fn a_new_store_has_the_present_version_and_runs_no_step() {
        let backend = MemoryBackend::default();
        bring_to(&backend, 3, STEPS).expect("nothing to do");
        assert_eq!((number(&backend, meta::SCHEMA), number(&backend, "proof")), (3, 0));
    }

    #[test]
    fn an_old_store_takes_each_step_once_and_in_order() {
        let backend = MemoryBackend::default();
        bring_to(&backend, 1, STEPS).expect("new");
        bring_to(&backend, 3, STEPS).expect("two steps");
        bring_to(&backend, 3, STEPS).expect("none left");
        assert_eq!((number(&backend, meta::SCHEMA), number(&backend, "proof")), (3, 12));
        assert!(matches!(bring_to(&backend, 4, STEPS), Err(Error::Damaged(_))));
        assert_eq!(number(&backend, meta::SCHEMA), 3, "a step that fails is not counted");
    }

    #[test]
    fn what_can_not_be_read_is_refused() {
        let newer = MemoryBackend::default();
        bring_to(&newer, 9, &[]).expect("new");
        let refused = bring_to(&newer, 1, &[]);
        assert!(matches!(refused, Err(Error::TooNew { found: 9, known: 1 })));
        assert!(matches!(bring_to(&newer, 10, &[]), Err(Error::TooOld { found: 9, known: 10 })));
        let unmarked = MemoryBackend::default();
        put_number(&unmarked, "anything", 1).expect("written");
        assert!(matches!(bring_to(&unmarked, 1, &[]), Err(Error::Damaged(_))));
    }
}
