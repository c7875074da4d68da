//! Messages from workbooks: the template that people fill in, its reader, and the worker that reads uploads and passes their rows to
//! the import commands.
//!
//! Layout
//! - [`spreadsheet`]: the template and its reader. Blocking and without state.
//! - [`worker`]: the queue of uploaded workbooks, on a separate task.
//!
//! Must not know HTTP, nor how anything is stored or sent: rows reach the engine only through the commands.

pub mod spreadsheet;
pub mod worker;

pub use spreadsheet::{MAX_ROWS, MAX_WORKBOOK_BYTES, template};
pub use worker::{ImportWorker, ImportWorkerOptions, ImportsFull};
