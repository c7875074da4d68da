//! A contact: a person to whom messages are sent, stored per tenant by (type, identifier).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::message::MessageType;
use super::refusals::Refusals;
use crate::{ConnectorIndex, TenantIndex, Timestamp};

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
    /// Whether an address may be that of a single person, as far as its form tells: groups, lists and channels are addressed otherwise.
    pub fn may_be_person(self, address: &str) -> bool {
        match (self, address.rsplit_once('@')) {
            (Self::Email, _) | (Self::WhatsApp, None) => true,
            (Self::WhatsApp, Some((_, server))) => matches!(server, "lid" | "s.whatsapp.net"),
        }
    }
}

/// Maximum number of connectors that a contact is known on; a further one is not noted.
pub const MAX_CONNECTORS: usize = 256;

/// A contact of a tenant. Invariant: there is one per (tenant, type, identifier), whichever connectors it is known on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Public id.
    pub id: Uuid,
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// The tenant's number for it: from 1, never given twice. The store gives it; 0 until then.
    pub number: u64,
    /// Kind of the address.
    pub kind: ContactType,
    /// The identifier, see [`ContactType::identifier`].
    pub identifier: String,
    /// The name that the tenant chose.
    pub name: Option<String>,
    /// The name that the channel reported last.
    pub push_name: Option<String>,
    /// An e-mail address, for people to read: nothing is sent to it.
    pub email: Option<String>,
    /// The company that the contact belongs to.
    pub company: Option<String>,
    /// Remarks of the tenant.
    pub notes: Option<String>,
    /// Whether the tenant marked it as a business.
    pub business: bool,
    /// The connectors that it is known on: sorted, without duplicates, at most [`MAX_CONNECTORS`]. A deleted connector stays.
    pub connectors: Vec<ConnectorIndex>,
    /// False after an opt-out: nothing is sent to the contact.
    pub active: bool,
    /// Why it was deactivated.
    pub reason: Option<String>,
    /// The categories of messages that it does not want. Stored beside the other fields.
    #[serde(skip)]
    pub refused: Refusals,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed. Becoming known on a connector is not a change of the contact.
    pub updated_at: Timestamp,
}

/// One change of a contact. The store applies steps to the newest version, so that a person, an automation and a channel never undo
/// each other's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContactStep {
    /// Sets or clears the name that the tenant chose.
    Name(Option<String>),
    /// Sets the name that the channel reported.
    PushName(String),
    /// Sets or clears the e-mail address.
    Email(Option<String>),
    /// Sets or clears the company.
    Company(Option<String>),
    /// Sets or clears the remarks.
    Notes(Option<String>),
    /// Marks it as a business, or not.
    Business(bool),
    /// Allows or forbids messages to it, with the reason.
    Active(bool, Option<String>),
    /// It does not want messages of this category, or wants them again.
    Refuse(MessageType, bool),
    /// It is known on this connector, unless it is already known on [`MAX_CONNECTORS`].
    Join(ConnectorIndex),
    /// It is no longer known on this connector.
    Leave(ConnectorIndex),
}

/// The wish not to get messages, or those of some categories, at an address that has no contact, since the contact was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptOut {
    /// The reason, if one was given.
    pub reason: Option<String>,
    /// When the contact was deleted.
    pub at: Timestamp,
    /// The only categories that are not wanted; `None`: no messages at all. Stored beside the other fields.
    #[serde(skip)]
    pub only: Option<Refusals>,
}

impl OptOut {
    /// Whether a message of this category is not wanted.
    pub fn refuses(&self, kind: MessageType) -> bool {
        self.only.is_none_or(|only| only.has(kind))
    }

    /// What neither of two contacts that had the address wants. A refusal of everything stays one.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        let (reason, only) = match (self.only, later.only) {
            (Some(one), Some(other)) => (later.reason.or(self.reason), Some(one.and(other))),
            (None, Some(_)) => (self.reason, None),
            (_, None) => (later.reason, None),
        };
        Self { reason, only, at: later.at }
    }
}

