//! What the gateway's answer means for a message.

use pombo_plugin::connector::http::{Error, Response};
use pombo_plugin::connector::{Outcome, Throttle};
use serde_json::Value;

use crate::redact;

/// How long to leave a gateway alone that asked for it without saying how long.
const PAUSE_MILLIS: u64 = 60_000;
/// The longest id that the engine takes.
const ID_BYTES: usize = 256;

/// Codes of an error that concern the recipient.
const NOBODY: [&str; 8] = [
    "INVALID_RECIPIENT",
    "INVALID_NUMBER",
    "INVALID_PHONE",
    "INVALID_JID",
    "NUMBER_NOT_FOUND",
    "NUMBER_NOT_EXISTS",
    "RECIPIENT_NOT_FOUND",
    "NOT_ON_WHATSAPP",
];
/// Codes of an error that concern the whole instance.
const NO_SESSION: [&str; 8] = [
    "INSTANCE_DISCONNECTED",
    "INSTANCE_NOT_CONNECTED",
    "INSTANCE_NOT_FOUND",
    "INSTANCE_OFFLINE",
    "NOT_CONNECTED",
    "DISCONNECTED",
    "WHATSAPP_NOT_CONNECTED",
    // An instance that is not connected, or is paused.
    "CONFLICT",
];

/// The outcome of a call that sends.
pub(crate) fn of(result: Result<Response, Error>) -> Outcome {
    let response = match result {
        Ok(response) => response,
        Err(Error::Refused(why)) => return Outcome::Disconnected(why),
        Err(Error::Invalid(why)) => return Outcome::rejected(why),
        Err(Error::NotConnected(why)) => return Outcome::Disconnected(format!("no connection to the gateway: {why}")),
        Err(Error::Interrupted(why)) => return Outcome::Unknown(format!("the gateway did not answer: {why}")),
        Err(Error::TooLarge(_)) => return Outcome::Unknown("the gateway's answer is too large".to_owned()),
    };
    let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    let status = response.status;
    if !body.is_object() {
        // Something else than the gateway may have answered, a proxy on the way say.
        match status {
            200..=299 => {
                return Outcome::Unknown(format!("the answer {status} is not that of a gateway; check baseUrl"));
            }
            404 | 405 => {
                return Outcome::Disconnected(format!("{status}: this is not the gateway's API; check baseUrl"));
            }
            _ => {}
        }
    }
    if (200..300).contains(&status) && body["success"] != Value::Bool(false) {
        return Outcome::accepted(message_id(&body));
    }
    let said = said(status, &body);
    match code(&body).to_ascii_uppercase().replace('-', "_").as_str() {
        "OUTCOME_UNKNOWN" => return Outcome::Unknown(said),
        "NOT_SENT" => return Outcome::Temporary(said),
        code if NOBODY.contains(&code) => return Outcome::invalid_recipient(said),
        code if NO_SESSION.contains(&code) => return Outcome::Disconnected(said),
        "AUTOMATION_ACTIVE" => return Outcome::rejected(said),
        "VALIDATION_ERROR" if about_recipient(&body) => return Outcome::invalid_recipient(said),
        _ => {}
    }
    match status {
        401 | 403 => Outcome::Disconnected(format!("the gateway refuses the token: {said}")),
        408 | 425 => Outcome::Temporary(said),
        429 => Outcome::Throttled(Throttle::of_connector(retry_after(&response), said)),
        300..=399 => Outcome::Disconnected(format!("the gateway is elsewhere; baseUrl must change: {said}")),
        // `success: false` with a status that says otherwise; the call ended.
        200..=299 | 400..=499 | 501 => Outcome::rejected(said),
        _ => Outcome::Unknown(said),
    }
}

/// WhatsApp's id of a message that was sent.
fn message_id(body: &Value) -> Option<String> {
    let places = [body, &body["data"], &body["data"]["message"]];
    let named = |name: &str| places.iter().find_map(|place| place[name].as_str());
    named("whatsapp_message_id")
        .or_else(|| named("message_id"))
        .or_else(|| named("messageId"))
        .or_else(|| places.iter().find_map(|place| place["key"]["id"].as_str()))
        .map(str::trim)
        .filter(|id| (1..=ID_BYTES).contains(&id.len()))
        .map(str::to_owned)
}

fn code(body: &Value) -> &str {
    body["error"]["code"].as_str().or_else(|| body["code"].as_str()).unwrap_or_default()
}

fn about_recipient(body: &Value) -> bool {
    let details = [&body["error"]["details"], &body["errors"]];
    details.iter().any(|d| ["recipient", "number", "to", "phone"].iter().any(|field| !d[*field].is_null()))
}

/// What the gateway said, for people: without numbers.
fn said(status: u16, body: &Value) -> String {
    let words = [&body["error"]["message"], &body["error"], &body["message"]].into_iter().find_map(Value::as_str);
    let words = words.map(redact::line).filter(|words| !words.trim().is_empty());
    let code = Some(code(body)).filter(|code| !code.is_empty()).map(redact::line);
    match (code, words) {
        (Some(code), Some(words)) => format!("{status} {code}: {words}"),
        (None, Some(words)) => format!("{status}: {words}"),
        (Some(code), None) => format!("{status} {code}"),
        (None, None) => format!("the gateway answered {status}"),
    }
}

