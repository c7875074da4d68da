//! A contact: who messages go to, kept per tenant by (type, identifier).

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
    /// The normalised address.
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
