//! A session connector that does what its messages tell it: the tests of the host's interfaces speak through it.
//!
//! A message's text is a JSON object with a field `do`; `deeds` has one function for each. The session: `run` counts its
//! logins and the runs that met another one alive in the key/value store, and emits what the configuration says.
#![cfg(target_arch = "wasm32")]

mod deeds;

use std::cell::RefCell;

use pombo_plugin::clock;
use pombo_plugin::connector::*;
use serde_json::Value;

/// Tests write another letter over these to have another version of the plugin.
const VERSION: &str = "1.0.0+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

const SCHEMA: &str =
    r#"{"type":"object","required":["host"],"properties":{"host":{"type":"string"},"secret":{"type":"string"}}}"#;

/// Content and operations without a case of their own, with the forms of their values.
const POLL: &str = r#"{"type":"object","required":["question","choices"],"additionalProperties":false,"properties":{
    "question":{"type":"string"},"choices":{"type":"array","minItems":2,"items":{"type":"string"}},"most":{"type":"integer"}}}"#;
const CALL: &str = r#"{"type":"object","required":["id","act"],"additionalProperties":false,"properties":{
    "id":{"type":"string"},"act":{"enum":["reject","accept"]}}}"#;
const LINK_STEP: &str = r#"{"type":"object","required":["id","answer"],"additionalProperties":false,"properties":{
    "id":{"type":"string"},"answer":{"type":"string","minLength":1}}}"#;

fn kind(name: &str, schema: &str) -> Kind {
    Kind { name: name.to_owned(), schema: schema.to_owned() }
}

/// The plugin.
#[derive(Debug)]
pub struct Probe {
    config: Value,
    /// Open connections, by the order of their opening.
    sockets: RefCell<Vec<std::rc::Rc<websocket::Connection>>>,
}

pub(crate) fn state(state: events::State) -> events::Event {
    events::Event::State(state)
}

pub(crate) fn account() -> events::Account {
    events::Account { address: "5511900000000".into(), display_name: Some("Probe".into()), aliases: vec!["lid".into()] }
}

pub(crate) async fn number(key: &str) -> u64 {
    let found = kv::get(key.to_owned()).await.ok().flatten().unwrap_or_default();
    String::from_utf8(found).ok().and_then(|n| n.parse().ok()).unwrap_or(0)
}

pub(crate) async fn put(key: &str, value: Option<u64>) {
    let value = value.map(|n| n.to_string().into_bytes());
    if let Err(error) = kv::batch(vec![kv::Change { key: key.to_owned(), value }]).await {
        pombo_plugin::log::error("probe", &format!("{error:?}"));
    }
}

async fn tell(what: events::State) {
    if let Err(error) = events::emit(state(what)).await {
        pombo_plugin::log::error("probe", &format!("{error:?}"));
    }
}

impl Probe {
    fn millis(&self, field: &str) -> u64 {
        self.config[field].as_u64().unwrap_or(0)
    }
}

impl Connector for Probe {
    fn describe() -> Description {
        Description {
            config_schema: SCHEMA.to_owned(),
            secret_fields: vec!["secret".to_owned()],
            hosts: vec!["host".to_owned(), "=*.wild.test".to_owned()],
            capabilities: Capability::names([
                Capability::Kv,
                Capability::Http,
                Capability::Websocket,
                Capability::MediaRead,
                Capability::MediaWrite,
                Capability::Events,
            ]),
            features: Feature::names([
                Feature::Inbound,
                Feature::Sessions,
                Feature::Lookup,
                Feature::VoiceNotes,
                Feature::Check,
                Feature::ProfilePictures,
                Feature::Receive,
                Feature::AttachmentLinks,
            ]),
            operations: vec![kind("echo", ""), kind("file", ""), kind("call", CALL), kind("link-step", LINK_STEP)],
            idempotent_resend: true,
            max_in_flight: 64,
            needs_session: true,
            pace: Some(Pace {
                delay_min_millis: 100,
                delay_max_millis: 200,
                daily_cap: Some(7),
                warm_up_days: vec![1, 2],
                warm_up_growth: 30,
                warm_up_until: 5,
                health: true,
            }),
            contents: vec![kind("card", ""), kind("poll", POLL)],
            proofs: vec![
                Proof::BodyHmac(BodyHmac {
                    header: "x-signature".to_owned(),
                    prefix: "sha256=".to_owned(),
                    secret: "secret".to_owned(),
                }),
                Proof::QuerySecret(QuerySecret {
                    parameter: "verify".to_owned(),
                    secret: "secret".to_owned(),
                    method: "GET".to_owned(),
                }),
            ],
            shared_address: Some("host".to_owned()),
            rules: Some(Rules {
                reply_window_seconds: Some(24 * 3600),
                outside_window: vec!["card".to_owned(), "poll".to_owned()],
                recipient_rate: Some(Bucket { burst: 45, refill_millis: 6_000 }),
                throughput: None,
                audience: Some(Audience { shared_by: Some("host".to_owned()), limit: None, window_hours: 24 }),
                undelivered: vec![Undelivered {
                    kind: Some("card".to_owned()),
                    category: "marketing".to_owned(),
                    beginnings: vec!["9".to_owned()],
                    detail: "nobody there gets any".to_owned(),
                }],
                opt_out_categories: vec![OptOutCategory {
                    name: "offers".to_owned(),
                    category: "marketing".to_owned(),
                }],
                cleaned_values: Some(Setting { field: "host".to_owned(), value: "clean".to_owned() }),
            }),
            ..Description::new("hostile-probe", VERSION, "test")
        }
    }

