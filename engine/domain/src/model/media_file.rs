//! A file that was stored ahead of the message that sends it: what it is, and how long it waits. The bytes are in the media store.

use serde::{Deserialize, Serialize};

use super::Attachment;
use crate::words::words;
use crate::{TenantIndex, Timestamp};

words! {
    /// What a file is sent as.
    #[derive(Serialize, Deserialize)]
    pub enum FileKind {
        /// A picture.
        Image = "image",
        /// A video.
        Video = "video",
        /// An audio file.
        Audio = "audio",
        /// Any other file, to be saved.
        Document = "document",
    }
}

/// A stored file. It is stored as it is here: fields are only ever added in a new row format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaFile {
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// The file. Its type is what its content says.
    pub attachment: Attachment,
    /// What it is sent as: what it is, or a document.
    pub kind: FileKind,
    /// When it was stored.
    pub created_at: Timestamp,
    /// From then on it is not found. Its bytes are deleted, unless a message uses them.
    pub expires_at: Timestamp,
    /// Whether a message has it. Then its bytes belong to the message and stay.
    pub used: bool,
}

impl MediaFile {
    /// Whether it can still be shown and sent.
    pub fn is_there(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

/// How many files, and how many bytes of them, no message uses yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileUse {
    /// Number of files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl FileUse {
    /// With another file of `bytes` bytes.
    pub fn with(self, bytes: u64) -> Self {
        Self { files: self.files.saturating_add(1), bytes: self.bytes.saturating_add(bytes) }
    }

    /// Without a file of `bytes` bytes.
    pub fn without(self, bytes: u64) -> Self {
        Self { files: self.files.saturating_sub(1), bytes: self.bytes.saturating_sub(bytes) }
    }

    /// Whether it is more than `most` in either respect.
    pub fn exceeds(self, most: Self) -> bool {
        self.files > most.files || self.bytes > most.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exceeded_by_one_file_or_one_byte_too_many() {
        let most = FileUse { files: 2, bytes: 10 };
        let two = FileUse::default().with(4).with(6);
        assert!(!two.exceeds(most) && two.with(0).exceeds(most));
        assert!(FileUse::default().with(11).exceeds(most));
        assert_eq!(two.without(6), FileUse { files: 1, bytes: 4 });
        assert_eq!(FileUse::default().without(1), FileUse::default());
    }
}
