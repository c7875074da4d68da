//! Campaigns: themselves, the counts of their rows, the lists that were handed in for them, and their rows. A row has two records: what
//! was fixed, written once, and what became of it. Open rows have a second key by status, and a message that is a row names it.

use pombo_domain::model::{Campaign, CampaignCounts, CampaignRow, ListedRow, RowState, RowStatus, StoredRow};
use pombo_domain::ports::StoreResult;
use pombo_domain::{MessageKey, TenantIndex};
use uuid::Uuid;

use super::earlier_campaigns::{Campaign1, CampaignCounts1};
use crate::backend::{Backend, Bytes, KeyRange, Order};
use crate::codec::{append, bad_key, body_of, damaged, decode, encode, format_of, unknown_format};
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::staged::Staged;

const WHAT: &str = "campaigns";
const COUNTS: &str = "counts of campaigns";

/// The format of campaigns and of their counts. Format 2 brought the text that was fixed, what the channel keeps back, what it refused for
/// now, and what is put off; format 1 is read, never written.
const FORMAT: u8 = 2;

/// Rows of which one page looks, at most.
const LOOKED: usize = 20_000;

pub(crate) fn parse(row: &[u8]) -> StoreResult<Campaign> {
    match format_of(row, WHAT)? {
        (FORMAT, body) => body_of(body, WHAT),
        (1, body) => Ok(body_of::<Campaign1>(body, WHAT)?.into()),
        (format, _) => Err(unknown_format(format, WHAT)),
    }
}

pub(crate) fn parse_counts(row: &[u8]) -> StoreResult<CampaignCounts> {
    match format_of(row, COUNTS)? {
        (FORMAT, body) => body_of(body, COUNTS),
        (1, body) => Ok(body_of::<CampaignCounts1>(body, COUNTS)?.into()),
        (format, _) => Err(unknown_format(format, COUNTS)),
    }
}

pub(crate) fn parse_row(row: &[u8]) -> StoreResult<CampaignRow> {
    decode(row, "rows of campaigns")
}

pub(crate) fn parse_state(row: &[u8]) -> StoreResult<RowState> {
    decode(row, "states of campaigns' rows")
}

pub(crate) fn parse_listed(row: &[u8]) -> StoreResult<ListedRow> {
    decode(row, "lists of campaigns")
}

/// Campaign and row that a message is.
pub(crate) fn parse_place(row: &[u8]) -> StoreResult<(u32, u32)> {
    let mut parts = Parts(row);
    parts.u32().zip(parts.u32()).ok_or_else(|| damaged("campaigns: a malformed place of a message"))
}

pub(crate) fn put(staged: &mut Staged<'_>, campaign: &Campaign) {
    let key = keys::of_campaign(keys::CAMPAIGN, campaign.tenant, campaign.number);
    staged.put(Space::Documents, key.bytes(), append(vec![FORMAT], campaign));
    if campaign.revision == 0 {
        let by_id = keys::owned(keys::CAMPAIGN_ID, campaign.tenant, campaign.id);
        staged.put(Space::Documents, by_id.bytes(), campaign.number.to_be_bytes().to_vec());
    }
}

pub(crate) fn delete(staged: &mut Staged<'_>, campaign: &Campaign) {
    for tag in [keys::CAMPAIGN, keys::CAMPAIGN_COUNTS] {
        staged.delete(Space::Documents, keys::of_campaign(tag, campaign.tenant, campaign.number).bytes());
    }
    staged.delete(Space::Documents, keys::owned(keys::CAMPAIGN_ID, campaign.tenant, campaign.id).bytes());
}

pub(crate) fn parse_number(row: &[u8]) -> StoreResult<u32> {
    Parts(row).u32().ok_or_else(|| damaged("campaigns: a malformed number"))
}

