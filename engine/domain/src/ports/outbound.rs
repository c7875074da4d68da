//! Calls to URLs that a tenant can choose, and files on disk.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::TenantIndex;
use crate::model::Attachment;

/// Why an outbound target is refused or a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The URL is not a valid http(s) URL, or it contains credentials.
    #[error("{0}")]
    BadUrl(String),
    /// The target is private, loopback, link-local or not allowed for another reason.
    #[error("the target address is not allowed")]
    Forbidden,
    /// There was no answer: name resolution, connection or TLS failed, or the time ran out.
    #[error("{0}")]
    Unreachable(String),
    /// The answer is not a success, or is larger than allowed.
    #[error("{0}")]
    BadAnswer(String),
}

impl OutboundError {
    /// Whether trying again may help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

/// Decides which targets may be called. Called with the URL first, and with every resolved address when connecting.
pub trait OutboundGuard: Send + Sync + 'static {
    /// Checks scheme, credentials, port and, if the host is an address, the address. Resolves no names.
    fn check_url(&self, url: &str) -> Result<(), OutboundError>;
    /// Whether this address may be connected to.
    fn check_address(&self, address: IpAddr) -> bool;
}

/// Posts webhooks, with guarded targets, without following redirects.
#[async_trait]
pub trait WebhookClient: Send + Sync + 'static {
    /// Posts `body`; returns the HTTP status of the answer.
    async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
        timeout: Duration,
    ) -> Result<u16, OutboundError>;
}

/// Fetches a file from a URL that a tenant gave into the media store, with guarded targets; redirects are checked again.
#[async_trait]
pub trait AttachmentFetcher: Send + Sync + 'static {
    /// Receives the file whole, at most `most` bytes. It is in the tenant's media once the caller finishes it.
    async fn receive(&self, tenant: TenantIndex, url: &str, most: u64) -> Result<Box<dyn MediaWriter>, OutboundError>;

    /// Fetches the file, at most `most` bytes, into the tenant's media.
    async fn fetch(&self, tenant: TenantIndex, url: &str, most: u64) -> Result<Attachment, OutboundError> {
        Ok(self.receive(tenant, url, most).await?.finish().await?)
    }
}

/// How many of a file's first bytes tell what it is.
pub const HEAD_BYTES: usize = 8 * 1024;

/// A size as it is told to people: `16 MB`, or `12 bytes` where it is not a whole number of megabytes.
pub fn size_text(bytes: u64) -> String {
    const MEBIBYTE: u64 = 1024 * 1024;
    match bytes % MEBIBYTE {
        0 if bytes > 0 => format!("{} MB", bytes / MEBIBYTE),
        _ => format!("{bytes} bytes"),
    }
}

/// Why media could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The file is larger than this number of bytes.
    #[error("the file is larger than {}", size_text(*.0))]
    TooLarge(u64),
    /// The file does not exist.
    #[error("no such file")]
    NotFound,
    /// The disk failed.
    #[error("media storage: {0}")]
    Io(#[from] std::io::Error),
}

impl From<MediaError> for OutboundError {
    /// A full disk may have room later; a file that is too large stays too large.
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::TooLarge(_) => Self::BadAnswer(error.to_string()),
            MediaError::NotFound | MediaError::Io(_) => Self::Unreachable(error.to_string()),
        }
    }
}

/// A file that is being received. If it is dropped without [`MediaWriter::finish`], it leaves nothing behind.
#[async_trait]
pub trait MediaWriter: Send {
    /// Appends a chunk; refuses to exceed the size limit.
    async fn write(&mut self, chunk: &[u8]) -> Result<(), MediaError>;
    /// The file with its id, as far as it was received.
    fn file(&self) -> &Attachment;
    /// Its first bytes, at most [`HEAD_BYTES`].
    fn head(&self) -> &[u8];
    /// Replaces the type with the one that the content shows.
    fn set_content_type(&mut self, content_type: &str);
    /// Syncs the file and makes it available.
    async fn finish(self: Box<Self>) -> Result<Attachment, MediaError>;
}

/// Stores files of tenants on disk.
#[async_trait]
pub trait MediaStore: Send + Sync + 'static {
    /// Begins a file of at most `most` bytes. The name is reduced to its last component and cleaned; an unknown content type is
    /// guessed from it.
    async fn create(
        &self,
        tenant: TenantIndex,
        file_name: &str,
        content_type: Option<&str>,
        most: u64,
    ) -> Result<Box<dyn MediaWriter>, MediaError>;
    /// Size of a file in bytes; `None` if it does not exist.
    async fn stat(&self, tenant: TenantIndex, id: Uuid) -> Result<Option<u64>, MediaError>;
    /// The first bytes of a file, at most [`HEAD_BYTES`]; `None` if it does not exist.
    async fn head(&self, tenant: TenantIndex, id: Uuid) -> Result<Option<Vec<u8>>, MediaError>;
    /// The path of its bytes, to read them in pieces.
    fn path(&self, tenant: TenantIndex, id: Uuid) -> PathBuf;
    /// Deletes a file; it is not an error if it does not exist.
    async fn delete(&self, tenant: TenantIndex, id: Uuid) -> Result<(), MediaError>;
}
