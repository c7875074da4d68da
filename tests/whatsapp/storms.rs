//! Connections that break again and again, and a server that goes away, with messages both ways all the time.

use std::time::Duration;

use anyhow::{Result, ensure};
use pombo_tests::server::Server;
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::whatsapp::{Events, WhatsApp, connected, options};
use serde_json::{Value, json};

use crate::shared::{number, pair_on};

#[test]
fn a_storm_of_reconnects_loses_nothing_and_doubles_nothing() -> Result<()> {
    let whatsapp = WhatsApp::start(&[])?;
    let server = Server::start(options())?;
    let pair = pair_on(&server, &whatsapp)?;
    let mut events = Events::all(&pair.tenant);
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;
    let (mut out, mut back) = (Vec::new(), Vec::new());
    for round in 0..15 {
        for n in 0..4 {
            out.push(pair.queue(&json!({"to": pair.theirs, "text": format!("ida {round}/{n}")}))?);
            back.push(whatsapp.wait(pair.peer.send_text(&chat, &format!("volta {round}/{n}")))?);
        }
        let fault = match round % 3 {
            0 => json!({"kind": "drop", "on": {"phone": pair.ours}}),
            1 => json!({"kind": "drop", "on": {"phone": pair.ours}, "afterStanzas": 3}),
            _ => json!({"kind": "cutAfter", "on": {"phone": pair.ours}}),
        };
        whatsapp.admin("/faults", &fault)?;
    }
    whatsapp.admin("/faults", &json!({"kind": "clear"}))?;
    for id in &out {
        pair.tenant.wait_status_for(id, &["SENT"], Duration::from_secs(180))?;
    }
    let read = whatsapp.wait(
        pair.peer.wait_for("all of them", |seen| (seen.received.len() >= out.len()).then(|| seen.received.clone())),
    )?;
    assert_eq!(read.len(), out.len(), "each once");
    for id in &back {
        events.message(id)?;
    }
    let received = events.drain()?.iter().filter(|e| e["type"] == "message.received").count();
    assert_eq!(received, back.len(), "each once");
    Ok(())
}

#[test]
fn a_server_that_goes_away_is_waited_for() -> Result<()> {
    let whatsapp = WhatsApp::start(&[])?;
    let server = Server::start(options())?;
    let tenant = Tenant::create(&server)?;
    let numbers: Vec<(String, String)> = (0..10)
        .map(|_| {
            let ours = number();
            whatsapp.register(&ours)?;
            Ok((whatsapp.paired(&tenant, &ours)?, ours))
        })
        .collect::<Result<_>>()?;
    let mut ids = Vec::new();
    whatsapp.restart(|| {
        for (index, (connector, _)) in numbers.iter().enumerate() {
            let to = &numbers[(index + 1) % numbers.len()].1;
            let queued: Value =
                tenant.send(&json!({"connectorId": connector, "to": to, "message": "enquanto fora"}))?;
            ids.push(text_of(&queued, "id")?);
        }
        Ok(())
    })?;
    for (connector, _) in &numbers {
        connected(&tenant, connector)?;
    }
    for id in &ids {
        tenant.wait_status_for(id, &["SENT"], Duration::from_secs(120))?;
    }
    let mut events = Events::all(&tenant);
    events.expect("the last one", |e| e["type"] == "message.received")?;
    let distinct: std::collections::HashSet<&str> = events
        .drain()?
        .iter()
        .filter(|e| e["type"] == "message.received")
        .filter_map(|e| e["data"]["providerId"].as_str())
        .collect();
    ensure!(distinct.len() <= ids.len(), "{distinct:?}");
    Ok(())
}
