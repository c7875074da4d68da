//! The error body, and what is said about a query that an operation does not take.

use crate::names::field_name;
use poem::Response;
use poem::http::StatusCode;
use poem_openapi::Object;
use poem_openapi::types::ToJSON;
use pombo_api::error::Failure;
use pombo_api::{WrongParameter, WrongQuery};
use pombo_domain::{Error, FieldProblem};
use uuid::Uuid;

/// The body of every error.
#[derive(Debug, Clone, Object)]
pub(crate) struct ErrorBody {
    /// The error.
    pub(crate) error: ErrorDetail,
}

/// An error, for programs and for people.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ErrorDetail {
    /// A stable word: `invalid`, `unauthenticated`, `forbidden`, `not_found`, `method_not_allowed`, `conflict`, `too_large`,
    /// `unsupported_media_type`, `rate_limited`, `unavailable`, `internal`. Operations that call the channel also have:
    /// `unsupported` (400: the connector's plugin does not offer it), `disconnected` (409: there is no session now, nothing was
    /// done), `refused` (409: the channel refuses it), `window_closed` (409: the person has not written for
    /// so long that the channel takes only certain kinds of content), `unknown_outcome` (502: it may or may not have been done),
    /// `channel_failed` (502). `AUTOMATION_ACTIVE` (409): an automation is active in the conversation `conversationId`; pause it
    /// first.
    pub(crate) code: String,
    /// What is wrong and what to change.
    pub(crate) message: String,
    /// The wrong fields, if the error concerns fields.
    pub(crate) fields: Vec<FieldError>,
    /// Position of the mistake in a template.
    #[oai(skip_serializing_if_is_none)]
    pub(crate) position: Option<TextPosition>,
    /// Id of the conversation, if the error concerns one.
    #[oai(skip_serializing_if_is_none)]
    pub(crate) conversation_id: Option<Uuid>,
    /// Id of the request, as in `X-Request-Id` and in the log.
    pub(crate) request_id: String,
}

/// A wrong field.
#[derive(Debug, Clone, Object)]
pub(crate) struct FieldError {
    /// Path of the field: `name`, `config.host`.
    pub(crate) field: String,
    /// What is wrong and what to change.
    pub(crate) message: String,
}

/// A position in a text.
#[derive(Debug, Clone, Object)]
pub(crate) struct TextPosition {
    /// Line, from 1.
    pub(crate) line: u32,
    /// Column in characters, from 1.
    pub(crate) column: u32,
}

impl ErrorBody {
    fn of(failure: &Failure, request_id: &str) -> Self {
        let code = match failure.status {
            StatusCode::UNAUTHORIZED => "unauthenticated",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::CONFLICT => "conflict",
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
            StatusCode::TOO_MANY_REQUESTS => "rate_limited",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            status if status.is_client_error() => "invalid",
            _ => "internal",
        };
        let code = failure.code.unwrap_or(code);
        let field = |problem: &FieldProblem| FieldError {
            field: problem.field.written(field_name),
            message: problem.sentence(field_name).into_owned(),
        };
        let mut message = failure.written(field_name);
        if let (Some("AUTOMATION_ACTIVE"), Some(id)) = (failure.code, failure.conversation_id) {
            message.push_str(&format!(" (POST /v1/conversations/{id}/pause), or send with duringAutomation true"));
        }
        if let Some((line, column)) = failure.position {
            message.push_str(&format!(" (line {line}, column {column})"));
        }
        let error = ErrorDetail {
            code: code.to_owned(),
            message,
            fields: failure.fields.iter().map(field).collect(),
            position: failure.position.map(|(line, column)| TextPosition { line, column }),
            conversation_id: failure.conversation_id,
            request_id: request_id.to_owned(),
        };
        Self { error }
    }
}

/// Writes a failure's body.
pub(crate) fn write_failure(failure: &Failure, request_id: &str) -> Response {
    let body = ErrorBody::of(failure, request_id).to_json_string();
    Response::builder().content_type("application/json").body(body)
}

/// Refuses a query, naming each parameter that is wrong.
pub(crate) fn refuse_query(query: &WrongQuery<'_>) -> Result<Response, Failure> {
    let problem = |wrong: &WrongParameter| match wrong {
        WrongParameter::Repeated(name) => FieldProblem::new(name.clone(), "was given twice"),
        WrongParameter::Unknown(name) => {
            let message = match query.known {
                [] => "this operation takes no query parameters".to_owned(),
                known => format!("is not known here; known are {}", known.join(", ")),
            };
            FieldProblem::new(name.clone(), message)
        }
    };
    Err(Error::invalid_fields(query.problems.iter().map(problem).collect()).into())
}
