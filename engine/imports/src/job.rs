//! An import in the queue, and its files in the worker's folder: the workbook as `{id}.xlsx`, with `{id}.json` beside it.

use std::io;
use std::path::{Path, PathBuf};

use pombo_domain::TenantIndex;
use pombo_domain::model::Import;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What must be known to begin an import again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) tenant: TenantIndex,
    /// The connector of rows that name none.
    pub(crate) connector: Option<Uuid>,
}

/// What waits for its turn.
pub(crate) struct Job {
    pub(crate) import: Import,
    pub(crate) connector: Option<Uuid>,
}

pub(crate) fn workbook(folder: &Path, id: Uuid) -> PathBuf {
    folder.join(format!("{id}.xlsx"))
}

pub(crate) fn beside(folder: &Path, id: Uuid) -> PathBuf {
    folder.join(format!("{id}.json"))
}

pub(crate) async fn forget(folder: &Path, id: Uuid) {
    for path in [workbook(folder, id), beside(folder, id)] {
        match tokio::fs::remove_file(path).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(import = %id, %error, "an import's file could not be removed"),
        }
    }
}
