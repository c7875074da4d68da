//! Section Imports. The workbook is streamed to disk; [`pombo_imports`] reads it.

use std::borrow::Cow;
use std::sync::Arc;

use poem::http::{StatusCode, header};
use poem::web::{Data, Field};
use poem::{Request, RequestBody};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, Enum, ExtractParamOptions, Object, OpenApi};
use pombo_domain::Error;
use pombo_domain::model;
use pombo_domain::model::import::RowProblem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::deps::ControlDeps;
use crate::wire::{BODY, DEFAULT_LIMIT, Instant, Page, PathId, READ, Refused, WRITE, page_of};
use pombo_api::body::LimitedMultipart;
use pombo_api::error::{Failure, status};
use pombo_api::options::ApiState;
use pombo_imports::MAX_WORKBOOK_BYTES;
use pombo_imports::worker::{Note, Place};

pub(crate) struct Imports;

/// State of an import.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ImportStatus {
    /// It waits for its turn, or its rows are being read.
    Running,
    /// All rows were read.
    Done,
    /// The file could not be read to its end.
    Failed,
}

impl From<model::import::ImportStatus> for ImportStatus {
    fn from(status: model::import::ImportStatus) -> Self {
        match status {
            model::import::ImportStatus::Running => Self::Running,
            model::import::ImportStatus::Done => Self::Done,
            model::import::ImportStatus::Failed => Self::Failed,
        }
    }
}

/// An import and its progress.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Import {
    /// Id of the import.
    id: Uuid,
    /// Name of the uploaded file.
    file_name: String,
    /// State of the import.
    status: ImportStatus,
    /// Number of rows with content, without the header; 0 until they are counted.
    rows_total: u32,
    /// Number of rows read so far.
    rows_read: u32,
    /// Number of messages created.
    accepted: u32,
    /// Number of rows refused.
    rejected: u32,
    /// Why it failed.
    #[oai(skip_serializing_if_is_none)]
    error: Option<String>,
    /// When the file was uploaded.
    created_at: Instant,
    /// When it ended.
    #[oai(skip_serializing_if_is_none)]
    finished_at: Option<Instant>,
}

impl From<model::Import> for Import {
    fn from(import: model::Import) -> Self {
        Self {
            id: import.id,
            file_name: import.file_name,
            status: import.status.into(),
            rows_total: import.rows_total,
            rows_read: import.rows_read,
            accepted: import.accepted,
            rejected: import.rejected,
            error: import.error,
            created_at: Instant(import.created_at),
            finished_at: import.finished_at.map(Instant),
        }
    }
}

/// A problem with a cell.
#[derive(Object)]
pub(crate) struct CellProblem {
    /// Header of the column; empty if the problem concerns the whole row.
    column: String,
    /// What is wrong and what to change.
    message: String,
}

/// The result for one row.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct RowReport {
    /// Number of the row in the sheet; the header is row 1.
    row: u32,
    /// Id of the message created from it.
    #[oai(skip_serializing_if_is_none)]
    message_id: Option<Uuid>,
    /// What is wrong with it; empty for an accepted row.
    problems: Vec<CellProblem>,
}

/// A page of a report.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ReportPage {
    /// The rows, by row number.
    data: Vec<RowReport>,
    /// Number of the next page; absent on the last one.
    #[oai(skip_serializing_if_is_none)]
    next_page: Option<u32>,
}

/// The rows to show.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[oai(rename_all = "lowercase")]
pub(crate) enum RowsWanted {
    /// Rows from which a message was created.
    Accepted,
    /// Rows that were refused.
    Rejected,
}

/// The rows of an import's report, in order.
fn report(import: model::Import, wanted: Option<RowsWanted>) -> Vec<RowReport> {
    let mut rows = Vec::new();
    if wanted != Some(RowsWanted::Rejected) {
        let taken = |(row, id)| RowReport { row, message_id: Some(id), problems: Vec::new() };
        rows.extend(import.messages.into_iter().map(taken));
    }
    if wanted != Some(RowsWanted::Accepted) {
        let mut refused: Vec<RowReport> = Vec::new();
        for RowProblem { row, column, message } in import.problems {
            let problem = CellProblem { column, message };
            match refused.last_mut().filter(|last| last.row == row) {
                Some(last) => last.problems.push(problem),
                None => refused.push(RowReport { row, message_id: None, problems: vec![problem] }),
            }
        }
        rows.extend(refused);
    }
    rows.sort_by_key(|row| row.row);
    rows
}

