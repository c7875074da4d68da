//! Wire types of contacts.

use poem_openapi::Object;
use poem_openapi::registry::MetaSchema;
use poem_openapi::types::MaybeUndefined;
use pombo_domain::Error;
use pombo_domain::commands::contacts::imports::ImportedContacts;
use pombo_domain::commands::contacts::{ContactDraft, ContactPatch, ContactRef};
use pombo_domain::model::{self, Refusals};
use serde::Deserialize;
use uuid::Uuid;

use crate::names::field_name;
use crate::wire::MessageType;
use crate::wire::contact::{Contact, ContactType};
use crate::wire::conversation::Conversation;
use pombo_api::declared::ParamKind;
use pombo_api::error::Failure;

/// What a path names a contact by: its id or its number. Any other text is not found.
pub(crate) struct ContactKey;

impl ParamKind for ContactKey {
    type Value = Option<ContactRef>;

    fn schema() -> MetaSchema {
        MetaSchema { pattern: Some("^[0-9A-Za-z-]{1,36}$".to_owned()), ..MetaSchema::new("string") }
    }
    fn parse(text: &str) -> Result<Self::Value, String> {
        if (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(text.parse().ok().map(ContactRef::Number));
        }
        // The hyphenated form only: one id has one spelling.
        Ok(Uuid::try_parse(text).ok().filter(|_| text.len() == 36).map(ContactRef::Id))
    }
}

/// A page of contacts, ordered by number.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct ContactPage {
    /// The contacts of the page.
    pub(super) data: Vec<Contact>,
    /// Number of all contacts that match, on all pages.
    pub(super) total: u64,
    /// The `after` for the next page; absent on the last one.
    pub(super) next: Option<u64>,
}

/// A contact to create, or to update where there is one with this type and identifier. Of a contact that is there, omitted fields stay
/// as they are and `null` clears a field.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SaveContact {
    /// Kind of the address.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    kind: ContactType,
    /// A phone number with country and area code, or an e-mail address.
    #[oai(validator(min_length = 1, max_length = 320))]
    identifier: String,
    /// Ids of connectors on which the contact becomes known, at most 50; it stays on those on which it is known already.
    #[oai(nullable, validator(max_items = 50))]
    connector_ids: Option<Vec<Uuid>>,
    /// The name that the tenant chooses, at most 255 characters.
    #[oai(default, nullable, validator(max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$"))]
    #[serde(default)]
    name: MaybeUndefined<String>,
    /// An e-mail address, for people to read; at most 255 characters.
    #[oai(
        default,
        nullable,
        validator(
            max_length = 255,
            pattern = "^[^@\\s\\x00-\\x1f\\x7f-\\x9f]+@[^@\\s\\x00-\\x1f\\x7f-\\x9f]*\\.[^@\\s\\x00-\\x1f\\x7f-\\x9f]*$"
        )
    )]
    #[serde(default)]
    email: MaybeUndefined<String>,
    /// The company that the contact belongs to, at most 255 characters.
    #[oai(default, nullable, validator(max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$"))]
    #[serde(default)]
    company: MaybeUndefined<String>,
    /// Remarks about the contact, at most 4000 characters.
    #[oai(
        default,
        nullable,
        validator(max_length = 4000, pattern = "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$")
    )]
    #[serde(default)]
    notes: MaybeUndefined<String>,
    /// Whether the contact is a business.
    #[oai(nullable)]
    business: Option<bool>,
    /// Categories of messages that the contact does not want; they replace the present ones.
    #[oai(nullable, validator(max_items = 6))]
    refused_categories: Option<Vec<MessageType>>,
}

impl From<SaveContact> for ContactDraft {
    fn from(save: SaveContact) -> Self {
        Self {
            kind: save.kind.into(),
            identifier: save.identifier,
            connectors: save.connector_ids.unwrap_or_default(),
            patch: ContactPatch {
                name: cleared(save.name),
                email: cleared(save.email),
                company: cleared(save.company),
                notes: cleared(save.notes),
                business: save.business,
                active: None,
                reason: None,
                refused: refusals(save.refused_categories),
            },
        }
    }
}

/// A change of a contact. Omitted fields stay as they are, and `null` clears a field. The address cannot change.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UpdateContact {
    /// The name that the tenant chooses, at most 255 characters.
    #[oai(default, nullable, validator(max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$"))]
    #[serde(default)]
    name: MaybeUndefined<String>,
    /// An e-mail address, for people to read; at most 255 characters.
    #[oai(
        default,
        nullable,
        validator(
            max_length = 255,
            pattern = "^[^@\\s\\x00-\\x1f\\x7f-\\x9f]+@[^@\\s\\x00-\\x1f\\x7f-\\x9f]*\\.[^@\\s\\x00-\\x1f\\x7f-\\x9f]*$"
        )
    )]
    #[serde(default)]
    email: MaybeUndefined<String>,
    /// The company that the contact belongs to, at most 255 characters.
    #[oai(default, nullable, validator(max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$"))]
    #[serde(default)]
    company: MaybeUndefined<String>,
    /// Remarks about the contact, at most 4000 characters.
    #[oai(
        default,
        nullable,
        validator(max_length = 4000, pattern = "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$")
    )]
    #[serde(default)]
    notes: MaybeUndefined<String>,
    /// Whether the contact is a business.
    #[oai(nullable)]
    business: Option<bool>,
    /// Whether messages may be sent to the contact: false is an opt-out.
    #[oai(nullable)]
    active: Option<bool>,
    /// The reason for `active`, at most 500 characters; only together with it.
    #[oai(nullable, validator(max_length = 500, pattern = "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$"))]
    reason: Option<String>,
    /// Categories of messages that the contact does not want; they replace the present ones.
    #[oai(nullable, validator(max_items = 6))]
    refused_categories: Option<Vec<MessageType>>,
}

