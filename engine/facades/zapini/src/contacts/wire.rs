//! The contacts' wire types: bodies as they are declared and read, and answers.

use std::borrow::Cow;

use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object};
use pombo_api::declared::Declares;
use pombo_api::fields::{Clearable, Field as Given, Wanted, required};
use pombo_api::json_fields;
use pombo_domain::commands::contacts::imports::MAX_ROWS;
use pombo_domain::commands::contacts::{ContactDraft, ContactPatch, MAX_LINE_CHARS, MAX_NOTES_CHARS};
use pombo_domain::commands::messages::send::MAX_TO_BYTES;
use pombo_domain::error::written;
use pombo_domain::model::{Contact, ContactType};
use pombo_domain::{Field, FieldProblem};
use serde::Serialize;
use serde::de::{IgnoredAny, SeqAccess};
use serde_json::json;

use crate::envelope::{Created, Success};
use crate::errors::field_name;
use crate::params::NumberOrText;
use crate::refs::{is_group, person};
use crate::schemas::{inline, nullable_text, text};
use crate::times::seconds;

json_fields! {
    /// A contact as a body has it, or a row of an import.
    pub(super) struct ContactFields<'a> {
        instance_id: "instance_id" as NumberOrText,
        phone_number: "phone_number" as NumberOrText,
        name: "name" as Cow<'a, str>,
        email: "email" as Cow<'a, str>,
        company: "company" as Cow<'a, str>,
        notes: "notes" as Cow<'a, str>,
    }
}

json_fields! {
    /// A change of a contact.
    pub(super) struct ChangeFields<'a> {
        phone_number: "phone_number" as NumberOrText,
        name: "name" as Clearable<'a>,
        email: "email" as Clearable<'a>,
        company: "company" as Clearable<'a>,
        notes: "notes" as Clearable<'a>,
    }
}

json_fields! {
    /// An import.
    pub(super) struct ImportFields<'a> {
        instance_id: "instance_id" as NumberOrText,
        contacts: "contacts" as Rows<'a>,
    }
}

/// The rows of an import. Past the limit they are counted and not kept.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    pub(super) rows: Vec<Given<ContactFields<'a>>>,
    pub(super) count: usize,
}

impl<'de> Wanted<'de> for Rows<'de> {
    const NAME: &'static str = "an array of contacts";

    fn array<A: SeqAccess<'de>>(mut seq: A) -> Result<Given<Self>, A::Error> {
        let mut rows = Rows::default();
        while rows.rows.len() < MAX_ROWS {
            let Some(row) = seq.next_element()? else { break };
            rows.rows.push(row);
        }
        rows.count = rows.rows.len();
        while rows.count >= MAX_ROWS && seq.next_element::<IgnoredAny>()?.is_some() {
            rows.count += 1;
        }
        Ok(Given::Value(rows))
    }
}

/// A contact to create or to update, without its connectors. What is omitted, null or empty leaves what is known as it is: an empty
/// cell of a list says nothing.
pub(super) fn draft(fields: ContactFields<'_>, problems: &mut Vec<FieldProblem>) -> Option<ContactDraft> {
    let phone = fields.phone_number.take(Field::Identifier, problems).map(|NumberOrText(text)| person(&text));
    let phone = required(Field::Identifier, phone, problems);
    if phone.as_deref().is_some_and(is_group) {
        let message = "must be the number of a person, not the address of a group";
        problems.push(FieldProblem::new(Field::Identifier, message));
    }
    let mut said = |given: Given<Cow<'_, str>>, field: Field| {
        let text = given.take(field, problems).filter(|text| !text.trim().is_empty());
        text.map(|text| Some(text.into_owned()))
    };
    let patch = ContactPatch {
        name: said(fields.name, Field::Name),
        email: said(fields.email, Field::Email),
        company: said(fields.company, Field::Company),
        notes: said(fields.notes, Field::Notes),
        ..ContactPatch::default()
    };
    let identifier = phone.filter(|_| problems.is_empty())?;
    Some(ContactDraft { kind: ContactType::WhatsApp, identifier, connectors: Vec::new(), patch })
}

/// The change of a contact; null and an empty text clear a field. Its number cannot change.
pub(super) fn patch(fields: ChangeFields<'_>, contact: &Contact, problems: &mut Vec<FieldProblem>) -> ContactPatch {
    let phone = fields.phone_number.take(Field::Identifier, problems);
    if phone.is_some_and(|NumberOrText(phone)| !is_address_of(contact, &phone)) {
        let message = "cannot be changed: another number is another contact";
        problems.push(FieldProblem::new(Field::Identifier, message));
    }
    let mut changed = |given: Given<Clearable<'_>>, field: Field| {
        given.take(field, problems).map(|Clearable(text)| text.map(Cow::into_owned))
    };
    ContactPatch {
        name: changed(fields.name, Field::Name),
        email: changed(fields.email, Field::Email),
        company: changed(fields.company, Field::Company),
        notes: changed(fields.notes, Field::Notes),
        ..ContactPatch::default()
    }
}

