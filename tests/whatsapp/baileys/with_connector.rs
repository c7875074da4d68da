//! Baileys and an account that our connector linked, through the engine.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use pombo_tests::files::{noise, sha256};
use pombo_tests::http::Form;
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::whatsapp::Events;
use pombo_whatsapp_sim::faults::{MessageFault, Target};
use serde_json::{Value, json};

use super::{Baileys, chat};
use crate::shared::{Stage, number, queue, sent, stage};

/// A tenant with a paired connector, and a person who uses Baileys.
struct Linked {
    stage: &'static Stage,
    tenant: Tenant,
    connector: String,
    ours: String,
    baileys: Baileys,
    theirs: String,
}

fn linked() -> Result<Linked> {
    let stage = stage()?;
    let (ours, theirs) = (number(), number());
    stage.whatsapp.register(&ours)?;
    stage.whatsapp.register(&theirs)?;
    let tenant = Tenant::create(&stage.server)?;
    let connector = stage.whatsapp.paired(&tenant, &ours)?;
    let baileys = Baileys::pair(&stage.whatsapp, &theirs)?;
    Ok(Linked { stage, tenant, connector, ours, baileys, theirs })
}

impl Linked {
    /// Queues a message to the person and waits until it is SENT; its id and the channel's.
    fn send(&self, body: &Value) -> Result<(String, String)> {
        sent(&self.tenant, &queue(&self.tenant, &self.connector, body)?)
    }

    /// Does something to a message that was sent, and waits until that is SENT too.
    fn act(&self, message: &str, what: &str, body: &Value) -> Result<()> {
        let path = format!("/v1/messages/{message}/{what}");
        let queued = self.tenant.client.post(&path, body)?.expect_json(201)?;
        sent(&self.tenant, &text_of(&queued, "id")?).map(drop)
    }
}

#[test]
fn what_the_connector_says_is_understood() -> Result<()> {
    let mut linked = linked()?;
    let mut events = Events::from_now(&linked.tenant)?;
    let (first, provider_id) = linked.send(&json!({"to": linked.theirs, "text": "bom dia"}))?;
    let got = linked.baileys.message(&provider_id)?;
    ensure!(got["content"].to_string().contains("bom dia"), "{got}");
    events.receipt(&first, "delivered")?;
    linked.baileys.ask("read", json!({"of": provider_id}))?;
    events.receipt(&first, "read")?;

    let reply = json!({"to": linked.theirs, "text": "em resposta", "replyTo": {"messageId": first}});
    let (_, second) = linked.send(&reply)?;
    let got = linked.baileys.message(&second)?;
    assert_eq!(got["content"]["extendedTextMessage"]["contextInfo"]["stanzaId"], json!(provider_id), "{got}");
    linked.act(&first, "reactions", &json!({"emoji": "👍"}))?;
    linked.baileys.event("the reaction", |e| {
        e["event"] == "reaction" && e["key"]["id"] == provider_id.as_str() && e["emoji"] == "👍"
    })?;
    linked.act(&first, "edit", &json!({"text": "boa tarde"}))?;
    linked.baileys.event("the edit", |e| {
        e["event"] == "update"
            && e["key"]["id"] == provider_id.as_str()
            && e["content"].to_string().contains("boa tarde")
    })?;
    linked.act(&first, "revoke", &json!({}))?;
    // 1 is REVOKE.
    linked.baileys.event("the deletion", |e| {
        e["event"] == "update" && e["key"]["id"] == provider_id.as_str() && e["stub"] == 1
    })?;

    let content = noise(60_000, 5);
    let upload = Form::new().file("file", "foto.jpg", "image/jpeg", &content);
    let made = upload.into_request(linked.tenant.client.request("POST", "/v1/media")).send()?.expect_json(201)?;
    let file = json!({"id": made["id"], "fileName": "foto.jpg", "contentType": "image/jpeg"});
    let (_, provider_id) = linked.send(&json!({"to": linked.theirs, "text": "olha", "attachments": [file]}))?;
    let got = linked.baileys.message(&provider_id)?;
    assert_eq!(got["content"]["imageMessage"]["caption"], "olha", "{got}");
    let downloaded = linked.baileys.ask("download", json!({"of": provider_id}))?;
    assert_eq!(downloaded, json!({"size": content.len(), "sha256": sha256(&content)}));
    Ok(())
}

