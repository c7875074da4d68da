//! Several automations on one connector, the other events that call them, and what the API shows of this.

use anyhow::{Context, Result, ensure};
use pombo_tests::automation::{automate, automate_with, conversation, install, variant};
use pombo_tests::http::Client;
use pombo_tests::server::Server;
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::Events;
use serde_json::{Value, json};

use crate::service::{Asked, Service};
use crate::shared::{Chat, options};

const SECRET: &str = "0123456789abcdef";

fn webhook(service: &Service) -> Value {
    json!({"url": service.url("/bot"), "secret": SECRET})
}

fn texts(service: &Service) -> Vec<String> {
    let text = |asked: &Asked| asked.json().pointer("/message/text").and_then(Value::as_str).map(str::to_owned);
    service.requests().iter().filter_map(text).collect()
}

#[test]
fn they_are_asked_in_order_and_an_observer_sees_everything() -> Result<()> {
    let server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let client = &chat.tenant.client;
    let passes = Service::start(|_| (204, String::new()))?;
    let claims = Service::start(|asked| {
        let text = asked.json().pointer("/message/text").and_then(Value::as_str).unwrap_or("").to_owned();
        if text == "adiante" {
            (204, String::new())
        } else {
            (200, json!({"text": format!("segundo: {text}")}).to_string())
        }
    })?;
    let last = Service::start(|_| (200, json!({"text": "terceiro"}).to_string()))?;
    let (echo, _) = install(client, &variant("echo", "watch 1")?)?;
    let put = |plugin: &str, config: &Value, position: u32| {
        automate_with(
            &chat.tenant,
            &chat.connector,
            plugin,
            config,
            &json!({"name": format!("at {position}"), "position": position}),
        )
    };
    // Made in another order than they are asked in.
    let third = put("integration-webhook", &webhook(&last), 30)?;
    let first = put("integration-webhook", &webhook(&passes), 10)?;
    let observer = put(&echo, &json!({}), 40)?;
    let second = put("integration-webhook", &webhook(&claims), 20)?;
    let list = client.get(&format!("/v1/automations?connectorId={}", chat.connector))?.expect_json(200)?;
    let ids: Vec<&str> = list["data"].as_array().into_iter().flatten().filter_map(|a| a["id"].as_str()).collect();
    assert_eq!(ids, [&first, &second, &third, &observer]);
    let mut events = Events::from_now(&chat.tenant)?;
    let seen = |events: &mut Events<'_>, n: u64| {
        events.expect("what the observer tells", |e| {
            e["type"] == "automation.emitted"
                && e["data"]["kind"] == "seen"
                && e["data"]["payload"] == n
                && e["data"]["automationId"] == observer.as_str()
        })
    };

    chat.pipe.write("ana", "oi");
    assert_eq!(chat.pipe.answers("ana", 1)?, ["segundo: oi"]);
    seen(&mut events, 1)?;
    chat.pipe.write("ana", "adiante");
    assert_eq!(chat.pipe.answers("ana", 2)?[1], "terceiro");
    seen(&mut events, 2)?;
    assert_eq!(texts(&passes), ["oi", "adiante"]);
    assert_eq!(texts(&claims), ["oi", "adiante"]);
    assert_eq!(texts(&last), ["adiante"], "asked although the one before claimed");

    // Turned around, and one of them off.
    client.patch(&format!("/v1/automations/{third}"), &json!({"position": 1}))?.expect(200)?;
    chat.pipe.write("ana", "de novo");
    assert_eq!(chat.pipe.answers("ana", 3)?[2], "terceiro");
    client.patch(&format!("/v1/automations/{third}"), &json!({"status": "PAUSED"}))?.expect(200)?;
    chat.pipe.write("ana", "sem ela");
    assert_eq!(chat.pipe.answers("ana", 4)?[3], "segundo: sem ela");

    // A person takes over: nobody answers, the observer goes on.
    let id = text_of(&conversation(&chat.tenant, "ana")?, "id")?;
    client.post(&format!("/v1/conversations/{id}/pause"), &json!({}))?.expect(200)?;
    chat.pipe.write("ana", "alguém?");
    seen(&mut events, 5)?;
    assert_eq!(chat.pipe.sent_to("ana").len(), 4);
    Ok(())
}

