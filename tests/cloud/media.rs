//! Files, both ways: uploaded and sent by id, looked up and then fetched with the token. Rows 9 and 10 of what peers got wrong.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pombo_tests::files::sha256;
use pombo_tests::http::Form;
use pombo_tests::tenant::text_of;
use pombo_tests::webhook::{Receiver, jpeg, pdf};
use pombo_tests::whatsapp::Events;
use serde_json::{Value, json};

use crate::shared::{Bench, person};

impl Bench {
    /// Uploads a file to the engine; what a message names it by.
    pub(crate) fn upload(&self, name: &str, kind: &str, content: &[u8]) -> Result<Value> {
        let form = Form::new().file("file", name, kind, content);
        let made = form.into_request(self.tenant.client.request("POST", "/v1/media")).send()?.expect_json(201)?;
        Ok(json!({"id": made["id"], "fileName": name, "contentType": kind}))
    }

    /// Waits until the file of this received message is there, and fetches it.
    fn fetched(&self, events: &mut Events<'_>, id: &str) -> Result<Vec<u8>> {
        let event = events.expect(&format!("the file of {id}"), |event| {
            let (kind, data) = (event["type"].as_str().unwrap_or_default(), &event["data"]);
            data["providerId"] == id
                && ((kind == "message.media" && data["state"] != "pending")
                    || (kind == "message.received" && data["attachment"]["state"] == "ready"))
        })?;
        let file = if event["type"] == "message.media" {
            &event["data"]["file"]
        } else {
            &event["data"]["attachment"]["file"]
        };
        let url = text_of(file, "url").with_context(|| event.to_string())?;
        let path = url.find("/v1/").map(|at| url[at..].to_owned()).context("a URL of /v1")?;
        Ok(self.tenant.client.get(&path)?.expect(200)?.body)
    }
}

/// A message with a file, as the simulator is told.
fn said_file(kind: &str, mime: &str, content: &[u8]) -> Value {
    json!({"type": kind, kind: {"mime_type": mime, "data": STANDARD.encode(content)}})
}

#[test]
fn a_file_is_uploaded_once_and_sent_by_its_id() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    bench.opened(&who)?;
    let content = jpeg(60_000);
    let file = bench.upload("pão.jpg", "image/jpeg", &content)?;
    for text in ["o primeiro", "o segundo"] {
        bench.send(&json!({"to": who, "text": text, "attachments": [file]}))?;
    }
    let sent = bench.accepted(&who)?;
    assert_eq!(sent.len(), 2, "{sent:?}");
    for (body, caption) in sent.iter().zip(["o primeiro", "o segundo"]) {
        assert_eq!((&body["type"], &body["image"]["caption"]), (&json!("image"), &json!(caption)), "{body}");
        ensure!(body["image"]["id"].is_string() && body["image"]["link"].is_null(), "{body}");
    }
    assert_eq!(sent[0]["image"]["id"], sent[1]["image"]["id"], "uploaded again");
    Ok(())
}

/// Meta takes documents of 100 MB, which is more than a file may have that comes along with its message.
#[test]
fn a_document_of_more_than_50_mb_is_uploaded_ahead_and_sent() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    bench.opened(&who)?;
    let file = bench.upload("catalogo.pdf", "application/pdf", &pdf((50 << 20) + 1))?;
    bench.send(&json!({"to": who, "text": "segue o catálogo", "attachments": [file]}))?;
    let sent = bench.accepted(&who)?;
    assert_eq!(sent[0]["document"]["filename"], "catalogo.pdf", "{sent:?}");
    ensure!(sent[0]["document"]["id"].is_string(), "{sent:?}");
    bench.nothing_violated()
}

