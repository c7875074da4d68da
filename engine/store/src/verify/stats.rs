//! Whether counts can be read, and what is known by a channel's id is there.

use pombo_domain::ports::StoreResult;

use super::Problems;
use crate::DiskStore;
use crate::backend::{KeyRange, Order};
use crate::codec::bad_key;
use crate::columns::word;
use crate::keys;
use crate::space::Space;
use crate::tables::stats;

impl DiskStore {
    pub(super) fn verify_stats(&self, problems: &mut Problems) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        for row in backend.scan(Space::Documents, KeyRange::prefix(&[keys::STAT]), Order::Forward) {
            let (key, row) = row?;
            keys::parse_stat(&key).ok_or_else(|| bad_key("stats"))?;
            stats::parse(&row)?;
        }
        for row in backend.scan(Space::Documents, KeyRange::prefix(&[keys::FAILED_BEFORE]), Order::Forward) {
            let (key, _) = row?;
            let (tenant, serial) = keys::parse_numbered(&key).ok_or_else(|| bad_key("stats"))?;
            if self.shared.columns.word(pombo_domain::MessageKey { tenant, serial }).is_none() {
                problems.add(|| format!("{}/{serial} failed before and is not there", tenant.0));
            }
        }
        for row in backend.scan(Space::Timeline, KeyRange::prefix(&[keys::PROVIDER_MESSAGE]), Order::Forward) {
            let (key, row) = row?;
            let connector = keys::parse_provider_message(&key).ok_or_else(|| bad_key("provider ids"))?;
            let message = stats::parse_provider(&row)?;
            if self.shared.columns.word(message).map(word::connector) != Some(connector) {
                problems.add(|| {
                    format!("{message:?} is known by an id of connector {}, and is not its message", connector.0)
                });
            }
        }
        Ok(())
    }
}
