//! Section "Contatos (CRM)".

use std::borrow::Cow;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use poem::web::Data;
use poem::{Body, IntoResponse, Response};
use poem_openapi::param::Path;
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use pombo_domain::commands::contacts::{ContactRef, ContactRequest};
use pombo_domain::commands::messages::send::{MAX_NAME_CHARS, MAX_TO_BYTES};
use pombo_domain::model::{Contact, ContactType};
use pombo_domain::{Error, FieldProblem};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::Section;
use super::error::{ChangeFails, ReadFails, RemoveFails, SaveFails};
use super::names::contact_type;
use super::params::GivenId;
use super::schema::{FILLED_LINE_PATTERN, LINE_PATTERN, LINES_PATTERN, inline, nullable, text};
use pombo_api::auth::Caller;
use pombo_api::declared::{Declared, Declares, Param};
use pombo_api::error::Failure;
use pombo_api::fields::required;
use pombo_api::json::{JsonBytes, SerdeJson};
use pombo_api::json_fields;
use pombo_api::options::ApiState;

/// Kind of a contact's identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[oai(rename = "ContactType", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ContactKind {
    /// A phone number, digits only.
    #[serde(rename = "WHATSAPP")]
    Whatsapp,
    /// An e-mail address.
    #[serde(rename = "EMAIL")]
    Email,
}

/// A contact.
#[derive(Debug, Serialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename = "Contact", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(super) struct ContactBody {
    /// Id of the contact.
    pub id: Uuid,
    /// Phone number or e-mail address of the contact.
    pub identifier: String,
    /// Kind of the identifier.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: ContactKind,
    /// Name of the contact, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether messages may be sent to the contact.
    pub active: bool,
    /// Why it was activated or deactivated, if a reason was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was created, ISO 8601.
    pub created_at: String,
    /// When it was last changed, ISO 8601.
    pub updated_at: String,
}

impl From<Contact> for ContactBody {
    fn from(contact: Contact) -> Self {
        let name = contact.display_name().map(str::to_owned);
        Self {
            id: contact.id,
            identifier: contact.identifier,
            kind: match contact.kind {
                ContactType::WhatsApp => ContactKind::Whatsapp,
                ContactType::Email => ContactKind::Email,
            },
            name,
            active: contact.active,
            reason: contact.reason,
            created_at: contact.created_at.to_iso(),
            updated_at: contact.updated_at.to_iso(),
        }
    }
}

/// An array of contacts written as it is read, so that a large one is never in memory whole.
pub(super) struct ContactArray(Body);

/// Contacts read at once.
const CHUNK: usize = 500;

impl ContactArray {
    fn begin(state: Arc<ApiState>, caller: Caller) -> Result<Self, Failure> {
        // The first chunk before the answer begins, so that a failing store is an error and not half an array.
        let first = state.commands.list_contacts(caller.0.tenant, None, CHUNK)?;
        let rest = stream::unfold(Some((first, true)), move |step| {
            let state = state.clone();
            async move {
                let (contacts, is_first) = step?;
                let more = contacts.len() == CHUNK;
                let last = contacts.last().map(|contact| contact.id);
                let mut text = Vec::with_capacity(contacts.len() * 200);
                for (i, contact) in contacts.into_iter().enumerate() {
                    text.push(if is_first && i == 0 { b'[' } else { b',' });
                    if let Err(error) = serde_json::to_writer(&mut text, &ContactBody::from(contact)) {
                        return Some((Err(std::io::Error::other(error)), None));
                    }
                }
                if is_first && text.is_empty() {
                    text.push(b'[');
                }
                if !more {
                    text.push(b']');
                    return Some((Ok(text), None));
                }
                match state.commands.list_contacts(caller.0.tenant, last, CHUNK) {
                    Ok(next) => Some((Ok(text), Some((next, false)))),
                    Err(error) => Some((Err(std::io::Error::other(error.message)), None)),
                }
            }
        });
        Ok(Self(Body::from_bytes_stream(rest.boxed())))
    }
}

impl IntoResponse for ContactArray {
    fn into_response(self) -> Response {
        Response::builder().content_type("application/json").body(self.0)
    }
}

impl ApiResponse for ContactArray {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType {
            content_type: <SerdeJson<Vec<ContactBody>> as Payload>::CONTENT_TYPE,
            schema: Vec::<ContactBody>::schema_ref(),
        }];
        let response = MetaResponse {
            description: "The request succeeded.",
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }
    fn register(registry: &mut Registry) {
        ContactBody::register(registry);
    }
}

json_fields! {
    pub(super) struct SaveFields<'a> {
        identifier: "identifier" as Cow<'a, str>,
        kind: "type" as Cow<'a, str>,
        name: "name" as Cow<'a, str>,
    }
}

/// `SaveContact` in the document.
pub(super) struct SaveContact;

impl Declares for SaveContact {
    const NAME: &'static str = "SaveContact";

    fn schema(registry: &mut Registry) -> MetaSchema {
        ContactKind::register(registry);
        let identifier = MetaSchema {
            min_length: Some(1),
            max_length: Some(MAX_TO_BYTES),
            pattern: Some(FILLED_LINE_PATTERN.to_owned()),
            ..text("A phone number with country and area code, or an e-mail address.")
        };
        let name = MetaSchema {
            max_length: Some(MAX_NAME_CHARS),
            pattern: Some(LINE_PATTERN.to_owned()),
            ..text("Name of the contact. If omitted, an existing contact keeps its name; an empty text removes it.")
        };
        MetaSchema {
            description: Some("A contact to create or rename."),
            required: vec!["identifier", "type"],
            properties: vec![
                ("identifier", inline(identifier)),
                ("type", ContactKind::schema_ref()),
                ("name", nullable(name)),
            ],
            example: Some(json!({"identifier": "cliente@exemplo.com", "type": "EMAIL", "name": "João Silva"})),
            ..MetaSchema::new("object")
        }
    }
}

