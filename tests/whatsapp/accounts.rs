//! Two tenants with several numbers each, on one engine: nobody sees another's.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use pombo_tests::tenant::Tenant;
use pombo_tests::whatsapp::Events;
use serde_json::json;

use crate::shared::{number, queue, sent, stage};

const NUMBERS: usize = 3;

#[test]
fn numbers_of_two_tenants_do_not_mix() -> Result<()> {
    let stage = stage()?;
    let whatsapp = &stage.whatsapp;
    let theirs = number();
    whatsapp.register(&theirs)?;
    let peer = whatsapp.peer(&theirs)?;
    let mut sides = Vec::new();
    for _ in 0..2 {
        let tenant = Tenant::create(&stage.server)?;
        let mut numbers = Vec::new();
        for _ in 0..NUMBERS {
            let ours = number();
            whatsapp.register(&ours)?;
            numbers.push((whatsapp.paired(&tenant, &ours)?, ours));
        }
        sides.push((tenant, numbers));
    }
    for (tenant, numbers) in &sides {
        let mut events = Events::all(tenant);
        let mut ids = HashSet::new();
        for (connector, ours) in numbers {
            let id = queue(tenant, connector, &json!({"to": theirs, "text": format!("de {ours}")}))?;
            let (_, provider_id) = sent(tenant, &id)?;
            let got = whatsapp.wait(peer.message(&provider_id))?;
            assert_eq!(got.text, Some(format!("de {ours}")));
            let answer =
                whatsapp.wait(peer.send_text(&format!("{ours}@s.whatsapp.net").parse()?, &format!("para {ours}")))?;
            assert_eq!(events.message(&answer)?["text"], format!("para {ours}"));
            ids.insert(answer);
        }
        let own: HashSet<&str> = numbers.iter().map(|(connector, _)| connector.as_str()).collect();
        for event in events.drain()? {
            ensure!(event["connectorId"].as_str().is_some_and(|id| own.contains(id)), "another's event: {event}");
        }
        let received = events.drain()?.iter().filter(|e| e["type"] == "message.received").count();
        assert_eq!(received, NUMBERS, "each message once, at its own number");
    }
    let (first, second) = (&sides[0], &sides[1]);
    for path in ["session", "groups", "pace"] {
        let reply = first.0.client.get(&format!("/v1/connectors/{}/{path}", second.1[0].0))?;
        assert_eq!(reply.status, 404, "{path}");
    }
    Ok(())
}
