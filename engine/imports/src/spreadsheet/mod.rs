//! The spreadsheet of messages: the template that people download and the reader that takes it back.
//!
//! Layout
//! - [`columns`]: the columns, in one list that both sides use: what the template shows, the reader takes.
//! - [`template`]: writes the empty workbook.
//! - [`reader`]: reads a filled one row by row, in bounded memory; blocking, so it runs on a blocking thread.
//! - [`archive`]: looks a workbook over before the reader opens it, since it is a zip file that a tenant made.
//!
//! Knows nothing of connectors, tenants or the store: whether a recipient is valid is the send command's word.

pub mod archive;
pub mod columns;
pub mod reader;
pub mod template;

pub use columns::{Column, MESSAGES_SHEET, category, column_of};
pub use pombo_domain::ports::MAX_WORKBOOK_BYTES;
pub use reader::{CellProblem, MessageRow, ReadRow, Sheet, SheetError};
pub use template::template;

/// Maximum number of rows with content.
pub const MAX_ROWS: u32 = 100_000;

#[cfg(test)]
mod tests;
