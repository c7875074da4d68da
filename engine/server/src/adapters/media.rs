//! Files of tenants on disk: `DATA/media/<tenant>/<first two digits of the id>/<id>`, readable only by the owner.
//!
//! Invariant: a file under its final name is complete and synced. Files being received are in `DATA/media/incoming` and are
//! removed when the writer is dropped, or at the next start after a crash.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use pombo_domain::TenantIndex;
use pombo_domain::model::Attachment;
use pombo_domain::ports::{Entropy, HEAD_BYTES, MediaError, MediaStore, MediaWriter};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

use super::media_types::{clean_name, content_type};

/// The media store on disk.
pub(crate) struct DiskMedia {
    root: PathBuf,
    entropy: Arc<dyn Entropy>,
}

impl DiskMedia {
    /// Opens the folder `root`, creates it if necessary, and removes files that a crash left incomplete.
    pub(crate) fn open(root: PathBuf, entropy: Arc<dyn Entropy>) -> io::Result<Self> {
        let incoming = root.join("incoming");
        make_folder(&incoming)?;
        for entry in std::fs::read_dir(&incoming)? {
            std::fs::remove_file(entry?.path())?;
        }
        Ok(Self { root, entropy })
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[async_trait]
impl MediaStore for DiskMedia {
    async fn create(
        &self,
        tenant: TenantIndex,
        file_name: &str,
        said_type: Option<&str>,
        most: u64,
    ) -> Result<Box<dyn MediaWriter>, MediaError> {
        let id = self.entropy.uuid();
        let file_name = clean_name(file_name);
        let content_type = content_type(said_type, &file_name);
        let temporary = self.root.join("incoming").join(id.to_string());
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).await?;
        let attachment = Attachment { id, file_name, content_type, size: 0 };
        let target = self.path(tenant, id);
        let file = Some(file);
        Ok(Box::new(Receiving { file, temporary, target, attachment, head: Vec::new(), most, named: false }))
    }

    async fn stat(&self, tenant: TenantIndex, id: Uuid) -> Result<Option<u64>, MediaError> {
        match fs::metadata(self.path(tenant, id)).await {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn head(&self, tenant: TenantIndex, id: Uuid) -> Result<Option<Vec<u8>>, MediaError> {
        let file = match File::open(self.path(tenant, id)).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut head = Vec::new();
        file.take(HEAD_BYTES as u64).read_to_end(&mut head).await?;
        Ok(Some(head))
    }

    fn path(&self, tenant: TenantIndex, id: Uuid) -> PathBuf {
        let id = id.to_string();
        self.root.join(tenant.0.to_string()).join(&id[..2]).join(id)
    }

    async fn delete(&self, tenant: TenantIndex, id: Uuid) -> Result<(), MediaError> {
        match fs::remove_file(self.path(tenant, id)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

struct Receiving {
    file: Option<File>,
    temporary: PathBuf,
    target: PathBuf,
    attachment: Attachment,
    head: Vec<u8>,
    most: u64,
    named: bool,
}

#[async_trait]
impl MediaWriter for Receiving {
    async fn write(&mut self, chunk: &[u8]) -> Result<(), MediaError> {
        let size = self.attachment.size + chunk.len() as u64;
        if size > self.most {
            return Err(MediaError::TooLarge(self.most));
        }
        let file = self.file.as_mut().ok_or(MediaError::NotFound)?;
        file.write_all(chunk).await?;
        let rest = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&chunk[..rest.min(chunk.len())]);
        self.attachment.size = size;
        Ok(())
    }

    fn file(&self) -> &Attachment {
        &self.attachment
    }

    fn head(&self) -> &[u8] {
        &self.head
    }

    fn set_content_type(&mut self, content_type: &str) {
        content_type.clone_into(&mut self.attachment.content_type);
    }

    async fn finish(mut self: Box<Self>) -> Result<Attachment, MediaError> {
        let mut file = self.file.take().ok_or(MediaError::NotFound)?;
        file.flush().await?;
        file.sync_all().await?;
        drop(file);
        let (temporary, target) = (self.temporary.clone(), self.target.clone());
        let named = tokio::task::spawn_blocking(move || -> io::Result<()> {
            let folder = target.parent().ok_or_else(|| io::Error::other("the path of a media file has no folder"))?;
            make_folder(folder)?;
            std::fs::rename(&temporary, &target)?;
            std::fs::File::open(folder)?.sync_all()
        });
        named.await.map_err(io::Error::other)??;
        self.named = true;
        Ok(self.attachment.clone())
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if !self.named {
            // Nothing to be done about a failure here: the next start removes it.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::entropy::OsEntropy;
    use super::*;

    const TENANT: TenantIndex = TenantIndex(3);
    const MOST: u64 = 50 * 1024 * 1024;

    fn files_below(path: &Path) -> usize {
        let entries = std::fs::read_dir(path).expect("folder");
        entries.map(|e| e.expect("entry").path()).map(|p| if p.is_dir() { files_below(&p) } else { 1 }).sum()
    }

    #[tokio::test]
    async fn a_finished_file_is_whole_private_and_can_be_deleted() {
        let folder = tempfile::tempdir().expect("folder");
        let media = DiskMedia::open(folder.path().join("media"), Arc::new(OsEntropy)).expect("opened");
        let mut writer = media.create(TENANT, "../x/nota.pdf", None, MOST).await.expect("created");
        writer.write(b"abc").await.expect("written");
        writer.write(b"def").await.expect("written");
        let attachment = writer.finish().await.expect("finished");
        assert_eq!((attachment.file_name.as_str(), attachment.size), ("nota.pdf", 6));
        assert_eq!(attachment.content_type, "application/pdf");
        let path = media.path(TENANT, attachment.id);
        assert_eq!(std::fs::read(&path).expect("there"), b"abcdef");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(media.stat(TENANT, attachment.id).await.expect("read"), Some(6));
        assert_eq!(media.stat(TenantIndex(4), attachment.id).await.expect("read"), None);
        media.delete(TENANT, attachment.id).await.expect("deleted");
        media.delete(TENANT, attachment.id).await.expect("deleting twice is not an error");
        assert_eq!(files_below(folder.path()), 0);
    }

    #[tokio::test]
    async fn a_file_shows_how_it_begins_and_takes_the_type_of_its_content() {
        let folder = tempfile::tempdir().expect("folder");
        let media = DiskMedia::open(folder.path().to_owned(), Arc::new(OsEntropy)).expect("opened");
        let mut writer = media.create(TENANT, "a.bin", None, MOST).await.expect("created");
        for piece in [vec![1_u8; HEAD_BYTES - 1], vec![2; 5], vec![3; 5]] {
            writer.write(&piece).await.expect("written");
        }
        assert_eq!((writer.head().len(), writer.head().last()), (HEAD_BYTES, Some(&2)));
        assert_eq!(writer.file().size, HEAD_BYTES as u64 + 9);
        writer.set_content_type("image/png");
        let (id, kept) = (writer.file().id, writer.finish().await.expect("finished"));
        assert_eq!((kept.id, kept.content_type.as_str()), (id, "image/png"));
        let head = media.head(TENANT, id).await.expect("read").expect("there");
        assert_eq!((head.len(), head.first(), head.last()), (HEAD_BYTES, Some(&1), Some(&2)));
        assert_eq!(media.head(TenantIndex(4), id).await.expect("read"), None);
    }

    #[tokio::test]
    async fn what_is_not_finished_or_too_large_leaves_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let media = DiskMedia::open(folder.path().to_owned(), Arc::new(OsEntropy)).expect("opened");
        let mut writer = media.create(TENANT, "a", None, MOST).await.expect("created");
        writer.write(b"abc").await.expect("written");
        drop(writer);
        let mut writer = media.create(TENANT, "a", None, MOST).await.expect("created");
        let megabyte = vec![0; 1024 * 1024];
        for _ in 0..50 {
            writer.write(&megabyte).await.expect("within the limit");
        }
        assert!(matches!(writer.write(b"x").await, Err(MediaError::TooLarge(MOST))));
        drop(writer);
        assert_eq!(files_below(folder.path()), 0);
        std::fs::write(folder.path().join("incoming/left-by-a-crash"), b"x").expect("written");
        DiskMedia::open(folder.path().to_owned(), Arc::new(OsEntropy)).expect("opened");
        assert_eq!(files_below(folder.path()), 0);
    }
}
