//! How rows become bytes: one leading format number, then postcard. A type whose fields change gets the next number and a
//! decoder for the old one (in `tables/earlier`); the format fixture in the tests notices a change that forgot it.

use pombo_domain::ports::{StoreError, StoreResult};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The format of every postcard row whose table has no later one of its own.
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
    match format_of(bytes, what)? {
        (FORMAT, body) => body_of(body, what),
        (format, _) => Err(unknown_format(format, what)),
    }
}

/// A row's format and what comes after it.
pub(crate) fn format_of<'a>(bytes: &'a [u8], what: &str) -> StoreResult<(u8, &'a [u8])> {
    let (format, body) = bytes.split_first().ok_or_else(|| damaged(format!("{what}: an empty row")))?;
    Ok((*format, body))
}

/// A row of a format that this engine does not know.
pub(crate) fn unknown_format(format: u8, what: &str) -> StoreError {
    damaged(format!("{what}: unknown row format {format}"))
}

/// Decodes what comes after a table's own header.
pub(crate) fn body_of<T: DeserializeOwned>(body: &[u8], what: &str) -> StoreResult<T> {
    postcard::from_bytes(body).map_err(|e| damaged(format!("{what}: {e}")))
}

/// What is stored cannot be read.
pub(crate) fn damaged(context: impl Into<String>) -> StoreError {
    StoreError::Damaged(context.into())
}

/// A key that does not parse.
pub(crate) fn bad_key(what: &str) -> StoreError {
    damaged(format!("{what}: a malformed key"))
}
