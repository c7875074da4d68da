//! What an answer of the Graph API means: an error's body however it looks, and what follows for a message or an operation.

use pombo_plugin::connector::http::{Error, Response};
use pombo_plugin::connector::{Acceptance, OperationError, Outcome, Refusal, Throttle, ThrottleScope};
use serde_json::Value;

use crate::codes::{self, Meaning};
use crate::{address, redact};

/// How long to leave the API alone when it asks for that without a code.
const PAUSE_MILLIS: u64 = 60_000;
/// The longest id that the engine takes.
const ID_BYTES: usize = 256;
/// The longest pause of one recipient: 4^6 seconds are more than an hour.
const MOST_STEPS: u32 = 6;

/// An error that Meta told, wherever it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: Option<i64>,
    pub(crate) meaning: Meaning,
    /// For people: without numbers and links.
    pub(crate) reason: String,
    /// Whether an id of a file is not known any more.
    pub(crate) bad_file: bool,
}

impl Fault {
    /// The code as the engine keeps it.
    pub(crate) fn code(&self) -> Option<String> {
        self.code.map(|code| code.to_string())
    }

    fn refusal(self) -> Refusal {
        Refusal { code: self.code(), reason: self.reason }
    }
}

/// Reads an `error` object, or one of a list of `errors`; `None` if it is not one.
pub(crate) fn fault(error: &Value, status: Option<u16>) -> Option<Fault> {
    if !error.is_object() {
        return None;
    }
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let (code, subcode) = (number(&error["code"]), number(&error["error_subcode"]));
    let data = &error["error_data"];
    let details = data["details"].as_str().or_else(|| data.as_str());
    let message = error["message"].as_str().or_else(|| error["title"].as_str());
    let told = error["error_user_msg"].as_str();
    let transient = error["is_transient"] == Value::Bool(true);
    // Told as a wrong parameter: no call is carried out until somebody changes the configuration, as with a token that is not taken.
    let unproven =
        code == Some(100) && message.is_some_and(|text| text.to_ascii_lowercase().contains("appsecret_proof"));
    let known = if unproven { Some(Meaning::Token) } else { code.and_then(|code| codes::meaning(code, subcode)) };
    let meaning = known.unwrap_or(match status {
        // A code that this table does not have yet.
        _ if transient => Meaning::Again,
        Some(500..=599) => Meaning::Few,
        _ => Meaning::Content,
    });
    let bad_file = code == Some(100)
        && [message, details].iter().flatten().any(|text| text.to_ascii_lowercase().contains("media attachment id"));
    let mut words: Vec<String> = Vec::new();
    for part in [message, details, told].into_iter().flatten() {
        let line = redact::line(part);
        if !line.trim().is_empty() && !words.contains(&line) {
            words.push(line);
        }
    }
    if unproven {
        words.push("see the settings appSecretProof and appSecret".to_owned());
    }
    let trace = error["fbtrace_id"].as_str().filter(|trace| trace.len() <= 40);
    let mut reason = if words.is_empty() { "Meta refused it without saying why".to_owned() } else { words.join(": ") };
    if let Some(trace) = trace {
        reason = format!("{reason} [trace {trace}]");
    }
    Some(Fault { code, meaning, reason, bad_file })
}

/// Why a call gave no result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// Meta says why.
    Fault(Fault),
    /// It asked for a pause without a code.
    Slow(String),
    /// It was not carried out; nobody can be reached, or something must be set up.
    Away(String),
    /// The request cannot be made like this.
    Malformed(String),
    /// It may or may not have been carried out.
    Unclear(String),
}

/// The body of an answer that succeeded.
pub(crate) fn read(result: Result<Response, Error>) -> Result<Value, Failure> {
    let response = match result {
        Ok(response) => response,
        Err(Error::Refused(why)) => return Err(Failure::Away(why)),
        Err(Error::Invalid(why)) => return Err(Failure::Malformed(why)),
        Err(Error::NotConnected(why)) => {
            return Err(Failure::Away(format!("no connection to Meta's API: {}", redact::line(&why))));
        }
        Err(Error::Interrupted(why)) => {
            return Err(Failure::Unclear(format!("Meta's API did not answer: {}", redact::line(&why))));
        }
        Err(Error::TooLarge(_)) => return Err(Failure::Unclear("the answer of Meta's API is too large".to_owned())),
    };
    let status = response.status;
    let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    if let Some(fault) = fault(&body["error"], Some(status)) {
        return Err(Failure::Fault(fault));
    }
    let plain = format!("Meta's API answered {status} without saying why");
    match status {
        200..=299 if body.is_object() => Ok(body),
        200..=299 => Err(Failure::Unclear(format!("the answer {status} is not that of the Graph API; check baseUrl"))),
        300..=399 => Err(Failure::Away(format!("{status}: the Graph API is elsewhere; check baseUrl"))),
        401 | 403 | 404 | 405 => Err(Failure::Away(format!("{plain}; check baseUrl and the access token"))),
        429 => Err(Failure::Slow(plain)),
        // A time-out on the way: the message may have gone.
        408 | 425 | 500..=599 => Err(Failure::Unclear(plain)),
        _ => Err(Failure::Malformed(plain)),
    }
}

