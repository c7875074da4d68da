//! Section Contacts: to whom messages are sent.

mod export;
mod file;
mod wire;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};
use pombo_domain::commands::contacts::{ContactPatch, ContactQuery, ContactRef};
use pombo_domain::model;
use uuid::Uuid;

use crate::access::Acting;
use crate::contacts::export::ContactExport;
use crate::contacts::file::{ContactFileForm, ImportedContactFile};
use crate::contacts::wire::{
    ContactConversations, ContactKey, ContactPage, ImportContacts, ImportedContactRows, SaveContact, SetContactActive,
    UpdateContact,
};
use crate::form_files::receive;
use crate::wire::contact::{Contact, ContactType};
use crate::wire::conversation::Conversation;
use crate::wire::{BODY, CONFLICT, DEFAULT_LIMIT, Deleted, READ, Refused, WRITE, body};
use crate::{ControlDeps, Section};
use pombo_api::declared::Param;
use pombo_api::error::{Failure, status};
use pombo_api::export::{Download, ExportFormat};
use pombo_api::json::JsonBytes;
use pombo_api::multipart::Multipart;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Contacts;

impl pombo_api::Section for Contacts {
    const FILE: &'static str = file!();
}

/// The answer to a contact that was saved.
#[derive(ApiResponse)]
pub(crate) enum Saved {
    /// There was a contact with this type and identifier, and it was updated.
    #[oai(status = 200)]
    Known(Json<Contact>),
    /// The contact was created. It is inactive if its address opted out before.
    #[oai(status = 201)]
    Created(Json<Contact>),
}

fn shown(state: &ApiState, contact: model::Contact) -> Result<Contact, Failure> {
    let connectors = state.commands.connectors_of_contact(&contact)?;
    let aliases = state.commands.aliases_of_contact(&contact)?;
    Ok(Contact::new(contact, connectors, aliases))
}

fn named(id: &Path<Param<ContactKey>>) -> Result<ContactRef, Failure> {
    id.0.0.ok_or_else(|| Failure::not_found("Contact"))
}

fn query(
    kind: Query<Option<ContactType>>,
    active: Query<Option<bool>>,
    connector: Query<Option<Uuid>>,
    search: Query<Option<String>>,
    tag: Query<Option<String>>,
) -> ContactQuery {
    ContactQuery {
        kind: kind.0.map(Into::into),
        active: active.0,
        connector: connector.0,
        search: search.0,
        tag: tag.0,
    }
}

#[OpenApi(tag = "Section::Contacts")]
impl Contacts {
    /// List the contacts
    ///
    /// Ordered by number.
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/v1/contacts", method = "get", operation_id = "list_contacts")]
    async fn list_contacts(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Only contacts with this kind of address.
        #[oai(name = "type")]
        kind: Query<Option<ContactType>>,
        /// True: only contacts that accept messages; false: only the others.
        active: Query<Option<bool>>,
        /// Only contacts that are known on this connector.
        #[oai(name = "connectorId")]
        connector_id: Query<Option<Uuid>>,
        /// Only contacts that contain every word in identifier, names, e-mail address or company; case and accents do not count. A
        /// phone number may be written with spaces, hyphens and parentheses.
        #[oai(validator(max_length = 200))]
        search: Query<Option<String>>,
        /// Only contacts with whom there is a conversation that has this tag.
        #[oai(validator(min_length = 1, max_length = 64))]
        tag: Query<Option<String>>,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the previous page; the first page if omitted.
        #[oai(validator(maximum(value = "9007199254740991")))]
        after: Query<Option<u64>>,
    ) -> Result<Json<ContactPage>, Refused<READ>> {
        let query = query(kind, active, connector_id, search, tag);
        let limit = limit.0.unwrap_or(DEFAULT_LIMIT) as usize;
        let found = state.commands.find_contacts(acting.tenant, query, after.0.unwrap_or(0), 0, limit).await?;
        let data = found.rows.into_iter().map(|contact| shown(&state, contact)).collect::<Result<Vec<_>, _>>()?;
        Ok(Json(ContactPage { data, total: found.total, next: found.next }))
    }

