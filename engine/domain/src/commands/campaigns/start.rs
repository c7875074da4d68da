//! The start of a campaign: its audience is fixed into rows, a part with each commit, and the last commit lets it run. A start that breaks
//! off leaves a draft, and the next start begins anew.

use super::check::Undeliverable;
use super::{CampaignView, checked_start, lacks_header};
use crate::commands::Commands;
use crate::commands::messages::equal_texts::{TextCounts, equal_texts_warning};
use crate::model::{Audience, CampaignHeader, MessageType, RowOutcome, RowState};
use crate::ports::CampaignChange;
use crate::{Error, Field, Result, TenantIndex, Timestamp};

impl Commands {
    /// Starts a draft, at once or at an instant. What is sent, and to whom, is fixed now.
    pub async fn start_campaign(
        &self,
        tenant: TenantIndex,
        number: u32,
        at: Option<Timestamp>,
    ) -> Result<CampaignView> {
        let _turn = self.campaign_turn(tenant, number).await;
        let campaign = self.campaign_by_number(tenant, number)?;
        let now = self.now();
        let at = checked_start(at, now)?;
        let next = campaign.frozen(at, now)?;
        let mut plan = self.campaign_plan(&campaign)?;
        if !plan.template.is_sendable() {
            let status = plan.template.status;
            return Err(Error::conflict(format!("the campaign's template is {status}, so nothing can be sent")));
        }
        if let Some(problem) = lacks_header(&campaign, &plan.template) {
            return Err(Error::invalid(Field::Header, problem));
        }
        if let Some(file) = campaign.header.as_ref().and_then(CampaignHeader::file)
            && self.header_file(tenant, file.id, None).await?.is_none()
        {
            return Err(Error::conflict("the file of the campaign's header was deleted; give it another one"));
        }
        let next = next.with_text_of(&plan.template);
        self.clear_rows(tenant, number).await?;
        let (mut sends, mut texts, mut undeliverable) = (false, TextCounts::default(), Undeliverable::default());
        while let Some(page) = plan.page().await? {
            let mut rows = Vec::with_capacity(page.len());
            for planned in page {
                let (outcome, detail) = match planned.fate {
                    Ok(filled) => {
                        texts.add(&filled.text);
                        (RowOutcome::Pending, None)
                    }
                    Err(left_out) => {
                        undeliverable.add(&left_out);
                        (RowOutcome::Skipped(left_out.reason), left_out.detail)
                    }
                };
                sends |= outcome.is_open();
                rows.push((planned.row, RowState { outcome, detail, message: None, at: now }));
            }
            if !rows.is_empty() {
                self.commit_campaign(CampaignChange::Freeze { tenant, campaign: number, rows }).await?;
            }
        }
        if !sends && campaign.audience != Audience::Direct {
            self.clear_rows(tenant, number).await?;
            return Err(Error::conflict("nobody of the campaign's audience can be sent to; its check says why"));
        }
        self.put_campaign(next).await?;
        let mut view = self.get_campaign(tenant, number)?;
        if plan.template.message_type() == MessageType::Marketing {
            view.warnings.extend(equal_texts_warning(self.hand_in_campaign(plan.connector.id, &texts)));
        }
        view.warnings.extend(undeliverable.warnings());
        Ok(view)
    }
}
