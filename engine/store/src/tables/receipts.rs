//! What channels reported about sent messages: a small row for each message with a report, kept as long as the message.

use pombo_domain::MessageKey;
use pombo_domain::model::Receipts;
use pombo_domain::ports::StoreResult;

use crate::backend::Backend;
use crate::codec::{decode, encode};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;

pub(crate) fn put(staged: &mut Staged<'_>, key: MessageKey, receipts: &Receipts) {
    staged.put(Space::Events, keys::receipts(key).bytes(), encode(receipts));
}

pub(crate) fn read(backend: &dyn Backend, key: MessageKey) -> StoreResult<Receipts> {
    let row = backend.get(Space::Events, &keys::receipts(key))?;
    Ok(row.map(|row| parse(&row)).transpose()?.unwrap_or_default())
}

pub(crate) fn parse(row: &[u8]) -> StoreResult<Receipts> {
    decode(row, "receipts")
}
