//! Conversations: looked at, tagged, assigned, paused and resumed; messages by hand.

use pombo_domain::Timestamp;
use pombo_domain::model::TimerKey;
use pombo_domain::ports::{AutomationChange, AutomationStore, Batch, Change, OwnEffect, OwnMessage, Store};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Caller, Engine, Refused};

/// Opens a conversation of `caller`; its id.
pub(super) async fn opened(engine: &Engine, caller: &Caller, connector: &str, chat: &str) -> String {
    let id = connector.parse().expect("a UUID");
    let connector = engine.state.commands.get_connector(caller.tenant.index, id).expect("it is there").connector.index;
    let (tenant, is_group) = (caller.tenant.index, chat.ends_with("@g.us"));
    let open = AutomationChange::Open { tenant, connector, chat: chat.to_owned(), is_group };
    let batch = Batch::of(vec![Change::Automation(Box::new(open))]);
    engine.world.store.commit(batch).await.expect("commits");
    let found = engine.world.store.conversation_with(connector, chat).expect("reads");
    found.expect("it was opened").id.to_string()
}

/// An engine where A has an automation on a connector; the connector's id and the automation's.
async fn answering() -> (Engine, String, String) {
    let engine = Engine::new().await;
    engine.install(&engine.a, json!({"name": "acme-bot"})).await;
    let (connector, _) = engine.chat(&engine.a).await;
    let automation = engine.automation(&engine.a, "acme-bot", &connector).await;
    (engine, connector, automation)
}

#[tokio::test]
async fn a_conversation_is_paused_and_resumed_with_who_when_and_why() {
    let (engine, connector, automation) = answering().await;
    let id = opened(&engine, &engine.a, &connector, "5511").await;
    let path = format!("/v1/conversations/{id}");
    let key = [("x-api-key", engine.a.key.as_str())];
    let step = |step: &str, body: Option<Value>| {
        let (engine, path, key) = (&engine, format!("{path}/{step}"), &key);
        async move { engine.ask("POST", &path, key, body).await }
    };
    let shown = engine.get(&engine.a, &path).await.expect(200);
    assert_eq!((&shown["paused"], &shown["automated"], shown.get("handover")), (&json!(false), &json!(true), None));
    let paused = step("pause", Some(json!({"reason": "a reclamação é minha"}))).await.expect(200);
    let by = paused["handover"]["by"].as_str().expect("who").to_owned();
    assert!(by.starts_with("key:"), "{by}");
    assert_eq!((&paused["paused"], &paused["automated"]), (&json!(true), &json!(false)));
    assert_eq!(paused["handover"]["reason"], "a reclamação é minha");
    assert_eq!(paused["handover"]["at"], "2030-01-01T00:00:00.000Z");
    let again = step("pause", None).await.expect(200);
    assert_eq!(again["handover"], paused["handover"], "a pause that stands stays");
    let resumed = step("resume", None).await.expect(200);
    assert_eq!((&resumed["paused"], resumed.get("handover")), (&json!(false), None));
    step("resume", None).await.expect(200);
    let told = engine.steps(&engine.a).await;
    let event = |step: &str, detail: &str| json!({"conversationId": id, "chat": "5511", "step": step, "by": by, "detail": detail});
    assert_eq!(told, [event("paused", "a reclamação é minha"), event("resumed", "")], "each once");
    assert_eq!(step("pause", Some(json!({"reason": "x".repeat(501)}))).await.error(400).1, ["reason"]);

    let index = engine.world.store.automation_by_id(engine.a.tenant.index, automation.parse().expect("a UUID"));
    let automation_index = index.expect("reads").expect("stored").index;
    for (name, due) in [("later", 9), ("soon", 7)] {
        let conversation = id.parse().expect("a UUID");
        let key =
            TimerKey { due_at: Timestamp(due), conversation, automation: automation_index, name: name.to_owned() };
        let set = AutomationChange::SetTimer { key, payload: String::new() };
        let batch = Batch::of(vec![Change::Automation(Box::new(set))]);
        engine.world.store.commit(batch).await.expect("commits");
    }
    let shown = engine.get(&engine.a, &path).await.expect(200);
    let soon = json!({"automationId": automation, "name": "soon", "dueAt": "1970-01-01T00:00:00.007Z"});
    assert_eq!((&shown["timers"][0], &shown["timers"][1]["name"]), (&soon, &json!("later")));
    assert_eq!(shown["waiting"], json!([]));
}

