//! The simulator as a client of Graph sees it: over HTTP, with a clock that stands still until a test advances it. One simulator a test;
//! nothing leaves this machine.

#![recursion_limit = "512"]

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use pombo_graph_sim::examples::{self, NUMBER, RECIPIENT, SECRET, TOKEN, VERIFY_TOKEN, WABA};
use pombo_graph_sim::{Options, Sim, signature};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

const START: i64 = 1_790_000_000;

async fn started() -> Sim {
    let sim = Sim::start(Options { frozen_at: Some(START), ..Options::default() }).await.expect("it starts");
    sim.setup(&examples::world()).expect("the document is good");
    sim
}

/// One request. The answer: status and bytes; an error if the connection was cut.
async fn request(
    sim: &Sim,
    method: &str,
    path: &str,
    content_type: &str,
    body: impl Into<Bytes>,
) -> Result<(u16, Bytes), hyper::Error> {
    request_with(sim, method, path, &[("content-type", content_type)], body).await
}

/// The same with these headers.
async fn request_with(
    sim: &Sim,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<(u16, Bytes), hyper::Error> {
    let base = sim.base();
    let stream = TcpStream::connect(base.trim_start_matches("http://")).await.expect("it listens");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(path.trim_start_matches(base.as_str()))
        .header("host", "graph")
        .header("authorization", format!("Bearer {TOKEN}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).expect("a request");
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}

async fn call(sim: &Sim, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let (status, bytes) = request(sim, method, path, "application/json", text).await.expect("an answer");
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn send(sim: &Sim, body: Value) -> (u16, Value) {
    let mut whole = json!({ "messaging_product": "whatsapp", "to": format!("+{RECIPIENT}") });
    for (key, value) in body.as_object().expect("an object") {
        whole[key.as_str()] = value.clone();
    }
    call(sim, "POST", &format!("/v25.0/{NUMBER}/messages"), &whole).await
}

fn text(body: &str) -> Value {
    json!({ "type": "text", "text": { "body": body } })
}

fn template(name: &str, components: Value) -> Value {
    json!({ "type": "template", "template": { "name": name, "language": { "code": "en_US" }, "components": components } })
}

/// A receiver of webhooks.
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<(String, Bytes)>>>,
}

impl Receiver {
    async fn start(sim: &Sim) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let got: Arc<Mutex<Vec<(String, Bytes)>>> = Arc::default();
        let kept = got.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| receive(kept.clone(), request));
                    let _ended = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        let asked = json!({ "url": url, "verify_token": VERIFY_TOKEN });
        let answer = sim.call("POST", "/admin/app/90001/callback", asked).await.expect("it verifies");
        assert_eq!(answer["verified"], true);
        Self { url, got }
    }

    fn bodies(&self) -> Vec<Value> {
        self.got.lock().iter().map(|(_, body)| serde_json::from_slice(body).expect("JSON")).collect()
    }

    fn statuses(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for body in self.bodies() {
            for entry in body["entry"].as_array().into_iter().flatten() {
                for change in entry["changes"].as_array().into_iter().flatten() {
                    found.extend(change["value"]["statuses"].as_array().into_iter().flatten().cloned());
                }
            }
        }
        found
    }
}

async fn receive(
    kept: Arc<Mutex<Vec<(String, Bytes)>>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    if let Some((_, rest)) = query.split_once("hub.challenge=") {
        let challenge = rest.split('&').next().unwrap_or_default().to_owned();
        return Ok(Response::new(Full::new(Bytes::from(challenge))));
    }
    let signed = request.headers().get("x-hub-signature-256").and_then(|value| value.to_str().ok());
    let signed = signed.unwrap_or_default().to_owned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    kept.lock().push((signed, body));
    Ok(Response::new(Full::new(Bytes::new())))
}

#[tokio::test]
async fn every_example_of_meta_is_accepted() {
    let sim = started().await;
    let list = examples::messages();
    assert_eq!(list.len(), 53);
    for example in list {
        sim.advance(10);
        let (status, answer) = call(&sim, "POST", &example.path, &example.body).await;
        assert_eq!(status, 200, "{}: {answer}", example.name);
    }
    for example in examples::templates() {
        let (status, answer) = call(&sim, "POST", &example.path, &example.body).await;
        assert_eq!(status, 200, "{}: {answer}", example.name);
        assert_eq!(answer["status"], "PENDING", "{}", example.name);
    }
    assert_eq!(examples::webhooks().len(), 16);
}

#[tokio::test]
async fn faults_of_form_have_metas_words() {
    let sim = started().await;
    let long = "x".repeat(4097);
    let cases = [
        (
            json!({ "type": "image", "image": { "id": "40002", "filename": "a" } }),
            r#"(#100) Unexpected key "filename" on param "image"."#,
        ),
        (json!({ "type": "text", "text": {} }), "(#100) The parameter text.body is required."),
        (json!({ "type": "text", "text": { "body": 7 } }), "(#100) Param text['body'] must be a string."),
        (text(&long), "(#100) Param text['body'] must be at most 4096 characters long."),
        (
            json!({ "type": "jpeg" }),
            "(#100) Param type must be one of {AUDIO, CONTACTS, DOCUMENT, GIF, IMAGE, INTERACTIVE, LINK_PREVIEW, LOCATION, PIN, \
             REACTION, STICKER, TEMPLATE, TEXT, VIDEO} - got \"jpeg\".",
        ),
        (
            template(
                "hello_world",
                json!([{ "type": "header", "parameters": [{ "type": "image", "image": { "id": "1" } }] }]),
            ),
            "(#132000) Number of parameters does not match the expected number of params",
        ),
        (
            template(
                "send_message_template_media",
                json!([
                    { "type": "header", "parameters": [{ "type": "image", "image": { "id": "1" } }] },
                    { "type": "body", "parameters": [
                        { "type": "text", "text": "a" }, { "type": "text", "text": "b" }, { "type": "text", "text": "c" }] },
                ]),
            ),
            "(#100) Param template['components'][0]['parameters'][0]['image']['id'] is not a valid whatsapp business account media \
             attachment ID",
        ),
        (
            json!({ "type": "template", "template": { "name": "x", "language": { "code": "en", "policystring": "y" } } }),
            r#"(#100) Unexpected key "policystring" on param "template['language']"."#,
        ),
    ];
    for (body, message) in cases {
        let (status, answer) = send(&sim, body).await;
        assert_eq!((status, answer["error"]["message"].as_str()), (400, Some(message)));
    }
    let (_, answer) = call(&sim, "POST", &format!("/{NUMBER}/messages"), &json!({ "to": "1" })).await;
    assert_eq!(answer["error"]["message"], "(#100) The parameter messaging_product is required.");
    assert!(answer["error"]["error_data"].is_null());
}

#[tokio::test]
async fn rules_of_interactive_messages_are_131009() {
    let sim = started().await;
    let buttons = |titles: &[&str]| {
        let list: Vec<Value> =
            titles.iter().map(|title| json!({ "type": "reply", "reply": { "id": title, "title": title } })).collect();
        json!({ "type": "interactive", "interactive": {
            "type": "button", "body": { "text": "?" }, "action": { "buttons": list } } })
    };
    for (body, details) in [
        (buttons(&[]), "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3"),
        (buttons(&["a", "b", "c", "d"]), "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3"),
        (buttons(&["a title that is too long"]), "Button title exceeds 20 characters"),
    ] {
        let (_, answer) = send(&sim, body).await;
        assert_eq!(answer["error"]["code"], 131_009);
        assert_eq!(answer["error"]["error_subcode"], 2_494_010);
        assert_eq!(answer["error"]["error_data"]["details"], details);
    }
}

#[tokio::test]
async fn parameters_of_templates_are_checked() {
    let sim = started().await;
    sim.setup(&json!({ "templates": [
        { "waba": WABA, "name": "named", "language": "en_US", "category": "UTILITY", "parameter_format": "NAMED",
          "components": [{ "type": "BODY", "text": "Order {{order}} is ready.",
            "example": { "body_text_named_params": [{ "param_name": "order", "example": "1" }] } }] },
        { "waba": WABA, "name": "link", "language": "en_US", "category": "UTILITY", "components": [
            { "type": "BODY", "text": "Look." },
            { "type": "BUTTONS", "buttons": [
                { "type": "URL", "text": "Go", "url": "https://x.com/{{1}}", "example": ["https://x.com/1"] }] }] },
        { "waba": WABA, "name": "paused", "language": "en_US", "category": "UTILITY", "status": "PAUSED",
          "components": [{ "type": "BODY", "text": "Look." }] },
    ] }))
    .expect("templates");
    let one = |value: Value| json!([{ "type": "body", "parameters": [value] }]);
    let cases = [
        (
            template(
                "sample_issue_resolution",
                json!([{ "type": "body", "parameters": [
                { "type": "text", "text": "a" }, { "type": "text", "text": "b" }] }]),
            ),
            400,
            132_000,
            "body: number of localizable_params (2) does not match the expected number of params (1)",
        ),
        (
            template("named", one(json!({ "type": "text", "text": "1" }))),
            400,
            100,
            "Parameter name is missing or empty",
        ),
        (
            template("send_message_template_media", json!([])),
            400,
            132_012,
            "header: Format mismatch, expected IMAGE, received UNKNOWN",
        ),
        (template("link", json!([])), 400, 131_008, "buttons: Button at index 0 of type Url requires a parameter"),
        (template("x", json!([])), 404, 132_001, "template name (x) does not exist in en_US"),
        (
            template("sample_issue_resolution", one(json!({ "type": "text", "text": "a\nb" }))),
            400,
            132_018,
            "Param text cannot have new-line/tab characters or more than 4 consecutive spaces",
        ),
        (
            template("sample_issue_resolution", one(json!({ "type": "text" }))),
            400,
            100,
            "Parameter 'text' is mandatory for component parameter type 'text'",
        ),
    ];
    for (body, status, code, details) in cases {
        let (got, answer) = send(&sim, body).await;
        assert_eq!((got, answer["error"]["code"].as_i64()), (status, Some(code)), "{answer}");
        assert_eq!(answer["error"]["error_data"]["details"], details);
    }
    let (_, answer) = send(&sim, template("paused", json!([]))).await;
    assert_eq!(answer["error"]["code"], 132_015);
}

#[tokio::test]
async fn webhooks_are_escaped_and_signed_over_their_bytes() {
    let sim = started().await;
    let receiver = Receiver::start(&sim).await;
    sim.say_text("ana", "Olá 😀 a@b.c https://x/y").expect("said");
    sim.flush().await;
    let got = receiver.got.lock().clone();
    assert_eq!(got.len(), 1, "{} got more or less", receiver.url);
    let (signed, body) = &got[0];
    let raw = String::from_utf8_lossy(body);
    assert!(raw.contains(r"Ol\u00e1 \ud83d\ude00 a\u0040b.c https:\/\/x\/y"), "{raw}");
    assert_eq!(*signed, format!("sha256={}", signature(SECRET, body)));
    let parsed: Value = serde_json::from_slice(body).expect("JSON");
    assert_ne!(signature(SECRET, parsed.to_string().as_bytes()), signature(SECRET, body));
    assert_eq!(parsed["entry"][0]["changes"][0]["value"]["messages"][0]["text"]["body"], "Olá 😀 a@b.c https://x/y");
}

#[tokio::test]
async fn what_is_dropped_is_retried_with_growing_gaps() {
    let sim = started().await;
    let receiver = Receiver::start(&sim).await;
    sim.knobs(&json!({ "drop_first": 2, "duplicates": 1 })).expect("knobs");
    sim.say_text("ana", "Oi").expect("said");
    sim.flush().await;
    // Dropped, dropped again at once; the next attempt is due after a minute.
    assert_eq!(receiver.got.lock().len(), 0);
    sim.advance(59);
    sim.flush().await;
    assert_eq!(receiver.got.lock().len(), 0);
    sim.advance(1);
    sim.flush().await;
    let got = receiver.got.lock().clone();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].1, got[1].1);
}

