//! Requests that a channel makes to a connector.

use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{Proof, ReceiveError, ReceivedResponse};
use pombo_testkit::Caller;
use pombo_testkit::http::Answer;
use serde_json::{Value, json};
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

/// The HMAC-SHA256 of `{"a":1}` with the key `app secret`.
const SIGNATURE: &str = "sha256=fc55c1418941a60cb50c78f1ff5de2ac07413237e4fc067a9c0cbe27c307ab2a";

/// Lets connectors of the plugin be called by a channel that signs with `key`, and share an address by `app`.
fn signing(engine: &Engine) {
    engine.world.connectors.describe_plugin("connector-chat", |plugin| {
        plugin.features.push("receive".to_owned());
        plugin.secret_fields = vec!["key".to_owned(), "word".to_owned()];
        let (header, prefix) = ("x-hub-signature-256".to_owned(), "sha256=".to_owned());
        let (parameter, method) = ("hub.verify_token".to_owned(), "GET".to_owned());
        plugin.proofs = vec![
            Proof::BodyHmac { header, prefix, secret: "key".to_owned() },
            Proof::QuerySecret { parameter, secret: "word".to_owned(), method },
        ];
        plugin.shared_address = Some("app".to_owned());
    });
}

/// A connector with this configuration: its id and its index.
async fn configured(engine: &Engine, caller: &Caller, config: Value) -> (String, ConnectorIndex) {
    let made = json!({"name": "Loja", "plugin": "connector-chat", "config": config});
    let made = engine.post(caller, "/v1/connectors", made).await.expect(201);
    let id = made["id"].as_str().expect("an id").to_owned();
    let found = engine.world.commands.get_connector(caller.tenant.index, id.parse().expect("a UUID"));
    (id, found.expect("it was made").connector.index)
}

async fn tell(engine: &Engine, url: &str, headers: &[(&str, &str)]) -> Answer {
    engine.ask("POST", url, headers, Some(json!({"a": 1}))).await
}

#[tokio::test]
async fn a_channel_proves_its_requests_without_the_secret() {
    let engine = Engine::new().await;
    signing(&engine);
    let (id, _) = configured(&engine, &engine.a, json!({"key": "app secret", "word": "a word"})).await;
    let url = format!("/v1/connectors/{id}/receive/in");
    assert_eq!(tell(&engine, &url, &[("x-hub-signature-256", SIGNATURE)]).await.status.as_u16(), 200);
    let (_, request) = engine.world.connectors.received.lock().pop().expect("one");
    assert!(request.proven && request.headers.iter().all(|(name, _)| name != "x-hub-signature-256"));
    let wrong = SIGNATURE.replace("=f", "=0");
    for headers in [&[("x-hub-signature-256", wrong.as_str())][..], &[("x-hub-signature-256", "sha256=")], &[]] {
        assert_eq!(tell(&engine, &url, headers).await.error(403).0, "forbidden", "{headers:?}");
    }
    assert!(engine.world.connectors.received.lock().is_empty());

    let asked = async |word: &str| {
        let path = format!("{url}?hub.mode=subscribe&hub.verify_token={word}&hub.challenge=7");
        engine.ask("GET", &path, &[], None).await
    };
    assert_eq!(asked("a%20word").await.status.as_u16(), 200);
    let (_, request) = engine.world.connectors.received.lock().pop().expect("one");
    assert_eq!((request.proven, request.query.len()), (true, 2));
    asked("another").await.error(403);
    // The connector's own secret still opens.
    let shown = engine.get(&engine.a, &format!("/v1/connectors/{id}/receiving")).await.expect(200);
    let secret = shown["secret"].as_str().expect("a secret");
    assert_eq!(tell(&engine, &url, &[("x-webhook-secret", secret)]).await.status.as_u16(), 200);
    assert!(!engine.world.connectors.received.lock().pop().expect("one").1.proven);
}

#[tokio::test]
async fn a_connector_without_the_secrets_of_the_proofs_is_proven_nothing() {
    let engine = Engine::new().await;
    signing(&engine);
    for config in [json!({}), json!({"key": "", "word": ""}), json!({"key": "another", "word": "b"})] {
        let (id, _) = configured(&engine, &engine.a, config).await;
        let url = format!("/v1/connectors/{id}/receive/in");
        tell(&engine, &url, &[("x-hub-signature-256", SIGNATURE)]).await.error(403);
        engine.ask("GET", &format!("{url}?hub.verify_token="), &[], None).await.error(403);
    }
    assert!(engine.world.connectors.received.lock().is_empty());
}

#[tokio::test]
async fn connectors_that_share_an_address_get_each_others_requests() {
    let engine = Engine::new().await;
    signing(&engine);
    let config = |app: &str| json!({"key": "app secret", "app": app});
    let (id, first) = configured(&engine, &engine.a, config("1")).await;
    let (_, second) = configured(&engine, &engine.a, config("1")).await;
    configured(&engine, &engine.a, config("2")).await;
    configured(&engine, &engine.a, json!({"key": "app secret"})).await;
    configured(&engine, &engine.b, config("1")).await;
    let (paused, third) = configured(&engine, &engine.a, config("1")).await;
    let (gone, _) = configured(&engine, &engine.a, config("1")).await;
    engine.post(&engine.a, &format!("/v1/connectors/{paused}/pause"), json!({})).await.expect(200);
    engine.ask("DELETE", &format!("/v1/connectors/{gone}"), &[("x-api-key", &engine.a.key)], None).await;
    let url = format!("/v1/connectors/{id}/receive/in");
    let says = |status: u16| Ok(ReceivedResponse { status, content_type: "text/plain".to_owned(), body: Vec::new() });
    for (answers, status) in [
        ([says(202), says(200), says(200)], 202),
        ([says(400), says(200), says(404)], 400),
        ([says(200), says(500), says(200)], 503),
        ([says(500), says(200), says(200)], 503),
        ([says(200), Err(ReceiveError::Busy("it does not run".to_owned())), says(200)], 503),
        ([says(200), Err(ReceiveError::Unsupported), says(200)], 200),
        // A person has taken it out of use: its failures hold up nobody.
        ([says(200), says(200), says(500)], 200),
    ] {
        for answer in &answers {
            engine.world.connectors.answer_received(answer.clone());
        }
        let answer = tell(&engine, &url, &[("x-hub-signature-256", SIGNATURE)]).await;
        assert_eq!(answer.status.as_u16(), status, "{answers:?}");
        let received = std::mem::take(&mut *engine.world.connectors.received.lock());
        assert_eq!(received.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [first, second, third]);
        assert!(received.iter().all(|(_, request)| request.proven && request.body == br#"{"a":1}"#));
    }
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
    let large = json!("x".repeat(3 * 1024 * 1024));
    assert_eq!(engine.ask("POST", &path, &[], Some(large)).await.error(413).0, "too_large");
    let long = "x".repeat(9 * 1024);
    engine.ask("POST", &path, &[("x-long", long.as_str())], Some(json!({}))).await.error(400);
}
