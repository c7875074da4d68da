//! Campaigns and their rows as text.

use pombo_domain::ports::StoreResult;

use super::veiled;
use crate::backend::Bytes;
use crate::codec::bad_key;
use crate::keys::{self, Parts};
use crate::tables::campaigns;

/// A line of a campaign's document; `None` for other documents.
pub(super) fn document(key: &Bytes, value: &Bytes) -> StoreResult<Option<String>> {
    let bad = || bad_key("campaigns");
    let place = || keys::parse_of_campaign(key).ok_or_else(bad);
    Ok(Some(match key[0] {
        keys::CAMPAIGN => {
            let campaign = campaigns::parse(value)?;
            let (tenant, number) = (campaign.tenant.0, campaign.number);
            let (status, revision) = (campaign.status, campaign.revision);
            format!("campaign {tenant}/{number} {status} revision={revision} row={}", veiled(value))
        }
        keys::CAMPAIGN_COUNTS => {
            let (tenant, number) = place()?;
            let counts = campaigns::parse_counts(value)?;
            let counts = counts.by_status().map(|(status, rows)| format!("{status}={rows}")).join(" ");
            format!("campaign-counts {}/{number} {counts}", tenant.0)
        }
        keys::CAMPAIGN_ROW => {
            let (tenant, number) = place()?;
            let row = keys::parse_last_number(key).ok_or_else(bad)?;
            format!("campaign-row {}/{number}/{row} row={}", tenant.0, veiled(value))
        }
        keys::CAMPAIGN_ROW_STATE => {
            let (tenant, number) = place()?;
            let row = keys::parse_last_number(key).ok_or_else(bad)?;
            let state = campaigns::parse_state(value)?;
            let message = state.message.map_or_else(|| "-".to_owned(), |(serial, _)| serial.to_string());
            format!("campaign-row-state {}/{number}/{row} {} message={message}", tenant.0, state.outcome.status())
        }
        keys::CAMPAIGN_MESSAGE => {
            let message = Parts(&key[1..]).message().ok_or_else(bad)?;
            let (campaign, row) = campaigns::parse_place(value)?;
            format!("campaign-message {}/{} {campaign}/{row}", message.tenant.0, message.serial)
        }
        keys::CAMPAIGN_LISTED => {
            let (tenant, number) = place()?;
            let row = keys::parse_last_number(key).ok_or_else(bad)?;
            format!("campaign-listed {}/{number}/{row} row={}", tenant.0, veiled(value))
        }
        _ => return Ok(None),
    }))
}