/// What a failure means for a message. `attempt` is its number; `refused` is how often in a row the recipient's limit was hit before.
pub(crate) fn outcome(failure: Failure, attempt: u32, refused: u32) -> Outcome {
    match failure {
        Failure::Fault(fault) => of_fault(fault, attempt, refused),
        Failure::Slow(reason) => Outcome::Throttled(Throttle {
            retry_after_millis: PAUSE_MILLIS,
            reason,
            scope: ThrottleScope::Connector,
            code: None,
        }),
        Failure::Away(why) => Outcome::Disconnected(why),
        Failure::Malformed(reason) => Outcome::Rejected(Refusal { reason, code: None }),
        Failure::Unclear(why) => Outcome::Unknown(why),
    }
}

fn of_fault(fault: Fault, attempt: u32, refused: u32) -> Outcome {
    let throttled = |fault: Fault, retry_after_millis, scope| {
        let code = fault.code();
        Outcome::Throttled(Throttle { retry_after_millis, reason: fault.reason, scope, code })
    };
    match fault.meaning {
        Meaning::Token | Meaning::Stop => Outcome::Disconnected(with_code(&fault)),
        Meaning::Slow(millis) => throttled(fault, millis, ThrottleScope::Connector),
        Meaning::Pair => {
            // Meta: 4^X seconds, X from 0.
            let steps = refused.max(attempt.saturating_sub(1)).min(MOST_STEPS);
            throttled(fault, 1_000 * 4_u64.pow(steps), ThrottleScope::Recipient)
        }
        Meaning::Later(millis) => throttled(fault, millis, ThrottleScope::Message),
        Meaning::Few if attempt > codes::FEW => Outcome::Rejected(fault.refusal()),
        Meaning::Again | Meaning::Few => Outcome::Temporary(with_code(&fault)),
        Meaning::Recipient => Outcome::InvalidRecipient(fault.refusal()),
        Meaning::OptOut | Meaning::Window | Meaning::Content | Meaning::Lost | Meaning::Missing => {
            Outcome::Rejected(fault.refusal())
        }
    }
}

/// A fault for people, with its code.
pub(crate) fn with_code(fault: &Fault) -> String {
    match fault.code {
        Some(code) => format!("{code}: {}", fault.reason),
        None => fault.reason.clone(),
    }
}

/// What a failure means for an operation. `writes`: whether it changes something at Meta.
pub(crate) fn operation_error(failure: Failure, writes: bool) -> OperationError {
    let fault = match failure {
        Failure::Fault(fault) => fault,
        Failure::Slow(reason) => return slow(PAUSE_MILLIS, reason, None),
        Failure::Away(why) => return OperationError::Disconnected(why),
        Failure::Malformed(why) => return OperationError::Invalid(why),
        Failure::Unclear(why) if writes => return OperationError::Unknown(why),
        Failure::Unclear(why) => return OperationError::Failed(why),
    };
    match fault.meaning {
        // With an operation it is the object in the address that may be unknown, a template say.
        Meaning::Stop if fault.code == Some(100) => OperationError::NotFound(with_code(&fault)),
        Meaning::Missing => OperationError::NotFound(with_code(&fault)),
        Meaning::Token => OperationError::Disconnected(with_code(&fault)),
        Meaning::Slow(millis) | Meaning::Later(millis) => slow(millis, with_code(&fault), fault.code()),
        Meaning::Pair => slow(PAUSE_MILLIS, with_code(&fault), fault.code()),
        Meaning::Again | Meaning::Few => OperationError::Failed(with_code(&fault)),
        Meaning::Content => OperationError::Invalid(with_code(&fault)),
        Meaning::Stop | Meaning::Recipient | Meaning::OptOut | Meaning::Window | Meaning::Lost => {
            OperationError::Refused(with_code(&fault))
        }
    }
}

fn slow(retry_after_millis: u64, reason: String, code: Option<String>) -> OperationError {
    OperationError::Throttled(Throttle { retry_after_millis, reason, scope: ThrottleScope::Connector, code })
}

