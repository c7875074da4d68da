//! All contacts as a file, written as they are read, so that a large one is never in memory whole.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::{StreamExt, stream};
use poem::http::header;
use poem::{Body, IntoResponse, Response};
use poem_openapi::payload::{Json, Payload, PlainText};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{ToJSON, Type};
use poem_openapi::{ApiResponse, Enum};
use pombo_domain::TenantIndex;
use pombo_domain::commands::Commands;
use pombo_domain::commands::contacts::ContactQuery;

use super::wire::Contact;
use pombo_api::error::Failure;

/// Contacts read at once.
const CHUNK: usize = 500;

/// Form of an export.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[oai(rename_all = "snake_case")]
pub(crate) enum ExportFormat {
    /// An array of contacts.
    Json,
    /// A table with a head, as spreadsheets read it.
    Csv,
}

/// The file under way.
pub(crate) struct ContactFile {
    format: ExportFormat,
    body: Body,
}

/// Reads chunk after chunk.
struct Reader {
    commands: Commands,
    tenant: TenantIndex,
    query: ContactQuery,
    format: ExportFormat,
    /// Where the next chunk begins; `None` behind the last one.
    after: Option<u64>,
    written: bool,
}

impl Reader {
    /// The next piece of the file; `None` at its end.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(after) = self.after else { return Ok(None) };
        let page = self.commands.find_contacts(self.tenant, self.query.clone(), after, 0, CHUNK).await?;
        self.after = page.next;
        let mut text = String::with_capacity(page.rows.len() * 200);
        if !self.written && self.format == ExportFormat::Csv {
            line(&HEAD.map(str::to_owned), &mut text);
        }
        for contact in page.rows {
            let connectors = self.commands.connectors_of_contact(&contact)?;
            let contact = Contact::new(contact, connectors);
            match self.format {
                ExportFormat::Csv => line(&row(&contact), &mut text),
                ExportFormat::Json => {
                    text.push(if self.written { ',' } else { '[' });
                    text.push_str(&contact.to_json_string());
                }
            }
            self.written = true;
        }
        if self.after.is_none() && self.format == ExportFormat::Json {
            text.push_str(if self.written { "]" } else { "[]" });
        }
        self.written = true;
        Ok(Some(text.into_bytes()))
    }
}

impl ContactFile {
    /// Begins the file. Its first piece is read before the answer begins, so that a failing store is an error and not half a file.
    pub(super) async fn begin(
        commands: &Commands,
        tenant: TenantIndex,
        query: ContactQuery,
        format: ExportFormat,
    ) -> Result<Self, Failure> {
        let commands = commands.clone();
        let mut reader = Reader { commands, tenant, query, format, after: Some(0), written: false };
        let first = VecDeque::from_iter(reader.next().await?);
        let pieces = stream::unfold((first, Some(reader)), |(mut ready, reader)| async move {
            if let Some(piece) = ready.pop_front() {
                return Some((Ok(piece), (ready, reader)));
            }
            let mut reader = reader?;
            match reader.next().await {
                Ok(Some(piece)) => Some((Ok(piece), (ready, Some(reader)))),
                Ok(None) => None,
                // The file breaks off: the reader of the stream sees that it is not whole.
                Err(_) => Some((Err(std::io::Error::other("the contacts can not be read now")), (ready, None))),
            }
        });
        Ok(Self { format, body: Body::from_bytes_stream(pieces.boxed()) })
    }
}

impl IntoResponse for ContactFile {
    fn into_response(self) -> Response {
        let (content_type, file_name) = match self.format {
            ExportFormat::Json => ("application/json", "contacts.json"),
            ExportFormat::Csv => ("text/csv; charset=utf-8", "contacts.csv"),
        };
        let disposition = format!("attachment; filename=\"{file_name}\"");
        Response::builder()
            .content_type(content_type)
            .header(header::CONTENT_DISPOSITION, disposition)
            .header("x-content-type-options", "nosniff")
            .body(self.body)
    }
}

impl ApiResponse for ContactFile {
    fn meta() -> MetaResponses {
        let content = vec![
            MetaMediaType {
                content_type: <Json<Vec<Contact>> as Payload>::CONTENT_TYPE,
                schema: Vec::<Contact>::schema_ref(),
            },
            MetaMediaType { content_type: "text/csv", schema: <PlainText<String> as Payload>::schema_ref() },
        ];
        let response = MetaResponse {
            description: "The contacts, as a download.",
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        Contact::register(registry);
    }
}

const HEAD: [&str; 14] = [
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

fn row(contact: &Contact) -> [String; 14] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    [
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

fn line(cells: &[String], out: &mut String) {
    for (place, text) in cells.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        cell(text, out);
    }
    out.push_str("\r\n");
}

/// Writes a cell (RFC 4180). A spreadsheet would run a text that begins like a formula: an apostrophe in front makes it a text.
fn cell(text: &str, out: &mut String) {
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
        || text.starts_with(|c: char| c.is_control());
    if !is_formula && !text.contains([',', ';', '"', '\'', '\r', '\n', '\t']) {
        out.push_str(text);
        return;
    }
    out.push('"');
    if is_formula {
        out.push('\'');
    }
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = String::new();
        cell(text, &mut out);
        out
    }

    #[test]
    fn no_cell_is_a_formula() {
        for begins in ["=1+1", "+5511", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "\u{a0}=1", "=\"a\",b"]
        {
            assert!(written(begins).starts_with("\"'"), "{begins:?}");
        }
        assert_eq!(written("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
    }

    #[test]
    fn a_cell_stays_one_cell() {
        assert_eq!(written("5511988887777"), "5511988887777");
        assert_eq!(written("Ana Ávila"), "Ana Ávila");
        assert_eq!(written(""), "");
        for (text, expected) in [
            ("a,b", "\"a,b\""),
            ("a;b", "\"a;b\""),
            ("a \"b\"", "\"a \"\"b\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("a=b", "a=b"),
        ] {
            assert_eq!(written(text), expected);
        }
        let mut out = String::new();
        line(&["a".to_owned(), "b,c".to_owned()], &mut out);
        assert_eq!(out, "a,\"b,c\"\r\n");
    }
}
