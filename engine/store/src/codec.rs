//! How rows become bytes: one leading format number, then postcard. A type whose fields change gets the next number and a
//! decoder for the old one; the format fixture in the tests notices a change that forgot it.

use pombo_domain::ports::{StoreError, StoreResult};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The present format of every postcard row.
pub(crate) const FORMAT: u8 = 1;

/// Encodes a row.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    append(vec![FORMAT], value)
}

/// Encodes behind a header that the table wrote.
pub(crate) fn append<T: Serialize>(header: Vec<u8>, value: &T) -> Vec<u8> {
    postcard::to_extend(value, header).expect("plain data always fits a growing buffer")
}

/// Decodes a row; `what` names the table for the error.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], what: &str) -> StoreResult<T> {
    match bytes.split_first() {
        Some((&FORMAT, body)) => body_of(body, what),
        Some((&format, _)) => Err(damaged(format!("{what}: unknown row format {format}"))),
        None => Err(damaged(format!("{what}: an empty row"))),
    }
}

/// Decodes what stands behind a table's own header.
pub(crate) fn body_of<T: DeserializeOwned>(body: &[u8], what: &str) -> StoreResult<T> {
    postcard::from_bytes(body).map_err(|e| damaged(format!("{what}: {e}")))
}

/// What is stored can not be read.
pub(crate) fn damaged(context: impl Into<String>) -> StoreError {
    StoreError::Damaged(context.into())
}

/// A key that does not parse.
pub(crate) fn bad_key(what: &str) -> StoreError {
    damaged(format!("{what}: a malformed key"))
}
