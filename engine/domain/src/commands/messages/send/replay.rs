//! The result of a repeated Idempotency-Key: that of the first request. The messages are read from the store; the rows that were
//! refused are stored with the key.

use serde::{Deserialize, Serialize};

use super::{Accepted, Idempotency, Row, joined};
use crate::commands::Commands;
use crate::model::StoredMessage;
use crate::ports::IdempotencyRecord;
use crate::{Error, ErrorCode, FieldProblem, MessageKey, Result, TenantIndex};

#[derive(Serialize, Deserialize)]
struct RefusedRow {
    row: usize,
    /// Set for a row whose connector was not found; else its content was wrong.
    not_found: bool,
    message: String,
    fields: Vec<FieldProblem>,
}

/// The refused rows as they are kept with the key.
pub(super) fn refused_rows(rows: &[Option<Error>]) -> Vec<u8> {
    let refused: Vec<RefusedRow> = rows
        .iter()
        .enumerate()
        .filter_map(|(row, error)| {
            let Error { code, message, fields, .. } = error.clone()?;
            Some(RefusedRow { row, not_found: code == ErrorCode::NotFound, message, fields })
        })
        .collect();
    serde_json::to_vec(&refused).expect("texts and numbers always serialise")
}

impl Commands {
    /// The first result of a request of `count` rows.
    pub(super) fn replayed(
        &self,
        tenant: TenantIndex,
        known: &Idempotency,
        record: &IdempotencyRecord,
        count: usize,
    ) -> Result<(Vec<Row>, Vec<StoredMessage>)> {
        if record.request != known.request {
            return Err(Error::conflict(
                "this Idempotency-Key was used for another request; use a new key for a new request",
            ));
        }
        let damaged = || Error::internal("an idempotency record does not fit its request");
        let refused: Vec<RefusedRow> = serde_json::from_slice(&record.extra).map_err(|_| damaged())?;
        let mut rows: Vec<Option<Error>> = Vec::new();
        rows.resize_with(count, || None);
        for RefusedRow { row, not_found, message, fields } in refused {
            let code = if not_found { ErrorCode::NotFound } else { ErrorCode::Invalid };
            *rows.get_mut(row).ok_or_else(damaged)? = Some(Error { fields, ..Error::new(code, message) });
        }
        let (first, made) = record.messages;
        let keys: Vec<_> =
            (first..first.saturating_add(u64::from(made))).map(|serial| MessageKey { tenant, serial }).collect();
        let messages = self.ports().store.messages(&keys)?;
        let messages: Vec<StoredMessage> = messages.into_iter().collect::<Option<_>>().ok_or_else(damaged)?;
        // As they were born: the first answer, not where they stand by now.
        let born: Vec<StoredMessage> = messages
            .into_iter()
            .map(|stored| StoredMessage { state: stored.message.initial_state(), message: stored.message })
            .collect();
        let accepted = born.iter().map(|stored| Accepted {
            id: stored.message.id,
            status: stored.state.status,
            created_at: stored.message.created_at,
        });
        Ok((joined(rows, accepted.collect()), born))
    }
}
