//! A contact: a person to whom messages are sent, stored per tenant by (type, identifier).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{TenantIndex, Timestamp};

/// The kind of a contact's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ContactType {
    /// A phone number, digits only.
    WhatsApp,
    /// An e-mail address.
    Email,
}

impl ContactType {
    /// A word for it, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WhatsApp => "whatsapp",
            Self::Email => "email",
        }
    }
    /// The kind of address that contacts of a channel have: `email`, and all channels whose name begins with `whatsapp`. `None` for a
    /// channel of which no contacts are kept.
    pub fn of_channel(channel: &str) -> Option<Self> {
        match channel {
            "email" => Some(Self::Email),
            channel if channel.starts_with("whatsapp") => Some(Self::WhatsApp),
            _ => None,
        }
    }
    /// The identifier that a contact is known by: two ways to write the address of the same person give the same identifier, so
    /// that somebody who opted out as `maria@x` does not get messages as `Maria@x`. Mail goes to the address as it was written.
    pub fn identifier(self, address: &str) -> Cow<'_, str> {
        match self {
            Self::Email if address.chars().any(char::is_uppercase) => Cow::Owned(address.to_lowercase()),
            Self::Email | Self::WhatsApp => Cow::Borrowed(address),
        }
    }
}

/// A contact of a tenant. Invariant: there is one per (tenant, type, identifier).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Public id.
    pub id: Uuid,
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// Kind of the address.
    pub kind: ContactType,
    /// The identifier, see [`ContactType::identifier`].
    pub identifier: String,
    /// Display name.
    pub name: Option<String>,
    /// False after an opt-out: nothing is sent to the contact.
    pub active: bool,
    /// Why it was deactivated.
    pub reason: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_of_a_network_reaches_its_contacts() {
        for channel in ["whatsapp", "whatsapp-cloud"] {
            assert_eq!(ContactType::of_channel(channel), Some(ContactType::WhatsApp));
        }
        assert_eq!(ContactType::of_channel("email"), Some(ContactType::Email));
        for channel in ["", "sms", "email-like", "telegram"] {
            assert_eq!(ContactType::of_channel(channel), None, "{channel}");
        }
    }

    #[test]
    fn a_mail_contact_is_known_whatever_its_case() {
        assert_eq!(ContactType::Email.identifier("Maria.Ávila@x.test"), "maria.ávila@x.test");
        assert_eq!(ContactType::Email.identifier("MARIA@x.test"), ContactType::Email.identifier("maria@x.test"));
        assert_eq!(ContactType::WhatsApp.identifier("5511999998888"), "5511999998888");
    }
}