#[test]
fn an_observer_that_answers_is_parked_and_nothing_of_it_is_sent() -> Result<()> {
    let server = Server::start(options("[automations]\nretry_seconds = [1]")?)?;
    let chat = Chat::new(&server)?;
    let (echo, _) = install(&chat.tenant.client, &variant("echo", "meddle 1")?)?;
    automate(&chat.tenant, &chat.connector, &echo, &json!({}))?;
    let mut events = Events::from_now(&chat.tenant)?;
    chat.pipe.write("ana", "oi");
    let parked = events.expect("a parked event", |e| e["type"] == "automation.parked")?;
    ensure!(parked["data"]["code"] == "unfit", "{parked}");
    let id = text_of(&parked["data"], "parkedId")?;
    let page = chat.tenant.client.get("/v1/automations/parked")?.expect_json(200)?;
    ensure!(page["data"][0]["id"] == id.as_str() && page["data"][0]["tries"] == 2, "{page}");
    assert_eq!(chat.tenant.total(&[])?, 0);
    // Nobody answers here, so a person may write.
    let kept = conversation(&chat.tenant, "ana")?;
    ensure!(kept["automated"] == false, "{kept}");
    chat.tenant.client.delete(&format!("/v1/automations/parked/{id}"))?.expect(204)?;
    let page = chat.tenant.client.get("/v1/automations/parked")?.expect_json(200)?;
    ensure!(page["data"] == json!([]), "{page}");
    Ok(())
}

#[test]
fn another_program_calls_an_automation_by_its_url_alone() -> Result<()> {
    let server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let client = &chat.tenant.client;
    let service = Service::start(|asked| {
        let event = asked.json();
        let text = match event["kind"].as_str() {
            Some("webhook-called") => format!("pedido {} pago", event["webhook"]["body"]["pedido"]),
            Some("started") => format!("começou por {}: {}", event["start"]["by"], event["start"]["input"]["motivo"]),
            _ => "?".to_owned(),
        };
        (200, json!({"text": text}).to_string())
    })?;
    let automation = automate(&chat.tenant, &chat.connector, "integration-webhook", &webhook(&service))?;
    let hook = client.get(&format!("/v1/automations/{automation}/hook"))?.expect_json(200)?;
    let url = text_of(&hook, "url")?;
    let path = url.find("/v1/hooks/").map(|at| url[at..].to_owned()).with_context(|| url.clone())?;
    let outside: Client = server.client();
    let made = outside.post(&format!("{path}?to=ana"), &json!({"pedido": 4711}))?.expect_json(202)?;
    assert_eq!(chat.pipe.answers("ana", 1)?, ["pedido 4711 pago"]);
    ensure!(made["conversationId"] == conversation(&chat.tenant, "ana")?["id"], "{made}");
    outside.post(&path, &json!({}))?.expect(400)?;
    outside.post("/v1/hooks/AAAAAAAAAAAAAAAAAAAA?to=ana", &json!({}))?.expect(404)?;
    // The last letter changed.
    let (kept, end) = path.split_at(path.len() - 1);
    let bent = format!("{kept}{}?to=ana", if end == "A" { "B" } else { "A" });
    outside.post(&bent, &json!({}))?.expect(404)?;
    let large = outside.request("POST", &format!("{path}?to=ana")).body("text/plain", vec![b'x'; 300 << 10]).send()?;
    large.expect(413)?;

    let start = format!("/v1/automations/{automation}/start");
    client.post(&start, &json!({"to": "bia", "input": {"motivo": "aniversário"}}))?.expect(202)?;
    let begun = chat.pipe.answers("bia", 1)?;
    ensure!(begun[0].contains("key:") && begun[0].contains("aniversário"), "{begun:?}");
    client.patch(&format!("/v1/automations/{automation}"), &json!({"status": "PAUSED"}))?.expect(200)?;
    outside.post(&format!("{path}?to=ana"), &json!({}))?.expect(409)?;
    client.post(&start, &json!({"to": "bia"}))?.expect(409)?;
    client.delete(&format!("/v1/automations/{automation}"))?.expect(204)?;
    outside.post(&format!("{path}?to=ana"), &json!({}))?.expect(404)?;
    assert_eq!(chat.tenant.total(&[])?, 2);
    Ok(())
}

