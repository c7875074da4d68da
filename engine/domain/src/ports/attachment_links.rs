//! Links to the files of messages, for channels that fetch a file instead of getting its bytes.

use crate::model::Attachment;
use crate::{TenantIndex, Timestamp};

/// Makes links to files.
pub trait AttachmentLinks: Send + Sync + 'static {
    /// A link from which anybody can fetch this file of the tenant, and no other, for an hour from `now`. `None` if it is not known
    /// under which address the engine is reached.
    fn link(&self, tenant: TenantIndex, file: &Attachment, now: Timestamp) -> Option<String>;
}