impl Contact {
    /// A contact that accepts messages and of which nothing else is known.
    pub fn new(id: Uuid, tenant: TenantIndex, kind: ContactType, identifier: impl Into<String>, at: Timestamp) -> Self {
        Self {
            id,
            tenant,
            number: 0,
            kind,
            identifier: identifier.into(),
            name: None,
            push_name: None,
            email: None,
            company: None,
            notes: None,
            business: false,
            connectors: Vec::new(),
            active: true,
            reason: None,
            refused: Refusals::NONE,
            created_at: at,
            updated_at: at,
        }
    }

    /// The name to show: the one that the tenant chose, otherwise the one that the channel reported.
    pub fn display_name(&self) -> Option<&str> {
        self.name.as_deref().or(self.push_name.as_deref())
    }

    /// Whether it is known on a connector.
    pub fn is_on(&self, connector: ConnectorIndex) -> bool {
        self.connectors.binary_search(&connector).is_ok()
    }

    /// Applies steps at `at`; returns whether anything changed. A push name behind a chosen one, and the connectors, leave
    /// `updated_at` as it is.
    pub fn apply(&mut self, steps: &[ContactStep], at: Timestamp) -> bool {
        let mut changed = false;
        for step in steps {
            let is_shown = match step {
                ContactStep::Join(_) | ContactStep::Leave(_) => false,
                ContactStep::PushName(_) => self.name.is_none(),
                _ => true,
            };
            if self.step(step) {
                changed = true;
                if is_shown {
                    self.updated_at = at;
                }
            }
        }
        changed
    }

    fn step(&mut self, step: &ContactStep) -> bool {
        match step {
            ContactStep::Name(name) => set(&mut self.name, name),
            ContactStep::PushName(name) => {
                let changes = self.push_name.as_ref() != Some(name);
                if changes {
                    self.push_name = Some(name.clone());
                }
                changes
            }
            ContactStep::Email(email) => set(&mut self.email, email),
            ContactStep::Company(company) => set(&mut self.company, company),
            ContactStep::Notes(notes) => set(&mut self.notes, notes),
            ContactStep::Business(business) => set(&mut self.business, business),
            ContactStep::Active(active, reason) => set(&mut self.active, active) | set(&mut self.reason, reason),
            ContactStep::Refuse(kind, refused) => {
                let next = self.refused.with(*kind, *refused);
                set(&mut self.refused, &next)
            }
            ContactStep::Join(connector) => match self.connectors.binary_search(connector) {
                Err(place) if self.connectors.len() < MAX_CONNECTORS => {
                    self.connectors.insert(place, *connector);
                    true
                }
                _ => false,
            },
            ContactStep::Leave(connector) => match self.connectors.binary_search(connector) {
                Ok(place) => {
                    self.connectors.remove(place);
                    true
                }
                Err(_) => false,
            },
        }
    }
}