#[tokio::test]
async fn updates_share_a_post_and_statuses_can_come_before_the_answer() {
    let sim = started().await;
    let receiver = Receiver::start(&sim).await;
    sim.knobs(&json!({ "batch": 1000, "status_before_answer": true, "receipts": "sent+delivered+read" }))
        .expect("knobs");
    sim.say_text("ana", "Oi").expect("said");
    let (status, answer) =
        send(&sim, json!({ "type": "text", "text": { "body": "Olá" }, "biz_opaque_callback_data": "ours" })).await;
    assert_eq!(status, 200);
    // No flush: the answer came after them.
    let statuses = receiver.statuses();
    let steps: Vec<&str> = statuses.iter().filter_map(|status| status["status"].as_str()).collect();
    assert_eq!(steps, ["sent", "delivered", "read"]);
    assert!(statuses.iter().all(|status| status["id"] == answer["messages"][0]["id"]));
    assert!(statuses.iter().all(|status| status["biz_opaque_callback_data"] == "ours"));
}

#[tokio::test]
async fn outside_of_the_window_only_templates_arrive() {
    let sim = started().await;
    let receiver = Receiver::start(&sim).await;
    sim.say_text("ana", "Oi").expect("said");
    sim.advance(24 * 3600 - 1);
    assert_eq!(send(&sim, text("in time")).await.0, 200);
    sim.advance(1);
    assert_eq!(send(&sim, text("too late")).await.0, 200);
    sim.flush().await;
    assert_eq!(receiver.statuses().last().expect("a status")["errors"][0]["code"], 131_047);
    assert_eq!(sim.violations().outside_window, 1);
    sim.knobs(&json!({ "split": { "131047": "sync" } })).expect("knobs");
    assert_eq!(send(&sim, text("too late")).await.1["error"]["code"], 131_047);
    assert_eq!(send(&sim, template("hello_world", json!([]))).await.0, 200);
}

