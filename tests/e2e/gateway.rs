//! `connector-gateway`: WhatsApp behind a gateway elsewhere, both ways.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pombo_tests::files::noise;
use pombo_tests::gateway::{Gateway, Script, incoming};
use pombo_tests::http::Form;
use pombo_tests::process::target;
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::webhook::jpeg;
use pombo_tests::whatsapp::{Events, connected, session};
use serde_json::{Value, json};

/// The gateway's token; it must never be seen.
const TOKEN: &str = "sk_gateway_4711";
/// The account's number.
pub(crate) const OURS: &str = "5511900000000";
/// Somebody's number.
pub(crate) const THEIRS: &str = "5511999999999";

/// A gateway, and a tenant with a connector to it that is connected.
pub(crate) struct Bench {
    pub(crate) gateway: Gateway,
    pub(crate) tenant: Tenant,
    pub(crate) connector: String,
}

impl Bench {
    /// On this engine, which must trust the gateway.
    fn on(server: &Server, gateway: Gateway) -> Result<Self> {
        let tenant = Tenant::create(server)?;
        let config = json!({"baseUrl": gateway.base_url(), "token": TOKEN, "instanceId": "7"});
        let connector = tenant.connector("connector-gateway", &config)?;
        tenant.pace(&connector, &json!({}))?;
        gateway.listen_to(server, &tenant, &connector)?;
        gateway.connect(OURS)?;
        connected(&tenant, &connector)?;
        Ok(Self { gateway, tenant, connector })
    }

    /// Queues a message; its id.
    fn queue(&self, body: &Value) -> Result<String> {
        let path = format!("/v1/connectors/{}/messages", self.connector);
        text_of(&self.tenant.client.post(&path, body)?.expect_json(201)?, "id")
    }

    /// Queues a message and waits until it is SENT; its id and WhatsApp's.
    fn send(&self, body: &Value) -> Result<(String, String)> {
        let id = self.queue(body)?;
        let message = self.tenant.wait_status(&id, &["SENT"])?;
        Ok((id, text_of(&message, "providerId")?))
    }

    /// Posts a message that somebody wrote.
    pub(crate) fn receive(&self, id: &str, message: &Value) -> Result<()> {
        self.gateway.post("incoming", &incoming(THEIRS, id, message))
    }
}

fn options(gateway: &Gateway) -> Options {
    Options { demo: false, ..Options::with(&gateway.settings()) }
}

/// The engine and the gateway that most tests share. The tests take turns: a script is for the next call, whoever makes it.
struct Stage {
    server: Server,
    bench: Bench,
}

pub(crate) fn staged(test: impl FnOnce(&Server, &Bench) -> Result<()>) -> Result<()> {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = match STAGE.get() {
        Some(stage) => stage,
        None => {
            let gateway = Gateway::start()?;
            // A temporary folder would be left behind: nobody ends what is shared.
            let folder = Some(target().join("gateway-server"));
            let server = Server::start(Options { folder, ..options(&gateway) })?;
            let bench = Bench::on(&server, gateway)?;
            STAGE.get_or_init(|| Stage { server, bench })
        }
    };
    // Whatever state another test left.
    stage.bench.gateway.connect(OURS)?;
    connected(&stage.bench.tenant, &stage.bench.connector)?;
    test(&stage.server, &stage.bench)
}

