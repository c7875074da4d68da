//! Zapini's operations of instances, groups and pauses, over the simulator.

use anyhow::{Result, ensure};
use pombo_tests::http::{Client, encode};
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::whatsapp::connected;
use serde_json::{Value, json};

use crate::shared::{number, pair, stage};

const ZAPINI: &str = "/zapini";

/// The data of an answer.
fn data(reply: pombo_tests::http::Reply, status: u16) -> Result<Value> {
    let answer = reply.expect_json(status)?;
    ensure!(answer["success"] == true, "{answer}");
    Ok(answer["data"].clone())
}

fn get(client: &Client, path: &str) -> Result<Value> {
    data(client.get(&format!("{ZAPINI}{path}"))?, 200)
}

fn post(client: &Client, path: &str, body: &Value) -> Result<Value> {
    data(client.post(&format!("{ZAPINI}{path}"), body)?, 200)
}

#[test]
fn an_instance_is_connected_by_a_login_and_shown() -> Result<()> {
    let stage = stage()?;
    let phone = number();
    stage.whatsapp.register(&phone)?;
    let tenant = Tenant::create(&stage.server)?;
    let connector = stage.whatsapp.unpaired(&tenant)?;
    let login = json!({"email": tenant.email, "password": tenant.password, "device_name": "My App"});
    let session = post(&stage.server.client(), "/auth/login", &login)?;
    let client = stage.server.client().bearer(&text_of(&session, "token")?);
    assert_eq!(get(&client, "/auth/me")?["user"], session["user"]);

    let instance = format!("/instances/{connector}");
    assert_eq!(get(&client, &format!("{instance}/status"))?["connected"], false);
    let code = get(&client, &format!("{instance}/qr"))?;
    assert_eq!((&code["status"], &code["qr_expired"]), (&json!("qr_ready"), &json!(false)), "{code}");
    ensure!(code["qr_generated_at"].is_string(), "{code}");
    // The flat one shows the same picture, or the next.
    let flat = client.get(&format!("{ZAPINI}/qr"))?.expect_json(200)?;
    ensure!(flat["qr"].is_string() && flat["status"] == "qr_ready", "{flat}");
    stage.whatsapp.admin(&format!("/phones/{phone}/scan"), &json!({"qr": flat["qr"]}))?;
    // Asked of the control API, because a token has only so many requests here.
    connected(&tenant, &connector)?;
    assert_eq!(get(&client, &format!("{instance}/status"))?["connected"], true);
    let listed = get(&client, "/instances?status=connected")?;
    let shown = &listed["instances"][0];
    assert_eq!((&shown["uuid"], &shown["phone_number"]), (&json!(connector), &json!(phone)), "{listed}");
    assert_eq!(get(&client, &format!("/instances/{}", shown["id"]))?["instance"]["uuid"], json!(connector));
    let status = client.get(&format!("{ZAPINI}/status"))?.expect_json(200)?;
    assert_eq!((&status["phone"], &status["status"]), (&json!(phone), &json!("connected")), "{status}");
    assert_eq!(get(&client, &format!("{instance}/status?realtime=true"))?["connected"], true, "WhatsApp answers");
    assert_eq!(stage.server.client().get(&format!("{ZAPINI}/health"))?.expect_json(200)?["status"], "ok");
    assert_eq!(post(&client, &format!("{instance}/reconnect"), &json!({}))?["status"], "connected");

    let renewed = post(&client, "/auth/refresh", &json!({}))?;
    client.get(&format!("{ZAPINI}/auth/me"))?.expect(401)?;
    let client = stage.server.client().bearer(&text_of(&renewed, "token")?);
    assert_eq!(post(&client, &format!("{instance}/disconnect"), &json!({}))?["status"], "disconnected");
    client.post(&format!("{ZAPINI}/auth/logout"), &json!({}))?.expect(200)?;
    client.get(&format!("{ZAPINI}/instances"))?.expect(401)?;
    Ok(())
}

