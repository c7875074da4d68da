//! The closed set of errors that a use case may end with. Facades map the code to their documented body; the message is
//! written for the caller and says what to change. Never put a secret, a message body or an address in one that is logged.

use std::fmt;

use uuid::Uuid;

/// A use case's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was. Each facade has one mapping from these to its status and body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request's content is wrong; changing it helps.
    Invalid,
    /// No credential, or one that is wrong, expired or revoked.
    Unauthenticated,
    /// A valid credential without the right to do this.
    Forbidden,
    /// Nothing by that id for this tenant (also: it belongs to another one).
    NotFound,
    /// The resource's state does not allow it now, or the same key was used for something else.
    Conflict,
    /// The content exceeds a documented limit.
    TooLarge,
    /// Too many requests or attempts; `retry_after_ms` says when to come back.
    RateLimited,
    /// An automation answers this conversation: pause it before sending by hand.
    AutomationActive,
    /// The operation is not offered by this connector's plugin.
    Unsupported,
    /// The connector has no session now; nothing was done.
    Disconnected,
    /// The channel refused it for good; nothing was done.
    Refused,
    /// It was handed to the channel and may or may not have been done there.
    OutcomeUnknown,
    /// The channel or the connector failed otherwise; nothing is known to have been done.
    ChannelFailed,
    /// The engine cannot take it now (draining, storage failing); nothing was stored.
    Unavailable,
    /// A defect of ours; the details are in the log under the request's id.
    Internal,
}

/// One field that is wrong and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FieldProblem {
    /// Where, as the caller wrote it: `to`, `messages[3].priority`, `config.host`.
    pub field: String,
    /// What is wrong and what to change.
    pub message: String,
}

/// An error with its code, a sentence for the caller and, for bad input, the fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// The kind.
    pub code: ErrorCode,
    /// One sentence that tells the caller what to change.
    pub message: String,
    /// The fields that are wrong; empty unless `code` is [`ErrorCode::Invalid`].
    pub fields: Vec<FieldProblem>,
    /// For [`ErrorCode::RateLimited`] and [`ErrorCode::Unavailable`]: when to try again, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// For [`ErrorCode::AutomationActive`]: the conversation, by its public id.
    pub conversation: Option<Uuid>,
}

impl Error {
    /// An error of `code` with a sentence for the caller.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fields: Vec::new(), retry_after_ms: None, conversation: None }
    }
    /// Bad input in one field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldProblem { field: field.into(), message: message.into() }])
    }
    /// Bad input in several fields; the message joins them.
    pub fn invalid_fields(fields: Vec<FieldProblem>) -> Self {
        let message = fields.iter().map(|f| format!("{}: {}", f.field, f.message)).collect::<Vec<_>>().join("; ");
        Self { fields, ..Self::new(ErrorCode::Invalid, message) }
    }
    /// Nothing by that id, e.g. `not_found("Connector")`.
    pub fn not_found(what: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("{what} not found"))
    }
    /// The state does not allow it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }
    /// A defect of ours; `context` goes to the log only by way of this value.
    pub fn internal(context: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, context)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)
    }
}
