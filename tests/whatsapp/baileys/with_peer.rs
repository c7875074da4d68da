//! Baileys on the simulator alone, with a native client as the other side.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};
use pombo_tests::files::{noise, sha256};
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::WhatsApp;
use pombo_whatsapp_sim::peer::{Attachment, Kind, Media, Peer, Received, Text};
use pombo_whatsapp_sim::phone;
use pombo_whatsapp_sim::world::NewAccount;
use serde_json::json;

use super::{Baileys, chat};
use crate::shared::number;

/// A simulator with two people: one uses Baileys, the other a native client.
struct Two {
    baileys: Baileys,
    ours: String,
    peer: Peer,
    theirs: String,
    /// The last, because the others end before their server does.
    whatsapp: WhatsApp,
}

fn two(lid_addressed: bool) -> Result<Two> {
    let whatsapp = WhatsApp::start(&[])?;
    let (ours, theirs) = (number(), number());
    for phone in [&ours, &theirs] {
        whatsapp.world().register(NewAccount { phone: phone.clone(), lid_addressed, ..NewAccount::default() })?;
    }
    let peer = whatsapp.peer(&theirs)?;
    let baileys = Baileys::pair(&whatsapp, &ours)?;
    Ok(Two { baileys, ours, peer, theirs, whatsapp })
}

impl Two {
    /// The peer's message of this kind that is about another one.
    fn about(&self, kind: Kind, target: &str) -> Result<Received> {
        let found = self.peer.wait_for("what is about a message", |seen| {
            seen.received.iter().find(|m| m.kind == kind && m.target.as_deref() == Some(target)).cloned()
        });
        Ok(self.whatsapp.wait(found)?)
    }
}

#[test]
fn everything_that_can_be_said_is_understood_both_ways() -> Result<()> {
    for lid_addressed in [false, true] {
        let mut two = two(lid_addressed)?;
        let to = chat(&two.theirs);
        let id = two.baileys.send("text", json!({"to": to, "text": "bom dia"}))?;
        let got = two.whatsapp.wait(two.peer.message(&id))?;
        assert_eq!((got.kind, got.text.as_deref(), got.copies), (Kind::Text, Some("bom dia"), 1));
        two.baileys.status(&id, 3)?;
        two.whatsapp.wait(two.peer.mark_read(&got))?;
        two.baileys.status(&id, 4)?;

        let back = got.chat.parse().context("a chat")?;
        let text = Text { body: "respondo", reply_to: Some(&got), mentions: vec![back] };
        let chat = got.chat.parse().context("a chat")?;
        let reply = two.whatsapp.wait(two.peer.send_rich_text(&chat, text))?;
        let event = two.baileys.message(&reply)?;
        let said = &event["content"]["extendedTextMessage"];
        assert_eq!((&said["text"], &said["contextInfo"]["stanzaId"]), (&json!("respondo"), &json!(id)), "{event}");
        assert_eq!(said["contextInfo"]["mentionedJid"].as_array().map(Vec::len), Some(1), "{event}");
        two.baileys.ask("read", json!({"of": reply}))?;
        two.whatsapp.wait(two.peer.receipt(&reply, "read"))?;
        let quoted = two.baileys.send("text", json!({"to": to, "text": "cito", "quote": reply}))?;
        assert_eq!(two.whatsapp.wait(two.peer.message(&quoted))?.quoted.as_deref(), Some(reply.as_str()));

        two.whatsapp.wait(two.peer.react(&got, "👍"))?;
        two.baileys.event("their reaction", |e| {
            e["event"] == "reaction" && e["key"]["id"] == id.as_str() && e["emoji"] == "👍"
        })?;
        two.baileys.send("react", json!({"of": reply, "emoji": "🎉"}))?;
        assert_eq!(two.about(Kind::Reaction, &reply)?.text.as_deref(), Some("🎉"));

        two.baileys.send("edit", json!({"of": id, "text": "boa tarde"}))?;
        assert_eq!(two.about(Kind::Edit, &id)?.text.as_deref(), Some("boa tarde"));
        two.whatsapp.wait(two.peer.edit(&chat, &reply, "respondi"))?;
        two.baileys.event("their edit", |e| {
            e["event"] == "update" && e["key"]["id"] == reply.as_str() && e["content"].to_string().contains("respondi")
        })?;
        two.baileys.send("delete", json!({"of": id}))?;
        two.about(Kind::Revoke, &id)?;
        two.whatsapp.wait(two.peer.revoke(&chat, &reply))?;
        // 1 is REVOKE.
        two.baileys.event("their deletion", |e| {
            e["event"] == "update" && e["key"]["id"] == reply.as_str() && e["stub"] == 1
        })?;
    }
    Ok(())
}

