//! Everything that a person can send, as the tenant sees it in the log of events.

use anyhow::{Result, ensure};
use pombo_tests::whatsapp::{Events, connected};
use pombo_whatsapp_sim::peer::Text;
use serde_json::json;

use crate::shared::pair;

#[test]
fn texts_replies_reactions_edits_and_deletions_are_events() -> Result<()> {
    let (stage, pair) = pair()?;
    let (whatsapp, peer) = (&stage.whatsapp, &pair.peer);
    let mut events = Events::from_now(&pair.tenant)?;
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;

    let id = whatsapp.wait(peer.send_text(&chat, "bom dia"))?;
    let got = events.message(&id)?;
    assert_eq!((&got["text"], &got["kind"], &got["fromMe"]), (&json!("bom dia"), &json!("text"), &json!(false)));
    assert_eq!((&got["chat"], &got["sender"]), (&json!(pair.theirs), &json!(pair.theirs)), "{got}");

    let (_, ours) = pair.send(&json!({"to": pair.theirs, "text": "responda"}))?;
    let original = whatsapp.wait(peer.message(&ours))?;
    let text = Text { body: "respondo", reply_to: Some(&original), mentions: vec![chat.clone()] };
    let id = whatsapp.wait(peer.send_rich_text(&chat, text))?;
    let got = events.message(&id)?;
    assert_eq!((&got["replyTo"], &got["mentions"]), (&json!(ours), &json!([pair.ours])), "{got}");

    for emoji in ["🎉", ""] {
        let id = whatsapp.wait(peer.react(&original, emoji))?;
        let got = events.message(&id)?;
        assert_eq!(got["reaction"], json!({"to": ours, "emoji": emoji}), "{got}");
    }
    let id = whatsapp.wait(peer.send_text(&chat, "com ero"))?;
    events.message(&id)?;
    whatsapp.wait(peer.edit(&chat, &id, "com erro"))?;
    let edit = events.expect("the edit", |e| e["data"]["kind"] == "edit" && e["data"]["edit"]["of"] == id.as_str())?;
    assert_eq!(edit["data"]["edit"]["text"], "com erro");
    whatsapp.wait(peer.revoke(&chat, &id))?;
    events.expect("the deletion", |e| e["data"]["revoked"] == id.as_str())?;
    Ok(())
}

#[test]
fn what_arrives_twice_or_while_away_is_one_event() -> Result<()> {
    use pombo_whatsapp_sim::faults::{MessageFault, Target};
    let (stage, pair) = pair()?;
    let whatsapp = &stage.whatsapp;
    let mut events = Events::from_now(&pair.tenant)?;
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;
    whatsapp.world().faults.on_messages(Target::Account(pair.theirs.clone()), MessageFault::Duplicate(2), 1);
    let doubled = whatsapp.wait(pair.peer.send_text(&chat, "em dobro"))?;
    events.message(&doubled)?;

    whatsapp.admin("/faults", &json!({"kind": "drop", "on": {"phone": pair.ours}}))?;
    let away: Vec<String> =
        (0..20).map(|n| whatsapp.wait(pair.peer.send_text(&chat, &format!("fora {n}")))).collect::<Result<_, _>>()?;
    connected(&pair.tenant, &pair.connector)?;
    let mut cursors = Vec::new();
    for id in &away {
        let event = events.expect("what was sent while away", |e| e["data"]["providerId"] == id.as_str())?;
        cursors.push(event["cursor"].as_u64());
    }
    ensure!(cursors.is_sorted(), "in the order it was sent: {cursors:?}");
    let all = events.drain()?;
    for id in away.iter().chain([&doubled]) {
        let count = all.iter().filter(|e| e["type"] == "message.received" && e["data"]["providerId"] == id.as_str());
        assert_eq!(count.count(), 1, "{id}");
    }
    Ok(())
}

#[test]
fn what_is_read_on_the_phone_is_read_here() -> Result<()> {
    let (stage, pair) = pair()?;
    let (whatsapp, peer) = (&stage.whatsapp, &pair.peer);
    let mut events = Events::from_now(&pair.tenant)?;
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;
    let id = whatsapp.wait(peer.send_text(&chat, "você viu?"))?;
    events.message(&id)?;
    let list = format!("/v1/conversations?connectorId={}", pair.connector);
    let unread = || -> Result<serde_json::Value> {
        Ok(pair.tenant.client.get(&list)?.expect_json(200)?["data"][0]["unread"].clone())
    };
    assert_eq!(unread()?, 1);
    whatsapp.admin(&format!("/phones/{}/read", pair.ours), &json!({"id": id}))?;
    events.expect("the reading", |e| {
        e["type"] == "conversation.changed" && e["data"]["step"] == "read" && e["data"]["chat"] == pair.theirs.as_str()
    })?;
    assert_eq!(unread()?, 0);
    Ok(())
}
