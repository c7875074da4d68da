//! The error body, and which status and code each failure has. The documentation shows one form for every error, so the framework's
//! own errors (an unknown path, a method, a body that is too large) have it too.

use std::borrow::Cow;
use std::collections::BTreeMap;

use poem::Response;
use poem::http::StatusCode;
use poem_openapi::Object;
use pombo_api::error::{Fails, Failure, status};
use pombo_domain::Field;
use serde::Serialize;

const AUTOMATION_ACTIVE: &str = "AUTOMATION_ACTIVE";
/// The documented sentence.
const WHILE_AUTOMATED: &str = "Cannot send messages. This conversation has active automation. Pause the automation first to send \
    messages manually.";

/// The body of every error.
#[derive(Debug, Serialize, Object)]
pub struct ErrorBody {
    /// Always `false`.
    pub success: bool,
    /// The error.
    pub error: ErrorDetail,
}

/// An error, for programs and for people.
#[derive(Debug, Serialize, Object)]
pub struct ErrorDetail {
    /// A stable word: `BAD_REQUEST` (400: the request cannot be read), `VALIDATION_ERROR` (422: values are wrong, see `details`),
    /// `UNAUTHENTICATED`, `FORBIDDEN`, `NOT_FOUND`, `METHOD_NOT_ALLOWED`, `CONFLICT` (422), `PAYLOAD_TOO_LARGE`,
    /// `UNSUPPORTED_MEDIA_TYPE`, `RATE_LIMITED`, `UNAVAILABLE`, `INTERNAL_ERROR`. Operations that ask WhatsApp also have:
    /// `UNSUPPORTED` (422: the instance cannot do it), `INSTANCE_DISCONNECTED` (422: nothing was done), `REFUSED` (422: WhatsApp
    /// refuses it), `OUTCOME_UNKNOWN` (502: it may or may not have been done), `CHANNEL_FAILED` (502). `QR_NOT_AVAILABLE` (400): the
    /// instance does not wait for a scan. `CONVERSATION_NOT_ARCHIVED` (422): archive the conversation before its automations are
    /// resumed. Operations that send also have: `AUTOMATION_ACTIVE` (403: pause the conversation's automation first),
    /// `INVALID_RECIPIENT` (422: WhatsApp does not know the recipient), `THROTTLED` (429: WhatsApp asks to slow down, or lets no
    /// conversation be started with somebody new), `DAILY_LIMIT_REACHED` (429), `WINDOW_CLOSED` (422: the person has not written for so
    /// long that WhatsApp takes only certain kinds of content), `NOT_SENT` (503: it was not sent in time, and will not be). With
    /// `OUTCOME_UNKNOWN`, look whether the message arrived before you send it again.
    pub code: String,
    /// What is wrong and what to change.
    pub message: String,
    /// What is wrong with each field. Where the error concerns none, what is known of it: `retry_after` (seconds), `instance_id` and
    /// `conversation_id` (UUIDs of what it concerns), `message_uuid` (of the message that was not sent, or whose outcome is unknown),
    /// `what_to_do`; empty where nothing is.
    pub details: BTreeMap<String, Vec<String>>,
    /// With `AUTOMATION_ACTIVE`: number of the conversation.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<u64>,
}

impl ErrorBody {
    /// The body of a failure.
    pub fn of(failure: &Failure) -> Self {
        let mut details: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for problem in &failure.fields {
            let sentence = of_instances(&problem.sentence(field_name));
            details.entry(problem.field.written(field_name)).or_default().push(sentence);
        }
        let code = code(failure);
        if failure.fields.is_empty() {
            let mut known = |name: &str, value: Option<String>| {
                if let Some(value) = value {
                    details.insert(name.to_owned(), vec![value]);
                }
            };
            known("retry_after", failure.retry_after_ms.map(|ms| ms.div_ceil(1000).to_string()));
            known("instance_id", failure.connector_id.map(|id| id.to_string()));
            known("conversation_id", failure.conversation_id.map(|id| id.to_string()));
            known("message_uuid", failure.message_id.map(|id| id.to_string()));
            known("what_to_do", what_to_do(code).map(str::to_owned));
        }
        let message = match code {
            AUTOMATION_ACTIVE => WHILE_AUTOMATED.to_owned(),
            _ => of_instances(&failure.written(field_name)),
        };
        let conversation_id = failure.conversation_number;
        let error = ErrorDetail { code: code.to_owned(), message, details, conversation_id };
        Self { success: false, error }
    }
}