#[test]
fn files_go_both_ways_byte_for_byte() -> Result<()> {
    let mut two = two(false)?;
    let (to, back) = (chat(&two.theirs), chat(&two.ours).parse()?);
    let outgoing = [
        (json!({"kind": "image", "caption": "foto"}), Kind::Image),
        (json!({"kind": "video"}), Kind::Video),
        (json!({"kind": "audio", "ptt": true, "mimetype": "audio/ogg; codecs=opus"}), Kind::VoiceNote),
        (json!({"kind": "document", "fileName": "nota.pdf", "mimetype": "application/pdf"}), Kind::Document),
    ];
    for (seed, (mut what, kind)) in outgoing.into_iter().enumerate() {
        use base64::Engine;
        let content = noise(40_000 + seed, seed as u64 + 1);
        what["to"] = json!(to);
        what["base64"] = json!(base64::engine::general_purpose::STANDARD.encode(&content));
        let id = two.baileys.send("media", what)?;
        let got = two.whatsapp.wait(two.peer.message(&id))?;
        assert_eq!((got.kind, got.media), (kind, Some(Media::Bytes { sha256: sha256(&content), size: content.len() })));
    }
    let incoming = [
        Attachment::Image { caption: Some("olha") },
        Attachment::Video { caption: None },
        Attachment::VoiceNote { seconds: 3 },
        Attachment::Document { file_name: "lista.pdf", mime: "application/pdf", caption: None },
    ];
    for (seed, what) in incoming.into_iter().enumerate() {
        let content = noise(70_000 + seed, seed as u64 + 10);
        let id = two.whatsapp.wait(two.peer.send_media(&back, content.clone(), what))?;
        two.baileys.message(&id)?;
        let file = two.baileys.ask("download", json!({"of": id}))?;
        assert_eq!(file, json!({"size": content.len(), "sha256": sha256(&content)}));
    }
    Ok(())
}

#[test]
fn a_group_of_both_lives() -> Result<()> {
    let mut two = two(false)?;
    let third = number();
    two.whatsapp.register(&third)?;
    let third_peer = two.whatsapp.peer(&third)?;
    let made = two.baileys.ask("group-create", json!({"subject": "Obra", "members": [chat(&two.theirs)]}))?;
    let group = text_of(&made, "id")?;
    let jid = group.parse()?;
    two.whatsapp.wait(two.peer.group_change(&jid, "create"))?;
    // The second of each has no key to distribute.
    for n in 0..2 {
        let id = two.baileys.send("text", json!({"to": group, "text": format!("daqui {n}")}))?;
        let got = two.whatsapp.wait(two.peer.message(&id))?;
        assert_eq!((got.group, got.text), (true, Some(format!("daqui {n}"))));
        let id = two.whatsapp.wait(two.peer.send_text(&jid, &format!("dali {n}")))?;
        ensure!(two.baileys.message(&id)?["content"].to_string().contains(&format!("dali {n}")));
    }
    let add = json!({"group": group, "members": [chat(&third)], "action": "add"});
    two.baileys.ask("group-members", add)?;
    two.whatsapp.wait(two.peer.group_change(&jid, "add"))?;
    two.whatsapp.wait(third_peer.group_change(&jid, "create"))?;
    let id = two.baileys.send("text", json!({"to": group, "text": "bem-vinda"}))?;
    assert_eq!(two.whatsapp.wait(third_peer.message(&id))?.text.as_deref(), Some("bem-vinda"));
    two.baileys.ask("group-subject", json!({"group": group, "subject": "Obra nova"}))?;
    let told = two.whatsapp.wait(two.peer.group_change(&jid, "subject"))?;
    ensure!(told.detail.to_string().contains("Obra nova"), "{}", told.detail);
    let shown = two.baileys.ask("group-show", json!({"group": group}))?;
    assert_eq!((&shown["subject"], shown["participants"].as_array().map(Vec::len)), (&json!("Obra nova"), Some(3)));
    two.whatsapp.wait(two.peer.leave(&jid))?;
    two.baileys.event("the leaving", |e| e["event"] == "participants" && e["action"] == "remove")?;
    two.baileys.ask("group-leave", json!({"group": group}))?;
    two.whatsapp.wait(third_peer.wait_for("both to have left", |seen| {
        (seen.group_changes.iter().filter(|change| change.action == "remove").count() == 2).then_some(())
    }))?;
    Ok(())
}

