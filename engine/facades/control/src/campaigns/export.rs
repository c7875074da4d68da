//! All rows of a campaign as a file.

use poem_openapi::types::ToJSON;
use pombo_api::error::Failure;
use pombo_api::export::Export;
use pombo_domain::TenantIndex;
use pombo_domain::commands::Commands;
use pombo_domain::model::RowStatus;

use super::rows::CampaignRow;

/// Rows read at once.
const CHUNK: usize = 500;

/// Rows, read chunk after chunk.
pub(crate) struct RowExport {
    commands: Commands,
    tenant: TenantIndex,
    campaign: u32,
    status: Option<RowStatus>,
    /// Where the next chunk begins; `None` behind the last one.
    after: Option<u32>,
}

impl RowExport {
    pub(super) fn of(commands: &Commands, tenant: TenantIndex, campaign: u32, status: Option<RowStatus>) -> Self {
        Self { commands: commands.clone(), tenant, campaign, status, after: Some(0) }
    }
}

impl Export for RowExport {
    type Row = CampaignRow;
    type Json = Vec<CampaignRow>;
    const FILE: &'static str = "rows";
    const DESCRIPTION: &'static str = "The rows of the campaign, as a download.";
    const HEAD: &'static [&'static str] =
        &["row", "line", "to", "name", "contactId", "variables", "status", "code", "detail", "messageId", "at"];

    async fn next(&mut self) -> Result<Option<Vec<CampaignRow>>, Failure> {
        let Some(after) = self.after else { return Ok(None) };
        let page = self.commands.campaign_rows(self.tenant, self.campaign, self.status, after, CHUNK)?;
        self.after = page.next;
        Ok(Some(page.rows.into_iter().map(CampaignRow::from).collect()))
    }

    fn json(row: &CampaignRow) -> Result<String, Failure> {
        Ok(row.to_json_string())
    }

    fn cells(row: &CampaignRow) -> Vec<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let id = |id: &Option<uuid::Uuid>| id.map_or_else(String::new, |id| id.to_string());
        vec![
            row.row.to_string(),
            row.line.map_or_else(String::new, |line| line.to_string()),
            row.to.clone(),
            text(&row.name),
            id(&row.contact_id),
            row.variables.to_json_string(),
            row.status.to_json_string().trim_matches('"').to_owned(),
            text(&row.code),
            text(&row.detail),
            id(&row.message_id),
            row.at.0.to_iso(),
        ]
    }
}
