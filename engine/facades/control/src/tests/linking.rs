//! Linking an account: the steps that the channel asks for, the link for whoever has the phone and no login, and the warning before a
//! session that works is logged out.

use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{Answer as Done, LinkStep, Operation, OperationError, OwnKind, SessionState};
use pombo_testkit::http::Answer;
use pombo_testkit::qr;
use serde_json::{Value, json};

use super::support::{Engine, Refused};

const CODE: &str = "2@aGVsbG8gd29ybGQ,b25l,dHdv,dGhyZWU=";

/// A connector whose plugin asks for steps; its id.
async fn chat(engine: &Engine) -> (String, ConnectorIndex) {
    let (id, index) = engine.chat(&engine.a).await;
    engine.world.connectors.describe_plugin("connector-chat", |plugin| {
        plugin.operations = vec![OwnKind { name: "link-step".to_owned(), schema: None }];
    });
    (id, index)
}

fn passkey(engine: &Engine) -> LinkStep {
    LinkStep {
        id: "s1".to_owned(),
        kind: "passkey".to_owned(),
        text: Some("give the passkey".to_owned()),
        options: Some(json!({"challenge": "YQ", "rpId": "whatsapp.com"})),
        picture: None,
        schema: Some(json!({"type": "object"})),
        expires_at: Some(engine.state.commands.now().plus_ms(60_000)),
    }
}

fn ask(engine: &Engine, index: ConnectorIndex, step: Option<LinkStep>) {
    engine.world.connectors.set_session(index, SessionState::Unpaired("asks for a passkey".to_owned()));
    *engine.world.connectors.link_step.lock() = step;
}

/// The link's path, which is all that its page has.
async fn linked(engine: &Engine, id: &str) -> String {
    let made = engine.post(&engine.a, &format!("/v1/connectors/{id}/session/link"), json!({})).await.expect(201);
    let url = made["url"].as_str().expect("a URL");
    url.strip_prefix("http://127.0.0.1:8080").expect("below the public URL").to_owned()
}

/// Logs A's session out.
async fn delete(engine: &Engine, path: &str, query: &str) -> Answer {
    engine.ask("DELETE", &format!("{path}{query}"), &[("x-api-key", &engine.a.key)], None).await
}

async fn get(engine: &Engine, path: &str) -> Answer {
    engine.ask("GET", path, &[], None).await
}

