//! Every curl sample of the Zapini documentation, run by curl itself, in its order, over the simulator.
//!
//! Adapted in each sample: the base URL, the token, ids and numbers, and what is the reader's own (the login, the path of a file, the
//! URLs of files and of a webhook). Two more changes: the sample of a gateway's webhook has no credential, and gets the secret of its
//! instance; and where one sample deletes what a later one names, the later one gets another. Each answer has the documented status, message and
//! keys; it may have more keys, and null where the documentation shows a value.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use pombo_tests::files::{noise, sha256};
use pombo_tests::http::Client;
use pombo_tests::process::root;
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::webhook::{Receiver, jpeg};
use pombo_tests::whatsapp::Events;
use pombo_whatsapp_sim::peer::Attachment;
use serde_json::{Value, json};

use crate::shared::{Pair, Stage, number, pair};

/// The documentation's own ids.
const INSTANCE: &str = "550e8400-e29b-41d4-a716-446655440000";
const CONVERSATION: &str = "550e8400-e29b-41d4-a716-446655440045";
const FIRST: &str = "550e8400-e29b-41d4-a716-446655440001";
const SECOND: &str = "550e8400-e29b-41d4-a716-446655440002";
const THIRD: &str = "550e8400-e29b-41d4-a716-446655440003";

struct Sample {
    name: String,
    status: u16,
    command: String,
    /// The answer that the documentation shows.
    answer: Option<Value>,
}

fn samples() -> Result<Vec<Sample>> {
    let text = std::fs::read_to_string(root().join("tests/fixtures/zapini/samples.sh"))?;
    let mut found = Vec::new();
    for block in text.split("\n#@ ").skip(1) {
        let (title, command) = block.split_once('\n').context("an empty sample")?;
        let (name, status) = title.split_once(' ').context("a sample without a status")?;
        let (command, answer) = match command.split_once("\n#= ") {
            Some((command, answer)) => (command, Some(serde_json::from_str(answer).with_context(|| name.to_owned())?)),
            None => (command, None),
        };
        let (name, command) = (name.to_owned(), command.trim().to_owned());
        found.push(Sample { name, status: status.trim().parse()?, command, answer });
    }
    Ok(found)
}

/// Runs a command line in a folder; the status and the body that curl saw.
fn run(command: &str, folder: &Path) -> Result<(u16, String)> {
    let command = format!("{command} -sS -w '\\n%{{http_code}}'");
    let output = Command::new("bash").arg("-c").arg(&command).current_dir(folder).output()?;
    ensure!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').context("curl says no status")?;
    Ok((status.parse()?, body.to_owned()))
}

/// The places at which an answer lacks a documented key, or has another type there.
fn lacking(answered: &Value, example: &Value, path: &str, found: &mut Vec<String>) {
    match (answered, example) {
        (Value::Object(given), Value::Object(wanted)) => {
            for (key, wanted) in wanted {
                let path = format!("{path}.{key}");
                match given.get(key) {
                    Some(given) => lacking(given, wanted, &path, found),
                    None => found.push(path),
                }
            }
        }
        (Value::Array(given), Value::Array(wanted)) => {
            let Some(wanted) = wanted.first() else { return };
            given.iter().for_each(|row| lacking(row, wanted, &format!("{path}[]"), found));
        }
        (Value::Null, wanted) if !wanted.is_object() && !wanted.is_array() => {}
        (given, wanted) if std::mem::discriminant(given) == std::mem::discriminant(wanted) => {}
        // `null` in an example stands for what may have a value.
        (_, Value::Null) => {}
        _ => found.push(format!("{path} is {answered}")),
    }
}

/// What the samples need, and what they leave for later ones.
struct Course<'a> {
    stage: &'a Stage,
    pair: &'a Pair,
    /// With a key of the whole tenant, whose requests are counted apart from those of the samples.
    zapini: Client,
    receiver: Receiver,
    token: String,
    /// An instance that nobody connects, with an automation that has these conversations.
    idle: String,
    automated: Vec<String>,
    /// A connected instance, to be disconnected.
    spare: String,
    /// An instance behind a gateway, and its secret.
    gateway: (String, String),
    members: Vec<String>,
    sent: String,
    said: String,
    shown: String,
    conversation: String,
    media: String,
    picture: Vec<u8>,
    group: String,
    tags: [String; 2],
}