/// The number of a campaign by its public id.
pub(crate) fn number_of(backend: &dyn Backend, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<u32>> {
    let row = backend.get(Space::Documents, &keys::owned(keys::CAMPAIGN_ID, tenant, id))?;
    row.map(|row| parse_number(&row)).transpose()
}

pub(crate) fn staged(staged: &Staged<'_>, tenant: TenantIndex, number: u32) -> StoreResult<Option<Campaign>> {
    let row = staged.get(Space::Documents, &keys::of_campaign(keys::CAMPAIGN, tenant, number))?;
    row.map(|row| parse(&row)).transpose()
}

pub(crate) fn staged_counts(staged: &Staged<'_>, tenant: TenantIndex, number: u32) -> StoreResult<CampaignCounts> {
    let row = staged.get(Space::Documents, &keys::of_campaign(keys::CAMPAIGN_COUNTS, tenant, number))?;
    Ok(row.map(|row| parse_counts(&row)).transpose()?.unwrap_or_default())
}

pub(crate) fn put_counts(staged: &mut Staged<'_>, tenant: TenantIndex, number: u32, counts: &CampaignCounts) {
    let key = keys::of_campaign(keys::CAMPAIGN_COUNTS, tenant, number);
    staged.put(Space::Documents, key.bytes(), append(vec![FORMAT], counts));
}

pub(crate) fn put_row(staged: &mut Staged<'_>, tenant: TenantIndex, campaign: u32, row: &CampaignRow) {
    let key = keys::campaign_row(keys::CAMPAIGN_ROW, tenant, campaign, row.number);
    staged.put(Space::Documents, key.bytes(), encode(row));
}

pub(crate) fn staged_state(
    staged: &Staged<'_>,
    tenant: TenantIndex,
    campaign: u32,
    row: u32,
) -> StoreResult<Option<RowState>> {
    let found = staged.get(Space::Documents, &keys::campaign_row(keys::CAMPAIGN_ROW_STATE, tenant, campaign, row))?;
    found.map(|row| parse_state(&row)).transpose()
}

pub(crate) fn put_state(staged: &mut Staged<'_>, tenant: TenantIndex, campaign: u32, row: u32, state: &RowState) {
    let key = keys::campaign_row(keys::CAMPAIGN_ROW_STATE, tenant, campaign, row);
    staged.put(Space::Documents, key.bytes(), encode(state));
}

/// The row that a message is, if it is one.
pub(crate) fn staged_place(staged: &Staged<'_>, message: MessageKey) -> StoreResult<Option<(u32, u32)>> {
    let row = staged.get(Space::Documents, &keys::campaign_message(message))?;
    row.map(|row| parse_place(&row)).transpose()
}

pub(crate) fn put_place(staged: &mut Staged<'_>, message: MessageKey, campaign: u32, row: u32) {
    let mut place = campaign.to_be_bytes().to_vec();
    place.extend_from_slice(&row.to_be_bytes());
    staged.put(Space::Documents, keys::campaign_message(message).bytes(), place);
}

pub(crate) fn put_listed(
    staged: &mut Staged<'_>,
    tenant: TenantIndex,
    campaign: u32,
    generation: u32,
    row: &ListedRow,
) {
    let key = keys::campaign_listed(tenant, campaign, generation, row.number);
    staged.put(Space::Documents, key.bytes(), encode(row));
}

pub(crate) fn read(backend: &dyn Backend, tenant: TenantIndex, number: u32) -> StoreResult<Option<Campaign>> {
    let row = backend.get(Space::Documents, &keys::of_campaign(keys::CAMPAIGN, tenant, number))?;
    row.map(|row| parse(&row)).transpose()
}

/// A tenant's campaigns below the number `before`, newest first.
pub(crate) fn list(
    backend: &dyn Backend,
    tenant: TenantIndex,
    before: Option<u32>,
    limit: usize,
) -> StoreResult<Vec<Campaign>> {
    let range = KeyRange::prefix(&keys::campaigns_of(tenant));
    let last = match before {
        Some(0 | 1) => return Ok(Vec::new()),
        Some(before) => before - 1,
        None => u32::MAX,
    };
    let range = range.through(&keys::of_campaign(keys::CAMPAIGN, tenant, last));
    let rows = backend.scan(Space::Documents, range, Order::Reverse).take(limit);
    rows.map(|row| parse(&row?.1)).collect()
}

pub(crate) fn counts(backend: &dyn Backend, tenant: TenantIndex, number: u32) -> StoreResult<CampaignCounts> {
    let row = backend.get(Space::Documents, &keys::of_campaign(keys::CAMPAIGN_COUNTS, tenant, number))?;
    Ok(row.map(|row| parse_counts(&row)).transpose()?.unwrap_or_default())
}

pub(crate) fn row(
    backend: &dyn Backend,
    tenant: TenantIndex,
    campaign: u32,
    row: u32,
) -> StoreResult<Option<StoredRow>> {
    let key = |tag| keys::campaign_row(tag, tenant, campaign, row);
    let Some(state) = backend.get(Space::Documents, &key(keys::CAMPAIGN_ROW_STATE))? else { return Ok(None) };
    let fixed = backend.get(Space::Documents, &key(keys::CAMPAIGN_ROW))?;
    let fixed = fixed.ok_or_else(|| damaged("campaigns: a row without what was fixed"))?;
    Ok(Some(StoredRow { row: parse_row(&fixed)?, state: parse_state(&state)? }))
}

/// Rows behind `after`, of one status if one is given, and where the next page begins.
pub(crate) fn rows(
    backend: &dyn Backend,
    tenant: TenantIndex,
    campaign: u32,
    status: Option<RowStatus>,
    after: u32,
    limit: usize,
) -> StoreResult<(Vec<StoredRow>, Option<u32>)> {
    let range = KeyRange::prefix(&keys::of_campaign(keys::CAMPAIGN_ROW_STATE, tenant, campaign));
    let range = range.after(&keys::campaign_row(keys::CAMPAIGN_ROW_STATE, tenant, campaign, after));
    let mut found = Vec::new();
    let mut last = after;
    for (looked, next) in backend.scan(Space::Documents, range, Order::Forward).enumerate() {
        let (key, value) = next?;
        if found.len() >= limit || looked >= LOOKED {
            return Ok((found, Some(last)));
        }
        last = keys::parse_last_number(&key).ok_or_else(|| bad_key(WHAT))?;
        let state = parse_state(&value)?;
        if status.is_some_and(|status| state.outcome.status() != status) {
            continue;
        }
        let fixed = backend.get(Space::Documents, &keys::campaign_row(keys::CAMPAIGN_ROW, tenant, campaign, last))?;
        let fixed = fixed.ok_or_else(|| damaged("campaigns: a row without what was fixed"))?;
        found.push(StoredRow { row: parse_row(&fixed)?, state });
    }
    Ok((found, None))
}

/// Open rows behind `after`.
pub(crate) fn open_rows(
    backend: &dyn Backend,
    tenant: TenantIndex,
    campaign: u32,
    status: RowStatus,
    after: u32,
    limit: usize,
) -> StoreResult<Vec<StoredRow>> {
    let Some(prefix) = keys::campaign_open_rows(tenant, campaign, status) else { return Ok(Vec::new()) };
    let start = keys::campaign_open_rows(tenant, campaign, status).map(|key| key.u32(after));
    let range = KeyRange::prefix(&prefix);
    let range = if let Some(start) = start { range.after(&start) } else { range };
    let mut found = Vec::new();
    for next in backend.scan(Space::Documents, range, Order::Forward).take(limit) {
        let number = keys::parse_last_number(&next?.0).ok_or_else(|| bad_key(WHAT))?;
        found.extend(row(backend, tenant, campaign, number)?);
    }
    Ok(found)
}

pub(crate) fn listed(
    backend: &dyn Backend,
    tenant: TenantIndex,
    campaign: u32,
    generation: u32,
    after: u32,
    limit: usize,
) -> StoreResult<Vec<ListedRow>> {
    let range = KeyRange::prefix(&keys::campaign_list(tenant, campaign, generation));
    let range = range.after(&keys::campaign_listed(tenant, campaign, generation, after));
    let rows = backend.scan(Space::Documents, range, Order::Forward).take(limit);
    rows.map(|row| parse_listed(&row?.1)).collect()
}

/// Keys that begin with `prefix` and are on disk, at most `limit`: what a deletion takes. The batches that put them have ended.
pub(crate) fn stored_keys(backend: &dyn Backend, prefix: &[u8], limit: usize) -> StoreResult<Vec<Bytes>> {
    let rows = backend.scan(Space::Documents, KeyRange::prefix(prefix), Order::Forward).take(limit);
    rows.map(|row| Ok(row?.0)).collect()
}
