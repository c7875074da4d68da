//! The [`StatStore`] port: counts of messages.

use pombo_domain::TenantIndex;
use pombo_domain::model::stats::{StatRow, StatSpan};
use pombo_domain::ports::{StatFilter, StatStore, StoreResult};

use crate::DiskStore;
use crate::tables::stats;

impl StatStore for DiskStore {
    fn stats(&self, tenant: TenantIndex, filter: &StatFilter, limit: usize) -> StoreResult<Option<Vec<StatRow>>> {
        stats::read(&*self.shared.backend, tenant, filter, limit)
    }

    fn has_stats_before(&self, tenant: TenantIndex, span: StatSpan, before: u32) -> StoreResult<bool> {
        stats::is_before(&*self.shared.backend, tenant, span, before)
    }
}
