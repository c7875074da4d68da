//! Section Imports: workbooks of messages. They are read after the answer, by what takes them in.

pub(crate) mod upload;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use pombo_domain::model::import::RowProblem;
use pombo_domain::{TenantIndex, model};
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::deps::ControlDeps;
use crate::imports::upload::{ImportForm, Received, receive};
use crate::wire::{BODY, DEFAULT_LIMIT, Instant, Page, PathId, READ, Refused, WRITE, page_of};
use pombo_api::error::status;
use pombo_api::multipart::Multipart;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Imports;

impl pombo_api::Section for Imports {
    const FILE: &'static str = file!();
}

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
    /// What to think of, if there is something: advertising of this import that is the same for many (of the rows that were read so far,
    /// and until the engine is restarted), and connectors that sent the same advertising too often within 24 hours. Not in lists.
    #[oai(skip_serializing_if_is_none)]
    warnings: Option<Vec<String>>,
}

impl Import {
    /// With warnings of the import's own texts, and of the tenant's connectors: of the one that rows without a connector go through, if
    /// it is known, otherwise of all.
    fn warned(mut self, state: &ApiState, deps: &ControlDeps, tenant: TenantIndex, own: Option<Uuid>) -> Self {
        let connectors: Vec<Uuid> = match own {
            Some(own) => vec![own],
            None => {
                let all = state.commands.list_connectors(tenant).unwrap_or_default();
                all.into_iter().map(|view| view.connector.id).collect()
            }
        };
        let mut warnings: Vec<String> = state.commands.import_equal_texts(self.id).into_iter().collect();
        warnings.extend(state.commands.sent_equal_texts(tenant, &*deps.pace, connectors));
        self.warnings = Some(warnings).filter(|warnings| !warnings.is_empty());
        self
    }
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
            warnings: None,
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

#[OpenApi(tag = "Section::Imports")]
impl Imports {
    /// Import messages from a workbook
    ///
    /// Answers as soon as the file is on disk; the rows are read afterwards. A message is created for each good row, and the
    /// report lists the bad ones.
    #[oai(path = "/v1/imports", method = "post", operation_id = "create_import")]
    async fn create_import(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        acting: Acting,
        form: Multipart<'_, ImportForm>,
    ) -> Result<Taken, Refused<{ READ | BODY | WRITE | status::TOO_MANY }>> {
        let Received { workbook, file_name, connector } = receive(form, &*deps.imports).await?;
        let import = workbook.submit(acting.tenant, &file_name, connector).await?;
        Ok(Taken::Running(Json(Import::from(import).warned(&state, &deps, acting.tenant, connector))))
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
        deps: Data<&Arc<ControlDeps>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Import>, Refused<READ>> {
        let import = state.commands.get_import(acting.tenant, id.of("Import")?)?;
        Ok(Json(Import::from(import).warned(&state, &deps, acting.tenant, None)))
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
