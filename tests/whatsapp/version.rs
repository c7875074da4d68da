//! WhatsApp raises the least version that it accepts.

use anyhow::{Result, ensure};
use pombo_tests::server::Server;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::{WhatsApp, options, session};
use serde_json::{Value, json};

use crate::shared::pair_on;

/// What the page tells while a test wants nothing else.
const CURRENT: &str = "2.3000.1045649367";

#[test]
fn a_refused_session_reads_the_new_version_and_logs_in_with_it() -> Result<()> {
    let whatsapp = WhatsApp::start(&[])?;
    let server = Server::start(options())?;
    let pair = pair_on(&server, &whatsapp)?;
    let path = format!("/v1/connectors/{}/session", pair.connector);
    let claims = |version: &str| {
        until(&format!("the session to claim {version}"), PATIENCE, || {
            let session = pair.tenant.client.get(&path)?.expect_json(200)?;
            Ok((session["account"]["protocolVersion"] == version).then_some(()))
        })
    };
    claims(CURRENT)?;
    let web = &whatsapp.world().web_version;
    web.serve(1_046_000_000);
    web.accept_from(1_046_000_000);
    whatsapp.admin("/faults", &json!({"kind": "drop", "on": {"phone": pair.ours}}))?;
    claims("2.3000.1046000000")?;
    ensure!((1..=3).contains(&web.refused()), "refused {} times", web.refused());
    let (_, provider_id) = pair.send(&json!({"to": pair.theirs, "text": "com a versão nova"}))?;
    whatsapp.wait(pair.peer.message(&provider_id))?;
    Ok(())
}

#[test]
fn a_session_that_no_version_helps_stops_asking_says_why_and_goes_on_with_a_new_one() -> Result<()> {
    let whatsapp = WhatsApp::start(&[])?;
    let mut server = Server::start(options())?;
    let pair = pair_on(&server, &whatsapp)?;
    let web = &whatsapp.world().web_version;
    web.accept_from(1_047_000_000);
    whatsapp.admin("/faults", &json!({"kind": "drop", "on": {"phone": pair.ours}}))?;
    let says = |state: &Value| {
        let reason = state["reason"].as_str().unwrap_or_default().to_owned();
        ensure!(reason.contains(CURRENT) && reason.contains("by itself"), "{state}");
        Ok(())
    };
    says(&session(&pair.tenant, &pair.connector, "DISCONNECTED")?)?;
    ensure!(web.refused() == 1, "refused {} times", web.refused());
    // Another start of the engine asks the page, and not the server.
    server.kill()?;
    let reads = web.reads();
    server.launch()?;
    says(&session(&pair.tenant, &pair.connector, "DISCONNECTED")?)?;
    ensure!(web.refused() == 1 && web.reads() > reads, "refused {} times", web.refused());
    // A person who opens the session need not wait for the next reading.
    web.serve(1_047_000_000);
    pair.tenant.client.post(&format!("/v1/connectors/{}/session", pair.connector), &json!({}))?.expect(200)?;
    session(&pair.tenant, &pair.connector, "CONNECTED")?;
    ensure!(web.refused() == 1, "refused {} times", web.refused());
    Ok(())
}