/// Whether the field had another value.
fn set<T: PartialEq + Clone>(field: &mut T, value: &T) -> bool {
    let changes = *field != *value;
    if changes {
        field.clone_from(value);
    }
    changes
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
    fn a_group_is_not_a_person() {
        for (address, may_be) in [
            ("5511987654321", true),
            ("123456@lid", true),
            ("5511987654321@s.whatsapp.net", true),
            ("120363001234567890@g.us", false),
            ("status@broadcast", false),
            ("120363001234567890@newsletter", false),
        ] {
            assert_eq!(ContactType::WhatsApp.may_be_person(address), may_be, "{address}");
        }
        assert!(ContactType::Email.may_be_person("ana@example.org"));
    }

    #[test]
    fn two_wishes_at_one_address_refuse_what_either_refused() {
        let only = |kind| Some(Refusals::of([kind]));
        let wish = |only, at: i64| OptOut { reason: Some(at.to_string()), at: Timestamp(at), only };
        let (marketing, support) = (only(MessageType::Marketing), only(MessageType::Support));
        let both = wish(marketing, 1).and(wish(support, 2));
        assert!(both.refuses(MessageType::Marketing) && both.refuses(MessageType::Support));
        assert!(!both.refuses(MessageType::General));
        assert_eq!(wish(None, 1).and(wish(support, 2)), OptOut { at: Timestamp(2), ..wish(None, 1) });
        assert_eq!(wish(support, 1).and(wish(None, 2)), wish(None, 2));
    }

    #[test]
    fn a_mail_contact_is_known_whatever_its_case() {
        assert_eq!(ContactType::Email.identifier("Maria.Ávila@x.test"), "maria.ávila@x.test");
        assert_eq!(ContactType::Email.identifier("MARIA@x.test"), ContactType::Email.identifier("maria@x.test"));
        assert_eq!(ContactType::WhatsApp.identifier("5511999998888"), "5511999998888");
    }

    #[test]
    fn steps_change_what_they_name_and_the_instant_of_what_is_shown() {
        let (made, later) = (Timestamp(1), Timestamp(2));
        let mut contact = Contact::new(Uuid::nil(), TenantIndex(1), ContactType::WhatsApp, "5511", made);
        assert!(contact.apply(&[ContactStep::Join(ConnectorIndex(3)), ContactStep::Join(ConnectorIndex(1))], later));
        assert!(!contact.apply(&[ContactStep::Join(ConnectorIndex(3))], later), "it is known there");
        assert_eq!((contact.connectors.as_slice(), contact.updated_at), (&[1, 3].map(ConnectorIndex)[..], made));
        assert!(contact.is_on(ConnectorIndex(3)) && !contact.is_on(ConnectorIndex(2)));

        assert!(contact.apply(&[ContactStep::PushName("ana".to_owned())], later));
        assert_eq!((contact.display_name(), contact.updated_at), (Some("ana"), later), "it is the name that is shown");
        assert!(contact.apply(&[ContactStep::Name(Some("Ana".to_owned()))], Timestamp(3)));
        assert!(contact.apply(&[ContactStep::PushName("aninha".to_owned())], Timestamp(4)));
        assert_eq!(
            (contact.display_name(), contact.updated_at),
            (Some("Ana"), Timestamp(3)),
            "the chosen one is shown"
        );
        let steps = [
            ContactStep::Email(Some("a@x".to_owned())),
            ContactStep::Company(Some("X".to_owned())),
            ContactStep::Notes(Some("n".to_owned())),
            ContactStep::Business(true),
            ContactStep::Active(false, Some("asked".to_owned())),
            ContactStep::Refuse(MessageType::Marketing, true),
            ContactStep::Leave(ConnectorIndex(1)),
        ];
        assert!(contact.apply(&steps, Timestamp(5)));
        assert_eq!(contact.refused, Refusals::of([MessageType::Marketing]));
        let fields = [&contact.email, &contact.company, &contact.notes, &contact.reason].map(|f| f.as_deref());
        assert_eq!(fields, [Some("a@x"), Some("X"), Some("n"), Some("asked")]);
        assert_eq!((contact.business, contact.active, contact.updated_at), (true, false, Timestamp(5)));
        assert_eq!(contact.connectors, [ConnectorIndex(3)]);
        assert!(!contact.apply(&steps, Timestamp(6)), "all of it is so already");
        assert_eq!(contact.updated_at, Timestamp(5));
    }

    #[test]
    fn a_contact_is_known_on_so_many_connectors_at_most() {
        let mut contact = Contact::new(Uuid::nil(), TenantIndex(1), ContactType::WhatsApp, "5511", Timestamp(1));
        let joins: Vec<_> = (0..=MAX_CONNECTORS as u32).map(|n| ContactStep::Join(ConnectorIndex(n))).collect();
        contact.apply(&joins, Timestamp(2));
        assert_eq!(contact.connectors.len(), MAX_CONNECTORS);
        assert!(!contact.is_on(ConnectorIndex(MAX_CONNECTORS as u32)));
    }
}
