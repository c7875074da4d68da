//! Campaigns and their counts as earlier engines wrote them. As in [`super::earlier`]: read only, and nothing here ever changes.

use std::collections::BTreeMap;

use pombo_domain::model::campaign::{Pausing, WatchedFrom};
use pombo_domain::model::*;
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

/// A campaign of format 1: its text was not fixed, and refusals for now were not counted.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(crate) struct Campaign1 {
    number: u32,
    id: Uuid,
    tenant: TenantIndex,
    name: String,
    template: u32,
    connector: ConnectorIndex,
    status: CampaignStatus,
    audience: Audience,
    bindings: BTreeMap<String, Binding>,
    priority: u8,
    stop: StopRules,
    scheduled_at: Option<Timestamp>,
    pausing: Option<Pausing>,
    watched_from: WatchedFrom1,
    connector_down: bool,
    connector_downs: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    frozen_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    revision: u32,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct WatchedFrom1 {
    ended: u64,
    failed: u64,
    failed_by: BTreeMap<String, u64>,
}

impl From<Campaign1> for Campaign {
    fn from(old: Campaign1) -> Self {
        let WatchedFrom1 { ended, failed, failed_by } = old.watched_from;
        Self {
            number: old.number,
            id: old.id,
            tenant: old.tenant,
            name: old.name,
            template: old.template,
            connector: old.connector,
            status: old.status,
            audience: old.audience,
            bindings: old.bindings,
            header: None,
            priority: old.priority,
            stop: old.stop,
            scheduled_at: old.scheduled_at,
            pausing: old.pausing,
            watched_from: WatchedFrom { ended, failed, failed_by, put_back_by: BTreeMap::new() },
            connector_down: old.connector_down,
            connector_downs: old.connector_downs,
            created_at: old.created_at,
            updated_at: old.updated_at,
            frozen_at: old.frozen_at,
            started_at: old.started_at,
            ended_at: old.ended_at,
            revision: old.revision,
            text: None,
        }
    }
}

/// Counts of format 1: they did not tell what the channel keeps back, nor what it refused for now.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(crate) struct CampaignCounts1 {
    pending: u64,
    queued: u64,
    accepted: u64,
    delivered: u64,
    read: u64,
    failed: u64,
    skipped: u64,
    canceled: u64,
    unknown: u64,
    failed_by: BTreeMap<String, u64>,
    skipped_by: BTreeMap<SkipReason, u64>,
}

impl From<CampaignCounts1> for CampaignCounts {
    fn from(old: CampaignCounts1) -> Self {
        Self {
            pending: old.pending,
            queued: old.queued,
            accepted: old.accepted,
            delivered: old.delivered,
            read: old.read,
            failed: old.failed,
            skipped: old.skipped,
            canceled: old.canceled,
            unknown: old.unknown,
            failed_by: old.failed_by,
            skipped_by: old.skipped_by,
            held: 0,
            put_back_by: BTreeMap::new(),
            put_off: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use pombo_testkit::samples;

    use super::*;
    use crate::codec::encode;
    use crate::tables::campaigns;

    #[test]
    fn a_campaign_of_format_1_is_one_without_a_fixed_text() {
        let now = samples::campaign(TenantIndex(1), ConnectorIndex(2));
        let failed_by = BTreeMap::from([("4711".to_owned(), 2)]);
        let old = Campaign1 {
            number: 3,
            id: now.id,
            tenant: now.tenant,
            name: now.name.clone(),
            template: now.template,
            connector: now.connector,
            status: CampaignStatus::Running,
            audience: now.audience.clone(),
            bindings: now.bindings.clone(),
            priority: now.priority,
            stop: now.stop.clone(),
            scheduled_at: None,
            pausing: None,
            watched_from: WatchedFrom1 { ended: 5, failed: 2, failed_by: failed_by.clone() },
            connector_down: true,
            connector_downs: 1,
            created_at: now.created_at,
            updated_at: now.updated_at,
            frozen_at: Some(now.created_at),
            started_at: Some(now.created_at),
            ended_at: None,
            revision: 4,
        };
        let read = campaigns::parse(&encode(&old)).expect("it is read");
        let watched_from = WatchedFrom { ended: 5, failed: 2, failed_by, put_back_by: BTreeMap::new() };
        let expected = Campaign {
            number: 3,
            status: CampaignStatus::Running,
            watched_from,
            connector_down: true,
            connector_downs: 1,
            frozen_at: Some(now.created_at),
            started_at: Some(now.created_at),
            revision: 4,
            ..now
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn counts_of_format_1_keep_nothing_back() {
        let (failed_by, skipped_by) =
            (BTreeMap::from([("x".to_owned(), 2)]), BTreeMap::from([(SkipReason::Refused, 1)]));
        let old = CampaignCounts1 {
            pending: 1,
            queued: 2,
            accepted: 3,
            delivered: 4,
            read: 5,
            failed: 2,
            skipped: 1,
            canceled: 6,
            unknown: 7,
            failed_by: failed_by.clone(),
            skipped_by: skipped_by.clone(),
        };
        let read = campaigns::parse_counts(&encode(&old)).expect("they are read");
        assert_eq!((read.rows(), read.accepted, read.held), (31, 3, 0));
        assert_eq!((read.failed_by, read.skipped_by, read.put_back_by.len()), (failed_by, skipped_by, 0));
    }
}