/// The value of the only operation that the connector was asked.
fn answered(engine: &Engine) -> Value {
    let asked = engine.world.connectors.asked();
    let [Operation::Other(kind, value)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(kind, "link-step");
    serde_json::from_str(value).expect("JSON")
}

#[tokio::test]
async fn a_session_shows_the_step_that_waits_and_takes_its_answer() {
    let engine = Engine::new().await;
    let (id, index) = chat(&engine).await;
    let path = format!("/v1/connectors/{id}/session");
    ask(&engine, index, Some(passkey(&engine)));
    let shown = engine.get(&engine.a, &path).await.expect(200);
    assert_eq!((&shown["status"], &shown["reason"]), (&json!("UNPAIRED"), &json!("asks for a passkey")));
    assert_eq!(shown["linkStep"]["options"]["rpId"], "whatsapp.com");
    assert!(shown["linkStep"]["expiresAt"].is_string());
    // Whoever asks for a code while a step waits gets the step.
    engine.world.clock.stand();
    let opened = engine.post(&engine.a, &path, json!({})).await.expect(200);
    assert_eq!(opened["linkStep"]["id"], "s1");
    assert_eq!(engine.world.connectors.asked(), []);

    let passkey = format!("{path}/passkey");
    let assertion = json!({"rawId": "segredo-4711"});
    let body = json!({"id": "s1", "assertion": assertion});
    let after = engine.post(&engine.a, &passkey, body.clone()).await.expect(200);
    assert_eq!(after["status"], "UNPAIRED");
    assert_eq!(answered(&engine), json!({"id": "s1", "answer": assertion}));
    engine.post(&engine.a, &passkey, json!({"id": "s2", "confirm": true})).await.expect(200);
    assert_eq!(answered(&engine), json!({"id": "s2", "answer": true}));

    for (wrong, field) in [
        (json!({"id": "s1"}), "assertion"),
        (json!({"id": "s1", "assertion": {}, "confirm": true}), "assertion"),
        (json!({"id": "s1", "assertion": "x"}), "assertion"),
        (json!({"id": "", "confirm": true}), "id"),
        (json!({"id": "s1", "confirm": "yes"}), "confirm"),
        (json!({"id": "s1", "answer": 1}), "answer"),
    ] {
        assert_eq!(engine.post(&engine.a, &passkey, wrong.clone()).await.error(400).1, [field], "{wrong}");
    }
    engine.post(&engine.b, &passkey, body.clone()).await.error(404);
    assert_eq!(engine.world.connectors.asked(), [], "nothing of it reached the plugin");
    engine.world.connectors.answer(Err(OperationError::Invalid("another passkey".to_owned())));
    assert_eq!(engine.post(&engine.a, &passkey, body).await.error(400).0, "invalid");
    let email = format!("/v1/connectors/{}/session/passkey", engine.connector(&engine.a).await);
    assert_eq!(engine.post(&engine.a, &email, json!({"id": "s", "confirm": true})).await.error(400).0, "unsupported");

    engine.world.clock.jump(60_000);
    let shown = engine.get(&engine.a, &path).await.expect(200);
    assert_eq!(shown.get("linkStep"), None, "its time is over");
}

#[tokio::test]
async fn a_session_that_works_is_logged_out_with_a_warning_or_after_one() {
    let engine = Engine::new().await;
    let (id, index) = chat(&engine).await;
    let path = format!("/v1/connectors/{id}/session");
    let close = |query: &'static str| delete(&engine, &path, query);
    let refused = close("?confirm=false").await;
    assert!(refused.json()["error"]["message"].as_str().is_some_and(|message| message.contains("passkey")));
    assert_eq!(refused.error(409).0, "conflict");
    assert_eq!(engine.world.connectors.asked(), [], "nothing was done");
    let closed = close("").await.expect(200);
    assert!(closed["warning"].as_str().is_some_and(|warning| warning.contains("passkey")), "{closed}");
    engine.world.connectors.set_session(index, SessionState::Connected);
    assert_eq!(close("?confirm=true").await.expect(200).get("warning"), None);
    engine.world.connectors.set_session(index, SessionState::LoggedOut("by the phone".to_owned()));
    assert_eq!(close("?confirm=false").await.expect(200).get("warning"), None, "there was nothing to lose");
    // While a step waits, there is something to stop, though nothing is paired.
    engine.world.connectors.asked();
    ask(&engine, index, Some(passkey(&engine)));
    close("").await.expect(200);
    assert_eq!(engine.world.connectors.asked(), [Operation::CloseSession]);
}

#[tokio::test]
async fn whoever_has_the_link_links_the_account_without_a_login() {
    let engine = Engine::new().await;
    let (id, index) = chat(&engine).await;
    let connectors = &engine.world.connectors;
    connectors.set_session(index, SessionState::Unpaired("nobody opened one".to_owned()));
    engine.world.clock.stand();
    let link = linked(&engine, &id).await;
    let state = format!("{link}/state");
    let before = get(&engine, &state).await.expect(200);
    assert_eq!((&before["stage"], &before["reason"]), (&json!("START"), &json!("nobody opened one")));

    let open = format!("{link}/open");
    let (opened, ()) = tokio::join!(engine.ask("POST", &open, &[], None), async {
        connectors.was_asked.notified().await;
        connectors.set_session(index, SessionState::QrCode(CODE.to_owned()));
    });
    let opened = opened.expect(200);
    assert_eq!((&opened["stage"], opened.get("qrText")), (&json!("SCAN"), None));
    assert_eq!(qr::decoded(opened["qrCode"].as_str().expect("a picture")), CODE);
    connectors.asked();

    ask(&engine, index, Some(passkey(&engine)));
    let asked = get(&engine, &state).await.expect(200);
    assert_eq!((&asked["stage"], &asked["linkStep"]["id"]), (&json!("PASSKEY"), &json!("s1")));
    let answer = format!("{link}/answer");
    let give = |body: Value| engine.ask("POST", &answer, &[], Some(body));
    give(json!({"id": "s1", "assertion": {"rawId": "x"}})).await.expect(200);
    assert_eq!(answered(&engine)["answer"], json!({"rawId": "x"}));
    ask(&engine, index, Some(LinkStep { kind: "passkey-confirm".to_owned(), ..passkey(&engine) }));
    assert_eq!(get(&engine, &state).await.expect(200)["stage"], "COMPARE");
    connectors.answer(Ok(Done::Done));
    give(json!({"id": "s1", "confirm": true})).await.expect(200);
    assert_eq!(answered(&engine)["answer"], json!(true));
    ask(&engine, index, Some(LinkStep { kind: "captcha".to_owned(), ..passkey(&engine) }));
    assert_eq!(get(&engine, &state).await.expect(200)["stage"], "ELSEWHERE");

    // Connected: the link is used up, also when the session ends again.
    *connectors.link_step.lock() = None;
    connectors.set_session(index, SessionState::Connected);
    assert_eq!(get(&engine, &state).await.expect(200)["stage"], "DONE");
    connectors.set_session(index, SessionState::LoggedOut("by the phone".to_owned()));
    let done = get(&engine, &state).await.expect(200);
    assert_eq!((&done["stage"], done.get("reason")), (&json!("DONE"), None));
    assert_eq!(engine.ask("POST", &open, &[], None).await.error(404).0, "not_found");
    assert_eq!(give(json!({"id": "s1", "confirm": true})).await.error(404).0, "not_found");
    assert_eq!(get(&engine, &link).await.status.as_u16(), 404);
    assert_eq!(connectors.asked(), []);
}

#[tokio::test]
async fn only_the_newest_link_opens_and_not_for_long() {
    let engine = Engine::new().await;
    let (id, index) = chat(&engine).await;
    let path = format!("/v1/connectors/{id}/session/link");
    assert_eq!(engine.post(&engine.a, &path, json!({})).await.error(409).0, "conflict", "there is nothing to link");
    engine.world.connectors.set_session(index, SessionState::Unpaired("nobody opened one".to_owned()));
    engine.post(&engine.b, &path, json!({})).await.error(404);
    let first = linked(&engine, &id).await;
    let second = linked(&engine, &id).await;
    get(&engine, &format!("{first}/state")).await.error(404);
    get(&engine, &format!("{second}/state")).await.expect(200);
    get(&engine, "/link/AAAA/state").await.error(404);
    engine.world.clock.jump(600_000);
    get(&engine, &format!("{second}/state")).await.error(404);
    let email = format!("/v1/connectors/{}/session/link", engine.connector(&engine.a).await);
    assert_eq!(engine.post(&engine.a, &email, json!({})).await.error(400).0, "unsupported");
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere_and_speaks_two_languages() {
    let engine = Engine::new().await;
    let (id, index) = chat(&engine).await;
    engine.world.connectors.set_session(index, SessionState::Unpaired("nobody opened one".to_owned()));
    let link = linked(&engine, &id).await;
    let portuguese = engine.ask("GET", &link, &[("accept-language", "pt-BR,pt;q=0.9")], None).await;
    assert_eq!(portuguese.status.as_u16(), 200);
    assert!(portuguese.text().contains("Mostrar o QR code"));
    let english = engine.ask("GET", &link, &[("accept-language", "en")], None).await;
    assert!(english.text().contains("Show the QR code") && !english.text().contains("://"));
    for (name, words) in [
        ("content-security-policy", "default-src 'none'; script-src 'self'"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("content-type", "text/html"),
    ] {
        let value = english.headers[name].to_str().expect("ASCII");
        assert!(value.contains(words), "{name}: {value}");
    }
    for (part, kind) in [("page.js", "text/javascript"), ("page.css", "text/css")] {
        let answer = get(&engine, &format!("/link/-/{part}")).await;
        assert_eq!(answer.status.as_u16(), 200);
        assert!(answer.headers["content-type"].to_str().expect("ASCII").starts_with(kind), "{part}");
    }
    let over = get(&engine, "/link/AAAA").await;
    assert_eq!(over.status.as_u16(), 404);
    assert!(over.text().contains("no longer does"), "a person reads it");
}
