//! Reads messages that stand in a queue, so that a damaged one blocks no other. It must not know which queue.

use pombo_domain::MessageKey;
use pombo_domain::model::message::StoredMessage;
use pombo_domain::ports::{Store, StoreError, StoreResult};

/// Messages by key, in this order. One that cannot be read is left out and logged, as if it were not there.
///
/// # Errors
/// Where the store fails otherwise than over a damaged message.
pub(crate) fn messages(store: &dyn Store, keys: &[MessageKey]) -> StoreResult<Vec<Option<StoredMessage>>> {
    match store.messages(keys) {
        Err(StoreError::Damaged(_)) => keys
            .iter()
            .map(|key| match store.message(*key) {
                Err(StoreError::Damaged(what)) => {
                    tracing::error!(tenant = key.tenant.0, serial = key.serial, what, "a queued message is damaged");
                    Ok(None)
                }
                other => other,
            })
            .collect(),
        other => other,
    }
}
