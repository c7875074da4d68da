//! Campaigns: prepared as drafts, checked without sending anything, started once, and paused, resumed or stopped while they run.
//!
//! - [`drafts`]: create, change, delete. [`audience`]: lists that are handed in.
//! - [`plan`]: what the audience comes to, row by row: the same for the dry run and for the start. [`check`]: the dry run. [`start`]: rows
//!   are fixed. [`steps`]: pause, resume, stop. [`prices`]: what messages cost.
//!
//! The rows become messages in the scheduler. Changes of one campaign happen one after the other, under a lock of this process; its
//! revision guards against the scheduler's.

pub mod audience;
pub mod check;
pub mod drafts;
mod plan;
pub mod prices;
mod start;
mod steps;

use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::model::campaign::CampaignNotAllowed;
use crate::model::{
    Audience, Campaign, CampaignCounts, Connector, ContactChoice, RowStatus, StopRules, StoredRow, Template,
};
use crate::ports::{Batch, CampaignChange, CampaignRows, Change};
use crate::{Error, Field, Result, TenantIndex, Timestamp};

pub use prices::{Cost, CostView, PriceTable};

/// Maximum number of campaigns of a page.
pub const MAX_PAGE: usize = 250;

/// What the operator set for campaigns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CampaignPolicy {
    /// What messages cost.
    pub prices: PriceTable,
    /// The codes that a campaign stops at if its draft says nothing else.
    pub stop_codes: Vec<String>,
}

/// How a caller names a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignRef {
    /// By its public id.
    Id(Uuid),
    /// By the tenant's number for it.
    Number(u32),
}

/// A campaign with how its rows stand.
#[derive(Clone)]
pub struct CampaignView {
    /// The campaign.
    pub campaign: Campaign,
    /// Its connector, also a deleted one.
    pub connector: Arc<Connector>,
    /// How many rows stand where.
    pub counts: CampaignCounts,
    /// What to think of, by its start alone.
    pub warnings: Vec<String>,
}

impl From<CampaignNotAllowed> for Error {
    fn from(error: CampaignNotAllowed) -> Self {
        Self::conflict(error.to_string())
    }
}

impl Commands {
    /// With what the operator set for campaigns.
    pub fn with_campaigns(mut self, policy: CampaignPolicy) -> Self {
        self.campaign_policy = Arc::new(policy);
        self
    }

    /// The codes that a campaign stops at if its draft says nothing else.
    pub fn campaign_stop_codes(&self) -> &[String] {
        &self.campaign_policy.stop_codes
    }

    /// A campaign by the tenant's number for it.
    pub fn campaign_by_number(&self, tenant: TenantIndex, number: u32) -> Result<Campaign> {
        self.ports().store.campaign(tenant, number)?.ok_or_else(|| Error::not_found("Campaign"))
    }

    /// The number of a campaign that a caller names.
    pub fn campaign_number(&self, tenant: TenantIndex, named: CampaignRef) -> Result<u32> {
        match named {
            CampaignRef::Number(number) => Ok(self.campaign_by_number(tenant, number)?.number),
            CampaignRef::Id(id) => {
                let found = self.ports().store.campaign_number(tenant, id)?;
                found.ok_or_else(|| Error::not_found("Campaign"))
            }
        }
    }

    /// A campaign in whose name something may be sent, one by one; otherwise a conflict that says what it is doing. A message whose
    /// options name it becomes a row of it when it is stored.
    pub fn campaign_for_send(&self, tenant: TenantIndex, number: u32) -> Result<Campaign> {
        let campaign = self.campaign_by_number(tenant, number)?;
        if campaign.takes_direct() {
            return Ok(campaign);
        }
        let status = campaign.status;
        Err(Error::conflict(format!("campaign {number} is {status}: nothing can be sent in its name")))
    }

    /// A campaign with how its rows stand.
    pub fn get_campaign(&self, tenant: TenantIndex, number: u32) -> Result<CampaignView> {
        let campaign = self.campaign_by_number(tenant, number)?;
        self.campaign_view(campaign)
    }

