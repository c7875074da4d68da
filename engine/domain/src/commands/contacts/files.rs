//! Contacts from a file: its rows are imported part by part, and each row that cannot be taken is named by its line.

use uuid::Uuid;

use super::imports::MAX_ROWS;
use super::{ContactDraft, ContactPatch};
use crate::commands::Commands;
use crate::model::ContactType;
use crate::ports::RecipientRow;
use crate::{Error, Field, Result, TenantIndex};

/// Maximum number of refused rows that are named; the others are counted.
pub const MAX_REFUSED: usize = 1_000;

/// Headers of the column that says what kind of address a row has, in lower case.
const KIND: &[&str] = &["type", "tipo"];
/// Headers of the column of e-mail addresses for people to read, in lower case.
const EMAIL: &[&str] = &["email", "e-mail"];
/// Headers of the column of companies, in lower case.
const COMPANY: &[&str] = &["company", "empresa"];
/// Headers of the column of remarks, in lower case.
const NOTES: &[&str] = &["notes", "notas", "observações", "observacoes", "obs"];

/// What became of the rows of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportedFile {
    /// Number of rows that created a contact.
    pub created: u64,
    /// Number of rows that changed a contact.
    pub updated: u64,
    /// Number of rows that said nothing new.
    pub unchanged: u64,
    /// Number of rows that were refused.
    pub refused: u64,
    /// The refused rows by their lines, each with its problems; at most [`MAX_REFUSED`] of them.
    pub problems: Vec<(u32, Error)>,
}

impl ImportedFile {
    fn refuse(&mut self, line: u32, error: Error) {
        self.refused += 1;
        if self.problems.len() < MAX_REFUSED {
            self.problems.push((line, error));
        }
    }
}

impl Commands {
    /// Creates or updates the contacts of a file. All of them become known on `connector`. Each [`MAX_ROWS`] rows are one batch: where
    /// the store fails, those before it are taken, and the same file can be sent again.
    pub async fn import_contact_file(
        &self,
        tenant: TenantIndex,
        connector: Option<Uuid>,
        rows: Vec<RecipientRow>,
    ) -> Result<ImportedFile> {
        if let Some(id) = connector {
            self.connector_named(tenant, id)?;
        }
        let connectors: Vec<Uuid> = connector.into_iter().collect();
        let mut done = ImportedFile::default();
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let (mut lines, mut drafts) = (Vec::new(), Vec::new());
            for row in rows.by_ref().take(MAX_ROWS) {
                let line = row.line;
                match draft(row) {
                    Ok(draft) => {
                        lines.push(line);
                        drafts.push(draft);
                    }
                    Err(error) => done.refuse(line, error),
                }
            }
            if drafts.is_empty() {
                continue;
            }
            let part = self.import_contacts(tenant, &connectors, drafts).await?;
            done.created += part.created;
            done.updated += part.updated;
            done.unchanged += part.unchanged;
            for (place, error) in part.refused {
                done.refuse(lines.get(place).copied().unwrap_or_default(), error);
            }
        }
        done.problems.sort_by_key(|(line, _)| *line);
        Ok(done)
    }
}

/// The contact of a row. An empty cell says nothing.
fn draft(row: RecipientRow) -> Result<ContactDraft> {
    let cell = |headers: &[&str]| {
        let found = row.values.iter().find(|(name, _)| headers.contains(&name.to_lowercase().as_str()));
        found.map(|(_, value)| value.clone())
    };
    let kind = match cell(KIND).map(|word| word.to_lowercase()).as_deref() {
        Some("whatsapp") => ContactType::WhatsApp,
        Some("email" | "e-mail") => ContactType::Email,
        Some(_) => return Err(Error::invalid(Field::Type, "must be whatsapp or email")),
        None if row.to.contains('@') => ContactType::Email,
        None => ContactType::WhatsApp,
    };
    let patch = ContactPatch {
        name: row.name.clone().map(Some),
        email: cell(EMAIL).map(Some),
        company: cell(COMPANY).map(Some),
        notes: cell(NOTES).map(Some),
        ..ContactPatch::default()
    };
    Ok(ContactDraft { kind, identifier: row.to, connectors: Vec::new(), patch })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(to: &str, values: &[(&str, &str)]) -> RecipientRow {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        RecipientRow { line: 2, to: to.to_owned(), name: Some("Ana".to_owned()), values }
    }

    #[test]
    fn a_row_is_a_contact_by_the_headers_of_its_columns() {
        let cells = [("E-mail", "a@x.test"), ("Empresa", "X"), ("OBS", "vip"), ("cidade", "São Paulo")];
        let some = |text: &str| Some(Some(text.to_owned()));
        let patch = ContactPatch {
            name: some("Ana"),
            email: some("a@x.test"),
            company: some("X"),
            notes: some("vip"),
            ..ContactPatch::default()
        };
        let (kind, identifier) = (ContactType::WhatsApp, "5511".to_owned());
        let expected = ContactDraft { kind, identifier, connectors: Vec::new(), patch };
        assert_eq!(draft(row("5511", &cells)), Ok(expected));
    }

    #[test]
    fn the_kind_of_an_address_is_told_or_seen() {
        let kind = |to: &str, values: &[(&str, &str)]| draft(row(to, values)).map(|draft| draft.kind).ok();
        assert_eq!(kind("ana@x.test", &[]), Some(ContactType::Email));
        assert_eq!(kind("1@lid", &[("Tipo", "WhatsApp")]), Some(ContactType::WhatsApp));
        assert_eq!(kind("5511", &[("type", "EMAIL")]), Some(ContactType::Email), "whether it is one is asked later");
        assert_eq!(kind("5511", &[("type", "fax")]), None);
    }
}
