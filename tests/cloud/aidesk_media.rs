//! Files of the AI DESK API as Graph gets them: of every kind, by what they are and not by what they are called, with their captions and
//! names, and with the very bytes that were at the URL.

use anyhow::{Context, Result, ensure};
use pombo_tests::files::sha256;
use pombo_tests::tenant::text_of;
use pombo_tests::webhook::{Receiver, jpeg, mp4, opus, pdf, webp};
use serde_json::{Value, json};

use crate::aidesk::{DIRECT, Desk};
use crate::shared::person;

const SIZE: usize = 30_000;

/// Sends the file at this path to the contact; the answer.
fn sent(desk: &Desk, files: &Receiver, contact: u64, path: &str, caption: Option<&str>) -> Result<Value> {
    let mut body = json!({"contact_id": contact, "instance_id": desk.instance, "media_url": files.url(path)});
    if let Some(caption) = caption {
        body["media_caption"] = json!(caption);
    }
    let answer = desk.client.post(DIRECT, &body)?.expect_json(200)?;
    ensure!(text_of(&answer, "whatsapp_message_id")?.starts_with("wamid."), "{answer}");
    ensure!(!text_of(&answer, "media_file_id")?.is_empty(), "{answer}");
    Ok(answer)
}

#[test]
fn each_kind_of_file_reaches_meta_as_what_it_is() -> Result<()> {
    let desk = Desk::new()?;
    let who = person();
    desk.bench.opened(&who)?;
    let (contact, files) = (desk.contact(&who)?, Receiver::start()?);
    // Path, what is answered, what Graph gets, and the file itself.
    let kinds: [(&str, &str, &str, &str, Vec<u8>); 5] = [
        ("/image/30000/foto.jpg", "image", "image", "image/jpeg", jpeg(SIZE)),
        ("/video/30000/filme.mp4", "video", "video", "video/mp4", mp4(SIZE)),
        ("/audio/30000/recado.ogg", "audio", "audio", "audio/ogg", opus(SIZE)),
        ("/file/30000/boleto.pdf", "document", "document", "application/pdf", pdf(SIZE)),
        // WhatsApp's pictures of this format are stickers.
        ("/sticker/30000/figurinha.webp", "image", "sticker", "image/webp", webp(SIZE)),
    ];
    for (place, (path, said, kind, mime, content)) in kinds.iter().enumerate() {
        let answer = sent(&desk, &files, contact, path, None)?;
        assert_eq!(answer["media_type"], *said, "{answer}");
        let got = desk.bench.accepted(&who)?;
        assert_eq!(got.len(), place + 1, "{got:?}");
        let body = &got[place];
        assert_eq!(body["type"], *kind, "{body}");
        let file = &body[*kind];
        ensure!(file["link"].is_null() && file["caption"].is_null() && file["voice"].is_null(), "{body}");
        let stored = desk.bench.graph.uploaded(&text_of(file, "id")?)?;
        assert_eq!(
            (&stored["mime_type"], &stored["file_size"], &stored["sha256"]),
            (&json!(mime), &json!(content.len()), &json!(sha256(content))),
            "{path}"
        );
    }
    desk.bench.nothing_violated()
}

/// Only a document has a name at Meta: that of the URL.
#[test]
fn a_document_has_its_name_and_the_others_have_none() -> Result<()> {
    let desk = Desk::new()?;
    let who = person();
    desk.bench.opened(&who)?;
    let (contact, files) = (desk.contact(&who)?, Receiver::start()?);
    sent(&desk, &files, contact, "/file/30000/segunda%20via%20do%20boleto.pdf", Some("Segue o boleto."))?;
    sent(&desk, &files, contact, "/video/30000/filme.mp4", None)?;
    let got = desk.bench.accepted(&who)?;
    assert_eq!(got[0]["document"]["filename"], "segunda via do boleto.pdf", "{got:?}");
    assert_eq!(got[0]["document"]["caption"], "Segue o boleto.");
    ensure!(got[1]["video"]["filename"].is_null(), "{got:?}");
    desk.bench.nothing_violated()
}

#[test]
fn captions_are_with_pictures_videos_and_documents_and_before_stickers() -> Result<()> {
    let desk = Desk::new()?;
    let who = person();
    desk.bench.opened(&who)?;
    let (contact, files) = (desk.contact(&who)?, Receiver::start()?);
    for (path, kind) in
        [("/image/30000/a.jpg", "image"), ("/video/30000/a.mp4", "video"), ("/file/30000/a.pdf", "document")]
    {
        sent(&desk, &files, contact, path, Some("veja isto"))?;
        let last = desk.bench.accepted(&who)?.pop().context("nothing was sent")?;
        assert_eq!(last[kind]["caption"], "veja isto", "{last}");
    }
    // A sticker has no caption at Meta: the text goes before, and the answer names the first of the two.
    let answer = sent(&desk, &files, contact, "/sticker/30000/a.webp", Some("e uma figurinha"))?;
    let got = desk.bench.accepted(&who)?;
    assert_eq!(got.len(), 5, "{got:?}");
    assert_eq!((&got[3]["text"]["body"], &got[4]["type"]), (&json!("e uma figurinha"), &json!("sticker")));
    ensure!(got[4]["sticker"]["caption"].is_null(), "{got:?}");
    let ids: Vec<Value> = desk
        .bench
        .graph
        .requests("/messages")?
        .iter()
        .filter(|entry| entry["body"]["text"]["body"] == "e uma figurinha")
        .map(|entry| entry["answer"]["messages"][0]["id"].clone())
        .collect();
    assert_eq!(ids, [answer["whatsapp_message_id"].clone()]);
    Ok(())
}

/// It is refused before anything is sent, and the same file without it goes.
#[test]
fn an_audio_file_with_a_caption_is_400_and_names_the_caption() -> Result<()> {
    let desk = Desk::new()?;
    let who = person();
    desk.bench.opened(&who)?;
    let (contact, files) = (desk.contact(&who)?, Receiver::start()?);
    let url = files.url("/audio/30000/recado.ogg");
    let body = json!({"contact_id": contact, "instance_id": desk.instance, "media_url": url, "media_caption": "ouça"});
    desk.refused(DIRECT, &body, 400, "media_caption")?;
    assert_eq!(desk.bench.graph.messages_to(&who)?, 0);
    let uploads = desk.bench.graph.requests("/media")?;
    ensure!(uploads.is_empty(), "it was uploaded: {uploads:?}");
    sent(&desk, &files, contact, "/audio/30000/recado.ogg", None)?;
    // What is at a URL decides, and not what the URL says.
    let answer = sent(&desk, &files, contact, "/audio/30000/foto.jpg", None)?;
    assert_eq!(answer["media_type"], "audio", "{answer}");
    assert_eq!(desk.bench.accepted(&who)?.len(), 2);
    Ok(())
}