#[tokio::test]
async fn tags_are_replaced_and_somebody_is_put_in_charge() {
    let (engine, connector, _) = answering().await;
    let id = opened(&engine, &engine.a, &connector, "5511").await;
    let path = format!("/v1/conversations/{id}");
    let key = [("x-api-key", engine.a.key.as_str())];
    let patch = |body| engine.ask("PATCH", &path, &key, Some(body));
    let changed = patch(json!({"tags": ["vip", "boleto", "vip"], "assignee": "ana"})).await.expect(200);
    assert_eq!((&changed["tags"], &changed["assignee"]), (&json!(["boleto", "vip"]), &json!("ana")));
    let changed = patch(json!({"tags": ["novo", "vip"]})).await.expect(200);
    assert_eq!((&changed["tags"], &changed["assignee"]), (&json!(["novo", "vip"]), &json!("ana")));
    let all: Vec<String> = (0..50).map(|n| format!("t{n:02}")).collect();
    assert_eq!(patch(json!({"tags": all})).await.expect(200)["tags"], json!(all), "room is made first");
    patch(json!({})).await.expect(200);
    let changed = patch(json!({"assignee": null, "tags": []})).await.expect(200);
    assert_eq!((changed.get("assignee"), &changed["tags"]), (None, &json!([])));
    let told = engine.steps(&engine.a).await;
    let steps: Vec<_> = told.iter().filter_map(|e| Some((e["step"].as_str()?, e["detail"].as_str()?))).collect();
    let tagged = all.join(", ");
    let expected = [
        ("tagged", "boleto, vip"),
        ("assigned", "ana"),
        ("tagged", "novo, vip"),
        ("tagged", tagged.as_str()),
        ("tagged", ""),
        ("assigned", ""),
    ];
    assert_eq!(steps, expected);
    let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
    for (body, field) in [
        (json!({"tags": many}), "tags"),
        (json!({"tags": ["ok", ""]}), "tags[1]"),
        (json!({"tags": ["x".repeat(65)]}), "tags[0]"),
        (json!({"assignee": "x".repeat(121)}), "assignee"),
        (json!({"tag": "x"}), "tag"),
    ] {
        assert_eq!(patch(body).await.error(400).1, [field]);
    }
}

#[tokio::test]
async fn conversations_are_filtered_and_pages_go_on_after_short_reads() {
    let (engine, connector, _) = answering().await;
    let (other, _) = engine.chat(&engine.a).await;
    let mut ids = Vec::new();
    for n in 0..9 {
        // Their order is that of their ids, which have the time in milliseconds.
        engine.world.clock.jump(1);
        let on = if n == 8 { &other } else { &connector };
        ids.push(opened(&engine, &engine.a, on, &format!("55{n}")).await);
    }
    let key = [("x-api-key", engine.a.key.as_str())];
    let patch = json!({"tags": ["vip"], "assignee": "ana"});
    engine.ask("PATCH", &format!("/v1/conversations/{}", ids[7]), &key, Some(patch)).await.expect(200);
    engine.ask("POST", &format!("/v1/conversations/{}/pause", ids[6]), &key, None).await.expect(200);
    let list = |query: &str| {
        let (engine, path) = (&engine, format!("/v1/conversations{query}"));
        async move { engine.get(&engine.a, &path).await }
    };
    let of = |list: &Value| -> Vec<String> {
        let id = |row: &Value| row["id"].as_str().unwrap_or_default().to_owned();
        list["data"].as_array().expect("a list").iter().map(id).collect()
    };
    let all = list("").await.expect(200);
    assert_eq!((of(&all), all.get("next")), (ids.clone(), None));
    let page = list("?limit=4").await.expect(200);
    assert_eq!(of(&page), ids[..4]);
    let rest = list(&format!("?after={}", page["next"].as_str().expect("more"))).await.expect(200);
    assert_eq!(of(&rest), ids[4..]);
    assert_eq!(of(&list("?tag=vip").await.expect(200)), ids[7..8]);
    assert_eq!(of(&list("?assignee=ana").await.expect(200)), ids[7..8]);
    assert_eq!(of(&list("?paused=true").await.expect(200)), ids[6..7]);
    assert_eq!(of(&list("?paused=false").await.expect(200)).len(), 8);
    assert_eq!(of(&list(&format!("?connectorId={other}")).await.expect(200)), ids[8..]);
    assert_eq!(list(&format!("?connectorId={}", Uuid::nil())).await.error(404).0, "not_found");
    assert_eq!(list("?limit=0").await.error(400).1, ["limit"]);
    assert_eq!(list("?paused=x").await.error(400).1, ["paused"]);
    assert_eq!(list("?x=1").await.error(400).1, ["x"]);
}

