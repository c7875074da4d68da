//! The contacts to whom messages are sent. There is one per (type, identifier); an inactive one (opt-out) gets no messages.

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::messages::send::MAX_TO_BYTES;
use crate::commands::text::{Rule, checked, checked_optional};
use crate::model::{Contact, ContactType};
use crate::ports::{Batch, Change, Conflict, PluginDescription, StoreError};
use crate::{Error, ErrorCode, Field, Result, TenantIndex};

const RETRIES: usize = 8;

/// A contact to create or rename.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRequest {
    /// The address as the caller wrote it.
    pub identifier: String,
    /// Its kind.
    pub kind: ContactType,
    /// `None` leaves an existing contact's name as it is; an empty name removes it.
    pub name: Option<String>,
}

impl Commands {
    /// A tenant's contacts after the id `after`, ordered by id.
    pub fn list_contacts(&self, tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> Result<Vec<Contact>> {
        Ok(self.ports().store.contacts(tenant, after, limit)?)
    }

    /// Creates the contact, or renames the one with this type and identifier. Returns true if it was created.
    pub async fn put_contact(&self, tenant: TenantIndex, request: ContactRequest) -> Result<(Contact, bool)> {
        let address = self.contact_identifier(request.kind, &request.identifier).await?;
        let identifier = request.kind.identifier(&address).into_owned();
        let name = match &request.name {
            None => None,
            Some(name) => {
                Some(checked_optional(Rule { field: Field::Name, max_chars: 255, lines: false }, Some(name))?)
            }
        };
        for _ in 0..RETRIES {
            let now = self.ports().clock.now();
            let known = self.ports().store.contact(tenant, request.kind, &identifier)?;
            let created = known.is_none();
            let contact = match (known, &name) {
                (Some(known), None) => return Ok((known, false)),
                (Some(known), Some(name)) if known.name == *name => return Ok((known, false)),
                (Some(known), Some(name)) => Contact { name: name.clone(), updated_at: now, ..known },
                (None, name) => Contact {
                    id: self.ports().entropy.uuid(),
                    tenant,
                    kind: request.kind,
                    identifier: identifier.clone(),
                    name: name.clone().flatten(),
                    active: true,
                    reason: None,
                    created_at: now,
                    updated_at: now,
                },
            };
            match self.ports().store.commit(Batch::of(vec![Change::Contact(contact.clone())])).await {
                Ok(_) => return Ok((contact, created)),
                Err(StoreError::Conflict(Conflict::Contact)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict(Conflict::Contact).into())
    }

    /// Activates or deactivates a contact.
    pub async fn set_contact_active(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        active: bool,
        reason: Option<&str>,
    ) -> Result<Contact> {
        let reason = checked_optional(Rule { field: Field::Reason, max_chars: 500, lines: true }, reason)?;
        let known = self.contact(tenant, id)?;
        let contact = Contact { active, reason, updated_at: self.ports().clock.now(), ..known };
        self.ports().store.commit(Batch::of(vec![Change::Contact(contact.clone())])).await?;
        Ok(contact)
    }

    /// Removes a contact and returns it as it was; messages that were sent to it are kept.
    pub async fn delete_contact(&self, tenant: TenantIndex, id: Uuid) -> Result<Contact> {
        let contact = self.contact(tenant, id)?;
        self.ports().store.commit(Batch::of(vec![Change::DeleteContact(tenant, id)])).await?;
        Ok(contact)
    }

    fn contact(&self, tenant: TenantIndex, id: Uuid) -> Result<Contact> {
        self.ports().store.contact_by_id(tenant, id)?.ok_or_else(|| Error::not_found("Contact"))
    }

    /// The identifier in the form that a message to it would have: normalised by a plugin of its channel, so that both find the
    /// same contact.
    async fn contact_identifier(&self, kind: ContactType, given: &str) -> Result<String> {
        let given = checked(Rule { field: Field::Identifier, max_chars: MAX_TO_BYTES, lines: false }, given)?;
        let serves = |plugin: &PluginDescription| ContactType::of_channel(&plugin.channel) == Some(kind);
        let Some(plugin) = self.ports().connectors.plugins().into_iter().find(serves) else {
            return plain_identifier(kind, given);
        };
        let answers = self.ports().connectors.check_recipients(&plugin.name, vec![given]).await;
        let answers = answers.map_err(|error| Error::new(ErrorCode::Unavailable, error.to_string()))?;
        match answers.into_iter().next() {
            Some(Ok(identifier)) => Ok(identifier),
            Some(Err(reason)) => Err(Error::invalid(Field::Identifier, reason)),
            None => Err(Error::internal("a plugin answered for no recipient")),
        }
    }
}

/// The rule for a channel that no installed plugin serves.
fn plain_identifier(kind: ContactType, given: String) -> Result<String> {
    match kind {
        ContactType::WhatsApp if (8..=15).contains(&given.len()) && given.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(given)
        }
        ContactType::WhatsApp => Err(Error::invalid(
            Field::Identifier,
            "must be a phone number of 8 to 15 digits with country and area code, for example 5511999998888",
        )),
        ContactType::Email => match given.split_once('@') {
            Some((local, domain)) if !local.is_empty() && domain.contains('.') && !domain.contains('@') => {
                Ok(format!("{local}@{}", domain.to_lowercase()))
            }
            _ => Err(Error::invalid(Field::Identifier, "must be an e-mail address such as name@example.com")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_plugin_a_phone_is_digits_and_an_address_has_an_at() {
        let plain = |kind, text: &str| plain_identifier(kind, text.to_owned());
        assert_eq!(plain(ContactType::WhatsApp, "5511999998888").as_deref(), Ok("5511999998888"));
        assert_eq!(plain(ContactType::Email, "Ana@Example.COM").as_deref(), Ok("Ana@example.com"));
        for bad in ["", "+5511999998888", "123", "5511 99999"] {
            assert!(plain(ContactType::WhatsApp, bad).is_err(), "{bad:?}");
        }
        for bad in ["ana", "@example.com", "a@b", "a@b@c.d"] {
            assert!(plain(ContactType::Email, bad).is_err(), "{bad:?}");
        }
    }
}
