//! Send and bulk.

use bytes::Bytes;
use pombo_domain::model::pace::EqualTextsView;
use pombo_domain::ports::StoreError;

use super::*;

#[tokio::test]
async fn the_answer_is_the_documented_object() {
    let site = Site::new().await;
    let changes = json!({"messageType": "TRANSACTIONAL", "externalId": "REF-123", "unknownField": [1]});
    let answer = site.post("/queue/send", site.message_with(changes)).await;
    assert_eq!(answer.status, 201);
    let body = answer.json();
    assert_eq!(
        body,
        json!({
            "id": body["id"],
            "status": "PENDING",
            "to": "cliente@exemplo.com",
            "message": "Seu pedido foi confirmado!",
            "priority": 5,
            "connectorId": site.loja.connector.id,
            "messageType": "TRANSACTIONAL",
            "createdAt": "2026-01-02T03:04:05.678Z",
            "externalId": "REF-123",
        })
    );
    let later = site.message_with(json!({"scheduledAt": "2026-02-01T00:00:00-03:00", "priority": 10}));
    let later = site.post("/queue/send", later).await.ok();
    assert_eq!((&later["status"], &later["scheduledAt"]), (&json!("WAITING"), &json!("2026-02-01T03:00:00.000Z")));
    let held = site.post("/queue/send", site.message_with(json!({"requiresApproval": true}))).await.ok();
    assert_eq!(held["status"], "PENDING_APPROVAL");
}

#[tokio::test]
async fn bad_input_says_what_to_change_and_stores_nothing() {
    let site = Site::new().await;
    let long = |n| "9".repeat(n);
    for (changes, problem) in [
        (json!({"to": 5511999998888_u64}), "to: must be a text, not a number"),
        (json!({"message": ["a"]}), "message: must be a text, not an array"),
        (json!({"message": ""}), "message: must not be empty"),
        (json!({"message": " \n"}), "message: must not be empty"),
        (json!({"message": null}), "message: is required"),
        (json!({"message": "a\u{0}b"}), "message: must not contain the NUL character"),
        (json!({"message": "x".repeat(64 * 1024 + 1)}), "message: must be at most 64 KB of text"),
        (json!({"to": long(200)}), "to: must be an e-mail address such as name@example.com"),
        (json!({"to": long(321)}), "to: must have at most 320 characters"),
        (json!({"to": "a\u{0}@b.com"}), "to: must not contain control characters"),
        (json!({"priority": "5"}), "priority: must be a number, not a text"),
        (json!({"priority": 1e308}), "priority: must be a whole number from 1 to 10 (10 goes first)"),
        (json!({"priority": 0}), "priority: must be a whole number from 1 to 10 (10 goes first)"),
        (json!({"priority": 5.5}), "priority: must be a whole number from 1 to 10 (10 goes first)"),
        (json!({"messageType": "SPAM"}), "messageType: must be one of GERAL, NOTIFICATION"),
        (json!({"scheduledAt": "amanhã"}), "scheduledAt: must be ISO 8601"),
        (json!({"scheduledAt": "2028-01-01T00:00:00Z"}), "scheduledAt: must be at most 366 days ahead"),
        (json!({"requiresApproval": "true"}), "requiresApproval: must be true or false, not a text"),
        (json!({"webhookUrl": "ftp://x.com"}), "webhookUrl: must be an http or https URL"),
        (json!({"webhookUrl": "http://127.0.0.1/"}), "webhookUrl: the target address is not allowed"),
        (json!({"attachmentUrl": "http://localhost/a.pdf"}), "attachmentUrl: the target address is not allowed"),
        (json!({"externalId": "x".repeat(256)}), "externalId: must have at most 255 characters"),
        (json!({"subject": "a\r\nBcc: b@c.com"}), "subject: must not contain line breaks"),
        (json!({"variables": {"a": [1]}}), "variables: \"a\" must be a text, a number, true, false or null"),
        (json!({"variables": "a"}), "variables: must be an object, not a text"),
        (
            json!({"message": "Olá {{ apelido }}"}),
            "message: the variable \"apelido\" is not defined (line 1, column 5)",
        ),
        (json!({"message": "Olá {{ apelido"}), "message: the tag is not closed"),
        (json!({"subject": "{{ pedido }}"}), "subject: the variable \"pedido\" is not defined"),
        (
            json!({"to": 1, "priority": "x", "message": null}),
            "to: must be a text, not a number; priority: must be a number, not a text; message: is required",
        ),
    ] {
        let message = site.post("/queue/send", site.message_with(changes.clone())).await.error(400);
        assert!(message.starts_with(problem), "{changes}: {message}");
    }
    for unknown in [json!("con_123456"), json!("00000000-0000-4000-8000-000000000000")] {
        site.post("/queue/send", site.message_with(json!({"connectorId": unknown}))).await.error(404);
    }
    for body in ["", "{", "[]", "null", "\"text\"", "{\"to\":\"\\ud800\"}", "{} {}"] {
        site.send_text(Method::POST, "/queue/send", "application/json", body).await.error(400);
    }
    site.post("/queue/send?dry=1", site.message()).await.error(400);
    assert_eq!(site.world.store.message_count(), 0);
}

