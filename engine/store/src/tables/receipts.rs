//! What channels reported about sent messages: a small row for each message with a report, kept as long as the message.
//!
//! A row is `format:1` and the reports as postcard. In format 2, what else the channel told of a failure follows: its code, its id of the
//! message, and the failure that came before the outcome. Only reports with any of these are written in format 2.

use pombo_domain::MessageKey;
use pombo_domain::model::{EarlyFailure, LateFailure, Reason, Receipts};
use pombo_domain::ports::StoreResult;
use serde::{Deserialize, Serialize};

use crate::backend::Backend;
use crate::codec::{FORMAT, append, body_of, format_of, unknown_format};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;

/// With [`Failure`].
const FAILURE_FORMAT: u8 = 2;

const WHAT: &str = "receipts";

/// What format 2 has behind the reports.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct Failure {
    /// The code of [`Receipts::failed`].
    code: Option<String>,
    /// The id of [`Receipts::failed`].
    provider_id: Option<String>,
    /// [`Receipts::early`].
    early: Option<Early>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Early {
    revision: u32,
    reason: Reason,
    channel_code: Option<String>,
    provider_id: Option<String>,
    later: bool,
}

impl From<&EarlyFailure> for Early {
    fn from(early: &EarlyFailure) -> Self {
        let LateFailure { reason, provider_id, later } = early.failure.clone();
        let channel_code = reason.channel_code.clone();
        Self { revision: early.revision, reason, channel_code, provider_id, later }
    }
}

impl From<Early> for EarlyFailure {
    fn from(early: Early) -> Self {
        let Early { revision, reason, channel_code, provider_id, later } = early;
        let reason = reason.with_channel_code(channel_code);
        Self { revision, failure: LateFailure { reason, provider_id, later } }
    }
}

fn row(receipts: &Receipts) -> Vec<u8> {
    let (code, provider_id) = match &receipts.failed {
        Some(failed) => (failed.code.clone(), failed.provider_id.clone()),
        None => (None, None),
    };
    let failure = Failure { code, provider_id, early: receipts.early.as_ref().map(Early::from) };
    if failure == Failure::default() {
        append(vec![FORMAT], receipts)
    } else {
        append(vec![FAILURE_FORMAT], &(receipts, failure))
    }
}

pub(crate) fn put(staged: &mut Staged<'_>, key: MessageKey, receipts: &Receipts) {
    staged.put(Space::Events, keys::receipts(key).bytes(), row(receipts));
}

pub(crate) fn read(backend: &dyn Backend, key: MessageKey) -> StoreResult<Receipts> {
    let row = backend.get(Space::Events, &keys::receipts(key))?;
    Ok(row.map(|row| parse(&row)).transpose()?.unwrap_or_default())
}

pub(crate) fn parse(row: &[u8]) -> StoreResult<Receipts> {
    match format_of(row, WHAT)? {
        (FORMAT, body) => body_of(body, WHAT),
        (FAILURE_FORMAT, body) => {
            let (mut receipts, Failure { code, provider_id, early }) = body_of::<(Receipts, Failure)>(body, WHAT)?;
            if let Some(failed) = &mut receipts.failed {
                (failed.code, failed.provider_id) = (code, provider_id);
            }
            receipts.early = early.map(EarlyFailure::from);
            Ok(receipts)
        }
        (format, _) => Err(unknown_format(format, WHAT)),
    }
}

#[cfg(test)]
mod tests {
    use pombo_domain::Timestamp;
    use pombo_domain::model::{NotDelivered, ReasonCode, ReceiptKind};

    use super::*;

    fn failed() -> Receipts {
        let mut receipts = Receipts { provider_id: Some("p".to_owned()), ..Receipts::default() };
        receipts.note(Some("5511"), ReceiptKind::Read, Timestamp(5), None);
        receipts.note(None, ReceiptKind::Failed, Timestamp(7), Some("why"));
        receipts
    }

    #[test]
    fn a_row_without_a_code_is_what_earlier_engines_wrote() {
        // When it failed, and why, are the last bytes: there is one, at 7 (zigzag), with three letters.
        let row = row(&failed());
        assert_eq!((row[0], &row[row.len() - 6..]), (FORMAT, &b"\x01\x0e\x03why"[..]));
        let read = parse(&row).expect("a row of format 1");
        assert_eq!(read, failed());
        let told = NotDelivered { at: Timestamp(7), why: "why".to_owned(), ..NotDelivered::default() };
        assert_eq!((read.failed, read.early), (Some(told), None));
    }

    #[test]
    fn what_the_channel_told_of_a_failure_survives() {
        let mut receipts = failed();
        let first = receipts.failed.as_mut().expect("it failed");
        (first.code, first.provider_id) = (Some("131026".to_owned()), Some("p-1".to_owned()));
        let only_first = row(&receipts);
        assert_eq!((only_first[0], parse(&only_first)), (FAILURE_FORMAT, Ok(receipts.clone())));
        let reason = Reason::new(ReasonCode::CategoryRefused, "no").with_channel_code(Some("131050"));
        let failure = LateFailure { reason, provider_id: Some("p-2".to_owned()), later: true };
        receipts.early = Some(EarlyFailure { revision: 4, failure });
        let all = row(&receipts);
        assert_eq!((all[0], parse(&all)), (FAILURE_FORMAT, Ok(receipts)));
    }
}
