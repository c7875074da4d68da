//! Section "Mídia": uploads, what they may be, how long they last; and the files that messages are sent with.

use pombo_api::media_links::MediaLinks;
use pombo_domain::commands::media_files::{FileRequest, FileSource};
use pombo_domain::model::{Attachment, FileKind, FileUse, NewMessage, Role};
use pombo_domain::ports::{FileStore, Store};
use pombo_domain::{Error, ErrorCode, Field};
use pombo_testkit::{samples, store};
use uuid::Uuid;

use super::auth::{token, user, with};
use super::shape::like;
use super::*;

pub(super) const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01";
const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// A part of a form: its name, its file's name if it is a file, and its content.
type Part<'a> = (&'a str, Option<&'a str>, &'a [u8]);

fn form(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.extend(format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--B--\r\n");
    body
}

async fn send(site: &Site, token: &str, parts: &[Part<'_>]) -> Answer {
    let bearer = format!("Bearer {token}");
    let body = form(parts);
    let length = body.len().to_string();
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "multipart/form-data; boundary=B"),
        ("content-length", length.as_str()),
    ];
    site.call("POST", "/zapini/media/upload", &headers, body).await
}

async fn upload(site: &Site, name: &str, content: &[u8]) -> Answer {
    send(site, &site.loja.key, &[("file", Some(name), content)]).await
}

/// The id of a file that was uploaded.
pub(super) async fn uploaded(site: &Site, name: &str, content: &[u8]) -> String {
    upload(site, name, content).await.expect(201)["data"]["id"].as_str().expect("an id").to_owned()
}

fn uuid_of(id: &str) -> Uuid {
    Uuid::try_parse(id.trim_start_matches("media_")).expect("a UUID")
}

#[track_caller]
pub(super) fn refused(answer: &Answer, field: &str, part: &str) {
    assert_eq!(answer.error(422), "VALIDATION_ERROR");
    let told = answer.json()["error"]["details"][field][0].as_str().unwrap_or_default().to_owned();
    assert!(told.contains(part), "{field}: {told:?} does not say {part:?}: {}", answer.text());
}

