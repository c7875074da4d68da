//! Everything that can be sent, seen by the person who gets it.

use anyhow::{Context, Result, ensure};
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::{Events, connected};
use pombo_whatsapp_sim::peer::Kind;
use serde_json::json;

use crate::shared::{number, pair, sent};

#[test]
fn a_text_arrives_once_and_its_receipts_become_events() -> Result<()> {
    let (stage, pair) = pair()?;
    let mut events = Events::from_now(&pair.tenant)?;
    let (id, provider_id) = pair.send(&json!({"to": pair.theirs, "text": "Olá, *Bia* _tudo_ ~mal~ bem?"}))?;
    ensure!(provider_id.starts_with("3EB0") && provider_id.len() == 22, "{provider_id}");
    let got = stage.whatsapp.wait(pair.peer.message(&provider_id))?;
    assert_eq!((got.kind, got.text.as_deref()), (Kind::Text, Some("Olá, *Bia* _tudo_ ~mal~ bem?")));

    let delivered = events.receipt(&id, "delivered")?;
    assert_eq!(delivered["providerId"], provider_id);
    stage.whatsapp.wait(pair.peer.mark_read(&got))?;
    events.receipt(&id, "read")?;
    let receipts = pair.tenant.client.get(&format!("/v1/messages/{id}"))?.expect_json(200)?["receipts"].clone();
    ensure!(receipts["deliveredAt"].is_string() && receipts["readAt"].is_string(), "{receipts}");
    ensure!(receipts.get("notSeen").is_none(), "{receipts}");
    let why = pair.tenant.client.get(&format!("/v1/messages/{id}/why"))?.expect_json(200)?;
    ensure!(
        why["code"] == "read" && why["sentence"].as_str().is_some_and(|said| said.starts_with("It was read")),
        "{why}"
    );
    assert_eq!(stage.whatsapp.wait(pair.peer.messages(1))?.len(), 1);
    Ok(())
}

#[test]
fn replies_mentions_reactions_edits_and_deletions_arrive() -> Result<()> {
    let (stage, pair) = pair()?;
    let (whatsapp, client) = (&stage.whatsapp, &pair.tenant.client);
    let (first, first_provider) = pair.send(&json!({"to": pair.theirs, "text": "primeira"}))?;
    whatsapp.wait(pair.peer.message(&first_provider))?;

    let reply = json!({"to": pair.theirs, "text": format!("oi @{}", pair.theirs), "mentions": [pair.theirs],
        "replyTo": {"messageId": first}});
    let (_, provider_id) = pair.send(&reply)?;
    let got = whatsapp.wait(pair.peer.message(&provider_id))?;
    assert_eq!(got.quoted.as_deref(), Some(first_provider.as_str()));
    assert_eq!(got.mentions.len(), 1, "{:?}", got.mentions);

    let act = |path: &str, body: serde_json::Value| -> Result<String> {
        let queued = client.post(&format!("/v1/messages/{first}/{path}"), &body)?.expect_json(201)?;
        Ok(sent(&pair.tenant, &text_of(&queued, "id")?)?.1)
    };
    for emoji in ["👍", ""] {
        act("reactions", json!({"emoji": emoji}))?;
        let got = whatsapp.wait(pair.peer.wait_for("the reaction", |seen| {
            seen.received.iter().find(|m| m.kind == Kind::Reaction && m.text.as_deref() == Some(emoji)).cloned()
        }))?;
        assert_eq!(got.target.as_deref(), Some(first_provider.as_str()));
    }
    act("edit", json!({"text": "corrigida"}))?;
    let got = whatsapp
        .wait(pair.peer.wait_for("the edit", |seen| seen.received.iter().find(|m| m.kind == Kind::Edit).cloned()))?;
    assert_eq!((got.text.as_deref(), got.target.as_deref()), (Some("corrigida"), Some(first_provider.as_str())));
    act("revoke", json!({}))?;
    let got = whatsapp.wait(
        pair.peer.wait_for("the deletion", |seen| seen.received.iter().find(|m| m.kind == Kind::Revoke).cloned()),
    )?;
    assert_eq!(got.target.as_deref(), Some(first_provider.as_str()));
    Ok(())
}