/// How to go on after an error, where that is always the same.
fn what_to_do(code: &str) -> Option<&'static str> {
    Some(match code {
        AUTOMATION_ACTIVE => "POST /conversations/{conversation_id}/automation/pause, then send it again",
        "CONVERSATION_NOT_ARCHIVED" => "POST /conversations/{conversation_id}/archive, then resume again",
        "INSTANCE_DISCONNECTED" => {
            "POST /instances/{instance_id}/reconnect; if that asks for a scan, GET /instances/{instance_id}/qr"
        }
        "QR_NOT_AVAILABLE" => "GET /instances/{instance_id}/qr begins to connect the instance",
        "WINDOW_CLOSED" => "wait until the person writes, or send what WhatsApp takes at any time",
        "DAILY_LIMIT_REACHED" | "THROTTLED" | "NOT_SENT" => "send it again after retry_after seconds",
        "OUTCOME_UNKNOWN" => "look whether it was done before you repeat it",
        _ => return None,
    })
}

/// What is said of connectors, said of instances: that is their name here. Names of plugins, paths and fields stay as they are.
fn of_instances(text: &str) -> String {
    renamed(&renamed(text, "connector", "instance"), "Connector", "Instance")
}

/// A text with one word, also in the plural, replaced by another, which begins with a vowel.
fn renamed(text: &str, word: &str, by: &str) -> String {
    let joined = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '{');
    let (mut written, mut done) = (String::with_capacity(text.len()), 0);
    for (at, _) in text.match_indices(word) {
        let end = at + word.len();
        let after = text[end..].strip_prefix('s').unwrap_or(&text[end..]);
        if text[..at].ends_with(joined) || after.starts_with(joined) {
            continue;
        }
        let before = &text[done..at];
        match before.strip_suffix(' ') {
            Some(article) if article == "a" || article.ends_with(" a") => written.push_str(&format!("{article}n ")),
            _ => written.push_str(before),
        }
        written.push_str(by);
        done = end;
    }
    written.push_str(&text[done..]);
    written
}

/// Writes a failure's body.
pub fn write_failure(failure: &Failure, _request_id: &str) -> Response {
    let body = serde_json::to_vec(&ErrorBody::of(failure)).unwrap_or_default();
    Response::builder().content_type("application/json").body(body)
}

/// The status of a failure, one of the documented table where that has one: values that are wrong are 422, a request that cannot be
/// read is 400; what the present state does not allow is 422 too, because the table has no 409.
pub fn failure_status(failure: &Failure) -> StatusCode {
    match (failure.status, failure.code) {
        (StatusCode::CONFLICT, Some(AUTOMATION_ACTIVE)) => StatusCode::FORBIDDEN,
        (StatusCode::CONFLICT, _) | (StatusCode::BAD_REQUEST, Some("unsupported")) => StatusCode::UNPROCESSABLE_ENTITY,
        (StatusCode::BAD_REQUEST, _) if !failure.fields.is_empty() => StatusCode::UNPROCESSABLE_ENTITY,
        (status, _) => status,
    }
}

