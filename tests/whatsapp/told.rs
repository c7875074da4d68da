//! The webhook of an instance, as its receiver sees it: both sides of a conversation, how far messages came, files, and the end by 410.

use anyhow::{Context, Result, ensure};
use pombo_tests::files::{hmac_sha256, noise};
use pombo_tests::http::Reply;
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::webhook::{Received, Receiver};
use pombo_whatsapp_sim::peer::Attachment;
use serde_json::{Value, json};

use crate::shared::{Pair, Stage, pair};

const SECRET: &str = "your_secret_key_here";

fn set(stage: &Stage, pair: &Pair, url: &str) -> Result<Reply> {
    let client = stage.server.client().bearer(&pair.tenant.key);
    let body = json!({"webhook_url": url, "webhook_secret": SECRET, "events": null});
    client.put(&format!("/zapini/instances/{}/webhook", pair.connector), &body)
}

/// What was told of an event, once there are `count`.
fn told(receiver: &Receiver, path: &str, event: &str, count: usize) -> Result<Vec<Received>> {
    until(&format!("{count} times {event} at {path}"), PATIENCE, || {
        let mut all = receiver.received(path);
        all.retain(|one| one.header("x-webhook-event") == event);
        Ok(Some(all).filter(|all| all.len() >= count))
    })
}

#[test]
fn an_instance_tells_its_webhook_what_happens() -> Result<()> {
    let (stage, pair) = pair()?;
    let (whatsapp, receiver) = (&stage.whatsapp, Receiver::start()?);
    let saved = set(stage, &pair, &receiver.url("/told"))?.expect_json(200)?;
    assert_eq!(saved["data"]["webhook"]["is_active"], true, "{saved}");
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;

    let id = whatsapp.wait(pair.peer.send_text(&chat, "Olá \u{2028} \"mundo\" / é"))?;
    let got = told(&receiver, "/told", "message.received", 1)?.remove(0);
    let data = got.json()["data"].clone();
    assert_eq!((&data["whatsapp_message_id"], &data["sender_number"]), (&json!(id), &json!(pair.theirs)), "{data}");
    assert_eq!(data["content"], "Olá \u{2028} \"mundo\" / é");
    ensure!(data["conversation_id"].is_u64() && data["message_id"].is_string(), "{data}");

    let (message, provider_id) = pair.send(&json!({"to": pair.theirs, "text": "tudo bem"}))?;
    let sent = told(&receiver, "/told", "message.sent", 1)?.remove(0).json();
    assert_eq!(
        (&sent["data"]["message_id"], &sent["data"]["content"]),
        (&json!(message), &json!("tudo bem")),
        "{sent}"
    );
    assert_eq!(sent["data"]["whatsapp_message_id"], json!(provider_id), "{sent}");
    assert_eq!(sent["data"]["conversation_id"], data["conversation_id"], "one conversation has both sides");
    // Only steps forward are told: a receipt that comes before WhatsApp's answer leaves no step to "sent".
    let steps = until("the delivery to be told", PATIENCE, || {
        let statuses = told(&receiver, "/told", "message.status", 1)?;
        let steps: Vec<Value> = statuses.iter().map(|one| one.json()["data"]["new_status"].clone()).collect();
        Ok(steps.contains(&json!("delivered")).then_some(steps))
    })?;
    ensure!(steps == [json!("sent"), json!("delivered")] || steps == [json!("delivered")], "{steps:?}");

    for request in receiver.received("/told") {
        assert_eq!(request.header("x-webhook-signature"), hmac_sha256(SECRET.as_bytes(), &request.body)?);
        assert_eq!(request.header("x-instance-uuid"), pair.connector);
        assert_eq!(request.header("user-agent"), "Zapini-Webhook/1.0");
        assert_eq!(request.header("content-type"), "application/json");
    }
    Ok(())
}

#[test]
fn a_received_file_is_opened_by_its_link() -> Result<()> {
    let (stage, pair) = pair()?;
    let receiver = Receiver::start()?;
    set(stage, &pair, &receiver.url("/files"))?.expect(200)?;
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;
    let content = noise(9_000, 5);
    let what = Attachment::Document { file_name: "nota.pdf", mime: "application/pdf", caption: None };
    stage.whatsapp.wait(pair.peer.send_media(&chat, content.clone(), what))?;
    let got = told(&receiver, "/files", "message.received", 1)?.remove(0).json();
    assert_eq!(got["data"]["media_type"], "document", "{got}");
    let url = text_of(&got["data"], "media_url")?;
    let path = url.find("/v1/").map(|at| url[at..].to_owned()).context("a link into the API")?;
    let bytes = until("the file", PATIENCE, || {
        let reply = stage.server.client().get(&path)?;
        Ok((reply.status == 200).then_some(reply.body))
    })?;
    ensure!(bytes == content, "{} bytes", bytes.len());
    let message = text_of(&got["data"], "message_id")?;
    let own = pair.tenant.client.get(&format!("/v1/media/messages/{message}"))?.expect(200)?.body;
    ensure!(own == content, "with credentials: {} bytes", own.len());
    Ok(())
}

#[test]
fn a_receiver_that_is_gone_is_told_nothing_more_until_it_is_set_again() -> Result<()> {
    let (stage, pair) = pair()?;
    let receiver = Receiver::start()?;
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;
    let webhook = format!("/v1/connectors/{}/webhook", pair.connector);
    let client = &pair.tenant.client;
    let body = json!({"webhookUrl": receiver.url("/gone/x"), "events": ["message.received"]});
    let made = client.put(&webhook, &body)?.expect_json(200)?;
    ensure!(made["secret"].is_string(), "{made}");
    stage.whatsapp.wait(pair.peer.send_text(&chat, "um"))?;
    until("the webhook to be switched off", PATIENCE, || {
        let shown = client.get(&webhook)?.expect_json(200)?;
        Ok((shown["active"] == false && shown["goneAt"].is_string()).then_some(()))
    })?;
    let list = client.get(&format!("{webhook}/deliveries?status=ABANDONED"))?.expect_json(200)?;
    let delivery = text_of(&list["data"][0], "id")?;
    client.put(&webhook, &json!({"webhookUrl": receiver.url("/again")}))?.expect(200)?;
    client.post(&format!("{webhook}/deliveries/{delivery}/replay"), &json!({}))?.expect(200)?;
    let again = receiver.wait_for("/again", 1)?.remove(0).json();
    assert_eq!((&again["event"], &again["data"]["content"]), (&json!("message.received"), &json!("um")), "{again}");
    client.delete(&webhook)?.expect(204)?;
    Ok(())
}
