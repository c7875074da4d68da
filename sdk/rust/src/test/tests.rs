//! The kit with an automation that uses every event and action.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::automation::{
    Content, Error, FileToSend, HttpError, HttpRequest, HttpResponse, Message, NoConfig, Reaction, Start, StatusChange,
    Timer, Turn, Wants, Webhook,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Does what each message tells it.
struct Obedient;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    messages: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<String>,
}

#[derive(Deserialize)]
struct Config {
    greeting: String,
    #[serde(default)]
    token: Option<String>,
}

impl Automation for Obedient {
    type Config = Config;
    type State = Memory;

    fn describe() -> Description {
        Description {
            events: vec![
                EventKind::MessageReceived,
                EventKind::StatusChanged,
                EventKind::Reaction,
                EventKind::ConversationOpened,
                EventKind::TimerFired,
                EventKind::Started,
                EventKind::WebhookCalled,
            ],
            secret_fields: vec!["token".to_owned()],
            wants: Wants {
                kv_bytes: 1000,
                hosts: vec!["=api.test".to_owned(), "place.url".to_owned()],
                ..Wants::default()
            },
            ..Description::new("obedient", "1.0.0")
        }
    }

    fn on_opened(turn: &mut Turn<'_, Self>) -> Result<(), Error> {
        turn.tag("new");
        Ok(())
    }

    fn on_message(turn: &mut Turn<'_, Self>, message: &Message) -> Result<(), Error> {
        turn.state.messages += 1;
        turn.state.last = Some(message.text.clone());
        let (word, rest) = message.text.split_once(' ').unwrap_or((&message.text, ""));
        match word {
            "fail" => {
                turn.reply("never seen");
                turn.kv_set("k", "never kept");
                return Err(Error::new("as told"));
            }
            "panic" => panic!("as told"),
            "config" => {
                turn.reply(format!("{} {:?}", turn.config.greeting, turn.config.token));
            }
            "time" => {
                turn.reply(format!("{} {}", turn.now_millis(), crate::clock::now_millis()));
            }
            "later" => {
                turn.reply("later").after(DAY).quoting(&message.id).label("l");
            }
            "template" => {
                turn.send_template("{Oi|Olá} {{ name }}", &json!({ "name": rest }))?;
            }
            "file" => {
                turn.send_file(FileToSend::url("https://a.test/b.pdf").caption("here"));
            }
            "react" => {
                turn.react(message, "👍");
            }
            "timer" => turn.set_timer("t", rest.parse().map(Duration::from_secs)?, "payload"),
            "cancel" => turn.cancel_timer("t"),
            "tag" => turn.tag(rest),
            "untag" => turn.untag(rest),
            "contact" => turn.update_contact(Some(rest.to_owned()), Some(false)),
            "human" => turn.hand_over(rest),
            "assign" => turn.assign(rest),
            "unassign" => turn.unassign(),
            "emit" => turn.emit("order", &json!({ "id": rest }))?,
            "read" => turn.mark_read(),
            "get" => {
                let value = turn.kv_get(rest)?.unwrap_or_else(|| "-".to_owned());
                turn.reply(value);
            }
            "set" => {
                turn.kv_set(rest, "1");
                turn.kv_delete("gone");
                let keys: Vec<_> = turn.kv_list("", None, 10)?.into_iter().map(|e| e.key).collect();
                turn.reply(keys.join(","));
            }
            "http" => {
                let request =
                    HttpRequest::post(rest).header("authorization", "Bearer {{secret:token}}").json(&json!({}))?;
                let status = match turn.http(request) {
                    Ok(response) => response.status.to_string(),
                    Err(e) => e.to_string(),
                };
                turn.reply(status);
            }
            "claim" => turn.claim(),
            "pass" => {
                turn.reply("pass");
                turn.pass();
            }
            "log" => turn.log(Level::Warn, "odd"),
            "random" => {
                turn.reply(turn.random().to_string());
            }
            _ => {}
        }
        Ok(())
    }

    fn on_timer(turn: &mut Turn<'_, Self>, timer: &Timer) -> Result<(), Error> {
        turn.reply(format!("{} {} {}", timer.name, timer.payload, turn.now_millis() - timer.due_at_millis));
        Ok(())
    }
    fn on_reaction(turn: &mut Turn<'_, Self>, reaction: &Reaction) -> Result<(), Error> {
        turn.reply(format!("{} {}", reaction.message, reaction.emoji));
        Ok(())
    }
    fn on_started(turn: &mut Turn<'_, Self>, start: &Start) -> Result<(), Error> {
        turn.reply(&start.input);
        Ok(())
    }
    fn on_webhook(turn: &mut Turn<'_, Self>, webhook: &Webhook) -> Result<(), Error> {
        turn.reply(&webhook.body);
        Ok(())
    }
    fn on_status(turn: &mut Turn<'_, Self>, change: &StatusChange) -> Result<(), Error> {
        turn.reply(format!("{:?} {:?}", change.label, change.status));
        Ok(())
    }
}