#[test]
fn a_group_lives_through_zapini() -> Result<()> {
    let (stage, pair) = pair()?;
    let client = &stage.server.client().bearer(&pair.tenant.key);
    let third = number();
    stage.whatsapp.register(&third)?;
    let groups = format!("{ZAPINI}/instances/{}/groups", pair.connector);
    let body = json!({"subject": "Obra", "participants": [pair.theirs]});
    let made = data(client.post(&groups, &body)?, 201)?;
    let jid = text_of(&made["group"], "jid")?;
    let group = format!("{groups}/{}", encode(&jid));
    let seen = || data(client.get(&group)?, 200);
    let shown = seen()?;
    assert_eq!((&shown["subject"], &shown["size"]), (&json!("Obra"), &json!(2)), "{shown}");
    ensure!(shown["owner"].as_str().is_none_or(|owner| owner.contains('@')), "{shown}");
    data(client.patch(&group, &json!({"subject": "Obra nova", "description": "Rua A"}))?, 200)?;

    let who = json!({"participants": [third]});
    let of_third = || -> Result<Option<Value>> {
        let jid = format!("{third}@s.whatsapp.net");
        let shown = seen()?;
        let members = shown["participants"].as_array().cloned().unwrap_or_default();
        Ok(members.into_iter().find(|member| member["jid"] == json!(jid)).map(|member| member["admin"].clone()))
    };
    let change = |method: &str, below: &str| -> Result<Value> {
        data(client.request(method, &format!("{group}/{below}")).json(&who).send()?, 200)
    };
    assert_eq!(change("POST", "participants")?["participants"][0]["status"], "success");
    assert_eq!(of_third()?, Some(Value::Null));
    change("POST", "admins")?;
    assert_eq!(of_third()?, Some(json!("admin")));
    change("DELETE", "admins")?;
    assert_eq!(of_third()?, Some(Value::Null));
    change("DELETE", "participants")?;
    assert_eq!(of_third()?, None);

    let invite = data(client.get(&format!("{group}/invite"))?, 200)?;
    ensure!(invite["invite_link"] == json!(format!("https://chat.whatsapp.com/{}", text_of(&invite, "code")?)));
    let renewed = data(client.delete(&format!("{group}/invite"))?, 200)?;
    ensure!(renewed["new_code"] != invite["code"], "{renewed} after {invite}");
    let listed = data(client.get(&groups)?, 200)?;
    ensure!(listed["groups"][0]["jid"] == json!(jid) && listed["total"] == 1, "{listed}");
    data(client.post(&format!("{group}/leave"), &json!({}))?, 200)?;
    assert_eq!(data(client.get(&groups)?, 200)?["total"], 0);
    Ok(())
}

#[test]
fn a_person_takes_a_conversation_over_and_gives_it_back() -> Result<()> {
    let (stage, pair) = pair()?;
    let (client, own) = (&stage.server.client().bearer(&pair.tenant.key), &pair.tenant.client);
    // Nobody listens at its server.
    let config = json!({"url": "http://127.0.0.1:9/private", "secret": "0123456789abcdef"});
    let body = json!({"name": "bot", "plugin": "integration-webhook", "connectorId": pair.connector, "config": config});
    let automation = text_of(&own.post("/v1/automations", &body)?.expect_json(201)?, "id")?;
    let start = json!({"to": pair.theirs, "input": {}});
    let started = own.post(&format!("/v1/automations/{automation}/start"), &start)?.expect_json(202)?;
    let id = text_of(&started, "conversationId")?;
    let status = || -> Result<Value> {
        Ok(get(client, &format!("/conversations/{id}/automation"))?["automation_status"].clone())
    };
    assert_eq!(status()?, "active");
    let paused = post(client, &format!("/conversations/{id}/automation/pause"), &json!({"reason": "VIP"}))?;
    assert_eq!(paused["paused_by"], "test", "the key's name");
    assert_eq!(status()?, "paused");
    let chat = format!("/api/v1/chat/conversations/{id}");
    assert_eq!(post(client, &format!("{chat}/resume-automation"), &json!({}))?["automation_paused"], false);
    assert_eq!(status()?, "active");
    assert_eq!(post(client, &format!("{chat}/pause-automation"), &json!({}))?["automation_paused"], true);

    let ids = json!({"conversation_ids": [id]});
    let bulk = |path: &str| client.post(&format!("{ZAPINI}{path}"), &ids)?.expect_json(200);
    let resumed = bulk("/conversations/automation/bulk-resume")?;
    assert_eq!(resumed["message"], "1 conversations resumed successfully.");
    assert_eq!(bulk("/conversations/automation/bulk-pause")?["message"], "1 conversations paused successfully.");
    assert_eq!(bulk("/api/v1/conversations/automation/bulk-resume")?["data"]["resumed"], 1);
    assert_eq!(bulk("/api/v1/conversations/automation/bulk-pause")?["data"]["paused"], 1);
    Ok(())
}

#[test]
fn a_contact_is_shown_with_its_picture_and_the_status_with_the_phones_system() -> Result<()> {
    let (stage, pair) = pair()?;
    let client = &stage.server.client().bearer(&pair.tenant.key);
    let body = json!({"instance_id": pair.connector, "phone_number": pair.theirs, "name": "Ana"});
    let made = data(client.post(&format!("{ZAPINI}/contacts"), &body)?, 201)?;
    let contact = format!("/contacts/{}", made["contact"]["id"]);
    stage.whatsapp.world().set_picture(&pair.theirs, Some("https://pps.example/v/ana.jpg"));
    assert_eq!(get(client, &contact)?["contact"]["profile_picture_url"], "https://pps.example/v/ana.jpg");
    let status = client.get(&format!("{ZAPINI}/status?instance_id={}", pair.connector))?.expect_json(200)?;
    assert_eq!(status["platform"], "android", "{status}");
    Ok(())
}