#[tokio::test]
async fn a_pair_has_45_messages_and_one_more_each_6_seconds() {
    let sim = started().await;
    sim.say_text("ana", "Oi").expect("said");
    for _ in 0..45 {
        assert_eq!(send(&sim, text("x")).await.0, 200);
    }
    assert_eq!(send(&sim, text("x")).await.1["error"]["code"], 131_056);
    sim.advance(5);
    assert_eq!(send(&sim, text("x")).await.1["error"]["code"], 131_056);
    sim.advance(1);
    assert_eq!(send(&sim, text("x")).await.0, 200);
    sim.knobs(&json!({ "rate_http": 429 })).expect("knobs");
    assert_eq!(send(&sim, text("x")).await.0, 429);
    assert_eq!(sim.violations().pair_exceeded, 3);
}

#[tokio::test]
async fn throughput_counts_what_comes_in() {
    let sim = started().await;
    sim.say_text("ana", "Oi").expect("said");
    let to = |n: usize| json!({ "to": format!("+55119{n:08}"), "type": "text", "text": { "body": "x" } });
    for n in 0..79 {
        assert_eq!(send(&sim, to(n)).await.0, 200, "message {n}");
    }
    assert_eq!(send(&sim, to(79)).await.1["error"]["code"], 130_429);
    sim.advance(1);
    assert_eq!(send(&sim, to(79)).await.0, 200);
}

