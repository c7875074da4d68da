//! Taking in workbooks of messages, and reading lists of recipients. What a file looks like is the implementation's knowledge.

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use crate::model::Import;
use crate::{Result, TenantIndex};

/// The largest workbook that is taken, in bytes.
pub const MAX_WORKBOOK_BYTES: u64 = 20 * 1024 * 1024;

/// Takes workbooks of messages. Their rows are read afterwards, one workbook after the other.
pub trait Workbooks: Send + Sync + 'static {
    /// A place in the queue, before anything of the workbook has come. Fails with [`crate::ErrorCode::RateLimited`] while too many
    /// wait.
    fn reserve(&self) -> Result<Box<dyn WorkbookUpload>>;
}

/// A workbook on its way in. Dropped before it is submitted, it leaves nothing behind.
#[async_trait]
pub trait WorkbookUpload: Send {
    /// Appends a piece of the file. Fails with [`crate::ErrorCode::TooLarge`] once it has more than [`MAX_WORKBOOK_BYTES`].
    async fn write(&mut self, piece: &[u8]) -> Result<()>;

    /// Makes the whole file an import of `tenant`, durably, and puts it into the queue. `connector` is for rows that name none.
    /// Fails with [`crate::ErrorCode::Invalid`] for a file that is not a workbook, and for a connector that the tenant does not
    /// have with what the import commands say.
    async fn submit(self: Box<Self>, tenant: TenantIndex, file_name: &str, connector: Option<Uuid>) -> Result<Import>;
}

/// A row of a list of recipients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecipientRow {
    /// The line that it stands on.
    pub line: u32,
    /// The address as it was written; empty where the cell was.
    pub to: String,
    /// The recipient's name.
    pub name: Option<String>,
    /// The other cells, by the names of their columns.
    pub values: BTreeMap<String, String>,
}

/// Reads lists of recipients.
pub trait RecipientLists: Send + Sync + 'static {
    /// A place for a list, before anything of it has come: it is held in memory while it comes in. Fails with
    /// [`crate::ErrorCode::RateLimited`] while too many do.
    fn reserve(&self) -> Result<Box<dyn RecipientList>>;
}

/// A list of recipients on its way in. Its place is free again once it is read or dropped.
#[async_trait]
pub trait RecipientList: Send {
    /// The rows of the whole file. Fails with [`crate::ErrorCode::Invalid`] for one that is not a list of recipients.
    async fn read(self: Box<Self>, file: Vec<u8>) -> Result<Vec<RecipientRow>>;
}