    async fn start(config: &str) -> Result<Self, RunError> {
        let config: Value = serde_json::from_str(config).map_err(|e| RunError::Config(e.to_string()))?;
        Ok(Self { config, sockets: RefCell::default() })
    }

    async fn run(&self, stopped: Stopped) -> Result<(), RunError> {
        if number("alive").await != 0 {
            put("overlaps", Some(number("overlaps").await + 1)).await;
        }
        put("alive", Some(1)).await;
        put("logins", Some(number("logins").await + 1)).await;
        match self.config["run"].as_str() {
            Some("banned") => return Err(RunError::LoggedOut("banned".to_owned())),
            Some("config") => return Err(RunError::Config("run: must be something else".to_owned())),
            Some("failed") => return Err(RunError::Failed("no luck".to_owned())),
            Some("unpaired") => tell(events::State::Unpaired("scan".to_owned())).await,
            _ => {
                tell(events::State::Connecting).await;
                clock::sleep(std::time::Duration::from_millis(self.millis("loginMillis"))).await;
                tell(events::State::Connected(account())).await;
            }
        }
        stopped.await;
        tell(events::State::Disconnected("asked to stop".to_owned())).await;
        clock::sleep(std::time::Duration::from_millis(self.millis("stopMillis"))).await;
        put("alive", None).await;
        Ok(())
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        let (text, sender) = match &message.content {
            Content::Text(content) => (content.text.clone(), None),
            Content::Reaction(reaction) => (reaction.emoji.clone(), Some(format!("react {:?}", reaction.to))),
            Content::Edit(edit) => (edit.text.clone(), Some(format!("edit {:?}", edit.of))),
            Content::Revoke(target) => (String::new(), Some(format!("revoke {target:?}"))),
            Content::Other((kind, value)) => (value.clone(), Some(format!("other {kind}"))),
        };
        if let Some(what) = sender {
            return Outcome::accepted(Some(format!("{what} {text}")));
        }
        let task: Value = match serde_json::from_str(&text) {
            Ok(task) => task,
            Err(_) => Value::String(text),
        };
        match deeds::perform(self, &message, &task).await {
            Ok(said) => Outcome::accepted(Some(said)),
            Err(why) => Outcome::rejected(why),
        }
    }

    async fn operate(&self, operation: Operation) -> Result<Answer, OperationError> {
        match operation {
            Operation::OpenSession(None) => {
                tell(events::State::Qr("qr-content".to_owned())).await;
                Ok(Answer::Done)
            }
            Operation::OpenSession(Some(_)) => {
                tell(events::State::PairingCode("ABCD-EFGH".to_owned())).await;
                Ok(Answer::Done)
            }
            Operation::CloseSession => {
                tell(events::State::LoggedOut("by the user".to_owned())).await;
                Ok(Answer::Done)
            }
            Operation::Lookup(asked) => match asked.first().map(String::as_str) {
                Some("trap") => {
                    Ok(Answer::Lookup(vec![asked[1..][asked.len()].clone()].into_iter().map(found).collect()))
                }
                Some("hang") => {
                    clock::sleep(std::time::Duration::from_secs(3600)).await;
                    Ok(Answer::Done)
                }
                Some("slow") => {
                    clock::sleep(std::time::Duration::from_millis(1500)).await;
                    Ok(Answer::Done)
                }
                _ => Ok(Answer::Lookup(asked.into_iter().map(found).collect())),
            },
            Operation::Group(group) => Err(OperationError::NotFound(group)),
            Operation::Check => Ok(Answer::Done),
            Operation::ProfilePicture(address) => {
                Ok(Answer::Picture(Some(format!("https://pictures.example/{address}"))))
            }
            Operation::Other((kind, id)) if kind == "file" => deeds::file_read(id).await,
            Operation::Other((_, json)) => Ok(Answer::Other(json)),
            other => Err(OperationError::Unsupported(format!("{other:?}"))),
        }
    }

    async fn receive(&self, request: ReceivedRequest) -> ReceivedResponse {
        answer(request).await
    }
}

/// Tells the engine the events in a body, which is a list of what `deeds` makes events of.
async fn tell_all(body: &[u8]) -> ReceivedResponse {
    let said: Vec<Value> = serde_json::from_slice(body).unwrap_or_default();
    match events::commit(said.iter().map(deeds::event).collect(), Vec::new()).await {
        Ok(()) => ReceivedResponse::text(200, "told"),
        Err(error) => ReceivedResponse::text(503, &format!("{error:?}")),
    }
}

/// What a request asks for by its path.
async fn answer(request: ReceivedRequest) -> ReceivedResponse {
    match &*request.path {
        "slow" => {
            clock::sleep(std::time::Duration::from_millis(1500)).await;
            ReceivedResponse::text(200, "slow")
        }
        "hang" => {
            clock::sleep(std::time::Duration::from_secs(3600)).await;
            ReceivedResponse::text(200, "never")
        }
        "trap" => {
            let nothing: Vec<ReceivedResponse> = Vec::new();
            nothing[std::hint::black_box(request.body.len())].clone()
        }
        "status" => {
            let status = request.query.first().and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
            ReceivedResponse::text(status, "")
        }
        "proven" => ReceivedResponse::text(200, &request.proven.to_string()),
        "large" => ReceivedResponse::text(200, &"x".repeat(70 << 10)),
        "tell" => tell_all(&request.body).await,
        _ => {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let seen = format!("{} {} {:?} {:?} {body}", request.method, request.path, request.query, request.headers);
            put("requests", Some(number("requests").await + 1)).await;
            ReceivedResponse::text(201, &seen)
        }
    }
}

fn found(asked: String) -> LookupResult {
    LookupResult { address: Some(format!("+{asked}")), aliases: Vec::new(), asked }
}

pombo_plugin::export_connector!(Probe);
