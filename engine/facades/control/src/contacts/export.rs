//! All contacts as a file.

use poem_openapi::types::ToJSON;
use pombo_api::error::Failure;
use pombo_api::export::Export;
use pombo_domain::TenantIndex;
use pombo_domain::commands::Commands;
use pombo_domain::commands::contacts::ContactQuery;

use crate::wire::contact::Contact;

/// Contacts read at once.
const CHUNK: usize = 500;

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

impl Export for ContactExport {
    type Row = Contact;
    type Json = Vec<Contact>;
    const FILE: &'static str = "contacts";
    const DESCRIPTION: &'static str = "The contacts, as a download.";
    const HEAD: &'static [&'static str] = &[
        "number",
        "id",
        "type",
        "identifier",
        "name",
        "pushName",
        "email",
        "company",
        "notes",
        "business",
        "active",
        "reason",
        "createdAt",
        "updatedAt",
    ];

    async fn next(&mut self) -> Result<Option<Vec<Contact>>, Failure> {
        let Some(after) = self.after else { return Ok(None) };
        let page = self.commands.find_contacts(self.tenant, self.query.clone(), after, 0, CHUNK).await?;
        self.after = page.next;
        let mut rows = Vec::with_capacity(page.rows.len());
        for contact in page.rows {
            let connectors = self.commands.connectors_of_contact(&contact)?;
            let aliases = self.commands.aliases_of_contact(&contact)?;
            rows.push(Contact::new(contact, connectors, aliases));
        }
        Ok(Some(rows))
    }

    fn json(contact: &Contact) -> Result<String, Failure> {
        Ok(contact.to_json_string())
    }

    fn cells(contact: &Contact) -> Vec<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        vec![
            contact.number.to_string(),
            contact.id.to_string(),
            contact.kind.word().to_owned(),
            contact.identifier.clone(),
            text(&contact.name),
            text(&contact.push_name),
            text(&contact.email),
            text(&contact.company),
            text(&contact.notes),
            contact.business.to_string(),
            contact.active.to_string(),
            text(&contact.reason),
            contact.created_at.0.to_iso(),
            contact.updated_at.0.to_iso(),
        ]
    }
}
