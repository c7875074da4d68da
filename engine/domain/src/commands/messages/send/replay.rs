//! The result of a repeated idempotency key: that of the first request. The messages are read from the store; the rows that were
//! refused are stored with the key.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Accepted, Idempotency, Row, joined};
use crate::commands::Commands;
use crate::model::StoredMessage;
use crate::ports::IdempotencyRecord;
use crate::{Error, ErrorCode, Field, FieldProblem, MessageKey, Result, TenantIndex};

#[derive(Serialize, Deserialize)]
struct RefusedRow {
    row: usize,
    /// Set for a row whose connector was not found; else its content was wrong.
    not_found: bool,
    message: String,
    fields: Vec<StoredProblem>,
}

/// A problem as it is kept. A place that no key names is kept as the caller wrote it.
#[derive(Serialize, Deserialize)]
struct StoredProblem {
    field: StoredField,
    message: String,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredField {
    Key(Field),
    Written(String),
}

impl From<&FieldProblem> for StoredProblem {
    fn from(problem: &FieldProblem) -> Self {
        let field = match problem.field.only() {
            Some(key) => StoredField::Key(key),
            None => StoredField::Written(problem.field.written(stored)),
        };
        Self { field, message: problem.sentence(stored).into_owned() }
    }
}

impl From<StoredProblem> for FieldProblem {
    fn from(StoredProblem { field, message }: StoredProblem) -> Self {
        match field {
            StoredField::Key(key) => Self::new(key, message),
            StoredField::Written(name) => Self::new(name, message),
        }
    }
}

/// A key as it is kept.
fn stored(field: Field) -> Cow<'static, str> {
    match serde_json::to_value(field) {
        Ok(serde_json::Value::String(text)) => Cow::Owned(text),
        _ => field.word(),
    }
}

/// The refused rows as they are kept with the key.
pub(super) fn refused_rows(rows: &[Option<Error>]) -> Vec<u8> {
    let refused: Vec<RefusedRow> = rows
        .iter()
        .enumerate()
        .filter_map(|(row, error)| {
            let error = error.as_ref()?;
            let fields = error.fields.iter().map(StoredProblem::from).collect();
            let message = error.written(stored).into_owned();
            Some(RefusedRow { row, not_found: error.code == ErrorCode::NotFound, message, fields })
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
                "this idempotency key was used for another request; use a new key for a new request",
            ));
        }
        let damaged = || Error::internal("an idempotency record does not fit its request");
        let refused: Vec<RefusedRow> = serde_json::from_slice(&record.extra).map_err(|_| damaged())?;
        let mut rows: Vec<Option<Error>> = Vec::new();
        rows.resize_with(count, || None);
        for RefusedRow { row, not_found, message, fields } in refused {
            let code = if not_found { ErrorCode::NotFound } else { ErrorCode::Invalid };
            let fields = fields.into_iter().map(FieldProblem::from).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the store of an earlier engine holds; it must be read and written so for good.
    const KEPT: &str = r#"[{"row":1,"not_found":false,"message":"to: bad; scheduledAt: late; message: is required; odd: x","fields":[{"field":"to","message":"bad"},{"field":"scheduledAt","message":"late"},{"field":"message","message":"is required"},{"field":"odd","message":"x"}]}]"#;

    #[test]
    fn refused_rows_keep_their_stored_form() {
        let problems = vec![
            FieldProblem::new(Field::To, "bad"),
            FieldProblem::new(Field::ScheduledAt, "late"),
            FieldProblem::new(Field::Text, "is required"),
            FieldProblem::new("odd", "x"),
        ];
        let kept = refused_rows(&[None, Some(Error::invalid_fields(problems.clone()))]);
        assert_eq!(String::from_utf8(kept).as_deref(), Ok(KEPT));
        let rows: Vec<RefusedRow> = serde_json::from_str(KEPT).expect("the stored form");
        let read: Vec<FieldProblem> = rows.into_iter().flat_map(|row| row.fields).map(FieldProblem::from).collect();
        assert_eq!(read, problems);
    }
}
