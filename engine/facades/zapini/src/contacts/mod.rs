//! Section "Contatos": the people to whom messages are sent. There is one contact for each number; an instance's key sees those that
//! are known on its instance.

mod export;
mod wire;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use pombo_api::declared::{Declared, Param};
use pombo_api::error::Failure;
use pombo_api::export::{Download, ExportFormat};
use pombo_api::fields::{Field as Given, required};
use pombo_api::json::{Bulk, JsonBytes};
use pombo_api::options::ApiState;
use pombo_domain::commands::connectors::overview::ConnectorOverview;
use pombo_domain::commands::contacts::imports::{ImportedContacts, MAX_ROWS};
use pombo_domain::commands::contacts::{ContactDraft, ContactQuery, ContactRef};
use pombo_domain::model::{Contact, ContactType, Right};
use pombo_domain::ports::SessionState;
use pombo_domain::{Error, Field, FieldProblem};
use uuid::Uuid;

use self::export::{ContactExport, Format};
use self::wire::*;
use crate::Section;
use crate::credentials::Caller;
use crate::envelope::{Created, Listed, Meta, Said, Success};
use crate::errors::{BODY, NAMED, Refused, VALUES, WRITE, field_name};
use crate::gate::State;
use crate::params::{NumberOrText, Page, PageNumber, PerPage, Text, bounded, given};
use crate::refs::{instance, instances, limited_to};

/// The contact that a text names, by its number or its UUID, if the caller may see it.
fn contact(state: &ApiState, caller: &Caller, given: &str) -> Result<Contact, Failure> {
    bounded("id", given)?;
    let unknown = || Failure::not_found("Contact");
    let given = given.trim();
    let named = match Uuid::try_parse(given) {
        Ok(id) => ContactRef::Id(id),
        Err(_) => ContactRef::Number(given.parse().map_err(|_| unknown())?),
    };
    let found = state.commands.get_contact(caller.tenant, named)?;
    let own = caller.identity().connector;
    let is_seen = found.kind == ContactType::WhatsApp && own.is_none_or(|own| found.is_on(own));
    if is_seen { Ok(found) } else { Err(unknown()) }
}

/// The picture of a contact, as a connected instance on which it is known sees it.
async fn picture(state: &ApiState, caller: &Caller, contact: &Contact) -> Result<Option<String>, Failure> {
    let sees =
        |view: &ConnectorOverview| view.session == SessionState::Connected && contact.is_on(view.connector.index);
    let Some(view) = instances(state, caller)?.into_iter().find(sees) else { return Ok(None) };
    Ok(state.commands.profile_picture(caller.tenant, view.connector.id, &contact.identifier).await)
}

/// Contacts of this API: of an instance, or of all that the caller may see.
fn query(
    state: &ApiState,
    caller: &Caller,
    instance_id: Query<Option<Param<Text>>>,
    search: Option<String>,
) -> Result<ContactQuery, Failure> {
    let connector = limited_to(state, caller, given(instance_id).as_deref())?;
    Ok(ContactQuery { kind: Some(ContactType::WhatsApp), connector, search, ..ContactQuery::default() })
}