#[tokio::test]
async fn a_tier_counts_people_of_all_numbers_in_24_hours() {
    let sim = started().await;
    sim.setup(&json!({
        "portfolios": [{ "id": "70001", "tier": 2 }],
        "numbers": [{ "id": "60002", "display_phone_number": "+55 11 3333-4444", "waba": WABA }],
    }))
    .expect("a second number");
    let body = |n: usize| {
        let mut body = template("hello_world", json!([]));
        body["to"] = json!(format!("+55119{n:08}"));
        body["messaging_product"] = json!("whatsapp");
        body
    };
    assert_eq!(call(&sim, "POST", &format!("/v25.0/{NUMBER}/messages"), &body(1)).await.0, 200);
    assert_eq!(call(&sim, "POST", "/v25.0/60002/messages", &body(2)).await.0, 200);
    // The same person again is nobody new.
    assert_eq!(call(&sim, "POST", "/v25.0/60002/messages", &body(1)).await.0, 200);
    assert_eq!(call(&sim, "POST", "/v25.0/60002/messages", &body(3)).await.1["error"]["code"], 131_048);
    assert_eq!(sim.violations().tier_exceeded, 1);
    sim.advance(24 * 3600);
    assert_eq!(call(&sim, "POST", "/v25.0/60002/messages", &body(3)).await.0, 200);
}

