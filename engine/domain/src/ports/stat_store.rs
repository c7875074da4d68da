//! What the store counts of messages, by hour and by day. It counts in the batch in which a message reaches a stage.

use super::StoreResult;
use crate::model::MessageType;
use crate::model::stats::{StatRow, StatSpan};
use crate::{ConnectorIndex, TenantIndex};

/// Which counts to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatFilter {
    /// Whether counts of hours or of days.
    pub span: StatSpan,
    /// Number of the first span.
    pub first: u32,
    /// Number of the last span.
    pub last: u32,
    /// Only those of this connector.
    pub connector: Option<ConnectorIndex>,
    /// Only those of this category.
    pub message_type: Option<MessageType>,
    /// Only those of this template.
    pub template: Option<u32>,
    /// Only those of this campaign.
    pub campaign: Option<u32>,
}

/// A change of a tenant's counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatChange {
    /// Deletes the oldest counts before a span, at most `limit`.
    Forget {
        /// The tenant that owns them.
        tenant: TenantIndex,
        /// Whether counts of hours or of days.
        span: StatSpan,
        /// Number of the first span that stays.
        before: u32,
        /// Maximum number of counts deleted.
        limit: usize,
    },
}

/// Reads of counts; part of [`super::Store`].
pub trait StatStore: Send + Sync + 'static {
    /// The counts that match, ordered by span; `None` if more than `limit` rows would have to be read for them.
    fn stats(&self, tenant: TenantIndex, filter: &StatFilter, limit: usize) -> StoreResult<Option<Vec<StatRow>>> {
        let _ = (tenant, filter, limit);
        Ok(Some(Vec::new()))
    }

    /// Whether there are counts before this span.
    fn has_stats_before(&self, tenant: TenantIndex, span: StatSpan, before: u32) -> StoreResult<bool> {
        let _ = (tenant, span, before);
        Ok(false)
    }
}