#[test]
fn texts_files_and_reactions_reach_the_gateway() -> Result<()> {
    staged(|_, bench| {
        let (first, provider_id) = bench.send(&json!({"to": format!("+{THEIRS}"), "text": "bom dia"}))?;
        let call = bench.gateway.call("the text", |call| call.body["message"] == "bom dia")?;
        assert_eq!((call.path.as_str(), call.id.as_deref()), ("/send-message", Some(provider_id.as_str())));
        assert_eq!((call.authorization, call.instance.as_str()), (format!("Bearer {TOKEN}"), "7"));
        assert_eq!(call.body, json!({"recipient": THEIRS, "message": "bom dia"}));

        bench.send(&json!({"to": THEIRS, "text": "resposta", "replyTo": {"messageId": first}}))?;
        let call = bench.gateway.call("the reply", |call| call.body["message"] == "resposta")?;
        assert_eq!(call.body["reply_to"], json!(provider_id));

        let content = jpeg(70_000);
        let request = bench.tenant.client.request("POST", "/v1/media");
        let form = Form::new().file("file", "foto.jpg", "image/jpeg", &content);
        let file = text_of(&form.into_request(request).send()?.expect_json(201)?, "id")?;
        let attachments = json!([{"id": file, "fileName": "foto.jpg", "contentType": "image/jpeg"}]);
        bench.send(&json!({"to": THEIRS, "text": "veja", "attachments": attachments}))?;
        let call = bench.gateway.call("the file", |call| call.path == "/send-media")?;
        assert_eq!((&call.body["caption"], &call.body["media_type"]), (&json!("veja"), &json!("image")));
        ensure!(call.file.as_ref() == Some(&content), "the link leads elsewhere: {}", call.body);

        let path = format!("/v1/messages/{first}/reactions");
        let queued = bench.tenant.client.post(&path, &json!({"emoji": "👍"}))?.expect_json(201)?;
        bench.tenant.wait_status(&text_of(&queued, "id")?, &["SENT"])?;
        let call = bench.gateway.call("the reaction", |call| call.path == "/send-reaction")?;
        let to = format!("{THEIRS}@s.whatsapp.net");
        assert_eq!(call.body, json!({"to": to, "messageId": provider_id, "emoji": "👍"}));
        Ok(())
    })
}

#[test]
fn receipts_are_told_also_those_that_come_before_the_answer() -> Result<()> {
    staged(|_, bench| {
        let mut events = Events::from_now(&bench.tenant)?;
        bench.gateway.script(Script::Early(vec![2, 3]));
        let (early, provider_id) = bench.send(&json!({"to": THEIRS, "text": "cedo"}))?;
        let delivered = events.receipt(&early, "delivered")?;
        assert_eq!(delivered["providerId"], json!(provider_id), "{delivered}");

        let (later, provider_id) = bench.send(&json!({"to": THEIRS, "text": "depois"}))?;
        for status in [1, 2, 3, 3, 4, 4, 5] {
            bench.gateway.progress(&provider_id, status)?;
        }
        events.receipt(&later, "played")?;
        let mine = |event: &&Value| event["type"] == "message.receipt" && event["data"]["messageId"] == later.as_str();
        let kinds: Vec<Value> =
            events.drain()?.iter().filter(mine).map(|event| event["data"]["kind"].clone()).collect();
        // That the server has it was the answer to the send.
        assert_eq!(kinds, ["delivered", "read", "played"].map(Value::from), "each once");

        let (failed, provider_id) = bench.send(&json!({"to": THEIRS, "text": "nunca"}))?;
        bench.gateway.progress(&provider_id, 0)?;
        events.receipt(&failed, "failed")?;
        Ok(())
    })
}

#[test]
fn what_the_gateway_answers_decides_what_becomes_of_a_message() -> Result<()> {
    staged(|_, bench| {
        let error = |code: &str| json!({"success": false, "error": {"code": code, "message": "words"}});
        bench.gateway.script(Script::Answer(422, error("INVALID_RECIPIENT")));
        let nobody = bench.queue(&json!({"to": THEIRS, "text": "ninguém"}))?;
        let failed = bench.tenant.wait_status(&nobody, &["FAILED"])?;
        assert_eq!(failed["reason"]["code"], "invalid_recipient", "{failed}");

        let count = |text: &str| bench.gateway.calls().iter().filter(|call| call.body["message"] == text).count();
        bench.gateway.script(Script::Answer(503, error("NOT_SENT")));
        bench.send(&json!({"to": THEIRS, "text": "de novo"}))?;
        assert_eq!(count("de novo"), 2);

        let mut limited = error("RATE_LIMITED");
        limited["retryAfter"] = json!(1);
        bench.gateway.script(Script::Answer(429, limited));
        bench.send(&json!({"to": THEIRS, "text": "devagar"}))?;
        assert_eq!(count("devagar"), 2);

        bench.gateway.script(Script::HangUp);
        let lost = bench.queue(&json!({"to": THEIRS, "text": "talvez"}))?;
        bench.tenant.wait_status(&lost, &["UNKNOWN"])?;
        assert_eq!(count("talvez"), 1, "what may have been sent is not sent again");
        Ok(())
    })
}