/// The instance that a body names; required.
fn named_instance(given: Given<NumberOrText>, problems: &mut Vec<FieldProblem>) -> Option<String> {
    let given = given.take(Field::Connector, problems).map(|NumberOrText(text)| text);
    required(Field::Connector, given, problems)
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct ContactsApi;

impl pombo_api::Section for ContactsApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Contacts")]
impl ContactsApi {
    /// List the contacts
    ///
    /// By `id`. A key of one instance sees the contacts that are known on its instance.
    #[oai(path = "/contacts", method = "get", operation_id = "list_contacts")]
    async fn list_contacts(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of an instance: only contacts that are known on it.
        instance_id: Query<Option<Param<Text>>>,
        /// Only contacts that contain every word in number, names, e-mail address or company; case and accents do not count. At most
        /// 200 characters.
        search: Query<Option<Param<Text>>>,
        /// Number of the page, from 1.
        page: Query<Option<Param<PageNumber>>>,
        /// Rows per page, from 1 to 100.
        per_page: Query<Option<Param<PerPage>>>,
    ) -> Result<Listed<ContactBody>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::Read)?;
        let search = given(search);
        bounded("search", search.as_deref().unwrap_or_default())?;
        let query = query(&state, &caller, instance_id, search)?;
        let page = Page::of(given(page), given(per_page));
        let found = state.commands.find_contacts(caller.tenant, query, 0, page.offset(), page.size as usize).await?;
        let data = found.rows.into_iter().map(ContactBody::from).collect();
        Ok(Listed { data, meta: Meta::of(page, found.total) })
    }

    /// Create a contact
    ///
    /// There is one contact for each number: one that is known is updated, becomes known on the instance too, and is answered with 200.
    #[oai(path = "/contacts", method = "post", operation_id = "create_contact")]
    async fn create_contact(
        &self,
        caller: Caller,
        state: State<'_>,
        body: JsonBytes<Declared<CreateContact>>,
    ) -> Result<Saved, Refused<{ NAMED | BODY | WRITE }>> {
        caller.must(Right::ChangeContacts)?;
        let mut fields: ContactFields<'_> = body.object()?;
        let mut problems = Vec::new();
        let named = named_instance(std::mem::take(&mut fields.instance_id), &mut problems);
        let draft = draft(fields, &mut problems);
        let (Some(named), Some(draft)) = (named, draft) else {
            return Err(Error::invalid_fields(problems).into());
        };
        let connectors = vec![instance(&state, &caller, &named)?.connector.id];
        let saved = state.commands.save_contact(caller.tenant, ContactDraft { connectors, ..draft }).await?;
        Ok(match saved {
            (made, true) => Saved::Made(Created::saying("Contact created successfully", OneContact::of(made))),
            (known, false) => Saved::Known(Success::saying("Contact updated successfully", OneContact::of(known))),
        })
    }

    /// Get a contact
    #[oai(path = "/contacts/:id", method = "get", operation_id = "get_contact")]
    async fn get_contact(
        &self,
        caller: Caller,
        state: State<'_>,
        /// `id` or UUID of the contact.
        id: Path<Param<Text>>,
    ) -> Result<Success<OneContact>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::Read)?;
        let found = contact(&state, &caller, &id.0.0)?;
        let url = picture(&state, &caller, &found).await?;
        Ok(Success::of(OneContact::of(found).pictured(url)))
    }

    /// Change a contact
    ///
    /// Its number stays: another number is another contact.
    #[oai(path = "/contacts/:id", method = "patch", operation_id = "update_contact")]
    async fn update_contact(
        &self,
        caller: Caller,
        state: State<'_>,
        /// `id` or UUID of the contact.
        id: Path<Param<Text>>,
        body: JsonBytes<Declared<UpdateContact>>,
    ) -> Result<Success<OneContact>, Refused<{ NAMED | BODY | WRITE }>> {
        caller.must(Right::ChangeContacts)?;
        let known = contact(&state, &caller, &id.0.0)?;
        let mut problems = Vec::new();
        let patch = patch(body.object()?, &known, &mut problems);
        if !problems.is_empty() {
            return Err(Error::invalid_fields(problems).into());
        }
        let changed = state.commands.update_contact(caller.tenant, ContactRef::Id(known.id), patch).await?;
        Ok(Success::saying("Contact updated successfully", OneContact::of(changed)))
    }

    /// Delete a contact
    ///
    /// Its messages and conversations stay, and so does its wish not to get messages. With the key of one instance, the contact is
    /// taken off that instance, and deleted where it is known on no other.
    #[oai(path = "/contacts/:id", method = "delete", operation_id = "delete_contact")]
    async fn delete_contact(
        &self,
        caller: Caller,
        state: State<'_>,
        /// `id` or UUID of the contact.
        id: Path<Param<Text>>,
    ) -> Result<Said, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::DeleteRecords)?;
        let id = ContactRef::Id(contact(&state, &caller, &id.0.0)?.id);
        match caller.identity().connector {
            Some(own) => state.commands.leave_connector(caller.tenant, id, own).await?,
            None => state.commands.delete_contact(caller.tenant, id).await?,
        };
        Ok(Said("Contact deleted successfully".into()))
    }

    /// Import contacts
    ///
    /// Creates or updates up to 1000 contacts. All rows that are good are taken together; each of the others is named in `errors` with
    /// what is wrong with it.
    #[oai(path = "/contacts/import", method = "post", operation_id = "import_contacts")]
    async fn import_contacts(
        &self,
        caller: Caller,
        state: State<'_>,
        body: JsonBytes<Declared<ImportContacts>, Bulk>,
    ) -> Result<Success<ContactsImported>, Refused<{ NAMED | BODY | WRITE }>> {
        caller.must(Right::Import)?;
        let fields: ImportFields<'_> = body.object()?;
        let mut problems = Vec::new();
        let named = named_instance(fields.instance_id, &mut problems);
        let rows = fields.contacts.take(Field::Contacts, &mut problems);
        let rows = required(Field::Contacts, rows, &mut problems);
        if rows.as_ref().is_some_and(|rows| !(1..=MAX_ROWS).contains(&rows.count)) {
            problems.push(FieldProblem::new(Field::Contacts, format!("must be 1 to {MAX_ROWS}")));
        }
        let (Some(named), Some(rows), true) = (named, rows, problems.is_empty()) else {
            return Err(Error::invalid_fields(problems).into());
        };
        let id = instance(&state, &caller, &named)?.connector.id;
        let ImportRows { drafts, given, mut errors } = ImportRows::of(rows.rows);
        let done = match drafts.is_empty() {
            true => ImportedContacts::default(),
            false => state.commands.import_contacts(caller.tenant, &[id], drafts).await?,
        };
        errors.extend(done.refused.iter().map(|(at, error)| {
            let (row, phone_number) = given.get(*at).cloned().unwrap_or((*at, None));
            ImportError { row, phone_number, message: error.written(field_name).into_owned() }
        }));
        errors.sort_by_key(|error| error.row);
        let imported = ContactsImported { imported: done.created + done.updated, skipped: done.unchanged, errors };
        Ok(Success::saying("Contacts imported successfully", imported))
    }

    /// Download the contacts
    ///
    /// As JSON or as CSV for spreadsheets; `Accept` does not count. In CSV, a text that a spreadsheet would run as a formula has an
    /// apostrophe in front.
    #[oai(path = "/contacts/export", method = "get", operation_id = "export_contacts")]
    async fn export_contacts(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of an instance: only contacts that are known on it.
        instance_id: Query<Option<Param<Text>>>,
        /// Form of the file.
        format: Query<Option<Param<Format>>>,
    ) -> Result<Download<ContactExport>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::Read)?;
        let query = query(&state, &caller, instance_id, None)?;
        let export = ContactExport::of(&state.commands, caller.tenant, query);
        let format = given(format).unwrap_or(ExportFormat::Json);
        Ok(Download::begin(export, format).await?)
    }
}