#[tokio::test]
async fn templates_are_tried_with_the_contacts_name_and_the_callers_variables() {
    let site = Site::new().await;
    let changes = json!({
        "message": "Olá {{ primeiro_nome }}, pedido {{ n }}",
        "contactName": "Ana Sá",
        "variables": {"n": 5},
    });
    let sent = site.post("/queue/send", site.message_with(changes)).await.ok();
    assert_eq!(sent["message"], "Olá {{ primeiro_nome }}, pedido {{ n }}", "as it was posted");
}

#[tokio::test]
async fn a_body_over_its_limit_is_413() {
    let limits = Limits { json_bytes: 1000, bulk_bytes: 2000, ..Limits::default() };
    let site = Site::with_limits(limits).await;
    let big = |n| json!({"messages": [], "message": "x".repeat(n)}).to_string();
    for (path, n) in [("/queue/send", 1000), ("/queue/bulk", 2000), ("/contacts", 1000)] {
        site.send_text(Method::POST, path, "application/json", big(n)).await.error(413);
        // In pieces and without a length.
        let pieces: Vec<Result<Bytes, std::io::Error>> =
            big(n).as_bytes().chunks(100).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        let body = Body::from_bytes_stream(futures::stream::iter(pieces));
        site.send_text(Method::POST, path, "application/json", body).await.error(413);
    }
}

#[tokio::test]
async fn a_bulk_takes_the_good_rows_and_says_row_by_row_what_happened() {
    let site = Site::new().await;
    let rows = json!({"messages": [
        site.message_with(json!({"externalId": "A"})),
        site.message_with(json!({"to": 123, "externalId": "B"})),
        site.message_with(json!({"connectorId": "c1"})),
        5,
        site.message_with(json!({"to": "no address"})),
        site.message_with(json!({"message": "Olá {{ nome }}"})),
        site.message_with(json!({"message": "Olá {{ nome }}", "contactName": "Ana", "requiresApproval": true})),
    ]});
    let answer = site.post("/queue/bulk", rows).await;
    assert_eq!(answer.status, 201);
    let body = answer.json();
    let results = &body["results"];
    assert_eq!(
        body,
        json!({
            "success": false,
            "total": 7,
            "accepted": 2,
            "rejected": 5,
            "results": [
                {"index": 0, "id": results[0]["id"], "status": "PENDING", "externalId": "A"},
                {"index": 1, "externalId": "B", "error": "to: must be a text, not a number"},
                {"index": 2, "error": "connectorId: no such connector; use the id of one of your connectors"},
                {"index": 3, "error": "row: must be an object, not a number"},
                {"index": 4, "error": "to: must be an e-mail address such as name@example.com"},
                {"index": 5, "error": "message: the variable \"nome\" is not defined (line 1, column 5)"},
                {"index": 6, "id": results[6]["id"], "status": "PENDING_APPROVAL"},
            ],
        })
    );
    let listed = site.get("/queue/list").await.ok();
    assert_eq!(listed["meta"]["total"], 2);
    assert_eq!(listed["data"][0]["id"], results[6]["id"]);
}

#[tokio::test]
async fn a_bulk_without_a_good_row_is_400() {
    let site = Site::new().await;
    let bad = site.post("/queue/bulk", json!({"messages": [{}, {"to": "a@b.com"}]})).await;
    assert_eq!(bad.error(400), "none of the 2 messages was accepted; results says why, row by row");
    let body = bad.json();
    assert_eq!((&body["rejected"], body["results"].as_array().map(Vec::len)), (&json!(2), Some(2)));
    let rows = |n: usize| json!({"messages": vec![site.message(); n]});
    assert_eq!(site.post("/queue/bulk", rows(1000)).await.ok()["accepted"], 1000);
    for (body, problem) in [
        (rows(1001), "messages: must contain at most 1000; split 1001 into several requests"),
        (rows(0), "messages: must contain at least one message"),
        (json!({}), "messages: is required"),
        (json!([site.message()]), "the body must be an object, not an array"),
        (json!({"messages": {"a": 1}}), "messages: must be an array of messages, not an object"),
        (json!({"messages": "x"}), "messages: must be an array of messages, not a text"),
    ] {
        let message = site.post("/queue/bulk", body).await.error(400);
        assert!(message.starts_with(problem), "{message}");
    }
    site.send_text(Method::POST, "/queue/bulk", "application/json", "{\"messages\":[{]}").await.error(400);
    assert_eq!(site.world.store.message_count(), 1000);
}

