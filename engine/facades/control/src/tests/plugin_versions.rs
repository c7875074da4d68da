//! Which version runs: activation, rollouts, going back.

use pombo_domain::ports::{AutomationChange, Change, Conflict, StoreError};
use serde_json::{Value, json};

use super::support::{Engine, Refused};

fn bot(version: &str) -> Value {
    json!({"name": "acme-bot", "version": version})
}

async fn uploaded(engine: &Engine, component: Value) -> String {
    engine.upload(&engine.a, component).await.expect(201)["digest"].as_str().expect("text").to_owned()
}

async fn step(engine: &Engine, step: &str, body: Option<Value>) -> super::support::Answer {
    let path = format!("/v1/plugins/acme-bot/{step}");
    engine.ask("POST", &path, &[("x-api-key", &engine.a.key)], body).await
}

#[tokio::test]
async fn a_first_version_works_at_once_and_the_next_is_watched() {
    let engine = Engine::new().await;
    let first = engine.install(&engine.a, bot("1.0.0")).await;
    let shown = engine.get(&engine.a, "/v1/plugins/acme-bot").await.expect(200);
    assert_eq!((&shown["active"], shown.get("rollout")), (&json!(first), None));
    let again = step(&engine, "activate", Some(json!({"digest": first}))).await.expect(200);
    assert_eq!(again["updatedAt"], shown["updatedAt"], "nothing changes");
    assert_eq!(step(&engine, "rollback", None).await.error(409).0, "conflict");

    let second = uploaded(&engine, bot("1.1.0")).await;
    let shown = step(&engine, "activate", Some(json!({"digest": second, "grant": true}))).await.expect(200);
    assert_eq!((&shown["active"], &shown["previous"]), (&json!(second), &json!(first)));
    let rollout = &shown["rollout"];
    assert_eq!((&rollout["from"], &rollout["to"]), (&json!(first), &json!(second)));
    assert_eq!(
        (&rollout["step"], &rollout["share"], &rollout["automatic"]),
        (&json!("watching"), &json!(100), &json!(true))
    );
    assert_eq!(step(&engine, "promote", None).await.error(409).0, "conflict");

    let shown = step(&engine, "rollback", None).await.expect(200);
    assert_eq!((&shown["active"], shown.get("rollout"), shown.get("previous")), (&json!(first), None, None));
    assert_eq!(shown["versions"][1]["status"], "rolled-back");
    assert!(shown["versions"][1]["reason"].as_str().is_some_and(|why| why.starts_with("rolled back by key:")));
    let shown = step(&engine, "activate", Some(json!({"digest": second}))).await.expect(200);
    assert_eq!((&shown["active"], &shown["versions"][1]["status"]), (&json!(second), &json!("ready")));
    let steps: Vec<Value> = engine.told(&engine.a, "plugin.changed").await.iter().map(|e| e["step"].clone()).collect();
    let expected = ["uploaded", "granted", "activated", "uploaded", "activated", "rolled-back", "activated"];
    assert_eq!(steps, expected);
}

#[tokio::test]
async fn a_canary_has_its_share_until_it_is_promoted_or_taken_back() {
    let engine = Engine::new().await;
    let first = engine.install(&engine.a, bot("1.0.0")).await;
    let second = uploaded(&engine, bot("1.1.0")).await;
    let third = uploaded(&engine, bot("1.2.0")).await;
    let canary = |digest: &str| Some(json!({"digest": digest, "share": 10, "automatic": false}));
    let shown = step(&engine, "activate", canary(&second)).await.expect(200);
    assert_eq!((&shown["active"], &shown["rollout"]["step"]), (&json!(first), &json!("canary")));
    assert_eq!((&shown["rollout"]["share"], &shown["rollout"]["automatic"]), (&json!(10), &json!(false)));
    assert_eq!(step(&engine, "activate", canary(&third)).await.error(409).0, "conflict");
    let key = [("x-api-key", engine.a.key.as_str())];
    for digest in [&first, &second] {
        let version = format!("/v1/plugins/acme-bot/versions/{digest}");
        assert_eq!(engine.ask("DELETE", &version, &key, None).await.error(409).0, "conflict");
    }
    let shown = step(&engine, "promote", None).await.expect(200);
    assert_eq!((&shown["active"], &shown["previous"]), (&json!(second), &json!(first)));
    assert_eq!((&shown["rollout"]["step"], &shown["rollout"]["share"]), (&json!("watching"), &json!(100)));
    // Another canary may follow while the promoted one is watched.
    step(&engine, "activate", canary(&third)).await.expect(200);
    let shown = step(&engine, "rollback", None).await.expect(200);
    assert_eq!((&shown["active"], shown.get("rollout")), (&json!(second), None));
    assert_eq!(shown["versions"][2]["status"], "rolled-back");
}

