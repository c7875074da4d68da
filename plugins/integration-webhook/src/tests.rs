//! Through the test kit: what is posted, what answers do, and what is refused.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use pombo_plugin::automation::types::{Action, Outgoing};
use pombo_plugin::automation::{EventKind, HttpError, HttpRequest, HttpResponse, Status};
use pombo_plugin::test::Script;
use serde_json::{Value, json};

use crate::Webhook;

const SECRET: &str = "0123456789abcdef-very-secret";

fn script_with(more: Value) -> Script<Webhook> {
    let mut config = json!({ "url": "https://shop.test/pombo", "secret": SECRET, "token": "t0ken" });
    if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
        config.extend(more);
    }
    Script::with_config(config)
}

/// Answers each request with this status and body.
fn answering(status: u16, body: impl Into<String>) -> Script<Webhook> {
    let body = body.into();
    let mut script = script_with(json!({}));
    script.on_http(move |_| Ok(HttpResponse::new(status, body.clone())));
    script
}

fn posted(request: &HttpRequest) -> Value {
    serde_json::from_slice(request.body.as_deref().unwrap_or_default()).expect("JSON was posted")
}

fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers.iter().find(|(n, _)| n == name).map(|(_, value)| &**value)
}

#[test]
fn an_event_is_posted_signed_and_once_identified() {
    let mut script = answering(204, "");
    script.named("Ana").put_tag("vip").says("Quero um bolo");
    let request = &script.requests()[0];
    assert_eq!((&*request.method, &*request.url), ("POST", "https://shop.test/pombo"));
    let body = posted(request);
    assert_eq!(header(request, "x-pombo-signature"), Some("{{hmac-sha256:secret}}"), "the engine signs");
    assert_eq!(header(request, "x-pombo-event"), Some("message-received"));
    assert_eq!(header(request, "content-type"), Some("application/json"));
    assert_eq!(header(request, "idempotency-key"), body["id"].as_str());
    assert_eq!(header(request, "x-pombo-timestamp"), Some("1767614400"));
    assert_eq!(
        body,
        json!({
            "id": "event-2", "kind": "message-received", "at": "2026-01-05T12:00:00.000Z", "timestamp": 1_767_614_400, "attempt": 1,
            "conversation": {
                "id": "conversation-ana", "connectorId": "connector-1", "channel": "test", "chat": "ana", "isGroup": false,
                "contactName": "Ana", "tags": ["vip"], "assignee": null, "openedAt": "2026-01-05T12:00:00.000Z"
            },
            "state": null,
            "message": {
                "id": "message-1", "sender": "ana", "senderName": "Ana", "text": "Quero um bolo", "type": "text", "replyTo": null,
                "mentions": [], "sentAt": "2026-01-05T12:00:00.000Z"
            }
        })
    );
    let all = format!("{:?}", script.requests());
    assert!(!all.contains(SECRET) && !all.contains("t0ken"), "secrets stay in the engine");
}

