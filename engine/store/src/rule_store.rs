//! The [`RuleStore`] port: reads of what channels demand of senders.

use pombo_domain::model::rules::ChannelLimits;
use pombo_domain::ports::{AudienceKey, PersonKey, RuleStore, StoreResult};
use pombo_domain::{ConnectorIndex, Timestamp};

use crate::DiskStore;
use crate::tables::rules;

impl RuleStore for DiskStore {
    fn channel_limits(&self, connector: ConnectorIndex) -> StoreResult<ChannelLimits> {
        rules::limits(&*self.shared.backend, connector)
    }

    fn audience(&self, audience: &AudienceKey, limit: usize) -> StoreResult<Vec<(PersonKey, Timestamp)>> {
        rules::audience(&*self.shared.backend, audience, limit)
    }
}