    /// A page of a tenant's campaigns below the number `before`, newest first.
    pub fn list_campaigns(&self, tenant: TenantIndex, before: Option<u32>, limit: usize) -> Result<Vec<CampaignView>> {
        let found = self.ports().store.campaigns(tenant, before, limit.min(MAX_PAGE))?;
        found.into_iter().map(|campaign| self.campaign_view(campaign)).collect()
    }

    /// Rows of a campaign behind the number `after`, of one status if one is given.
    pub fn campaign_rows(
        &self,
        tenant: TenantIndex,
        number: u32,
        status: Option<RowStatus>,
        after: u32,
        limit: usize,
    ) -> Result<CampaignRows> {
        self.campaign_by_number(tenant, number)?;
        Ok(self.ports().store.campaign_rows(tenant, number, status, after, limit)?)
    }

    /// A row of a campaign.
    pub fn campaign_row(&self, tenant: TenantIndex, number: u32, row: u32) -> Result<StoredRow> {
        let found = self.ports().store.campaign_row(tenant, number, row)?;
        found.ok_or_else(|| Error::not_found("Row"))
    }

    pub(super) fn campaign_view(&self, campaign: Campaign) -> Result<CampaignView> {
        let store = &self.ports().store;
        let connector = store.connector(campaign.connector)?;
        let connector = connector.ok_or_else(|| Error::internal("a campaign's connector is not there"))?;
        let counts = store.campaign_counts(campaign.tenant, campaign.number)?;
        Ok(CampaignView { campaign, connector, counts, warnings: Vec::new() })
    }

    /// The lock under which a campaign is changed.
    pub(super) async fn campaign_turn(&self, tenant: TenantIndex, number: u32) -> futures::lock::MutexGuard<'_, ()> {
        self.campaign_writes.of(&format!("{}/{number}", tenant.0)).await
    }

    pub(super) async fn put_campaign(&self, campaign: Campaign) -> Result<()> {
        self.commit_campaign(CampaignChange::Put(campaign)).await
    }

    pub(super) async fn commit_campaign(&self, change: CampaignChange) -> Result<()> {
        self.ports().store.commit(Batch::of(vec![Change::Campaign(Box::new(change))])).await?;
        Ok(())
    }

    /// The template that a campaign sends: any text of the tenant's own, or one of its connector.
    pub(super) fn campaign_template(&self, campaign: &Campaign) -> Result<Arc<Template>> {
        let found = self.ports().store.template_by_number(campaign.tenant, campaign.template)?;
        let template = found.ok_or_else(|| Error::invalid(Field::Template, "is not the number of a template"))?;
        match template.connector {
            Some(connector) if connector != campaign.connector => {
                Err(Error::invalid(Field::Template, "belongs to another connector than the campaign's"))
            }
            _ => Ok(template),
        }
    }
}

/// What a campaign needs for the header of its template and does not have, for a person. Of a list, the columns may have it; of what is
/// sent one by one, each send.
pub(super) fn lacks_header(campaign: &Campaign, template: &Template) -> Option<String> {
    let format = template.header_shown().filter(|_| campaign.header.is_none())?;
    let variable = if format.is_file() { "header" } else { "header.latitude" };
    let is_for_contacts = matches!(campaign.audience, Audience::Contacts(_));
    (is_for_contacts && !campaign.bindings.contains_key(variable)).then(|| {
        format!("the header of the template is of the format {format}: set the campaign's header, or fill {variable}")
    })
}

/// The defaults of a draft's rules.
pub(super) fn default_rules(policy: &CampaignPolicy) -> StopRules {
    StopRules { codes: policy.stop_codes.clone(), code_times: 1, min_sent: 50, ..StopRules::default() }
}

/// Whether an instant may be the start of a campaign.
pub(super) fn checked_start(at: Option<Timestamp>, now: Timestamp) -> Result<Option<Timestamp>> {
    const MOST_MS: i64 = 366 * 24 * 60 * 60 * 1000;
    match at {
        Some(at) if at.since(now) > MOST_MS => {
            Err(Error::invalid(Field::ScheduledAt, "must be at most 366 days ahead"))
        }
        at => Ok(at),
    }
}

/// A choice of contacts without what was left empty.
pub(super) fn trimmed(choice: ContactChoice) -> ContactChoice {
    let search = choice.search.map(|words| words.trim().to_owned()).filter(|words| !words.is_empty());
    ContactChoice { search, ..choice }
}
