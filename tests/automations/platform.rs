//! A plugin's life for its owner: uploaded, consented to, activated, replaced, taken back, deleted; and who may not touch it.

use anyhow::{Context, Result, ensure};
use pombo_tests::automation::{activate, automate, component, conversation, install, upload, variant};
use pombo_tests::http::Client;
use pombo_tests::server::Server;
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::whatsapp::Events;
use serde_json::{Value, json};

use crate::shared::{Chat, options};

/// Who a tenant's client is in an audit trail.
fn who(tenant: &Tenant) -> Result<String> {
    let keys = tenant.client.get("/v1/keys")?.expect_json(200)?;
    Ok(format!("key:{}", text_of(&keys["data"][0], "id")?))
}

fn get(client: &Client, name: &str) -> Result<Value> {
    client.get(&format!("/v1/plugins/{name}"))?.expect_json(200)
}

/// A version as the plugin lists it.
fn version(plugin: &Value, digest: &str) -> Result<Value> {
    let versions = plugin["versions"].as_array().context("no versions")?;
    let found = versions.iter().find(|version| version["digest"] == digest);
    found.cloned().with_context(|| format!("no version {digest}: {plugin}"))
}

#[test]
fn a_plugin_lives_from_its_upload_to_its_end_and_the_trail_tells_who_did_what() -> Result<()> {
    let server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let (client, who) = (&chat.tenant.client, who(&chat.tenant)?);
    let mut events = Events::from_now(&chat.tenant)?;

    // Uploaded, it does not run: nobody agreed to it.
    let uploaded = upload(client, &variant("echo", "good 1")?)?;
    let first = text_of(&uploaded, "digest")?;
    ensure!(uploaded["kind"] == "automation" && uploaded["status"] == "needs-consent", "{uploaded}");
    ensure!(uploaded["isNew"] == true && uploaded["granted"].is_null(), "{uploaded}");
    let refused = client.post("/v1/plugins/echo/activate", &json!({"digest": first}))?.expect_json(409)?;
    ensure!(refused.to_string().contains("consent"), "{refused}");
    let body = json!({"name": "Echo", "plugin": "echo", "connectorId": chat.connector});
    let refused = client.post("/v1/automations", &body)?.expect_json(400)?;
    ensure!(refused.to_string().contains("activate one first"), "{refused}");
    let granted = client.put("/v1/plugins/echo/grants", &json!({"digest": first}))?.expect_json(200)?;
    ensure!(version(&granted, &first)?["status"] == "ready", "{granted}");
    ensure!(granted["grants"]["by"] == who.as_str() && granted["grants"]["what"]["hosts"] == json!([]), "{granted}");
    let activated = client.post("/v1/plugins/echo/activate", &json!({"digest": first}))?.expect_json(200)?;
    ensure!(activated["active"] == first.as_str() && activated["rollout"].is_null(), "{activated}");
    // The same component again is the same version.
    let again = pombo_tests::automation::try_upload(client, &variant("echo", "good 1")?, None)?.expect_json(200)?;
    ensure!(again["isNew"] == false && again["digest"] == first.as_str(), "{again}");
    let automation = automate(&chat.tenant, &chat.connector, "echo", &json!({}))?;
    chat.pipe.write("ana", "oi");
    assert_eq!(chat.pipe.answers("ana", 1)?, ["oi"]);

    // A version that wants more waits, and the previous one continues until then.
    let uploaded = upload(client, &variant("echo", "greedy 2")?)?;
    let second = text_of(&uploaded, "digest")?;
    ensure!(uploaded["status"] == "needs-consent", "{uploaded}");
    ensure!(
        uploaded["wants"]["hosts"] == json!(["=api.example.com"]) && uploaded["wants"]["kvBytes"] == 1 << 20,
        "{uploaded}"
    );
    let share = json!({"digest": second, "share": 50, "automatic": false});
    let refused = client.post("/v1/plugins/echo/activate", &share)?.expect_json(409)?;
    ensure!(refused.to_string().contains("api.example.com"), "it does not say what for: {refused}");
    chat.pipe.write("ana", "ainda aí?");
    chat.pipe.answers("ana", 2)?;

    // A canary, promoted by hand, and taken back by hand.
    let canary = activate(client, "echo", &second, &json!({"share": 50, "automatic": false}))?;
    ensure!(canary["active"] == first.as_str(), "{canary}");
    let rollout = &canary["rollout"];
    ensure!(rollout["step"] == "canary" && rollout["share"] == 50 && rollout["automatic"] == false, "{canary}");
    ensure!(
        rollout["from"] == first.as_str() && rollout["to"] == second.as_str() && rollout["by"] == who.as_str(),
        "{canary}"
    );
    let third = text_of(&upload(client, &variant("echo", "good 3")?)?, "digest")?;
    client.post("/v1/plugins/echo/activate", &json!({"digest": third}))?.expect(409)?;
    client.delete(&format!("/v1/plugins/echo/versions/{second}"))?.expect(409)?;
    let promoted = client.post("/v1/plugins/echo/promote", &json!({}))?.expect_json(200)?;
    ensure!(promoted["active"] == second.as_str() && promoted["previous"] == first.as_str(), "{promoted}");
    ensure!(promoted["rollout"]["step"] == "watching", "{promoted}");
    client.post("/v1/plugins/echo/promote", &json!({}))?.expect(409)?;
    let back = client.post("/v1/plugins/echo/rollback", &json!({}))?.expect_json(200)?;
    ensure!(back["active"] == first.as_str() && back["rollout"].is_null(), "{back}");
    let bad = version(&back, &second)?;
    ensure!(bad["status"] == "rolled-back" && bad["reason"].as_str().is_some_and(|r| r.contains(&who)), "{bad}");
    client.post("/v1/plugins/echo/rollback", &json!({}))?.expect(409)?;
    chat.pipe.write("ana", "e agora?");
    assert_eq!(chat.pipe.answers("ana", 3)?[2], "e agora?");

    // The trail has all of it, newest first, and the tenant's events too.
    let trail = client.get("/v1/plugins/echo/audit")?.expect_json(200)?;
    let entries = trail["data"].as_array().context("no trail")?;
    let told: Vec<(&str, &str)> = entries
        .iter()
        .rev()
        .map(|e| (e["action"].as_str().unwrap_or(""), e["digest"].as_str().unwrap_or("")))
        .collect();
    let (one, two, three) = (first.as_str(), second.as_str(), third.as_str());
    let expected = [
        ("uploaded", one),
        ("granted", one),
        ("activated", one),
        ("uploaded", two),
        ("granted", two),
        ("canary", two),
        ("uploaded", three),
        ("promoted", two),
        ("rolled-back", two),
    ];
    assert_eq!(told, expected, "{trail}");
    ensure!(entries.iter().all(|entry| entry["by"] == who.as_str() && entry["at"].is_string()), "{trail}");
    for step in ["uploaded", "granted", "activated", "canary", "promoted", "rolled-back"] {
        events.expect(step, |e| {
            e["type"] == "plugin.changed" && e["data"]["step"] == step && e["data"]["plugin"] == "echo"
        })?;
    }

    // What is used is not deleted.
    client.delete(&format!("/v1/plugins/echo/versions/{first}"))?.expect(409)?;
    let refused = client.delete("/v1/plugins/echo")?.expect_json(409)?;
    ensure!(refused.to_string().contains("automation"), "{refused}");
    client.delete(&format!("/v1/plugins/echo/versions/{second}"))?.expect(204)?;
    ensure!(version(&get(client, "echo")?, &second).is_err(), "a deleted version is listed");
    client.delete(&format!("/v1/automations/{automation}"))?.expect(204)?;
    client.delete("/v1/plugins/echo")?.expect(204)?;
    client.get("/v1/plugins/echo")?.expect(404)?;
    // Its name is free, for anybody.
    let other = Tenant::create(&server)?;
    let (name, _) = install(&other.client, &variant("echo", "good 1")?)?;
    assert_eq!(name, "echo");
    Ok(())
}

