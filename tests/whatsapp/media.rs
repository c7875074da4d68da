//! Files both ways, byte for byte.

use anyhow::{Context, Result, ensure};
use pombo_tests::files::{noise, sha256};
use pombo_tests::http::Form;
use pombo_tests::server::Server;
use pombo_tests::tenant::text_of;
use pombo_tests::whatsapp::{Events, WhatsApp, options};
use pombo_whatsapp_sim::peer::{Attachment, Kind, Media};
use serde_json::json;

use crate::shared::{Pair, pair, pair_on};

/// Uploads a file; its id.
fn upload(pair: &Pair, name: &str, content_type: &str, content: &[u8]) -> Result<String> {
    let request = pair.tenant.client.request("POST", "/v1/media");
    let made = Form::new().file("file", name, content_type, content).into_request(request).send()?.expect_json(201)?;
    text_of(&made, "id")
}

#[test]
fn every_sort_goes_out_as_what_it_is() -> Result<()> {
    let (stage, pair) = pair()?;
    let cases = [
        ("foto.jpg", "image/jpeg", Kind::Image, false),
        ("filme.mp4", "video/mp4", Kind::Video, false),
        ("som.mp3", "audio/mpeg", Kind::Audio, false),
        ("voz.ogg", "audio/ogg", Kind::VoiceNote, true),
        ("planilha.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Kind::Document, false),
    ];
    for (seed, (name, content_type, kind, voice_note)) in cases.into_iter().enumerate() {
        let content = noise(3_000 + seed, seed as u64 + 1);
        let id = upload(&pair, name, content_type, &content)?;
        let mut body = json!({"to": pair.theirs, "attachments": [{"id": id, "fileName": name, "contentType": content_type}],
            "voiceNote": voice_note});
        if kind != Kind::VoiceNote && kind != Kind::Audio {
            body["text"] = json!(format!("legenda de {name}"));
        }
        pair.send(&body)?;
        let got =
            stage
                .whatsapp
                .wait(pair.peer.wait_for(name, |seen| {
                    seen.received.iter().find(|m| m.kind == kind && m.media.is_some()).cloned()
                }))?;
        assert_eq!(got.media, Some(Media::Bytes { sha256: sha256(&content), size: content.len() }), "{name}");
        if body["text"].is_string() {
            assert_eq!(got.text.as_deref(), body["text"].as_str(), "{name}");
        }
    }
    Ok(())
}

#[test]
fn sizes_from_a_kilobyte_to_fifty_megabytes_go_both_ways_and_more_comes_in() -> Result<()> {
    let (stage, pair) = pair()?;
    let whatsapp = &stage.whatsapp;
    let mut events = Events::from_now(&pair.tenant)?;
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;
    for (seed, size) in [1_024, 65_537, 5 << 20, 50 << 20].into_iter().enumerate() {
        let content = noise(size, seed as u64 + 40);
        let digest = sha256(&content);
        let name = format!("arquivo-{size}.bin");
        let id = upload(&pair, &name, "application/octet-stream", &content)?;
        let (_, provider_id) = pair.send(&json!({"to": pair.theirs, "attachments": [{"id": id, "fileName": name}]}))?;
        let got = whatsapp.wait(pair.peer.wait_for(&name, |seen| {
            seen.received.iter().find(|m| m.id == provider_id && m.media.is_some()).cloned()
        }))?;
        assert_eq!(got.media, Some(Media::Bytes { sha256: digest.clone(), size }), "{name} out");

        let what = Attachment::Document { file_name: &name, mime: "application/octet-stream", caption: None };
        let id = whatsapp.wait(pair.peer.send_media(&chat, content, what))?;
        let got = events.message(&id)?;
        assert_eq!(got["attachment"]["fileName"], name.as_str(), "{got}");
        let file = match got["attachment"]["state"].as_str() {
            Some("ready") => got["attachment"]["file"].clone(),
            _ => events.expect("the file", |e| {
                e["type"] == "message.media" && e["data"]["providerId"] == id.as_str() && e["data"]["state"] == "ready"
            })?["data"]["file"]
                .clone(),
        };
        let url = text_of(&file, "url")?;
        let path = url.find("/v1/").map(|at| &url[at..]).context("a link into the API")?;
        let bytes = stage.server.client().get(path)?.expect(200)?.body;
        ensure!(bytes.len() == size && sha256(&bytes) == digest, "{name} in: {} bytes", bytes.len());
    }
    // More than a file that comes with its message may have: WhatsApp's documents may be larger.
    let content = noise(60 << 20, 44);
    let digest = sha256(&content);
    let what = Attachment::Document { file_name: "grande.bin", mime: "application/octet-stream", caption: None };
    let id = whatsapp.wait(pair.peer.send_media(&chat, content, what))?;
    let got = events.message(&id)?;
    let file = match got["attachment"]["state"].as_str() {
        Some("ready") => got["attachment"]["file"].clone(),
        _ => {
            let told = events.expect("the large file", |e| {
                e["type"] == "message.media"
                    && e["data"]["providerId"] == id.as_str()
                    && e["data"]["state"] != "pending"
            })?;
            ensure!(told["data"]["state"] == "ready", "{told}");
            told["data"]["file"].clone()
        }
    };
    let url = text_of(&file, "url")?;
    let path = url.find("/v1/").map(|at| &url[at..]).context("a link into the API")?;
    let bytes = stage.server.client().get(path)?.expect(200)?.body;
    ensure!(bytes.len() == 60 << 20 && sha256(&bytes) == digest, "{} bytes", bytes.len());
    Ok(())
}

#[test]
fn an_expired_file_is_asked_for_again() -> Result<()> {
    // On a stage of its own: the fault strikes any download.
    let whatsapp = &WhatsApp::start(&[])?;
    let server = Server::start(options())?;
    let pair = pair_on(&server, whatsapp)?;
    let mut events = Events::from_now(&pair.tenant)?;
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;
    whatsapp.admin("/faults", &json!({"kind": "failMedia", "downloads": 1, "status": 410}))?;
    let content = noise(9_000, 77);
    let id =
        whatsapp.wait(pair.peer.send_media(&chat, content.clone(), Attachment::Image { caption: Some("olha") }))?;
    assert_eq!(events.message(&id)?["attachment"]["caption"], "olha");
    let ready = events.expect("the file", |e| {
        e["type"] == "message.media" && e["data"]["providerId"] == id.as_str() && e["data"]["state"] == "ready"
    })?;
    assert_eq!(ready["data"]["file"]["size"], content.len());
    Ok(())
}
