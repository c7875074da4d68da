//! What a person does to a campaign that was started: pause, resume, stop. The scheduler takes back, hands over or cancels rows
//! afterwards.

use super::CampaignView;
use crate::commands::Commands;
use crate::model::campaign::CampaignNotAllowed;
use crate::model::{Campaign, CampaignReason};
use crate::ports::{Batch, CampaignChange, Change, Conflict, StoreError};
use crate::{Result, TenantIndex};

/// How often a step is tried while the scheduler changes the campaign at the same moment.
const RETRIES: usize = 8;

impl Commands {
    /// Pauses a campaign: what no attempt was made of is taken back.
    pub async fn pause_campaign(&self, tenant: TenantIndex, number: u32, why: Option<&str>) -> Result<CampaignView> {
        let now = self.now();
        let detail = why.unwrap_or("a person paused it");
        self.step_campaign(tenant, number, |campaign| campaign.paused(CampaignReason::Person, detail, now)).await
    }

    /// Resumes a campaign. The rules by which it pauses itself count from here.
    pub async fn resume_campaign(&self, tenant: TenantIndex, number: u32) -> Result<CampaignView> {
        let now = self.now();
        let counts = self.ports().store.campaign_counts(tenant, number)?;
        self.step_campaign(tenant, number, |campaign| campaign.resumed(&counts, now)).await
    }

    /// Stops a campaign for good: what no attempt was made of is canceled.
    pub async fn stop_campaign(&self, tenant: TenantIndex, number: u32, why: Option<&str>) -> Result<CampaignView> {
        let now = self.now();
        let detail = why.unwrap_or("a person stopped it");
        self.step_campaign(tenant, number, |campaign| campaign.stopped(detail, now)).await
    }

    async fn step_campaign(
        &self,
        tenant: TenantIndex,
        number: u32,
        step: impl Fn(&Campaign) -> Result<Campaign, CampaignNotAllowed>,
    ) -> Result<CampaignView> {
        let _turn = self.campaign_turn(tenant, number).await;
        for _ in 0..RETRIES {
            let next = step(&self.campaign_by_number(tenant, number)?)?;
            let change = Change::Campaign(Box::new(CampaignChange::Put(next)));
            match self.ports().store.commit(Batch::of(vec![change])).await {
                Ok(_) => return self.get_campaign(tenant, number),
                Err(StoreError::Conflict(Conflict::Campaign(_))) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict(Conflict::Campaign(number)).into())
    }
}
