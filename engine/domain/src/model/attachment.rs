//! A file of a message. The bytes are in the media store; this type only describes them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The maximum size of a file that comes in the same request as its message, or from a URL in the queue, in bytes (the documented 50 MB).
pub const MAX_FILE_BYTES: u64 = 50 * 1024 * 1024;
/// The maximum size of a file that is stored ahead of its message, or that a connector fetches from its channel, in bytes (the documented
/// 100 MB of a document).
pub const MAX_STORED_BYTES: u64 = 100 * 1024 * 1024;

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Id of the file in the media store.
    pub id: Uuid,
    /// Name that the recipient sees, without any path.
    pub file_name: String,
    /// MIME type.
    pub content_type: String,
    /// Size in bytes, at most [`MAX_FILE_BYTES`], or [`MAX_STORED_BYTES`] if it was received or stored ahead of its message.
    pub size: u64,
}
