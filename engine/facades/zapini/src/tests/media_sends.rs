//! Messages with a file, in the three sections that send them. No scheduler runs here: each test plays the lane.

use pombo_domain::model::{FileKind, MessageState, Role, StoredMessage};
use pombo_domain::ports::FileStore;
use pombo_testkit::settle;
use tokio::join;

use super::auth::{token, user, with};
use super::automation::answering;
use super::media::{JPEG, refused, uploaded};
use super::sends::{ANA, WAIT_MS, accept, lane, messages};
use super::shape::like;
use super::*;

const PDF: &[u8] = b"%PDF-1.4\n";
const IMAGE_URL: &str = "https://example.com/image.jpg";
const REPORT_URL: &str = "https://example.com/report.pdf";
const PATHS: [&str; 3] = ["/send-media", "/messages/send-media", "/api/v1/chat/send-media"];

/// A site that can fetch a picture and a report.
async fn site() -> Site {
    let site = Site::new().await;
    serve_files(&site);
    site
}

fn serve_files(site: &Site) {
    site.world.fetcher.put(IMAGE_URL, "image.jpg", JPEG);
    site.world.fetcher.put(REPORT_URL, "report.pdf", PDF);
}

fn image() -> Value {
    json!({"recipient": ANA, "media_url": IMAGE_URL, "media_type": "image", "caption": "Confira esta imagem!"})
}

/// The body with one field set, or without it where the value is null.
fn but(mut body: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(body.as_object_mut().expect("an object").remove(name)),
        value => body[name] = value,
    }
    body
}

/// Name, type and kind of the only file of a message.
fn file_of(stored: &StoredMessage) -> (&str, &str, Option<FileKind>) {
    let content = &stored.message.content;
    let [file] = content.attachments.as_slice() else { panic!("one file") };
    (&file.file_name, &file.content_type, content.options.file_kind)
}

#[tokio::test]
async fn a_file_is_fetched_sent_and_answered_as_documented() {
    let site = site().await;
    let (answer, stored) = join!(site.post("/send-media", image()), accept(&site, "3EB0B430A8B7F23C1D13"));
    let answer = answer.expect(200);
    let example = json!({
        "success": true,
        "message": "Media sent successfully",
        "message_id": "3EB0B430A8B7F23C1D13",
        "timestamp": "2025-12-30T17:30:00.000Z"
    });
    like(&answer, &example, &["message_uuid"], &[]);
    assert_eq!((&answer["message"], &answer["message_id"]), (&example["message"], &example["message_id"]));
    assert_eq!(answer["message_uuid"], json!(stored.message.id));
    let content = &stored.message.content;
    assert_eq!((content.to.as_str(), content.text.as_str()), (ANA, "Confira esta imagem!"));
    assert!(content.force_direct);
    assert_eq!(file_of(&stored), ("image.jpg", "image/jpeg", Some(FileKind::Image)));
    let record = site.world.store.media_file(site.loja.tenant.index, content.attachments[0].id);
    assert!(record.expect("reads").is_some_and(|record| record.used), "the file is the message's");
}

#[tokio::test]
async fn fields_have_their_documented_other_names() {
    let site = site().await;
    for (recipient, url, kind) in
        [("recipient", "media_url", "media_type"), ("number", "url", "type"), ("to", "url", "type")]
    {
        for path in PATHS {
            let mut body = json!({"caption": null, "filename": ""});
            body[recipient] = json!(5_511_999_999_999_u64);
            body[url] = json!(IMAGE_URL);
            body[kind] = json!("Image");
            let (answer, stored) = join!(site.post(path, body), accept(&site, "P"));
            answer.expect(200);
            let content = &stored.message.content;
            assert_eq!((content.to.as_str(), content.text.as_str()), (ANA, ""), "{path}");
            assert_eq!(file_of(&stored).0, "image.jpg", "{path}");
        }
    }
}

#[tokio::test]
async fn a_caption_is_no_template_and_a_name_has_no_path() {
    let site = site().await;
    let body = json!({
        "instance_id": site.instance.id, "recipient": "+5511999999999", "media_url": REPORT_URL,
        "media_type": "document", "filename": "../Monthly_Report.pdf", "caption": "{Olá|Oi}"
    });
    let (answer, stored) = join!(site.post("/messages/send-media", body), accept(&site, "P"));
    answer.expect(200);
    assert_eq!(stored.message.content.text, r"\{Olá\|Oi\}");
    assert_eq!(file_of(&stored), ("Monthly_Report.pdf", "application/pdf", Some(FileKind::Document)));
}

