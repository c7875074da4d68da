//! Wire type of a contact.

use poem_openapi::{Enum, Object};
use pombo_domain::model;
use serde::Deserialize;
use uuid::Uuid;

use crate::wire::{Instant, MessageType};

/// Kind of a contact's address.
#[derive(Enum, Deserialize, Clone, Copy, PartialEq, Eq)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ContactType {
    /// A phone number, digits only.
    Whatsapp,
    /// An e-mail address.
    Email,
}

impl ContactType {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Whatsapp => "WHATSAPP",
            Self::Email => "EMAIL",
        }
    }
}

impl From<model::ContactType> for ContactType {
    fn from(kind: model::ContactType) -> Self {
        match kind {
            model::ContactType::WhatsApp => Self::Whatsapp,
            model::ContactType::Email => Self::Email,
        }
    }
}

impl From<ContactType> for model::ContactType {
    fn from(kind: ContactType) -> Self {
        match kind {
            ContactType::Whatsapp => Self::WhatsApp,
            ContactType::Email => Self::Email,
        }
    }
}

/// A person or company to whom messages are sent. There is one for each type and identifier, whichever connectors it is known on.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Contact {
    /// Id of the contact.
    pub(crate) id: Uuid,
    /// The tenant's number for the contact: from 1, never given twice.
    pub(crate) number: u64,
    /// Kind of the address.
    #[oai(rename = "type")]
    pub(crate) kind: ContactType,
    /// Phone number or e-mail address that messages are sent to.
    pub(crate) identifier: String,
    /// Other addresses of the same person, such as the number without its ninth digit; at most 64. Messages from and to any of them are
    /// this contact's.
    pub(crate) aliases: Vec<String>,
    /// The name to show: `name`, otherwise `pushName`.
    pub(crate) display_name: Option<String>,
    /// The name that the tenant chose.
    pub(crate) name: Option<String>,
    /// The name that the channel reported last.
    pub(crate) push_name: Option<String>,
    /// An e-mail address, for people to read.
    pub(crate) email: Option<String>,
    /// The company that the contact belongs to.
    pub(crate) company: Option<String>,
    /// Remarks about the contact.
    pub(crate) notes: Option<String>,
    /// Whether the contact is marked as a business.
    pub(crate) business: bool,
    /// Ids of the connectors on which the contact is known: it was put there, or a message went to it or came from it.
    pub(crate) connector_ids: Vec<Uuid>,
    /// False after an opt-out: messages to the contact are refused.
    pub(crate) active: bool,
    /// Why the contact was activated or deactivated, if a reason was given.
    pub(crate) reason: Option<String>,
    /// Categories of messages that the contact does not want; they are refused.
    pub(crate) refused_categories: Vec<MessageType>,
    /// When it was created.
    pub(crate) created_at: Instant,
    /// When it was last changed.
    pub(crate) updated_at: Instant,
}

impl Contact {
    pub(crate) fn new(contact: model::Contact, connector_ids: Vec<Uuid>, aliases: Vec<String>) -> Self {
        Self {
            display_name: contact.display_name().map(str::to_owned),
            id: contact.id,
            number: contact.number,
            kind: contact.kind.into(),
            identifier: contact.identifier,
            aliases,
            name: contact.name,
            push_name: contact.push_name,
            email: contact.email,
            company: contact.company,
            notes: contact.notes,
            business: contact.business,
            connector_ids,
            active: contact.active,
            reason: contact.reason,
            refused_categories: contact.refused.iter().map(MessageType::from).collect(),
            created_at: Instant(contact.created_at),
            updated_at: Instant(contact.updated_at),
        }
    }
}
