//! The error body, and which status each failure has. The documentation shows statuses and no bodies, and its two operations mark a
//! success in two ways (`success`, `status`): the error body says both.

use std::borrow::Cow;
use std::collections::BTreeMap;

use poem::Response;
use poem::http::StatusCode;
use poem_openapi::Object;
use pombo_api::error::{Fails, Failure, status};
use pombo_domain::Field;
use serde::Serialize;
use uuid::Uuid;

/// The body of every error.
#[derive(Debug, Serialize, Object)]
pub struct ErrorBody {
    /// Always `false`.
    pub success: bool,
    /// Always `error`.
    pub status: String,
    /// What is wrong and what to change; of a message that was not answered in time, whether it may be sent again.
    pub message: String,
    /// What is wrong with each field; empty where the error concerns none.
    pub errors: BTreeMap<String, Vec<String>>,
    /// Our id of the message, where it was taken and its outcome is not known.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_uuid: Option<Uuid>,
}

impl ErrorBody {
    /// The body of a failure.
    pub fn of(failure: &Failure) -> Self {
        let mut errors: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for problem in &failure.fields {
            let sentence = problem.sentence(field_name).into_owned();
            errors.entry(problem.field.written(field_name)).or_default().push(sentence);
        }
        let mut message = failure.written(field_name);
        if failure.code == Some(WINDOW_CLOSED) {
            message.push_str(AFTER_THE_WINDOW);
        }
        Self { success: false, status: "error".to_owned(), message, errors, message_uuid: failure.message_id }
    }
}

/// Writes a failure's body.
pub fn write_failure(failure: &Failure, _request_id: &str) -> Response {
    let body = serde_json::to_vec(&ErrorBody::of(failure)).unwrap_or_default();
    Response::builder().content_type("application/json").body(body)
}

/// The code of a failure, and of a reason, where the contact has not written for too long.
pub(crate) const WINDOW_CLOSED: &str = "window_closed";
/// What to do about that.
pub(crate) const AFTER_THE_WINDOW: &str =
    "; send an approved template with POST /send-message, or wait until the contact writes";

/// What the channel cannot do now is not the fault of the request: 500, as Meta's own failures are.
const NOT_NOW: [&str; 1] = ["disconnected"];

/// The status of a failure: one of the documented ones. 404 is left for paths that no operation has.
pub fn failure_status(failure: &Failure) -> StatusCode {
    if failure.code.is_some_and(|code| NOT_NOW.contains(&code)) {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    match failure.status {
        StatusCode::TOO_MANY_REQUESTS => StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::FORBIDDEN => StatusCode::UNAUTHORIZED,
        StatusCode::NOT_FOUND if !failure.fields.is_empty() => StatusCode::BAD_REQUEST,
        known @ (StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => known,
        status if status.is_client_error() => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A field's documented name.
pub(crate) fn field_name(field: Field) -> Cow<'static, str> {
    Cow::Borrowed(match field {
        Field::Connector => "instance_id",
        Field::To => "number",
        Field::Text => "message_content",
        Field::AttachmentUrl | Field::FileId | Field::FileKind | Field::FileName | Field::File => "media_url",
        other => return other.word(),
    })
}

/// What both operations may answer, besides 500.
pub(crate) const SEND: u16 = status::BAD_REQUEST | status::UNAUTHORIZED;

/// A failure of an operation of this API.
pub(crate) type Refused = Fails<ErrorBody, SEND>;

#[cfg(test)]
mod tests {
    use pombo_domain::{Error, ErrorCode, FieldProblem};

    use super::*;

    fn status_of(error: Error) -> u16 {
        failure_status(&Failure::from(error)).as_u16()
    }

    #[test]
    fn each_error_has_a_documented_status() {
        for (code, status) in [
            (ErrorCode::Unauthenticated, 401),
            (ErrorCode::Forbidden, 401),
            (ErrorCode::Conflict, 400),
            (ErrorCode::TooLarge, 400),
            (ErrorCode::AutomationActive, 400),
            (ErrorCode::Unsupported, 400),
            (ErrorCode::Refused, 400),
            (ErrorCode::RateLimited, 500),
            (ErrorCode::Disconnected, 500),
            (ErrorCode::OutcomeUnknown, 500),
            (ErrorCode::ChannelFailed, 500),
            (ErrorCode::Unavailable, 500),
            (ErrorCode::Internal, 500),
        ] {
            assert_eq!(status_of(Error::new(code, "m")), status, "{code:?}");
        }
        assert_eq!(status_of(Error::invalid(Field::Text, "is required")), 400);
        assert_eq!(status_of(Error::unknown(Field::Connector, "is unknown")), 400);
    }

    #[test]
    fn a_closed_window_is_400_with_what_to_do() {
        let failure = Failure { code: Some(WINDOW_CLOSED), ..Failure::new(StatusCode::CONFLICT, "it is too late") };
        assert_eq!(failure_status(&failure), StatusCode::BAD_REQUEST);
        let message = ErrorBody::of(&failure).message;
        assert!(message.starts_with("it is too late; send an approved template"), "{message}");
    }

    #[test]
    fn the_body_names_the_fields_as_they_are_documented() {
        let error = Error::invalid_fields(vec![
            FieldProblem::new(Field::To, "must be digits"),
            FieldProblem::new(Field::Variables.named("nome"), "is required"),
        ]);
        let body = serde_json::to_value(ErrorBody::of(&Failure::from(error))).expect("JSON");
        let expected = serde_json::json!({
            "success": false, "status": "error", "message": "number: must be digits; variables.nome: is required",
            "errors": {"number": ["must be digits"], "variables.nome": ["is required"]}
        });
        assert_eq!(body, expected);
    }
}
