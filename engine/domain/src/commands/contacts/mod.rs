//! The contacts to whom messages are sent. There is one per (type, identifier); an inactive one (opt-out) gets no messages, and an
//! opt-out outlives its contact.

mod addresses;
pub mod files;
pub mod imports;
mod names;

pub use names::KnownContact;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::text::{Rule, checked_optional};
use crate::model::{ConnectorStatus, Contact, ContactStep, ContactType, MessageType, Refusals};
use crate::ports::{Batch, Change, Conflict, ContactFilter, ContactPage, StoreError};
use crate::{ConnectorIndex, Error, Field, Result, TenantIndex, Timestamp};

/// Maximum length of a contact's names, company and e-mail address, in characters.
pub const MAX_LINE_CHARS: usize = 255;
/// Maximum length of the remarks about a contact, in characters.
pub const MAX_NOTES_CHARS: usize = 4_000;
/// Maximum length of the reason for activating or deactivating a contact, in characters.
pub const MAX_REASON_CHARS: usize = 500;
/// Maximum number of other addresses that are shown of a contact.
pub const MAX_ALIASES: usize = 64;
/// Maximum number of connectors that one request names.
pub const MAX_NAMED_CONNECTORS: usize = 50;

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

/// What a caller calls a contact by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactRef {
    /// Its public id.
    Id(Uuid),
    /// The tenant's number for it.
    Number(u64),
}

/// A change of a contact. `None` leaves a field as it is, `Some(None)` and an empty text clear it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactPatch {
    /// The name that the tenant chose, at most [`MAX_LINE_CHARS`].
    pub name: Option<Option<String>>,
    /// The e-mail address, at most [`MAX_LINE_CHARS`].
    pub email: Option<Option<String>>,
    /// The company, at most [`MAX_LINE_CHARS`].
    pub company: Option<Option<String>>,
    /// The remarks, at most [`MAX_NOTES_CHARS`].
    pub notes: Option<Option<String>>,
    /// Whether it is a business.
    pub business: Option<bool>,
    /// Whether messages may be sent to it.
    pub active: Option<bool>,
    /// The reason for `active`, at most [`MAX_REASON_CHARS`]; refused without it.
    pub reason: Option<String>,
    /// The categories of messages that it does not want; they replace those that it did not want before.
    pub refused: Option<Refusals>,
}

/// A contact to create, or to update where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactDraft {
    /// Kind of the address.
    pub kind: ContactType,
    /// The address as the caller wrote it.
    pub identifier: String,
    /// The connectors that the contact is known on, at most [`MAX_NAMED_CONNECTORS`]; it stays on those that it is known on already.
    pub connectors: Vec<Uuid>,
    /// What else is known.
    pub patch: ContactPatch,
}

/// Filters of a list of contacts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactQuery {
    /// Only contacts with this kind of address.
    pub kind: Option<ContactType>,
    /// Only contacts that accept messages, or only those that do not.
    pub active: Option<bool>,
    /// Only contacts that are known on this connector.
    pub connector: Option<Uuid>,
    /// See [`ContactFilter::search`].
    pub search: Option<String>,
    /// See [`ContactFilter::tag`].
    pub tag: Option<String>,
}

