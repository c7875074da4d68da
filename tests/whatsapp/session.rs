//! Pairing, losing and keeping a session.

use std::time::Duration;

use anyhow::{Result, ensure};
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::{Events, PLUGIN, connected, session};
use serde_json::json;

use crate::shared::{number, pair, pair_on, stage};

#[test]
fn a_connector_waits_to_be_paired_and_pairs_by_code_too() -> Result<()> {
    let stage = stage()?;
    let phone = number();
    stage.whatsapp.register(&phone)?;
    let tenant = Tenant::create(&stage.server)?;
    let connector = stage.whatsapp.unpaired(&tenant)?;
    let before = tenant.client.get(&format!("/v1/connectors/{connector}/session"))?.expect_json(200)?;
    ensure!(before["status"] != "CONNECTED" && before["qrText"].is_null(), "no code unasked: {before}");

    let path = format!("/v1/connectors/{connector}/session");
    let opened = tenant.client.post(&path, &json!({"phone": phone}))?.expect_json(200)?;
    assert_eq!(opened["status"], "PAIRING_CODE", "{opened}");
    stage.whatsapp.admin(&format!("/phones/{phone}/link"), &json!({"code": text_of(&opened, "pairingCode")?}))?;
    connected(&tenant, &connector)?;
    let now = tenant.client.get(&path)?.expect_json(200)?;
    assert_eq!(now["account"]["address"], phone, "{now}");
    Ok(())
}

#[test]
fn a_message_waits_for_the_session_and_says_so() -> Result<()> {
    let stage = stage()?;
    let (ours, theirs) = (number(), number());
    stage.whatsapp.register(&ours)?;
    stage.whatsapp.register(&theirs)?;
    let tenant = Tenant::create(&stage.server)?;
    let connector = stage.whatsapp.unpaired(&tenant)?;
    let id = tenant.send_text(&connector, &theirs, "espero a sessão")?;
    let waiting = tenant.wait_status(&id, &["WAITING"])?;
    let pace = tenant.client.get(&format!("/v1/connectors/{connector}/pace"))?.expect_json(200)?;
    ensure!(pace.to_string().contains("session"), "{waiting} {pace}");
    stage.whatsapp.pair(&tenant, &connector, &ours)?;
    tenant.wait_status(&id, &["SENT"])?;
    Ok(())
}

#[test]
fn losses_that_pass_are_no_logout() -> Result<()> {
    let (stage, pair) = pair()?;
    let on = json!({"phone": pair.ours});
    let faults = [
        json!({"kind": "drop", "on": on}),
        json!({"kind": "streamError", "on": on, "code": 515}),
        json!({"kind": "streamError", "on": on, "code": 503}),
        json!({"kind": "streamError", "on": on, "code": 408}),
    ];
    for fault in faults {
        stage.whatsapp.admin("/faults", &fault)?;
        let (_, provider_id) =
            pair.send(&json!({"to": pair.theirs, "text": format!("depois de {}", fault["kind"])}))?;
        stage.whatsapp.wait(pair.peer.message(&provider_id))?;
        let state = session(&pair.tenant, &pair.connector, "CONNECTED")?;
        assert_eq!(state["account"]["address"], pair.ours, "{fault}");
    }
    Ok(())
}

#[test]
fn a_real_logout_clears_the_session_and_says_so() -> Result<()> {
    let (stage, pair) = pair()?;
    let mut events = Events::from_now(&pair.tenant)?;
    stage.whatsapp.admin("/faults", &json!({"kind": "logout", "on": {"phone": pair.ours}}))?;
    events.expect("the logout", |e| e["type"] == "session.changed" && e["data"]["state"] == "logged-out")?;
    let state = pair.tenant.client.get(&format!("/v1/connectors/{}/session", pair.connector))?.expect_json(200)?;
    ensure!(state["status"] != "CONNECTED" && state["reason"].is_string(), "{state}");
    stage.whatsapp.pair(&pair.tenant, &pair.connector, &pair.ours)?;
    let (_, provider_id) = pair.send(&json!({"to": pair.theirs, "text": "de volta"}))?;
    stage.whatsapp.wait(pair.peer.message(&provider_id))?;
    Ok(())
}

#[test]
fn closing_the_session_logs_the_device_out() -> Result<()> {
    let (stage, pair) = pair()?;
    pair.tenant.client.delete(&format!("/v1/connectors/{}/session", pair.connector))?.expect(200)?;
    until("the device to be gone", PATIENCE, || {
        Ok((stage.whatsapp.world().devices(&pair.ours).iter().all(|device| device.device == 0)).then_some(()))
    })?;
    Ok(())
}

#[test]
fn a_restart_of_the_engine_needs_no_new_code() -> Result<()> {
    let whatsapp = pombo_tests::whatsapp::WhatsApp::start(&[])?;
    let mut server = pombo_tests::server::Server::start(pombo_tests::whatsapp::options())?;
    let pair = pair_on(&server, &whatsapp)?;
    ensure!(server.terminate(Duration::from_secs(60))?.success());
    server.launch()?;
    connected(&pair.tenant, &pair.connector)?;
    server.kill()?;
    server.launch()?;
    connected(&pair.tenant, &pair.connector)?;
    let (_, provider_id) = pair.send(&json!({"to": pair.theirs, "text": "ainda aqui"}))?;
    whatsapp.wait(pair.peer.message(&provider_id))?;
    Ok(())
}

#[test]
fn the_plugin_says_what_it_is() -> Result<()> {
    let stage = stage()?;
    let tenant = Tenant::create(&stage.server)?;
    let plugins = tenant.client.get("/v1/plugins")?.expect_json(200)?;
    let list = plugins.as_array().or_else(|| plugins["data"].as_array()).cloned().unwrap_or_default();
    let plugin = list.iter().find(|p| p["name"] == PLUGIN).ok_or_else(|| anyhow::anyhow!("not listed: {plugins}"))?;
    for feature in
        ["groups", "reactions", "edit", "revoke", "reply", "mentions", "voice-notes", "typing", "inbound", "sessions"]
    {
        ensure!(plugin["features"].as_array().is_some_and(|f| f.contains(&json!(feature))), "{feature}: {plugin}");
    }
    Ok(())
}