json_fields! {
    pub(super) struct StatusFields<'a> {
        active: "active" as bool,
        reason: "reason" as Cow<'a, str>,
    }
}

/// `ContactStatus` in the document.
pub(super) struct ContactStatus;

impl Declares for ContactStatus {
    const NAME: &'static str = "ContactStatus";

    fn schema(_: &mut Registry) -> MetaSchema {
        let active = MetaSchema {
            description: Some("Whether messages may be sent to the contact."),
            ..MetaSchema::new("boolean")
        };
        let pattern = Some(LINES_PATTERN.to_owned());
        let reason = MetaSchema { max_length: Some(500), pattern, ..text("The reason, at most 500 characters.") };
        MetaSchema {
            description: Some("Whether a contact receives messages."),
            required: vec!["active"],
            properties: vec![("active", inline(active)), ("reason", nullable(reason))],
            example: Some(json!({"active": false, "reason": "pediu para sair"})),
            ..MetaSchema::new("object")
        }
    }
}

/// A saved contact.
#[derive(ApiResponse)]
pub(super) enum Saved {
    /// The contact existed and has the new name now.
    #[oai(status = 200)]
    Known(SerdeJson<ContactBody>),
    /// The contact was created.
    #[oai(status = 201)]
    Created(SerdeJson<ContactBody>),
}

fn contact_id(text: &str) -> Result<Uuid, Failure> {
    Uuid::parse_str(text).map_err(|_| Failure::not_found("Contact"))
}

/// Handlers of the section.
#[derive(Default)]
pub struct ContactsApi;

impl pombo_api::Section for ContactsApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Contacts")]
impl ContactsApi {
    /// List contacts
    ///
    /// Lists all contacts of the company.
    #[oai(path = "/contacts", method = "get", operation_id = "list_contacts")]
    async fn list_contacts(&self, caller: Caller, state: Data<&Arc<ApiState>>) -> Result<ContactArray, ReadFails> {
        Ok(ContactArray::begin(Arc::clone(&state), caller)?)
    }

    /// Create or update a contact
    ///
    /// Creates the contact, or renames the one that has this identifier and type.
    #[oai(path = "/contacts", method = "post", operation_id = "save_contact")]
    async fn save_contact(
        &self,
        caller: Caller,
        state: Data<&Arc<ApiState>>,
        body: JsonBytes<Declared<SaveContact>>,
    ) -> Result<Saved, SaveFails> {
        let mut problems = Vec::new();
        let fields: SaveFields<'_> = body.object()?;
        let identifier = fields.identifier.take("identifier", &mut problems);
        let identifier = required("identifier", identifier, &mut problems);
        let kind = fields.kind.take("type", &mut problems);
        let kind = required("type", kind, &mut problems).map(|name| contact_type(&name));
        if let Some(None) = kind {
            let message = "must be WHATSAPP or EMAIL".to_owned();
            problems.push(FieldProblem::new("type", message));
        }
        let name = fields.name.take("name", &mut problems).map(Cow::into_owned);
        let (Some(identifier), Some(Some(kind)), true) = (identifier, kind, problems.is_empty()) else {
            return Err(Error::invalid_fields(problems).into());
        };
        let request = ContactRequest { identifier: identifier.into_owned(), kind, name };
        let (contact, created) = state.commands.put_contact(caller.0.tenant, request).await?;
        let body = SerdeJson(contact.into());
        Ok(if created { Saved::Created(body) } else { Saved::Known(body) })
    }

    /// Activate or deactivate a contact
    ///
    /// A message to an inactive contact is refused.
    #[oai(path = "/contacts/:id/status", method = "patch", operation_id = "set_contact_status")]
    async fn set_contact_status(
        &self,
        caller: Caller,
        state: Data<&Arc<ApiState>>,
        /// Id of the contact.
        id: Path<Param<GivenId>>,
        body: JsonBytes<Declared<ContactStatus>>,
    ) -> Result<SerdeJson<ContactBody>, ChangeFails> {
        let mut problems = Vec::new();
        let fields: StatusFields<'_> = body.object()?;
        let active = fields.active.take("active", &mut problems);
        let active = required("active", active, &mut problems);
        let reason = fields.reason.take("reason", &mut problems);
        let (Some(active), true) = (active, problems.is_empty()) else {
            return Err(Error::invalid_fields(problems).into());
        };
        let id = contact_id(&id.0.0)?;
        let contact = state.commands.set_contact_active(caller.0.tenant, id, active, reason.as_deref()).await?;
        Ok(SerdeJson(contact.into()))
    }

    /// Remove a contact
    ///
    /// Returns the contact as it was. Messages that were sent to it are kept.
    #[oai(path = "/contacts/:id", method = "delete", operation_id = "delete_contact")]
    async fn delete_contact(
        &self,
        caller: Caller,
        state: Data<&Arc<ApiState>>,
        /// Id of the contact.
        id: Path<Param<GivenId>>,
    ) -> Result<SerdeJson<ContactBody>, RemoveFails> {
        let contact = state.commands.delete_contact(caller.0.tenant, ContactRef::Id(contact_id(&id.0.0)?)).await?;
        Ok(SerdeJson(contact.into()))
    }
}
