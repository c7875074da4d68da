//! Messages from workbooks: the template that people fill in, its reader, and the worker that reads uploads and passes their rows to
//! the import commands.
//!
//! Layout
//! - [`spreadsheet`]: the template and its reader. Blocking and without state.
//! - `upload`: a workbook on its way in. `job`: an import in the queue, and its files. [`worker`]: the queue of uploaded
//!   workbooks, on a separate task.
//! - [`lists`]: reads lists of recipients, of workbooks and of text files. Keeps nothing.
//!
//! Must not know HTTP, nor how anything is stored or sent: rows reach the engine only through the commands.

mod job;
pub mod lists;
pub mod spreadsheet;
mod upload;
pub mod worker;

pub use lists::ListReader;
pub use spreadsheet::{MAX_ROWS, MAX_WORKBOOK_BYTES, template};
pub use worker::{ImportWorker, ImportWorkerOptions};