fn script() -> Script<Obedient> {
    Script::with_config(json!({ "greeting": "hi", "token": "secret", "place": { "url": "http://here.test:8000/x" } }))
}

#[test]
fn the_state_is_kept_for_each_conversation_by_itself() {
    let mut script = script();
    script.says("a");
    script.says("b");
    assert_eq!(script.state(), Memory { messages: 2, last: Some("b".into()) });
    assert_eq!(script.state_json(), Some(r#"{"messages":2,"last":"b"}"#));
    script.with("bob").says("c");
    assert_eq!(script.state().messages, 1);
    assert_eq!(script.with("ana").state().messages, 2);
    assert_eq!(script.tags(), ["new"], "opened once");
}

#[test]
fn an_error_and_a_panic_leave_nothing_behind_and_the_event_comes_again() {
    let mut script = script();
    for (text, said) in [("fail", "as told"), ("panic", "it panicked")] {
        assert_eq!(script.try_says(text).map_err(|f| f.text().to_owned()), Err(said.to_owned()));
        assert_eq!((script.texts().len(), script.kv().len(), script.state_json()), (0, 0, Some(r#"{"messages":0}"#)));
        assert_eq!(script.retry().map_err(|f| f.text().to_owned()), Err(said.to_owned()));
    }
    script.says("a");
    assert_eq!(script.state().messages, 1);
}

#[test]
fn the_configuration_comes_without_its_secrets() {
    assert_eq!(script().says("config").texts(), ["hi None"]);
    let failure = Script::<Obedient>::new().try_says("config").expect_err("greeting is missing");
    assert!(failure.text().contains("configuration") && failure.text().contains("greeting"), "{failure}");
}

#[test]
fn time_passes_only_when_the_script_says_so() {
    let mut script = script();
    let begin = BEGIN.as_millis();
    assert_eq!(script.says("time").texts(), [format!("{begin} {begin}")]);
    script.advance(DAY);
    assert_eq!(script.says("time").texts()[0].split(' ').next(), Some(&*(begin + DAY.as_millis()).to_string()));
    let answer = script.says("later");
    assert_eq!(answer.sent()[0].at, script.now() + DAY);
    assert!(answer.sent()[0].reply_to.is_some());
}

#[test]
fn timers_fire_once_at_their_time_by_name() {
    let mut script = script();
    script.says("timer 60");
    script.says("timer 120");
    assert_eq!(script.timers().len(), 1, "the second replaced the first");
    assert!(script.advance(Duration::from_secs(119)).is_empty());
    let fired = script.advance(DAY);
    assert_eq!((fired.len(), fired[0].texts()), (1, vec!["t payload 0"]), "at its time, not at the end");
    assert!(script.advance(DAY).is_empty() && script.timers().is_empty());
    script.says("timer 60");
    script.says("cancel");
    assert!(script.advance(DAY).is_empty());
    let failure = script.try_says("timer 0").expect_err("too short");
    assert!(failure.text().contains("a second to 400 days"), "{failure}");
}

#[test]
fn a_conversation_that_is_handed_over_is_left_alone_until_it_is_resumed() {
    let mut script = script();
    script.says("timer 60");
    assert!(script.says("human please").claimed());
    assert_eq!(script.handed_over(), Some("please"));
    assert!(!script.says("get k").asked());
    assert!(script.advance(DAY).is_empty());
    assert_eq!(script.resume()[0].texts(), [format!("t payload {}", (DAY.as_millis()) - 60_000)]);
    assert!(script.says("a").asked() && script.handed_over().is_none());
}

#[test]
fn every_action_has_its_effect() {
    let mut script = script();
    let answer = script.says("template Ana");
    assert!(
        matches!(&answer.sent()[0].content, crate::automation::types::Outgoing::Template(t) if t.variables == r#"{"name":"Ana"}"#)
    );
    assert_eq!(script.says("file").texts(), ["here"]);
    let answer = script.says("react");
    let reaction = answer.sent()[0].reaction().expect("a reaction");
    assert_eq!((&*reaction.emoji, reaction.sender.as_deref()), ("👍", Some("ana")));
    script.says("tag vip");
    script.says("untag new");
    assert_eq!(script.tags(), ["vip"]);
    script.says("assign joe");
    assert_eq!(script.assignee(), Some("joe"));
    script.says("unassign");
    assert_eq!(script.assignee(), None);
    script.says("contact Ana Maria");
    assert_eq!((script.contact_name(), script.contact_active()), (Some("Ana Maria"), false));
    script.says("emit 7");
    assert_eq!(script.emitted(), [("order".to_owned(), json!({ "id": "7" }))]);
    script.says("read");
    assert!(script.is_read());
    script.says("log");
    assert_eq!(script.log(), [(Level::Warn, "odd".to_owned())]);
    assert_ne!(script.says("random").texts(), script.says("random").texts());
}

#[test]
fn every_event_reaches_its_handler() {
    let mut script = script();
    script.says("later");
    assert_eq!(script.reacts("❤").texts(), ["message-1 ❤"]);
    assert_eq!(script.start(json!({ "a": 1 })).texts(), [r#"{"a":1}"#]);
    assert_eq!(script.webhook("text/plain", "body").texts(), ["body"]);
    assert_eq!(script.status("l", Status::Read, None).texts(), [r#"Some("l") Status::Read"#]);
    assert!(script.sends_file("image", Some("get k")).asked());
    assert!(script.sends("", Content::Deleted("message-1".into())).texts().is_empty());
}

#[test]
fn what_is_sent_claims_unless_it_says_otherwise() {
    let mut script = script();
    assert!(!script.says("nothing").claimed());
    assert!(script.says("claim").claimed());
    assert!(script.says("time").claimed());
    assert!(!script.says("pass").claimed());
}

#[test]
fn the_store_is_shared_and_a_turn_sees_its_own_writes() {
    let mut script = script();
    script.put_kv("gone", "x").put_kv("old", "x");
    assert_eq!(script.says("set new").texts(), ["new,old"]);
    assert_eq!(script.with("bob").says("get new").texts(), ["1"]);
    assert_eq!(script.kv().keys().collect::<Vec<_>>(), ["new", "old"]);
}

#[test]
fn only_what_was_asked_for_is_reached() {
    let mut script = script();
    script.on_http(|request| {
        assert_eq!(request.headers[0].1, "Bearer {{secret:token}}", "the secret stays outside");
        Ok(HttpResponse::new(204, ""))
    });
    assert_eq!(script.says("http https://api.test/a").texts(), ["204"]);
    for (url, why) in [
        ("https://other.test/", "not granted"),
        ("https://api.test@evil.test/", "must begin"),
        ("http://here.test:8000/y", "over TLS only"),
        ("http://here.test:8001/y", "not granted"),
        ("ftp://api.test", "must begin"),
    ] {
        let answer = script.says(&format!("http {url}"));
        assert!(answer.texts()[0].contains(why), "{url}: {:?}", answer.texts());
    }
    assert_eq!(script.requests().len(), 1);
    script.on_http(|_| Err(HttpError::Interrupted("cut".into())));
    assert_eq!(script.says("http https://api.test/a").texts(), ["the request was interrupted: cut"]);
}

#[test]
fn what_people_write_brings_no_secret_into_a_json_body() {
    for text in ["{{secret:token}}", "{{{secret:token}}}", "a{{{{hmac-sha256:token}}"] {
        let request = HttpRequest::post("https://api.test").json(&json!({ "text": text })).expect("JSON");
        let body = String::from_utf8(request.body.expect("a body")).expect("UTF-8");
        assert!(!body.contains("{{"), "{body}");
        assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON"), json!({ "text": text }));
    }
}

/// An observer that also tries what it may not do.
struct Watcher;
impl Automation for Watcher {
    type Config = NoConfig;
    type State = ();
    fn describe() -> Description {
        Description { observer: true, ..Description::new("watcher", "0.1.0") }
    }
    fn on_message(turn: &mut Turn<'_, Self>, message: &Message) -> Result<(), Error> {
        match &*message.text {
            "send" => {
                turn.reply("no");
            }
            "write" => turn.kv_set("a", "b"),
            "long" => turn.tag("é".repeat(33)),
            _ => turn.tag("seen"),
        }
        Ok(())
    }
}

#[test]
fn what_the_engine_refuses_is_a_failure() {
    let mut script = Script::<Watcher>::new();
    script.says("hi");
    assert_eq!((script.tags(), script.state_json()), (vec!["seen"], None));
    assert!(script.try_says("send").expect_err("an observer").text().contains("observer"));
    assert!(script.try_says("long").expect_err("a long tag").text().contains("a tag is longer than 64 bytes"));
    assert!(script.try_says("write").expect_err("no store").text().contains("wants.kv_bytes"));
}

#[test]
#[should_panic(expected = "add EventKind::Reaction")]
fn an_event_that_it_does_not_listen_to_is_a_mistake_of_the_test() {
    let mut script = Script::<Watcher>::new();
    script.says("hi");
    script.reacts("👍");
}
