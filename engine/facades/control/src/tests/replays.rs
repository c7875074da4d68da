//! Replays: a version compared with recorded calls.

use pombo_domain::model::recording::context;
use pombo_domain::model::{Recording, TaskBody};
use pombo_domain::ports::{
    Action, AutomationChange, AutomationStore, Batch, CallEvent, CallFailure, Change, HostAnswer, Outcome, SecretBox,
    SendAction, SendContent, Store,
};
use pombo_domain::{AutomationIndex, Timestamp};
use pombo_testkit::ReversingBox;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Caller, Engine, Refused};

fn says(text: &str) -> Result<Outcome, CallFailure> {
    let send = SendAction { content: SendContent::Text(text.to_owned()), reply_to: None, delay_ms: 0, label: None };
    Ok(Outcome { state: None, actions: vec![Action::Send(send)], claim: true })
}

fn recorded(n: u128, outcome: Result<Outcome, CallFailure>) -> Recording {
    let event = CallEvent {
        id: Uuid::from_u128(n),
        at: Timestamp(1),
        attempt: 1,
        conversation: Uuid::from_u128(7),
        connector: Uuid::from_u128(8),
        channel: "whatsapp".to_owned(),
        chat: "5511".to_owned(),
        is_group: false,
        contact_name: None,
        tags: Vec::new(),
        assignee: None,
        opened_at: Timestamp(0),
        body: TaskBody::Opened,
    };
    let inputs = vec![HostAnswer::KvGet { key: "k".to_owned(), value: Ok(None) }];
    let (config, state, digest) = ("{\"then\":1}".to_owned(), Some("left".to_owned()), "00".repeat(32));
    Recording { event, config, state, now: Timestamp(2), seed: 9, digest, inputs, outcome }
}

/// What A's automation did, and an engine with two versions of its plugin; the automation's id and the versions' digests.
async fn recording() -> (Engine, String, [String; 2]) {
    let engine = Engine::new().await;
    let first = engine.install(&engine.a, json!({"name": "acme-bot", "answer": "oi"})).await;
    let second = json!({"name": "acme-bot", "version": "1.1.0", "answer": "olá", "hosts": ["=acme.com"]});
    let second = engine.upload(&engine.a, second).await.expect(201)["digest"].as_str().expect("text").to_owned();
    let (connector, _) = engine.chat(&engine.a).await;
    let id = engine.automation(&engine.a, "acme-bot", &connector).await;
    (engine, id, [first, second])
}

async fn keep(engine: &Engine, id: &str, plain: Vec<u8>) -> AutomationIndex {
    let id: Uuid = id.parse().expect("a UUID");
    let found = engine.world.store.automation_by_id(engine.a.tenant.index, id).expect("reads");
    let automation = found.expect("stored").index;
    let sealed = ReversingBox.seal(&context(id), &plain);
    let record = AutomationChange::Record { automation, sealed, keep: 100 };
    engine.world.store.commit(Batch::of(vec![Change::Automation(Box::new(record))])).await.expect("commits");
    automation
}

async fn replay(engine: &Engine, caller: &Caller, body: Value) -> super::support::Answer {
    engine.post(caller, "/v1/plugins/acme-bot/replay", body).await
}

