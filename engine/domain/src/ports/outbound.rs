//! Calls to addresses that a tenant can choose, and files on disk.

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
    /// The URL is not http(s), has credentials or is no URL.
    #[error("{0}")]
    BadUrl(String),
    /// The target is private, loopback, link-local or otherwise not allowed.
    #[error("the target address is not allowed")]
    Forbidden,
    /// No answer: resolution, connection, TLS or time.
    #[error("{0}")]
    Unreachable(String),
    /// An answer other than success, or larger than allowed.
    #[error("{0}")]
    BadAnswer(String),
}

impl OutboundError {
    /// Whether trying again may help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

/// Decides which targets may be called. Asked with the URL before, and with every resolved address at connect time.
pub trait OutboundGuard: Send + Sync + 'static {
    /// Checks scheme, credentials, port and, where the host is an address, the address. Resolves nothing.
    fn check_url(&self, url: &str) -> Result<(), OutboundError>;
    /// Whether this address may be connected to.
    fn check_address(&self, address: IpAddr) -> bool;
}

/// Posts webhooks, guarded, redirects not followed.
#[async_trait]
pub trait WebhookClient: Send + Sync + 'static {
    /// Posts `body`; the answer's status.
    async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
        timeout: Duration,
    ) -> Result<u16, OutboundError>;
}

/// Fetches a file from a URL that a tenant gave, guarded, redirects checked again, straight to the media store.
#[async_trait]
pub trait AttachmentFetcher: Send + Sync + 'static {
    /// Fetches it into the tenant's media.
    async fn fetch(&self, tenant: TenantIndex, url: &str) -> Result<Attachment, OutboundError>;
}

/// Why media could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// Over [`crate::model::attachment::MAX_FILE_BYTES`].
    #[error("the file is larger than {} MB", crate::model::attachment::MAX_FILE_BYTES / 1024 / 1024)]
    TooLarge,
    /// Not there.
    #[error("no such file")]
    NotFound,
    /// Disk.
    #[error("media storage: {0}")]
    Io(#[from] std::io::Error),
}

/// A file being received. Dropped without [`MediaWriter::finish`], it leaves nothing behind.
#[async_trait]
pub trait MediaWriter: Send {
    /// Appends; refuses past the size limit.
    async fn write(&mut self, chunk: &[u8]) -> Result<(), MediaError>;
    /// Syncs and names it.
    async fn finish(self: Box<Self>) -> Result<Attachment, MediaError>;
}

/// Files of tenants on disk.
#[async_trait]
pub trait MediaStore: Send + Sync + 'static {
    /// Begins a file. The name is reduced to its last component and cleaned; an unknown content type is guessed from it.
    async fn create(
        &self,
        tenant: TenantIndex,
        file_name: &str,
        content_type: Option<&str>,
    ) -> Result<Box<dyn MediaWriter>, MediaError>;
    /// Where its bytes are, for reading in pieces.
    fn path(&self, tenant: TenantIndex, id: Uuid) -> PathBuf;
    /// Removes it; removing what is not there is no error.
    async fn delete(&self, tenant: TenantIndex, id: Uuid) -> Result<(), MediaError>;
}
