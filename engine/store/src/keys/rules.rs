//! Keys of what channels demand of senders; the registry is above.

use pombo_domain::ports::{AudienceKey, PersonKey};

use super::{Key, Parts};

pub(crate) const CHANNEL_LIMITS: u8 = 0x40;
pub(crate) const AUDIENCE: u8 = 0x41;
pub(crate) const AUDIENCE_LIMIT: u8 = 0x47;
pub(crate) const OUTREACH: u8 = 0x48;

/// What all people of an audience start with.
pub(crate) fn audience(audience: &AudienceKey) -> Key {
    Key::tag(AUDIENCE).raw(audience)
}

/// A person of an audience.
pub(crate) fn audience_person(of: &AudienceKey, person: &PersonKey) -> Key {
    audience(of).raw(person)
}

/// The audience and the person of an [`AUDIENCE`] key.
pub(crate) fn parse_audience_person(key: &[u8]) -> Option<(AudienceKey, PersonKey)> {
    let mut parts = Parts(key.get(1..)?);
    Some((parts.take(16)?.try_into().ok()?, parts.take(16)?.try_into().ok()?))
}

/// What the channel told of an audience's limit.
pub(crate) fn audience_limit(audience: &AudienceKey) -> Key {
    Key::tag(AUDIENCE_LIMIT).raw(audience)
}