impl Course<'_> {
    fn login(&self) -> Result<String> {
        let body = json!({"email": self.pair.tenant.email, "password": self.pair.tenant.password});
        let told = self.stage.server.client().post("/zapini/auth/login", &body)?.expect_json(200)?;
        text_of(&told["data"], "token")
    }

    fn tag(&self, name: &str) -> Result<String> {
        let made = self.zapini.post("/zapini/tags", &json!({"name": name, "color": "#f59e0b"}))?.expect_json(201)?;
        text_of(&made["data"]["tag"], "id")
    }

    /// The person writes; waits until it is unread.
    fn write(&self, words: &str) -> Result<()> {
        let chat = format!("{}@s.whatsapp.net", self.pair.ours).parse()?;
        self.stage.whatsapp.wait(self.pair.peer.send_text(&chat, words))?;
        until("what was written", PATIENCE, || {
            let listed = self.pair.tenant.client.get("/v1/conversations?limit=100")?.expect_json(200)?;
            let rows = listed["data"].as_array().into_iter().flatten();
            let mut rows = rows.filter(|row| row["connectorId"] == json!(self.pair.connector));
            Ok(rows.any(|row| row["unread"].as_u64().is_some_and(|unread| unread > 0)).then_some(()))
        })
    }

    /// The person sends a picture; the UUID of its message, once its file is there.
    fn receive_picture(&self) -> Result<String> {
        let mut events = Events::from_now(&self.pair.tenant)?;
        let chat = format!("{}@s.whatsapp.net", self.pair.ours).parse()?;
        let what = Attachment::Image { caption: Some("olha") };
        let id = self.stage.whatsapp.wait(self.pair.peer.send_media(&chat, self.picture.clone(), what))?;
        if events.message(&id)?["attachment"]["state"] != "ready" {
            events.expect("the file", |e| {
                e["type"] == "message.media" && e["data"]["providerId"] == id.as_str() && e["data"]["state"] == "ready"
            })?;
        }
        let path = format!("/zapini/conversations/{}/messages?limit=100", self.conversation);
        let page = self.zapini.get(&path)?.expect_json(200)?;
        let mut messages = page["data"]["messages"].as_array().into_iter().flatten();
        let shown = messages.find(|message| message["whatsapp_message_id"] == id.as_str());
        text_of(shown.context("the picture is not in its conversation")?, "unique_id")
    }

    /// Makes what a sample needs; what is to be replaced in it, before what is to be replaced in all.
    fn prepare(&mut self, name: &str) -> Result<Vec<(&'static str, String)>> {
        let pair = self.pair;
        Ok(match name {
            "refresh" => {
                self.token = self.login()?;
                vec![]
            }
            "instance-qr" => vec![(INSTANCE, self.idle.clone())],
            "disconnect" | "reconnect" => vec![(INSTANCE, self.spare.clone())],
            "qr" => {
                // A code is replaced after a while, and not for ever.
                let path = format!("/zapini/instances/{}/qr", self.idle);
                let code = self.zapini.get(&path)?.expect_json(200)?;
                ensure!(code["data"]["status"] == "qr_ready", "{code}");
                let at = self.stage.server.address();
                vec![("https://instance-{id}.zapini.app", format!("http://{at}/zapini/instance-{}", self.idle))]
            }
            "send-reaction" => vec![("3EB0B430A8B7F23C1D12", self.sent.clone())],
            "conversations" => {
                self.write("Ok, deal!")?;
                vec![]
            }
            "pause-automation" | "chat-pause" | "chat-resume" => vec![(CONVERSATION, self.automated[0].clone())],
            "bulk-pause" => [FIRST, SECOND, THIRD].into_iter().zip(self.automated.clone()).collect(),
            "chat-pause-with-reason" | "chat-resume-again" | "counted-bulk-pause" | "counted-bulk-resume" => vec![
                ("a1b2c3d4-e5f6-7890-abcd-ef1234567890", self.automated[0].clone()),
                ("b2c3d4e5-f6a7-8901-bcde-f12345678901", self.automated[1].clone()),
            ],
            "contacts" => {
                let body = json!({"instance_id": pair.connector, "phone_number": number(), "name": "John Roe"});
                self.zapini.post("/zapini/contacts", &body)?.expect(201)?;
                vec![]
            }
            "create-contact" | "import-contacts" => vec![("5511999999999", number()), ("5511888888888", number())],
            "incoming" => {
                let (gateway, secret) = &self.gateway;
                let at = self.stage.server.address();
                let url = format!("'http://{at}/zapini/webhooks/instance/{gateway}/incoming?secret={secret}'");
                vec![("https://zapini.app/webhooks/instance/{uuid}/incoming", url)]
            }
            "delete-media" => vec![("media_abc123xyz", self.media.clone())],
            "message-media" => vec![("660e8400-e29b-41d4-a716-446655440001", self.receive_picture()?)],
            "groups" => {
                let body = json!({"subject": "Marketing Team", "participants": [pair.theirs]});
                let path = format!("/zapini/instances/{}/groups", pair.connector);
                self.zapini.post(&path, &body)?.expect(201)?;
                vec![]
            }
            // They are not in the group yet.
            "add-participants" | "remove-participants" => {
                vec![("5511987654321", self.members[2].clone()), ("5511976543210", self.members[3].clone())]
            }
            "tags" => {
                self.tags = [self.tag("VIP")?, self.tag("Support")?];
                vec![]
            }
            "conversation-tags" => {
                // The first one was deleted by the sample before.
                self.tags[0] = self.tag("VIP")?;
                vec![
                    (INSTANCE, self.conversation.clone()),
                    (FIRST, self.tags[0].clone()),
                    (SECOND, self.tags[1].clone()),
                ]
            }
            "tag" | "update-tag" | "delete-tag" => vec![(FIRST, self.tags[0].clone())],
            "chat-conversations" => {
                self.write("Hello!")?;
                vec![]
            }
            "edit-message" | "delete-message" => vec![("msg-abc-123", self.said.clone())],
            "react" | "unreact" => vec![("msg-abc-123", self.shown.clone())],
            _ => vec![],
        })
    }

    /// A sample for this stage.
    fn adapted(&self, command: &str, own: Vec<(&'static str, String)>, index: u64) -> String {
        let (pair, at) = (self.pair, self.stage.server.address());
        let all = [
            ("https://instance-{id}.zapini.app", format!("http://{at}/zapini/instance-{{id}}")),
            ("https://zapini.app", format!("http://{at}/zapini")),
            ("{id}", pair.connector.clone()),
            ("{uuid}", pair.connector.clone()),
            ("{jid}", self.group.clone()),
            ("{token}", self.token.clone()),
            (INSTANCE, pair.connector.clone()),
            (CONVERSATION, self.conversation.clone()),
            ("\"18\"", format!("\"{index}\"")),
            ("user@example.com", pair.tenant.email.clone()),
            ("your_password", pair.tenant.password.clone()),
            ("5511999999999", pair.theirs.clone()),
            ("5521999999999", pair.theirs.clone()),
            ("5511987654321", self.members[0].clone()),
            ("5511976543210", self.members[1].clone()),
            ("https://example.com/image.jpg", self.receiver.url("/image/9000/image.jpg")),
            ("https://example.com/report.pdf", self.receiver.url("/file/5000/report.pdf")),
            ("https://your-server.com/webhook", self.receiver.url("/webhook")),
            ("/path/to/image.jpg", "image.jpg".to_owned()),
        ];
        own.into_iter().chain(all).fold(command.to_owned(), |text, (from, to)| text.replace(from, &to))
    }

    /// Keeps what later samples name.
    fn learn(&mut self, name: &str, answer: &Value) -> Result<()> {
        let data = &answer["data"];
        match name {
            "login" | "refresh" => self.token = text_of(data, "token")?,
            "send-message" => {
                self.sent = text_of(answer, "message_id")?;
                let arrived = self.stage.whatsapp.wait(self.pair.peer.message(&self.sent))?;
                assert_eq!(arrived.text.as_deref(), Some("Olá! Esta é uma mensagem de teste."));
            }
            "conversations" => self.conversation = text_of(&data[0], "id")?,
            "upload" => self.media = text_of(data, "id")?,
            "create-group" => self.group = text_of(&data["group"], "jid")?,
            "chat-send" => self.said = text_of(&data["message"], "unique_id")?,
            "chat-send-media" => self.shown = text_of(&data["message"], "unique_id")?,
            _ => {}
        }
        // Where the documentation shows rows, there are some.
        let rows = match name {
            "instances" | "tags" | "groups" => &data[name],
            "conversations" | "contacts" | "chat-conversations" => data,
            "chat-messages" => &data["messages"],
            _ => return Ok(()),
        };
        ensure!(rows.as_array().is_some_and(|rows| !rows.is_empty()), "{name} has no rows: {answer}");
        Ok(())
    }
}