#[test]
fn grants_can_be_taken_back_and_are_bounded() -> Result<()> {
    let server = Server::start(options("")?)?;
    let tenant = Tenant::create(&server)?;
    let client = &tenant.client;
    let (name, _) = install(client, &variant("echo", "good 1")?)?;
    let greedy = text_of(&upload(client, &variant("echo", "greedy 2")?)?, "digest")?;
    let grants = format!("/v1/plugins/{name}/grants");
    let more = json!({"hosts": ["=api.example.com", "=other.example.com"], "kvBytes": 2 << 20});
    let granted = client.put(&grants, &more)?.expect_json(200)?;
    ensure!(version(&granted, &greedy)?["status"] == "ready", "{granted}");
    let less = client.put(&grants, &json!({"hosts": ["=api.example.com"], "kvBytes": 1024}))?.expect_json(200)?;
    ensure!(version(&less, &greedy)?["status"] == "needs-consent", "{less}");
    client.post(&format!("/v1/plugins/{name}/activate"), &json!({"digest": greedy}))?.expect(409)?;
    for (body, field) in [
        (json!({}), "body"),
        (json!({"digest": greedy, "kvBytes": 1}), "digest"),
        (json!({"cpuMs": 60_001}), "cpuMs"),
        (json!({"hosts": ["not a host"]}), "hosts"),
    ] {
        let refused = client.put(&grants, &body)?.expect_json(400)?;
        ensure!(refused.to_string().contains(field), "{body}: {refused}");
    }
    Ok(())
}

