//! Zapini's operations of files, over the simulator.

use anyhow::{Context, Result, ensure};
use pombo_tests::files::{noise, sha256};
use pombo_tests::http::Form;
use pombo_tests::tenant::text_of;
use pombo_tests::whatsapp::Events;
use pombo_whatsapp_sim::peer::Attachment;
use serde_json::{Value, json};

use crate::shared::pair;

const MB: usize = 1 << 20;

/// The first bytes of a PDF, and noise.
fn pdf(size: usize, seed: u64) -> Vec<u8> {
    let mut content = b"%PDF-1.4\n".to_vec();
    content.extend(noise(size - content.len(), seed));
    content
}

#[test]
fn a_file_is_uploaded_opened_by_its_url_and_deleted() -> Result<()> {
    let (stage, pair) = pair()?;
    let client = &stage.server.client().bearer(&pair.tenant.key);
    let upload = |name: &str, content: &[u8], kind: &str| {
        let form = Form::new().file("file", name, "application/octet-stream", content).field("type", kind);
        form.into_request(client.request("POST", "/zapini/media/upload")).send()
    };
    // More than a file that comes with its message may have.
    let content = pdf(60 * MB, 5);
    let made = upload("relatório.pdf", &content, "document")?.expect_json(201)?;
    let data = &made["data"];
    assert_eq!((&data["mime_type"], &data["size"]), (&json!("application/pdf"), &json!(60 * MB)), "{made}");
    let url = text_of(data, "url")?;
    let path = url.find("/v1/").map(|at| &url[at..]).context("a link into the API")?;
    let file = stage.server.client().get(path)?.expect(200)?;
    ensure!(sha256(&file.body) == sha256(&content), "{} bytes", file.body.len());
    assert_eq!(file.header("content-type"), Some("application/pdf"));

    let at = format!("/zapini/media/{}", text_of(data, "id")?);
    assert_eq!(client.get(&at)?.expect_json(200)?["data"]["filename"], "relatório.pdf");
    upload("a.pdf", &pdf(1_000, 6), "image")?.expect(422)?;
    upload("a.exe", b"MZ\x90\0\x03\0", "document")?.expect(422)?;
    client.delete(&at)?.expect(200)?;
    client.get(&at)?.expect(404)?;
    stage.server.client().get(path)?.expect(404)?;
    Ok(())
}

#[test]
fn a_received_file_is_downloaded_from_its_message() -> Result<()> {
    let (stage, pair) = pair()?;
    let client = &stage.server.client().bearer(&pair.tenant.key);
    let mut events = Events::from_now(&pair.tenant)?;
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;
    let content = noise(70_000, 9);
    let sent = pair.peer.send_media(&chat, content.clone(), Attachment::Image { caption: Some("olha") });
    let id = stage.whatsapp.wait(sent)?;
    if events.message(&id)?["attachment"]["state"] != "ready" {
        events.expect("the file", |e| {
            e["type"] == "message.media" && e["data"]["providerId"] == id.as_str() && e["data"]["state"] == "ready"
        })?;
    }
    let own = &pair.tenant.client;
    let conversations = own.get("/v1/conversations")?.expect_json(200)?;
    let conversation = text_of(&conversations["data"][0], "id")?;
    let messages = own.get(&format!("/v1/conversations/{conversation}/messages"))?.expect_json(200)?;
    let received = messages["data"].as_array().and_then(|all| all.iter().find(|m| m["providerId"] == id.as_str()));
    let uuid = text_of(received.unwrap_or(&Value::Null), "id")?;
    let file = client.get(&format!("/zapini/messages/{uuid}/media"))?.expect(200)?;
    assert_eq!(sha256(&file.body), sha256(&content));
    assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    Ok(())
}
