//! One tenant, three facades and `/v1`: the same connector, contact, conversation and messages through all of them.

use anyhow::{Context, Result, ensure};
use pombo_tests::http::Client;
use pombo_tests::tenant::{SENDSYNC, text_of};
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

    // The contact.
    let listed = bench.tenant.client.get(&format!("{SENDSYNC}/contacts"))?.expect_json(200)?;
    ensure!(listed.to_string().matches(&who).count() >= 1, "{listed}");
    let shown = zapini.get("/zapini/contacts")?.expect_json(200)?;
    assert_eq!(shown["meta"]["pagination"]["total"], 1, "{shown}");
    assert_eq!((&shown["data"][0]["id"], &shown["data"][0]["name"]), (&contact["number"], &json!("Ana")), "{shown}");

    // The conversation, with everything that was said, in order.
    let chats = zapini.get("/zapini/conversations")?.expect_json(200)?;
    assert_eq!(chats["meta"]["pagination"]["total"], 1, "{chats}");
    let conversation = bench.conversation(&who)?;
    assert_eq!(chats["data"][0]["id"], conversation["id"], "{chats}");
    let expected = ["Olá Ana, seu código é 1.", "oi", "pela fila", "pela Zapini", "pelo AI DESK"];
    let texts: Vec<Value> = bench.said(&who)?.iter().map(|entry| entry["text"].clone()).collect();
    assert_eq!(texts, expected.map(Value::from));
    let path = format!("/zapini/chat/conversations/{}/messages", text_of(&conversation, "id")?);
    let page = zapini.get(&path)?.expect_json(200)?;
    for text in expected {
        ensure!(page.to_string().contains(text), "{text} is not in {page}");
    }
    // The messages: the queue lists those of the other facades, too.
    let list = bench.tenant.list(&[("status", "SENT")])?;
    assert_eq!(list["meta"]["total"], 4, "{list}");
    let graph: Vec<Value> = bench.accepted(&who)?;
    assert_eq!(graph.len(), 4);
    bench.nothing_violated()
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
