//! What the store's ports answer when they cannot do what they were asked.

use crate::MessageKey;
use crate::model::WorkKey;

/// A store's result.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A condition of the batch did not hold; nothing of the batch was stored.
    #[error("conflict: {0:?}")]
    Conflict(Conflict),
    /// The store stopped acknowledging after a failed write or sync; nothing was acknowledged. See [`super::Store::health`].
    #[error("the store does not accept writes: {0}")]
    Unavailable(String),
    /// What is stored cannot be read.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
}

/// Which condition of a batch did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// The message is at another revision, or is not there.
    Message(MessageKey),
    /// This idempotency key is taken: read it again.
    IdempotencyKey,
    /// A user with this e-mail exists.
    Email,
    /// A contact with this type and identifier exists under another id.
    Contact,
    /// The work item is not there as it was read.
    Work(WorkKey),
    /// The package is at another revision.
    Package(String),
    /// What the change is about is not there.
    Gone,
}
