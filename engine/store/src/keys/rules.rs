//! Keys of what channels demand of senders; the registry is above.

use pombo_domain::ports::{AudienceKey, PersonKey};

use super::Key;

pub(crate) const CHANNEL_LIMITS: u8 = 0x40;
pub(crate) const AUDIENCE: u8 = 0x41;

/// What all people of an audience start with.
pub(crate) fn audience(audience: &AudienceKey) -> Key {
    Key::tag(AUDIENCE).raw(audience)
}

/// A person of an audience.
pub(crate) fn audience_person(of: &AudienceKey, person: &PersonKey) -> Key {
    audience(of).raw(person)
}