fn retry_after(response: &Response) -> u64 {
    let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("retry-after"));
    let seconds = header.and_then(|header| header.value.trim().parse::<u64>().ok());
    // A day is more than any limit lasts.
    seconds.map_or(PAUSE_MILLIS, |seconds| seconds.clamp(1, 86_400) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pombo_plugin::connector::http::Header;

    fn answer(status: u16, body: &str) -> Outcome {
        of(Ok(Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() }))
    }

    fn kind(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Accepted(_) => "accepted",
            Outcome::InvalidRecipient(_) => "invalid-recipient",
            Outcome::Rejected(_) => "rejected",
            Outcome::Throttled(_) => "throttled",
            Outcome::Temporary(_) => "temporary",
            Outcome::Disconnected(_) => "disconnected",
            Outcome::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn the_id_is_found_where_gateways_put_it() {
        for (body, id) in [
            (r#"{"success":true,"message":"Message sent successfully","message_id":"3EB0"}"#, Some("3EB0")),
            (r#"{"messageId":"3EB1"}"#, Some("3EB1")),
            (r#"{"data":{"message_id":"uuid","whatsapp_message_id":"3EB2"}}"#, Some("3EB2")),
            (r#"{"data":{"key":{"id":"3EB3"}}}"#, Some("3EB3")),
            (r#"{"success":true}"#, None),
        ] {
            assert_eq!(answer(200, body), Outcome::accepted(id.map(str::to_owned)), "{body}");
        }
        let pending = r#"{"success":true,"status":"pending","message_id":"3EB4"}"#;
        assert_eq!(answer(202, pending), Outcome::accepted(Some("3EB4".to_owned())));
    }

    #[test]
    fn answers_map_to_outcomes() {
        for (status, code, want) in [
            (422, "INVALID_RECIPIENT", "invalid-recipient"),
            (404, "NUMBER_NOT_FOUND", "invalid-recipient"),
            (400, "not-on-whatsapp", "invalid-recipient"),
            (422, "REFUSED", "rejected"),
            (422, "VALIDATION_ERROR", "rejected"),
            (404, "NOT_FOUND", "rejected"),
            (413, "", "rejected"),
            (422, "INSTANCE_DISCONNECTED", "disconnected"),
            (422, "CONFLICT", "disconnected"),
            (503, "not-connected", "disconnected"),
            (401, "UNAUTHENTICATED", "disconnected"),
            (403, "", "disconnected"),
            (403, "AUTOMATION_ACTIVE", "rejected"),
            (302, "", "disconnected"),
            (429, "THROTTLED", "throttled"),
            (503, "NOT_SENT", "temporary"),
            (408, "", "temporary"),
            (502, "OUTCOME_UNKNOWN", "unknown"),
            (502, "CHANNEL_FAILED", "unknown"),
            (500, "", "unknown"),
            (503, "", "unknown"),
        ] {
            let body = format!(r#"{{"success":false,"error":{{"code":"{code}","message":"words"}}}}"#);
            assert_eq!(kind(&answer(status, &body)), want, "{status} {code}");
        }
        assert_eq!(kind(&answer(200, r#"{"success":false,"message":"no"}"#)), "rejected");
        let about = r#"{"error":{"code":"VALIDATION_ERROR","details":{"recipient":["is wrong"]}}}"#;
        assert_eq!(kind(&answer(422, about)), "invalid-recipient");
    }

    #[test]
    fn what_another_than_the_gateway_answers_says_nothing_of_the_message() {
        for body in ["", "<html>", "[]", r#""ok""#] {
            for (status, want) in [(200, "unknown"), (204, "unknown"), (404, "disconnected"), (405, "disconnected")] {
                assert_eq!(kind(&answer(status, body)), want, "{status} {body}");
            }
        }
        let Outcome::Disconnected(why) = answer(404, "not found") else { panic!() };
        assert!(why.contains("baseUrl"), "{why}");
    }

    #[test]
    fn what_breaks_before_the_answer_says_how_far_it_came() {
        for (error, want) in [
            (Error::NotConnected("x".into()), "disconnected"),
            (Error::Interrupted("x".into()), "unknown"),
            (Error::Refused("x".into()), "disconnected"),
            (Error::Invalid("x".into()), "rejected"),
            (Error::TooLarge(1), "unknown"),
        ] {
            assert_eq!(kind(&of(Err(error.clone()))), want, "{error:?}");
        }
    }

    #[test]
    fn a_limit_says_when_it_ends_and_a_reason_names_no_number() {
        let header = Header { name: "Retry-After".into(), value: "7".into() };
        let limited = of(Ok(Response { status: 429, headers: vec![header], body: Vec::new() }));
        let Outcome::Throttled(throttle) = limited else { panic!("{limited:?}") };
        assert_eq!(throttle.retry_after_millis, 7_000);
        let Outcome::Rejected(why) = answer(400, r#"{"error":"5511999998888 is a bad number"}"#) else { panic!() };
        assert_eq!(why.reason, "400: # is a bad number");
    }
}