#[tokio::test]
async fn templates_are_listed_by_25() {
    let sim = started().await;
    let before = sim.state()["templates"].as_array().expect("a list").len();
    let more: Vec<Value> = (before..130)
        .map(|n| {
            json!({ "waba": WABA, "name": format!("many_{n}"), "language": "pt_BR", "category": "UTILITY",
                "components": [{ "type": "BODY", "text": "Oi" }] })
        })
        .collect();
    sim.setup(&json!({ "templates": more })).expect("templates");
    let mut path = format!("/v25.0/{WABA}/message_templates?fields=name,language,status");
    let (mut pages, mut seen) = (0, std::collections::HashSet::new());
    loop {
        let (status, page) = call(&sim, "GET", &path, &Value::Null).await;
        assert_eq!(status, 200);
        pages += 1;
        for found in page["data"].as_array().expect("data") {
            assert!(found["components"].is_null());
            assert!(seen.insert(found["id"].to_string()));
        }
        match page["paging"]["next"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!((pages, seen.len()), (6, 130));
    let (_, bad) = call(&sim, "GET", &format!("/{WABA}/message_templates?after=zz"), &Value::Null).await;
    assert_eq!(bad["error"]["code"], 131_059);
}

#[tokio::test]
async fn media_and_the_urls_of_media_expire() {
    let sim = started().await;
    let form = |mime: &str| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n--b\r\nContent-Disposition: \
             form-data; name=\"file\"; filename=\"a\"\r\nContent-Type: {mime}\r\n\r\nbytes\r\n--b--\r\n"
        )
    };
    let path = format!("/v25.0/{NUMBER}/media");
    let kind = "multipart/form-data; boundary=b";
    let (status, refused) = request(&sim, "POST", &path, kind, form("text/csv")).await.expect("an answer");
    assert_eq!(status, 400);
    assert!(String::from_utf8_lossy(&refused).contains("Received file of type 'text/csv'."));
    let (status, answer) = request(&sim, "POST", &path, kind, form("image/png")).await.expect("an answer");
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    let id = answer["id"].as_str().expect("an id").to_owned();
    let (_, found) = call(&sim, "GET", &format!("/v25.0/{id}"), &Value::Null).await;
    let url = found["url"].as_str().expect("a url").to_owned();
    let (status, bytes) = request(&sim, "GET", &url, "text/plain", "").await.expect("an answer");
    assert_eq!((status, &bytes[..]), (200, &b"bytes"[..]));
    sim.advance(300);
    assert_eq!(request(&sim, "GET", &url, "text/plain", "").await.expect("an answer").0, 404);
    assert_eq!(call(&sim, "GET", &format!("/v25.0/{id}"), &Value::Null).await.0, 200);
    sim.advance(30 * 24 * 3600);
    let (_, gone) = send(&sim, json!({ "type": "image", "image": { "id": id } })).await;
    assert_eq!(
        gone["error"]["message"],
        "(#100) Param image['id'] is not a valid whatsapp business account media attachment ID"
    );
}

