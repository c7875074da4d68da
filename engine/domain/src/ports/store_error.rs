//! What the store's ports answer when they cannot do what they were asked.

use crate::MessageKey;
use crate::model::TaskKey;

/// A store's result.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why the store refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A condition of the batch did not hold; nothing of the batch was stored.
    #[error("conflict: {0:?}")]
    Conflict(Conflict),
    /// The store no longer acknowledges writes after a failed write or sync; this batch was not acknowledged. See
    /// [`Store::health`].
    #[error("the store does not accept writes: {0}")]
    Unavailable(String),
    /// Stored data cannot be read.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
}

/// The condition of a batch that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// The message has another revision, or does not exist.
    Message(MessageKey),
    /// This idempotency key is taken: read it again.
    IdempotencyKey,
    /// A user with this e-mail exists.
    Email,
    /// A contact with this type and identifier exists under another id, or the contact to change does not exist.
    Contact,
    /// A tag of the tenant has this name.
    TagName,
    /// The tenant has as many tags as it may have.
    TooManyTags,
    /// A template of the tenant has this connector, name and language.
    TemplateName,
    /// The tenant has as many templates as it may have.
    TooManyTemplates,
    /// A label of the tenant and kind has this name.
    LabelName,
    /// The tenant has as many labels of this kind as it may have.
    TooManyLabels,
    /// The tenant has as many files as it may have that no message uses.
    TooManyFiles,
    /// The campaign is not as it was read: another revision or status, or a row of it was handed over already.
    Campaign(u32),
    /// The tenant has made as many campaigns as it may make.
    TooManyCampaigns,
    /// The event task is not in the state in which it was read.
    Task(TaskKey),
    /// The plugin has another revision.
    Plugin(String),
    /// The thing to change does not exist.
    Gone,
}
