//! Contacts as a file.

use poem_openapi::Object;
use poem_openapi::registry::MetaSchema;
use pombo_api::declared::ParamKind;
use pombo_api::error::Failure;
use pombo_api::export::{Export, ExportFormat};
use pombo_domain::TenantIndex;
use pombo_domain::commands::Commands;
use pombo_domain::commands::contacts::ContactQuery;

use super::wire::ContactBody;

/// Contacts read at once.
const CHUNK: usize = 500;

/// The parameter `format`.
pub(super) struct Format;

impl ParamKind for Format {
    type Value = ExportFormat;

    fn schema() -> MetaSchema {
        let enum_items = vec!["json".into(), "csv".into()];
        MetaSchema { enum_items, default: Some("json".into()), ..MetaSchema::new("string") }
    }
    fn parse(text: &str) -> Result<ExportFormat, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "json" => Ok(ExportFormat::Json),
            "csv" => Ok(ExportFormat::Csv),
            _ => Err("must be json or csv".to_owned()),
        }
    }
}

/// Contacts, read chunk after chunk.
pub(crate) struct ContactExport {
    commands: Commands,
    tenant: TenantIndex,
    query: ContactQuery,
    /// Where the next chunk begins; `None` behind the last one.
    after: Option<u64>,
}

impl ContactExport {
    pub(super) fn of(commands: &Commands, tenant: TenantIndex, query: ContactQuery) -> Self {
        Self { commands: commands.clone(), tenant, query, after: Some(0) }
    }
}

/// Exported contacts, in JSON.
#[derive(Debug, Object)]
pub(crate) struct ContactsExported {
    /// Always `true`.
    success: bool,
    /// The contacts, by `id`.
    data: Vec<ContactBody>,
}

impl Export for ContactExport {
    type Row = ContactBody;
    type Json = ContactsExported;
    const FILE: &'static str = "contacts";
    const DESCRIPTION: &'static str = "The contacts, as a download.";
    const AROUND: (&'static str, &'static str) = ("{\"success\":true,\"data\":[", "]}");
    const HEAD: &'static [&'static str] =
        &["id", "phone_number", "name", "display_name", "email", "company", "notes", "is_business", "created_at"];

    async fn next(&mut self) -> Result<Option<Vec<ContactBody>>, Failure> {
        let Some(after) = self.after else { return Ok(None) };
        let page = self.commands.find_contacts(self.tenant, self.query.clone(), after, 0, CHUNK).await?;
        self.after = page.next;
        Ok(Some(page.rows.into_iter().map(ContactBody::from).collect()))
    }

    fn json(contact: &ContactBody) -> Result<String, Failure> {
        serde_json::to_string(contact).map_err(|error| Failure::internal(error.to_string()))
    }

    fn cells(contact: &ContactBody) -> Vec<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        vec![
            contact.id.to_string(),
            contact.phone_number.clone(),
            text(&contact.name),
            contact.display_name.clone(),
            text(&contact.email),
            text(&contact.company),
            text(&contact.notes),
            contact.is_business.to_string(),
            contact.created_at.clone(),
        ]
    }
}
