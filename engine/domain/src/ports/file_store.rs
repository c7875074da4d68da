//! What the store keeps of files that were stored ahead of their messages; the bytes are in the media store.

use uuid::Uuid;

use super::StoreResult;
use crate::model::{FileUse, MediaFile};
use crate::{TenantIndex, Timestamp};

/// A change of a tenant's stored files. A message that is inserted with a file makes it used, in the same batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChange {
    /// Adds a file, or replaces it. [`super::Conflict::TooManyFiles`] if the tenant would then have more than `most` that no message
    /// uses.
    Add {
        /// The file.
        file: MediaFile,
        /// The tenant's share.
        most: FileUse,
    },
    /// Deletes the record of a file, if it is there.
    Delete(TenantIndex, Uuid),
}

/// Reads of stored files; part of [`super::Store`].
pub trait FileStore: Send + Sync + 'static {
    /// A file by its id, also when it has expired and is not deleted yet.
    fn media_file(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<MediaFile>>;
    /// What of a tenant's files no message uses yet.
    fn media_file_use(&self, tenant: TenantIndex) -> StoreResult<FileUse>;
    /// Files of all tenants that expired at this time or earlier, the longest expired first, at most `limit`.
    fn expired_media_files(&self, until: Timestamp, limit: usize) -> StoreResult<Vec<MediaFile>>;
}
