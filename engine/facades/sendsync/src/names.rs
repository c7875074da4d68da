//! The documented names: of fields, of categories, of kinds of contacts.

use std::borrow::Cow;

use pombo_domain::Field;
use pombo_domain::model::{ContactType, MessageType};

use pombo_api::names::camel_case;

/// A field's documented name.
pub(crate) fn field_name(field: Field) -> Cow<'static, str> {
    Cow::Borrowed(match field {
        Field::Connector => "connectorId",
        Field::Text => "message",
        Field::Since => "dateFrom",
        Field::UpTo => "dateTo",
        Field::IdempotencyKey => "Idempotency-Key",
        other => return camel_case(other),
    })
}

/// A category's documented name.
pub(crate) const fn category_name(category: MessageType) -> &'static str {
    match category {
        MessageType::General => "GERAL",
        MessageType::Notification => "NOTIFICATION",
        MessageType::Marketing => "MARKETING",
        MessageType::Transactional => "TRANSACTIONAL",
        MessageType::Support => "SUPPORT",
        MessageType::Reminder => "REMINDER",
    }
}

/// The category of a documented name; otherwise what is wrong with it.
pub(crate) fn category(name: &str) -> Result<MessageType, String> {
    let found = MessageType::ALL.into_iter().find(|category| category_name(*category) == name);
    found.ok_or_else(|| format!("must be one of {}", MessageType::ALL.map(category_name).join(", ")))
}

/// The kind of contact of a documented name.
pub(crate) fn contact_type(name: &str) -> Option<ContactType> {
    match name {
        "WHATSAPP" => Some(ContactType::WhatsApp),
        "EMAIL" => Some(ContactType::Email),
        _ => None,
    }
}
