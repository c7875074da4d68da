//! Keys of conversations by number, and of timelines.

use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex};
use uuid::Uuid;

use super::{Key, Parts};
use crate::backend::Bytes;

pub(crate) const SETTINGS: u8 = 0x28;

pub(crate) const CONVERSATION_NUMBER: u8 = 0x08;

pub(crate) const ENTRY: u8 = 0x01;
pub(crate) const ENTRY_CONVERSATION: u8 = 0x02;
pub(crate) const ENTRY_PROVIDER: u8 = 0x03;
pub(crate) const ENTRY_MESSAGE: u8 = 0x04;
pub(crate) const DELETED: u8 = 0x05;
pub(crate) const CHAT_NUMBERS: u8 = 0x06;
pub(crate) const AUTHOR: u8 = 0x07;
pub(crate) const UNTOLD: u8 = 0x08;

/// Key of what a tenant has one of: [`SETTINGS`], [`CHAT_NUMBERS`], [`super::MEDIA_USE`].
pub(crate) fn one_of_tenant(tag: u8, tenant: TenantIndex) -> Key {
    Key::tag(tag).u32(tenant.0)
}

/// The tenant of such a key, or of any that begins with a tag and a tenant.
pub(crate) fn parse_tenant(key: &[u8]) -> Option<TenantIndex> {
    Parts(key.get(1..)?).u32().map(TenantIndex)
}

/// Key of what has a tenant and a number of 5 bytes: [`CONVERSATION_NUMBER`], [`ENTRY_CONVERSATION`], [`ENTRY_MESSAGE`], [`DELETED`],
/// [`AUTHOR`]; also what all entries of a conversation begin with.
pub(crate) fn numbered(tag: u8, tenant: TenantIndex, number: u64) -> Key {
    Key::tag(tag).u32(tenant.0).serial(number)
}

/// Tenant and number of such a key.
pub(crate) fn parse_numbered(key: &[u8]) -> Option<(TenantIndex, u64)> {
    let mut parts = Parts(key.get(1..)?);
    Some((TenantIndex(parts.u32()?), parts.serial()?))
}

/// Key of what belongs to a message: [`ENTRY_MESSAGE`], [`AUTHOR`].
pub(crate) fn of_message(tag: u8, message: MessageKey) -> Key {
    numbered(tag, message.tenant, message.serial)
}

pub(crate) fn entry(tenant: TenantIndex, conversation: u64, item: u64) -> Key {
    numbered(ENTRY, tenant, conversation).serial(item)
}

/// Tenant, conversation and item of an [`ENTRY`] key.
pub(crate) fn parse_entry(key: &[u8]) -> Option<(TenantIndex, u64, u64)> {
    let mut parts = Parts(key.get(1..)?);
    Some((TenantIndex(parts.u32()?), parts.serial()?, parts.serial()?))
}

pub(crate) fn entry_provider(tenant: TenantIndex, conversation: u64, provider_id: &str) -> Bytes {
    let fixed = Key::new().u32(tenant.0).serial(conversation);
    super::long(ENTRY_PROVIDER, &fixed, provider_id.as_bytes())
}

pub(crate) fn untold_of(connector: ConnectorIndex) -> Key {
    Key::tag(UNTOLD).u32(connector.0)
}

pub(crate) fn untold(connector: ConnectorIndex, conversation: Uuid) -> Key {
    untold_of(connector).uuid(conversation)
}

/// Connector and conversation of an [`UNTOLD`] key.
pub(crate) fn parse_untold(key: &[u8]) -> Option<(ConnectorIndex, Uuid)> {
    let mut parts = Parts(key.get(1..)?);
    Some((ConnectorIndex(parts.u32()?), parts.uuid()?))
}
