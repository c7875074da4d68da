//! Connectors as the scheduler uses them: start, send, replace, stop.

use std::time::Duration;

use futures::future::join_all;
use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{ConnectorError, Connectors, SendOutcome, SessionState};
use serde_json::json;

use crate::support::{Wish, World, built, message, spec, world};

async fn with_noop() -> World {
    let world = world(Wish { plugins: vec![("noop.wasm", built("plugins/noop.wasm"))], ..Wish::default() }).await;
    world.start(1, "noop", json!({})).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sends_at_once_are_all_answered() {
    let world = with_noop().await;
    let sends = (0..5_000).map(|_| world.send(1, "x"));
    let outcomes = join_all(sends).await;
    assert!(outcomes.iter().all(|o| matches!(o, SendOutcome::Accepted { provider_id: Some(_), .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_running_answers_so() {
    let world = with_noop().await;
    assert!(matches!(world.send(7, "x").await, SendOutcome::Disconnected(_)));
    assert_eq!(world.sandbox.session(ConnectorIndex(7)), SessionState::Stopped);
    let unknown = world.sandbox.start(spec(8, "nothing", json!({}))).await;
    assert_eq!(unknown, Err(ConnectorError::UnknownPlugin("nothing".into())));
    world.sandbox.stop(ConnectorIndex(1)).await;
    assert!(matches!(world.send(1, "x").await, SendOutcome::Disconnected(_)));
    assert_eq!(world.told.of(1).last(), Some(&SessionState::Stopped));
    world.sandbox.stop(ConnectorIndex(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_a_connector_loses_no_send() {
    let world = with_noop().await;
    for _ in 0..20 {
        let sends = join_all((0..100).map(|_| world.send(1, "x")));
        let (outcomes, started) = tokio::join!(sends, world.sandbox.start(spec(1, "noop", json!({}))));
        started.expect("starts");
        let sent = outcomes.iter().filter(|o| matches!(o, SendOutcome::Accepted { .. })).count();
        // What the old one had not taken is told apart from what may have been sent.
        let refused = outcomes.iter().filter(|o| matches!(o, SendOutcome::Disconnected(_))).count();
        assert_eq!(sent + refused, 100, "{outcomes:?}");
    }
    world.told.until(1, |s| s.last() == Some(&SessionState::Connected)).await;
    assert!(matches!(world.send(1, "x").await, SendOutcome::Accepted { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_lets_running_sends_end() {
    let world = with_noop().await;
    let sends = join_all((0..200).map(|_| world.send(1, "x")));
    let ((), outcomes) = tokio::join!(world.sandbox.shutdown(Duration::from_secs(5)), sends);
    assert!(outcomes.iter().all(|o| matches!(o, SendOutcome::Accepted { .. } | SendOutcome::Disconnected(_))));
    assert!(matches!(world.send(1, "x").await, SendOutcome::Disconnected(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_are_checked_without_a_running_connector() {
    let world = world(Wish::default()).await;
    let given = ["Ana@Exemplo.COM", "nobody", "joão@pão.com.br"].map(str::to_owned).to_vec();
    let checked = world.sandbox.check_recipients("connector-email", given).await.expect("answers");
    assert_eq!(checked[0].as_deref(), Ok("Ana@exemplo.com"));
    assert!(checked[1].as_ref().is_err_and(|e| e.contains("no @")), "{checked:?}");
    assert_eq!(checked[2].as_deref(), Ok("joão@xn--po-sia.com.br"));
    let many = vec!["a@b.co".to_owned(); 1000];
    assert_eq!(world.sandbox.check_recipients("connector-email", many).await.map(|c| c.len()), Ok(1000));
    let unknown = world.sandbox.check_recipients("nothing", Vec::new()).await;
    assert_eq!(unknown, Err(ConnectorError::UnknownPlugin("nothing".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_describes_itself_and_its_schema_is_enforced() {
    let world = world(Wish::default()).await;
    let email = world.sandbox.plugin("connector-email").expect("is there");
    assert_eq!((email.channel.as_str(), email.idempotent_resend, email.needs_session), ("email", true, false));
    assert_eq!(email.secret_fields, ["password"]);
    assert_eq!(email.capabilities, ["smtp"]);
    assert_eq!(email.digest.len(), 64);
    let check = |config| world.sandbox.check_config("connector-email", &config);
    assert_eq!(check(json!({"host": "h", "from": {"email": "a@b.co"}, "password": "x"})), Ok(()));
    for (config, field) in [
        (json!({"from": {"email": "a@b.co"}}), "config.host"),
        (json!({"host": 5, "from": {"email": "a@b.co"}}), "config.host"),
        (json!({"host": "h", "from": {}}), "config.from.email"),
        (json!({"host": "h", "from": {"email": "a@b.co"}, "port": 99999}), "config.port"),
        (json!({"host": "h", "from": {"email": "a@b.co"}, "security": "ssl"}), "config.security"),
        (json!({"host": "h", "from": {"email": "a@b.co"}, "surprise": 1}), "config.surprise"),
        (json!([]), "config"),
    ] {
        let problems = check(config.clone()).expect_err("is wrong");
        assert!(problems.iter().any(|p| p.field.to_string() == field), "{config}: {problems:?}");
    }
    let secret = check(json!({"host": "h", "from": {"email": "a@b.co"}, "password": 31337})).expect_err("is no text");
    assert!(!secret[0].message.contains("31337"), "a secret is not repeated");
    assert!(world.sandbox.check_config("nothing", &json!({})).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_work_is_told_and_not_tried_again() {
    let world = world(Wish::default()).await;
    let config = json!({"host": "h", "from": {"email": "nobody"}});
    world.sandbox.start(spec(1, "connector-email", config)).await.expect("starts");
    world.told.until(1, |s| matches!(s.last(), Some(SessionState::Failing(why)) if why.contains("from.email"))).await;
    assert!(matches!(world.send(1, "x").await, SendOutcome::Disconnected(_)));
    let connecting = world.told.of(1).iter().filter(|s| **s == SessionState::Connecting).count();
    assert_eq!(connecting, 1);
    // A stopped connector's file access ends with it, and a new specification starts it again.
    world
        .start(
            1,
            "connector-email",
            json!({"host": "127.0.0.1", "port": 1, "security": "none", "from": {"email": "a@b.co"}}),
        )
        .await;
    let outcome = world.sandbox.send(ConnectorIndex(1), message("a@b.co", "x")).await;
    assert!(matches!(outcome, SendOutcome::Disconnected(_)), "nothing listens there: {outcome:?}");
}
