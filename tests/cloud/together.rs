//! One tenant, three facades and `/v1`: the same connector, contact, conversation and messages through all of them.

use anyhow::{Context, Result, ensure};
use pombo_tests::http::Client;
use pombo_tests::tenant::{SENDSYNC, text_of};
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::shared::{Bench, named_template, person};

#[test]
fn three_facades_show_one_contact_and_one_conversation() -> Result<()> {
    let bench = Bench::new()?;
    let template = bench.template(&named_template("juntas"))?;
    let (queue, status) = bench.queue_and_status()?;
    let (aidesk, who) = (bench.aidesk(), person());
    let zapini = Client::new(bench.tenant.client.address()).bearer(&bench.tenant.key);

    // AI DESK begins the conversation, Ana answers, SendSync and Zapini go on.
    let body = json!({"number": who, "template_id": template, "queue_id": queue, "status_id": status,
        "contact_name": "Ana", "variables": {"nome": "Ana", "codigo": "1"}});
    aidesk.post("/aidesk/send-message", &body)?.expect(200)?;
    bench.opened(&who)?;
    let id = bench.tenant.send_text(&bench.connector, &who, "pela fila")?;
    bench.tenant.wait_status(&id, &["SENT"])?;
    let sent =
        zapini.post("/zapini/send-message", &json!({"recipient": who, "message": "pela Zapini"}))?.expect_json(200)?;
    ensure!(sent["success"] == true && text_of(&sent, "message_id")?.starts_with("wamid."), "{sent}");
    let contact = {
        let page = bench.tenant.client.get("/v1/contacts?limit=10")?.expect_json(200)?;
        assert_eq!(page["total"], 1, "{page}");
        page["data"][0].clone()
    };
    let direct =
        json!({"contact_id": contact["number"], "instance_id": bench.instance()?, "message_content": "pelo AI DESK"});
    aidesk.post("/aidesk/sendmessage", &direct)?.expect(200)?;

    let expected = ["Olá Ana, seu código é 1.", "oi", "pela fila", "pela Zapini", "pelo AI DESK"];
    let said = until("all of it to be delivered", PATIENCE, || {
        let said = bench.said(&who)?;
        let own = said.iter().filter(|entry| entry["direction"] == "out");
        let arrived = own.filter(|entry| entry["receipts"]["deliveredAt"].is_string()).count();
        Ok((arrived == 4).then_some(said))
    })?;
    let texts: Vec<Value> = said.iter().map(|entry| entry["text"].clone()).collect();
    assert_eq!(texts, expected.map(Value::from));

    same_contact(&bench, &zapini, &who)?;
    let conversation = bench.conversation(&who)?;
    same_conversation(&zapini, &conversation, &who)?;
    same_messages(&bench, &zapini, &conversation, &said)?;
    let graph: Vec<Value> = bench.accepted(&who)?;
    assert_eq!(graph.len(), 4);
    bench.nothing_violated()
}

/// An instant without its fraction of a second: Zapini's documentation shows none.
fn second(instant: &Value) -> Result<String> {
    let text = instant.as_str().and_then(|text| text.get(..19)).with_context(|| format!("no instant: {instant}"))?;
    Ok(format!("{text}Z"))
}

/// The contact of `/v1` is the only one of each facade, with the same values.
fn same_contact(bench: &Bench, zapini: &Client, who: &str) -> Result<()> {
    let contact = bench.contacts()?.pop().context("no contact")?;
    assert_eq!((&contact["identifier"], &contact["displayName"]), (&json!(who), &json!("Ana")), "{contact}");
    let listed = bench.tenant.client.get(&format!("{SENDSYNC}/contacts"))?.expect_json(200)?;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    for (theirs, ours) in [
        ("id", "id"),
        ("identifier", "identifier"),
        ("type", "type"),
        ("name", "displayName"),
        ("active", "active"),
        ("createdAt", "createdAt"),
        ("updatedAt", "updatedAt"),
    ] {
        assert_eq!(listed[0][theirs], contact[ours], "SendSync's {theirs}: {listed}");
    }
    let page = zapini.get("/zapini/contacts")?.expect_json(200)?;
    assert_eq!(page["meta"]["pagination"]["total"], 1, "{page}");
    let shown = &page["data"][0];
    for (theirs, ours) in [
        ("id", "number"),
        ("phone_number", "identifier"),
        ("name", "name"),
        ("display_name", "displayName"),
        ("email", "email"),
        ("company", "company"),
        ("notes", "notes"),
        ("is_business", "business"),
    ] {
        assert_eq!(shown[theirs], contact[ours], "Zapini's {theirs}: {shown}");
    }
    assert_eq!(shown["created_at"], json!(second(&contact["createdAt"])?), "{shown}");
    Ok(())
}

/// The conversation of `/v1` is Zapini's only one, with the same values.
fn same_conversation(zapini: &Client, conversation: &Value, who: &str) -> Result<()> {
    let chats = zapini.get("/zapini/conversations")?.expect_json(200)?;
    assert_eq!(chats["meta"]["pagination"]["total"], 1, "{chats}");
    let chat = &chats["data"][0];
    for (theirs, ours) in [
        ("id", &conversation["id"]),
        ("conversation_id", &conversation["number"]),
        ("contact_name", &conversation["contactName"]),
        ("display_name", &conversation["displayName"]),
        ("is_group", &conversation["isGroup"]),
        ("last_message", &conversation["lastMessage"]["preview"]),
        ("unread_count", &conversation["unread"]),
    ] {
        assert_eq!(chat[theirs], *ours, "{theirs}: {chat}");
    }
    assert_eq!((&chat["contact_number"], &chat["is_archived"]), (&json!(who), &json!(false)), "{chat}");
    assert_eq!(chat["last_message_at"], json!(second(&conversation["lastMessage"]["at"])?), "{chat}");
    Ok(())
}

