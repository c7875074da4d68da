//! Counts as text.

use pombo_domain::ports::StoreResult;

use crate::backend::Bytes;
use crate::codec::bad_key;
use crate::keys;
use crate::tables::stats;

/// A line of the counts.
pub(super) fn document(key: &Bytes, value: &Bytes) -> StoreResult<Option<String>> {
    let bad = || bad_key("stats");
    let tenant = keys::parse_tenant(key).ok_or_else(bad)?.0;
    Ok(Some(match key[0] {
        keys::STAT => {
            let (number, subject) = keys::parse_stat(key).ok_or_else(bad)?;
            let (span, counts) = (key[5], stats::parse(value)?);
            format!(
                "stat {tenant} span={span}/{number} connector={} type={} template={} campaign={} accepted={} delivered={} \
                 read={} failed={}",
                subject.connector.0,
                subject.message_type as u8,
                subject.template.unwrap_or(0),
                subject.campaign.unwrap_or(0),
                counts.accepted,
                counts.delivered,
                counts.read,
                counts.failed
            )
        }
        keys::FAILED_BEFORE => {
            let (_, serial) = keys::parse_numbered(key).ok_or_else(bad)?;
            format!("failed-before {tenant}/{serial}")
        }
        _ => return Ok(None),
    }))
}
