//! The facade's error body, and which statuses its operations declare.

use poem::Response;
use poem_openapi::Object;
use serde::Serialize;

use crate::names::field_name;
use pombo_api::error::{Fails, Failure, status};

/// An error.
#[derive(Debug, Serialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename_all = "camelCase")]
pub struct ApiError {
    /// The HTTP status.
    pub status_code: u16,
    /// What is wrong and what to change; several problems are joined by `; `.
    pub message: String,
    /// The name of the HTTP status.
    pub error: String,
}

impl ApiError {
    /// The body of a failure.
    pub fn of(failure: &Failure) -> Self {
        Self {
            status_code: failure.status.as_u16(),
            message: failure.written(field_name),
            error: failure.status.canonical_reason().unwrap_or("Error").to_owned(),
        }
    }
}

/// Writes a failure as the facade does.
pub fn write_failure(failure: &Failure, _request_id: &str) -> Response {
    let body = serde_json::to_vec(&ApiError::of(failure)).unwrap_or_default();
    Response::builder().content_type("application/json").body(body)
}

/// Of every operation with a credential: 403 to a key that is bound to one connector.
const EVERY: u16 = status::BAD_REQUEST | status::UNAUTHORIZED | status::FORBIDDEN;
const BODY: u16 = status::TOO_LARGE | status::CONTENT_TYPE;

/// Of an operation that lists or reads without naming one thing.
pub type ReadFails = Fails<ApiError, EVERY>;
/// Of an operation that names a connector or contact.
pub type NamedFails = Fails<ApiError, { EVERY | status::NOT_FOUND }>;
/// Of the login.
pub type LoginFails =
    Fails<ApiError, { status::BAD_REQUEST | status::UNAUTHORIZED | BODY | status::TOO_MANY | status::UNAVAILABLE }>;
/// Of a send.
pub type SendFails = Fails<ApiError, { EVERY | BODY | status::NOT_FOUND | status::CONFLICT | status::UNAVAILABLE }>;
/// Of a bulk, whose 400 has a form of its own.
pub type BulkFails =
    Fails<ApiError, { status::UNAUTHORIZED | status::FORBIDDEN | BODY | status::CONFLICT | status::UNAVAILABLE }>;
/// Of an operation that makes a contact.
pub type SaveFails = Fails<ApiError, { EVERY | BODY | status::CONFLICT | status::UNAVAILABLE }>;
/// Of an operation that changes a named thing.
pub type ChangeFails = Fails<ApiError, { EVERY | BODY | status::NOT_FOUND | status::CONFLICT | status::UNAVAILABLE }>;
/// Of an operation that asks the channel about a connector.
pub type SessionFails = Fails<
    ApiError,
    { EVERY | status::NOT_FOUND | status::CONFLICT | status::TOO_MANY | status::BAD_GATEWAY | status::UNAVAILABLE },
>;
/// Of an operation that removes a named thing.
pub type RemoveFails = Fails<ApiError, { EVERY | status::NOT_FOUND | status::CONFLICT | status::UNAVAILABLE }>;