#[test]
fn a_message_is_deleted_by_the_channels_id_for_it() -> Result<()> {
    let (stage, pair) = pair()?;
    let (_, provider_id) = pair.send(&json!({"to": pair.theirs, "text": "não era para você"}))?;
    stage.whatsapp.wait(pair.peer.message(&provider_id))?;
    let path = format!("/v1/connectors/{}/revoke", pair.connector);
    let body = json!({"chat": pair.theirs, "message": {"providerId": provider_id}});
    let queued = pair.tenant.client.post(&path, &body)?.expect_json(201)?;
    sent(&pair.tenant, &text_of(&queued, "id")?)?;
    let got = stage.whatsapp.wait(
        pair.peer.wait_for("the deletion", |seen| seen.received.iter().find(|m| m.kind == Kind::Revoke).cloned()),
    )?;
    assert_eq!(got.target.as_deref(), Some(provider_id.as_str()));
    Ok(())
}

#[test]
fn reactions_and_read_marks_reach_who_wrote() -> Result<()> {
    let (stage, pair) = pair()?;
    let mut events = Events::from_now(&pair.tenant)?;
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse().context("a chat")?;
    let id = stage.whatsapp.wait(pair.peer.send_text(&chat, "oi"))?;
    let event =
        events.expect("the text", |e| e["data"]["providerId"] == id.as_str() && e["type"] == "message.received")?;

    let path = format!("/v1/connectors/{}/reactions", pair.connector);
    let body = json!({"emoji": "❤️", "message": {"event": event["cursor"]}});
    let queued = pair.tenant.client.post(&path, &body)?.expect_json(201)?;
    sent(&pair.tenant, &text_of(&queued, "id")?)?;
    let got = stage.whatsapp.wait(
        pair.peer.wait_for("the reaction", |seen| seen.received.iter().find(|m| m.kind == Kind::Reaction).cloned()),
    )?;
    assert_eq!((got.target.as_deref(), got.text.as_deref()), (Some(id.as_str()), Some("❤️")));

    let path = format!("/v1/connectors/{}/read", pair.connector);
    pair.tenant
        .client
        .post(&path, &json!({"chat": pair.theirs, "messages": [{"event": event["cursor"]}]}))?
        .expect(204)?;
    stage.whatsapp.wait(pair.peer.receipt(&id, "read"))?;
    Ok(())
}

#[test]
fn typing_is_shown_before_a_text_and_on_demand() -> Result<()> {
    let (stage, pair) = pair()?;
    stage.whatsapp.wait(pair.peer.available())?;
    let config =
        stage.whatsapp.config(&json!({"typing": {"enabled": true, "millisPerCharacter": 5, "maxMillis": 200}}));
    let path = format!("/v1/connectors/{}", pair.connector);
    pair.tenant.client.patch(&path, &json!({"config": config}))?.expect(200)?;
    connected(&pair.tenant, &pair.connector)?;
    let composing = |count: usize| {
        pair.peer.wait_for("typing", move |seen| {
            (seen.typing.iter().filter(|t| t.state == "composing").count() >= count).then_some(())
        })
    };
    let (_, provider_id) = pair.send(&json!({"to": pair.theirs, "text": "escrevo antes de mandar"}))?;
    stage.whatsapp.wait(pair.peer.message(&provider_id))?;
    stage.whatsapp.wait(composing(1))?;

    let path = format!("/v1/connectors/{}/typing", pair.connector);
    pair.tenant.client.post(&path, &json!({"chat": pair.theirs, "state": "composing"}))?.expect(204)?;
    stage.whatsapp.wait(composing(2))?;
    Ok(())
}

#[test]
fn the_account_is_online_only_while_somebody_works() -> Result<()> {
    let (stage, pair) = pair()?;
    let config = stage.whatsapp.config(&json!({"presenceIdleSeconds": 5}));
    pair.tenant.client.patch(&format!("/v1/connectors/{}", pair.connector), &json!({"config": config}))?.expect(200)?;
    connected(&pair.tenant, &pair.connector)?;
    let is_online = |online: bool| {
        until(&format!("online to be {online}"), PATIENCE, || {
            Ok((stage.whatsapp.world().is_available(&pair.ours) == online).then_some(()))
        })
    };
    // At the login it is online for a moment.
    is_online(false)?;
    pair.send(&json!({"to": pair.theirs, "text": "trabalho"}))?;
    is_online(true)?;
    is_online(false)?;
    Ok(())
}

