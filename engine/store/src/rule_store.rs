//! The [`RuleStore`] port: reads of what channels demand of senders.

use pombo_domain::model::outreach::OutreachRecord;
use pombo_domain::model::rules::ChannelLimits;
use pombo_domain::ports::{AudienceKey, PeoplePage, PersonKey, RuleStore, StoreResult};
use pombo_domain::{ConnectorIndex, Timestamp};

use crate::DiskStore;
use crate::tables::rules;

impl RuleStore for DiskStore {
    fn channel_limits(&self, connector: ConnectorIndex) -> StoreResult<ChannelLimits> {
        rules::limits(&*self.shared.backend, connector)
    }

    fn outreach(&self, connector: ConnectorIndex) -> StoreResult<OutreachRecord> {
        rules::outreach(&*self.shared.backend, connector)
    }

    fn audience_limit(&self, audience: &AudienceKey) -> StoreResult<Option<Option<u32>>> {
        rules::audience_limit(&*self.shared.backend, audience)
    }

    fn expired_people(
        &self,
        now: Timestamp,
        after: Option<(AudienceKey, PersonKey)>,
        limit: usize,
    ) -> StoreResult<PeoplePage> {
        rules::expired_people(&*self.shared.backend, now, after, limit)
    }

    fn audience(&self, audience: &AudienceKey, limit: usize) -> StoreResult<Vec<(PersonKey, Timestamp)>> {
        rules::audience(&*self.shared.backend, audience, limit)
    }
}