#[test]
fn a_tenant_finds_nothing_of_anothers() -> Result<()> {
    let server = Server::start(options("[automations]\nretry_seconds = [1]")?)?;
    let chat = Chat::new(&server)?;
    let failing = variant("echo", "fail")?;
    let automation = chat_automation(&chat, &failing)?;
    chat.pipe.write("ana", "oi");
    Events::all(&chat.tenant).expect("a parked event", |event| event["type"] == "automation.parked")?;
    let conversation = text_of(&conversation(&chat.tenant, "ana")?, "id")?;
    let parked = chat.tenant.client.get("/v1/automations/parked")?.expect_json(200)?;
    let parked = text_of(&parked["data"][0], "id")?;
    let digest = text_of(&get(&chat.tenant.client, "echo")?, "active")?;
    let root = json!({"name": "theirs", "key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="});
    let root = text_of(&chat.tenant.client.post("/v1/trust-roots", &root)?.expect_json(201)?, "id")?;

    let intruder = Tenant::create(&server)?;
    let client = &intruder.client;
    let (nothing, by_digest) = (json!({}), json!({"digest": digest}));
    let tries: Vec<(&str, String, &Value)> = vec![
        ("GET", format!("/v1/automations/{automation}"), &nothing),
        ("PATCH", format!("/v1/automations/{automation}"), &nothing),
        ("DELETE", format!("/v1/automations/{automation}"), &nothing),
        ("GET", format!("/v1/automations/{automation}/hook"), &nothing),
        ("GET", format!("/v1/conversations/{conversation}"), &nothing),
        ("PATCH", format!("/v1/conversations/{conversation}"), &nothing),
        ("POST", format!("/v1/conversations/{conversation}/pause"), &nothing),
        ("POST", format!("/v1/conversations/{conversation}/resume"), &nothing),
        ("POST", format!("/v1/automations/parked/{parked}/replay"), &nothing),
        ("DELETE", format!("/v1/automations/parked/{parked}"), &nothing),
        ("GET", "/v1/plugins/echo".to_owned(), &nothing),
        ("GET", "/v1/plugins/echo/audit".to_owned(), &nothing),
        ("GET", "/v1/plugins/echo/logs".to_owned(), &nothing),
        ("GET", "/v1/plugins/echo/logs/stream".to_owned(), &nothing),
        ("GET", "/v1/plugins/echo/usage".to_owned(), &nothing),
        ("DELETE", "/v1/plugins/echo".to_owned(), &nothing),
        ("DELETE", format!("/v1/plugins/echo/versions/{digest}"), &nothing),
        ("PUT", "/v1/plugins/echo/grants".to_owned(), &by_digest),
        ("POST", "/v1/plugins/echo/activate".to_owned(), &by_digest),
        ("POST", "/v1/plugins/echo/rollback".to_owned(), &nothing),
        ("POST", "/v1/plugins/echo/promote".to_owned(), &nothing),
        ("POST", "/v1/plugins/echo/replay".to_owned(), &by_digest),
        ("DELETE", format!("/v1/trust-roots/{root}"), &nothing),
    ];
    for (method, path, body) in tries {
        let request = client.request(method, &path);
        let request = if method == "GET" || method == "DELETE" { request } else { request.json(body) };
        let reply = request.send()?;
        ensure!(reply.status == 404, "{reply:?}");
    }
    // Nor by lists, by its connector's id, in a bulk, or by an automation of its own on that connector.
    for path in ["/v1/automations", "/v1/automations/parked", "/v1/conversations", "/v1/trust-roots"] {
        let page = client.get(path)?.expect_json(200)?;
        ensure!(page["data"] == json!([]), "{path}: {page}");
    }
    let plugins = client.get("/v1/plugins")?.expect_json(200)?.to_string();
    ensure!(!plugins.contains("echo"), "{plugins}");
    let bulk = client.post("/v1/conversations/pause", &json!({"ids": [conversation]}))?.expect_json(200)?;
    ensure!(bulk["changed"] == 0 && bulk["missing"] == json!([conversation]), "{bulk}");
    client.post("/v1/conversations/pause", &json!({"connectorId": chat.connector}))?.expect(404)?;
    let mine = json!({"name": "mine", "plugin": "flow", "connectorId": chat.connector, "config": {}});
    let refused = client.post("/v1/automations", &mine)?.expect_json(400)?;
    ensure!(refused.to_string().contains("no such connector"), "{refused}");
    let own = intruder.connector("pipe", &chat.pipe.config())?;
    let theirs = json!({"name": "mine", "plugin": "echo", "connectorId": own});
    let refused = client.post("/v1/automations", &theirs)?.expect_json(400)?;
    ensure!(refused.to_string().contains("no automation plugin has this name"), "{refused}");
    let still = chat.tenant.client.get(&format!("/v1/automations/{automation}"))?.expect_json(200)?;
    ensure!(still["status"] == "ACTIVE", "{still}");
    Ok(())
}

