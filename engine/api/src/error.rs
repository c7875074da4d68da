//! Failures on their way to a caller. A handler fails with a [`Failure`] inside the type that declares which statuses the
//! operation may answer; the facade's endpoint ([`crate::endpoint`]) writes the body in the facade's own form. The framework's own
//! errors (unknown path, wrong parameter …) become a [`Failure`] too.

use std::marker::PhantomData;

use poem::http::StatusCode;
use poem_openapi::ApiResponse;
use poem_openapi::error::{ParseParamError, ParsePathError};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use pombo_domain::error::written;
use pombo_domain::field::Names;
use pombo_domain::{Error, ErrorCode, FieldProblem};

use crate::reasons;

/// What went wrong, for the caller.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The HTTP status.
    pub status: StatusCode,
    /// What is wrong and what to change. With fields, they say the same: see [`Self::written`].
    pub message: String,
    /// The wrong fields, if the failure concerns fields.
    pub fields: Vec<FieldProblem>,
    /// After how many milliseconds to try again.
    pub retry_after_ms: Option<u64>,
    /// Details for the log only.
    pub cause: Option<String>,
    /// A stable word, where the status is not specific enough.
    pub code: Option<&'static str>,
    /// The connector that the failure concerns, where a facade names it.
    pub connector_id: Option<uuid::Uuid>,
    /// The conversation that the failure concerns.
    pub conversation_id: Option<uuid::Uuid>,
    /// The number of that conversation.
    pub conversation_number: Option<u64>,
    /// The message that the failure concerns.
    pub message_id: Option<uuid::Uuid>,
    /// Where a text is wrong: line and column, both from 1, the column in characters.
    pub position: Option<(u32, u32)>,
}

impl Failure {
    /// A failure with this status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            fields: Vec::new(),
            retry_after_ms: None,
            cause: None,
            code: None,
            connector_id: None,
            conversation_id: None,
            conversation_number: None,
            message_id: None,
            position: None,
        }
    }
    /// A failure with status 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
    /// A failure with status 401.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }
    /// A failure with status 404: `what` was not found.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{what} not found"))
    }
    /// A failure with status 413.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }
    /// A failure with status 415: the Content-Type is `got` and should be `wanted`.
    pub fn wrong_content_type(got: &str, wanted: &str) -> Self {
        let got: String = got.chars().take(100).filter(|c| !c.is_control()).collect();
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Content-Type {got:?} is not accepted here; send {wanted}"),
        )
    }
    /// A failure with status 500; `cause` goes only to the log.
    pub fn internal(cause: impl Into<String>) -> Self {
        let message = "internal error; the log has the details under this answer's X-Request-Id";
        Self { cause: Some(cause.into()), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, message) }
    }

    /// The status that it was made with, for facades that document no others.
    pub fn own_status(&self) -> StatusCode {
        self.status
    }

    /// The message for a caller who knows the fields by these names.
    pub fn written(&self, names: Names) -> String {
        match self.fields.as_slice() {
            [] => self.message.clone(),
            fields => written(fields, names),
        }
    }

    /// Converts an error of the framework or of a handler.
    pub fn of(error: poem::Error) -> Self {
        if let Some(failure) = error.downcast_ref::<Self>() {
            return failure.clone();
        }
        if let Some(ParseParamError { name, reason }) = error.downcast_ref::<ParseParamError>() {
            return Error::invalid(*name, reasons::of_parameter(reason)).into();
        }
        if let Some(ParsePathError { name, reason }) = error.downcast_ref::<ParsePathError>() {
            return Error::invalid(*name, reasons::of_parameter(reason)).into();
        }
        let status = error.status();
        match status {
            StatusCode::NOT_FOUND => Self::new(status, "no operation has this path"),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(status, "this path does not take this method; see Allow"),
            status if status.is_client_error() => Self::new(status, error.to_string()),
            _ => Self::internal(error.to_string()),
        }
    }
}

impl poem::error::ResponseError for Failure {
    fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error.code {
            ErrorCode::Invalid => StatusCode::BAD_REQUEST,
            ErrorCode::Unsupported => return named(StatusCode::BAD_REQUEST, "unsupported", error),
            ErrorCode::Disconnected => return named(StatusCode::CONFLICT, "disconnected", error),
            ErrorCode::AutomationActive => {
                let (conversation_id, conversation_number) = (error.conversation, error.conversation_number);
                return Self {
                    conversation_id,
                    conversation_number,
                    ..named(StatusCode::CONFLICT, "AUTOMATION_ACTIVE", error)
                };
            }
            ErrorCode::WindowClosed => return named(StatusCode::CONFLICT, "window_closed", error),
            ErrorCode::Refused => return named(StatusCode::CONFLICT, "refused", error),
            ErrorCode::OutcomeUnknown => return named(StatusCode::BAD_GATEWAY, "unknown_outcome", error),
            ErrorCode::ChannelFailed => return named(StatusCode::BAD_GATEWAY, "channel_failed", error),
            ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::Conflict => StatusCode::CONFLICT,
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Internal => return Self::internal(error.message),
        };
        Self { fields: error.fields, retry_after_ms: error.retry_after_ms, ..Self::new(status, error.message) }
    }
}