#[tokio::test]
async fn a_file_is_uploaded_shown_and_deleted_as_documented() {
    let site = Site::new().await;
    let parts: [Part<'_>; 2] = [("file", Some("image.jpg"), JPEG), ("type", None, b"image")];
    let made = send(&site, &site.loja.key, &parts).await.expect(201);
    let mut example = json!({
        "success": true,
        "data": {
            "id": "media_abc123xyz",
            "url": "https://storage.zapini.app/media/abc123xyz.jpg",
            "type": "image",
            "mime_type": "image/jpeg",
            "size": 102400,
            "filename": "image.jpg",
            "expires_at": "2025-01-22T10:30:00Z"
        }
    });
    like(&made, &example, &[], &[]);
    let data = &made["data"];
    for (field, value) in [
        ("type", json!("image")),
        ("mime_type", json!("image/jpeg")),
        ("size", json!(JPEG.len())),
        ("filename", json!("image.jpg")),
        ("expires_at", json!("2025-01-22T10:30:00Z")),
    ] {
        assert_eq!(data[field], value, "{field}");
    }
    let id = data["id"].as_str().expect("an id");
    assert!(id.starts_with("media_"), "{id}");

    let shown = site.get(&format!("/media/{id}")).await.expect(200);
    example["data"]["created_at"] = json!("2025-01-15T10:30:00Z");
    like(&shown, &example, &[], &[]);
    assert_eq!(shown["data"]["created_at"], "2025-01-15T10:30:00Z");
    for field in ["id", "url", "type", "mime_type", "size", "filename", "expires_at"] {
        assert_eq!(shown["data"][field], data[field], "{field}");
    }

    let gone = site.ask(&site.loja, "DELETE", &format!("/media/{id}"), None).await.expect(200);
    assert_eq!(gone, json!({"success": true, "message": "Media deleted successfully"}));
    assert_eq!(site.get(&format!("/media/{id}")).await.error(404), "NOT_FOUND");
    assert_eq!(site.ask(&site.loja, "DELETE", &format!("/media/{id}"), None).await.error(404), "NOT_FOUND");
    assert_eq!(
        (site.world.files(), site.world.store.media_file_use(site.loja.tenant.index)),
        (0, Ok(FileUse::default()))
    );
}

#[tokio::test]
async fn the_url_opens_the_file_until_it_expires() {
    let site = Site::new().await;
    let made = upload(&site, "image.jpg", JPEG).await.expect(201);
    let url = made["data"]["url"].as_str().expect("a URL");
    let (tenant, id) = (site.loja.tenant.index, uuid_of(made["data"]["id"].as_str().expect("an id")));
    let file = site.world.commands.media_file(tenant, id).expect("stored");
    assert!(url.starts_with(&format!("http://127.0.0.1:8080/v1/media/{id}?exp=1737541800&")), "{url}");
    let links =
        MediaLinks::new(b"a secret of at least 32 bytes, for tests", "http://127.0.0.1:8080", Duration::from_secs(1));
    assert_eq!(url, links.url_until(tenant, &file.attachment, NOW.plus_ms(WEEK_MS)));
}

#[tokio::test]
async fn the_type_may_come_before_the_file_or_after_it_and_must_be_what_the_file_is() {
    let site = Site::new().await;
    let ask = |parts: Vec<Part<'static>>| {
        let site = &site;
        async move { send(site, &site.loja.key, &parts).await }
    };
    let file: Part<'static> = ("file", Some("a.jpg"), JPEG);
    for (parts, kind) in [
        (vec![("type", None, b"image".as_slice()), file], "image"),
        (vec![file, ("type", None, b" IMAGE ".as_slice())], "image"),
        (vec![file, ("type", None, b"document".as_slice())], "document"),
        (vec![file, ("type", None, b"".as_slice())], "image"),
        (vec![("nonsense", None, b"x".as_slice()), file, ("other", Some("b.bin"), b"\0".as_slice())], "image"),
    ] {
        let data = ask(parts).await.expect(201)["data"].clone();
        assert_eq!((&data["type"], &data["mime_type"]), (&json!(kind), &json!("image/jpeg")));
    }
    let kept = site.world.files();
    for (parts, field, part) in [
        (vec![file, ("type", None, b"video".as_slice())], "type", "image"),
        (vec![("type", None, b"video".as_slice()), file], "type", "image"),
        (vec![file, ("type", None, b"sticker".as_slice())], "type", "image, video, audio or document"),
        (vec![file, file], "file", "one file"),
        (vec![("type", None, b"image".as_slice())], "file", "is required"),
        (vec![("file", None, JPEG)], "file", "a name"),
        (vec![("file", Some("a.jpg"), b"".as_slice())], "file", "is empty"),
    ] {
        refused(&ask(parts).await, field, part);
    }
    assert_eq!(site.world.files(), kept, "what was refused left nothing");
}

#[tokio::test]
async fn what_is_not_in_the_lists_is_refused_with_them() {
    let site = Site::new().await;
    let cases: [(&str, &[u8]); 4] = [
        ("a.pdf", b"MZ\x90\0\x03\0\0\0"),
        ("a.jpg", b"<html><body>"),
        ("a.txt", b"\x7fELF\x02\x01\x01\0"),
        ("a.png", b"\x01\x02\x03"),
    ];
    for (name, content) in cases {
        let answer = upload(&site, name, content).await;
        for list in ["jpg, png, gif, webp", "mp4, 3gp, mov, avi, mkv", "mp3, ogg, wav, opus, aac, m4a", "txt, zip"] {
            refused(&answer, "file", list);
        }
    }
    // A text must be one to its end, however long it is.
    let mut text = b"linha\r\n".repeat(3_000);
    let long = upload(&site, "a.txt", &text).await.expect(201);
    assert_eq!((&long["data"]["type"], &long["data"]["mime_type"]), (&json!("document"), &json!("text/plain")));
    text.push(0);
    refused(&upload(&site, "a.txt", &text).await, "file", "not text all through");
    assert_eq!(site.world.files(), 1);
}

