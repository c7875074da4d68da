//! `POST /sendmessage`: texts and files to contacts of an instance.

use pombo_domain::model::FileKind;
use pombo_domain::ports::FileStore;
use tokio::join;

use super::*;

const PDF: &[u8] = b"%PDF-1.4\n";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0";
const MP3: &[u8] = b"ID3\x03\0\0\0\0\0\0";
const PDF_URL: &str = "https://meusite.com/arquivo.pdf";

/// The documentation's text, for a contact.
fn text(site: &Site, contact: u64) -> Value {
    json!({"contact_id": contact, "instance_id": site.instance.index.0, "message_content": "Olá, tudo bem?"})
}

/// The documentation's file, for a contact.
fn file(site: &Site, contact: u64) -> Value {
    json!({
        "contact_id": contact, "instance_id": site.instance.index.0, "media_url": PDF_URL,
        "media_caption": "Segue o documento solicitado."
    })
}

#[tokio::test]
async fn the_documented_text_is_sent_and_answered() {
    let site = Site::new().await;
    let contact = site.contact(ANA, &[&site.instance]).await;
    let body = text(&site, contact);
    for key in [site.loja.key.clone(), site.bound_to(&site.instance).await] {
        let (answer, stored) = join!(site.post_as(&key, "/sendmessage", &body), site.accept(WAMID));
        assert_eq!(
            answer.expect(200),
            json!({
                "status": "success", "message": "Mensagem enviada com sucesso", "whatsapp_message_id": WAMID,
                "media_type": "text", "media_file_id": "", "source": "api"
            })
        );
        let content = &stored.message.content;
        assert_eq!((content.to.as_str(), content.text.as_str()), (ANA, "Olá, tudo bem?"));
        assert!(content.force_direct && says(&stored));
        assert_eq!(content.options.expires_at, Some(NOW.plus_ms(WAIT_MS + 60_000)));
    }
}

#[tokio::test]
async fn the_documented_file_is_sent_as_what_it_is() {
    let site = Site::new().await;
    let contact = site.contact(ANA, &[&site.instance]).await;
    for (bytes, kind, word) in [(PDF, FileKind::Document, "document"), (PNG, FileKind::Image, "image")] {
        // By its content: the name says nothing.
        site.world.fetcher.put(PDF_URL, "arquivo.pdf", bytes);
        let body = file(&site, contact);
        let (answer, stored) = join!(site.post("/sendmessage", &body), site.accept(WAMID));
        let answer = answer.expect(200);
        assert_eq!((&answer["media_type"], &answer["whatsapp_message_id"]), (&json!(word), &json!(WAMID)));
        let content = &stored.message.content;
        let [sent] = content.attachments.as_slice() else { panic!("one file") };
        assert_eq!(answer["media_file_id"], json!(sent.id));
        assert_eq!(content.options.file_kind, Some(kind));
        assert_eq!(content.text, "Segue o documento solicitado.");
        let record = site.world.store.media_file(site.loja.tenant.index, sent.id).expect("reads");
        assert!(record.is_some_and(|record| record.used), "the file is the message's");
    }
}

#[tokio::test]
async fn an_audio_file_goes_without_a_caption() {
    let site = Site::new().await;
    let contact = site.contact(ANA, &[&site.instance]).await;
    site.world.fetcher.put(PDF_URL, "audio.mp3", MP3);
    let refused = site.post("/sendmessage", &file(&site, contact)).await.refusal(400);
    assert!(refused["errors"]["media_caption"].is_array(), "{refused}");
    assert_eq!(site.messages(), 0);
    let body = but(file(&site, contact), "media_caption", Value::Null);
    let (answer, stored) = join!(site.post("/sendmessage", &body), site.accept(WAMID));
    assert_eq!(answer.expect(200)["media_type"], "audio");
    assert_eq!(stored.message.content.options.file_kind, Some(FileKind::Audio));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let site = Site::new().await;
    let contact = site.contact(ANA, &[&site.instance]).await;
    let (text, file) = (text(&site, contact), file(&site, contact));
    for (body, field) in [
        (but(text.clone(), "contact_id", Value::Null), "contact_id"),
        (but(text.clone(), "contact_id", json!("53")), "contact_id"),
        (but(text.clone(), "contact_id", json!(1.5)), "contact_id"),
        (but(text.clone(), "contact_id", json!(0)), "contact_id"),
        (but(text.clone(), "contact_id", json!(contact + 7)), "contact_id"),
        (but(text.clone(), "instance_id", Value::Null), "instance_id"),
        (but(text.clone(), "instance_id", json!(true)), "instance_id"),
        (but(text.clone(), "message_content", Value::Null), "message_content"),
        (but(text.clone(), "message_content", json!(" ")), "message_content"),
        (but(text.clone(), "message_content", json!(5)), "message_content"),
        (but(text.clone(), "message_content", json!("x".repeat(70_000))), "message_content"),
        (but(text.clone(), "media_url", json!(PDF_URL)), "message_content"),
        (but(text.clone(), "media_caption", json!("x")), "media_caption"),
        (but(file.clone(), "media_url", json!({})), "media_url"),
        (but(file.clone(), "media_url", Value::Null), "media_url"),
        (but(file.clone(), "media_url", json!("https://meusite.com/nada")), "media_url"),
    ] {
        let refused = site.post("/sendmessage", &body).await.refusal(400);
        assert!(refused["errors"][field][0].is_string(), "{body}: {refused}");
    }
    assert_eq!(site.messages(), 0);
}

#[tokio::test]
async fn a_contact_must_belong_to_the_instance_and_the_instance_to_the_key() {
    let site = Site::new().await;
    let second = site.another("connector-chat").await;
    let mail = site.another("connector-email").await;
    let contact = site.contact(ANA, &[&site.instance]).await;
    let elsewhere = site.contact("5511978049826", &[&second]).await;
    let refused = site.post("/sendmessage", &text(&site, elsewhere)).await.refusal(400);
    assert!(refused["errors"]["contact_id"].is_array(), "{refused}");

    let on = |instance: u32| but(text(&site, contact), "instance_id", json!(instance));
    let bound = site.bound_to(&second).await;
    for (key, instance) in [
        (&bound, site.instance.index.0),
        (&bound, 999),
        (&site.loja.key, 999),
        (&site.loja.key, mail.index.0),
        (&site.other.key, site.instance.index.0),
    ] {
        let refused = site.post_as(key, "/sendmessage", &on(instance)).await.refusal(401);
        assert!(refused["errors"]["instance_id"].is_array(), "{refused}");
    }
    assert_eq!(site.messages(), 0);
}
