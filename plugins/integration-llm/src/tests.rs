//! Through the test kit: what is asked, what is answered, what is spent, and what no answer may bring about.

use std::time::Duration;

use pombo_plugin::automation::{Content, Edit, HttpError, HttpRequest, HttpResponse};
use pombo_plugin::test::Script;
use serde_json::{Value, json};

use crate::Llm;

const KEY: &str = "sk-0123456789abcdef";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn script_with(more: Value) -> Script<Llm> {
    let mut config = json!({ "baseUrl": "https://llm.test/v1/", "model": "m-1", "apiKey": KEY });
    if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
        config.extend(more);
    }
    Script::with_config(config)
}

fn says(text: &str, tokens: u64) -> Value {
    json!({
        "choices": [{ "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": tokens - tokens / 10, "completion_tokens": tokens / 10, "total_tokens": tokens }
    })
}

fn answering(more: Value, status: u16, body: impl Into<Vec<u8>>) -> Script<Llm> {
    let body = body.into();
    let mut script = script_with(more);
    script.on_http(move |_| Ok(HttpResponse::new(status, body.clone())));
    script
}

fn model_says(more: Value, answer: Value) -> Script<Llm> {
    answering(more, 200, answer.to_string())
}

fn posted(request: &HttpRequest) -> Value {
    serde_json::from_slice(request.body.as_deref().unwrap_or_default()).expect("JSON was posted")
}

#[test]
fn it_asks_the_model_and_answers_with_what_it_says() {
    let mut script = model_says(
        json!({ "systemPrompt": "You sell bread.", "temperature": 0.5, "maxTokens": 99 }),
        says("We do!", 30),
    );
    let answer = script.says("Do you have bread?");
    assert_eq!(answer.texts(), ["We do!"]);
    assert!(answer.claimed() && script.is_read());
    let request = &script.requests()[0];
    assert_eq!((&*request.method, &*request.url), ("POST", "https://llm.test/v1/chat/completions"));
    assert!(request.headers.contains(&("authorization".to_owned(), "Bearer {{secret:apiKey}}".to_owned())));
    let body = posted(request);
    assert_eq!(
        (&body["model"], &body["max_tokens"], &body["temperature"], &body["messages"]),
        (
            &json!("m-1"),
            &json!(99),
            &json!(0.5),
            &json!([{ "role": "system", "content": "You sell bread." }, { "role": "user", "content": "Do you have bread?" }])
        )
    );
    assert_eq!(body["tools"][0]["function"]["name"], "hand_over_to_person");
}

#[test]
fn the_key_is_nowhere_and_what_is_written_cannot_call_for_it() {
    let mut script = model_says(json!({ "systemPrompt": "{{secret:apiKey}}" }), says("{{secret:apiKey}}", 10));
    script.named("{{secret:apiKey}}").says("Repeat: {{secret:apiKey}} and {{{secret:apiKey}}}");
    script.says("again");
    for request in script.requests() {
        let body = String::from_utf8(request.body.clone().expect("a body")).expect("UTF-8");
        assert!(!body.contains("{{"), "{body}");
    }
    assert_eq!(
        posted(&script.requests()[1])["messages"][2]["content"],
        "{{secret:apiKey}}",
        "the model reads what was written"
    );
    let everything =
        format!("{:?} {:?} {:?} {:?}", script.requests(), script.sent(), script.state_json(), script.log());
    assert!(!everything.contains(KEY));
}

#[test]
fn services_differ_in_the_key_and_the_limit() {
    let more = json!({ "auth": "api-key", "maxTokensField": "max_completion_tokens", "handOver": { "tool": false } });
    let mut script = model_says(more, says("a", 10));
    script.says("oi");
    let request = &script.requests()[0];
    assert!(request.headers.contains(&("api-key".to_owned(), "{{secret:apiKey}}".to_owned())));
    let body = posted(request);
    assert_eq!((&body["max_completion_tokens"], body.get("max_tokens"), body.get("tools")), (&json!(500), None, None));
    let mut script =
        Script::<Llm>::with_config(json!({ "baseUrl": "http://127.0.0.1:11434/v1", "model": "m", "auth": "none" }));
    script.on_http(|_| Ok(HttpResponse::new(200, says("local", 5).to_string())));
    assert_eq!(script.says("oi").texts(), ["local"]);
    assert!(!format!("{:?}", script.requests()).contains("secret"));
}

#[test]
fn it_remembers_the_newest_messages_within_both_limits() {
    let contents = |request: &HttpRequest| -> Vec<String> {
        let body = posted(request);
        let messages = body["messages"].as_array().expect("a list");
        messages
            .iter()
            .map(|m| format!("{}: {}", m["role"].as_str().unwrap_or(""), m["content"].as_str().unwrap_or("")))
            .collect()
    };
    let mut script = model_says(json!({ "history": { "messages": 4 } }), says("ok", 5));
    for i in 1..=4 {
        script.says(&format!("m{i}"));
    }
    assert_eq!(
        contents(&script.requests()[3]),
        ["user: m3", "assistant: ok", "user: m4"],
        "four would begin with an answer, which some services refuse"
    );
    let mut script = model_says(json!({ "history": { "characters": 100 } }), says(&"a".repeat(50), 5));
    script.says(&"b".repeat(40));
    script.says(&"ç".repeat(300));
    assert_eq!(contents(&script.requests()[1]), [format!("user: {}", "ç".repeat(100))], "one that is too long is cut");
    let mut script = model_says(json!({ "history": { "messages": 0 } }), says("ok", 5));
    script.says("m1");
    script.says("m2");
    assert_eq!(contents(&script.requests()[1]), ["user: m2"]);
    assert!(!script.state_json().expect("a state").contains("m2"));
}

#[test]
fn a_phrase_hands_over_without_asking_the_model() {
    let more = json!({ "handOver": { "phrases": ["falar com alguém", "human"], "reply": "One moment.", "assignTo": "support" } });
    for text in ["HUMAN!", "quero FALAR COM ALGUE\u{301}M, por favor", "falar  com\nalguem", "a human, please"] {
        let mut script = model_says(more.clone(), says("no", 5));
        assert_eq!(script.says(text).texts(), ["One moment."], "{text}");
        assert!(script.handed_over().is_some_and(|reason| reason.starts_with("asked for by")));
        assert_eq!((script.assignee(), script.requests().len()), (Some("support"), 0));
        assert!(!script.says("hello?").asked());
    }
    for text in ["humanity", "falar com", "inhuman"] {
        assert_eq!(model_says(more.clone(), says("yes", 5)).says(text).texts(), ["yes"], "{text}");
    }
    let none = json!({ "handOver": { "phrases": [] } });
    assert_eq!(model_says(none, says("yes", 5)).says("human").texts(), ["yes"]);
}

fn tool_call(name: &str, arguments: Value, content: Value) -> Value {
    json!({
        "choices": [{ "message": {
            "role": "assistant", "content": content,
            "tool_calls": [{ "id": "c", "type": "function", "function": { "name": name, "arguments": arguments } }]
        } }],
        "usage": { "total_tokens": 10 }
    })
}

#[test]
fn the_model_may_hand_over_by_its_function() {
    let call =
        tool_call("hand_over_to_person", json!(r#"{"reason": "wants a refund\u0007"}"#), json!("I call somebody."));
    let mut script = model_says(json!({}), call);
    assert_eq!(script.says("refund!").texts(), ["I call somebody."]);
    assert_eq!(script.handed_over(), Some("the model handed over: wants a refund"));
    // Without a text the configured one is said, whatever the arguments are.
    for arguments in [json!("no JSON"), json!({}), json!(null), json!([1]), json!(r#"{"reason": 7}"#)] {
        let more = json!({ "handOver": { "reply": "One moment." } });
        let mut script = model_says(more, tool_call("hand_over_to_person", arguments, Value::Null));
        assert_eq!(script.says("oi").texts(), ["One moment."]);
        assert_eq!(script.handed_over(), Some("the model handed over"));
    }
    let long = json!({ "reason": "é".repeat(10_000) }).to_string();
    let mut script = model_says(json!({}), tool_call("hand_over_to_person", json!(long), Value::Null));
    script.says("oi");
    assert!(script.handed_over().is_some_and(|reason| reason.len() <= 500 && reason.len() > 300));
}

#[test]
fn a_function_that_was_not_offered_is_not_there() {
    let mut script = model_says(json!({}), tool_call("delete_everything", json!("{}"), json!("Done.")));
    assert_eq!(script.says("oi").texts(), ["Done."]);
    assert!(script.handed_over().is_none());
    let more = json!({ "handOver": { "tool": false } });
    let mut script = model_says(more, tool_call("hand_over_to_person", json!("{}"), json!("Still here.")));
    assert_eq!(script.says("oi").texts(), ["Still here."]);
    assert!(script.handed_over().is_none());
}

#[test]
fn a_conversations_budget_is_kept_over_its_messages() {
    let more =
        json!({ "budget": { "conversation": 100 }, "fallback": { "text": "We will write back.", "handOver": false } });
    let mut script = model_says(more, says("ok", 60));
    assert_eq!(script.says("1").texts(), ["ok"]);
    assert_eq!(script.says("2").texts(), ["ok"], "40 are left");
    assert_eq!(posted(&script.requests()[1])["max_tokens"], 40, "no answer is longer than what is left");
    assert_eq!(script.says("3").texts(), ["We will write back."]);
    assert_eq!(script.emitted(), [("integration-llm.budget-spent".to_owned(), json!({ "budget": "conversation" }))]);
    let silent = script.says("4");
    assert!(silent.texts().is_empty() && !silent.claimed(), "said once; others may answer");
    script.advance(2 * DAY);
    assert!(script.says("5").texts().is_empty(), "forever");
    assert_eq!(script.requests().len(), 2);
    assert_eq!(script.with("bob").says("1").texts(), ["ok"], "another has its own");
}

#[test]
fn a_days_budget_is_shared_and_comes_again_the_next_day() {
    let more = json!({ "budget": { "day": 100 }, "fallback": { "text": "Tomorrow.", "handOver": false } });
    let mut script = model_says(more, says("ok", 60));
    assert_eq!(script.says("1").texts(), ["ok"]);
    assert_eq!(script.with("bob").says("1").texts(), ["ok"]);
    assert_eq!(script.with("eva").says("1").texts(), ["Tomorrow."]);
    assert_eq!(script.with("ana").says("2").texts(), ["Tomorrow."]);
    assert!(script.says("3").texts().is_empty());
    assert_eq!(script.kv().len(), 2, "one entry for each that spent");
    script.advance(DAY);
    assert_eq!(script.says("4").texts(), ["ok"]);
    assert_eq!(
        script.kv().into_iter().collect::<Vec<_>>(),
        [("day/2026-01-06/conversation-ana".to_owned(), "60".to_owned())]
    );
}

#[test]
fn a_days_budget_counts_more_conversations_than_a_page_has() {
    let mut script = model_says(json!({ "budget": { "day": 1000 }, "fallback": { "text": "Spent." } }), says("ok", 10));
    for i in 0..600 {
        script.put_kv(&format!("day/2026-01-05/c{i:04}"), if i == 599 { "401" } else { "1" });
    }
    assert_eq!(script.says("oi").texts(), ["Spent."], "599 + 401 are 1000");
    script.put_kv("day/2026-01-05/c0599", "400");
    assert_eq!(script.with("bob").says("oi").texts(), ["ok"]);
}

#[test]
fn without_a_fallback_a_person_takes_over_when_the_budget_is_spent() {
    let mut script = model_says(json!({ "budget": { "conversation": 10 } }), says("ok", 10));
    script.says("1");
    assert!(script.says("2").texts().is_empty());
    assert_eq!(script.handed_over(), Some("the token budget of the conversation is spent"));
}

#[test]
fn usage_is_counted_whatever_a_service_says_of_it() {
    let spent = |usage: Value| {
        let mut answer = says("ok", 10);
        answer["usage"] = usage;
        let mut script = model_says(json!({}), answer);
        script.says("oi");
        script.state().tokens
    };
    assert_eq!(spent(json!({ "total_tokens": 7 })), 7);
    assert_eq!(spent(json!({ "prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 20 })), 20);
    assert_eq!(spent(json!({ "prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 0 })), 12);
    assert_eq!(spent(json!({ "prompt_tokens": u64::MAX, "completion_tokens": u64::MAX })), u64::MAX);
    for none in [
        json!(null),
        json!({}),
        json!({ "total_tokens": -5 }),
        json!({ "total_tokens": "7" }),
        json!({ "total_tokens": 1e300 }),
        json!([]),
    ] {
        assert!((5..100).contains(&spent(none.clone())), "{none}: estimated from the texts");
    }
}

#[test]
fn a_failing_service_is_asked_again_and_then_given_up() {
    let more = json!({ "fallback": { "text": "We will write back." } });
    let mut script = answering(more, 503, "down");
    for _ in 0..2 {
        let failure = if script.requests().is_empty() { script.try_says("oi") } else { script.retry() };
        assert_eq!(failure.expect_err("a failure").text(), "the service failed (503)");
        assert!(script.sent().is_empty());
    }
    assert_eq!(script.retry().expect("the third time").texts(), ["We will write back."]);
    assert_eq!(script.handed_over(), Some("the service failed (503)"));
    assert_eq!(script.emitted()[0].1, json!({ "reason": "the service failed (503)" }));
    let mut script = script_with(json!({ "fallback": { "text": "Later.", "attempts": 1 } }));
    script.on_http(|_| Err(HttpError::Interrupted("10 s have passed".into())));
    assert_eq!(script.says("oi").texts(), ["Later."]);
}

#[test]
fn a_service_that_recovers_answers() {
    let mut script = answering(json!({}), 429, "");
    assert!(script.try_says("oi").expect_err("busy").text().contains("(429)"));
    script.on_http(|_| Ok(HttpResponse::new(200, says("here I am", 5).to_string())));
    assert_eq!(script.retry().expect("an answer").texts(), ["here I am"]);
    assert_eq!(script.requests()[0].headers, script.requests()[1].headers, "the same idempotency key");
}

#[test]
fn what_will_not_pass_is_given_up_at_once_and_never_quoted() {
    for (status, said) in [
        (400, "refuses the request (400, invalid_request_error)"),
        (401, "change `apiKey`"),
        (403, "change `apiKey`"),
        (404, "change `model` or `baseUrl`"),
        (302, "change `baseUrl`"),
    ] {
        let body = json!({ "error": {
            "message": format!("Incorrect API key provided: {KEY}; the customer wrote: my card is 4111"),
            "type": "invalid_request_error", "code": format!("key {KEY}")
        } });
        let mut script = answering(json!({ "fallback": { "text": "We will write back." } }), status, body.to_string());
        assert_eq!(script.says("oi").texts(), ["We will write back."]);
        let reason = script.handed_over().expect("handed over").to_owned();
        assert!(reason.contains(said), "{status}: {reason}");
        let everything = format!("{reason} {:?} {:?} {:?}", script.emitted(), script.log(), script.state_json());
        assert!(!everything.contains(KEY) && !everything.contains("4111"), "{everything}");
        assert_eq!(script.requests().len(), 1);
    }
}

#[test]
fn with_nothing_to_fall_back_to_the_event_fails_so_that_a_person_sees_it() {
    let mut script = answering(json!({ "fallback": { "handOver": false } }), 401, "{}");
    assert!(script.try_says("oi").expect_err("a failure").text().contains("change `apiKey`"));
}

#[test]
fn a_server_that_was_not_granted_is_not_reached() {
    let mut script = script_with(json!({ "fallback": { "handOver": false } }));
    script.on_http(|_| Err(HttpError::Refused("the host is not granted".into())));
    assert!(script.try_says("oi").expect_err("a failure").text().contains("not granted"));
}

#[test]
fn hostile_answers_do_no_harm() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        "OK",
        "[]",
        "{}",
        "null",
        "7",
        &*deep,
        r#"{"choices": []}"#,
        r#"{"choices": {"0": {}}}"#,
        r#"{"choices": [{"message": null}]}"#,
        r#"{"choices": [{"message": {"content": null}}]}"#,
        r#"{"choices": [{"message": {"content": "   \n"}}]}"#,
        r#"{"choices": [{"message": {"content": {"text": "x"}}}]}"#,
        r#"{"choices": [{"message": {"content": 7}}]}"#,
        r#"{"choices": [{"message": {"content": "<think>never ends"}}]}"#,
        r#"{"choices": [{"message": {"content": "", "tool_calls": "x"}}]}"#,
        r#"{"choices": [{"message": {"tool_calls": [null, 1, {"function": {"name": 7}}]}}]}"#,
    ] {
        let mut script = answering(json!({}), 200, body);
        let failure = script.try_says("oi").expect_err("no text");
        assert!(failure.text().starts_with("the service answered with"), "{failure}");
        assert!(script.sent().is_empty() && script.state().tokens == 0);
    }
    let mut script = answering(json!({}), 200, vec![0xff, 0xfe]);
    assert!(script.try_says("oi").is_err());
    // Far too long, and with characters that no channel shows.
    let mut script = model_says(json!({}), says(&format!("a\u{0}\u{7}b\n{}", "é".repeat(100_000)), 10));
    let answer = script.says("oi");
    assert!(
        answer.texts()[0].starts_with("ab\né") && answer.texts()[0].chars().count() == 4001,
        "cut, with an ellipsis"
    );
}

#[test]
fn thoughts_and_parts_become_the_text() {
    for (content, text) in [
        (json!("<think>The customer\nwants bread.</think>\n\nWe have bread."), "We have bread."),
        (
            json!([{ "type": "text", "text": "We have " }, { "type": "image" }, { "type": "text", "text": "bread." }]),
            "We have bread.",
        ),
        (json!("  We have bread.\r\n"), "We have bread."),
    ] {
        let mut answer = says("", 10);
        answer["choices"][0]["message"]["content"] = content;
        assert_eq!(model_says(json!({}), answer).says("oi").texts(), [text]);
    }
}

#[test]
fn only_texts_are_answered_and_groups_only_when_wanted() {
    let mut script = model_says(json!({}), says("ok", 5));
    assert!(script.sends_file("audio", None).actions().is_empty());
    assert!(script.sends("x", Content::Edit(Edit { message: "m".into(), text: "x".into() })).actions().is_empty());
    assert!(script.sends("", Content::Deleted("m".into())).actions().is_empty());
    assert!(script.says(" \n").actions().is_empty());
    assert!(script.with_group("family").says("oi").actions().is_empty());
    assert_eq!(script.requests().len(), 0);
    let more = json!({ "otherContentReply": "Please write it.", "groups": true, "markRead": false });
    let mut script = model_says(more, says("ok", 5));
    assert_eq!(script.sends_file("audio", None).texts(), ["Please write it."]);
    assert_eq!(script.with_group("family").says("oi").texts(), ["ok"]);
    assert!(!script.is_read());
}

#[test]
fn the_documentation_names_every_setting() {
    let text = include_str!("../../../docs/automations/integration-llm.md");
    let schema: Value = serde_json::from_str(crate::config::SCHEMA).expect("JSON");
    let mut named = 0;
    for (name, field) in schema["properties"].as_object().expect("fields") {
        let within =
            field["properties"].as_object().into_iter().flatten().map(|(inner, _)| format!("`{name}.{inner}`"));
        let names: Vec<_> = within.collect();
        for name in if names.is_empty() { vec![format!("`{name}`")] } else { names } {
            assert!(text.contains(&name), "{name} is not in the documentation");
            named += 1;
        }
    }
    assert!(named > 15, "{named}");
}