#[tokio::test]
async fn a_request_that_is_no_form_is_refused() {
    let site = Site::new().await;
    let bearer = format!("Bearer {}", site.loja.key);
    let ask = async |content_type: &str, body: Vec<u8>| {
        let headers = [("authorization", bearer.as_str()), ("content-type", content_type)];
        site.call("POST", "/zapini/media/upload", &headers, body).await
    };
    assert_eq!(ask("application/json", b"{}".to_vec()).await.error(415), "UNSUPPORTED_MEDIA_TYPE");
    let whole = form(&[("file", Some("a.jpg"), JPEG)]);
    let cut = ask("multipart/form-data; boundary=B", whole[..whole.len() - 12].to_vec()).await;
    assert_eq!(cut.error(400), "BAD_REQUEST");
    assert_eq!(site.world.files(), 0);
    assert_eq!(send(&site, "sk_live_wrong", &[("file", Some("a.jpg"), JPEG)]).await.error(401), "UNAUTHENTICATED");
}

#[tokio::test]
async fn each_kind_has_its_limit() {
    let policy =
        FilePolicy { image_bytes: 30, video_bytes: 40, audio_bytes: 20, document_bytes: 50, ..FilePolicy::default() };
    let site = Site::with_files(policy).await;
    let padded = |head: &[u8], size: usize| [head, &vec![0; size - head.len()]].concat();
    let video = b"\0\0\0\x18ftypisom\0\0\0\0";
    let cases: [(&str, &[u8], usize); 4] =
        [("a.jpg", JPEG, 30), ("a.mp4", video, 40), ("a.mp3", b"ID3\x03\0\0", 20), ("a.pdf", b"%PDF-1.4\n", 50)];
    for (name, head, most) in cases {
        let kept = site.world.files();
        assert_eq!(upload(&site, name, &padded(head, most)).await.expect(201)["data"]["size"], json!(most), "{name}");
        let over = upload(&site, name, &padded(head, most + 1)).await;
        refused(&over, "file", &format!("larger than {most} bytes"));
        assert_eq!(site.world.files(), kept + 1, "{name}");
    }
    // Also a file of which the whole form is too large.
    assert_eq!(upload(&site, "a.pdf", &padded(b"%PDF-1.4\n", 100_000)).await.error(413), "PAYLOAD_TOO_LARGE");
    assert_eq!(site.world.files(), 4);
}

#[tokio::test]
async fn a_tenants_unused_files_have_a_bound() {
    let share = FileUse { files: 2, bytes: 3 * JPEG.len() as u64 };
    let site = Site::with_files(FilePolicy { share, ..FilePolicy::default() }).await;
    let first = uploaded(&site, "1.jpg", JPEG).await;
    let twice = [JPEG, JPEG, JPEG].concat();
    assert_eq!(upload(&site, "2.jpg", &twice).await.error(422), "CONFLICT", "too many bytes");
    uploaded(&site, "2.jpg", JPEG).await;
    assert_eq!(upload(&site, "3.jpg", JPEG).await.error(422), "CONFLICT", "too many files");
    assert_eq!(site.world.files(), 2);
    // Another tenant has a share of its own.
    assert_eq!(send(&site, &site.other.key, &[("file", Some("1.jpg"), JPEG)]).await.status, 201);
    // One that a message has does not count.
    let file = site.world.commands.media_file(site.loja.tenant.index, uuid_of(&first)).expect("there").attachment;
    say(&site, &file).await;
    uploaded(&site, "3.jpg", JPEG).await;
}

/// A message with a file.
async fn say(site: &Site, file: &Attachment) {
    let message =
        NewMessage { attachments: vec![file.clone()], ..samples::message(site.instance.index, "5511987654321", "Oi") };
    let batch = samples::inserts(site.loja.tenant.index, vec![message]);
    site.world.store.commit(batch).await.expect("commits");
}

#[tokio::test]
async fn an_unknown_file_and_another_tenants_are_not_found() {
    let site = Site::new().await;
    let id = uploaded(&site, "a.jpg", JPEG).await;
    let unknown = format!("media_{}", Uuid::from_u128(99).simple());
    for (caller, id) in
        [(&site.other, id.as_str()), (&site.loja, unknown.as_str()), (&site.loja, "media_abc123xyz"), (&site.loja, "x")]
    {
        for method in ["GET", "DELETE"] {
            let answer = site.ask(caller, method, &format!("/media/{id}"), None).await;
            assert_eq!(answer.error(404), "NOT_FOUND", "{method} {id}");
        }
    }
    assert_eq!(site.get(&format!("/media/{id}")).await.status, 200, "it is still there");
    assert_eq!(site.get(&format!("/media/{}", uuid_of(&id))).await.status, 200, "by its plain UUID too");
}