#[tokio::test]
async fn faults_strike_by_script() {
    let sim = started().await;
    sim.say_text("ana", "Oi").expect("said");
    sim.faults(&json!([
        { "match": { "path": "/messages", "nth": 2 }, "code": 131_000, "body": "string_error_data" },
        { "match": { "path": "/messages", "nth": 3 }, "http": 502, "body": "html" },
        { "match": { "path": "/messages", "nth": 4 }, "reset_after_accept": true },
    ]))
    .expect("rules");
    assert_eq!(send(&sim, text("one")).await.0, 200);
    let (status, answer) = send(&sim, text("two")).await;
    assert_eq!((status, answer["error"]["error_data"].is_string()), (500, true));
    assert_eq!(send(&sim, text("three")).await, (502, Value::Null));
    let mut body = text("four");
    body["to"] = json!(RECIPIENT);
    body["messaging_product"] = json!("whatsapp");
    let cut = request(&sim, "POST", &format!("/v25.0/{NUMBER}/messages"), "application/json", body.to_string()).await;
    assert!(cut.is_err());
    // It was accepted all the same.
    assert_eq!(sim.accepted(), 2);
    let outcomes: Vec<String> = sim.journal(0).into_iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, ["accepted", "fault 131000", "fault 1", "reset"]);
}

#[tokio::test]
async fn tokens_expire_and_open_only_their_own_accounts() {
    let sim = started().await;
    sim.setup(&json!({ "tokens": [{ "token": TOKEN, "app": "90001", "wabas": ["1"] }] })).expect("a token");
    let (_, foreign) = call(&sim, "GET", &format!("/v25.0/{WABA}/message_templates"), &Value::Null).await;
    assert_eq!((foreign["error"]["code"].as_i64(), foreign["error"]["error_subcode"].as_i64()), (Some(100), Some(33)));
    assert_eq!(sim.violations().token_to_foreign_path, 1);
    sim.setup(&json!({ "tokens": [{ "token": TOKEN, "app": "90001", "expires_at": START + 10 }] })).expect("a token");
    assert_eq!(call(&sim, "GET", &format!("/v25.0/{NUMBER}"), &Value::Null).await.0, 200);
    sim.advance(10);
    let (status, expired) = call(&sim, "GET", &format!("/v25.0/{NUMBER}"), &Value::Null).await;
    assert_eq!((status, expired["error"]["error_subcode"].as_i64()), (401, Some(463)));
}

/// Posts bytes of a sample.
async fn bytes_of(sim: &Sim, session: &str, offset: &str, bytes: &'static [u8]) -> (u16, Value) {
    let headers = [("content-type", "application/octet-stream"), ("file_offset", offset)];
    let (status, answer) =
        request_with(sim, "POST", &format!("/v26.0/{session}"), &headers, bytes).await.expect("answers");
    (status, serde_json::from_slice(&answer).unwrap_or(Value::Null))
}

fn pictured(name: &str, handle: &Value) -> Value {
    json!({ "name": name, "language": "en_US", "category": "UTILITY", "components": [
        { "type": "HEADER", "format": "IMAGE", "example": { "header_handle": [handle] } },
        { "type": "BODY", "text": "Look at this." }] })
}