/// Whether a text is the address of a contact, however its digits are grouped: clients send back what they were given.
fn is_address_of(contact: &Contact, given: &str) -> bool {
    let given = person(given);
    let digits: String = given.chars().filter(char::is_ascii_digit).collect();
    given == contact.identifier || digits == contact.identifier
}

/// The rows of an import that can be read, and what is wrong with the others.
#[derive(Debug, Default)]
pub(super) struct ImportRows {
    /// The rows that can be read.
    pub(super) drafts: Vec<ContactDraft>,
    /// Of each of them, its place among all rows and its number as it was given.
    pub(super) given: Vec<(usize, Option<String>)>,
    /// The others.
    pub(super) errors: Vec<ImportError>,
}

impl ImportRows {
    pub(super) fn of(rows: Vec<Given<ContactFields<'_>>>) -> Self {
        let mut read = Self::default();
        for (row, given) in rows.into_iter().enumerate() {
            let fields = match given {
                Given::Value(fields) => fields,
                Given::Missing => {
                    read.refuse(row, None, "must be an object, not null".to_owned());
                    continue;
                }
                Given::Wrong(message) => {
                    read.refuse(row, None, message.into_owned());
                    continue;
                }
            };
            let phone_number = match &fields.phone_number {
                Given::Value(NumberOrText(text)) => Some(text.clone()),
                Given::Missing | Given::Wrong(_) => None,
            };
            let mut problems = Vec::new();
            match draft(fields, &mut problems) {
                Some(draft) => {
                    read.drafts.push(draft);
                    read.given.push((row, phone_number));
                }
                None => read.refuse(row, phone_number, written(&problems, field_name)),
            }
        }
        read
    }

    fn refuse(&mut self, row: usize, phone_number: Option<String>, message: String) {
        self.errors.push(ImportError { row, phone_number, message });
    }
}

fn line(description: &'static str) -> MetaSchemaRef {
    nullable_text(description, MAX_LINE_CHARS)
}