fn code(failure: &Failure) -> &'static str {
    if let Some(code) = failure.code {
        return match code {
            "unsupported" => "UNSUPPORTED",
            "disconnected" => "INSTANCE_DISCONNECTED",
            "refused" => "REFUSED",
            "window_closed" => "WINDOW_CLOSED",
            "unknown_outcome" => "OUTCOME_UNKNOWN",
            "channel_failed" => "CHANNEL_FAILED",
            own => own,
        };
    }
    match failure_status(failure) {
        StatusCode::UNAUTHORIZED => "UNAUTHENTICATED",
        StatusCode::FORBIDDEN => "FORBIDDEN",
        StatusCode::NOT_FOUND => "NOT_FOUND",
        StatusCode::METHOD_NOT_ALLOWED => "METHOD_NOT_ALLOWED",
        StatusCode::PAYLOAD_TOO_LARGE => "PAYLOAD_TOO_LARGE",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "UNSUPPORTED_MEDIA_TYPE",
        StatusCode::UNPROCESSABLE_ENTITY if failure.fields.is_empty() => "CONFLICT",
        StatusCode::UNPROCESSABLE_ENTITY => "VALIDATION_ERROR",
        StatusCode::TOO_MANY_REQUESTS => "RATE_LIMITED",
        StatusCode::SERVICE_UNAVAILABLE => "UNAVAILABLE",
        status if status.is_client_error() => "BAD_REQUEST",
        _ => "INTERNAL_ERROR",
    }
}

/// A field's documented name.
pub(crate) fn field_name(field: Field) -> Cow<'static, str> {
    Cow::Borrowed(match field {
        Field::Connector => "instance_id",
        Field::Device => "device_name",
        Field::AttachmentUrl => "media_url",
        Field::FileId => "media_id",
        Field::FileKind => "media_type",
        Field::FileName => "filename",
        Field::Text => "message",
        Field::Message => "messageId",
        Field::To => "recipient",
        Field::Members | Field::Add | Field::Remove | Field::Promote | Field::Demote => "participants",
        Field::Ids => "conversation_ids",
        Field::Identifier | Field::Phone => "phone_number",
        Field::Tags => "tag_ids",
        Field::Active => "is_active",
        Field::Secret => "webhook_secret",
        other => return other.word(),
    })
}

/// What every operation with a credential may answer.
pub(crate) const EVERY: u16 = status::UNAUTHORIZED | status::FORBIDDEN | status::TOO_MANY;
/// What naming an instance, a group or a conversation adds.
pub(crate) const NAMED: u16 = EVERY | status::NOT_FOUND;
/// What values add: a request that cannot be read, and values that are wrong.
pub(crate) const VALUES: u16 = status::BAD_REQUEST | status::UNPROCESSABLE;
/// What a body adds.
pub(crate) const BODY: u16 = VALUES | status::TOO_LARGE | status::CONTENT_TYPE;
/// What a write adds.
pub(crate) const WRITE: u16 = status::UNAVAILABLE;
/// What asking WhatsApp adds.
pub(crate) const CHANNEL: u16 = status::UNPROCESSABLE | status::BAD_GATEWAY | status::UNAVAILABLE;

/// A failure of an operation of this API.
pub(crate) type Refused<const SET: u16> = Fails<ErrorBody, SET>;

#[cfg(test)]
mod tests {
    use pombo_domain::{Error, ErrorCode};

    use super::*;

    fn answered(error: Error) -> (u16, String) {
        let failure = Failure::from(error);
        (failure_status(&failure).as_u16(), ErrorBody::of(&failure).error.code)
    }

    #[test]
    fn each_error_has_a_documented_status_and_a_code_of_its_own() {
        let of = |code| answered(Error::new(code, "m"));
        for (error, status, code) in [
            (of(ErrorCode::Unauthenticated), 401, "UNAUTHENTICATED"),
            (of(ErrorCode::Forbidden), 403, "FORBIDDEN"),
            (of(ErrorCode::NotFound), 404, "NOT_FOUND"),
            (of(ErrorCode::Conflict), 422, "CONFLICT"),
            (of(ErrorCode::TooLarge), 413, "PAYLOAD_TOO_LARGE"),
            (of(ErrorCode::RateLimited), 429, "RATE_LIMITED"),
            (of(ErrorCode::AutomationActive), 403, "AUTOMATION_ACTIVE"),
            (of(ErrorCode::Unsupported), 422, "UNSUPPORTED"),
            (of(ErrorCode::Disconnected), 422, "INSTANCE_DISCONNECTED"),
            (of(ErrorCode::Refused), 422, "REFUSED"),
            (of(ErrorCode::WindowClosed), 422, "WINDOW_CLOSED"),
            (of(ErrorCode::OutcomeUnknown), 502, "OUTCOME_UNKNOWN"),
            (of(ErrorCode::ChannelFailed), 502, "CHANNEL_FAILED"),
            (of(ErrorCode::Unavailable), 503, "UNAVAILABLE"),
            (of(ErrorCode::Internal), 500, "INTERNAL_ERROR"),
            (answered(Error::invalid(Field::Text, "is required")), 422, "VALIDATION_ERROR"),
            (answered(Error::unknown(Field::Connector, "no such instance")), 404, "NOT_FOUND"),
        ] {
            assert_eq!((error.0, error.1.as_str()), (status, code));
        }
    }

