//! Requests that a channel makes to a connector.

use pombo_domain::ports::{ReceiveError, ReceivedResponse};
use serde_json::json;
use uuid::Uuid;

use super::support::{Engine, OPERATOR, Refused};

/// An engine with a connector that takes requests: its id, its URL below this engine, and its secret.
async fn receiving() -> (Engine, String, String, String) {
    let engine = Engine::new().await;
    engine.world.connectors.describe_plugin("connector-chat", |plugin| plugin.features.push("receive".to_owned()));
    let (id, _) = engine.chat(&engine.a).await;
    let shown = engine.get(&engine.a, &format!("/v1/connectors/{id}/receiving")).await.expect(200);
    assert!(shown["features"].as_array().is_some_and(|features| features.contains(&json!("receive"))));
    let url = shown["url"].as_str().expect("a URL").strip_prefix("http://127.0.0.1:8080").expect("public").to_owned();
    assert_eq!(url, format!("/v1/connectors/{id}/receive"));
    let secret = shown["secret"].as_str().expect("a secret").to_owned();
    (engine, id, url, secret)
}

#[tokio::test]
async fn a_request_reaches_the_plugin_and_its_answer_is_passed_on() {
    let (engine, _, url, secret) = receiving().await;
    let connectors = &engine.world.connectors;
    connectors.answer_received(Ok(ReceivedResponse {
        status: 418,
        content_type: "text/html".to_owned(),
        body: b"<b>teapot</b>".to_vec(),
    }));
    let path = format!("{url}/a/b%20c/d?hub.mode=x&secret={secret}&hub.mode=y");
    let answer = engine.ask("POST", &path, &[("x-api-key", "sk_live_x"), ("x-own", "1")], Some(json!({"a": 1}))).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (418, "<b>teapot</b>"));
    assert_eq!(answer.headers["content-type"], "text/html");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert!(answer.headers["content-security-policy"].to_str().is_ok_and(|policy| policy.contains("sandbox")));
    let (_, request) = connectors.received.lock().pop().expect("one");
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "a/b%20c/d"));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(request.query, [pair("hub.mode", "x"), pair("hub.mode", "y")]);
    assert!(request.headers.contains(&pair("x-own", "1")));
    assert!(request.headers.iter().all(|(name, _)| name != "x-api-key"));
    assert_eq!(request.body, br#"{"a":1}"#);

    // A channel may ask without a body.
    let answer = engine.ask("GET", &format!("{url}/hook?token={secret}&hub.challenge=7"), &[], None).await;
    assert_eq!(answer.status.as_u16(), 200);
    let (_, request) = connectors.received.lock().pop().expect("one");
    assert_eq!((request.method.as_str(), request.path.as_str(), request.body.len()), ("GET", "hook", 0));
    let other = engine.ask("DELETE", &format!("{url}/a/b"), &[], None).await;
    assert_eq!(other.error(405).0, "method_not_allowed");
    assert_eq!(other.headers["allow"].to_str().expect("text"), "POST, GET");
}

#[tokio::test]
async fn nobody_calls_without_the_secret_of_the_connector() {
    let (engine, id, url, secret) = receiving().await;
    let other = engine.chat(&engine.b).await.0;
    let key = engine.a.key.clone();
    for path in [
        format!("{url}/x"),
        format!("{url}/x?secret="),
        format!("{url}/x?secret={secret}x"),
        format!("/v1/connectors/{other}/receive/x?secret={secret}"),
        format!("/v1/connectors/{}/receive/x?secret={secret}", Uuid::nil()),
        format!("/v1/connectors/x/receive/x?secret={secret}"),
    ] {
        let answer = engine.ask("POST", &path, &[("x-api-key", key.as_str())], Some(json!({}))).await;
        assert_eq!(answer.error(401).0, "unauthenticated", "{path}");
    }
    let operator = format!("Bearer {OPERATOR}");
    engine.ask("POST", &format!("{url}/x"), &[("authorization", &operator)], Some(json!({}))).await.error(401);
    assert!(engine.world.connectors.received.lock().is_empty());

    // Whose tenant it is does not matter to those who know it; only its own tenant is shown it.
    engine.ask("POST", &format!("{url}/x?secret={secret}"), &[], Some(json!({}))).await;
    assert_eq!(engine.world.connectors.received.lock().len(), 1);
    let path = format!("/v1/connectors/{id}/receiving");
    assert_eq!(engine.get(&engine.b, &path).await.error(404).0, "not_found");
    assert_eq!(engine.post(&engine.b, &format!("{path}/rotate"), json!({})).await.error(404).0, "not_found");
    let bound = engine.world.commands.create_api_key(engine.a.tenant.index, "bound", id.parse().ok()).await;
    let bound = bound.expect("a good name").key;
    engine.ask("GET", &path, &[("x-api-key", bound.as_str())], None).await.error(403);
}

#[tokio::test]
async fn a_changed_secret_ends_the_old_one() {
    let (engine, id, url, old) = receiving().await;
    let path = format!("/v1/connectors/{id}/receiving");
    let changed = engine.post(&engine.a, &format!("{path}/rotate"), json!({})).await.expect(200);
    assert_eq!(changed, engine.get(&engine.a, &path).await.expect(200));
    let new = changed["secret"].as_str().expect("a secret");
    assert_ne!(new, old);
    engine.ask("POST", &format!("{url}/x?secret={old}"), &[], Some(json!({}))).await.error(401);
    let taken = engine.ask("POST", &format!("{url}/x?secret={new}"), &[], Some(json!({}))).await;
    assert_eq!(taken.status.as_u16(), 200);
    // It stays what it is when the connector is changed otherwise.
    engine.post(&engine.a, &format!("/v1/connectors/{id}/pause"), json!({})).await.expect(200);
    assert_eq!(engine.get(&engine.a, &path).await.expect(200)["secret"], new);
    assert_eq!(engine.world.store.disk().verify().expect("readable"), Vec::<String>::new());
}

#[tokio::test]
async fn a_connector_that_can_not_take_it_says_why() {
    let (engine, _, url, secret) = receiving().await;
    let path = format!("{url}/x?secret={secret}");
    let connectors = &engine.world.connectors;
    connectors.answer_received(Err(ReceiveError::Busy("16 are served".to_owned())));
    let busy = engine.ask("POST", &path, &[], Some(json!({}))).await;
    assert_eq!(busy.error(503).0, "unavailable");
    assert!(busy.headers.contains_key("retry-after"));
    connectors.describe_plugin("connector-chat", |plugin| plugin.features.retain(|feature| feature != "receive"));
    let refused = engine.ask("POST", &path, &[], Some(json!({}))).await;
    assert_eq!(refused.error(400).0, "unsupported");
    let message = refused.expect(400)["error"]["message"].to_string();
    assert!(message.contains("plugin connector-chat") && message.contains("feature receive"), "{message}");
    let large = json!("x".repeat(1024 * 1024));
    assert_eq!(engine.ask("POST", &path, &[], Some(large)).await.error(413).0, "too_large");
    let long = "x".repeat(9 * 1024);
    engine.ask("POST", &path, &[("x-long", long.as_str())], Some(json!({}))).await.error(400);
}
