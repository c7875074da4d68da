//! Identities. Every public id is a UUID; internally, small integers keep keys and columns short.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// A tenant's number inside this store: assigned at creation, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantIndex(pub u32);

/// A connector's number inside this store (below 2^24): assigned at creation, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectorIndex(pub u32);

impl ConnectorIndex {
    /// Stands for no connector in an event. Never assigned to a connector.
    pub const NONE: Self = Self(0x00ff_ffff);
}

/// An automation's number inside this store. Drawn from the connectors' counter, so that no automation has a connector's number:
/// both have a key/value store, and share its key space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AutomationIndex(pub u32);

impl AutomationIndex {
    /// The number under which its key/value store is kept.
    pub fn kv(self) -> ConnectorIndex {
        ConnectorIndex(self.0)
    }
}

/// The key of a message: its tenant and its serial within the tenant (from 0, in the order of creation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageKey {
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// Its number within the tenant, below 2^40.
    pub serial: u64,
}

const SERIAL_BITS: u32 = 40;

/// The public id of the message `serial` created at `at`: an RFC 9562 version 7 UUID whose counter bits are the serial, so that
/// finding a message by its id needs no index. The id is not a secret: access is decided by the tenant of the credential, and the
/// whole stored id must match.
pub fn message_id(at: Timestamp, serial: u64, entropy: u64) -> Uuid {
    let millis = (at.0.max(0) as u64) & ((1 << 48) - 1);
    let rand_a = (entropy >> 52) & 0xfff;
    let low = ((serial & ((1 << SERIAL_BITS) - 1)) << (62 - SERIAL_BITS)) | (entropy & ((1 << (62 - SERIAL_BITS)) - 1));
    Uuid::from_u64_pair((millis << 16) | 0x7000 | rand_a, (0b10 << 62) | low)
}

/// The serial inside a message id; `None` if it is not a version 7 UUID.
pub fn message_serial(id: Uuid) -> Option<u64> {
    if id.get_version_num() != 7 {
        return None;
    }
    let (_, low) = id.as_u64_pair();
    Some((low & ((1 << 62) - 1)) >> (62 - SERIAL_BITS))
}

/// The seed from which a message's spintax choices are drawn: a function of its id, so that a retry renders the same text.
pub fn render_seed(id: Uuid) -> u64 {
    let (high, low) = id.as_u64_pair();
    let mut x = high ^ low.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_a_version_7_uuid_that_carries_its_serial() {
        for serial in [0, 1, 77, (1 << 40) - 1] {
            let id = message_id(Timestamp(1_700_000_000_123), serial, 0xdead_beef_cafe_f00d);
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            assert_eq!(message_serial(id), Some(serial));
        }
        assert_eq!(message_serial(Uuid::nil()), None);
    }
}