#[tokio::test]
async fn an_uploaded_file_is_sent_by_its_id_in_the_form_of_the_section() {
    let site = site().await;
    let id = uploaded(&site, "foto.jpg", JPEG).await;
    let body = json!({"instance_id": site.instance.id, "recipient": ANA, "media_id": id, "media_type": "document"});
    let (answer, stored) = join!(site.post("/messages/send-media", body.clone()), accept(&site, "3EB0"));
    assert_eq!(
        answer.expect(200),
        json!({
            "success": true, "message": "Media sent successfully",
            "data": {
                "message_id": "3EB0", "message_uuid": stored.message.id, "media_type": "document", "status": "sent",
                "timestamp": "2025-01-15T10:30:00.000Z"
            }
        })
    );
    assert_eq!(file_of(&stored), ("foto.jpg", "image/jpeg", Some(FileKind::Document)));
    // The conversation shows it as what it was sent as.
    let shown = site.get("/conversations/1/messages").await.expect(200);
    assert_eq!(shown["data"]["messages"][0]["media_type"], "document", "{shown}");

    let slow = async {
        let stored = lane(&site, |_: &MessageState| None).await;
        settle().await;
        site.world.clock.advance(WAIT_MS).await;
        stored
    };
    let (answer, stored) = join!(site.post("/messages/send-media", body), slow);
    let data = answer.expect(202)["data"].clone();
    assert_eq!(
        (&data["status"], &data["message_id"], &data["message_uuid"]),
        (&json!("pending"), &Value::Null, &json!(stored.message.id))
    );
}