    /// Create or update a contact
    ///
    /// There is one contact for each type and identifier: one that is there is updated.
    #[oai(path = "/v1/contacts", method = "post", operation_id = "save_contact")]
    async fn save_contact(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<SaveContact>,
    ) -> Result<Saved, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        let (contact, created) = state.commands.save_contact(acting.tenant, body(&json)?.into()).await?;
        let contact = Json(shown(&state, contact)?);
        Ok(if created { Saved::Created(contact) } else { Saved::Known(contact) })
    }

    /// Create or update many contacts
    ///
    /// All rows that are good are taken together; each of the others is named with what is wrong with it.
    #[oai(path = "/v1/contacts/import", method = "post", operation_id = "import_contacts")]
    async fn import_contacts(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<ImportContacts>,
    ) -> Result<Json<ImportedContactRows>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        let ImportContacts { connector_ids, contacts } = body(&json)?;
        let drafts = contacts.into_iter().map(Into::into).collect();
        let connectors = connector_ids.unwrap_or_default();
        Ok(Json(state.commands.import_contacts(acting.tenant, &connectors, drafts).await?.into()))
    }

    /// Create or update the contacts of a file
    ///
    /// A workbook (xlsx) or a text with separators (CSV). The rows are taken 1000 at a time. Rows with a mistake are
    /// refused, each with its line; all others are taken. If the request fails, send the file again: rows that were taken stay, and are not
    /// taken twice.
    #[oai(path = "/v1/contacts/import-file", method = "post", operation_id = "import_contact_file")]
    async fn import_contact_file(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        acting: Acting,
        /// Connector on which all of the contacts become known.
        #[oai(name = "connectorId")]
        connector_id: Query<Option<Uuid>>,
        form: Multipart<'_, ContactFileForm>,
    ) -> Result<Json<ImportedContactFile>, Refused<{ READ | BODY | CONFLICT | WRITE | status::TOO_MANY }>> {
        let list = deps.lists.reserve()?;
        let (_, file) = receive(form).await?;
        let rows = list.read(file).await?;
        Ok(Json(state.commands.import_contact_file(acting.tenant, connector_id.0, rows).await?.into()))
    }

    /// Download the contacts
    ///
    /// As JSON or as CSV for spreadsheets. In CSV, a text that a spreadsheet would run as a formula has an apostrophe in front.
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/v1/contacts/export", method = "get", operation_id = "export_contacts")]
    async fn export_contacts(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Form of the file; `json` if omitted.
        format: Query<Option<ExportFormat>>,
        /// Only contacts with this kind of address.
        #[oai(name = "type")]
        kind: Query<Option<ContactType>>,
        /// True: only contacts that accept messages; false: only the others.
        active: Query<Option<bool>>,
        /// Only contacts that are known on this connector.
        #[oai(name = "connectorId")]
        connector_id: Query<Option<Uuid>>,
        /// As in the list of contacts.
        #[oai(validator(max_length = 200))]
        search: Query<Option<String>>,
        /// As in the list of contacts.
        #[oai(validator(min_length = 1, max_length = 64))]
        tag: Query<Option<String>>,
    ) -> Result<Download<ContactExport>, Refused<READ>> {
        let query = query(kind, active, connector_id, search, tag);
        let export = ContactExport::of(&state.commands, acting.tenant, query);
        Ok(Download::begin(export, format.0.unwrap_or(ExportFormat::Json)).await?)
    }

    /// Get a contact
    #[oai(path = "/v1/contacts/:id", method = "get", operation_id = "get_contact")]
    async fn get_contact(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the contact.
        id: Path<Param<ContactKey>>,
    ) -> Result<Json<Contact>, Refused<READ>> {
        Ok(Json(shown(&state, state.commands.get_contact(acting.tenant, named(&id)?)?)?))
    }

    /// Change a contact
    ///
    /// Its address stays: another address is another contact.
    #[oai(path = "/v1/contacts/:id", method = "patch", operation_id = "update_contact")]
    async fn update_contact(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the contact.
        id: Path<Param<ContactKey>>,
        json: JsonBytes<UpdateContact>,
    ) -> Result<Json<Contact>, Refused<{ READ | BODY | WRITE }>> {
        let patch: UpdateContact = body(&json)?;
        patch.check()?;
        let contact = state.commands.update_contact(acting.tenant, named(&id)?, patch.into()).await?;
        Ok(Json(shown(&state, contact)?))
    }

    /// Allow or forbid messages to a contact
    ///
    /// False is an opt-out, true ends it. An opt-out holds for all addresses of the contact, and stays when the contact is deleted.
    #[oai(path = "/v1/contacts/:id/active", method = "put", operation_id = "set_contact_active")]
    async fn set_contact_active(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the contact.
        id: Path<Param<ContactKey>>,
        json: JsonBytes<SetContactActive>,
    ) -> Result<Json<Contact>, Refused<{ READ | BODY | WRITE }>> {
        let SetContactActive { active, reason } = body(&json)?;
        let patch = ContactPatch { active: Some(active), reason, ..ContactPatch::default() };
        Ok(Json(shown(&state, state.commands.update_contact(acting.tenant, named(&id)?, patch).await?)?))
    }

    /// List the conversations with a contact
    ///
    /// On every connector, under whichever of its addresses; groups are not among them.
    #[oai(path = "/v1/contacts/:id/conversations", method = "get", operation_id = "list_contact_conversations")]
    async fn list_contact_conversations(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the contact.
        id: Path<Param<ContactKey>>,
    ) -> Result<Json<ContactConversations>, Refused<READ>> {
        let views = state.commands.conversations_of_contact(acting.tenant, named(&id)?)?;
        Ok(Json(ContactConversations { data: views.into_iter().map(Conversation::from).collect() }))
    }

    /// Delete a contact
    ///
    /// Its messages and conversations stay. An opt-out stays too: messages to its address are still refused, and a contact that is
    /// created with this address again is inactive.
    #[oai(path = "/v1/contacts/:id", method = "delete", operation_id = "delete_contact")]
    async fn delete_contact(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the contact.
        id: Path<Param<ContactKey>>,
    ) -> Result<Deleted, Refused<{ READ | WRITE }>> {
        state.commands.delete_contact(acting.tenant, named(&id)?).await?;
        Ok(Deleted::Done)
    }
}
