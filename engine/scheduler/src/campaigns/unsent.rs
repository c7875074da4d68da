//! Rows of campaigns that were paused or stopped: messages of which no attempt was made are taken back or canceled. What is with the
//! connector is left alone until its outcome is known.

use pombo_domain::MessageKey;
use pombo_domain::Timestamp;
use pombo_domain::model::campaign::row_of;
use pombo_domain::model::message::NotAllowed;
use pombo_domain::model::{Campaign, Delivery, Message, MessageState, RowOutcome, RowStatus};
use pombo_domain::ports::{Batch, CampaignChange, Change, StoreResult, Update};

use super::{Feeder, Next};

/// Rows changed in one batch, at most.
const PAGE: usize = 250;

impl Feeder {
    /// The campaign is paused: its queued messages become pending rows again. Not those that were sent in its name one by one: their rows
    /// do not say what they are to say, so they could not become messages again.
    pub(super) async fn take_back(&self, campaign: &Campaign, now: Timestamp) -> StoreResult<Next> {
        let number = campaign.number;
        let is_handed_over = |message: &Message| {
            message.content.external_id.as_deref().is_some_and(|reference| row_of(reference, number).is_some())
        };
        self.end_queued(campaign, is_handed_over, |state| state.withdraw(now)).await?;
        Ok(Next::Changed)
    }

    /// The campaign was stopped: its pending rows and queued messages are canceled.
    pub(super) async fn cancel(&self, campaign: &Campaign, now: Timestamp) -> StoreResult<Next> {
        let (tenant, number) = (campaign.tenant, campaign.number);
        let store = &self.context.ports.store;
        let pending = store.open_campaign_rows(tenant, number, RowStatus::Pending, 0, PAGE)?;
        if !pending.is_empty() {
            let rows = pending.into_iter().map(|stored| (stored.row.number, RowOutcome::Canceled, None)).collect();
            self.commit(vec![Change::Campaign(Box::new(CampaignChange::End { tenant, campaign: number, rows }))])
                .await?;
            return Ok(Next::Again);
        }
        self.end_queued(campaign, |_| true, |state| state.cancel(Some("its campaign was stopped"), now)).await?;
        let counts = store.campaign_counts(tenant, number)?;
        if counts.pending + counts.queued > 0 {
            return Ok(Next::Changed);
        }
        self.put(campaign.ended(now).ok()).await
    }

    /// Takes a step with every queued message that is concerned and allows it.
    async fn end_queued(
        &self,
        campaign: &Campaign,
        concerns: impl Fn(&Message) -> bool,
        step: impl Fn(&MessageState) -> Result<MessageState, NotAllowed>,
    ) -> StoreResult<()> {
        let (tenant, number) = (campaign.tenant, campaign.number);
        let store = &self.context.ports.store;
        let mut after = 0;
        loop {
            let rows = store.open_campaign_rows(tenant, number, RowStatus::Queued, after, PAGE)?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.row.number;
            let serials = rows.iter().filter_map(|stored| stored.state.message.map(|(serial, _)| serial));
            let keys: Vec<MessageKey> = serials.map(|serial| MessageKey { tenant, serial }).collect();
            let mut changes = Vec::new();
            for stored in store.messages(&keys)?.into_iter().flatten().filter(|stored| stored.state.attempts == 0) {
                if !concerns(&stored.message) {
                    continue;
                }
                if let Ok(state) = step(&stored.state) {
                    let key = stored.message.key;
                    let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
                    changes.push(Change::Update(Update { key, state, delivery }));
                }
            }
            if !changes.is_empty() {
                // One that a lane claims at this moment goes on; the rest of the batch does not.
                store.commit(Batch { changes, skip_stale: true }).await?;
            }
        }
    }
}