#[tokio::test]
async fn a_version_is_given_what_was_recorded_and_its_answers_are_compared() {
    let (engine, id, [first, second]) = recording().await;
    let trap = Err(CallFailure::Trap("at 0x1234".to_owned()));
    let mut index = keep(&engine, &id, recorded(1, says("oi")).encode()).await;
    index = keep(&engine, &id, recorded(2, trap).encode()).await.max(index);
    keep(&engine, &id, recorded(3, says("olá")).encode()).await;
    keep(&engine, &id, b"of another engine".to_vec()).await;

    let same = replay(&engine, &engine.a, json!({"digest": first})).await.expect(200);
    let counts = |report: &Value| {
        ["calls", "same", "different", "failed", "unreadable"].map(|field| report[field].as_u64().expect("a number"))
    };
    assert_eq!(counts(&same), [3, 1, 2, 0, 1]);
    let report = replay(&engine, &engine.a, json!({"digest": second, "automationId": id})).await.expect(200);
    assert_eq!((counts(&report), &report["complete"]), ([3, 1, 2, 0, 1], &json!(true)));
    let answer = |text: &str| {
        let send = json!({"content": {"text": text}, "replyTo": null, "delayMs": 0, "label": null});
        json!({"state": null, "actions": [{"send": send}], "claim": true})
    };
    let expected = json!({
        "at": "1970-01-01T00:00:00.002Z", "kind": "conversation-opened", "eventId": Uuid::from_u128(1),
        "automationId": id, "conversationId": Uuid::from_u128(7), "was": answer("oi"), "is": answer("olá")
    });
    assert_eq!(report["differ"][1], expected);
    let was = json!({"failure": {"code": "trap", "reason": "it failed: at 0x1234"}});
    assert_eq!(report["differ"][0]["was"], was);

    let calls = engine.world.plugins.calls.lock();
    let call = calls.last().expect("it was called");
    assert_eq!((&*call.digest, call.automation, call.seed), (second.as_str(), index, 9));
    assert_eq!((&*call.config, call.state.as_deref(), call.now), ("{\"then\":1}", Some("left"), Timestamp(2)));
    assert_eq!(call.replay, Some(recorded(1, says("")).inputs), "nobody outside is asked");
    assert_eq!(call.grants.hosts, ["=acme.com"], "as if it had been consented to");
}

#[tokio::test]
async fn a_version_that_fails_is_seen_before_it_goes_live() {
    let (engine, id, _) = recording().await;
    let bad = json!({"name": "acme-bot", "version": "2.0.0", "answer": "trap"});
    let bad = engine.upload(&engine.a, bad).await.expect(201)["digest"].clone();
    keep(&engine, &id, recorded(1, says("oi")).encode()).await;
    keep(&engine, &id, recorded(2, Err(CallFailure::Trap("then too".to_owned()))).encode()).await;
    let report = replay(&engine, &engine.a, json!({"digest": bad})).await.expect(200);
    assert_eq!((&report["failed"], &report["same"], &report["different"]), (&json!(2), &json!(1), &json!(1)));
    let limited = replay(&engine, &engine.a, json!({"digest": bad, "limit": 1})).await.expect(200);
    assert_eq!(limited["calls"], 1);
    let absent = json!({"name": "acme-bot", "version": "3.0.0", "answer": "absent"});
    let absent = engine.upload(&engine.a, absent).await.expect(201)["digest"].clone();
    assert_eq!(replay(&engine, &engine.a, json!({"digest": absent})).await.error(503).0, "unavailable");
}

#[tokio::test]
async fn differences_are_bounded_and_a_replay_is_of_ones_own_recordings() {
    let (engine, id, [_, second]) = recording().await;
    for n in 0..60 {
        keep(&engine, &id, recorded(n, says(&"é".repeat(5_000))).encode()).await;
    }
    let report = replay(&engine, &engine.a, json!({"digest": second})).await.expect(200);
    assert_eq!((&report["different"], report["differ"].as_array().map(Vec::len)), (&json!(60), Some(50)));
    let shown = report["differ"][0]["was"]["actions"][0]["send"]["content"]["text"].as_str().expect("a text");
    assert_eq!(shown.chars().count(), 2_001);

    for (body, field) in [
        (json!({"digest": second, "limit": 0}), "limit"),
        (json!({"digest": second, "limit": 1001}), "limit"),
        (json!({"digest": 5}), "digest"),
    ] {
        let refused = replay(&engine, &engine.a, body).await.error(400);
        assert!(refused.1 == [field], "{refused:?}");
    }
    assert_eq!(replay(&engine, &engine.a, json!({"digest": "0".repeat(64)})).await.error(404).0, "not_found");
    let strange = json!({"digest": second, "automationId": Uuid::nil()});
    assert_eq!(replay(&engine, &engine.a, strange).await.error(404).0, "not_found");
    let chat = json!({"digest": second});
    assert_eq!(engine.post(&engine.a, "/v1/plugins/connector-chat/replay", chat).await.error(409).0, "conflict");
}