/// The answer to an upload.
#[derive(ApiResponse)]
pub(crate) enum Taken {
    /// The file was stored; its rows are being read.
    #[oai(status = 202)]
    Running(Json<Import>),
}

/// An uploaded workbook, on disk. Removed unless it is kept.
pub(crate) struct Upload {
    place: Place,
    workbook: tempfile::TempPath,
    file_name: String,
    connector: Option<String>,
}

/// The multipart body in the document.
struct UploadForm;

impl Type for UploadForm {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "ImportUpload".into()
    }
    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference("ImportUpload".to_owned())
    }
    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>("ImportUpload".to_owned(), |_| {
            let inline = |schema| MetaSchemaRef::Inline(Box::new(schema));
            let file = MetaSchema {
                description: Some("The workbook (xlsx), at most 20 MB and 100,000 rows, in the form of the template."),
                ..MetaSchema::new_with_format("string", "binary")
            };
            let connector = MetaSchema {
                description: Some("Id of the connector for rows whose connectorId is empty."),
                ..MetaSchema::new_with_format("string", "uuid")
            };
            MetaSchema {
                description: Some("A workbook to import."),
                required: vec!["file"],
                properties: vec![("file", inline(file)), ("connectorId", inline(connector))],
                ..MetaSchema::new("object")
            }
        });
    }
    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

/// Maximum size of the form other than the file, in bytes.
const FORM_BYTES: u64 = 64 * 1024;

impl Upload {
    async fn receive(request: &Request, body: &mut RequestBody) -> Result<Self, Failure> {
        let content_type = request.header(header::CONTENT_TYPE).unwrap_or_default();
        if !content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
            return Err(Failure::wrong_content_type(content_type, "multipart/form-data"));
        }
        let parts = request.data::<Arc<ControlDeps>>();
        let worker = &parts.ok_or_else(|| Failure::internal("a handler runs outside its facade"))?.imports;
        let place = worker.place().map_err(|full| Failure {
            retry_after_ms: Some(10_000),
            ..Failure::new(StatusCode::TOO_MANY_REQUESTS, full.to_string())
        })?;
        let mut form = LimitedMultipart::open(request, body, MAX_WORKBOOK_BYTES + FORM_BYTES).await?;
        let mut received = Received { file: None, connector: None };
        loop {
            let field = match form.next().await {
                Ok(Some(field)) => field,
                Ok(None) => break,
                Err(failure) => return Err(failure),
            };
            match received.take(field, worker.folder()).await {
                Ok(()) => {}
                Err(Stopped::Refused(failure)) => {
                    form.discard().await;
                    return Err(failure);
                }
                Err(Stopped::Broken) => return Err(form.broken()),
            }
        }
        let Received { file, connector } = received;
        let (workbook, file_name) = file.ok_or_else(|| Error::invalid("file", "send the workbook as this part"))?;
        Ok(Self { place, workbook, file_name, connector })
    }
}

struct Received {
    file: Option<(tempfile::TempPath, String)>,
    connector: Option<String>,
}

enum Stopped {
    Refused(Failure),
    Broken,
}

impl Stopped {
    fn invalid(field: &str, message: &str) -> Self {
        Self::Refused(Error::invalid(field, message).into())
    }
    fn disk(error: std::io::Error) -> Self {
        Self::Refused(Failure::internal(format!("writing an upload: {error}")))
    }
}

impl Received {
    async fn take(&mut self, field: Field, folder: &std::path::Path) -> Result<(), Stopped> {
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" if self.file.is_some() => Err(Stopped::invalid("file", "send one workbook at a time")),
            "file" => {
                let file_name = field.file_name().unwrap_or_default().to_owned();
                self.file = Some((store(field, folder).await?, file_name));
                Ok(())
            }
            "connectorId" if self.connector.is_some() => Err(Stopped::invalid("connectorId", "was given twice")),
            "connectorId" => {
                let text = field.text().await.map_err(|_| Stopped::Broken)?;
                self.connector = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
                Ok(())
            }
            other => {
                let shown: String = other.chars().filter(|c| !c.is_control()).take(60).collect();
                Err(Stopped::invalid(&shown, "is not known here; known are file and connectorId"))
            }
        }
    }
}

