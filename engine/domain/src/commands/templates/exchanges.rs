//! The form in which operations about templates travel to a connector's plugin and back.

use serde_json::Value;

use crate::Result;
use crate::commands::connectors::offering::unexpected;
use crate::ports::{Answer, Operation};

/// An operation that plugins with templates know by its name.
pub(super) fn own(kind: &str, value: &Value) -> Operation {
    Operation::Other(kind.to_owned(), value.to_string())
}

/// The JSON of an answer to one of these operations.
pub(super) fn other(answer: Answer) -> Result<String> {
    match answer {
        Answer::Other(json) => Ok(json),
        _ => Err(unexpected()),
    }
}
