//! SendSync's WhatsApp operations and its queue, as its documentation has them.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use pombo_tests::files::{noise, sha256};
use pombo_tests::http::Form;
use pombo_tests::tenant::{SENDSYNC, Tenant, text_of};
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::webhook::{Receiver, pdf};
use pombo_whatsapp_sim::peer::{Kind, Media};
use serde_json::json;

use crate::shared::{number, pair, stage};

#[test]
fn connect_gives_a_code_that_a_reader_reads_and_a_phone_scans() -> Result<()> {
    let stage = stage()?;
    let phone = number();
    stage.whatsapp.register(&phone)?;
    let tenant = Tenant::create(&stage.server)?;
    let connector = stage.whatsapp.unpaired(&tenant)?;
    let status = format!("{SENDSYNC}/whatsapp/status/{connector}");
    assert_eq!(tenant.client.get(&status)?.expect_json(200)?["status"], "DISCONNECTED");
    let reply = tenant.client.post(&format!("{SENDSYNC}/whatsapp/connect/{connector}"), &json!({}))?;
    ensure!(reply.status == 200 || reply.status == 201, "{reply:?}");
    let answer = reply.json()?;
    assert_eq!(answer["status"], "QR_CODE", "{answer}");
    let url = text_of(&answer, "qrCode")?;
    let png = url.strip_prefix("data:image/png;base64,").context("a PNG data URL")?;
    let text = read_qr(&base64::engine::general_purpose::STANDARD.decode(png)?)?;
    stage.whatsapp.admin(&format!("/phones/{phone}/scan"), &json!({"qr": text}))?;
    until("the status to be CONNECTED", PATIENCE, || {
        Ok((tenant.client.get(&status)?.expect_json(200)?["status"] == "CONNECTED").then_some(()))
    })?;
    let listed = tenant.client.get(&format!("{SENDSYNC}/connectors"))?.expect_json(200)?;
    assert_eq!((&listed[0]["type"], &listed[0]["status"]), (&json!("WHATSAPP"), &json!("ACTIVE")), "{listed}");

    let reply = tenant.client.post(&format!("{SENDSYNC}/whatsapp/disconnect/{connector}"), &json!({}))?;
    ensure!(reply.status == 200 || reply.status == 201, "{reply:?}");
    assert_eq!(tenant.client.get(&status)?.expect_json(200)?["status"], "DISCONNECTED");
    Ok(())
}

/// What a reader of another maker sees in the picture.
fn read_qr(png: &[u8]) -> Result<String> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().context("a size")?];
    let frame = reader.next_frame(&mut pixels)?;
    ensure!(frame.color_type == png::ColorType::Grayscale && frame.bit_depth == png::BitDepth::Eight, "{frame:?}");
    let width = frame.width as usize;
    let mut picture =
        rqrr::PreparedImage::prepare_from_greyscale(width, frame.height as usize, |x, y| pixels[y * width + x]);
    let grids = picture.detect_grids();
    Ok(grids.first().context("no code in the picture")?.decode()?.1)
}

#[test]
fn the_queue_sends_files_by_whatsapp() -> Result<()> {
    let (stage, pair) = pair()?;
    let content = noise(20_000, 7);
    let form = Form::new()
        .field("connectorId", &pair.connector)
        .field("to", &pair.theirs)
        .field("message", "segue o contrato")
        .file("attachments", "contrato.pdf", "application/pdf", &content);
    let request = pair.tenant.client.request("POST", &format!("{SENDSYNC}/queue/send"));
    let made = form.into_request(request).send()?.expect_json(201)?;
    let id = text_of(&made, "id")?;
    pair.tenant.wait_status(&id, &["SENT"])?;
    let got = stage.whatsapp.wait(pair.peer.wait_for("the file", |seen| {
        seen.received.iter().find(|m| m.kind == Kind::Document && m.media.is_some()).cloned()
    }))?;
    assert_eq!(got.file_name.as_deref(), Some("contrato.pdf"));
    assert_eq!(got.media, Some(Media::Bytes { sha256: sha256(&content), size: content.len() }));
    assert_eq!(got.text.as_deref(), Some("segue o contrato"));
    Ok(())
}

#[test]
fn a_file_by_url_arrives() -> Result<()> {
    let (stage, pair) = pair()?;
    let files = Receiver::start()?;
    let body = json!({"connectorId": pair.connector, "to": pair.theirs, "message": "o boleto",
        "attachmentUrl": files.url("/file/70000/boleto.pdf")});
    let id = text_of(&pair.tenant.send(&body)?, "id")?;
    pair.tenant.wait_status(&id, &["SENT"])?;
    let got = stage.whatsapp.wait(pair.peer.wait_for("the file", |seen| {
        seen.received.iter().find(|m| m.kind == Kind::Document && m.media.is_some()).cloned()
    }))?;
    assert_eq!(got.media, Some(Media::Bytes { sha256: sha256(&pdf(70_000)), size: 70_000 }));
    Ok(())
}

#[test]
fn a_number_without_whatsapp_fails_and_says_so() -> Result<()> {
    let (_, pair) = pair()?;
    let id = pair.tenant.send_text(&pair.connector, &number(), "alguém aí?")?;
    let message = pair.tenant.wait_status(&id, &["FAILED"])?;
    ensure!(message.to_string().to_lowercase().contains("whatsapp"), "{message}");
    let reply =
        pair.tenant.try_send(&json!({"connectorId": pair.connector, "to": "ana@example.com", "message": "x"}))?;
    assert_eq!(reply.status, 400);
    Ok(())
}