#[test]
fn a_document_has_its_name_and_a_voice_note_is_one() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    bench.opened(&who)?;
    let files = Receiver::start()?;
    bench.send(&json!({"to": who, "text": "segue o boleto", "attachmentUrl": files.url("/file/70000/boleto.pdf")}))?;
    let sent = bench.accepted(&who)?;
    let document = &sent.last().context("nothing was sent")?["document"];
    ensure!(document["filename"].as_str().is_some_and(|name| name.ends_with(".pdf")), "{document}");
    assert_eq!(document["caption"], "segue o boleto");
    assert_eq!(pdf(70_000).len(), 70_000);

    // The shortest OGG page with an Opus header: what the content is decides.
    let mut ogg =
        b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0".to_vec();
    ogg.resize(4_000, 0);
    let file = bench.upload("recado.ogg", "audio/ogg", &ogg)?;
    bench.send(&json!({"to": who, "attachments": [file], "voiceNote": true}))?;
    let sent = bench.accepted(&who)?;
    let audio = sent.last().context("nothing was sent")?;
    assert_eq!((&audio["type"], &audio["audio"]["voice"]), (&json!("audio"), &json!(true)), "{audio}");
    ensure!(audio["audio"]["caption"].is_null(), "{audio}");
    Ok(())
}

/// Row 9: the answer of the look-up was stored as if it were the file.
#[test]
fn a_received_file_is_looked_up_and_then_fetched() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    let mut events = Events::from_now(&bench.tenant)?;
    for (kind, mime, content) in [
        ("image", "image/jpeg", jpeg(150_000)),
        ("document", "application/pdf", pdf(2_500_000)),
        ("image", "image/jpeg", jpeg(1)),
    ] {
        let id = bench.graph.says(&who, &said_file(kind, mime, &content))?;
        let got = bench.fetched(&mut events, &id)?;
        assert_eq!((got.len(), sha256(&got)), (content.len(), sha256(&content)), "{kind}");
    }
    bench.nothing_violated()
}

#[test]
fn a_link_that_ended_is_looked_up_again() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    let mut events = Events::from_now(&bench.tenant)?;
    let content = jpeg(20_000);
    // The link of the first look-up is gone when it is used.
    bench.graph.fault(&json!({"match": {"path": "/lookaside/"}, "http": 404, "code": 100}))?;
    let id = bench.graph.says(&who, &said_file("image", "image/jpeg", &content))?;
    let got = bench.fetched(&mut events, &id)?;
    assert_eq!(sha256(&got), sha256(&content));
    Ok(())
}

#[test]
fn a_file_that_meta_does_not_have_is_said_and_the_message_stays() -> Result<()> {
    let bench = Bench::silent()?;
    let (line, who, id) = (bench.graph.line(), person(), pombo_tests::meta::wamid());
    let message = json!({"from": who, "id": id, "timestamp": pombo_tests::meta::now().to_string(), "type": "image",
        "image": {"id": "4711", "mime_type": "image/jpeg", "sha256": "x", "caption": "sem arquivo"}});
    bench.hook.post(&line.body(&[line.messages(&[pombo_tests::meta::contact(&who, "Ana")], &[message])]))?;
    let mut events = Events::all(&bench.tenant);
    let message = events.message(&id)?;
    assert_eq!(message["kind"], "attachment", "{message}");
    let failed = events.expect("the failure", |event| {
        event["type"] == "message.media"
            && event["data"]["providerId"] == id.as_str()
            && event["data"]["state"] == "failed"
    })?;
    ensure!(failed["data"]["reason"].is_string(), "{failed}");
    Ok(())
}

/// Row 10: the sample of a template's header was sent as its picture, and failed later with 131053.
#[test]
fn a_template_with_a_picture_and_none_given_is_refused_before_it_is_sent() -> Result<()> {
    let bench = Bench::new()?;
    let template = json!({"name": "com_foto", "language": "pt_BR", "category": "UTILITY", "components": [
        {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::aW"]}},
        {"type": "BODY", "text": "Seu pedido saiu."}]});
    let number = bench.template(&template)?;
    let who = person();
    let body = json!({"number": who, "template_id": number, "queue_id": 1, "status_id": 1, "variables": {}});
    bench.queue_and_status()?;
    let refused = bench.aidesk().post("/aidesk/send-message", &body)?;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(bench.graph.messages_to(&who)?, 0);

    // With one, it goes.
    let value = json!({"name": "com_foto", "language": "pt_BR", "format": "positional", "category": "utility",
        "header": {"format": "image", "media": {"link": "https://example.com/foto.jpg"}}, "body": []});
    let id = bench.queue_template(&who, &value)?;
    bench.tenant.wait_status(&id, &["SENT"])?;
    let sent: Vec<Value> = bench.accepted(&who)?;
    assert_eq!(sent[0]["template"]["components"][0]["parameters"][0]["image"]["link"], "https://example.com/foto.jpg");
    Ok(())
}
