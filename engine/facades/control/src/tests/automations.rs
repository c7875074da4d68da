//! Automations: put on connectors, started, called by webhook; what was parked.

use pombo_domain::Timestamp;
use pombo_domain::model::event_task::ANSWERING;
use pombo_domain::model::{DeadLetter, FailureCode, TaskBody};
use pombo_domain::ports::{AutomationChange, AutomationStore, Batch, Change, NewTask, TaskStep};
use pombo_testkit::{ReversingBox, samples};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Caller, Engine, Refused};

fn bot() -> Value {
    json!({"name": "acme-bot", "events": ["message-received", "started", "webhook-called"]})
}

/// An engine where A has the plugin, a connector and an automation on it; the connector's and the automation's ids.
async fn answering() -> (Engine, String, String) {
    let engine = Engine::new().await;
    engine.install(&engine.a, bot()).await;
    let (connector, _) = engine.chat(&engine.a).await;
    let automation = engine.automation(&engine.a, "acme-bot", &connector).await;
    (engine, connector, automation)
}

#[tokio::test]
async fn an_automations_secrets_go_in_and_never_out() {
    let engine = Engine::new().await;
    engine.install(&engine.a, bot()).await;
    let (connector, _) = engine.chat(&engine.a).await;
    let body = json!({
        "name": "Bot", "plugin": "acme-bot", "connectorId": connector, "config": {"hello": "oi", "token": "s3cret"}
    });
    let made = engine.post(&engine.a, "/v1/automations", body).await.expect(201);
    assert_eq!((&made["config"], &made["secretsSet"]), (&json!({"hello": "oi"}), &json!(["token"])));
    assert_eq!((&made["status"], &made["record"], &made["groups"]), (&json!("ACTIVE"), &json!(true), &json!(false)));
    assert_eq!((&made["position"], &made["observer"]), (&json!(0), &json!(false)));
    assert_eq!(made["events"], json!(["message-received", "started", "webhook-called"]));
    let path = format!("/v1/automations/{}", made["id"].as_str().expect("an id"));
    let key = [("x-api-key", engine.a.key.as_str())];
    let patch = |body| engine.ask("PATCH", &path, &key, Some(body));
    let stored = || {
        let id = made["id"].as_str().expect("an id").parse().expect("a UUID");
        let found = engine.world.store.automation_by_id(engine.a.tenant.index, id);
        let automation = found.expect("reads").expect("stored");
        pombo_domain::commands::automations::open_secrets(&ReversingBox, &automation).expect("opens").remove("token")
    };
    assert_eq!(stored().as_deref(), Some("s3cret"), "a caller of the plugin can decrypt it");
    let body = json!({"name": "Novo", "config": {"hello": "olá"}, "position": 7, "groups": true, "record": false});
    let changed = patch(body).await.expect(200);
    assert_eq!((&changed["config"], &changed["secretsSet"]), (&json!({"hello": "olá"}), &json!(["token"])));
    assert_eq!((&changed["name"], &changed["position"]), (&json!("Novo"), &json!(7)));
    assert_eq!((&changed["groups"], &changed["record"]), (&json!(true), &json!(false)));
    assert_eq!(stored().as_deref(), Some("s3cret"), "left out, it stays");
    assert_eq!(patch(json!({"status": "PAUSED"})).await.expect(200)["status"], "PAUSED");
    assert_eq!(patch(json!({"config": {"token": null}})).await.expect(200)["secretsSet"], json!([]));
    assert_eq!(patch(json!({"config": {"token": 5}})).await.error(400).1, ["config.token"]);
    assert_eq!(patch(json!({"status": "DELETED"})).await.error(400).1, ["status"]);
    assert_eq!(patch(json!({"position": 1_000_001})).await.error(400).1, ["position"]);
    assert_eq!(patch(json!({"connectorId": connector})).await.error(400).1, ["connectorId"]);

    let shown = engine.get(&engine.a, &path).await.expect(200);
    assert!(!shown.to_string().contains("s3cret"));
    engine.ask("DELETE", &path, &key, None).await.expect(204);
    engine.get(&engine.a, &path).await.error(404);
    engine.ask("DELETE", &path, &key, None).await.error(404);
    assert_eq!(engine.get(&engine.a, "/v1/automations").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn an_automation_needs_a_plugin_and_a_connector_of_its_tenant() {
    let (engine, connector, _) = answering().await;
    engine.upload(&engine.a, json!({"name": "sleeping"})).await.expect(201);
    engine.install(&engine.a, json!({"name": "strict", "requires": "url"})).await;
    let create = |caller: &'static str, body: Value| {
        let engine = &engine;
        async move {
            let caller = if caller == "a" { &engine.a } else { &engine.b };
            engine.post(caller, "/v1/automations", body).await
        }
    };
    let on = |plugin: &str, connector: &str| json!({"name": "Bot", "plugin": plugin, "connectorId": connector});
    assert_eq!(create("a", on("nothing", &connector)).await.error(400).1, ["plugin"]);
    assert_eq!(create("a", on("connector-chat", &connector)).await.error(400).1, ["plugin"]);
    assert_eq!(create("a", on("sleeping", &connector)).await.error(400).1, ["plugin"]);
    assert_eq!(create("a", on("acme-bot", &Uuid::nil().to_string())).await.error(400).1, ["connectorId"]);
    assert_eq!(create("b", on("acme-bot", &connector)).await.error(400).1, ["connectorId"]);
    let (theirs, _) = engine.chat(&engine.b).await;
    assert_eq!(create("b", on("acme-bot", &theirs)).await.error(400).1, ["plugin"], "another tenant's");
    assert_eq!(create("a", on("acme-bot", &theirs)).await.error(400).1, ["connectorId"]);
    assert_eq!(create("a", on("strict", &connector)).await.error(400).1, ["config.url"]);
    let mut named = on("acme-bot", &connector);
    named["name"] = json!("");
    assert_eq!(create("a", named).await.error(400).1, ["name"]);
    assert_eq!(create("a", json!({"plugin": "acme-bot"})).await.error(400).0, "invalid");
}

#[tokio::test]
async fn a_connectors_automations_have_an_order_and_a_bound() {
    let (engine, connector, first) = answering().await;
    let second = engine.automation(&engine.a, "acme-bot", &connector).await;
    let body =
        json!({"name": "Bot", "plugin": "acme-bot", "connectorId": connector, "position": 0, "status": "PAUSED"});
    let third = engine.post(&engine.a, "/v1/automations", body).await.expect(201);
    assert_eq!(third["status"], "PAUSED");
    let list = |query: &str| {
        let (engine, path) = (&engine, format!("/v1/automations{query}"));
        async move { engine.get(&engine.a, &path).await }
    };
    let ids = |list: &Value| -> Vec<Value> {
        list["data"].as_array().expect("a list").iter().map(|automation| automation["id"].clone()).collect()
    };
    let (first, second, third) = (json!(first), json!(second), third["id"].clone());
    let all = list(&format!("?connectorId={connector}")).await.expect(200);
    assert_eq!(ids(&all), [first.clone(), third.clone(), second.clone()]);
    let page = list("?limit=2").await.expect(200);
    assert_eq!((ids(&page), &page["next"]), (vec![first, third.clone()], &third));
    let after = format!("?after={}", third.as_str().expect("an id"));
    assert_eq!(ids(&list(&after).await.expect(200)), [second]);
    assert_eq!(list(&format!("?connectorId={}", Uuid::nil())).await.error(404).0, "not_found");
    for _ in 3..20 {
        engine.automation(&engine.a, "acme-bot", &connector).await;
    }
    let body = json!({"name": "Bot", "plugin": "acme-bot", "connectorId": connector});
    assert_eq!(engine.post(&engine.a, "/v1/automations", body).await.error(409).0, "conflict");
}

#[tokio::test]
async fn a_connectors_automations_go_with_it() {
    let (engine, connector, id) = answering().await;
    let key = [("x-api-key", engine.a.key.as_str())];
    engine.ask("DELETE", &format!("/v1/connectors/{connector}"), &key, None).await.expect(204);
    engine.get(&engine.a, &format!("/v1/automations/{id}")).await.error(404);
    engine.ask("DELETE", "/v1/plugins/acme-bot", &key, None).await.expect(204);
}

#[tokio::test]
async fn nobody_reaches_another_tenants_automation() {
    let (engine, _, id) = answering().await;
    let key = [("x-api-key", engine.b.key.as_str())];
    let path = format!("/v1/automations/{id}");
    for (method, path, body) in [
        ("GET", path.clone(), None),
        ("PATCH", path.clone(), Some(json!({"name": "x"}))),
        ("DELETE", path.clone(), None),
        ("POST", format!("{path}/start"), Some(json!({"to": "55"}))),
        ("GET", format!("{path}/hook"), None),
        ("GET", format!("/v1/automations/parked?automationId={id}"), None),
    ] {
        assert_eq!(engine.ask(method, &path, &key, body.clone()).await.error(404).0, "not_found", "{method} {path}");
        assert_eq!(engine.ask(method, &path, &[], body).await.error(401).0, "unauthenticated", "{method} {path}");
    }
    assert_eq!(engine.get(&engine.b, "/v1/automations").await.expect(200)["data"], json!([]));
    engine.get(&engine.a, &path).await.expect(200);
}

#[tokio::test]
async fn a_start_is_an_event_of_the_conversation_with_the_normalised_address() {
    let (engine, connector, id) = answering().await;
    let path = format!("/v1/automations/{id}/start");
    let start = |body: Value| engine.post(&engine.a, &path, body);
    let made = start(json!({"to": "+5511", "input": {"order": 7}})).await.expect(202);
    let conversation = made["conversationId"].as_str().expect("opened").to_owned();
    let whole = engine.get(&engine.a, &format!("/v1/conversations/{conversation}")).await.expect(200);
    assert_eq!((&whole["chat"], &whole["connectorId"]), (&json!("5511"), &json!(connector)));
    let waiting = &whole["waiting"][0];
    assert_eq!((&waiting["eventId"], &waiting["kind"]), (&made["eventId"], &json!("started")));
    let tasks = engine.world.store.tasks(conversation.parse().expect("a UUID"), ANSWERING, 9).expect("reads");
    let TaskBody::Started { input, by, .. } = &tasks[0].body else { panic!("not a start: {:?}", tasks[0].body) };
    assert_eq!(input, r#"{"order":7}"#);
    assert!(by.starts_with("key:"), "{by}");
    let again = start(json!({"to": "5511"})).await.expect(202);
    assert_eq!(again["conversationId"], conversation, "the same address is the same conversation");

    for (body, field) in [
        (json!({"to": "ana"}), "to"),
        (json!({"to": ""}), "to"),
        (json!({"to": "5511", "input": "x".repeat(64 * 1024)}), "input"),
        (json!({"to": "5511", "text": "x"}), "text"),
    ] {
        assert_eq!(start(body).await.error(400).1, [field]);
    }
    assert_eq!(start(json!({"to": "1@g.us", "group": true})).await.error(409).0, "conflict");
    let automation = format!("/v1/automations/{id}");
    let key = [("x-api-key", engine.a.key.as_str())];
    engine.ask("PATCH", &automation, &key, Some(json!({"groups": true}))).await.expect(200);
    start(json!({"to": "1@g.us", "group": true})).await.expect(202);
    engine.ask("PATCH", &automation, &key, Some(json!({"status": "PAUSED"}))).await.expect(200);
    assert_eq!(start(json!({"to": "5511"})).await.error(409).0, "conflict");
    engine.install(&engine.a, json!({"name": "deaf"})).await;
    let deaf = engine.automation(&engine.a, "deaf", &connector).await;
    let body = json!({"to": "5511"});
    let refused = engine.post(&engine.a, &format!("/v1/automations/{deaf}/start"), body).await;
    assert_eq!(refused.error(409).0, "conflict");
}

#[tokio::test]
async fn a_webhook_needs_its_url_and_nothing_else() {
    let (engine, _, id) = answering().await;
    let url = engine.get(&engine.a, &format!("/v1/automations/{id}/hook")).await.expect(200);
    let url = url["url"].as_str().expect("a URL").to_owned();
    let path = url.strip_prefix("http://127.0.0.1:8080").expect("below the public URL").to_owned();
    let call = |query: &str, content_type: &'static str, body: Vec<u8>| {
        let uri = format!("{path}{query}").parse().expect("a path");
        let request = poem::Request::builder().method(poem::http::Method::POST).uri(uri);
        engine.call(request.content_type(content_type).body(body))
    };
    let made = call("?to=%2B5511", "application/x-www-form-urlencoded", b"a=1".to_vec()).await.expect(202);
    let conversation = made["conversationId"].as_str().expect("opened").parse().expect("a UUID");
    let tasks = engine.world.store.tasks(conversation, ANSWERING, 9).expect("reads");
    let TaskBody::Webhook { content_type, body, .. } = &tasks[0].body else { panic!("{:?}", tasks[0].body) };
    assert_eq!((content_type.as_str(), body.as_str()), ("application/x-www-form-urlencoded", "a=1"));

    assert_eq!(call("", "text/plain", Vec::new()).await.error(400).1, ["to"]);
    assert_eq!(call("?to=ana", "text/plain", Vec::new()).await.error(400).1, ["to"]);
    assert_eq!(call("?to=5511&x=1", "text/plain", Vec::new()).await.error(400).1, ["x"]);
    let large = call("?to=5511", "text/plain", vec![b'x'; 256 * 1024 + 1]).await;
    assert_eq!(large.error(413).0, "too_large");
    call("?to=5511", "text/plain", vec![b'x'; 256 * 1024]).await.expect(202);
    assert_eq!(call("?to=5511", "text/plain", vec![0xff]).await.error(415).0, "unsupported_media_type");
    let strange = engine.ask("POST", "/v1/hooks/AAAA?to=5511", &[], None).await;
    assert_eq!(strange.error(404).0, "not_found");
    let key = [("x-api-key", engine.a.key.as_str())];
    engine.ask("DELETE", &format!("/v1/automations/{id}"), &key, None).await.expect(204);
    assert_eq!(call("?to=5511", "text/plain", Vec::new()).await.error(404).0, "not_found");
}

/// The event that is put aside as `id`.
fn event_of(id: Uuid) -> Uuid {
    DeadLetter::id_of(id, ANSWERING)
}

/// Puts an event of the conversation with `5511` aside as `id`, as a runner would after the last try of `automation`; the
/// conversation's id.
pub(super) async fn park(engine: &Engine, caller: &Caller, automation: &str, id: Uuid) -> Uuid {
    let store = &engine.world.store;
    let found = store.automation_by_id(caller.tenant.index, automation.parse().expect("a UUID")).expect("reads");
    let automation = found.expect("it is there");
    let write = |change| store.write(Batch::of(vec![Change::Automation(Box::new(change))])).expect("it is stored");
    write(AutomationChange::Event(NewTask {
        tenant: caller.tenant.index,
        connector: automation.connector,
        chat: "5511".to_owned(),
        is_group: false,
        contact_name: None,
        id: event_of(id),
        at: Timestamp(0),
        body: TaskBody::Message(samples::inbound("5511", &id.to_string())),
        with_event: false,
    }));
    let conversation = store.conversation_with(automation.connector, "5511").expect("reads").expect("it is open").id;
    let key = store.tasks(conversation, ANSWERING, 1).expect("reads")[0].key;
    let step = |failures, step| write(AutomationChange::Step { key, failures, after: None, step });
    for failures in 0..4 {
        step(failures, TaskStep::Retry { due_at: Timestamp(0) });
    }
    let (code, reason) = (FailureCode::Trap.into(), "it failed".to_owned());
    step(4, TaskStep::DeadLetter { automation: automation.index, code, reason });
    conversation
}

#[tokio::test]
async fn what_was_parked_is_looked_at_tried_again_or_forgotten() {
    let (engine, connector, first) = answering().await;
    let second = engine.automation(&engine.a, "acme-bot", &connector).await;
    let mut conversation = Uuid::nil();
    for n in 1..=5 {
        let of = if n % 2 == 0 { &second } else { &first };
        conversation = park(&engine, &engine.a, of, Uuid::from_u128(n)).await;
    }
    let list = |query: &str| {
        let (engine, path) = (&engine, format!("/v1/automations/parked{query}"));
        async move { engine.get(&engine.a, &path).await }
    };
    let ids = |list: &Value| -> Vec<u128> {
        let id = |row: &Value| row["id"].as_str().and_then(|id| Uuid::parse_str(id).ok()).map(|id| id.as_u128());
        list["data"].as_array().expect("a list").iter().filter_map(id).collect()
    };
    let all = list("").await.expect(200);
    assert_eq!((ids(&all), all.get("next")), (vec![1, 2, 3, 4, 5], None));
    let expected = json!({
        "id": Uuid::from_u128(1), "automationId": first, "conversationId": conversation,
        "eventId": event_of(Uuid::from_u128(1)), "kind": "message-received", "happenedAt": "1970-01-01T00:00:00.000Z",
        "tries": 5, "code": "trap", "reason": "it failed", "at": "2030-01-01T00:00:00.000Z"
    });
    assert_eq!(all["data"][0], expected);
    let page = list("?limit=2").await.expect(200);
    assert_eq!(ids(&page), [1, 2]);
    let rest = list(&format!("?after={}", page["next"].as_str().expect("more"))).await.expect(200);
    assert_eq!(ids(&rest), [3, 4, 5]);
    assert_eq!(ids(&list(&format!("?automationId={second}")).await.expect(200)), [2, 4]);
    assert_eq!(ids(&list(&format!("?automationId={first}&limit=2")).await.expect(200)), [1, 3]);

    let path = |n: u128, step: &str| format!("/v1/automations/parked/{}{step}", Uuid::from_u128(n));
    let (a, b) = ([("x-api-key", engine.a.key.as_str())], [("x-api-key", engine.b.key.as_str())]);
    for (method, step) in [("POST", "/replay"), ("DELETE", "")] {
        assert_eq!(engine.ask(method, &path(1, step), &b, None).await.error(404).0, "not_found");
        assert_eq!(engine.ask(method, &path(9, step), &a, None).await.error(404).0, "not_found");
    }
    assert_eq!(engine.get(&engine.b, "/v1/automations/parked").await.expect(200)["data"], json!([]));
    engine.ask("POST", &path(1, "/replay"), &a, None).await.expect(204);
    engine.ask("DELETE", &path(2, ""), &a, None).await.expect(204);
    assert_eq!(ids(&list("").await.expect(200)), [3, 4, 5]);
    let tasks = engine.world.store.tasks(conversation, ANSWERING, 9).expect("reads");
    let tried: Vec<_> = tasks.iter().map(|task| (task.id, task.failures)).collect();
    assert_eq!(tried, [(event_of(Uuid::from_u128(1)), 0)]);
}