/// An instance that nobody connects, with an automation that answers three people there; the conversations.
fn automated(stage: &Stage, pair: &Pair) -> Result<(String, Vec<String>)> {
    let own = &pair.tenant.client;
    let idle = stage.whatsapp.unpaired(&pair.tenant)?;
    // Nobody listens at its server.
    let config = json!({"url": "http://127.0.0.1:9/bot", "secret": "0123456789abcdef"});
    let body = json!({"name": "bot", "plugin": "integration-webhook", "connectorId": idle, "config": config});
    let automation = text_of(&own.post("/v1/automations", &body)?.expect_json(201)?, "id")?;
    let start = || -> Result<String> {
        let body = json!({"to": number(), "input": {}});
        let started = own.post(&format!("/v1/automations/{automation}/start"), &body)?.expect_json(202)?;
        text_of(&started, "conversationId")
    };
    let conversations = (0..3).map(|_| start()).collect::<Result<_>>()?;
    Ok((idle, conversations))
}

#[test]
fn every_documented_sample_works() -> Result<()> {
    let (stage, pair) = pair()?;
    let (idle, automated) = automated(stage, &pair)?;
    let phone = number();
    stage.whatsapp.register(&phone)?;
    let spare = stage.whatsapp.paired(&pair.tenant, &phone)?;
    // Nobody answers at its address; only its webhooks count here.
    let gateway = json!({"baseUrl": "https://127.0.0.1:9", "token": "sk_gateway"});
    let gateway = pair.tenant.connector("connector-gateway", &gateway)?;
    let receiving = pair.tenant.client.get(&format!("/v1/connectors/{gateway}/receiving"))?.expect_json(200)?;
    let secret = text_of(&receiving, "secret")?;
    let members: Vec<String> = (0..4).map(|_| number()).collect();
    members.iter().try_for_each(|member| stage.whatsapp.register(member))?;
    let zapini = stage.server.client().bearer(&pair.tenant.key);
    let shown = zapini.get(&format!("/zapini/instances/{}", pair.connector))?.expect_json(200)?;
    let index = shown["data"]["instance"]["id"].as_u64().context("an instance has a number")?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("image.jpg"), jpeg(9_000))?;
    let none = String::new;
    let mut course = Course {
        stage,
        pair: &pair,
        zapini,
        receiver: Receiver::start()?,
        token: none(),
        idle,
        automated,
        spare,
        gateway: (gateway, secret),
        members,
        sent: none(),
        said: none(),
        shown: none(),
        conversation: none(),
        media: none(),
        picture: noise(9_000, 61),
        group: none(),
        tags: [none(), none()],
    };
    let all = samples()?;
    assert_eq!(all.len(), 61);
    assert_eq!(all.iter().filter(|sample| sample.answer.is_some()).count(), 28);
    for Sample { name, status, command, answer } in all {
        let own = course.prepare(&name).with_context(|| name.clone())?;
        let command = course.adapted(&command, own, index);
        let (got, body) = run(&command, folder.path()).with_context(|| name.clone())?;
        assert_eq!(got, status, "{name}: {body}\n{command}");
        match name.as_str() {
            "export-contacts" => ensure!(body.lines().count() > 1 && body.contains("John"), "{body}"),
            "message-media" => {
                let file = std::fs::read(folder.path().join("downloaded_media.jpg"))?;
                assert_eq!(sha256(&file), sha256(&course.picture));
            }
            _ => {
                let told: Value = serde_json::from_str(&body).with_context(|| format!("{name}: {body}"))?;
                if name != "health" {
                    assert_eq!(told["success"], true, "{name}: {told}");
                }
                if let Some(example) = &answer {
                    let mut missing = Vec::new();
                    lacking(&told, example, "", &mut missing);
                    assert!(missing.is_empty(), "{name} lacks {missing:?}: {told}");
                    // Those that count conversations say how many it were here.
                    let counts = |message: &str| message.starts_with(|c: char| c.is_ascii_digit());
                    if example["message"].as_str().is_some_and(|message| !counts(message)) {
                        assert_eq!(told["message"], example["message"], "{name}");
                    }
                }
                course.learn(&name, &told).with_context(|| name.clone())?;
            }
        }
    }
    Ok(())
}

#[test]
#[should_panic(expected = "[\".data[].b\", \".data[].a is \\\"1\\\"\"]")]
fn what_an_answer_lacks_is_seen() {
    let mut missing = Vec::new();
    let example = json!({"data": [{"a": 1, "b": {"c": 2}}]});
    lacking(&json!({"data": [{"a": 5}, {"a": "1", "b": {"c": null}}], "more": 1}), &example, "", &mut missing);
    assert!(missing.is_empty(), "{missing:?}");
}
