//! What a stream tells live: steps of messages, sessions, connectors, automations. Nothing of it is stored.

use futures::StreamExt;
use poem::Request;
use poem::http::Method;
use pombo_domain::model::EventBody;
use pombo_domain::ports::{SessionState, Store};
use serde_json::{Value, json};

use super::support::{Caller, Engine, Refused};

/// The pieces of a stream behind its `hello`.
async fn stream(engine: &Engine, caller: &Caller, query: &str) -> impl futures::Stream<Item = String> + Unpin {
    let uri = format!("/v1/events/stream{query}").parse().expect("a path");
    let request = Request::builder().method(Method::GET).uri(uri).header("x-api-key", &caller.key).finish();
    let mut response = engine.respond(request).await;
    assert_eq!(response.status().as_u16(), 200);
    let pieces = response.take_body().into_bytes_stream();
    let mut pieces =
        Box::pin(pieces.map(|piece| String::from_utf8(piece.expect("no failure").to_vec()).expect("UTF-8")));
    assert!(pieces.next().await.expect("at once").contains("event: hello"));
    pieces
}

/// The id (of what is stored), the name and the data of a piece.
fn told(piece: Option<String>) -> (Option<u64>, String, Value) {
    let piece = piece.expect("a piece");
    let field = |name: &str| piece.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let id = field("id: ").map(|id| id.parse().expect("a number"));
    let data = serde_json::from_str(&field("data: ").expect("data")).expect("JSON");
    (id, field("event: ").expect("a name"), data)
}

/// The next piece, which is a step of a message; its data.
async fn step(stream: &mut (impl futures::Stream<Item = String> + Unpin)) -> Value {
    let (id, name, data) = told(stream.next().await);
    assert_eq!((id, name.as_str()), (None, "message.changed"), "{data}");
    data
}

#[tokio::test]
async fn every_step_of_a_message_is_told_and_none_is_stored() {
    let engine = Engine::new().await;
    engine.world.clock.stand();
    let connector = engine.connector(&engine.a).await;
    let mut live = stream(&engine, &engine.a, "?live=true").await;
    let mut other = stream(&engine, &engine.b, "?live=true").await;
    let before = engine.state.commands.last_event(engine.a.tenant.index).expect("readable");

    let id = engine.message(&engine.a, &connector, true).await;
    let made = json!({"id": id, "connectorId": connector, "status": "PENDING_APPROVAL", "revision": 0});
    assert_eq!(step(&mut live).await, made);
    engine.post(&engine.a, &format!("/v1/messages/{id}/approve"), json!({})).await.expect(200);
    let approved = step(&mut live).await;
    assert_eq!((&approved["status"], &approved["revision"]), (&json!("PENDING"), &json!(1)));
    let message = id.parse().expect("a UUID");
    let stored = engine.world.store.message_by_id(engine.a.tenant.index, message).expect("readable");
    let key = stored.expect("it was made").message.key;
    engine.world.step(key, |state, now| state.claim(now).expect("it is pending"));
    engine.world.step(key, |state, now| state.sent(Some("m1".to_owned()), now).expect("it is processing"));
    for (status, revision) in [("PROCESSING", 2), ("SENT", 3)] {
        let told = step(&mut live).await;
        assert_eq!((&told["id"], &told["status"], &told["revision"]), (&json!(id), &json!(status), &json!(revision)));
    }
    let canceled = engine.message(&engine.a, &connector, false).await;
    assert_eq!(step(&mut live).await["status"], "PENDING");
    let reason = json!({"reason": "a mistake"});
    engine.post(&engine.a, &format!("/v1/messages/{canceled}/cancel"), reason).await.expect(200);
    let told = step(&mut live).await;
    assert_eq!(
        (&told["id"], &told["status"], &told["reason"]["detail"]),
        (&json!(canceled), &json!("CANCELED"), &json!("a mistake"))
    );

    let after = engine.state.commands.last_event(engine.a.tenant.index).expect("readable");
    assert_eq!(after, before, "the log has none of it");
    // Nothing of it reached another tenant: what comes next there is its own.
    let connector = engine.connector(&engine.b).await;
    let (id, name, data) = self::told(other.next().await);
    assert_eq!((id, name.as_str(), data), (None, "connector.changed", json!({"connectorId": connector})));
}