#[test]
fn it_pairs_by_code_and_knows_how_a_connection_ended() -> Result<()> {
    let whatsapp = WhatsApp::start(&[])?;
    let phone = number();
    whatsapp.register(&phone)?;
    let mut client = Baileys::start(&whatsapp)?;
    client.event("a QR code", |e| e["event"] == "qr")?;
    let code = text_of(&client.ask("code", json!({"phone": phone}))?, "code")?;
    // The server has the code a moment after Baileys has sent it.
    until("the phone to take the code", PATIENCE, || {
        Ok(whatsapp.admin(&format!("/phones/{phone}/link"), &json!({"code": code})).ok())
    })?;
    client.event("the wish to connect again", |e| e["event"] == "close" && e["code"] == 515)?;
    client.event("the login", |e| e["event"] == "open")?;
    whatsapp.admin("/faults", &json!({"kind": "replace", "on": {"phone": phone}}))?;
    client.event("the replacement, which is no logout", |e| e["event"] == "close" && e["code"] == 440)?;

    let other = Baileys::pair(&whatsapp, &phone)?;
    whatsapp.admin("/faults", &json!({"kind": "logout", "on": {"phone": phone}}))?;
    other.event("the logout", |e| e["event"] == "close" && e["code"] == 401)?;
    Ok(())
}

#[test]
fn what_the_phone_and_the_server_say_is_understood() -> Result<()> {
    let whatsapp = WhatsApp::start(&[])?;
    let (ours, theirs) = (number(), number());
    whatsapp.register(&ours)?;
    whatsapp.register(&theirs)?;
    let peer = whatsapp.peer(&theirs)?;
    let to = chat(&ours).parse()?;
    let mut before = HashSet::new();
    for n in 0..15 {
        let text = format!("antes {n}");
        let sent = phone::send_text(whatsapp.world(), &theirs, &to, &text);
        before.insert(whatsapp.wait(sent)?);
    }
    until("the phone to have them before it is paired", PATIENCE, || {
        Ok((phone::inbox(whatsapp.world(), &ours)?.len() == before.len()).then_some(()))
    })?;
    let mut baileys = Baileys::pair(&whatsapp, &ours)?;
    until("the history, in however many parts", PATIENCE, || {
        let parts = baileys.events(|e| e["event"] == "history");
        let ids = parts.iter().flat_map(|part| part["ids"].as_array().into_iter().flatten());
        let told: HashSet<String> = ids.filter_map(|id| id.as_str().map(str::to_owned)).collect();
        Ok(before.is_subset(&told).then_some(()))
    })?;

    // Who wrote before is known: a server that asks for a token gets one.
    whatsapp.admin("/policy", &json!({"demandsTokens": true}))?;
    let id = baileys.send("text", json!({"to": chat(&theirs), "text": "com licença"}))?;
    assert_eq!(whatsapp.wait(peer.message(&id))?.text.as_deref(), Some("com licença"));

    let on = json!({"phone": ours});
    let lock = json!({"kind": "reachoutTimelock", "on": on, "until": 1_900_000_000, "enforcement": "BIZ_QUALITY"});
    whatsapp.admin("/announce", &lock)?;
    let told = baileys.event("the lock", |e| e["event"] == "timelock")?;
    assert_eq!((&told["isActive"], &told["enforcementType"]), (&json!(true), &json!("BIZ_QUALITY")), "{told}");
    let capping = json!({"kind": "messageCapping", "on": on, "total": 30, "used": 30, "status": "capped", "cycleEnds": 1_900_000_000});
    whatsapp.admin("/announce", &capping)?;
    let told = baileys.event("the capping", |e| e["event"] == "capping")?;
    assert_eq!((&told["capping_status"], &told["used_quota"]), (&json!("CAPPED"), &json!(30)), "{told}");
    let call = whatsapp.admin("/announce", &json!({"kind": "call", "phone": theirs, "to": ours}))?;
    let rung = baileys.event("the call", |e| e["event"] == "call" && e["status"] == "offer")?;
    assert_eq!(rung["call"], call["id"], "{rung}");
    Ok(())
}
