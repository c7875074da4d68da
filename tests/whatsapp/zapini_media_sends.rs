//! Zapini's sends of files, over the simulator: what is answered, and what arrives.

use anyhow::{Result, ensure};
use pombo_tests::files::{noise, sha256};
use pombo_tests::http::{Client, Form};
use pombo_tests::tenant::text_of;
use pombo_tests::webhook::{Receiver, jpeg, pdf};
use pombo_whatsapp_sim::peer::{Kind, Media, Received};
use serde_json::{Value, json};

use crate::shared::{Pair, Stage, pair};

/// What the person got under this id, with its file.
fn arrived(stage: &Stage, pair: &Pair, id: &str) -> Result<Received> {
    let file =
        pair.peer.wait_for("the file", |seen| seen.received.iter().find(|m| m.id == id && m.media.is_some()).cloned());
    Ok(stage.whatsapp.wait(file)?)
}

fn bytes(content: &[u8]) -> Option<Media> {
    Some(Media::Bytes { sha256: sha256(content), size: content.len() })
}

fn send(client: &Client, path: &str, body: &Value) -> Result<Value> {
    let sent = client.post(&format!("/zapini{path}"), body)?.expect_json(200)?;
    assert_eq!(sent["message"], "Media sent successfully", "{sent}");
    Ok(sent)
}

/// Uploads a file; its id.
fn upload(client: &Client, name: &str, content: &[u8]) -> Result<String> {
    let form = Form::new().file("file", name, "application/octet-stream", content);
    let made = form.into_request(client.request("POST", "/zapini/media/upload")).send()?.expect_json(201)?;
    text_of(&made["data"], "id")
}

#[test]
fn an_image_by_url_arrives_as_a_picture_without_typing() -> Result<()> {
    let (stage, pair) = pair()?;
    let client = stage.server.client().bearer(&pair.tenant.key);
    stage.whatsapp.wait(pair.peer.available())?;
    // Had it to be typed first, the answer would come too late.
    let typing = json!({"typing": {"enabled": true, "millisPerCharacter": 1_000, "maxMillis": 60_000}});
    let config = json!({"config": stage.whatsapp.config(&typing)});
    pair.tenant.client.patch(&format!("/v1/connectors/{}", pair.connector), &config)?.expect(200)?;
    pombo_tests::whatsapp::connected(&pair.tenant, &pair.connector)?;
    let files = Receiver::start()?;
    let caption = "Confira esta imagem! Ela mostra {tudo|nada}.";
    let body = json!({
        "recipient": pair.theirs, "media_url": files.url("/image/9000/foto.jpg"), "media_type": "image",
        "caption": caption
    });
    let sent = send(&client, "/send-media", &body)?;
    let got = arrived(stage, &pair, &text_of(&sent, "message_id")?)?;
    assert_eq!((got.kind, got.text.as_deref()), (Kind::Image, Some(caption)));
    assert_eq!((got.mime.as_deref(), got.media), (Some("image/jpeg"), bytes(&jpeg(9_000))));
    assert_eq!(pair.peer.seen(|seen| seen.typing.len()), 0);

    let missing = json!({"recipient": pair.theirs, "media_url": files.url("/gone/x.jpg"), "media_type": "image"});
    let refused = client.post("/zapini/send-media", &missing)?.expect_json(422)?;
    ensure!(refused["error"]["details"]["media_url"].is_array(), "{refused}");
    Ok(())
}

#[test]
fn a_pdf_by_its_id_arrives_as_a_document_with_name_and_caption() -> Result<()> {
    let (stage, pair) = pair()?;
    let client = stage.server.client().bearer(&pair.tenant.key);
    let content = pdf(70_000);
    let id = upload(&client, "report.pdf", &content)?;
    let body = json!({
        "instance_id": pair.connector, "recipient": format!("+{}", pair.theirs), "media_id": id,
        "media_type": "document", "filename": "Monthly_Report.pdf", "caption": "Here is the monthly report"
    });
    let sent = send(&client, "/messages/send-media", &body)?;
    let got = arrived(stage, &pair, &text_of(&sent["data"], "message_id")?)?;
    assert_eq!((got.kind, got.file_name.as_deref()), (Kind::Document, Some("Monthly_Report.pdf")));
    assert_eq!((got.text.as_deref(), got.media), (Some("Here is the monthly report"), bytes(&content)));
    Ok(())
}