#[tokio::test]
async fn a_file_is_not_found_once_it_has_expired() {
    let site = Site::new().await;
    let id = uploaded(&site, "a.jpg", JPEG).await;
    site.world.clock.jump(WEEK_MS - 1);
    assert_eq!(site.get(&format!("/media/{id}")).await.status, 200);
    site.world.clock.jump(1);
    for method in ["GET", "DELETE"] {
        assert_eq!(site.ask(&site.loja, method, &format!("/media/{id}"), None).await.error(404), "NOT_FOUND");
    }
}

#[tokio::test]
async fn each_role_may_do_what_it_is_for() {
    let site = Site::new().await;
    for (name, role, may_upload, may_delete) in [
        ("manager", Role::Manager, true, true),
        ("agent", Role::Agent, true, false),
        ("viewer", Role::Viewer, false, false),
    ] {
        let id = uploaded(&site, "a.jpg", JPEG).await;
        user(&site, name, role).await;
        let own = token(&site, name).await;
        let answer = send(&site, &own, &[("file", Some("a.jpg"), JPEG)]).await;
        assert_eq!(answer.status.as_u16(), if may_upload { 201 } else { 403 }, "{name}");
        let path = format!("/media/{id}");
        assert_eq!(with(&site, &own, "GET", &path, None).await.status, 200, "{name}");
        let answer = with(&site, &own, "DELETE", &path, None).await;
        assert_eq!(answer.status.as_u16(), if may_delete { 200 } else { 403 }, "{name}");
    }
    let key = site.world.commands.create_api_key(site.loja.tenant.index, "bot", Some(site.instance.id)).await;
    let key = key.expect("a good name").key;
    assert_eq!(send(&site, &key, &[("file", Some("a.jpg"), JPEG)]).await.status, 201, "an instance's key too");
}

#[tokio::test]
async fn a_fault_between_record_and_file_leaves_no_file_that_nothing_names() {
    let site = Site::new().await;
    let tenant = site.loja.tenant.index;
    site.world.store.refuse_next(store::unavailable());
    assert_eq!(upload(&site, "a.jpg", JPEG).await.error(503), "UNAVAILABLE");
    assert_eq!((site.world.files(), site.world.store.media_file_use(tenant)), (0, Ok(FileUse::default())));

    // The record is on disk and its file is not, as after a crash: it is not sent, and expires like any other.
    site.world.store.plan(|_, _| store::Fate::lost());
    assert_eq!(upload(&site, "a.jpg", JPEG).await.error(503), "UNAVAILABLE");
    site.world.store.no_plan();
    assert_eq!((site.world.files(), site.world.store.media_file_use(tenant).map(|now| now.files)), (0, Ok(1)));
    let left = site.world.store.expired_media_files(NOW.plus_ms(WEEK_MS), 9).expect("reads");
    let id = left[0].attachment.id;
    assert_eq!(
        wants(&site, FileSource::Stored(id), FileKind::Image).await,
        Err((ErrorCode::NotFound, Some(Field::FileId)))
    );
    site.world.commands.delete_media_file(tenant, id).await.expect("deleted");
    assert_eq!(site.world.store.media_file_use(tenant), Ok(FileUse::default()));
}

/// The kind of an error and the field that it names.
fn shown(error: Error) -> (ErrorCode, Option<Field>) {
    (error.code, error.fields.first().and_then(|problem| problem.field.only()))
}

async fn wants(site: &Site, source: FileSource<'_>, kind: FileKind) -> Result<Attachment, (ErrorCode, Option<Field>)> {
    let request = FileRequest { source, kind, name: None };
    site.world.commands.file_to_send(site.loja.tenant.index, request).await.map_err(shown)
}

