//! The part of the store for what channels demand of senders: further changes for [`super::Store::commit`], and reads.

use super::StoreResult;
use crate::model::outreach::{Outreach, OutreachRecord};
use crate::model::rules::ChannelLimits;
use crate::{ConnectorIndex, Timestamp};

/// Names an audience: 16 bytes of a hash of what its connectors share.
pub type AudienceKey = [u8; 16];
/// Names a person of an audience: 16 bytes of a hash of the address. The address itself is not kept.
pub type PersonKey = [u8; 16];

/// One change of what is known of channels' demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleChange {
    /// Replaces what the channel told of a connector's limits.
    Limits(ConnectorIndex, ChannelLimits),
    /// Replaces what the channel told of starting conversations. What the connector started since it was told before counts no more.
    Outreach {
        /// The connector.
        connector: ConnectorIndex,
        /// What was told.
        told: Outreach,
        /// See [`OutreachRecord::release`]: added to those that are there.
        release: Vec<Timestamp>,
    },
    /// How many conversations a connector started since the channel told its count.
    OutreachStarted {
        /// The connector.
        connector: ConnectorIndex,
        /// How many.
        started: u32,
    },
    /// The messages that were put off to this instant were released.
    OutreachReleased {
        /// The connector.
        connector: ConnectorIndex,
        /// The instant.
        at: Timestamp,
    },
    /// Replaces the limit that the channel told of an audience; `None`: any number.
    AudienceLimit {
        /// The audience.
        audience: AudienceKey,
        /// How many people may be written to within the window.
        limit: Option<u32>,
    },
    /// A person was written to outside of the reply window. A later instant that is stored stays.
    Reached {
        /// The audience.
        audience: AudienceKey,
        /// The person.
        person: PersonKey,
        /// When.
        at: Timestamp,
        /// When the person counts no longer, and the row may go.
        until: Timestamp,
    },
    /// A person is no longer counted, unless it was written to after `upto`.
    Forgotten {
        /// The audience.
        audience: AudienceKey,
        /// The person.
        person: PersonKey,
        /// The instant that was known.
        upto: Timestamp,
    },
}

/// A look at the people of all audiences, in the order of their rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeoplePage {
    /// Those who no longer count, with when each was last written to.
    pub expired: Vec<(AudienceKey, PersonKey, Timestamp)>,
    /// The last one that was looked at; `None` at the end.
    pub next: Option<(AudienceKey, PersonKey)>,
}

/// Reads of what is known of channels' demands. The defaults are those of a store without any.
#[expect(unused_variables, reason = "the defaults read nothing")]
pub trait RuleStore: Send + Sync + 'static {
    /// What the channel told of a connector's limits; the default if it told nothing.
    fn channel_limits(&self, connector: ConnectorIndex) -> StoreResult<ChannelLimits> {
        Ok(ChannelLimits::default())
    }
    /// What is kept of how far the channel lets a connector's account start conversations; the default if it told nothing.
    fn outreach(&self, connector: ConnectorIndex) -> StoreResult<OutreachRecord> {
        Ok(OutreachRecord::default())
    }
    /// The limit that the channel last told of an audience, whichever connector it told; `Some(None)`: any number.
    fn audience_limit(&self, audience: &AudienceKey) -> StoreResult<Option<Option<u32>>> {
        Ok(None)
    }
    /// Looks at `limit` people of all audiences, after `after`, for those who no longer count at `now`.
    fn expired_people(
        &self,
        now: Timestamp,
        after: Option<(AudienceKey, PersonKey)>,
        limit: usize,
    ) -> StoreResult<PeoplePage> {
        Ok(PeoplePage::default())
    }
    /// The people of an audience, with when each was last written to; at most `limit`.
    fn audience(&self, audience: &AudienceKey, limit: usize) -> StoreResult<Vec<(PersonKey, Timestamp)>> {
        Ok(Vec::new())
    }
}