#[tokio::test]
async fn the_same_key_answers_the_first_result_and_no_other_request() {
    let site = Site::new().await;
    let key = site.loja.api_key.clone();
    let post = async |path: &str, idempotency: &str, body: &Value| {
        let headers = [("x-api-key", key.as_str()), ("idempotency-key", idempotency)];
        site.call(Method::POST, &format!("/sendsync/api/queue/{path}"), &headers, body.to_string()).await
    };
    let first = post("send", "k1", &site.message()).await.ok();
    assert_eq!(post("send", "k1", &site.message()).await.ok(), first);
    post("send", "k1", &site.message_with(json!({"message": "another"}))).await.error(409);
    assert_ne!(post("send", "k2", &site.message()).await.ok()["id"], first["id"]);
    let bulk = json!({"messages": [site.message(), {"to": 5}, site.message_with(json!({"connectorId": "x"}))]});
    let rows = post("bulk", "k1", &bulk).await.ok();
    assert_eq!(post("bulk", "k1", &bulk).await.ok(), rows, "with its refused rows, and apart from the send's key");
    assert_eq!(site.world.store.message_count(), 3);
    for bad in ["a b", "até", &"x".repeat(256)] {
        let message = post("send", bad, &site.message()).await.error(400);
        assert!(message.starts_with("Idempotency-Key: "), "{message}");
    }
    // A key is its tenant's own.
    let theirs = [("x-api-key", site.other.api_key.as_str()), ("idempotency-key", "k1")];
    let message = json!({"connectorId": site.other.connector.id, "to": "a@b.com", "message": "m"}).to_string();
    let other = site.call(Method::POST, "/sendsync/api/queue/send", &theirs, message).await.ok();
    assert_ne!(other["id"], first["id"]);
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_503() {
    let site = Site::new().await;
    site.world.store.refuse_next(StoreError::Unavailable("disk".to_owned()));
    let refused = site.post("/queue/send", site.message()).await;
    refused.error(503);
    assert_eq!(refused.headers["retry-after"], "5");
    site.world.store.refuse_next(StoreError::Damaged("a secret detail".to_owned()));
    let failed = site.post("/queue/send", site.message()).await.error(500);
    assert!(!failed.contains("secret"), "{failed}");
}

const BOUNDARY: &str = "multipart/form-data; boundary=BOUND";

/// A form of (name, file name, content).
fn form(parts: &[(&str, Option<&str>, &str)]) -> String {
    let mut body = String::new();
    for (name, file, content) in parts {
        body.push_str(&format!("--BOUND\r\nContent-Disposition: form-data; name=\"{name}\""));
        if let Some(file) = file {
            body.push_str(&format!("; filename=\"{file}\"\r\nContent-Type: application/pdf"));
        }
        body.push_str(&format!("\r\n\r\n{content}\r\n"));
    }
    body + "--BOUND--\r\n"
}

impl Site {
    async fn post_form(&self, parts: &[(&str, Option<&str>, &str)]) -> Answer {
        let connector = self.loja.connector.id.to_string();
        let mut all =
            vec![("connectorId", None, connector.as_str()), ("to", None, "a@b.com"), ("message", None, "Segue")];
        all.extend_from_slice(parts);
        self.send_text(Method::POST, "/queue/send", BOUNDARY, form(&all)).await
    }
}

#[tokio::test]
async fn a_form_carries_files_and_its_texts_parse_as_numbers_and_truth() {
    let site = Site::new().await;
    let answer = site
        .post_form(&[
            ("priority", None, "9"),
            ("requiresApproval", None, "true"),
            ("externalId", None, ""),
            ("variables", None, r#"{"n": 1}"#),
            ("somethingElse", None, "ignored"),
            ("attachments", Some("a.pdf"), "first"),
            ("attachments", Some("b.pdf"), "second"),
            ("attachments", Some(""), ""),
        ])
        .await;
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    let body = answer.json();
    assert_eq!((&body["priority"], &body["status"]), (&json!(9), &json!("PENDING_APPROVAL")));
    assert_eq!(body["externalId"], Value::Null);
    let names: Vec<_> = body["attachments"].as_array().expect("files").iter().map(|f| &f["originalFileName"]).collect();
    assert_eq!(names, ["a.pdf", "b.pdf"]);
    let url = body["attachments"][0]["url"].as_str().expect("a URL");
    assert!(url.starts_with("http://127.0.0.1:8080/v1/media/"), "{url}");
    assert_eq!(site.world.files(), 2);
}

#[tokio::test]
async fn a_refused_form_says_why_and_leaves_no_file() {
    let site = Site::new().await;
    let file = ("attachments", Some("a.pdf"), "content");
    for (parts, problem) in [
        (vec![file, ("priority", None, "high")], "priority: must be a number"),
        (vec![file, ("priority", None, "1e308")], "priority: must be a whole number"),
        (vec![file, ("forceDirect", None, "maybe")], "forceDirect: must be true or false"),
        (vec![file, ("variables", None, "{")], "variables: must be a JSON object"),
        (vec![file, ("message", None, "again")], "message: is given more than once"),
        (vec![file, ("file", Some("b.pdf"), "x")], "file: send files in the field attachments"),
        (vec![file, ("attachments", None, "x")], "attachments: must be files"),
        (vec![file; 11], "attachments: must be at most 10 files"),
        (vec![file, ("messageType", None, "SPAM")], "messageType: must be one of"),
    ] {
        let message = site.post_form(&parts).await.error(400);
        assert!(message.starts_with(problem), "{message}");
        assert_eq!(site.world.files(), 0, "{problem}");
    }
    let large = "x".repeat(130 * 1024);
    site.post_form(&[file, ("notes", None, &large)]).await.error(413);
    let cut = form(&[("connectorId", None, "x"), file]).replace("--BOUND--", "");
    site.send_text(Method::POST, "/queue/send", BOUNDARY, cut).await.error(400);
    site.send_text(Method::POST, "/queue/send", BOUNDARY, "no form at all").await.error(400);
    assert_eq!((site.world.files(), site.world.store.message_count()), (0, 0));
}

#[tokio::test]
async fn a_form_over_the_limit_of_the_whole_is_413_and_leaves_no_file() {
    let limits = Limits { multipart_bytes: 10_000, ..Limits::default() };
    let site = Site::with_limits(limits).await;
    let half = "x".repeat(6_000);
    let parts = [("attachments", Some("a.pdf"), half.as_str()), ("attachments", Some("b.pdf"), half.as_str())];
    site.post_form(&parts).await.error(413);
    assert_eq!(site.world.files(), 0);
    assert_eq!(site.post_form(&parts[..1]).await.status, 201);
}

#[tokio::test]
async fn a_repeated_form_keeps_the_files_of_the_first() {
    let site = Site::new().await;
    let connector = site.loja.connector.id.to_string();
    let parts = |content: &'static str| {
        let texts = [("connectorId", None, connector.as_str()), ("to", None, "a@b.com"), ("message", None, "m")];
        form(&[texts[0], texts[1], texts[2], ("attachments", Some("a.pdf"), content)])
    };
    let post = async |boundary: &str, content: &'static str| {
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let headers =
            [("x-api-key", site.loja.api_key.as_str()), ("content-type", &content_type), ("idempotency-key", "k")];
        let body = parts(content).replace("BOUND", boundary);
        site.call(Method::POST, "/sendsync/api/queue/send", &headers, body).await
    };
    let first = post("one", "content").await.ok();
    assert_eq!(post("two", "content").await.ok(), first, "another boundary is the same request");
    assert_eq!(site.world.files(), 1);
    post("one", "CONTENT").await.error(409);
    assert_eq!(site.world.files(), 1);
}

