//! The [`CampaignStore`] port: which campaigns are open from memory, the rest from the tables.

use std::sync::Arc;

use pombo_domain::TenantIndex;
use pombo_domain::model::{Campaign, CampaignCounts, ListedRow, RowStatus, StoredRow};
use pombo_domain::ports::{CampaignRows, CampaignStore, StoreResult};
use uuid::Uuid;

use crate::DiskStore;
use crate::tables::campaigns;

impl CampaignStore for DiskStore {
    fn campaign(&self, tenant: TenantIndex, number: u32) -> StoreResult<Option<Campaign>> {
        campaigns::read(&*self.shared.backend, tenant, number)
    }

    fn campaign_number(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<u32>> {
        campaigns::number_of(&*self.shared.backend, tenant, id)
    }

    fn campaigns(&self, tenant: TenantIndex, before: Option<u32>, limit: usize) -> StoreResult<Vec<Campaign>> {
        campaigns::list(&*self.shared.backend, tenant, before, limit)
    }

    fn open_campaigns(&self) -> StoreResult<Arc<[(TenantIndex, u32)]>> {
        Ok(self.shared.catalog.read().campaigns.open())
    }

    fn campaign_counts(&self, tenant: TenantIndex, number: u32) -> StoreResult<CampaignCounts> {
        campaigns::counts(&*self.shared.backend, tenant, number)
    }

    fn campaign_row(&self, tenant: TenantIndex, campaign: u32, row: u32) -> StoreResult<Option<StoredRow>> {
        campaigns::row(&*self.shared.backend, tenant, campaign, row)
    }

    fn campaign_rows(
        &self,
        tenant: TenantIndex,
        campaign: u32,
        status: Option<RowStatus>,
        after: u32,
        limit: usize,
    ) -> StoreResult<CampaignRows> {
        let (rows, next) = campaigns::rows(&*self.shared.backend, tenant, campaign, status, after, limit)?;
        Ok(CampaignRows { rows, next })
    }

    fn open_campaign_rows(
        &self,
        tenant: TenantIndex,
        campaign: u32,
        status: RowStatus,
        after: u32,
        limit: usize,
    ) -> StoreResult<Vec<StoredRow>> {
        campaigns::open_rows(&*self.shared.backend, tenant, campaign, status, after, limit)
    }

    fn listed_rows(
        &self,
        tenant: TenantIndex,
        campaign: u32,
        generation: u32,
        after: u32,
        limit: usize,
    ) -> StoreResult<Vec<ListedRow>> {
        campaigns::listed(&*self.shared.backend, tenant, campaign, generation, after, limit)
    }
}
