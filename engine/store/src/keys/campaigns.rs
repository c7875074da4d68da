//! Keys of campaigns, their lists and their rows; the registry is above.

use pombo_domain::model::RowStatus;
use pombo_domain::{MessageKey, TenantIndex};

use super::{Key, Parts};

pub(crate) const CAMPAIGN: u8 = 0x60;
pub(crate) const CAMPAIGN_COUNTS: u8 = 0x61;
pub(crate) const CAMPAIGN_ROW: u8 = 0x62;
pub(crate) const CAMPAIGN_ROW_STATE: u8 = 0x63;
pub(crate) const CAMPAIGN_OPEN: u8 = 0x64;
pub(crate) const CAMPAIGN_MESSAGE: u8 = 0x65;
pub(crate) const CAMPAIGN_LISTED: u8 = 0x66;
pub(crate) const CAMPAIGN_ID: u8 = 0x67;

/// What the keys of one tenant begin with.
pub(crate) fn campaigns_of(tenant: TenantIndex) -> Key {
    Key::tag(CAMPAIGN).u32(tenant.0)
}

/// Key of something that a campaign has once or of whose rows it is the prefix.
pub(crate) fn of_campaign(tag: u8, tenant: TenantIndex, campaign: u32) -> Key {
    Key::tag(tag).u32(tenant.0).u32(campaign)
}

/// Key of a row: [`CAMPAIGN_ROW`], [`CAMPAIGN_ROW_STATE`].
pub(crate) fn campaign_row(tag: u8, tenant: TenantIndex, campaign: u32, row: u32) -> Key {
    of_campaign(tag, tenant, campaign).u32(row)
}

/// What the keys of the open rows of a status begin with; `None` for a status that is not open.
pub(crate) fn campaign_open_rows(tenant: TenantIndex, campaign: u32, status: RowStatus) -> Option<Key> {
    let kind = match status {
        RowStatus::Pending => 0,
        RowStatus::Queued => 1,
        _ => return None,
    };
    Some(of_campaign(CAMPAIGN_OPEN, tenant, campaign).u8(kind))
}

pub(crate) fn campaign_open_row(tenant: TenantIndex, campaign: u32, status: RowStatus, row: u32) -> Option<Key> {
    Some(campaign_open_rows(tenant, campaign, status)?.u32(row))
}

pub(crate) fn campaign_message(message: MessageKey) -> Key {
    Key::tag(CAMPAIGN_MESSAGE).u32(message.tenant.0).serial(message.serial)
}

pub(crate) fn campaign_list(tenant: TenantIndex, campaign: u32, generation: u32) -> Key {
    of_campaign(CAMPAIGN_LISTED, tenant, campaign).u32(generation)
}

pub(crate) fn campaign_listed(tenant: TenantIndex, campaign: u32, generation: u32, row: u32) -> Key {
    campaign_list(tenant, campaign, generation).u32(row)
}

/// Tenant and campaign of any key that begins with them.
pub(crate) fn parse_of_campaign(key: &[u8]) -> Option<(TenantIndex, u32)> {
    let mut parts = Parts(key);
    parts.u8()?;
    Some((TenantIndex(parts.u32()?), parts.u32()?))
}

/// The number at the end of a key: that of a row.
pub(crate) fn parse_last_number(key: &[u8]) -> Option<u32> {
    let at = key.len().checked_sub(4)?;
    Parts(&key[at..]).u32()
}
