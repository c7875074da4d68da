//! A campaign over the built binary: paused, killed, resumed; each recipient gets it once, and the counts add up.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pombo_tests::http::Form;
use pombo_tests::mail::FaultySmtp;
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::wait::until;
use serde_json::{Value, json};

const ROWS: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(120);

/// The campaign; its counts add up whenever one looks.
fn shown(tenant: &Tenant, path: &str) -> Result<Value> {
    let campaign = tenant.client.get(path)?.expect_json(200)?;
    let counts = campaign["counts"].as_object().context("no counts")?;
    let number = |name: &str| counts[name].as_u64().unwrap_or_default();
    let parts =
        ["pending", "queued", "accepted", "delivered", "read", "failed", "skipped", "canceled", "unknown"].map(number);
    ensure!(parts.iter().sum::<u64>() == number("rows"), "{campaign}");
    Ok(campaign)
}

#[test]
fn two_hundred_contacts_get_a_campaign_once_through_a_pause_and_a_kill() -> Result<()> {
    let smtp = FaultySmtp::start()?;
    let mut server = Server::start(Options::with("[campaigns]\nwindow = 40\nbatch = 10\n"))?;
    let tenant = Tenant::create(&server)?;
    let connector = tenant.email(&smtp, "plain", &json!({}))?;
    tenant.pace(&connector, &json!({"maxInFlight": 2, "delayMinMs": 5, "delayMaxMs": 15}))?;
    let body = json!([{"type": "body", "text": "Olá {{nome}}, bom Natal"}]);
    let template = json!({"name": "natal", "category": "marketing", "components": body});
    let template = tenant.client.post("/v1/templates", &template)?.expect_json(201)?;
    let draft = json!({"name": "Natal", "template": template["number"], "connectorId": connector});
    let campaign = tenant.client.post("/v1/campaigns", &draft)?.expect_json(201)?;
    assert_eq!((&campaign["number"], &campaign["status"]), (&json!(1), &json!("draft")));
    let path = format!("/v1/campaigns/{}", text_of(&campaign, "id")?);

    let mut list = "para;nome\r\n".to_owned();
    for n in 0..ROWS {
        list.push_str(&format!("c{n}@customers.test;n{n}\r\n"));
    }
    list.push_str("C7@customers.test;again\r\nnobody;x\r\nlast@customers.test;\r\n");
    Form::new()
        .file("file", "natal.csv", "text/csv", list.as_bytes())
        .into_request(tenant.client.request("POST", &format!("{path}/audience")))
        .send()?
        .expect_json(200)?;
    let check = tenant.client.post(&format!("{path}/check"), &json!({}))?.expect_json(200)?;
    assert_eq!((&check["rows"], &check["sendable"]), (&json!(ROWS + 3), &json!(ROWS)));
    assert_eq!(check["skipped"], json!({"duplicate": 1, "bad_address": 1, "missing_variable": 1}));
    assert_eq!(smtp.mails()?.len(), 0, "a check sends nothing");

    tenant.client.post(&format!("{path}/start"), &json!({}))?.expect_json(200)?;
    until("the first mails", PATIENCE, || Ok((smtp.mails()?.len() > 20).then_some(())))?;
    let paused = tenant.client.post(&format!("{path}/pause"), &json!({}))?.expect_json(200)?;
    assert_eq!(paused["status"], "paused");
    server.kill()?;
    server.inspect()?;
    server.launch()?;
    until("what waited to be taken back", PATIENCE, || {
        Ok((shown(&tenant, &path)?["counts"]["queued"] == 0).then_some(()))
    })?;
    let stood = shown(&tenant, &path)?;
    assert_eq!(stood["status"], "paused");
    assert!(stood["counts"]["pending"].as_u64() > Some(0), "{stood}");

    tenant.client.post(&format!("{path}/resume"), &json!({}))?.expect_json(200)?;
    let before = smtp.mails()?.len();
    until("it to go on", PATIENCE, || Ok((smtp.mails()?.len() > before + 10).then_some(())))?;
    server.kill()?;
    server.inspect()?;
    server.launch()?;
    until("its end", PATIENCE, || Ok((shown(&tenant, &path)?["status"] == "finished").then_some(())))?;
    let done = shown(&tenant, &path)?;
    assert_eq!((&done["counts"]["accepted"], &done["counts"]["skipped"]), (&json!(ROWS), &json!(3)), "{done}");

    let mut received: HashMap<String, Vec<String>> = HashMap::new();
    for mail in smtp.mails()? {
        received.entry(mail.recipient().to_owned()).or_default().push(mail.message_id().to_owned());
    }
    assert_eq!(received.len() as u64, ROWS, "everybody got it");
    for (to, mut ids) in received {
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{to} got two messages");
    }
    let file = tenant.client.get(&format!("{path}/rows.csv"))?.expect(200)?.text();
    assert_eq!(file.lines().count() as u64, ROWS + 4);
    let skipped = tenant.client.get(&format!("{path}/rows?status=skipped"))?.expect_json(200)?;
    assert_eq!(skipped["data"].as_array().map(Vec::len), Some(3));
    assert_eq!(skipped["data"][0]["code"], "duplicate");
    server.terminate(Duration::from_secs(60))?;
    server.inspect()?;
    Ok(())
}