#[test]
fn what_the_server_refuses_is_failed_or_tried_again_and_said() -> Result<()> {
    use pombo_whatsapp_sim::faults::{MessageFault, Target};
    let (stage, pair) = pair()?;
    let mut events = Events::from_now(&pair.tenant)?;
    let faults = &stage.whatsapp.world().faults;
    faults.on_messages(Target::Account(pair.ours.clone()), MessageFault::Nack(479), 1);
    let id = pair.queue(&json!({"to": pair.theirs, "text": "recusada"}))?;
    let message = pair.tenant.wait_status(&id, &["FAILED", "SENT"])?;
    ensure!(message["status"] == "FAILED" || message["status"] == "SENT", "{message}");

    faults.on_messages(Target::Account(pair.ours.clone()), MessageFault::Nack(429), 1);
    pair.queue(&json!({"to": pair.theirs, "text": "depressa"}))?;
    events.expect("a warning", |e| e["type"] == "health.changed" && e["data"]["kind"] == "restricted")?;
    Ok(())
}

#[test]
fn a_first_message_that_lacks_a_token_holds_back_nobody_else() -> Result<()> {
    use pombo_whatsapp_sim::faults::{MessageFault, Target};
    let (stage, pair) = pair()?;
    let other = number();
    stage.whatsapp.register(&other)?;
    stage.whatsapp.world().faults.on_messages(Target::Account(pair.ours.clone()), MessageFault::Nack(463), 1);
    let refused = pair.queue(&json!({"to": pair.theirs, "text": "sem token"}))?;
    until("the refusal to show", PATIENCE, || {
        let message = pair.tenant.client.get(&format!("/v1/messages/{refused}"))?.expect_json(200)?;
        Ok((message["status"] == "WAITING" && message.to_string().contains("463")).then_some(()))
    })?;
    pair.send(&json!({"to": other, "text": "para outra pessoa"}))?;
    let still = pair.tenant.client.get(&format!("/v1/messages/{refused}"))?.expect_json(200)?;
    assert_eq!(still["status"], "WAITING", "{still}");
    Ok(())
}

/// Nobody who gets it is there to tell of it, so that the connector has to send it again.
#[test]
fn a_lost_ack_is_asked_again_under_the_same_id_and_read_once() -> Result<()> {
    use pombo_whatsapp_sim::faults::{MessageFault, Target};
    let (stage, pair) = pair()?;
    let away = number();
    stage.whatsapp.register(&away)?;
    pombo_whatsapp_sim::phone::switch(stage.whatsapp.world(), &away, false)?;
    stage.whatsapp.world().faults.on_messages(Target::Account(pair.ours.clone()), MessageFault::CutAfter, 1);
    let (_, provider_id) = pair.send(&json!({"to": away, "text": "uma vez só"}))?;
    let (_, after) = pair.send(&json!({"to": away, "text": "a seguinte"}))?;
    let relayed = stage.whatsapp.world().relayed();
    let sent = relayed.iter().find(|m| m.id == provider_id).map(|m| m.count).context("not in the ledger")?;
    ensure!(sent >= 2, "sent {sent} times");
    // The server delivers every copy; what makes it one message is its id.
    pombo_whatsapp_sim::phone::switch(stage.whatsapp.world(), &away, true)?;
    let inbox = until("the phone to open its mail", PATIENCE, || {
        let inbox = pombo_whatsapp_sim::phone::inbox(stage.whatsapp.world(), &away)?;
        Ok(inbox.iter().any(|m| m.id == after).then_some(inbox))
    })?;
    let read: Vec<_> = inbox.iter().filter(|m| m.text.as_deref() == Some("uma vez só")).collect();
    assert_eq!(read.len(), 1, "the person saw it once");
    ensure!(read[0].copies == sent, "sent {sent} times, {} copies", read[0].copies);
    Ok(())
}