#[tokio::test]
async fn only_what_is_wanted_is_told() {
    let engine = Engine::new().await;
    engine.world.clock.stand();
    let tenant = engine.a.tenant.index;
    let (chat, index) = engine.chat(&engine.a).await;
    let (id, other) = (engine.connector(&engine.a).await, engine.connector(&engine.a).await);
    // Its type is named, so it needs no `live`; and nothing of the log is.
    let query = format!("?type=message.changed&connectorId={id}");
    let mut messages = stream(&engine, &engine.a, &query).await;
    let mut sessions = stream(&engine, &engine.a, "?type=session.changed&live=true").await;
    let mut logged = stream(&engine, &engine.a, "?type=session.changed").await;

    engine.signals.session_changed(tenant, index, SessionState::QrCode("2@secret".to_owned()));
    engine.signals.session_changed(engine.b.tenant.index, index, SessionState::Connecting);
    engine.message(&engine.a, &other, false).await;
    engine.append(&engine.a, index, EventBody::Other("x".to_owned(), "1".to_owned())).await;
    let message = engine.message(&engine.a, &id, false).await;
    engine
        .append(&engine.a, index, EventBody::Session { state: "connected".into(), account: None, reason: None })
        .await;
    assert_eq!(step(&mut messages).await["id"], json!(message));
    // What is live and what is stored come as they are found.
    let (mut live, mut stored) = (Vec::new(), 0);
    for _ in 0..2 {
        match told(sessions.next().await) {
            (None, _, data) => live.push(data),
            (Some(_), name, _) => stored += usize::from(name == "session.changed"),
        }
    }
    assert_eq!((live, stored), (vec![json!({"connectorId": chat, "status": "QR_CODE"})], 1), "never the code itself");
    assert!(told(logged.next().await).0.is_some(), "only the log");

    let refused = engine.get(&engine.a, "/v1/events?type=message.changed").await;
    assert_eq!(refused.error(400).1, ["type"], "the log has no such events");
}

#[tokio::test]
async fn automations_and_connectors_are_told() {
    let engine = Engine::new().await;
    engine.world.clock.stand();
    let connector = engine.connector(&engine.a).await;
    let query = format!("?type=connector.changed&connectorId={connector}");
    let mut live = stream(&engine, &engine.a, &query).await;
    engine.connector(&engine.a).await;
    let pause = format!("/v1/connectors/{connector}/pause");
    engine.post(&engine.a, &pause, json!({})).await.expect(200);
    let (id, name, data) = told(live.next().await);
    assert_eq!((id, name.as_str(), data), (None, "connector.changed", json!({"connectorId": connector})));

    engine.install(&engine.a, json!({"name": "acme-bot"})).await;
    let (chat, _) = engine.chat(&engine.a).await;
    let mut live = stream(&engine, &engine.a, "?type=automation.changed").await;
    let automation = engine.automation(&engine.a, "acme-bot", &chat).await;
    let (id, name, data) = told(live.next().await);
    assert_eq!((id, name.as_str()), (None, "automation.changed"));
    assert_eq!(data, json!({"automationId": automation, "connectorId": chat}));
}

#[tokio::test]
async fn who_is_too_slow_is_told_that_something_is_missing_and_goes_on() {
    let engine = Engine::new().await;
    engine.world.clock.stand();
    let tenant = engine.a.tenant.index;
    let (id, index) = engine.chat(&engine.a).await;
    let mut slow = stream(&engine, &engine.a, "?type=session.changed&live=true").await;
    let cursor = engine.state.commands.last_event(tenant).expect("readable");
    for _ in 0..2_000 {
        engine.signals.session_changed(tenant, index, SessionState::Connecting);
    }
    engine.signals.session_changed(tenant, index, SessionState::Stopped);
    let (none, name, data) = told(slow.next().await);
    assert_eq!((none, name.as_str()), (None, "resync"), "its place in the log stays");
    assert_eq!(data, json!({"reason": "fell_behind", "cursor": cursor}));
    let mut heard = 0;
    loop {
        let (_, name, data) = told(slow.next().await);
        assert_eq!((name.as_str(), &data["connectorId"]), ("session.changed", &json!(id)));
        heard += 1;
        if data["status"] == "STOPPED" {
            break;
        }
    }
    assert!((1_000..2_000).contains(&heard), "{heard}");
}
