//! What the store keeps of campaigns: themselves, the lists that were handed in for them, their rows and the counts of these.
//!
//! A message whose options name a campaign is a row of it. Its external id names the row ([`crate::model::campaign::reference`]) where the
//! scheduler hands over a row that was fixed: the row must be pending and the campaign must run, otherwise the batch is refused with
//! [`super::Conflict::Campaign`], so that a row becomes one message, whatever crashes. Any other such message adds a row of its own; the
//! campaign must take it ([`Campaign::takes_direct`]). From then on the row follows its message: its outcome and the counts change in the
//! batch of the message's state or of the reports about it.

use std::sync::Arc;

use uuid::Uuid;

use super::StoreResult;
use crate::TenantIndex;
use crate::model::{Campaign, CampaignCounts, CampaignRow, ListedRow, RowOutcome, RowState, RowStatus, StoredRow};

/// A change of campaigns and their rows.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "boxed as a whole in a batch")]
pub enum CampaignChange {
    /// Creates a campaign (number 0: it gets the next one), or replaces it; its revision must be the stored one plus one.
    Put(Campaign),
    /// Deletes a draft. Its list and rows are cleared before.
    Delete(TenantIndex, u32),
    /// Adds rows of a list that is being handed in.
    Listed {
        /// The tenant that owns the campaign.
        tenant: TenantIndex,
        /// The campaign.
        campaign: u32,
        /// Which list.
        generation: u32,
        /// The rows.
        rows: Vec<ListedRow>,
    },
    /// Deletes rows of a list, at most `limit`.
    ClearListed {
        /// The tenant that owns the campaign.
        tenant: TenantIndex,
        /// The campaign.
        campaign: u32,
        /// Which list.
        generation: u32,
        /// How many, at most.
        limit: usize,
    },
    /// Adds rows to a draft that is being started.
    Freeze {
        /// The tenant that owns the campaign.
        tenant: TenantIndex,
        /// The campaign.
        campaign: u32,
        /// The rows, with what is known of them from the beginning.
        rows: Vec<(CampaignRow, RowState)>,
    },
    /// Deletes rows of a draft, at most `limit`: what a start left that did not come to its end.
    ClearRows {
        /// The tenant that owns the campaign.
        tenant: TenantIndex,
        /// The campaign.
        campaign: u32,
        /// How many, at most.
        limit: usize,
    },
    /// Ends pending rows without a message. A row that is not pending any more stays as it is.
    End {
        /// The tenant that owns the campaign.
        tenant: TenantIndex,
        /// The campaign.
        campaign: u32,
        /// Number of each row, its outcome, and the same for a person.
        rows: Vec<(u32, RowOutcome, Option<String>)>,
    },
}

/// A page of a campaign's rows, by number.
#[derive(Default)]
pub struct CampaignRows {
    /// The rows.
    pub rows: Vec<StoredRow>,
    /// The number of the last row that was looked at, if there are more behind it.
    pub next: Option<u32>,
}

/// Reads of campaigns; part of [`super::Store`].
pub trait CampaignStore: Send + Sync + 'static {
    /// A campaign by its number.
    fn campaign(&self, tenant: TenantIndex, number: u32) -> StoreResult<Option<Campaign>>;
    /// The number of a campaign by its public id.
    fn campaign_number(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<u32>>;
    /// A tenant's campaigns below the number `before`, newest first.
    fn campaigns(&self, tenant: TenantIndex, before: Option<u32>, limit: usize) -> StoreResult<Vec<Campaign>>;
    /// The campaigns of all tenants for which the scheduler has something to do ([`Campaign::is_open`]). Cheap: from memory.
    fn open_campaigns(&self) -> StoreResult<Arc<[(TenantIndex, u32)]>>;
    /// How many rows of a campaign stand where.
    fn campaign_counts(&self, tenant: TenantIndex, number: u32) -> StoreResult<CampaignCounts>;
    /// A row.
    fn campaign_row(&self, tenant: TenantIndex, campaign: u32, row: u32) -> StoreResult<Option<StoredRow>>;
    /// Rows behind the number `after`, of one status if one is given. A page looks at a bounded number of rows, so it may be empty and
    /// have a next one.
    fn campaign_rows(
        &self,
        tenant: TenantIndex,
        campaign: u32,
        status: Option<RowStatus>,
        after: u32,
        limit: usize,
    ) -> StoreResult<CampaignRows>;
    /// Pending or queued rows behind the number `after`, by number. Cheap, however many others there are.
    fn open_campaign_rows(
        &self,
        tenant: TenantIndex,
        campaign: u32,
        status: RowStatus,
        after: u32,
        limit: usize,
    ) -> StoreResult<Vec<StoredRow>>;
    /// Rows of a list behind the number `after`, by number.
    fn listed_rows(
        &self,
        tenant: TenantIndex,
        campaign: u32,
        generation: u32,
        after: u32,
        limit: usize,
    ) -> StoreResult<Vec<ListedRow>>;
}