#[test]
fn a_conversation_is_tagged_and_assigned_by_people_and_automations() -> Result<()> {
    let server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let client = &chat.tenant.client;
    let service = Service::start(|asked| {
        let event = asked.json();
        let actions = json!([
            {"type": "tag", "tag": "bot"}, {"type": "assign", "to": "maria"}, {"type": "emit", "kind": "lead", "data": {"n": 1}},
            {"type": "setTimer", "name": "depois", "seconds": 3600},
        ]);
        let answer = match event.pointer("/message/text").and_then(Value::as_str) {
            Some("oi") => json!({"actions": actions}),
            _ => {
                json!({"text": event["conversation"].to_string(), "actions": [{"type": "cancelTimer", "name": "depois"}]})
            }
        };
        (200, answer.to_string())
    })?;
    let automation = automate(&chat.tenant, &chat.connector, "integration-webhook", &webhook(&service))?;
    let mut events = Events::from_now(&chat.tenant)?;
    chat.pipe.write("ana", "oi");
    let lead = events.expect("the lead", |e| e["type"] == "automation.emitted")?;
    ensure!(lead["data"]["kind"] == "lead" && lead["data"]["payload"] == json!({"n": 1}), "{lead}");
    ensure!(lead["data"]["automationId"] == automation.as_str(), "{lead}");
    let assigned =
        events.expect("the assignment", |e| e["type"] == "conversation.changed" && e["data"]["step"] == "assigned")?;
    ensure!(assigned["data"]["detail"] == "maria", "{assigned}");
    ensure!(assigned["data"]["by"] == format!("automation:{automation}"), "{assigned}");
    let id = text_of(&conversation(&chat.tenant, "ana")?, "id")?;
    let path = format!("/v1/conversations/{id}");
    let whole = client.get(&path)?.expect_json(200)?;
    ensure!(whole["tags"] == json!(["bot"]) && whole["assignee"] == "maria" && whole["automated"] == true, "{whole}");
    ensure!(
        whole["timers"][0]["name"] == "depois" && whole["timers"][0]["automationId"] == automation.as_str(),
        "{whole}"
    );

    let changed = client.patch(&path, &json!({"tags": ["vip", "bot"], "assignee": "joão"}))?.expect_json(200)?;
    ensure!(changed["tags"] == json!(["bot", "vip"]) && changed["assignee"] == "joão", "{changed}");
    events.expect("the second assignment", |e| {
        e["type"] == "conversation.changed"
            && e["data"]["detail"] == "joão"
            && e["data"]["by"].as_str().is_some_and(|by| by.starts_with("key:"))
    })?;
    for (filter, count) in [
        ("tag=vip", 1),
        ("tag=nada", 0),
        ("assignee=jo%C3%A3o", 1),
        ("assignee=maria", 0),
        ("paused=true", 0),
        ("paused=false", 1),
    ] {
        let page = client.get(&format!("/v1/conversations?{filter}"))?.expect_json(200)?;
        ensure!(page["data"].as_array().is_some_and(|all| all.len() == count), "{filter}: {page}");
    }
    for kind in ["automation.emitted", "conversation.changed"] {
        let page = client.get(&format!("/v1/events?type={kind}"))?.expect_json(200)?;
        let only = page["data"].as_array().is_some_and(|all| !all.is_empty() && all.iter().all(|e| e["type"] == kind));
        ensure!(only, "{kind}: {page}");
    }
    // The automation is told of it.
    chat.pipe.write("ana", "e agora?");
    let told = chat.pipe.answers("ana", 1)?;
    ensure!(told[0].contains("vip") && told[0].contains("joão"), "{told:?}");
    until("the timer to be gone", PATIENCE, || {
        let whole = client.get(&path)?.expect_json(200)?;
        Ok((whole["timers"] == json!([]) && whole["waiting"] == json!([])).then_some(()))
    })?;
    let nobody = client.patch(&path, &json!({"assignee": null, "tags": []}))?.expect_json(200)?;
    ensure!(nobody["assignee"].is_null() && nobody["tags"] == json!([]), "{nobody}");
    let refused = client.patch(&path, &json!({"tags": [""]}))?.expect_json(400)?;
    ensure!(refused.to_string().contains("tags"), "{refused}");
    Ok(())
}