/// The acceptance that an answer tells; `None` if it does not name the message.
pub(crate) fn acceptance(body: &Value, to: &str) -> Option<Acceptance> {
    let message = &body["messages"][0];
    let id = message["id"].as_str().map(str::trim).filter(|id| (1..=ID_BYTES).contains(&id.len()))?;
    let contact = &body["contacts"][0];
    let told = [address::phone(&contact["wa_id"]), address::user(&contact["user_id"])];
    let aliases = told.into_iter().flatten().filter(|address| address != to).collect();
    let held = matches!(message["message_status"].as_str(), Some("held_for_quality_assessment" | "paused"));
    Some(Acceptance { provider_id: Some(id.to_owned()), aliases, held })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answered(status: u16, body: &str) -> Result<Value, Failure> {
        read(Ok(Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() }))
    }

    fn outcome_of(status: u16, body: &str) -> Outcome {
        outcome(answered(status, body).expect_err("a failure"), 1, 0)
    }

    fn error(code: i64, subcode: Option<i64>) -> String {
        json!({"error": {"message": "words", "type": "OAuthException", "code": code, "error_subcode": subcode,
            "error_data": {"messaging_product": "whatsapp", "details": "more words"}, "fbtrace_id": "A1b2",
            "href": "https://x.example", "surprise": [1]}})
        .to_string()
    }

    #[test]
    fn every_code_has_its_outcome() {
        for (code, subcode, meaning) in codes::ALL {
            // The status says nothing.
            for status in [200, 400, 401, 403, 429, 500, 503] {
                let outcome = outcome_of(status, &error(*code, *subcode));
                let fits = match (meaning, &outcome) {
                    (Meaning::Token | Meaning::Stop, Outcome::Disconnected(why)) => why.starts_with(&code.to_string()),
                    (Meaning::Slow(millis), Outcome::Throttled(throttle)) => {
                        throttle.scope == ThrottleScope::Connector && throttle.retry_after_millis == *millis
                    }
                    (Meaning::Pair, Outcome::Throttled(throttle)) => throttle.scope == ThrottleScope::Recipient,
                    (Meaning::Later(millis), Outcome::Throttled(throttle)) => {
                        throttle.scope == ThrottleScope::Message && throttle.retry_after_millis == *millis
                    }
                    (Meaning::Again | Meaning::Few, Outcome::Temporary(_)) => true,
                    (Meaning::Recipient, Outcome::InvalidRecipient(refusal)) => {
                        refusal.code.as_deref() == Some(code.to_string().as_str())
                    }
                    (
                        Meaning::OptOut | Meaning::Window | Meaning::Content | Meaning::Lost | Meaning::Missing,
                        Outcome::Rejected(refusal),
                    ) => refusal.code.as_deref() == Some(code.to_string().as_str()),
                    _ => false,
                };
                assert!(fits, "{code} {subcode:?} {status}: {outcome:?}");
            }
        }
    }

    #[test]
    fn one_recipients_pause_grows_by_four() {
        let failure = || answered(400, &error(131056, None)).expect_err("a failure");
        for (attempt, refused, seconds) in [(1, 0, 1), (1, 1, 4), (3, 0, 16), (1, 3, 64), (99, 99, 4_096)] {
            let Outcome::Throttled(throttle) = outcome(failure(), attempt, refused) else { panic!("throttled") };
            assert_eq!(throttle.retry_after_millis, seconds * 1_000);
            assert_eq!(throttle.code.as_deref(), Some("131056"));
        }
    }

    #[test]
    fn what_keeps_failing_ends() {
        let failure = || answered(500, &error(131000, None)).expect_err("a failure");
        assert!(matches!(outcome(failure(), 3, 0), Outcome::Temporary(_)));
        assert!(matches!(outcome(failure(), 4, 0), Outcome::Rejected(_)));
    }

    #[test]
    fn an_errors_body_may_look_like_anything() {
        let Outcome::Rejected(refusal) =
            outcome_of(400, r#"{"error":{"code":"131009","error_data":"a text of +55 11 98765-4321"}}"#)
        else {
            panic!("rejected")
        };
        assert_eq!(refusal.code.as_deref(), Some("131009"));
        assert_eq!(refusal.reason, "a text of +#");
        for (status, body, want) in [
            (502, "<html>Bad gateway</html>", "unknown"),
            (503, "", "unknown"),
            (500, "{", "unknown"),
            (500, "{}", "unknown"),
            (200, "", "unknown"),
            (200, "<html>", "unknown"),
            (429, "", "throttled"),
            (401, "", "disconnected"),
            (302, "", "disconnected"),
            (404, "not found", "disconnected"),
            (400, "", "rejected"),
            (500, r#"{"error":{"code":424242}}"#, "temporary"),
            (400, r#"{"error":{"code":424242}}"#, "rejected"),
            (400, r#"{"error":{"code":424242,"is_transient":true}}"#, "temporary"),
            (400, r#"{"error":{}}"#, "rejected"),
        ] {
            let kind = match outcome_of(status, body) {
                Outcome::Accepted(_) => "accepted",
                Outcome::InvalidRecipient(_) => "invalid-recipient",
                Outcome::Rejected(_) => "rejected",
                Outcome::Throttled(_) => "throttled",
                Outcome::Temporary(_) => "temporary",
                Outcome::Disconnected(_) => "disconnected",
                Outcome::Unknown(_) => "unknown",
            };
            assert_eq!(kind, want, "{status} {body}");
        }
    }

    #[test]
    fn what_breaks_on_the_way_says_how_far_it_came() {
        let of = |error: Error| outcome(read(Err(error)).expect_err("a failure"), 1, 0);
        assert!(matches!(of(Error::NotConnected("x".into())), Outcome::Disconnected(_)));
        assert!(matches!(of(Error::Interrupted("x".into())), Outcome::Unknown(_)));
        assert!(matches!(of(Error::TooLarge(1)), Outcome::Unknown(_)));
        assert!(matches!(of(Error::Refused("x".into())), Outcome::Disconnected(_)));
        assert!(matches!(of(Error::Invalid("x".into())), Outcome::Rejected(_)));
    }

    #[test]
    fn a_file_that_meta_forgot_is_recognised() {
        let body = json!({"error": {"code": 100, "message": "(#100) Param template['components'][0]['parameters'][0]['image']['id'] \
            is not a valid whatsapp business account media attachment ID"}});
        let Err(Failure::Fault(fault)) = answered(400, &body.to_string()) else { panic!("a fault") };
        assert!(fault.bad_file);
    }

    #[test]
    fn a_proof_that_is_wanted_or_wrong_concerns_the_whole_number() {
        for message in [
            "API calls from the server require an appsecret_proof argument",
            "Invalid appsecret_proof provided in the API argument",
        ] {
            let body = json!({"error": {"code": 100, "type": "GraphMethodException", "message": message}}).to_string();
            let Outcome::Disconnected(why) = outcome_of(400, &body) else { panic!("nothing else can be sent either") };
            assert!(why.contains(message) && why.contains("appSecretProof"), "{why}");
            let failure = answered(400, &body).expect_err("a failure");
            assert!(matches!(operation_error(failure, true), OperationError::Disconnected(_)));
        }
    }

    #[test]
    fn an_acceptance_names_the_recipients_other_addresses() {
        let body = |contact: Value, status: Value| {
            json!({"messaging_product": "whatsapp", "contacts": [contact],
                "messages": [{"id": "wamid.A", "message_status": status}]})
        };
        let same = body(json!({"input": "+5511987654321", "wa_id": "5511987654321"}), json!("accepted"));
        let accepted = acceptance(&same, "5511987654321").expect("accepted");
        assert_eq!((accepted.provider_id.as_deref(), accepted.held), (Some("wamid.A"), false));
        assert!(accepted.aliases.is_empty());
        let other = body(json!({"wa_id": "551187654321", "user_id": "BR.1"}), json!("held_for_quality_assessment"));
        let accepted = acceptance(&other, "5511987654321").expect("accepted");
        assert_eq!((accepted.aliases, accepted.held), (vec!["551187654321".to_owned(), "BR.1".to_owned()], true));
        assert_eq!(acceptance(&json!({"messages": []}), "1"), None);
    }

    #[test]
    fn operations_say_what_is_wrong() {
        let of = |code, subcode, writes| {
            let failure = answered(400, &error(code, subcode)).expect_err("a failure");
            operation_error(failure, writes)
        };
        assert!(matches!(of(100, Some(33), false), OperationError::NotFound(_)));
        assert!(matches!(of(100, Some(2_388_024), true), OperationError::Invalid(_)));
        assert!(matches!(of(190, None, false), OperationError::Disconnected(_)));
        assert!(matches!(of(80008, None, true), OperationError::Throttled(_)));
        assert!(matches!(of(10, None, true), OperationError::Refused(_)));
        let broken = || read(Err(Error::Interrupted("x".into()))).expect_err("a failure");
        assert!(matches!(operation_error(broken(), true), OperationError::Unknown(_)));
        assert!(matches!(operation_error(broken(), false), OperationError::Failed(_)));
    }
}