#[test]
fn what_a_customer_writes_brings_no_secret_into_the_body() {
    let mut script = answering(200, r#"{"state": {"note": "{{secret:token}}"}}"#);
    script.named("{{secret:secret}}").says("{{secret:token}}");
    script.says("again, with the state");
    for request in script.requests() {
        let body = String::from_utf8(request.body.clone().expect("a body")).expect("UTF-8");
        assert!(!body.contains("{{"), "{body}");
    }
    assert_eq!(
        posted(&script.requests()[0])["message"]["text"],
        "{{secret:token}}",
        "the reader gets what was written"
    );
}

#[test]
fn headers_are_added_and_time_is_limited() {
    let mut script =
        script_with(json!({ "headers": { "Authorization": "Bearer {{secret:token}}" }, "timeoutSeconds": 3 }));
    script.on_http(|_| Ok(HttpResponse::new(200, "")));
    script.says("oi");
    let request = &script.requests()[0];
    assert_eq!(header(request, "Authorization"), Some("Bearer {{secret:token}}"));
    assert_eq!(request.timeout, Some(Duration::from_secs(3)));
}

#[test]
fn only_wanted_events_are_posted() {
    let mut script = answering(204, "");
    script.says("oi");
    script.reacts("👍");
    assert_eq!(script.requests().len(), 1, "neither the opening nor the reaction, when nothing is said");
    let mut script = script_with(json!({ "events": ["reaction", "conversation-opened", "status-changed"] }));
    script.on_http(|_| Ok(HttpResponse::new(200, r#"{"messages": [{"text": "hi", "label": "greeting"}]}"#)));
    script.says("oi");
    script.reacts("👍");
    script.status("greeting", Status::Read, None);
    let kinds: Vec<_> = script.requests().iter().map(|r| posted(r)["kind"].clone()).collect();
    assert_eq!(kinds, ["conversation-opened", "reaction", "status-changed"]);
    assert_eq!(posted(&script.requests()[1])["reaction"]["emoji"], "👍");
    let change = &posted(&script.requests()[2])["statusChange"];
    assert_eq!((&change["label"], &change["status"]), (&json!("greeting"), &json!("read")));
}

#[test]
fn starts_calls_and_timers_are_posted_with_what_they_carry() {
    let mut script =
        answering(200, r#"{"actions": [{"type": "setTimer", "name": "t", "seconds": 60, "payload": {"a": 1}}]}"#);
    script.start(json!({ "order": 7 }));
    script.webhook("application/json", r#"{"paid": true}"#);
    script.webhook("text/plain", "paid");
    script.on_http(|_| Ok(HttpResponse::new(204, "")));
    script.advance(Duration::from_secs(60));
    let requests: Vec<_> = script.requests().iter().map(posted).collect();
    assert_eq!(requests[0]["start"], json!({ "by": "test", "input": { "order": 7 } }));
    assert_eq!(requests[1]["webhook"], json!({ "contentType": "application/json", "body": { "paid": true } }));
    assert_eq!(requests[2]["webhook"]["body"], "paid");
    assert_eq!(requests[3]["timer"]["payload"], r#"{"a":1}"#);
}

#[test]
fn an_empty_answer_does_nothing_and_lets_others_answer() {
    for (status, body) in [(200, ""), (204, ""), (202, " \n"), (200, "{}")] {
        let answer = answering(status, body).says("oi");
        assert!(answer.actions().is_empty() && !answer.claimed(), "{status} {body:?}");
    }
}

#[test]
fn every_kind_of_answer_is_carried_out_in_order() {
    let mut script = answering(
        200,
        json!({
            "text": "first",
            "messages": [
                "second",
                { "text": "later", "delaySeconds": 1.5, "replyTo": true, "label": "l" },
                { "template": "{Oi|Olá} {{ name }}", "variables": { "name": "Ana" } },
                { "file": "https://shop.test/menu.pdf", "caption": "menu" },
                { "reaction": "👍" }
            ],
            "actions": [
                { "type": "tag", "tag": "vip" }, { "type": "tag", "tag": "new" }, { "type": "untag", "tag": "new" },
                { "type": "assign", "to": "joe" },
                { "type": "setTimer", "name": "remind", "seconds": 86400, "payload": "p" },
                { "type": "updateContact", "name": "Ana Maria" },
                { "type": "emit", "kind": "order", "data": { "id": 7 } },
                { "type": "markRead" },
                { "type": "send", "text": "last", "replyTo": "message-0" },
                { "type": "handOver", "reason": "wants a cake" }
            ],
            "state": { "step": 2 }
        })
        .to_string(),
    );
    let answer = script.says("oi");
    assert_eq!(answer.texts(), ["first", "second", "later", "{Oi|Olá} {{ name }}", "menu", "last"]);
    assert!(answer.claimed());
    let sent = answer.sent();
    assert_eq!(sent[2].at.duration_since(SystemTime::UNIX_EPOCH).ok(), Some(Duration::from_millis(1_767_614_401_500)));
    assert_eq!((sent[2].reply_to.as_deref(), sent[2].label.as_deref()), (Some("message-1"), Some("l")));
    assert!(matches!(&sent[3].content, Outgoing::Template(t) if t.variables == r#"{"name":"Ana"}"#));
    assert_eq!(sent[5].reaction().map(|r| (&*r.emoji, &*r.message)), Some(("👍", "message-1")));
    assert_eq!((script.tags(), script.assignee()), (vec!["vip"], Some("joe")));
    assert_eq!((&*script.timers()[0].name, &*script.timers()[0].payload), ("remind", "p"));
    assert_eq!((script.contact_name(), script.is_read()), (Some("Ana Maria"), true));
    assert_eq!(script.emitted(), [("order".to_owned(), json!({ "id": 7 }))]);
    assert_eq!(script.handed_over(), Some("wants a cake"));
    assert_eq!(script.state(), Some(json!({ "step": 2 })));
}

#[test]
fn the_state_goes_out_with_the_next_event_and_stays_until_it_is_changed() {
    let answers = Rc::new(RefCell::new(vec![r#"{"state": null}"#, "", r#"{"state": [1]}"#]));
    let mut script = script_with(json!({}));
    script.on_http(move |_| Ok(HttpResponse::new(200, answers.borrow_mut().pop().unwrap_or_default())));
    for _ in 0..4 {
        script.says("oi");
    }
    let states: Vec<_> = script.requests().iter().map(|r| posted(r)["state"].clone()).collect();
    assert_eq!(states, [Value::Null, json!([1]), json!([1]), Value::Null]);
    assert_eq!(script.state_json(), None);
}

#[test]
fn claiming_is_the_servers_to_say() {
    assert!(answering(200, r#"{"claim": true}"#).says("oi").claimed());
    assert!(!answering(200, r#"{"text": "oi", "claim": false}"#).says("oi").claimed());
}

#[test]
fn other_statuses_are_failures_that_say_what_to_change_and_come_again() {
    for (status, said) in [
        (302, "set `url`"),
        (400, "refuses the event (400)"),
        (401, "check `secret`"),
        (404, "check `url`"),
        (429, "limits the rate"),
        (500, "the server failed (500)"),
        (503, "the server failed (503)"),
    ] {
        let mut script = answering(status, r#"{"text": "must not be sent"}"#);
        let failure = script.try_says("oi").expect_err("a failure");
        assert!(failure.text().contains(said), "{status}: {failure}");
        assert!(script.sent().is_empty());
        script.on_http(|_| Ok(HttpResponse::new(200, r#"{"text": "now"}"#)));
        assert_eq!(script.retry().expect("an answer").texts(), ["now"]);
        let requests = script.requests();
        assert_eq!(header(&requests[0], "idempotency-key"), header(&requests[1], "idempotency-key"));
        assert_eq!(posted(&requests[1])["attempt"], 2);
    }
}

#[test]
fn a_server_that_is_away_is_a_failure() {
    let mut script = script_with(json!({}));
    for error in [
        HttpError::NotConnected("no route".into()),
        HttpError::Interrupted("10 s have passed".into()),
        HttpError::TooLarge(1 << 30),
        HttpError::Refused("not granted".into()),
    ] {
        let said = error.to_string();
        script.on_http(move |_| Err(error.clone()));
        assert_eq!(script.try_says("oi").expect_err("a failure").text(), said);
    }
}

#[test]
fn hostile_and_mistaken_answers_are_refused_whole_and_say_what_to_change() {
    let many = |n: usize, what: &str| format!("[{}]", vec![what; n].join(","));
    let cases: Vec<(String, &str)> = vec![
        ("OK".into(), "not JSON (line 1, column 1): answer with an empty body"),
        (r#"{"text": "a""#.into(), "not JSON"),
        ("[".repeat(100_000), "not JSON"),
        ("\u{0}".into(), "not JSON"),
        ("[]".into(), "the answer must be an object, not a list"),
        ("7".into(), "the answer must be an object, not 7"),
        (r#"{"txt": "a"}"#.into(), "txt is not known; known here: claim, text, messages, actions, state"),
        (r#"{"text": ""}"#.into(), "text must be a text of 1 to 65536 bytes, not an empty text"),
        (r#"{"text": 5}"#.into(), "text must be a text of 1 to 65536 bytes, not 5"),
        (format!(r#"{{"text": "{}"}}"#, "é".repeat(32_769)), "not a text of 65538 bytes"),
        (format!(r#"{{"messages": {}}}"#, many(21, r#""a""#)), "messages has 21 entries, but at most 20 are allowed"),
        (format!(r#"{{"actions": {}}}"#, many(51, r#"{"type":"markRead"}"#)), "actions has 51 entries"),
        (r#"{"messages": "a"}"#.into(), "messages must be a list, not a text of 1 bytes"),
        (r#"{"messages": [" "]}"#.into(), "messages[0] must be a text"),
        (r#"{"messages": ["a", 1]}"#.into(), "messages[1] must be an object, not 1"),
        (r#"{"messages": [{}]}"#.into(), "messages[0].text is missing"),
        (r#"{"messages": [{"text": "a", "file": "b"}]}"#.into(), "messages[0].file is one too many"),
        (r#"{"messages": [{"text": "a", "caption": "b"}]}"#.into(), "messages[0].caption is not known"),
        (r#"{"messages": [{"file": "file:///etc/passwd"}]}"#.into(), "messages[0].file must be the URL"),
        (
            r#"{"messages": [{"text": "a", "delaySeconds": -1}]}"#.into(),
            "delaySeconds must be a number of seconds from 0 to",
        ),
        (r#"{"messages": [{"text": "a", "delaySeconds": 1e300}]}"#.into(), "delaySeconds must be a number"),
        (r#"{"messages": [{"template": "a", "variables": []}]}"#.into(), "variables must be an object"),
        (r#"{"messages": [{"reaction": ["👍"]}]}"#.into(), "reaction must be an emoji"),
        (r#"{"actions": [{"tag": "a"}]}"#.into(), "actions[0].type is missing"),
        (r#"{"actions": [{"type": "rm -rf\n"}]}"#.into(), "`rm -rf` is not known; known are send, tag"),
        (r#"{"actions": [{"type": "tag"}]}"#.into(), "actions[0].tag is missing"),
        (r#"{"actions": [{"type": "setTimer", "name": "a", "seconds": 0}]}"#.into(), "from 1 to 34560000"),
        (r#"{"actions": [{"type": "setTimer", "name": "a"}]}"#.into(), "actions[0].seconds is missing"),
        (r#"{"actions": [{"type": "emit", "kind": "a b"}]}"#.into(), "actions[0].kind may contain only letters"),
        (
            format!(r#"{{"actions": [{{"type": "tag", "tag": "{}"}}]}}"#, "é".repeat(33)),
            "tag must be a text of 1 to 64 bytes",
        ),
        (r#"{"actions": [{"type": "updateContact"}]}"#.into(), "name and active are both missing"),
        (r#"{"actions": [{"type": "markRead", "x": 1}]}"#.into(), "actions[0].x is not known; known here: type"),
        (r#"{"claim": "yes"}"#.into(), "claim must be true or false"),
        (format!(r#"{{"state": "{}"}}"#, "a".repeat(70_000)), "state has more than 65536 bytes"),
        // Right until the last one: nothing of it is done.
        (r#"{"text": "a", "actions": [{"type": "tag", "tag": "x"}, {"type": "no"}]}"#.into(), "actions[1].type `no`"),
    ];
    for (body, said) in cases {
        let shown: String = body.chars().take(80).collect();
        let mut script = answering(200, body);
        let failure = script.try_says("oi").expect_err(&shown);
        assert!(failure.text().contains(said), "{shown}: {failure}");
        assert!(failure.text().len() < 400, "{shown}: an error is short");
        assert!(script.sent().is_empty() && script.tags().is_empty() && script.state_json().is_none(), "{shown}");
    }
}

#[test]
fn an_answer_that_is_not_utf8_is_refused() {
    let mut script = script_with(json!({}));
    script.on_http(|_| Ok(HttpResponse::new(200, vec![b'"', 0xff, 0xfe, b'"'])));
    assert!(script.try_says("oi").expect_err("no UTF-8").text().contains("not JSON"));
}

#[test]
fn what_needs_a_message_says_so_when_there_is_none() {
    for (body, said) in [
        (r#"{"messages": [{"reaction": "👍"}]}"#, "messageId is missing"),
        (r#"{"messages": [{"text": "a", "replyTo": true}]}"#, "replyTo must be a message's id"),
    ] {
        let body = body.to_owned();
        let mut script = answering(200, r#"{"actions": [{"type": "setTimer", "name": "t", "seconds": 1}]}"#);
        script.says("oi");
        script.on_http(move |_| Ok(HttpResponse::new(200, body.clone())));
        let timer = pombo_plugin::automation::types::EventBody::TimerFired(pombo_plugin::automation::Timer {
            name: "t".into(),
            payload: String::new(),
            due_at_millis: 0,
        });
        assert!(script.event(timer).expect_err("no message").text().contains(said));
    }
}

/// The documentation's examples of answers are answers.
#[test]
fn the_documentation_is_right() {
    let text = include_str!("../../../docs/automations/integration-webhook.md");
    let mut examples = 0;
    for block in text.split("```json answer\n").skip(1) {
        let (example, _) = block.split_once("```").expect("a block ends");
        let answer = answering(200, example).says("oi");
        assert!(!answer.actions().is_empty(), "{example}");
        examples += 1;
    }
    assert!(examples >= 3, "only {examples} examples were found");
    let posted = text.split("```json event\n").nth(1).and_then(|b| b.split_once("```")).expect("an event").0;
    let shown: Value = serde_json::from_str(posted).expect("JSON");
    let mut script = answering(204, "");
    script.says("oi");
    let real: Value = serde_json::from_slice(script.requests()[0].body.as_deref().expect("a body")).expect("JSON");
    let names = |value: &Value| value.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
    for part in ["", "/conversation", "/message"] {
        assert_eq!(shown.pointer(part).and_then(names), real.pointer(part).and_then(names), "{part}");
    }
}

#[test]
fn an_action_that_is_carried_out_is_one_that_the_engine_knows() {
    let answer =
        answering(200, r#"{"actions": [{"type": "assign"}, {"type": "cancelTimer", "name": "x"}]}"#).says("oi");
    assert_eq!(answer.actions(), [Action::Assign(None), Action::CancelTimer("x".into())]);
}

#[test]
fn every_kind_of_event_can_be_chosen_in_the_configuration() {
    let schema: Value = serde_json::from_str(crate::config::SCHEMA).expect("JSON");
    let kinds: Vec<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(schema["properties"]["events"]["items"]["enum"], json!(kinds));
}