/// Streams a workbook to disk.
async fn store(field: Field, folder: &std::path::Path) -> Result<tempfile::TempPath, Stopped> {
    let upload = tempfile::Builder::new().prefix("upload-").tempfile_in(folder).map_err(Stopped::disk)?;
    let (file, path) = upload.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let mut reader = std::pin::pin!(field.into_async_read());
    let mut start = [0; 4];
    let mut size = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = reader.read(&mut buffer).await.map_err(|_| Stopped::Broken)?;
        if read == 0 {
            break;
        }
        let known = (size as usize).min(start.len());
        let head = read.min(start.len() - known);
        start[known..known + head].copy_from_slice(&buffer[..head]);
        size += read as u64;
        if size > MAX_WORKBOOK_BYTES {
            let message = format!("file: is larger than {} MB; split it", MAX_WORKBOOK_BYTES / 1024 / 1024);
            return Err(Stopped::Refused(Failure::too_large(message)));
        }
        file.write_all(&buffer[..read]).await.map_err(Stopped::disk)?;
    }
    if start != *b"PK\x03\x04" {
        return Err(Stopped::invalid("file", "is not an xlsx workbook; save it as xlsx with a spreadsheet program"));
    }
    file.sync_all().await.map_err(Stopped::disk)?;
    Ok(path)
}

impl<'a> ApiExtractor<'a> for Upload {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        UploadForm::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: "multipart/form-data", schema: UploadForm::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self::receive(request, body).await?)
    }
}

#[OpenApi(
    tag = "Section::Imports",
    request_header(
        name = "X-Pombo-Tenant",
        ty = "Option<Uuid>",
        description = "With the operator token: id of the tenant to act for."
    )
)]
impl Imports {
    /// Import messages from a workbook
    ///
    /// Answers as soon as the file is on disk; the rows are read afterwards. A message is created for each good row, and the
    /// report lists the bad ones.
    #[oai(path = "/v1/imports", method = "post", operation_id = "create_import")]
    async fn create_import(
        &self,
        state: Data<&Arc<ApiState>>,
        parts: Data<&Arc<ControlDeps>>,
        acting: Acting,
        upload: Upload,
    ) -> Result<Taken, Refused<{ READ | BODY | WRITE | status::TOO_MANY }>> {
        let Upload { place, workbook, file_name, connector } = upload;
        // A text that is not an id names a connector that does not exist.
        let connector = connector.map(|text| Uuid::parse_str(&text).unwrap_or_default());
        if let Some(connector) = connector {
            state.commands.check_import_connector(acting.tenant, connector)?;
        }
        let id = state.commands.new_id();
        let note = Note { tenant: acting.tenant, connector };
        let kept = parts.imports.keep(workbook, id, &note).await;
        kept.map_err(|error| Failure::internal(format!("keeping an upload: {error}")))?;
        match state.commands.begin_import(acting.tenant, id, &file_name).await {
            Ok(import) => {
                place.fill(import.clone(), connector);
                Ok(Taken::Running(Json(import.into())))
            }
            Err(error) => {
                parts.imports.forget(id).await;
                Err(error.into())
            }
        }
    }

    /// List imports, newest first
    #[oai(path = "/v1/imports", method = "get", operation_id = "list_imports")]
    async fn list_imports(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the previous page; the first page if omitted.
        after: Query<Option<Uuid>>,
    ) -> Result<Json<Page<Import>>, Refused<READ>> {
        let imports = state.commands.list_imports(acting.tenant)?;
        Ok(Json(page_of(imports, |import| import.id, after.0, limit.0, Import::from)?))
    }

    /// Get an import and its progress
    #[oai(path = "/v1/imports/:id", method = "get", operation_id = "get_import")]
    async fn get_import(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Import>, Refused<READ>> {
        Ok(Json(state.commands.get_import(acting.tenant, id.of("Import")?)?.into()))
    }

    /// Get an import's report, row by row
    ///
    /// It grows while the import runs. If very many rows are refused, it keeps only the first of them.
    #[oai(path = "/v1/imports/:id/rows", method = "get", operation_id = "get_import_rows")]
    async fn get_import_rows(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        /// Only accepted or only rejected rows; all if omitted.
        status: Query<Option<RowsWanted>>,
        /// Number of the page, from 1; 1 if omitted.
        #[oai(validator(minimum(value = "1")))]
        page: Query<Option<u32>>,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<ReportPage>, Refused<READ>> {
        let (page, limit) = (page.unwrap_or(1), limit.unwrap_or(DEFAULT_LIMIT) as usize);
        let rows = report(state.commands.get_import(acting.tenant, id.of("Import")?)?, status.0);
        let start = (page as usize - 1).saturating_mul(limit);
        let next_page = (rows.len() > start.saturating_add(limit)).then(|| page.saturating_add(1));
        Ok(Json(ReportPage { data: rows.into_iter().skip(start).take(limit).collect(), next_page }))
    }
}
