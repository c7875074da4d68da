//! By what names people go, for whoever shows what they wrote.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::commands::Commands;
use crate::model::{Contact, ContactType};
use crate::{Result, TenantIndex};

/// Maximum number of addresses in one look-up; a further one is not looked up.
const MAX_ADDRESSES: usize = 1_000;

/// What is known of somebody by one of their addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownContact {
    /// The contact's public id.
    pub id: Uuid,
    /// The identifier that the contact is known by.
    pub identifier: String,
    /// The name to show, see [`crate::model::Contact::display_name`].
    pub name: Option<String>,
}

impl From<Contact> for KnownContact {
    fn from(contact: Contact) -> Self {
        let name = contact.display_name().map(str::to_owned);
        Self { id: contact.id, identifier: contact.identifier, name }
    }
}

impl Commands {
    /// The contacts behind these addresses, by the address as it was given; those without a contact are left out. Of more than 1,000
    /// addresses the others are left out too.
    pub fn known_contacts(
        &self,
        tenant: TenantIndex,
        kind: ContactType,
        addresses: BTreeSet<String>,
    ) -> Result<BTreeMap<String, KnownContact>> {
        let mut known = BTreeMap::new();
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            if let Some(contact) = self.ports().store.contact(tenant, kind, &kind.identifier(&address))? {
                known.insert(address, KnownContact::from(contact));
            }
        }
        Ok(known)
    }
}
