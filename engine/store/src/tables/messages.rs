//! Records: what was accepted, written once.
//!
//! A row is `format:1 id:16 created_at:8` and the content as postcard. The content is encoded on the caller's task; the
//! committer only fills in the header. Format 2 brought the message's options, format 3 what its files are shown as, format 4
//! until when it may be sent, format 5 content of a plugin's own, and the template and the campaign that it is of; rows of
//! earlier formats are read, never written.

use pombo_domain::model::{Message, NewMessage};
use pombo_domain::ports::StoreResult;
use pombo_domain::{MessageKey, Timestamp};
use uuid::Uuid;

use super::earlier::{NewMessage1, NewMessage2, NewMessage3, NewMessage4};
use crate::backend::{Backend, Bytes};
use crate::codec::{append, body_of, damaged, unknown_format};
use crate::keys;
use crate::space::Space;

const FORMAT: u8 = 5;

const HEADER: usize = 1 + 16 + 8;

const WHAT: &str = "messages";

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
    let content = match row[0] {
        FORMAT => body_of(body, WHAT)?,
        4 => body_of::<NewMessage4>(body, WHAT)?.into(),
        3 => body_of::<NewMessage3>(body, WHAT)?.into(),
        2 => body_of::<NewMessage2>(body, WHAT)?.into(),
        1 => body_of::<NewMessage1>(body, WHAT)?.into(),
        format => return Err(unknown_format(format, WHAT)),
    };
    Ok(Message { id, key, created_at, content })
}

/// Id, creation and the encoded content; the same in all formats.
fn header(row: &[u8]) -> StoreResult<(Uuid, Timestamp, &[u8])> {
    let read = || {
        let (head, body) = row.split_at_checked(HEADER)?;
        let id = Uuid::from_slice(&head[1..17]).ok()?;
        let at = i64::from_le_bytes(head[17..].try_into().ok()?);
        Some((id, Timestamp(at), body))
    };
    read().ok_or_else(|| damaged("messages: a torn row"))
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

#[cfg(test)]
mod tests {
    use pombo_domain::model::{FileKind, MessageAction, OwnContent};
    use pombo_domain::{ConnectorIndex, TenantIndex};
    use pombo_testkit::samples;

    use super::*;

    #[test]
    fn a_row_of_format_3_is_read_without_the_end_of_its_time() {
        let mut content = samples::message(ConnectorIndex(0), "ana", "Oi");
        content.options.file_kind = Some(FileKind::Audio);
        let mut row = prepare(&content);
        complete(&mut row, Uuid::from_u128(7), Timestamp(1));
        // The end of its time, its template and its campaign, which there are none of, are the last bytes.
        assert_eq!(row.split_off(row.len() - 3), [0, 0, 0]);
        row[0] = 3;
        let key = MessageKey { tenant: TenantIndex(0), serial: 0 };
        let read = parse(key, &row).expect("a row of format 3");
        assert_eq!((read.id, read.content.text), (Uuid::from_u128(7), content.text));
        assert_eq!(read.content.options, content.options);
    }

    #[test]
    fn a_row_of_format_4_is_read_without_a_template_and_a_campaign() {
        let mut content = samples::message(ConnectorIndex(0), "ana", "Oi");
        content.options.expires_at = Some(Timestamp(9));
        let mut row = prepare(&content);
        complete(&mut row, Uuid::from_u128(7), Timestamp(1));
        assert_eq!(row.split_off(row.len() - 2), [0, 0]);
        row[0] = 4;
        let key = MessageKey { tenant: TenantIndex(0), serial: 0 };
        assert_eq!(parse(key, &row).expect("a row of format 4").content.options, content.options);
    }

    #[test]
    fn content_of_a_plugins_own_survives() {
        let mut content = samples::message(ConnectorIndex(0), "ana", "Oi");
        let own = OwnContent { kind: "location".to_owned(), value: "{}".to_owned() };
        content.options.action = MessageAction::Other(own);
        (content.options.template, content.options.campaign) = (Some(7), Some(8));
        let mut row = prepare(&content);
        complete(&mut row, Uuid::from_u128(7), Timestamp(1));
        let key = MessageKey { tenant: TenantIndex(0), serial: 0 };
        assert_eq!(parse(key, &row).expect("a row").content.options, content.options);
    }
}