#[test]
fn what_people_write_is_told_once() -> Result<()> {
    staged(|_, bench| {
        let mut events = Events::from_now(&bench.tenant)?;
        let nulls = json!({"conversation": "Hello!", "extendedTextMessage": null, "imageMessage": null});
        for _ in 0..3 {
            bench.receive("IN-TEXT", &nulls)?;
        }
        let got = events.message("IN-TEXT")?;
        assert_eq!(
            (&got["text"], &got["chat"], &got["senderName"]),
            (&json!("Hello!"), &json!(THEIRS), &json!("John Doe"))
        );

        let place = json!({"locationMessage": {"degreesLatitude": -23.5, "degreesLongitude": -46.6, "name": "Sé"}});
        bench.receive("IN-PLACE", &place)?;
        assert_eq!(events.message("IN-PLACE")?["location"]["name"], "Sé");

        let reaction = json!({
            "key": {"remoteJid": format!("{THEIRS}@s.whatsapp.net"), "id": "IN-TEXT", "fromMe": false},
            "reaction": {"text": "👍", "key": {"id": "IN-REACTION"}}, "senderJid": format!("{THEIRS}@s.whatsapp.net"),
        });
        bench.gateway.post("reaction", &reaction)?;
        assert_eq!(events.message("IN-REACTION")?["reaction"], json!({"to": "IN-TEXT", "emoji": "👍"}));

        let edit = json!({"protocolMessage": {
            "key": {"id": "IN-TEXT"}, "type": 14, "editedMessage": {"conversation": "Hello, world!"}}});
        bench.receive("IN-EDIT", &edit)?;
        assert_eq!(events.message("IN-EDIT")?["edit"], json!({"of": "IN-TEXT", "text": "Hello, world!"}));
        bench.receive("IN-REVOKE", &json!({"protocolMessage": {"key": {"id": "IN-TEXT"}, "type": 0}}))?;
        assert_eq!(events.message("IN-REVOKE")?["revoked"], "IN-TEXT");

        let mut own = incoming(THEIRS, "IN-OWN", &json!({"conversation": "do celular"}));
        own["key"]["fromMe"] = json!(true);
        bench.gateway.post("incoming", &own)?;
        let got = events.message("IN-OWN")?;
        assert_eq!((&got["fromMe"], &got["sender"]), (&json!(true), &json!(OURS)), "{got}");
        // The gateway tells of its own sends too; the engine has them.
        let (_, provider_id) = bench.send(&json!({"to": THEIRS, "text": "eco"}))?;
        own["key"]["id"] = json!(provider_id);
        bench.gateway.post("incoming", &own)?;

        let all = events.drain()?;
        let told = |id: &str| {
            let is = |event: &&Value| event["type"] == "message.received" && event["data"]["providerId"] == id;
            all.iter().filter(is).count()
        };
        assert_eq!((told("IN-TEXT"), told(&provider_id)), (1, 0));
        Ok(())
    })
}

#[test]
fn files_are_fetched_from_the_gateway_or_said_to_be_missing() -> Result<()> {
    staged(|server, bench| {
        let mut events = Events::from_now(&bench.tenant)?;
        let content = noise(400_000, 11);
        let mut body = incoming(
            THEIRS,
            "IN-FILE",
            &json!({"documentMessage": {
            "fileName": "nota.pdf", "mimetype": "application/pdf", "caption": "a nota",
            "url": "https://mmg.whatsapp.net/v/t62/1.enc"}}),
        );
        body["mediaUrl"] = json!(bench.gateway.offer("nota", &content));
        bench.gateway.post("incoming", &body)?;
        let got = events.message("IN-FILE")?;
        assert_eq!(
            (&got["attachment"]["fileName"], &got["attachment"]["caption"]),
            (&json!("nota.pdf"), &json!("a nota"))
        );
        let ready = |event: &Value| event["type"] == "message.media" && event["data"]["providerId"] == "IN-FILE";
        let file = events.expect("the file", ready)?["data"]["file"].clone();
        let url = text_of(&file, "url")?;
        let path = url.find("/v1/").map(|at| url[at..].to_owned()).context("a link into the API")?;
        let bytes = server.client().get(&path)?.expect(200)?.body;
        ensure!(bytes == content, "{} bytes", bytes.len());

        // Another host than the gateway's is opened only if the configuration names it.
        let mut body = incoming(THEIRS, "IN-ELSEWHERE", &json!({"imageMessage": {}}));
        body["url"] = json!("https://files.example/1.jpg");
        bench.gateway.post("incoming", &body)?;
        let failed = events.expect("the refusal", |event| {
            event["type"] == "message.media" && event["data"]["providerId"] == "IN-ELSEWHERE"
        })?;
        assert_eq!(failed["data"]["state"], "failed", "{failed}");
        bench.receive("IN-NOTHING", &json!({"imageMessage": {"url": "https://mmg.whatsapp.net/1.enc"}}))?;
        assert_eq!(events.message("IN-NOTHING")?["attachment"]["state"], "failed");
        Ok(())
    })
}