#[test]
fn a_picture_is_sent_as_a_document_where_that_is_asked_for() -> Result<()> {
    let (stage, pair) = pair()?;
    let client = stage.server.client().bearer(&pair.tenant.key);
    let content = jpeg(5_000);
    let body = json!({
        "instance_id": pair.connector, "recipient": pair.theirs, "media_id": upload(&client, "planta.jpg", &content)?,
        "media_type": "document", "caption": "em tamanho original"
    });
    let sent = send(&client, "/api/v1/chat/send-media", &body)?;
    let message = &sent["data"]["message"];
    assert_eq!((&message["media_type"], &message["status"]), (&json!("document"), &json!("sent")), "{sent}");
    let got = arrived(stage, &pair, &text_of(message, "whatsapp_message_id")?)?;
    assert_eq!((got.kind, got.file_name.as_deref()), (Kind::Document, Some("planta.jpg")));
    assert_eq!((got.mime.as_deref(), got.media), (Some("image/jpeg"), bytes(&content)));
    Ok(())
}

#[test]
fn a_document_of_sixty_megabytes_arrives_whole() -> Result<()> {
    let (stage, pair) = pair()?;
    let client = stage.server.client().bearer(&pair.tenant.key);
    let content = pdf(60 << 20);
    let id = upload(&client, "grande.pdf", &content)?;
    let body = json!({"recipient": pair.theirs, "media_id": id, "media_type": "document", "caption": "tudo"});
    let reply = client.post("/zapini/send-media", &body)?;
    // Encrypting and uploading it may take longer than a request waits: then the outcome is still to come.
    ensure!(matches!(reply.status, 200 | 202), "{reply:?}");
    let uuid = text_of(&reply.json()?, "message_uuid")?;
    let sent = pair.tenant.wait_status(&uuid, &["SENT", "FAILED", "UNKNOWN"])?;
    assert_eq!(sent["status"], "SENT", "{sent}");
    let got = arrived(stage, &pair, &text_of(&sent, "providerId")?)?;
    assert_eq!((got.kind, got.file_name.as_deref()), (Kind::Document, Some("grande.pdf")));
    assert_eq!((got.text.as_deref(), got.media), (Some("tudo"), bytes(&content)));
    Ok(())
}

#[test]
fn what_whatsapp_does_not_show_arrives_as_a_file_to_be_saved() -> Result<()> {
    let (stage, pair) = pair()?;
    let client = stage.server.client().bearer(&pair.tenant.key);
    let cases: [(&str, &str, &str, &[u8]); 4] = [
        ("animado.gif", "image", "image/gif", b"GIF89a\x01\0\x01\0"),
        ("voz.wav", "audio", "audio/wav", b"RIFF\x24\0\0\0WAVEfmt "),
        ("filme.avi", "video", "video/x-msvideo", b"RIFF\x24\0\0\0AVI LIST"),
        ("filme.mkv", "video", "video/x-matroska", b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x23\x42\x82\x88matroska"),
    ];
    for (seed, (name, kind, content_type, head)) in cases.into_iter().enumerate() {
        let content = [head, &noise(7_000, seed as u64 + 90)].concat();
        let id = upload(&client, name, &content)?;
        let shown = client.get(&format!("/zapini/media/{id}"))?.expect_json(200)?;
        assert_eq!((&shown["data"]["type"], &shown["data"]["mime_type"]), (&json!(kind), &json!(content_type)));
        let body = json!({"recipient": pair.theirs, "media_id": id, "media_type": kind});
        let sent = send(&client, "/send-media", &body)?;
        let got = arrived(stage, &pair, &text_of(&sent, "message_id")?)?;
        assert_eq!((got.kind, got.file_name.as_deref()), (Kind::Document, Some(name)));
        assert_eq!((got.mime.as_deref(), got.media), (Some(content_type), bytes(&content)), "{name}");
    }
    Ok(())
}
