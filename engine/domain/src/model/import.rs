//! An import of messages from a spreadsheet.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{TenantIndex, Timestamp};

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImportStatus {
    /// Rows are being read.
    Running,
    /// All rows were read.
    Done,
    /// The file could not be read to its end.
    Failed,
}

/// A row that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowProblem {
    /// Row number as the spreadsheet shows it (the header is row 1).
    pub row: u32,
    /// The column's header, or its letter.
    pub column: String,
    /// What is wrong and what to change.
    pub message: String,
}

/// An import and its report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Public id.
    pub id: Uuid,
    /// Owner.
    pub tenant: TenantIndex,
    /// The uploaded file's name.
    pub file_name: String,
    /// How far it is.
    pub status: ImportStatus,
    /// Rows with content, without the header.
    pub rows_total: u32,
    /// Rows read so far.
    pub rows_read: u32,
    /// Messages made.
    pub accepted: u32,
    /// Rows refused.
    pub rejected: u32,
    /// The refused rows, at most [`Import::KEPT_PROBLEMS`].
    pub problems: Vec<RowProblem>,
    /// Ids of the messages made, in the order of their rows: (row, id).
    pub messages: Vec<(u32, Uuid)>,
    /// For [`ImportStatus::Failed`]: why.
    pub error: Option<String>,
    /// Creation.
    pub created_at: Timestamp,
    /// End.
    pub finished_at: Option<Timestamp>,
}

impl Import {
    /// How many refused rows the report keeps.
    pub const KEPT_PROBLEMS: usize = 10_000;
}
