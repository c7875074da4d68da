//! Records: what was accepted, written once.
//!
//! A row is `format:1 id:16 created_at:8` and the content as postcard. The content is encoded on the caller's task; the
//! committer only fills in the header.

use pombo_domain::model::{Message, NewMessage};
use pombo_domain::ports::StoreResult;
use pombo_domain::{MessageKey, Timestamp};
use uuid::Uuid;

use crate::backend::{Backend, Bytes};
use crate::codec::{FORMAT, append, body_of, damaged};
use crate::keys::{self, Space};

const HEADER: usize = 1 + 16 + 8;

/// A row without id and time.
pub(crate) fn prepare(content: &NewMessage) -> Vec<u8> {
    let mut row = Vec::with_capacity(HEADER + 160 + content.text.len());
    row.push(FORMAT);
    row.resize(HEADER, 0);
    append(row, content)
}

/// Fills in the header of a prepared row.
pub(crate) fn complete(row: &mut [u8], id: Uuid, created_at: Timestamp) {
    row[1..17].copy_from_slice(id.as_bytes());
    row[17..HEADER].copy_from_slice(&created_at.0.to_le_bytes());
}

pub(crate) fn parse(key: MessageKey, row: &[u8]) -> StoreResult<Message> {
    let (id, created_at, body) = header(row)?;
    Ok(Message { id, key, created_at, content: body_of(body, "messages")? })
}

/// Id, creation and the encoded content.
fn header(row: &[u8]) -> StoreResult<(Uuid, Timestamp, &[u8])> {
    let read = || {
        let (head, body) = row.split_at_checked(HEADER)?;
        let id = Uuid::from_slice(&head[1..17]).ok()?;
        let at = i64::from_le_bytes(head[17..].try_into().ok()?);
        (head[0] == FORMAT).then_some((id, Timestamp(at), body))
    };
    read().ok_or_else(|| damaged("messages: an unknown row format"))
}

/// The id alone.
pub(crate) fn id_of(row: &[u8]) -> StoreResult<Uuid> {
    Ok(header(row)?.0)
}

pub(crate) fn read_row(backend: &dyn Backend, key: MessageKey) -> StoreResult<Option<Bytes>> {
    backend.get(Space::Messages, &keys::message(key))
}

pub(crate) fn read(backend: &dyn Backend, key: MessageKey) -> StoreResult<Option<Message>> {
    read_row(backend, key)?.map(|row| parse(key, &row)).transpose()
}