#[tokio::test]
async fn the_chat_api_answers_with_the_message_and_its_file() {
    let site = site().await;
    let body = json!({
        "instance_id": site.instance.index.0.to_string(), "recipient": "5521999999999", "media_url": IMAGE_URL,
        "media_type": "image", "caption": "Check this out!"
    });
    let (answer, stored) = join!(site.post("/chat/send-media", body), accept(&site, "3EB0"));
    let answer = answer.expect(200);
    let example = json!({
        "success": true,
        "message": "Media sent successfully",
        "data": {"message": {
            "id": 456,
            "unique_id": "660e8400-e29b-41d4-a716-446655440001",
            "whatsapp_message_id": "3EB0",
            "direction": "outgoing",
            "is_from_me": true,
            "message_body": "Check this out!",
            "formatted_body": "Check this out!",
            "mentioned_jids": [],
            "media_type": "image",
            "media_url": "https://example.com/image.jpg",
            "sender_name": "Maria",
            "status": "sent",
            "grouped_reactions": [],
            "created_at": "2025-12-16T10:00:00Z"
        }}
    });
    like(&answer, &example, &[], &[]);
    let message = &answer["data"]["message"];
    assert_eq!((&message["unique_id"], &message["media_type"]), (&json!(stored.message.id), &json!("image")));
    let id = stored.message.content.attachments[0].id;
    assert!(message["media_url"].as_str().is_some_and(|url| url.contains(&format!("/v1/media/{id}?"))), "{message}");
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_named() {
    let site = site().await;
    let id = uploaded(&site, "foto.jpg", JPEG).await;
    let kept = site.world.files();
    for (name, value, field, part) in [
        ("recipient", Value::Null, "recipient", "is required"),
        ("recipient", json!("ana"), "recipient", "digits"),
        ("media_url", Value::Null, "media_url", "is required"),
        ("media_url", json!(" "), "media_url", "is required"),
        ("media_url", json!(5), "media_url", "a text"),
        ("media_url", json!("ftp://example.com/a.jpg"), "media_url", ""),
        ("media_url", json!("http://127.0.0.1/a.jpg"), "media_url", ""),
        ("media_url", json!("https://example.com/nothing"), "media_url", "cannot be fetched"),
        ("media_url", json!(REPORT_URL), "media_type", "document"),
        ("media_id", json!(id), "media_url", "media_id"),
        ("media_id", json!([]), "media_id", "a text"),
        ("media_type", Value::Null, "media_type", "is required"),
        ("media_type", json!("sticker"), "media_type", "image, video, audio or document"),
        ("media_type", json!("video"), "media_type", "image"),
        ("caption", json!(5), "caption", "a text"),
        ("caption", json!("x".repeat(65_537)), "caption", "64 KB"),
        ("filename", json!("a\nb.jpg"), "filename", ""),
        ("filename", json!("x".repeat(181)), "filename", "180"),
    ] {
        for path in PATHS {
            refused(&site.post(path, but(image(), name, value.clone())).await, field, part);
        }
    }
    assert_eq!((messages(&site), site.world.files()), (0, kept));
}

#[tokio::test]
async fn an_unknown_file_and_another_tenants_are_not_found() {
    let site = site().await;
    let id = uploaded(&site, "foto.jpg", JPEG).await;
    let theirs = site.another(&site.other).await;
    let body = |id: &str| json!({"recipient": ANA, "media_id": id, "media_type": "image"});
    for path in PATHS {
        for unknown in ["media_abc123xyz", "media_00000000000000000000000000000063"] {
            assert_eq!(site.post(path, body(unknown)).await.error(404), "NOT_FOUND", "{path} {unknown}");
        }
        let named = but(body(&id), "instance_id", json!(theirs.id));
        assert_eq!(site.post(path, named).await.error(404), "NOT_FOUND", "the other's instance");
        let named = but(image(), "instance_id", json!(site.instance.id));
        assert_eq!(site.ask(&site.other, "POST", path, Some(named)).await.error(404), "NOT_FOUND");
    }
    site.world.connectors.set_session(theirs.index, SessionState::Connected);
    let answer = site.ask(&site.other, "POST", "/send-media", Some(body(&id))).await;
    assert_eq!(answer.error(404), "NOT_FOUND", "the file is not theirs");
    assert_eq!(messages(&site), 0);
}

#[tokio::test]
async fn nothing_is_fetched_for_a_message_that_would_be_refused() {
    let site = site().await;
    site.pace.change(|view| view.sent_today = 500);
    for path in PATHS {
        assert_eq!(site.post(path, image()).await.error(429), "DAILY_LIMIT_REACHED", "{path}");
    }
    site.pace.change(|view| view.sent_today = 0);
    site.session(SessionState::Disconnected("gone".to_owned()));
    // Also where the file would not be there.
    let missing = but(image(), "media_url", json!("https://example.com/nothing"));
    for path in PATHS {
        assert_eq!(site.post(path, missing.clone()).await.error(422), "INSTANCE_DISCONNECTED", "{path}");
    }
    site.session(SessionState::Connected);
    refused(&site.post("/send-media", but(image(), "recipient", json!("ana"))).await, "recipient", "");
    assert_eq!((messages(&site), site.world.files()), (0, 0));

    let (site, id) = answering().await;
    serve_files(&site);
    let known = site.world.commands.get_conversation(site.loja.tenant.index, id).expect("it is there");
    let body = but(image(), "recipient", json!(known.conversation.chat));
    for path in PATHS {
        assert_eq!(site.post(path, body.clone()).await.error(403), "AUTOMATION_ACTIVE", "{path}");
    }
    assert_eq!(site.world.files(), 0);
}

#[tokio::test]
async fn a_key_of_another_instance_and_a_viewer_send_nothing() {
    let site = site().await;
    let other = site.another(&site.loja).await;
    let made = site.world.commands.create_api_key(site.loja.tenant.index, "bot", Some(other.id)).await;
    let key = made.expect("a good name").key;
    user(&site, "vera", Role::Viewer).await;
    let viewer = token(&site, "vera").await;
    let named = but(image(), "instance_id", json!(site.instance.id));
    for path in PATHS {
        for token in [&key, &viewer] {
            let answer = with(&site, token, "POST", path, Some(named.clone())).await;
            assert_eq!(answer.error(403), "FORBIDDEN", "{path}");
        }
    }
    let unknown = site.call("POST", "/zapini/send-media", &[], "{}").await;
    assert_eq!(unknown.error(401), "UNAUTHENTICATED");
    assert_eq!((messages(&site), site.world.files()), (0, 0));
}