impl UpdateContact {
    /// Refuses a list that is longer than the document says: there are no more categories.
    pub(super) fn check(&self) -> Result<(), Failure> {
        const MOST: usize = model::MessageType::ALL.len();
        match &self.refused_categories {
            Some(kinds) if kinds.len() > MOST => {
                Err(Error::invalid("refusedCategories", format!("must be at most {MOST}")).into())
            }
            _ => Ok(()),
        }
    }
}

impl From<UpdateContact> for ContactPatch {
    fn from(update: UpdateContact) -> Self {
        Self {
            name: cleared(update.name),
            email: cleared(update.email),
            company: cleared(update.company),
            notes: cleared(update.notes),
            business: update.business,
            active: update.active,
            reason: update.reason,
            refused: refusals(update.refused_categories),
        }
    }
}

fn refusals(kinds: Option<Vec<MessageType>>) -> Option<Refusals> {
    kinds.map(|kinds| Refusals::of(kinds.into_iter().map(Into::into)))
}

/// A field of a patch: `None` where it is omitted, `Some(None)` for `null`.
fn cleared(value: MaybeUndefined<String>) -> Option<Option<String>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// Whether messages may be sent to a contact.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetContactActive {
    /// Whether messages may be sent to the contact: false is an opt-out.
    pub(super) active: bool,
    /// The reason, at most 500 characters; if omitted, an earlier reason is removed.
    #[oai(nullable, validator(max_length = 500, pattern = "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$"))]
    pub(super) reason: Option<String>,
}

/// The conversations with a contact.
#[derive(Object)]
pub(crate) struct ContactConversations {
    /// The conversations, the last active first; at most 250.
    pub(super) data: Vec<Conversation>,
}

/// Contacts to create or to update.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ImportContacts {
    /// Ids of connectors on which all of the contacts become known, at most 50.
    #[oai(nullable, validator(max_items = 50))]
    pub(super) connector_ids: Option<Vec<Uuid>>,
    /// From 1 to 1000 contacts.
    #[oai(validator(min_items = 1, max_items = 1000))]
    pub(super) contacts: Vec<ImportedContact>,
}

/// A contact to create or to update, with the fields and bounds of a contact that is saved alone. One that breaks a bound is refused,
/// and spoils no other.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ImportedContact {
    /// Kind of the address.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    kind: ContactType,
    /// A phone number with country and area code, or an e-mail address.
    identifier: String,
    /// Ids of connectors on which the contact becomes known, besides those of all contacts.
    #[oai(nullable)]
    connector_ids: Option<Vec<Uuid>>,
    /// The name that the tenant chooses, at most 255 characters.
    #[oai(default, nullable)]
    #[serde(default)]
    name: MaybeUndefined<String>,
    /// An e-mail address, for people to read; at most 255 characters.
    #[oai(default, nullable)]
    #[serde(default)]
    email: MaybeUndefined<String>,
    /// The company that the contact belongs to, at most 255 characters.
    #[oai(default, nullable)]
    #[serde(default)]
    company: MaybeUndefined<String>,
    /// Remarks about the contact, at most 4000 characters.
    #[oai(default, nullable)]
    #[serde(default)]
    notes: MaybeUndefined<String>,
    /// Whether the contact is a business.
    #[oai(nullable)]
    business: Option<bool>,
    /// Categories of messages that the contact does not want; they replace the present ones.
    #[oai(nullable)]
    refused_categories: Option<Vec<MessageType>>,
}

impl From<ImportedContact> for ContactDraft {
    fn from(row: ImportedContact) -> Self {
        let ImportedContact {
            kind,
            identifier,
            connector_ids,
            name,
            email,
            company,
            notes,
            business,
            refused_categories,
        } = row;
        SaveContact { kind, identifier, connector_ids, name, email, company, notes, business, refused_categories }
            .into()
    }
}

/// A row that was refused.
#[derive(Object)]
pub(crate) struct RefusedContact {
    /// Number of the row in `contacts`, from 0.
    row: u32,
    /// What is wrong and what to change.
    message: String,
}

/// What became of an import.
#[derive(Object)]
pub(crate) struct ImportedContactRows {
    /// Number of rows that created a contact.
    created: u64,
    /// Number of rows that changed a contact.
    updated: u64,
    /// Number of rows that said nothing new.
    unchanged: u64,
    /// The rows that were refused; the others were taken.
    refused: Vec<RefusedContact>,
}

impl From<ImportedContacts> for ImportedContactRows {
    fn from(done: ImportedContacts) -> Self {
        let refused = |(row, error): (usize, Error)| RefusedContact {
            row: u32::try_from(row).unwrap_or(u32::MAX),
            message: error.written(field_name).into_owned(),
        };
        Self {
            created: done.created,
            updated: done.updated,
            unchanged: done.unchanged,
            refused: done.refused.into_iter().map(refused).collect(),
        }
    }
}