    #[test]
    fn connectors_are_instances_here() {
        for (given, said) in [
            (
                "the connector has no session now; nothing was done: x",
                "the instance has no session now; nothing was done: x",
            ),
            ("a connector of all connectors", "an instance of all instances"),
            ("Connector not found", "Instance not found"),
            (
                "the plugin connector-email of GET /v1/connectors/{id}",
                "the plugin connector-email of GET /v1/connectors/{id}",
            ),
            ("connectorId, connectorless, my-connector, a plan", "connectorId, connectorless, my-connector, a plan"),
            ("não há connector", "não há instance"),
        ] {
            assert_eq!(of_instances(given), said);
        }
        let error = Error::new(ErrorCode::Disconnected, "the connector has no session now");
        assert_eq!(ErrorBody::of(&Failure::from(error)).error.message, "the instance has no session now");
        let error = Error::invalid(Field::Text, "was sent by another connector");
        let body = serde_json::to_value(ErrorBody::of(&Failure::from(error))).expect("JSON");
        assert_eq!(body["error"]["message"], "message: was sent by another instance");
        assert_eq!(body["error"]["details"]["message"][0], "was sent by another instance");
    }

    #[test]
    fn details_say_what_is_known_where_no_field_is_wrong() {
        let details =
            |failure: &Failure| serde_json::to_value(ErrorBody::of(failure)).expect("JSON")["error"]["details"].clone();
        let (instance, message) = (uuid::Uuid::from_u128(7), uuid::Uuid::from_u128(9));
        let later = Failure {
            code: Some("THROTTLED"),
            retry_after_ms: Some(1_500),
            connector_id: Some(instance),
            message_id: Some(message),
            ..Failure::new(StatusCode::TOO_MANY_REQUESTS, "slow down")
        };
        assert_eq!(
            details(&later),
            serde_json::json!({
                "retry_after": ["2"], "instance_id": [instance], "message_uuid": [message],
                "what_to_do": ["send it again after retry_after seconds"]
            })
        );
        // What is wrong with a field named instance_id is not to be confused with which instance it was.
        let wrong =
            Failure { connector_id: Some(instance), ..Failure::from(Error::invalid(Field::Text, "is required")) };
        assert_eq!(details(&wrong), serde_json::json!({"message": ["is required"]}));
        assert_eq!(details(&Failure::not_found("Message")), serde_json::json!({}));
        let taken = Failure::from(Error::taken(Field::Name, "is taken"));
        assert_eq!((failure_status(&taken).as_u16(), code(&taken)), (422, "VALIDATION_ERROR"));
        assert_eq!(details(&taken), serde_json::json!({"name": ["is taken"]}));
    }

    #[test]
    fn details_name_the_fields_as_they_are_documented() {
        let error = Error::invalid_fields(vec![
            pombo_domain::FieldProblem::new(Field::Add.at(1), "must be digits"),
            pombo_domain::FieldProblem::new(Field::Connector, "is required"),
        ]);
        let body = serde_json::to_value(ErrorBody::of(&Failure::from(error))).expect("JSON");
        let details = serde_json::json!({"instance_id": ["is required"], "participants[1]": ["must be digits"]});
        assert_eq!(body["error"]["details"], details);
        assert_eq!(body["error"]["message"], "participants[1]: must be digits; instance_id: is required");
    }
}
