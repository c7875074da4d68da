//! A workbook on its way in: streamed into the worker's folder, made durable, then put into the queue. Runs on the task of the
//! request that brings it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use pombo_domain::commands::Commands;
use pombo_domain::model::Import;
use pombo_domain::ports::{MAX_WORKBOOK_BYTES, WorkbookUpload};
use pombo_domain::{Error, ErrorCode, Field, Result, TenantIndex};
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::OwnedPermit;
use uuid::Uuid;

use crate::job::{Job, Note, beside, forget, workbook};

/// How each zip file begins, and so each workbook.
const ZIP: [u8; 4] = *b"PK\x03\x04";

/// See the module. Holds a place in the queue.
pub(crate) struct Upload {
    commands: Commands,
    folder: Arc<Path>,
    place: OwnedPermit<Job>,
    /// Made with the first piece; removed on drop.
    file: Option<(File, TempPath)>,
    /// The file's first bytes.
    start: Vec<u8>,
    size: u64,
}

fn disk(error: io::Error) -> Error {
    Error::internal(format!("writing an upload: {error}"))
}

impl Upload {
    pub(crate) fn new(commands: Commands, folder: Arc<Path>, place: OwnedPermit<Job>) -> Self {
        Self { commands, folder, place, file: None, start: Vec::new(), size: 0 }
    }

    /// Makes the whole upload an import's workbook, durably.
    async fn keep(folder: Arc<Path>, upload: TempPath, id: Uuid, note: &Note) -> io::Result<()> {
        let (workbook, beside) = (workbook(&folder, id), beside(&folder, id));
        let note = serde_json::to_vec(note)?;
        let kept = tokio::task::spawn_blocking(move || {
            std::fs::write(&beside, note)?;
            std::fs::File::open(&beside)?.sync_all()?;
            upload.persist(&workbook).map_err(|error| error.error)?;
            std::fs::File::open(&*folder)?.sync_all()
        });
        kept.await.map_err(io::Error::other)?
    }
}

#[async_trait]
impl WorkbookUpload for Upload {
    async fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.size += piece.len() as u64;
        if self.size > MAX_WORKBOOK_BYTES {
            let message = format!("file: is larger than {} MB; split it", MAX_WORKBOOK_BYTES / 1024 / 1024);
            return Err(Error::new(ErrorCode::TooLarge, message));
        }
        let lacking = ZIP.len() - self.start.len();
        self.start.extend(piece.iter().take(lacking));
        if self.file.is_none() {
            let made = tempfile::Builder::new().prefix("upload-").tempfile_in(&*self.folder).map_err(disk)?;
            let (file, path) = made.into_parts();
            self.file = Some((File::from_std(file), path));
        }
        match &mut self.file {
            Some((file, _)) => file.write_all(piece).await.map_err(disk),
            None => Ok(()),
        }
    }

    async fn submit(self: Box<Self>, tenant: TenantIndex, file_name: &str, connector: Option<Uuid>) -> Result<Import> {
        let Self { commands, folder, place, file, start, .. } = *self;
        let Some((file, path)) = file.filter(|_| start == ZIP) else {
            let message = "is not an xlsx workbook; save it as xlsx with a spreadsheet program";
            return Err(Error::invalid(Field::File, message));
        };
        file.sync_all().await.map_err(disk)?;
        if let Some(connector) = connector {
            commands.check_import_connector(tenant, connector)?;
        }
        let id = commands.new_id();
        let note = Note { tenant, connector };
        let kept = Self::keep(folder.clone(), path, id, &note).await;
        kept.map_err(|error| Error::internal(format!("keeping an upload: {error}")))?;
        match commands.begin_import(tenant, id, file_name).await {
            Ok(import) => {
                place.send(Job { import: import.clone(), connector });
                Ok(import)
            }
            Err(error) => {
                forget(&folder, id).await;
                Err(error)
            }
        }
    }
}