#[test]
fn who_may_post_and_what_is_malformed_is_said() -> Result<()> {
    staged(|server, bench| {
        let path = format!("/v1/connectors/{}/receive/incoming", bench.connector);
        let body = incoming(THEIRS, "IN-INTRUDER", &json!({"conversation": "x"}));
        server.client().with("X-Webhook-Secret", "guessed").post(&path, &body)?.expect(401)?;
        server.client().post(&path, &body)?.expect(401)?;
        // An address can be tried before anything is posted to it.
        let shown =
            bench.tenant.client.get(&format!("/v1/connectors/{}/receiving", bench.connector))?.expect_json(200)?;
        let tried = format!("{path}?secret={}", text_of(&shown, "secret")?);
        server.client().get(&tried)?.expect(200)?;
        server.client().get(&path)?.expect(401)?;
        bench.gateway.try_post("dancing", &json!({}))?.expect(404)?;
        let mut nameless = body.clone();
        nameless["key"]["id"] = Value::Null;
        let refused = bench.gateway.try_post("incoming", &nameless)?.expect_json(400)?;
        ensure!(refused["error"]["details"]["key.id"].is_array() && refused["success"] == false, "{refused}");
        let refused = bench.gateway.try_post("status", &json!({"key": {"id": "X"}, "status": 9}))?.expect_json(400)?;
        ensure!(refused["error"]["message"].as_str().is_some_and(|said| said.starts_with("status ")), "{refused}");
        let config = json!({"config": {"baseUrl": "http://127.0.0.1:9"}});
        let refused = bench.tenant.client.patch(&format!("/v1/connectors/{}", bench.connector), &config)?;
        ensure!(refused.status == 400 && refused.text().contains("baseUrl"), "{refused:?}");
        Ok(())
    })
}

#[test]
fn the_session_is_what_the_gateway_says_also_after_a_restart() -> Result<()> {
    let gateway = Gateway::start()?;
    let mut server = Server::start(options(&gateway))?;
    let bench = Bench::on(&server, gateway)?;
    let gateway = &bench.gateway;
    let mut events = Events::from_now(&bench.tenant)?;
    gateway.post("connection", &json!({"status": "disconnected"}))?;
    session(&bench.tenant, &bench.connector, "DISCONNECTED")?;
    gateway.post("qr", &json!({"qr": "2@ABC123", "qr_image": "data:image/png;base64,AA"}))?;
    assert_eq!(session(&bench.tenant, &bench.connector, "QR_CODE")?["qrText"], "2@ABC123");
    gateway.connect(OURS)?;
    connected(&bench.tenant, &bench.connector)?;

    let (id, provider_id) = bench.send(&json!({"to": THEIRS, "text": "segredo de antes"}))?;
    server.terminate(Duration::from_secs(30))?;
    server.launch()?;
    // Its `/status` does not answer: what it told before counts.
    connected(&bench.tenant, &bench.connector)?;
    gateway.progress(&provider_id, 4)?;
    events.receipt(&id, "read")?;
    bench.send(&json!({"to": THEIRS, "text": "depois"}))?;

    // What it lost while nobody listened, it says when it is asked.
    server.terminate(Duration::from_secs(30))?;
    gateway.say_status(Some(json!({"success": true, "status": "offline"})));
    server.launch()?;
    session(&bench.tenant, &bench.connector, "DISCONNECTED")?;
    gateway.say_status(Some(json!({"success": true, "status": "connected", "phone": OURS})));
    gateway.connect(OURS)?;
    connected(&bench.tenant, &bench.connector)?;
    server.terminate(Duration::from_secs(30))?;
    let log = server.log()?;
    ensure!(
        !log.contains(TOKEN) && !log.contains(THEIRS) && !log.contains("segredo de antes"),
        "the log says too much"
    );
    Ok(())
}
