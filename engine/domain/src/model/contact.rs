//! A contact: who messages go to, kept per tenant by (type, identifier).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{TenantIndex, Timestamp};

/// The kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ContactType {
    /// A phone number, digits only.
    WhatsApp,
    /// An e-mail address.
    Email,
}

impl ContactType {
    /// `WHATSAPP` or `EMAIL`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WhatsApp => "WHATSAPP",
            Self::Email => "EMAIL",
        }
    }
    /// The reverse of [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::WhatsApp, Self::Email].into_iter().find(|t| t.as_str() == text)
    }
    /// What a contact is known by: two ways to write an address that reach the same person give the same identifier, so that
    /// who opted out as `maria@x` is not sent to as `Maria@x`. Mail goes to the address as it was written.
    pub fn identifier(self, address: &str) -> Cow<'_, str> {
        match self {
            Self::Email if address.chars().any(char::is_uppercase) => Cow::Owned(address.to_lowercase()),
            Self::Email | Self::WhatsApp => Cow::Borrowed(address),
        }
    }
}

/// A contact of a tenant. Invariant: one per (tenant, type, identifier).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Public id.
    pub id: Uuid,
    /// Owner.
    pub tenant: TenantIndex,
    /// Kind of address.
    pub kind: ContactType,
    /// See [`ContactType::identifier`].
    pub identifier: String,
    /// Display name.
    pub name: Option<String>,
    /// False after an opt-out: nothing is sent to it.
    pub active: bool,
    /// Why it was made inactive.
    pub reason: Option<String>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_contact_is_known_whatever_its_case() {
        assert_eq!(ContactType::Email.identifier("Maria.Ávila@x.test"), "maria.ávila@x.test");
        assert_eq!(ContactType::Email.identifier("MARIA@x.test"), ContactType::Email.identifier("maria@x.test"));
        assert_eq!(ContactType::WhatsApp.identifier("5511999998888"), "5511999998888");
    }
}
