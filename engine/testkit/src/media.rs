//! Files of tenants, in a folder.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use pombo_domain::TenantIndex;
use pombo_domain::model::Attachment;
use pombo_domain::model::attachment::MAX_STORED_BYTES;
use pombo_domain::ports::{HEAD_BYTES, MediaError, MediaStore, MediaWriter};
use uuid::Uuid;

/// Files in one folder, each named after its tenant and id. An unfinished file leaves nothing behind.
pub struct FolderMedia {
    folder: PathBuf,
    limit: u64,
    made: AtomicU64,
}

impl FolderMedia {
    /// Files in `folder`, which must exist, with the engine's limit of size.
    pub fn new(folder: &Path) -> Self {
        Self::with_limit(folder, MAX_STORED_BYTES)
    }

    /// The same, for files of at most `limit` bytes, also where a caller allows more.
    pub fn with_limit(folder: &Path, limit: u64) -> Self {
        Self { folder: folder.to_owned(), limit, made: AtomicU64::new(1) }
    }
}

#[async_trait]
impl MediaStore for FolderMedia {
    async fn create(
        &self,
        tenant: TenantIndex,
        file_name: &str,
        content_type: Option<&str>,
        most: u64,
    ) -> Result<Box<dyn MediaWriter>, MediaError> {
        let id = Uuid::from_u128(u128::from(self.made.fetch_add(1, Ordering::Relaxed)));
        let file = Attachment {
            id,
            file_name: file_name.to_owned(),
            content_type: content_type.unwrap_or("application/octet-stream").to_owned(),
            size: 0,
        };
        let path = self.path(tenant, id);
        std::fs::write(partial(&path), b"")?;
        Ok(Box::new(FolderWriter { path, limit: self.limit.min(most), file, head: Vec::new() }))
    }
    async fn stat(&self, tenant: TenantIndex, id: Uuid) -> Result<Option<u64>, MediaError> {
        match std::fs::metadata(self.path(tenant, id)) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
    async fn head(&self, tenant: TenantIndex, id: Uuid) -> Result<Option<Vec<u8>>, MediaError> {
        match std::fs::read(self.path(tenant, id)) {
            Ok(mut bytes) => {
                bytes.truncate(HEAD_BYTES);
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
    fn path(&self, tenant: TenantIndex, id: Uuid) -> PathBuf {
        self.folder.join(format!("{}-{id}", tenant.0))
    }
    async fn delete(&self, tenant: TenantIndex, id: Uuid) -> Result<(), MediaError> {
        match std::fs::remove_file(self.path(tenant, id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn partial(path: &Path) -> PathBuf {
    path.with_extension("partial")
}

/// Appends to a file that gets its name when it is finished.
struct FolderWriter {
    path: PathBuf,
    limit: u64,
    file: Attachment,
    head: Vec<u8>,
}

#[async_trait]
impl MediaWriter for FolderWriter {
    async fn write(&mut self, chunk: &[u8]) -> Result<(), MediaError> {
        use std::io::Write;
        self.file.size += chunk.len() as u64;
        if self.file.size > self.limit {
            return Err(MediaError::TooLarge(self.limit));
        }
        let rest = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&chunk[..rest.min(chunk.len())]);
        std::fs::OpenOptions::new().append(true).open(partial(&self.path))?.write_all(chunk)?;
        Ok(())
    }
    fn file(&self) -> &Attachment {
        &self.file
    }
    fn head(&self) -> &[u8] {
        &self.head
    }
    fn set_content_type(&mut self, content_type: &str) {
        content_type.clone_into(&mut self.file.content_type);
    }
    async fn finish(self: Box<Self>) -> Result<Attachment, MediaError> {
        std::fs::rename(partial(&self.path), &self.path)?;
        Ok(self.file.clone())
    }
}

impl Drop for FolderWriter {
    fn drop(&mut self) {
        // Gone already when it was finished.
        let _ = std::fs::remove_file(partial(&self.path));
    }
}
