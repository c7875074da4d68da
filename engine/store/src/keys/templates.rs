//! Keys of templates and labels; the registry is above.

use pombo_domain::model::LabelKind;
use pombo_domain::{ConnectorIndex, TenantIndex};
use uuid::Uuid;

use super::{Key, long};
use crate::backend::Bytes;

pub(crate) const TEMPLATE: u8 = 0x42;
pub(crate) const TEMPLATE_ID: u8 = 0x43;
pub(crate) const TEMPLATE_NAME: u8 = 0x44;
/// With [`super::one_of_tenant`].
pub(crate) const TEMPLATE_COUNT: u8 = 0x45;
pub(crate) const LABEL: u8 = 0x46;

/// What all templates of a tenant start with.
pub(crate) fn templates_of(tenant: TenantIndex) -> Key {
    Key::tag(TEMPLATE).u32(tenant.0)
}

pub(crate) fn template(tenant: TenantIndex, number: u32) -> Key {
    templates_of(tenant).u32(number)
}

pub(crate) fn template_id(tenant: TenantIndex, id: Uuid) -> Key {
    Key::tag(TEMPLATE_ID).u32(tenant.0).uuid(id)
}

/// A template by the connector, name and language that no other one has. None of the texts has a NUL.
pub(crate) fn template_name(
    tenant: TenantIndex,
    connector: Option<ConnectorIndex>,
    name: &str,
    language: Option<&str>,
) -> Bytes {
    let place = Key::new().u32(tenant.0).u8(u8::from(connector.is_some()));
    let place = place.u32(connector.map_or(0, |connector| connector.0));
    let mut words = name.as_bytes().to_vec();
    if let Some(language) = language {
        words.push(0);
        words.extend_from_slice(language.as_bytes());
    }
    long(TEMPLATE_NAME, &place, &words)
}

/// What all labels of a kind start with.
pub(crate) fn labels_of(tenant: TenantIndex, kind: LabelKind) -> Key {
    Key::tag(LABEL).u32(tenant.0).u8(kind as u8)
}

pub(crate) fn label(tenant: TenantIndex, kind: LabelKind, number: u32) -> Key {
    labels_of(tenant, kind).u32(number)
}
