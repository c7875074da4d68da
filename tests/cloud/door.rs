//! Several numbers of one app behind one address: each connector takes what is its own.

use anyhow::{Context, Result, ensure};
use pombo_tests::graph::{Graph, connect};
use pombo_tests::meta::{Hook, Line, contact, now, said, status, wamid};
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::whatsapp::Events;
use serde_json::{Value, json};

use crate::shared::{person, server};

/// Two connectors of one tenant, of two numbers of one app; Meta knows the address of the first.
struct Door {
    tenant: Tenant,
    graph: Graph,
    lines: [Line; 2],
    connectors: [String; 2],
    hook: Hook,
}

impl Door {
    fn new() -> Result<Self> {
        let (graph, tenant) = (Graph::start()?, Tenant::create(server()?)?);
        let second = graph.another_number()?;
        let first = connect(&tenant, &graph.config(&json!({})))?;
        let other = connect(&tenant, &graph.config_of(&second, &json!({})))?;
        let hook = Hook::to(server()?, &first, graph.app_secret());
        let lines = [graph.line(), second];
        Ok(Self { tenant, graph, lines, connectors: [first, other], hook })
    }
}

#[test]
fn one_address_serves_two_numbers_of_an_app() -> Result<()> {
    let door = Door::new()?;
    let (ana, bia) = (person(), person());
    let ids = [wamid(), wamid()];
    let entries = [
        door.lines[0]
            .entry(&[door.lines[0].messages(&[contact(&ana, "Ana")], &[said(&ana, &ids[0], "à primeira", now())])]),
        door.lines[1]
            .entry(&[door.lines[1].messages(&[contact(&bia, "Bia")], &[said(&bia, &ids[1], "à segunda", now())])]),
    ];
    door.hook.post(&json!({"object": "whatsapp_business_account", "entry": entries}))?;
    let mut events = Events::all(&door.tenant);
    for (id, connector) in ids.iter().zip(&door.connectors) {
        let event = events.expect("the message", |event| {
            event["type"] == "message.received" && event["data"]["providerId"] == id.as_str()
        })?;
        assert_eq!(event["connectorId"], json!(connector), "{event}");
    }
    let all = events.drain()?;
    assert_eq!(all.iter().filter(|event| event["type"] == "message.received").count(), 2);
    Ok(())
}

#[test]
fn statuses_come_through_the_others_address() -> Result<()> {
    let door = Door::new()?;
    let who = person();
    let id = door.graph.says_to(&door.lines[1], &who, &json!({"type": "text", "text": {"body": "oi"}}))?;
    door.hook.post(&door.lines[1].text(&who, &id, "oi", now()))?;
    let mut events = Events::all(&door.tenant);
    events.message(&id)?;
    let path = format!("/v1/connectors/{}/messages", door.connectors[1]);
    let queued = door.tenant.client.post(&path, &json!({"to": who, "text": "pela segunda"}))?.expect_json(201)?;
    let id = text_of(&queued, "id")?;
    let sent = door.tenant.wait_status(&id, &["SENT"])?;
    let update = status(&text_of(&sent, "providerId")?, "read", &who, Some(&id), now());
    door.hook.post(&door.lines[1].body(&[door.lines[1].statuses(&[update])]))?;
    events.receipt(&id, "read")?;
    Ok(())
}

#[test]
fn another_tenant_with_the_same_app_gets_nothing() -> Result<()> {
    let door = Door::new()?;
    let stranger = Tenant::create(server()?)?;
    connect(&stranger, &door.graph.config(&json!({})))?;
    let (who, id) = (person(), wamid());
    door.hook.post(&door.lines[0].text(&who, &id, "é para um só", now()))?;
    Events::all(&door.tenant).message(&id)?;
    let mut events = Events::all(&stranger);
    let seen = events.drain()?;
    ensure!(!seen.iter().any(|event| event["type"] == "message.received"), "{seen:?}");
    Ok(())
}

#[test]
fn updates_of_a_number_that_nobody_has_are_passed_over() -> Result<()> {
    let door = Door::new()?;
    let mut foreign = door.lines[0].clone();
    foreign.phone_number_id = "999000111".to_owned();
    foreign.display = "5511900009999".to_owned();
    let (who, lost, taken) = (person(), wamid(), wamid());
    let changes = [
        foreign.messages(&[contact(&who, "Ana")], &[said(&who, &lost, "para outra", now())]),
        door.lines[0].messages(&[contact(&who, "Ana")], &[said(&who, &taken, "para nós", now())]),
    ];
    door.hook.post(&door.lines[0].body(&changes))?;
    let mut events = Events::all(&door.tenant);
    events.message(&taken)?;
    let all = events.drain()?;
    let ids: Vec<&Value> = all
        .iter()
        .filter(|event| event["type"] == "message.received")
        .map(|event| &event["data"]["providerId"])
        .collect();
    assert_eq!(ids, [&json!(taken)]);
    Ok(())
}

#[test]
fn the_simulator_verifies_the_address_as_meta_does() -> Result<()> {
    let door = Door::new()?;
    door.graph.subscribe(&door.hook.url(server()?)).context("the address is not verified")
}