#[tokio::test]
async fn a_pause_by_the_phone_is_shown_with_its_end_and_gives_way_to_a_persons() {
    let (engine, connector, _) = answering().await;
    let id = opened(&engine, &engine.a, &connector, "5511").await;
    let path = format!("/v1/conversations/{id}");
    let tenant = engine.a.tenant.index;
    let connector_id = connector.parse().expect("a UUID");
    let index = engine.state.commands.get_connector(tenant, connector_id).expect("it is there").connector.index;
    let types = |event: u128| {
        let (chat, reason) = ("5511".to_owned(), "answered on the phone".to_owned());
        let effect = OwnEffect::PausesUntil(Timestamp(1_893_463_200_000));
        let event = Uuid::from_u128(event);
        let own = OwnMessage { tenant, connector: index, chat, is_group: false, effect, event, reason };
        let batch = Batch::of(vec![Change::Automation(Box::new(AutomationChange::Own(own)))]);
        let store = &engine.world.store;
        async move { store.commit(batch).await.expect("commits") }
    };
    types(7).await;
    let handover = json!({
        "by": "phone", "at": "2030-01-01T00:00:00.000Z", "reason": "answered on the phone",
        "until": "2030-01-01T02:00:00.000Z"
    });
    let shown = engine.get(&engine.a, &path).await.expect(200);
    assert_eq!((&shown["handover"], &shown["automated"]), (&handover, &json!(false)));
    let listed = engine.get(&engine.a, "/v1/conversations?paused=true").await.expect(200);
    assert_eq!(listed["data"][0]["handover"], handover);

    // Who resumes by hand ends it, and who pauses by hand is not overruled by its end; also by pausing all of a connector.
    let resumed = engine.post(&engine.a, &format!("{path}/resume"), json!({})).await.expect(200);
    assert_eq!((&resumed["paused"], resumed.get("handover")), (&json!(false), None));
    for (event, pause) in [(8, format!("{path}/pause")), (9, "/v1/conversations/pause".to_owned())] {
        types(event).await;
        let body =
            if event == 8 { json!({"reason": "minha"}) } else { json!({"connectorId": connector, "reason": "minha"}) };
        engine.post(&engine.a, &pause, body).await.expect(200);
        let shown = engine.get(&engine.a, &path).await.expect(200)["handover"].clone();
        assert_eq!((&shown["reason"], shown.get("until")), (&json!("minha"), None), "{pause}");
        assert!(shown["by"].as_str().is_some_and(|by| by.starts_with("key:")), "{shown}");
        engine.post(&engine.a, &format!("{path}/resume"), json!({})).await.expect(200);
    }
    let told = engine.steps(&engine.a).await;
    let steps: Vec<&str> = told.iter().filter_map(|event| event["step"].as_str()).collect();
    assert_eq!(steps, ["paused", "resumed", "paused", "paused", "resumed", "paused", "paused", "resumed"]);
    assert_eq!((&told[0]["by"], &told[0]["detail"]), (&json!("phone"), &json!("answered on the phone")));
}

#[tokio::test]
async fn many_conversations_are_paused_and_resumed_by_ids_or_by_connector() {
    let (engine, connector, _) = answering().await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(opened(&engine, &engine.a, &connector, &format!("55{n}")).await);
    }
    let (theirs, _) = engine.chat(&engine.b).await;
    let foreign = opened(&engine, &engine.b, &theirs, "55").await;
    let post = |step: &str, body: Value| {
        let (engine, path) = (&engine, format!("/v1/conversations/{step}"));
        async move { engine.post(&engine.a, &path, body).await }
    };
    let some = json!({"ids": [ids[0], ids[1], foreign, Uuid::nil()], "reason": "inventário"});
    let done = post("pause", some).await.expect(200);
    assert_eq!((&done["changed"], done["missing"].as_array().map(Vec::len)), (&json!(2), Some(2)));
    let done = post("pause", json!({"connectorId": connector, "reason": "noite"})).await.expect(200);
    assert_eq!(done, json!({"changed": 5, "missing": []}));
    let shown = engine.get(&engine.a, &format!("/v1/conversations/{}", ids[0])).await.expect(200);
    assert_eq!(shown["handover"]["reason"], "inventário", "the pause that stood stays");
    let done = post("resume", json!({"ids": [ids[0]]})).await.expect(200);
    assert_eq!(done["changed"], 1);
    assert_eq!(post("resume", json!({"connectorId": connector})).await.expect(200)["changed"], 6);
    assert_eq!(post("resume", json!({"connectorId": connector})).await.expect(200)["changed"], 0);
    assert_eq!(engine.steps(&engine.a).await.len(), 14);
    assert!(engine.steps(&engine.b).await.is_empty());

    let many: Vec<Uuid> = (0..1001).map(Uuid::from_u128).collect();
    for (body, field) in [
        (json!({}), "body"),
        (json!({"ids": [ids[0]], "connectorId": connector}), "body"),
        (json!({"ids": []}), "ids"),
        (json!({"ids": many}), "ids"),
        (json!({"ids": ["x"]}), "ids[0]"),
    ] {
        assert_eq!(post("pause", body.clone()).await.error(400).1, [field]);
        assert_eq!(post("resume", body).await.error(400).1, [field]);
    }
    assert_eq!(post("pause", json!({"connectorId": theirs})).await.error(404).0, "not_found");
}

