//! An import of messages from a spreadsheet.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{TenantIndex, Timestamp};

/// State of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImportStatus {
    /// Rows are being read.
    Running,
    /// All rows were read.
    Done,
    /// The file could not be read to its end.
    Failed,
}

/// A problem with a row, which was therefore not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowProblem {
    /// Number of the row in the spreadsheet (the header is row 1).
    pub row: u32,
    /// Header of the column, or its letter.
    pub column: String,
    /// What is wrong and what to change.
    pub message: String,
}

/// An import and its report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Public id.
    pub id: Uuid,
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// Name of the uploaded file.
    pub file_name: String,
    /// State of the import.
    pub status: ImportStatus,
    /// Number of rows with content, without the header.
    pub rows_total: u32,
    /// Number of rows read so far.
    pub rows_read: u32,
    /// Number of messages created.
    pub accepted: u32,
    /// Number of rows refused.
    pub rejected: u32,
    /// The refused rows, at most [`Import::KEPT_PROBLEMS`].
    pub problems: Vec<RowProblem>,
    /// Ids of the messages created, in the order of their rows: (row, id).
    pub messages: Vec<(u32, Uuid)>,
    /// Why it failed, with [`ImportStatus::Failed`].
    pub error: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Import {
    /// Number of refused rows that the report keeps.
    pub const KEPT_PROBLEMS: usize = 10_000;
}