#[tokio::test]
async fn a_sample_is_uploaded_in_two_steps_and_its_handle_opens_a_template() {
    let sim = started().await;
    sim.knobs(&json!({ "unknown_handles": "refuse" })).expect("a knob");
    let begin = |query: &str| format!("/v26.0/90001/uploads?{query}");
    for query in [
        "file_type=image/png",
        "file_length=7",
        "file_length=x&file_type=image/png",
        "file_length=7&file_type=text/plain",
    ] {
        let (status, answer) = call(&sim, "POST", &begin(query), &Value::Null).await;
        assert_eq!((status, answer["error"]["code"].as_i64()), (400, Some(100)), "{query}: {answer}");
    }
    let (_, begun) =
        call(&sim, "POST", &begin("file_name=a.png&file_length=7&file_type=image%2Fpng"), &Value::Null).await;
    let session = begun["id"].as_str().expect("a session").to_owned();
    assert!(session.starts_with("upload:") && session.contains("?sig="), "{session}");
    let (bare, _) = session.split_once('?').expect("a query");
    assert_eq!(bytes_of(&sim, bare, "0", b"1234567").await.0, 400, "without its signature");
    assert_eq!(bytes_of(&sim, &session, "1", b"1234567").await.0, 400, "not from the beginning");
    assert_eq!(bytes_of(&sim, &session, "0", b"12345678").await.0, 400, "too long");
    assert_eq!(bytes_of(&sim, &session, "0", b"123").await.0, 400, "too short, and kept");
    let (_, so_far) = call(&sim, "GET", &format!("/v26.0/{session}"), &Value::Null).await;
    assert_eq!(so_far["file_offset"], 3);
    let (status, given) = bytes_of(&sim, &session, "3", b"4567").await;
    assert_eq!(status, 200, "{given}");
    assert!(given["h"].as_str().is_some_and(|handle| handle.starts_with("4::")), "{given}");
    assert_eq!(bytes_of(&sim, &session, "0", b"1234567").await.0, 400, "it is over");

    let path = format!("/v26.0/{WABA}/message_templates");
    let (status, made) = call(&sim, "POST", &path, &pictured("with_sample", &given["h"])).await;
    assert_eq!(status, 200, "{made}");
    let shown_path = format!("/v26.0/{}", made["id"].as_str().expect("an id"));
    let (_, shown) = call(&sim, "GET", &shown_path, &Value::Null).await;
    let link = shown["components"][0]["example"]["header_handle"][0].clone();
    assert!(link.as_str().is_some_and(|link| link.starts_with("https://scontent.")), "{shown}");
    assert!(shown["components"][1].get("cards").is_none(), "nothing else is changed: {shown}");
    // Neither Meta's own link nor a word of ours is a handle, when it is made and when it is edited.
    assert!(sim.template_status(
        made["id"].as_str().and_then(|id| id.parse().ok()).expect("a number"),
        "APPROVED",
        None
    ));
    for wrong in [link, json!("4::x")] {
        let (status, refused) = call(&sim, "POST", &path, &pictured("without", &wrong)).await;
        assert_eq!((status, refused["error"]["error_subcode"].as_i64()), (400, Some(2_388_047)), "{refused}");
        let edit = json!({ "components": pictured("x", &wrong)["components"] });
        assert_eq!(call(&sim, "POST", &shown_path, &edit).await.0, 400);
    }
    let mut video = pictured("moving", &given["h"]);
    video["components"][0]["format"] = json!("VIDEO");
    assert_eq!(call(&sim, "POST", &path, &video).await.0, 400, "a picture is no video");
}

#[tokio::test]
async fn a_proof_of_the_apps_secret_is_checked_when_it_is_given_and_can_be_demanded() {
    let sim = started().await;
    let proof = signature(SECRET, TOKEN.as_bytes());
    let ask = async |query: &str| call(&sim, "GET", &format!("/v26.0/{NUMBER}{query}"), &Value::Null).await;
    assert_eq!(ask("").await.0, 200);
    assert_eq!(ask(&format!("?appsecret_proof={proof}")).await.0, 200);
    let (status, wrong) = ask("?appsecret_proof=00").await;
    let message = "Invalid appsecret_proof provided in the API argument";
    assert_eq!((status, &wrong["error"]["code"], &wrong["error"]["message"]), (400, &json!(100), &json!(message)));
    sim.knobs(&json!({ "require_proof": true })).expect("a knob");
    let (status, missing) = ask("").await;
    let message = "API calls from the server require an appsecret_proof argument";
    assert_eq!((status, &missing["error"]["code"], &missing["error"]["message"]), (400, &json!(100), &json!(message)));
    assert_eq!(ask(&format!("?appsecret_proof={proof}")).await.0, 200);
}