/// The fields that describe a contact.
fn descriptive() -> [(&'static str, MetaSchemaRef); 4] {
    [
        ("name", line("Name of the contact.")),
        ("email", line("E-mail address of the contact, for people to read.")),
        ("company", line("Company of the contact.")),
        ("notes", nullable_text("Remarks about the contact.", MAX_NOTES_CHARS)),
    ]
}

fn phone_number() -> (&'static str, MetaSchemaRef) {
    let description = "Phone number with country code; a +, spaces and hyphens are accepted.";
    ("phone_number", text(description, Some(1), MAX_TO_BYTES))
}

fn instance_id() -> (&'static str, MetaSchemaRef) {
    ("instance_id", text("UUID or number of the instance on which the contacts become known.", Some(1), 200))
}

/// `CreateContact` in the document.
pub(super) struct CreateContact;

impl Declares for CreateContact {
    const NAME: &'static str = "CreateContact";

    fn schema(_: &mut Registry) -> MetaSchema {
        MetaSchema {
            description: Some(
                "A contact to create, or to update where the number is known: what is omitted, null or empty then stays as it is.",
            ),
            required: vec!["instance_id", "phone_number"],
            properties: [instance_id(), phone_number()].into_iter().chain(descriptive()).collect(),
            example: Some(json!({
                "instance_id": "550e8400-e29b-41d4-a716-446655440000",
                "phone_number": "+5511999999999",
                "name": "John Doe",
                "email": "john@example.com",
                "company": "Acme Inc",
                "notes": "Met at conference"
            })),
            ..MetaSchema::new("object")
        }
    }
}

/// `UpdateContact` in the document.
pub(super) struct UpdateContact;

impl Declares for UpdateContact {
    const NAME: &'static str = "UpdateContact";

    fn schema(_: &mut Registry) -> MetaSchema {
        MetaSchema {
            description: Some(
                "A change of a contact: omitted fields stay as they are, null and an empty text clear a field. A `phone_number` \
                 must be the contact's own.",
            ),
            properties: descriptive().into(),
            example: Some(json!({"name": "John Doe", "company": null})),
            ..MetaSchema::new("object")
        }
    }
}

/// `ImportContacts` in the document.
pub(super) struct ImportContacts;

impl Declares for ImportContacts {
    const NAME: &'static str = "ImportContacts";

    fn schema(_: &mut Registry) -> MetaSchema {
        let row = MetaSchema {
            description: Some("A contact to create or to update."),
            required: vec!["phone_number"],
            properties: [phone_number()].into_iter().chain(descriptive()).collect(),
            ..MetaSchema::new("object")
        };
        let contacts = MetaSchema {
            description: Some("The contacts."),
            items: Some(Box::new(inline(row))),
            min_items: Some(1),
            max_items: Some(MAX_ROWS),
            ..MetaSchema::new("array")
        };
        MetaSchema {
            description: Some("Contacts to create or to update."),
            required: vec!["instance_id", "contacts"],
            properties: vec![instance_id(), ("contacts", inline(contacts))],
            example: Some(json!({
                "instance_id": "550e8400-e29b-41d4-a716-446655440000",
                "contacts": [
                    {"phone_number": "+5511999999999", "name": "John Doe"},
                    {"phone_number": "+5511888888888", "name": "Jane Smith"}
                ]
            })),
            ..MetaSchema::new("object")
        }
    }
}

/// A person to whom messages are sent. There is one for each number, whichever instances it is known on.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Contact")]
pub(crate) struct ContactBody {
    /// The tenant's number for the contact: from 1, never given twice.
    pub(crate) id: u64,
    /// The phone number, digits with country code.
    pub(crate) phone_number: String,
    /// The name that was chosen for the contact; null where there is none.
    #[oai(nullable)]
    pub(crate) name: Option<String>,
    /// The name to show: `name`, else the name that WhatsApp reported, else the number.
    pub(crate) display_name: String,
    /// E-mail address, for people to read; null where there is none.
    #[oai(nullable)]
    pub(crate) email: Option<String>,
    /// Company; null where there is none.
    #[oai(nullable)]
    pub(crate) company: Option<String>,
    /// Remarks; null where there are none.
    #[oai(nullable)]
    pub(crate) notes: Option<String>,
    /// URL of the profile picture. Only in the answer for a single contact; null in lists, and when no picture can be fetched right now.
    #[oai(nullable)]
    pub(crate) profile_picture_url: Option<String>,
    /// Whether the contact is marked as a business.
    pub(crate) is_business: bool,
    /// When the contact was created.
    pub(crate) created_at: String,
}

impl From<Contact> for ContactBody {
    fn from(contact: Contact) -> Self {
        Self {
            id: contact.number,
            display_name: contact.display_name().unwrap_or(&contact.identifier).to_owned(),
            phone_number: contact.identifier,
            name: contact.name,
            email: contact.email,
            company: contact.company,
            notes: contact.notes,
            profile_picture_url: None,
            is_business: contact.business,
            created_at: seconds(contact.created_at),
        }
    }
}

/// One contact.
#[derive(Debug, Serialize, Object)]
pub(super) struct OneContact {
    /// The contact.
    contact: ContactBody,
}

impl OneContact {
    pub(super) fn of(contact: Contact) -> Self {
        Self { contact: contact.into() }
    }

    /// The same with its picture.
    pub(super) fn pictured(mut self, url: Option<String>) -> Self {
        self.contact.profile_picture_url = url;
        self
    }
}

/// The answer to a contact that was saved: 201 where it was created, 200 where it was known.
pub(super) enum Saved {
    /// It was created.
    Made(Created<OneContact>),
    /// It was known, and was updated.
    Known(Success<OneContact>),
}

impl IntoResponse for Saved {
    fn into_response(self) -> Response {
        match self {
            Self::Made(made) => made.into_response(),
            Self::Known(known) => known.into_response(),
        }
    }
}

impl ApiResponse for Saved {
    fn meta() -> MetaResponses {
        let mut meta = <Created<OneContact> as ApiResponse>::meta();
        meta.responses.extend(<Success<OneContact> as ApiResponse>::meta().responses);
        meta
    }
    fn register(registry: &mut Registry) {
        OneContact::register(registry);
    }
}

/// A row of an import that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Object)]
pub(super) struct ImportError {
    /// Place of the row in `contacts`, from 0.
    pub(super) row: usize,
    /// The phone number as it was given; null where none can be read.
    #[oai(nullable)]
    pub(super) phone_number: Option<String>,
    /// What is wrong and what to change.
    pub(super) message: String,
}

/// What became of an import.
#[derive(Debug, Serialize, Object)]
pub(super) struct ContactsImported {
    /// Number of rows that created or changed a contact.
    pub(super) imported: u64,
    /// Number of rows that said nothing new.
    pub(super) skipped: u64,
    /// The rows that were refused, in order; the others were taken.
    pub(super) errors: Vec<ImportError>,
}

#[cfg(test)]
mod tests {
    use pombo_domain::{TenantIndex, Timestamp};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn rows_past_the_limit_are_counted_only() {
        let json = format!(r#"{{"contacts":[{}{{}}]}}"#, "{},".repeat(1500));
        let Ok(Given::Value(ImportFields { contacts: Given::Value(rows), .. })) =
            serde_json::from_str::<Given<ImportFields<'_>>>(&json)
        else {
            panic!("rows")
        };
        assert_eq!((rows.rows.len(), rows.count), (1000, 1501));
    }

    #[test]
    fn a_number_is_the_contacts_own_however_it_is_written() {
        let contact = Contact::new(Uuid::nil(), TenantIndex(1), ContactType::WhatsApp, "5511987654321", Timestamp(0));
        for same in ["5511987654321", "+55 (11) 98765-4321", "5511987654321@s.whatsapp.net"] {
            assert!(is_address_of(&contact, same), "{same}");
        }
        for other in ["", "551198765432", "5511987654322"] {
            assert!(!is_address_of(&contact, other), "{other}");
        }
    }
}