#[tokio::test]
async fn automations_follow_the_version_that_they_are_called_with() {
    let engine = Engine::new().await;
    engine.install(&engine.a, bot("1.0.0")).await;
    let (connector, _) = engine.chat(&engine.a).await;
    let id = engine.automation(&engine.a, "acme-bot", &connector).await;
    let events =
        || async { engine.get(&engine.a, &format!("/v1/automations/{id}")).await.expect(200)["events"].clone() };
    let second = json!({"name": "acme-bot", "version": "1.1.0", "events": ["started"]});
    let second = uploaded(&engine, second).await;
    step(&engine, "activate", Some(json!({"digest": second, "share": 50}))).await.expect(200);
    assert_eq!(events().await, json!(["message-received", "started"]), "either version may be asked");
    let late = engine.automation(&engine.a, "acme-bot", &connector).await;
    let late = engine.get(&engine.a, &format!("/v1/automations/{late}")).await.expect(200);
    assert_eq!(late["events"], json!(["message-received", "started"]));
    step(&engine, "promote", None).await.expect(200);
    assert_eq!(events().await, json!(["started"]));
    step(&engine, "rollback", None).await.expect(200);
    assert_eq!(events().await, json!(["message-received"]));

    let watcher = uploaded(&engine, json!({"name": "acme-bot", "version": "2.0.0", "observer": true})).await;
    let refused = step(&engine, "activate", Some(json!({"digest": watcher, "share": 50}))).await;
    assert_eq!(refused.error(400).1, ["share"]);
    step(&engine, "activate", Some(json!({"digest": watcher}))).await.expect(200);
    assert_eq!(engine.get(&engine.a, &format!("/v1/automations/{id}")).await.expect(200)["observer"], true);
}

#[tokio::test]
async fn a_version_that_some_configuration_does_not_fit_is_not_activated() {
    let engine = Engine::new().await;
    engine.install(&engine.a, bot("1.0.0")).await;
    let (connector, _) = engine.chat(&engine.a).await;
    let id = engine.automation(&engine.a, "acme-bot", &connector).await;
    let strict = uploaded(&engine, json!({"name": "acme-bot", "version": "2.0.0", "requires": "token"})).await;
    let activate = || step(&engine, "activate", Some(json!({"digest": strict})));
    let refused = activate().await;
    let message = refused.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains(&id) && message.contains("token"), "{message}");
    assert_eq!(refused.error(409).0, "conflict");
    // A secret counts though no answer shows it.
    let path = format!("/v1/automations/{id}");
    let patch = Some(json!({"config": {"token": "t0p"}}));
    engine.ask("PATCH", &path, &[("x-api-key", &engine.a.key)], patch).await.expect(200);
    activate().await.expect(200);
}

#[tokio::test]
async fn a_step_is_decided_anew_when_somebody_else_was_quicker_and_gives_up_in_the_end() {
    let engine = Engine::new().await;
    let first = engine.install(&engine.a, bot("1.0.0")).await;
    let second = uploaded(&engine, bot("1.1.0")).await;
    let quicker = |times: usize| {
        let mut left = times;
        move |_: usize, batch: &pombo_domain::ports::Batch| {
            let plugin = |change: &Change| matches!(change, Change::Automation(change) if matches!(**change, AutomationChange::Plugin(_)));
            left = left.checked_sub(usize::from(batch.changes.iter().any(plugin)))?;
            Some(StoreError::Conflict(Conflict::Plugin("acme-bot".to_owned())))
        }
    };
    engine.world.store.refuse(quicker(100));
    let body = || Some(json!({"digest": second}));
    assert_eq!(step(&engine, "activate", body()).await.error(409).0, "conflict");
    engine.world.store.refuse(quicker(2));
    let shown = step(&engine, "activate", body()).await.expect(200);
    assert_eq!((&shown["active"], &shown["previous"]), (&json!(second), &json!(first)));
}

#[tokio::test]
async fn an_activation_names_a_version_and_a_share() {
    let engine = Engine::new().await;
    let digest = engine.install(&engine.a, bot("1.0.0")).await;
    for (body, field) in [
        (json!({"digest": digest, "share": 0}), "share"),
        (json!({"digest": digest, "share": 101}), "share"),
        (json!({"digest": digest, "share": "all"}), "share"),
        (json!({"digest": digest, "agora": true}), "agora"),
    ] {
        assert_eq!(step(&engine, "activate", Some(body)).await.error(400).1, [field]);
    }
    let unknown = step(&engine, "activate", Some(json!({"digest": "0".repeat(64)}))).await;
    assert_eq!(unknown.error(404).0, "not_found");
}