/// A failure with a code that is more specific than its status.
fn named(status: StatusCode, code: &'static str, error: Error) -> Failure {
    let retry_after_ms = error.retry_after_ms;
    Failure { code: Some(code), fields: error.fields, retry_after_ms, ..Failure::new(status, error.message) }
}

/// The statuses that an operation may fail with, to be joined with `|` as the parameter of [`Fails`].
pub mod status {
    /// The status 400.
    pub const BAD_REQUEST: u16 = 1;
    /// The status 401.
    pub const UNAUTHORIZED: u16 = 1 << 1;
    /// The status 403.
    pub const FORBIDDEN: u16 = 1 << 2;
    /// The status 404.
    pub const NOT_FOUND: u16 = 1 << 3;
    /// The status 409.
    pub const CONFLICT: u16 = 1 << 4;
    /// The status 413.
    pub const TOO_LARGE: u16 = 1 << 5;
    /// The status 415.
    pub const CONTENT_TYPE: u16 = 1 << 6;
    /// The status 429.
    pub const TOO_MANY: u16 = 1 << 7;
    /// The status 503, which every operation that writes may answer.
    pub const UNAVAILABLE: u16 = 1 << 8;
    /// The status 502, which every operation may answer that asks the channel.
    pub const BAD_GATEWAY: u16 = 1 << 9;
    /// The status 422, of a facade that tells wrong values from a request that cannot be read.
    pub const UNPROCESSABLE: u16 = 1 << 10;
}

const DECLARED: [(u16, u16, &str); 11] = [
    (status::BAD_REQUEST, 400, "The request is wrong; `message` says what to change. Nothing was stored."),
    (status::UNAUTHORIZED, 401, "There is no credential, or it is wrong, expired or revoked."),
    (status::FORBIDDEN, 403, "The credential does not allow this operation."),
    (status::NOT_FOUND, 404, "The credential's tenant has nothing with this id."),
    (
        status::CONFLICT,
        409,
        "The current state does not allow the request, or the Idempotency-Key was used for another request.",
    ),
    (status::TOO_LARGE, 413, "The body or a file is larger than allowed. Nothing was stored."),
    (status::CONTENT_TYPE, 415, "The operation does not accept this Content-Type."),
    (
        status::UNPROCESSABLE,
        422,
        "A value is wrong, or the present state does not allow the request; `message` says what to change.",
    ),
    (status::TOO_MANY, 429, "Too many requests or attempts; Retry-After says when to try again."),
    (
        status::BAD_GATEWAY,
        502,
        "The channel or its plugin failed, or did not answer in time; in that case the request may or may not have been carried out.",
    ),
    (
        status::UNAVAILABLE,
        503,
        "The engine cannot do it now (it is stopping or busy, or its disk fails). Nothing was stored.",
    ),
];

/// The failure of an operation that may answer the statuses in `SET` (besides 500), with bodies of the facade's form `B`.
pub struct Fails<B, const SET: u16>(Failure, PhantomData<fn() -> B>);

impl<B, const SET: u16, E: Into<Failure>> From<E> for Fails<B, SET> {
    fn from(error: E) -> Self {
        Self(error.into(), PhantomData)
    }
}

impl<B, const SET: u16> From<Fails<B, SET>> for poem::Error {
    fn from(fails: Fails<B, SET>) -> Self {
        fails.0.into()
    }
}

impl<B: Type + Send, const SET: u16> ApiResponse for Fails<B, SET> {
    fn meta() -> MetaResponses {
        let declared = DECLARED.iter().filter(|(bit, ..)| SET & bit != 0).map(|(_, status, text)| (*status, *text));
        let internal = (500, "An internal error. The log has the details under this response's X-Request-Id.");
        let response = |(status, description): (u16, &'static str)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType { content_type: "application/json", schema: B::schema_ref() }],
            headers: if matches!(status, 429 | 503) { vec![retry_after()] } else { Vec::new() },
        };
        MetaResponses { responses: declared.chain([internal]).map(response).collect() }
    }

    fn register(registry: &mut Registry) {
        B::register(registry);
    }
}

/// The header `Retry-After` in the document.
fn retry_after() -> MetaHeader {
    MetaHeader {
        name: "Retry-After".to_owned(),
        description: Some("Seconds to wait before the next attempt.".to_owned()),
        required: false,
        deprecated: false,
        schema: u32::schema_ref(),
    }
}