#[tokio::test]
async fn nobody_reaches_another_tenants_conversation() {
    let (engine, connector, _) = answering().await;
    let id = opened(&engine, &engine.a, &connector, "5511").await;
    let key = [("x-api-key", engine.b.key.as_str())];
    let path = format!("/v1/conversations/{id}");
    for (method, path, body) in [
        ("GET", path.clone(), None),
        ("PATCH", path.clone(), Some(json!({"tags": ["x"]}))),
        ("POST", format!("{path}/pause"), None),
        ("POST", format!("{path}/resume"), None),
        ("POST", format!("{path}/messages"), Some(json!({"text": "oi"}))),
    ] {
        assert_eq!(engine.ask(method, &path, &key, body.clone()).await.error(404).0, "not_found", "{method} {path}");
        assert_eq!(engine.ask(method, &path, &[], body).await.error(401).0, "unauthenticated", "{method} {path}");
    }
    assert_eq!(engine.get(&engine.b, "/v1/conversations").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn an_active_automation_blocks_messages_by_hand_until_it_is_paused() {
    let (engine, connector, automation) = answering().await;
    let id = opened(&engine, &engine.a, &connector, "5511").await;
    let by_conversation = format!("/v1/conversations/{id}/messages");
    let by_address = format!("/v1/connectors/{connector}/messages");
    let into = |body: Value| engine.post(&engine.a, &by_conversation, body);
    let to = |body: Value| engine.post(&engine.a, &by_address, body);
    // However the address is written.
    for refused in [into(json!({"text": "oi"})).await, to(json!({"to": "+5511", "text": "oi"})).await] {
        assert_eq!(refused.json()["error"]["conversationId"], id);
        assert_eq!(refused.error(409).0, "AUTOMATION_ACTIVE");
    }
    to(json!({"to": "5512", "text": "oi"})).await.expect(201);
    to(json!({"to": "5511", "text": "oi", "duringAutomation": true})).await.expect(201);
    into(json!({"text": "oi", "duringAutomation": true})).await.expect(201);
    let key = [("x-api-key", engine.a.key.as_str())];
    engine.ask("POST", &format!("/v1/conversations/{id}/pause"), &key, None).await.expect(200);
    let sent = into(json!({"text": "sou eu", "priority": 9, "externalId": "x1"})).await.expect(201);
    assert_eq!((&sent["to"], &sent["connectorId"]), (&json!("5511"), &json!(connector)));
    assert_eq!((&sent["priority"], &sent["externalId"]), (&json!(9), &json!("x1")));
    to(json!({"to": "5511", "text": "oi"})).await.expect(201);
    engine.ask("POST", &format!("/v1/conversations/{id}/resume"), &key, None).await.expect(200);
    into(json!({"text": "oi"})).await.error(409);
    let automation = format!("/v1/automations/{automation}");
    engine.ask("PATCH", &automation, &key, Some(json!({"status": "PAUSED"}))).await.expect(200);
    into(json!({"text": "oi"})).await.expect(201);

    // One that only watches, or does not work in groups, answers nothing.
    engine.install(&engine.a, json!({"name": "watcher", "observer": true})).await;
    engine.automation(&engine.a, "watcher", &connector).await;
    into(json!({"text": "oi"})).await.expect(201);
    engine.ask("PATCH", &automation, &key, Some(json!({"status": "ACTIVE"}))).await.expect(200);
    let group = opened(&engine, &engine.a, &connector, "1@g.us").await;
    engine.post(&engine.a, &format!("/v1/conversations/{group}/messages"), json!({"text": "oi"})).await.expect(201);
    assert_eq!(into(json!({"to": "5511", "text": "oi"})).await.error(400).1, ["to"]);
    assert_eq!(into(json!({"duringAutomation": true})).await.error(400).1, ["text"]);
}

#[tokio::test]
async fn a_repeated_message_by_hand_answers_the_first_one() {
    let (engine, connector, _) = answering().await;
    let id = opened(&engine, &engine.a, &connector, "5511").await;
    let path = format!("/v1/conversations/{id}");
    let headers = [("x-api-key", engine.a.key.as_str()), ("idempotency-key", "k1")];
    let send = || {
        let (engine, path) = (&engine, format!("{path}/messages"));
        async move { engine.ask("POST", &path, &headers, Some(json!({"text": "oi"}))).await }
    };
    send().await.error(409);
    engine.post(&engine.a, &format!("{path}/pause"), json!({})).await.expect(200);
    let first = send().await.expect(201);
    engine.post(&engine.a, &format!("{path}/resume"), json!({})).await.expect(200);
    assert_eq!(send().await.expect(201)["id"], first["id"], "it was sent while that was allowed");
}
