//! What a group does to campaigns. A row and its message change together: a message that names a campaign becomes a row when it is
//! inserted, and the row follows the message's state and the reports about it, with the campaign's counts, in the same batch.

use pombo_domain::model::campaign::{CampaignStatus, MAX_CAMPAIGNS, row_of};
use pombo_domain::model::{Campaign, CampaignRow, Message, MessageState, Receipts, RowOutcome, RowState, Status};
use pombo_domain::ports::{CampaignChange, Conflict, Effect, StoreError, StoreResult};
use pombo_domain::{MessageKey, TenantIndex};

use super::Group;
use super::automations::gone;
use crate::catalog::CatalogChange;
use crate::codec::{bad_key, damaged};
use crate::keys;
use crate::space::Space;
use crate::tables::numbers::{self, Series};
use crate::tables::{campaigns, receipts};

fn changed(number: u32) -> StoreError {
    StoreError::Conflict(Conflict::Campaign(number))
}

impl Group<'_> {
    pub(super) fn campaign(&mut self, change: CampaignChange) -> StoreResult<()> {
        match change {
            CampaignChange::Put(campaign) => self.put_campaign(campaign),
            CampaignChange::Delete(tenant, number) => {
                let campaign = self.draft(tenant, number)?;
                campaigns::delete(&mut self.staged, &campaign);
                Ok(())
            }
            CampaignChange::Listed { tenant, campaign, generation, rows } => {
                self.draft(tenant, campaign)?;
                for row in &rows {
                    campaigns::put_listed(&mut self.staged, tenant, campaign, generation, row);
                }
                Ok(())
            }
            CampaignChange::ClearListed { tenant, campaign, generation, limit } => {
                let prefix = keys::campaign_list(tenant, campaign, generation);
                for key in campaigns::stored_keys(&*self.shared.backend, &prefix, limit)? {
                    self.staged.delete(Space::Documents, key);
                }
                Ok(())
            }
            CampaignChange::Freeze { tenant, campaign, rows } => {
                self.draft(tenant, campaign)?;
                for (row, state) in rows {
                    campaigns::put_row(&mut self.staged, tenant, campaign, &row);
                    self.row_stands(tenant, campaign, row.number, None, &state)?;
                }
                Ok(())
            }
            CampaignChange::ClearRows { tenant, campaign, limit } => self.clear_rows(tenant, campaign, limit),
            CampaignChange::End { tenant, campaign, rows } => {
                for (row, outcome, detail) in rows {
                    let old = campaigns::staged_state(&self.staged, tenant, campaign, row)?;
                    if let Some(old) = old.filter(|old| old.outcome == RowOutcome::Pending) {
                        let state = RowState { outcome, detail, message: None, at: self.now };
                        self.row_stands(tenant, campaign, row, Some(&old.outcome), &state)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn put_campaign(&mut self, mut campaign: Campaign) -> StoreResult<()> {
        let tenant = campaign.tenant;
        if campaign.number == 0 {
            let given = numbers::next(&mut self.staged, tenant, Series::Campaigns)?;
            // Drafts that were deleted count too: it bounds what one tenant can ever make.
            if given > MAX_CAMPAIGNS {
                return Err(StoreError::Conflict(Conflict::TooManyCampaigns));
            }
            campaign.number = u32::try_from(given).map_err(|_| damaged("campaigns: a number that is too large"))?;
        } else {
            let old = campaigns::staged(&self.staged, tenant, campaign.number)?.ok_or_else(gone)?;
            if old.revision.checked_add(1) != Some(campaign.revision) {
                return Err(changed(campaign.number));
            }
        }
        campaigns::put(&mut self.staged, &campaign);
        self.outcome.catalog.push(CatalogChange::Campaign(tenant, campaign.number, campaign.is_open()));
        self.tell_campaign(tenant, campaign.number);
        Ok(())
    }

    /// The campaign, if it is a draft.
    fn draft(&self, tenant: TenantIndex, number: u32) -> StoreResult<Campaign> {
        let campaign = campaigns::staged(&self.staged, tenant, number)?.ok_or_else(gone)?;
        if campaign.status == CampaignStatus::Draft { Ok(campaign) } else { Err(changed(number)) }
    }

    fn clear_rows(&mut self, tenant: TenantIndex, campaign: u32, limit: usize) -> StoreResult<()> {
        self.draft(tenant, campaign)?;
        let prefix = keys::of_campaign(keys::CAMPAIGN_ROW_STATE, tenant, campaign);
        let mut counts = campaigns::staged_counts(&self.staged, tenant, campaign)?;
        for key in campaigns::stored_keys(&*self.shared.backend, &prefix, limit)? {
            let row = keys::parse_last_number(&key).ok_or_else(|| bad_key("campaigns"))?;
            let Some(state) = campaigns::staged_state(&self.staged, tenant, campaign, row)? else { continue };
            counts.remove(&state.outcome);
            if let Some(open) = keys::campaign_open_row(tenant, campaign, state.outcome.status(), row) {
                self.staged.delete(Space::Documents, open.bytes());
            }
            let fixed = keys::campaign_row(keys::CAMPAIGN_ROW, tenant, campaign, row);
            self.staged.delete(Space::Documents, fixed.bytes());
            self.staged.delete(Space::Documents, key);
        }
        campaigns::put_counts(&mut self.staged, tenant, campaign, &counts);
        Ok(())
    }

    /// A message that names a campaign is inserted: it is the row that its reference names, or a new one.
    pub(super) fn campaign_message(&mut self, message: &Message, number: u32, state: &MessageState) -> StoreResult<()> {
        let tenant = message.key.tenant;
        let campaign = campaigns::staged(&self.staged, tenant, number)?.ok_or_else(|| changed(number))?;
        let content = &message.content;
        let named = content.external_id.as_deref().and_then(|reference| row_of(reference, number));
        let outcome = RowOutcome::of(state, &Receipts::default());
        let stands =
            RowState { outcome, detail: None, message: Some((message.key.serial, message.id)), at: message.created_at };
        let row = match named {
            Some(row) => {
                let old = campaigns::staged_state(&self.staged, tenant, number, row)?;
                let is_pending = old.is_some_and(|old| old.outcome == RowOutcome::Pending);
                if campaign.status != CampaignStatus::Running || !is_pending {
                    return Err(changed(number));
                }
                self.row_stands(tenant, number, row, Some(&RowOutcome::Pending), &stands)?;
                row
            }
            None => {
                if !campaign.takes_direct() {
                    return Err(changed(number));
                }
                let rows = campaigns::staged_counts(&self.staged, tenant, number)?.rows();
                let row = u32::try_from(rows + 1).map_err(|_| damaged("campaigns: too many rows"))?;
                let fixed = CampaignRow {
                    number: row,
                    line: None,
                    to: content.to.clone(),
                    name: content.contact_name.clone(),
                    contact: None,
                    variables: Default::default(),
                };
                campaigns::put_row(&mut self.staged, tenant, number, &fixed);
                self.row_stands(tenant, number, row, None, &stands)?;
                row
            }
        };
        campaigns::put_place(&mut self.staged, message.key, number, row);
        Ok(())
    }

    /// A message's state changed, from this status: its row follows, if it is one.
    pub(super) fn campaign_stepped(&mut self, key: MessageKey, from: Status, state: &MessageState) -> StoreResult<()> {
        let Some(place) = self.row_place(key)? else { return Ok(()) };
        let reports = if state.status == Status::Sent {
            let row = self.staged.get(Space::Events, &keys::receipts(key))?;
            row.map(|row| receipts::parse(&row)).transpose()?.unwrap_or_default()
        } else {
            Receipts::default()
        };
        let ends_attempt = from == Status::Processing;
        self.row_reached(key, place, state, &reports, ends_attempt)
    }

    /// There are reports about a message: its row follows, if it is one.
    pub(super) fn campaign_reported(&mut self, key: MessageKey, reports: &Receipts) -> StoreResult<()> {
        let Some(place) = self.row_place(key)? else { return Ok(()) };
        let Some(word) = self.shared.columns.word(key) else { return Ok(()) };
        let (_, state) = self.state_of(key, &keys::message(key), word)?;
        self.row_reached(key, place, &state, reports, false)
    }

    /// The campaign and the row that a message is. Cheap for a tenant without campaigns.
    fn row_place(&self, key: MessageKey) -> StoreResult<Option<(u32, u32)>> {
        if !self.shared.catalog.read().campaigns.has_any(key.tenant) {
            return Ok(None);
        }
        campaigns::staged_place(&self.staged, key)
    }

    /// The row follows its message. `ends_attempt`: the state is the end of an attempt, which is counted once, whatever is reported or
    /// changed while the message waits for the next one.
    fn row_reached(
        &mut self,
        key: MessageKey,
        (campaign, row): (u32, u32),
        state: &MessageState,
        reports: &Receipts,
        ends_attempt: bool,
    ) -> StoreResult<()> {
        let tenant = key.tenant;
        let old = campaigns::staged_state(&self.staged, tenant, campaign, row)?;
        let old = old.ok_or_else(|| damaged("campaigns: a message names a row that is not there"))?;
        let outcome = RowOutcome::of(state, reports);
        if old.message.is_none_or(|(serial, _)| serial != key.serial) {
            return Ok(());
        }
        if old.outcome == outcome {
            // It is back in the queue: a campaign that was paused meanwhile takes it back now.
            if matches!(state.status, Status::Pending | Status::Waiting) {
                if let Some(code) = state.put_back_code().filter(|_| ends_attempt && outcome == RowOutcome::Queued) {
                    let mut counts = campaigns::staged_counts(&self.staged, tenant, campaign)?;
                    counts.put_back(code);
                    campaigns::put_counts(&mut self.staged, tenant, campaign, &counts);
                }
                self.tell_campaign(tenant, campaign);
            }
            return Ok(());
        }
        let withdrawn = outcome == RowOutcome::Pending;
        let detail = match outcome {
            RowOutcome::Failed(_) | RowOutcome::Canceled | RowOutcome::Unknown | RowOutcome::Held => {
                state.reason.as_ref().map(|reason| reason.detail.clone())
            }
            _ => None,
        };
        if withdrawn {
            self.staged.delete(Space::Documents, keys::campaign_message(key).bytes());
        }
        let message = old.message.filter(|_| !withdrawn);
        let stands = RowState { outcome, detail, message, at: self.now };
        self.row_stands(tenant, campaign, row, Some(&old.outcome), &stands)
    }

    /// Writes where a row stands, with its key among the open ones and the counts.
    fn row_stands(
        &mut self,
        tenant: TenantIndex,
        campaign: u32,
        row: u32,
        old: Option<&RowOutcome>,
        state: &RowState,
    ) -> StoreResult<()> {
        let open = |outcome: &RowOutcome| keys::campaign_open_row(tenant, campaign, outcome.status(), row);
        let mut counts = campaigns::staged_counts(&self.staged, tenant, campaign)?;
        if let Some(old) = old {
            counts.remove(old);
            if let Some(key) = open(old) {
                self.staged.delete(Space::Documents, key.bytes());
            }
        }
        counts.add(&state.outcome);
        if let Some(key) = open(&state.outcome) {
            self.staged.put(Space::Documents, key.bytes(), Vec::new());
        }
        campaigns::put_counts(&mut self.staged, tenant, campaign, &counts);
        campaigns::put_state(&mut self.staged, tenant, campaign, row, state);
        self.tell_campaign(tenant, campaign);
        Ok(())
    }

    /// Tells of it once for a run of changes.
    fn tell_campaign(&mut self, tenant: TenantIndex, campaign: u32) {
        let effect = Effect::Campaign(tenant, campaign);
        if self.outcome.effects.last() != Some(&effect) {
            self.outcome.effects.push(effect);
        }
    }
}
