//! Contacts from a file: its form, and what became of its rows.

use poem_openapi::Object;
use poem_openapi::registry::MetaSchema;
use pombo_domain::Error;
use pombo_domain::commands::contacts::files::ImportedFile;

use crate::names::field_name;
use pombo_api::multipart::{Form, inline};

/// The form of an upload.
pub(crate) struct ContactFileForm;

impl Form for ContactFileForm {
    const NAME: &'static str = "ContactFileUpload";

    fn schema() -> MetaSchema {
        let file = MetaSchema {
            description: Some(
                "The contacts: a workbook (xlsx) or a text in UTF-8 with separators (CSV), at most 20 MB and 100,000 rows. Its first \
                 line has the names of the columns. The first one that is called `to`, `telefone`, `phone`, `whatsapp`, `email` … has the \
                 addresses. Others may be `name` (`nome`), `email`, `company` (`empresa`), `notes` (`notas`, `obs`), and `type` (`tipo`) with \
                 WHATSAPP or EMAIL, which otherwise follows from the address. Other columns are ignored.",
            ),
            ..MetaSchema::new_with_format("string", "binary")
        };
        MetaSchema {
            description: Some("A file of contacts."),
            required: vec!["file"],
            properties: vec![("file", inline(file))],
            ..MetaSchema::new("object")
        }
    }
}

/// A row that was refused.
#[derive(Object)]
pub(crate) struct RefusedLine {
    /// Line of the file, counted from 1; the header is line 1.
    line: u32,
    /// What is wrong and what to change.
    message: String,
}

/// What became of the rows of a file.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ImportedContactFile {
    /// Number of rows that created a contact.
    created: u64,
    /// Number of rows that changed a contact.
    updated: u64,
    /// Number of rows that said nothing new.
    unchanged: u64,
    /// Number of rows that were refused; the others were taken.
    refused_count: u64,
    /// The refused rows; at most 1000 of them.
    refused: Vec<RefusedLine>,
}

impl From<ImportedFile> for ImportedContactFile {
    fn from(done: ImportedFile) -> Self {
        let refused = |(line, error): (u32, Error)| {
            let message = error.written(field_name).into_owned();
            RefusedLine { line, message }
        };
        Self {
            created: done.created,
            updated: done.updated,
            unchanged: done.unchanged,
            refused_count: done.refused,
            refused: done.problems.into_iter().map(refused).collect(),
        }
    }
}