#[tokio::test]
async fn an_uploaded_file_is_sent_as_what_it_is_or_as_a_document() {
    let site = Site::new().await;
    let id = uuid_of(&uploaded(&site, "a.jpg", JPEG).await);
    for kind in [FileKind::Image, FileKind::Document] {
        let file = wants(&site, FileSource::Stored(id), kind).await.expect("it may");
        assert_eq!((file.id, file.file_name.as_str(), file.content_type.as_str()), (id, "a.jpg", "image/jpeg"));
    }
    let wrong = wants(&site, FileSource::Stored(id), FileKind::Audio).await;
    assert_eq!(wrong, Err((ErrorCode::Invalid, Some(Field::FileKind))));
    let request = FileRequest { source: FileSource::Stored(id), kind: FileKind::Image, name: Some("../Praia.jpg") };
    let named = site.world.commands.file_to_send(site.loja.tenant.index, request).await.expect("it may");
    assert_eq!(named.file_name, "Praia.jpg");
    let unnamed = FileRequest { name: Some("a\nb"), ..request };
    let unnamed = site.world.commands.file_to_send(site.loja.tenant.index, unnamed).await.map_err(shown);
    assert_eq!(unnamed, Err((ErrorCode::Invalid, Some(Field::FileName))));
    let theirs = site.world.commands.file_to_send(site.other.tenant.index, request).await.map_err(shown);
    assert_eq!(theirs, Err((ErrorCode::NotFound, Some(Field::FileId))));

    // With a message it is used: the record can go, the file stays.
    say(&site, &named).await;
    let gone = site.ask(&site.loja, "DELETE", &format!("/media/{id}"), None).await;
    assert_eq!((gone.status.as_u16(), site.world.files()), (200, 1));
}

#[tokio::test]
async fn a_file_is_fetched_checked_and_waits_an_hour_for_its_message() {
    let policy = FilePolicy { image_bytes: 20, document_bytes: 40, ..FilePolicy::default() };
    let site = Site::with_files(policy).await;
    let url = |name: &str| format!("https://example.com/{name}");
    let large = [JPEG, &[0; 10]].concat();
    let served: [(&str, &[u8]); 5] = [
        ("image.jpg", JPEG),
        ("page.html", b"<html><body>"),
        ("empty.txt", b""),
        ("large.jpg", &large),
        ("report.pdf", b"%PDF-1.4\n"),
    ];
    for (name, content) in served {
        site.world.fetcher.put(&url(name), name, content);
    }
    let file = wants(&site, FileSource::Url(&url("image.jpg")), FileKind::Image).await.expect("fetched");
    assert_eq!((file.file_name.as_str(), file.content_type.as_str()), ("image.jpg", "image/jpeg"));
    let tenant = site.loja.tenant.index;
    let record = site.world.store.media_file(tenant, file.id).expect("reads").expect("it has a record");
    assert_eq!((record.used, record.expires_at.since(NOW)), (false, 60 * 60 * 1000));
    say(&site, &file).await;
    assert!(site.world.store.media_file(tenant, file.id).expect("reads").is_some_and(|record| record.used));
    wants(&site, FileSource::Url(&url("report.pdf")), FileKind::Document).await.expect("fetched");

    let kept = site.world.files();
    for (given, kind, field) in [
        (url("image.jpg"), FileKind::Video, Field::FileKind),
        (url("report.pdf"), FileKind::Image, Field::FileKind),
        (url("large.jpg"), FileKind::Image, Field::AttachmentUrl),
        (url("large.jpg"), FileKind::Document, Field::AttachmentUrl),
        (url("page.html"), FileKind::Document, Field::AttachmentUrl),
        (url("empty.txt"), FileKind::Document, Field::AttachmentUrl),
        (url("nothing"), FileKind::Image, Field::AttachmentUrl),
        ("http://127.0.0.1/a.jpg".to_owned(), FileKind::Image, Field::AttachmentUrl),
        ("ftp://example.com/a.jpg".to_owned(), FileKind::Image, Field::AttachmentUrl),
        (url(&"x".repeat(3_000)), FileKind::Image, Field::AttachmentUrl),
    ] {
        let refused = wants(&site, FileSource::Url(&given), kind).await;
        assert_eq!(refused, Err((ErrorCode::Invalid, Some(field))), "{given}");
    }
    assert_eq!(site.world.files(), kept, "what was refused left nothing");
}