#[test]
fn what_baileys_says_is_understood_by_the_connector() -> Result<()> {
    let mut linked = linked()?;
    let mut events = Events::from_now(&linked.tenant)?;
    let to = chat(&linked.ours);
    let id = linked.baileys.send("text", json!({"to": to, "text": "bom dia"}))?;
    let got = events.message(&id)?;
    assert_eq!((&got["text"], &got["chat"]), (&json!("bom dia"), &json!(linked.theirs)), "{got}");
    linked.baileys.status(&id, 3)?;

    let (_, ours) = linked.send(&json!({"to": linked.theirs, "text": "responda"}))?;
    linked.baileys.message(&ours)?;
    let reply = json!({"to": to, "text": "respondo", "quote": ours, "mentions": [to]});
    let reply = linked.baileys.send("text", reply)?;
    let got = events.message(&reply)?;
    assert_eq!((&got["replyTo"], &got["mentions"]), (&json!(ours), &json!([linked.ours])), "{got}");
    let reaction = linked.baileys.send("react", json!({"of": ours, "emoji": "🎉"}))?;
    assert_eq!(events.message(&reaction)?["reaction"], json!({"to": ours, "emoji": "🎉"}));
    linked.baileys.send("edit", json!({"of": id, "text": "boa tarde"}))?;
    let edit = events.expect("the edit", |e| e["data"]["kind"] == "edit" && e["data"]["edit"]["of"] == id.as_str())?;
    assert_eq!(edit["data"]["edit"]["text"], "boa tarde");
    linked.baileys.send("delete", json!({"of": id}))?;
    events.expect("the deletion", |e| e["data"]["revoked"] == id.as_str())?;

    let content = noise(50_000, 6);
    let document = json!({"to": to, "kind": "document", "fileName": "nota.pdf", "mimetype": "application/pdf",
        "base64": base64::engine::general_purpose::STANDARD.encode(&content)});
    let id = linked.baileys.send("media", document)?;
    let got = events.message(&id)?;
    assert_eq!(got["attachment"]["fileName"], "nota.pdf", "{got}");
    let file = match got["attachment"]["state"].as_str() {
        Some("ready") => got["attachment"]["file"].clone(),
        _ => events.expect("the file", |e| {
            e["type"] == "message.media" && e["data"]["providerId"] == id.as_str() && e["data"]["state"] == "ready"
        })?["data"]["file"]
            .clone(),
    };
    let url = text_of(&file, "url")?;
    let path = url.find("/v1/").map(|at| &url[at..]).context("a link into the API")?;
    let bytes = linked.stage.server.client().get(path)?.expect(200)?.body;
    ensure!(sha256(&bytes) == sha256(&content), "{} bytes", bytes.len());
    Ok(())
}

#[test]
fn damaged_and_repeated_messages_are_read_once_on_either_side() -> Result<()> {
    let mut linked = linked()?;
    let mut events = Events::from_now(&linked.tenant)?;
    let to = chat(&linked.ours);
    let faults = &linked.stage.whatsapp.world().faults;
    let (ours, theirs) = (linked.ours.clone(), linked.theirs.clone());
    // A session each way before anything goes wrong.
    let (_, out) = linked.send(&json!({"to": linked.theirs, "text": "olá"}))?;
    linked.baileys.message(&out)?;
    let back = linked.baileys.send("text", json!({"to": to, "text": "oi"}))?;
    events.message(&back)?;

    faults.on_messages(Target::Account(ours.clone()), MessageFault::Garble, 1);
    let (_, damaged) = linked.send(&json!({"to": linked.theirs, "text": "danificada"}))?;
    ensure!(linked.baileys.message(&damaged)?["content"].to_string().contains("danificada"));
    faults.on_messages(Target::Account(theirs), MessageFault::Garble, 1);
    let damaged_back = linked.baileys.send("text", json!({"to": to, "text": "também"}))?;
    assert_eq!(events.message(&damaged_back)?["text"], "também");

    // The ack is lost with the connection. Where no receipt comes before that, the connector sends again under the same id; Baileys
    // shows it once, however often it came.
    faults.on_messages(Target::Account(ours), MessageFault::CutAfter, 1);
    let (_, twice) = linked.send(&json!({"to": linked.theirs, "text": "uma vez só"}))?;
    let (_, last) = linked.send(&json!({"to": linked.theirs, "text": "a seguinte"}))?;
    linked.baileys.message(&last)?;
    let relayed = linked.stage.whatsapp.world().relayed();
    ensure!(relayed.iter().any(|m| m.id == twice), "not in the ledger");
    let ids: std::collections::HashSet<String> = linked
        .baileys
        .events(|e| e["event"] == "message" && e["content"].to_string().contains("uma vez só"))
        .iter()
        .map(|e| e["key"]["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1, "one message, by its id, however often it came: {ids:?}");
    let received = events.drain()?.iter().filter(|e| {
        e["type"] == "message.received"
            && [&back, &damaged_back].iter().any(|id| e["data"]["providerId"] == id.as_str())
    });
    assert_eq!(received.count(), 2, "each once");
    Ok(())
}
