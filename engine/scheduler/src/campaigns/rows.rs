//! What a row of a campaign becomes: a message, or the reason why it is not sent.

use pombo_domain::model::campaign::reference;
use pombo_domain::model::*;
use pombo_domain::ports::{CampaignChange, Change, Insert, StoreResult};

use super::Feeder;

impl Feeder {
    /// Hands over the next rows, at most `most`, in one batch; whether there were any. They say what was fixed when the campaign started;
    /// their category is that of the template now.
    pub(super) async fn hand_over(
        &self,
        campaign: &Campaign,
        connector: &Connector,
        template: &Template,
        most: usize,
    ) -> StoreResult<bool> {
        let (tenant, number) = (campaign.tenant, campaign.number);
        let store = &self.context.ports.store;
        let rows = store.open_campaign_rows(tenant, number, RowStatus::Pending, 0, most)?;
        let kind = ContactType::of_channel(&connector.channel);
        let header = campaign.header.as_ref().map(CampaignHeader::media);
        let (mut messages, mut ended) = (Vec::with_capacity(rows.len()), Vec::new());
        let fixed = campaign.text.as_ref().map(|text| text.within(template));
        let template = fixed.as_ref().unwrap_or(template);
        for StoredRow { row, .. } in rows {
            let wish = match kind {
                Some(kind) => self.wish(campaign, kind, &row.to, template.message_type())?,
                None => None,
            };
            if let Some(reason) = wish {
                ended.push((row.number, RowOutcome::Skipped(reason), None));
                continue;
            }
            // It was filled when the row was fixed; what a channel keeps may have changed since.
            match template.fill(&row.variables, header.as_ref()) {
                Ok(filled) => messages.push(NewMessage {
                    connector: campaign.connector,
                    text: filled.draft_text(),
                    to: row.to,
                    subject: None,
                    contact_name: row.name,
                    message_type: filled.message_type,
                    priority: campaign.priority,
                    scheduled_at: None,
                    requires_approval: false,
                    force_direct: false,
                    notes: None,
                    webhook_url: None,
                    external_id: Some(reference(number, row.number)),
                    attachments: campaign.header.iter().filter_map(CampaignHeader::file).cloned().collect(),
                    attachment_url: None,
                    variables: None,
                    options: MessageOptions {
                        action: filled.action,
                        template: Some(template.number),
                        campaign: Some(number),
                        ..MessageOptions::default()
                    },
                }),
                Err(problems) => {
                    let detail = problems.first().map(|first| format!("{}: {}", first.name, first.problem));
                    ended.push((row.number, RowOutcome::Skipped(SkipReason::MissingVariable), detail));
                }
            }
        }
        let mut changes = Vec::new();
        if !ended.is_empty() {
            changes.push(Change::Campaign(Box::new(CampaignChange::End { tenant, campaign: number, rows: ended })));
        }
        if !messages.is_empty() {
            changes.push(Change::Insert(Insert { tenant, messages, idempotency: None }));
        }
        let has_any = !changes.is_empty();
        if has_any {
            self.commit(changes).await?;
        }
        Ok(has_any)
    }

    /// Why nothing may be sent to an address any more, if so: its contact may have changed its mind since the row was fixed.
    fn wish(
        &self,
        campaign: &Campaign,
        kind: ContactType,
        to: &str,
        category: MessageType,
    ) -> StoreResult<Option<SkipReason>> {
        let store = &self.context.ports.store;
        let address = kind.identifier(to);
        Ok(match store.contact(campaign.tenant, kind, &address)? {
            Some(contact) if !contact.active => Some(SkipReason::OptedOut),
            Some(contact) => contact.refused.has(category).then_some(SkipReason::Refused),
            None => match store.opt_out(campaign.tenant, kind, &address)? {
                Some(wish) if wish.only.is_none() => Some(SkipReason::OptedOut),
                Some(wish) => wish.refuses(category).then_some(SkipReason::Refused),
                None => None,
            },
        })
    }
}
