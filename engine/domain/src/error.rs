//! The closed set of errors that a use case may return. Facades map the code to their documented body; the message is written for
//! the caller and says what to change. Never put a secret, a message body or an address into an error that is logged.

use std::borrow::Cow;
use std::fmt;

use uuid::Uuid;

use crate::field::{Field, FieldPath, Names};

/// A use case's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Kind of error. Each facade has one mapping from these to its status and body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request's content is wrong; the caller can correct it.
    Invalid,
    /// There is no credential, or it is wrong, expired or revoked.
    Unauthenticated,
    /// The credential is valid but does not allow this.
    Forbidden,
    /// The tenant has nothing with this id (it may belong to another tenant).
    NotFound,
    /// The current state does not allow it, or the same key was used for something else.
    Conflict,
    /// The content exceeds a documented limit.
    TooLarge,
    /// Too many requests or attempts; `retry_after_ms` says when to try again.
    RateLimited,
    /// An automation is active in this conversation: pause it before sending by hand.
    AutomationActive,
    /// The connector's plugin does not support the operation.
    Unsupported,
    /// The person has not written for so long that the channel takes only certain kinds of content.
    WindowClosed,
    /// The connector has no session now; nothing was done.
    Disconnected,
    /// The channel refused it permanently; nothing was done.
    Refused,
    /// It was passed to the channel and may or may not have been carried out there.
    OutcomeUnknown,
    /// The channel or the connector failed in another way; nothing is known to have been done.
    ChannelFailed,
    /// The engine cannot accept it now (it is stopping or busy, or its storage fails); nothing was stored.
    Unavailable,
    /// An internal error; the details are in the log under the request's id.
    Internal,
}

/// A wrong field and what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// Path of the field.
    pub field: FieldPath,
    /// What is wrong and what to change.
    pub message: String,
    /// What ends the sentence and is written in the facade's names.
    pub end: Option<SentenceEnd>,
}

/// The end of a problem's sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentenceEnd {
    /// The name of another field: `must not be after` that one.
    Field(Field),
    /// Problems inside what the field holds.
    Problems(Vec<FieldProblem>),
}

impl FieldProblem {
    /// What is wrong in one field.
    pub fn new(field: impl Into<FieldPath>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), end: None }
    }
    /// What is wrong in one field by comparison with another: the sentence ends with the other's name.
    pub fn against(field: impl Into<FieldPath>, message: impl Into<String>, other: Field) -> Self {
        Self { end: Some(SentenceEnd::Field(other)), ..Self::new(field, message) }
    }
    /// What is wrong in one field because of what it holds: the sentence ends with those problems.
    pub fn because(field: impl Into<FieldPath>, message: impl Into<String>, problems: Vec<Self>) -> Self {
        Self { end: Some(SentenceEnd::Problems(problems)), ..Self::new(field, message) }
    }
    /// What is wrong, without the field itself, in a facade's names.
    pub fn sentence(&self, names: Names) -> Cow<'_, str> {
        match &self.end {
            None => Cow::Borrowed(&self.message),
            Some(SentenceEnd::Field(other)) => Cow::Owned(format!("{} {}", self.message, names(*other))),
            Some(SentenceEnd::Problems(inner)) => Cow::Owned(format!("{} {}", self.message, written(inner, names))),
        }
    }
}

/// Problems as one text, in a facade's names.
pub fn written(problems: &[FieldProblem], names: Names) -> String {
    let one = |problem: &FieldProblem| format!("{}: {}", problem.field.written(names), problem.sentence(names));
    problems.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// An error with its code, a message for the caller and, for wrong input, the fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// Kind of error.
    pub code: ErrorCode,
    /// One sentence that tells the caller what to change. Where there are fields, they say the same: see [`Self::written`].
    pub message: String,
    /// The wrong fields; empty unless `code` is [`ErrorCode::Invalid`], or a field's value is what is unknown or taken
    /// ([`Self::unknown`], [`Self::taken`]).
    pub fields: Vec<FieldProblem>,
    /// For [`ErrorCode::RateLimited`] and [`ErrorCode::Unavailable`]: when to try again, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// For [`ErrorCode::AutomationActive`]: public id of the conversation.
    pub conversation: Option<Uuid>,
    /// For [`ErrorCode::AutomationActive`]: number of the conversation.
    pub conversation_number: Option<u64>,
}

impl Error {
    /// An error with this code and message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            fields: Vec::new(),
            retry_after_ms: None,
            conversation: None,
            conversation_number: None,
        }
    }
    /// Wrong input in one field.
    pub fn invalid(field: impl Into<FieldPath>, message: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldProblem::new(field, message)])
    }
    /// Wrong input in several fields; the message joins them.
    pub fn invalid_fields(fields: Vec<FieldProblem>) -> Self {
        Self { message: written(&fields, Field::word), fields, ..Self::new(ErrorCode::Invalid, "") }
    }
    /// A field names what is not there, or is another tenant's.
    pub fn unknown(field: impl Into<FieldPath>, message: impl Into<String>) -> Self {
        Self { code: ErrorCode::NotFound, ..Self::invalid(field, message) }
    }
    /// A field has a value that only one may have, and another has it.
    pub fn taken(field: Field, message: impl Into<String>) -> Self {
        Self { code: ErrorCode::Conflict, ..Self::invalid(field, message) }
    }
    /// The sentence for a caller who knows the fields by these names.
    pub fn written(&self, names: Names) -> Cow<'_, str> {
        match self.fields.as_slice() {
            [] => Cow::Borrowed(&self.message),
            fields => Cow::Owned(written(fields, names)),
        }
    }
    /// There is nothing with this id, e.g. `not_found("Connector")`.
    pub fn not_found(what: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("{what} not found"))
    }
    /// The current state does not allow it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }
    /// An internal error; `context` goes only to the log.
    pub fn internal(context: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, context)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)
    }
}