impl Commands {
    /// A tenant's contacts after the id `after`, ordered by id.
    pub fn list_contacts(&self, tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> Result<Vec<Contact>> {
        Ok(self.ports().store.contacts(tenant, after, limit)?)
    }

    /// A page of a tenant's contacts behind the number `after`, without the first `skip` matches.
    pub async fn find_contacts(
        &self,
        tenant: TenantIndex,
        query: ContactQuery,
        after: u64,
        skip: u64,
        limit: usize,
    ) -> Result<ContactPage> {
        let ContactQuery { kind, active, connector, search, tag } = query;
        let connector = match connector {
            None => None,
            Some(id) => Some(self.live_connector(tenant, id)?.index),
        };
        let filter = ContactFilter { kind, active, connector, search, tag };
        Ok(self.ports().store.list_contacts(tenant, filter, after, skip, limit).await?)
    }

    /// A contact.
    pub fn get_contact(&self, tenant: TenantIndex, contact: ContactRef) -> Result<Contact> {
        let store = &self.ports().store;
        let found = match contact {
            ContactRef::Id(id) => store.contact_by_id(tenant, id)?,
            ContactRef::Number(number) => store.contact_by_number(tenant, number)?,
        };
        found.ok_or_else(|| Error::not_found("Contact"))
    }

    /// The public ids of the connectors that a contact is known on, without deleted ones.
    pub fn connectors_of_contact(&self, contact: &Contact) -> Result<Vec<Uuid>> {
        let mut ids = Vec::with_capacity(contact.connectors.len());
        for index in &contact.connectors {
            let connector = self.ports().store.connector(*index)?;
            ids.extend(connector.filter(|known| known.status != ConnectorStatus::Deleted).map(|known| known.id));
        }
        Ok(ids)
    }

    /// The other addresses that a contact is known by, at most [`MAX_ALIASES`].
    pub fn aliases_of_contact(&self, contact: &Contact) -> Result<Vec<String>> {
        let store = &self.ports().store;
        let mut aliases = store.contact_aliases(contact.tenant, contact.kind, &contact.identifier)?;
        aliases.truncate(MAX_ALIASES);
        Ok(aliases)
    }

    /// Creates the contact, or renames the one with this type and identifier. Returns true if it was created.
    pub async fn put_contact(&self, tenant: TenantIndex, request: ContactRequest) -> Result<(Contact, bool)> {
        let ContactRequest { identifier, kind, name } = request;
        let patch = ContactPatch { name: name.map(Some), ..ContactPatch::default() };
        self.save_contact(tenant, ContactDraft { kind, identifier, connectors: Vec::new(), patch }).await
    }

    /// Creates the contact, or updates the one that has this type and identifier. Returns true if it was created. A new contact whose
    /// address opted out is inactive, unless the draft activates it.
    pub async fn save_contact(&self, tenant: TenantIndex, draft: ContactDraft) -> Result<(Contact, bool)> {
        let connectors = self.named_connectors(tenant, &draft.connectors)?;
        let plugin = match draft.connectors.first() {
            Some(id) => Some(self.live_connector(tenant, *id)?.plugin.clone()),
            None => None,
        };
        let identifier = self.contact_address(tenant, plugin.as_deref(), draft.kind, &draft.identifier).await?;
        let mut steps = checked_patch(draft.patch)?;
        steps.extend(connectors.into_iter().map(ContactStep::Join));
        let store = &self.ports().store;
        for _ in 0..RETRIES {
            let at = self.ports().clock.now();
            let (id, changes) = match store.contact(tenant, draft.kind, &identifier)? {
                Some(known) => {
                    if !known.clone().apply(&steps, at) {
                        return Ok((known, false));
                    }
                    (known.id, vec![steps_of(tenant, known.id, at, steps.clone())])
                }
                None => {
                    let id = self.ports().entropy.uuid();
                    (id, created(Contact::new(id, tenant, draft.kind, identifier.clone(), at), &steps))
                }
            };
            let is_new = matches!(changes.first(), Some(Change::Contact(_)));
            match store.commit(Batch::of(changes)).await {
                Ok(_) => {}
                Err(StoreError::Conflict(Conflict::Contact)) => continue,
                Err(error) => return Err(error.into()),
            }
            // Its number and a former opt-out are the store's to say. Somebody may have deleted it in the meantime: then it is created.
            if let Some(contact) = store.contact_by_id(tenant, id)? {
                return Ok((contact, is_new));
            }
        }
        Err(StoreError::Conflict(Conflict::Contact).into())
    }

    /// Changes a contact.
    pub async fn update_contact(
        &self,
        tenant: TenantIndex,
        contact: ContactRef,
        patch: ContactPatch,
    ) -> Result<Contact> {
        let steps = checked_patch(patch)?;
        let known = self.get_contact(tenant, contact)?;
        let (id, at) = (known.id, self.ports().clock.now());
        if known.clone().apply(&steps, at) {
            self.ports().store.commit(Batch::of(vec![steps_of(tenant, id, at, steps)])).await?;
        }
        self.get_contact(tenant, ContactRef::Id(id))
    }

    /// Activates or deactivates a contact.
    pub async fn set_contact_active(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        active: bool,
        reason: Option<&str>,
    ) -> Result<Contact> {
        let reason = checked_optional(rule(Field::Reason), reason)?;
        self.get_contact(tenant, ContactRef::Id(id))?;
        let at = self.ports().clock.now();
        let steps = vec![ContactStep::Active(active, reason)];
        self.ports().store.commit(Batch::of(vec![steps_of(tenant, id, at, steps)])).await?;
        self.get_contact(tenant, ContactRef::Id(id))
    }

    /// Removes a contact and returns it as it was. Messages that were sent to it are kept, and so is an opt-out: messages to its
    /// addresses are still refused, and a contact that is added again is inactive.
    pub async fn delete_contact(&self, tenant: TenantIndex, contact: ContactRef) -> Result<Contact> {
        let contact = self.get_contact(tenant, contact)?;
        self.ports().store.commit(Batch::of(vec![Change::DeleteContact(tenant, contact.id)])).await?;
        Ok(contact)
    }

    /// Takes a contact off one connector, and returns it as it was. One that is then known on no other is deleted, as
    /// [`Self::delete_contact`] does.
    pub async fn leave_connector(
        &self,
        tenant: TenantIndex,
        contact: ContactRef,
        connector: ConnectorIndex,
    ) -> Result<Contact> {
        let contact = self.get_contact(tenant, contact)?;
        let (at, steps) = (self.ports().clock.now(), vec![ContactStep::Leave(connector)]);
        let mut left = contact.clone();
        left.apply(&steps, at);
        if self.connectors_of_contact(&left)?.is_empty() {
            return self.delete_contact(tenant, ContactRef::Id(contact.id)).await;
        }
        self.ports().store.commit(Batch::of(vec![steps_of(tenant, contact.id, at, steps)])).await?;
        Ok(contact)
    }

    /// The connectors with these public ids.
    fn named_connectors(&self, tenant: TenantIndex, ids: &[Uuid]) -> Result<Vec<ConnectorIndex>> {
        if ids.len() > MAX_NAMED_CONNECTORS {
            return Err(Error::invalid(Field::Connectors, format!("must be at most {MAX_NAMED_CONNECTORS}")));
        }
        let index = |(at, id): (usize, &Uuid)| match self.live_connector(tenant, *id) {
            Ok(connector) => Ok(connector.index),
            Err(error) if error.code == crate::ErrorCode::NotFound => {
                Err(Error::invalid(Field::Connectors.at(at), "is not the id of a connector"))
            }
            Err(error) => Err(error),
        };
        ids.iter().enumerate().map(index).collect()
    }
}

/// The change of a contact; who asks looks afterwards whether it is still there.
fn steps_of(tenant: TenantIndex, id: Uuid, at: Timestamp, steps: Vec<ContactStep>) -> Change {
    Change::ContactSteps { tenant, id, at, steps, must_exist: false }
}

/// The changes that create a contact. An activation stands behind the creation, so that it also overrules a former opt-out.
fn created(mut contact: Contact, steps: &[ContactStep]) -> Vec<Change> {
    let (tenant, id, at) = (contact.tenant, contact.id, contact.created_at);
    contact.apply(steps, at);
    let mut changes = vec![Change::Contact(contact)];
    let activation = steps.iter().find(|step| matches!(step, ContactStep::Active(true, _)));
    changes.extend(activation.map(|step| steps_of(tenant, id, at, vec![step.clone()])));
    changes
}

fn rule(field: Field) -> Rule {
    let (max_chars, lines) = match field {
        Field::Notes => (MAX_NOTES_CHARS, true),
        Field::Reason => (MAX_REASON_CHARS, true),
        _ => (MAX_LINE_CHARS, false),
    };
    Rule { field, max_chars, lines }
}

/// The steps of a patch. All problems are named at once.
fn checked_patch(patch: ContactPatch) -> Result<Vec<ContactStep>> {
    let ContactPatch { name, email, company, notes, business, active, reason, refused } = patch;
    let (mut steps, mut problems) = (Vec::new(), Vec::new());
    let mut text = |field, value: Option<Option<String>>, step: fn(Option<String>) -> ContactStep| {
        let Some(value) = value else { return };
        match checked_optional(rule(field), value.as_deref()) {
            Ok(Some(email)) if field == Field::Email && !is_email(&email) => {
                problems.extend(Error::invalid(field, "must be an e-mail address such as name@example.com").fields);
            }
            Ok(value) => steps.push(step(value)),
            Err(error) => problems.extend(error.fields),
        }
    };
    text(Field::Name, name, ContactStep::Name);
    text(Field::Email, email, ContactStep::Email);
    text(Field::Company, company, ContactStep::Company);
    text(Field::Notes, notes, ContactStep::Notes);
    match (active, checked_optional(rule(Field::Reason), reason.as_deref())) {
        (_, Err(error)) => problems.extend(error.fields),
        (None, Ok(Some(_))) => {
            problems.extend(Error::invalid(Field::Reason, "is the reason for activating or deactivating").fields);
        }
        (Some(active), Ok(reason)) => steps.push(ContactStep::Active(active, reason)),
        (None, Ok(None)) => {}
    }
    steps.extend(business.map(ContactStep::Business));
    if let Some(refused) = refused {
        steps.extend(MessageType::ALL.map(|kind| ContactStep::Refuse(kind, refused.has(kind))));
    }
    if problems.is_empty() { Ok(steps) } else { Err(Error::invalid_fields(problems)) }
}

fn is_email(text: &str) -> bool {
    let parts = text.split_once('@').filter(|_| !text.chars().any(char::is_whitespace));
    parts.is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.') && !domain.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<Option<String>> {
        Some(Some(text.to_owned()))
    }

    #[test]
    fn a_patch_clears_what_is_empty_and_names_all_its_problems() {
        let patch = ContactPatch { name: some(" Ana "), email: Some(None), company: some(" "), ..Default::default() };
        let steps =
            vec![ContactStep::Name(Some("Ana".to_owned())), ContactStep::Email(None), ContactStep::Company(None)];
        assert_eq!(checked_patch(patch), Ok(steps));
        let patch = ContactPatch {
            name: some("a\nb"),
            email: some("ana"),
            notes: some(&"x".repeat(MAX_NOTES_CHARS + 1)),
            reason: Some("why".to_owned()),
            ..Default::default()
        };
        let problems = checked_patch(patch).expect_err("four problems").fields;
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.only()).collect();
        assert_eq!(fields, [Field::Name, Field::Email, Field::Notes, Field::Reason].map(Some));
        for bad in ["a b@c.d", "@c.d", "a@b", "a@b@c.d"] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