/// What `/v1` shows of the conversation is what Zapini shows, message by message; those that were sent are SendSync's, too.
fn same_messages(bench: &Bench, zapini: &Client, conversation: &Value, said: &[Value]) -> Result<()> {
    let path = format!("/zapini/chat/conversations/{}/messages", text_of(conversation, "id")?);
    let page = zapini.get(&path)?.expect_json(200)?;
    let shown = page["data"]["messages"].as_array().with_context(|| page.to_string())?;
    assert_eq!(shown.len(), said.len(), "{page}");
    for (message, entry) in shown.iter().zip(said) {
        for (theirs, ours) in [
            ("id", &entry["number"]),
            ("unique_id", &entry["id"]),
            ("whatsapp_message_id", &entry["providerId"]),
            ("message_body", &entry["text"]),
        ] {
            assert_eq!(message[theirs], *ours, "{theirs}: {message}");
        }
        let is_own = entry["direction"] == "out";
        assert_eq!(message["is_from_me"], is_own, "{message}");
        assert_eq!(message["direction"], if is_own { "outgoing" } else { "incoming" }, "{message}");
        assert_eq!(message["created_at"], json!(second(&entry["at"])?), "{message}");
        let is_read = !is_own && conversation["unread"] == 0;
        assert_eq!(message["status"], if is_read { "read" } else { "delivered" }, "{message}");
    }
    let list = bench.tenant.list(&[("status", "SENT")])?;
    let own: Vec<&Value> = said.iter().filter(|entry| entry["messageId"].is_string()).collect();
    assert_eq!((&list["meta"]["total"], own.len()), (&json!(4), 4), "{list}");
    let listed = list["data"].as_array().context("no data")?;
    for entry in own {
        let message = listed.iter().find(|one| one["id"] == entry["messageId"]);
        let message = message.with_context(|| format!("{entry} is not in {list}"))?;
        assert_eq!((&message["message"], &message["to"]), (&entry["text"], &conversation["chat"]), "{message}");
        assert_eq!(message["connectorId"], json!(bench.connector), "{message}");
        // The newest is first there, and the oldest first here; the message itself is the same in `/v1`.
        let own = bench.tenant.message(&text_of(message, "id")?)?;
        for name in ["status", "priority", "messageType", "createdAt", "sentAt"] {
            assert_eq!(message[name], own[name], "{name}: {own}");
        }
        assert_eq!(own["providerId"], entry["providerId"], "{own}");
    }
    Ok(())
}

#[test]
fn a_cloud_connector_is_a_whatsapp_of_sendsync_and_a_connected_instance_of_zapini() -> Result<()> {
    let bench = Bench::new()?;
    let zapini = Client::new(bench.tenant.client.address()).bearer(&bench.tenant.key);
    let listed = bench.tenant.client.get(&format!("{SENDSYNC}/connectors"))?.expect_json(200)?;
    assert_eq!((&listed[0]["type"], &listed[0]["status"]), (&json!("WHATSAPP"), &json!("ACTIVE")), "{listed}");
    let path = format!("{SENDSYNC}/whatsapp/connect/{}", bench.connector);
    let reply = bench.tenant.client.post(&path, &json!({}))?;
    ensure!(reply.status == 200 || reply.status == 201, "{reply:?}");
    let answer = reply.json()?;
    ensure!(answer["status"] == "CONNECTED" && answer["qrCode"].is_null(), "{answer}");
    let instance = format!("/zapini/instances/{}", bench.connector);
    let status = zapini.get(&format!("{instance}/status"))?.expect_json(200)?;
    assert_eq!(status["data"]["connected"], true, "{status}");
    for reply in [zapini.post(&format!("{instance}/reconnect"), &json!({}))?, zapini.get(&format!("{instance}/qr"))?] {
        let answer = reply.expect_json(200)?;
        let shown = text_of(&answer["data"], "status").with_context(|| answer.to_string())?;
        assert_eq!(shown.to_uppercase(), "CONNECTED", "{answer}");
    }
    let group = json!({"subject": "Obra", "participants": [person()]});
    zapini.post(&format!("{instance}/groups"), &group)?.expect(422)?;
    bench.opened(&person())?;
    Ok(())
}

#[test]
fn the_reply_window_is_shown_by_zapini_and_a_closed_one_is_422() -> Result<()> {
    let bench = Bench::new()?;
    let zapini = Client::new(bench.tenant.client.address()).bearer(&bench.tenant.key);
    let who = person();
    let text = json!({"recipient": who, "message": "fora da janela"});
    zapini.post("/zapini/send-message", &text)?.expect(422)?;
    assert_eq!(bench.graph.messages_to(&who)?, 0);
    bench.opened(&who)?;
    let id = text_of(&bench.conversation(&who)?, "id")?;
    let shown = zapini.get(&format!("/zapini/conversations/{id}"))?.expect_json(200)?;
    assert_eq!(shown["data"]["reply_window"]["open"], true, "{shown}");
    zapini.post("/zapini/send-message", &text)?.expect(200)?;
    Ok(())
}