#[tokio::test]
async fn a_bulk_warns_of_equal_advertising() {
    let site = Site::new().await;
    let bulk = |kind: &str, text: &str, rows: usize| {
        let row = |n: usize| {
            site.message_with(json!({"to": format!("a{n}@exemplo.com"), "message": text, "messageType": kind}))
        };
        json!({"messages": (0..rows).map(row).collect::<Vec<_>>()})
    };
    // A hundred are none too many; other categories, and texts that become different ones, are not counted.
    for body in
        [bulk("MARKETING", "Compre", 100), bulk("NOTIFICATION", "Compre", 101), bulk("MARKETING", "{Oi|Olá}", 101)]
    {
        assert_eq!(site.post("/queue/bulk", body).await.ok().get("warnings"), None);
    }
    // With those of before, within a day.
    let answer = site.post("/queue/bulk", bulk("MARKETING", "Compre", 1)).await.ok();
    let warnings = answer["warnings"].as_array().expect("a list");
    assert_eq!((&answer["accepted"], warnings.len()), (&json!(1), 1));
    assert!(warnings[0].as_str().is_some_and(|text| text.starts_with("101 recipients")), "{answer}");
    // What was sent before is the pace's.
    let view = PaceView { equal_texts: Some(EqualTextsView { count: 500, since: NOW }), ..PaceView::default() };
    *site.pace.0.lock().expect("no test panics in it") = view;
    let answer = site.post("/queue/bulk", bulk("MARKETING", "Venda", 1)).await.ok();
    assert!(answer["warnings"][0].as_str().is_some_and(|text| text.contains("500 times")), "{answer}");
    let other = site.post("/queue/bulk", bulk("SUPPORT", "Oi", 1)).await.ok();
    assert_eq!(other.get("warnings"), None);
}
