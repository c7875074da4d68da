//! The engine's key/value store with the library's errors.

use pombo_plugin::connector::kv::{self, Change, Entry, Error};
use whatsapp_rust::wacore::store::error::{Result, StoreError};

/// How many entries are asked for at once; the host's own bound.
const PAGE: u32 = 1024;
/// How many deletions go in one batch where all of them need not.
const SWEEP: usize = 512;

pub(crate) fn put(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Change {
    Change { key: key.into(), value: Some(value.into()) }
}

pub(crate) fn delete(key: impl Into<String>) -> Change {
    Change { key: key.into(), value: None }
}

pub(crate) async fn get(key: impl Into<String>) -> Result<Option<Vec<u8>>> {
    kv::get(key.into()).await.map_err(failed)
}

/// All of the changes or none.
pub(crate) async fn batch(changes: Vec<Change>) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    kv::batch(changes).await.map_err(failed)
}

/// The next entries under `prefix` after a key; fewer than a page at the end.
pub(crate) async fn page(prefix: &str, after: Option<String>) -> Result<(Vec<Entry>, bool)> {
    let entries = kv::list_prefix(prefix.to_owned(), after, PAGE).await.map_err(failed)?;
    let more = entries.len() >= PAGE as usize;
    Ok((entries, more))
}

/// Whether anything has this prefix.
pub(crate) async fn any(prefix: &str) -> Result<bool> {
    Ok(!kv::list_prefix(prefix.to_owned(), None, 1).await.map_err(failed)?.is_empty())
}

/// Every entry under a prefix: only for what is bounded by its nature.
pub(crate) async fn all(prefix: &str) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    loop {
        let after = entries.last().map(|entry: &Entry| entry.key.clone());
        let (mut next, more) = page(prefix, after).await?;
        entries.append(&mut next);
        if !more {
            return Ok(entries);
        }
    }
}

/// Deletes everything under a prefix, in several batches.
pub(crate) async fn clear(prefix: &str) -> Result<()> {
    loop {
        let (entries, more) = page(prefix, None).await?;
        sweep(entries.into_iter().map(|entry| entry.key)).await?;
        if !more {
            return Ok(());
        }
    }
}

/// Deletes many keys, in several batches.
pub(crate) async fn sweep(keys: impl IntoIterator<Item = String>) -> Result<()> {
    let mut batched = Vec::new();
    for key in keys {
        batched.push(delete(key));
        if batched.len() >= SWEEP {
            batch(std::mem::take(&mut batched)).await?;
        }
    }
    batch(batched).await
}

/// A stored value that does not decode.
pub(crate) fn damaged(what: &str) -> StoreError {
    StoreError::Serialization(format!("a stored {what} is damaged").into())
}

fn failed(error: Error) -> StoreError {
    let words = match error {
        Error::Refused(why) => format!("the engine does not allow the plugin to store data: {why}"),
        Error::Quota(why) => format!("the connector's storage is full: {why}"),
        Error::TimedOut => "the engine did not store the data in time".to_owned(),
        Error::Unavailable(why) => format!("the engine cannot store data: {why}"),
    };
    StoreError::Database(words.into())
}