fn chat_automation(chat: &Chat, component: &[u8]) -> Result<String> {
    let (name, _) = install(&chat.tenant.client, component)?;
    automate(&chat.tenant, &chat.connector, &name, &json!({}))
}

#[test]
fn an_operators_plugin_is_for_all_and_only_the_operator_changes_it() -> Result<()> {
    let server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let operator = server.operator()?;
    let (name, digest) = install(&operator, &component("echo")?)?;
    automate(&chat.tenant, &chat.connector, &name, &json!({}))?;
    chat.pipe.write("ana", "oi");
    chat.pipe.answers("ana", 1)?;
    let seen = get(&chat.tenant.client, &name)?;
    ensure!(seen["owner"] == "operator" && seen["active"] == digest.as_str(), "{seen}");
    let client = &chat.tenant.client;
    client.post(&format!("/v1/plugins/{name}/activate"), &json!({"digest": digest}))?.expect(403)?;
    client.put(&format!("/v1/plugins/{name}/grants"), &json!({"digest": digest}))?.expect(403)?;
    client.get(&format!("/v1/plugins/{name}/audit"))?.expect(403)?;
    client.delete(&format!("/v1/plugins/{name}"))?.expect(403)?;
    operator.delete(&format!("/v1/plugins/{name}"))?.expect(409)?;
    Ok(())
}
