//! A connector whose channel is a plain HTTP server. The engine does not embed it: tests and benchmarks load it from the plugin
//! folder.
//!
//! `GET /in?after=N` gives `[{"n", "chat", "id", "text", "name"?}]`, the messages after the Nth, as soon as there are any; each batch
//! is told to the engine together with the new N. `POST /out` takes `{"id", "to", "text", "attempt"}`, with the same `id` when it is
//! sent again. Without a `server` it takes everything and receives nothing.
//!
//! [`VARIANT`] says how this version behaves. Tests overwrite it in the built component, and so get many versions from one build.
//! All of it speaks to the engine: there is nothing to compile natively.
#![cfg(target_arch = "wasm32")]

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use pombo_plugin::connector::*;
use serde::{Deserialize, Serialize};

/// The connector, with the server that it receives from, if any.
#[derive(Debug)]
pub struct Pipe {
    server: Option<String>,
}

#[derive(Deserialize)]
struct Config {
    server: Option<String>,
}

#[derive(Deserialize)]
struct Written {
    n: u64,
    chat: String,
    id: String,
    text: String,
    name: Option<String>,
}

#[derive(Serialize)]
struct Sent<'a> {
    id: &'a str,
    to: &'a str,
    text: &'a str,
    attempt: u32,
}

/// `good`, `trap-run` (as soon as it starts), `trap-hundred` (at the hundredth message of an instance), `slow` (each message
/// takes a while), `refuse` (no message is taken) or `whatsapp` (its channel is called so, for an API that serves only that one), after
/// a colon and before spaces; a number behind it makes one version differ from another.
static VARIANT: [u8; 40] = *b"pipe-variant:good 0                     ";

fn variant() -> &'static str {
    // Not known to the compiler: it is overwritten later.
    let bytes: &'static [u8; 40] = std::hint::black_box(&VARIANT);
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.split(':').nth(1).unwrap_or_default().split(' ').next().unwrap_or_default()
}

thread_local! {
    static TAKEN: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// How long a slow version takes.
const SLOW: Duration = Duration::from_millis(400);

const CURSOR: &str = "after";
/// Pause after the server did not answer.
const PAUSE_MS: u64 = 100;

async fn request(method: &str, url: String, body: Option<Vec<u8>>) -> Result<http::Response, http::Error> {
    let headers = vec![http::Header { name: "content-type".to_owned(), value: "application/json".to_owned() }];
    http::send(http::Request { method: method.to_owned(), url, headers, body, timeout_millis: Some(30_000) }).await
}

fn received(message: &Written) -> events::Event {
    events::Event::Message(events::Inbound {
        provider_id: message.id.clone(),
        chat: message.chat.clone(),
        sender: message.chat.clone(),
        sender_name: message.name.clone(),
        from_me: false,
        is_group: false,
        reply_to: None,
        mentions: Vec::new(),
        at_millis: pombo_plugin::clock::now_millis(),
        content: events::InboundContent::Text(message.text.clone()),
    })
}

/// Receives from a server until that fails, and says why.
async fn receive(server: &str) -> RunError {
    let stored = kv::get(CURSOR.to_owned()).await;
    let mut after: u64 = match stored {
        Ok(value) => value.and_then(|v| String::from_utf8(v).ok()).and_then(|v| v.parse().ok()).unwrap_or(0),
        Err(error) => return RunError::Failed(format!("kv: {error:?}")),
    };
    loop {
        let batch: Vec<Written> = match request("GET", format!("http://{server}/in?after={after}"), None).await {
            Ok(response) if response.status == 200 => serde_json::from_slice(&response.body).unwrap_or_default(),
            _ => {
                pombo_plugin::clock::sleep(Duration::from_millis(PAUSE_MS)).await;
                continue;
            }
        };
        let Some(last) = batch.last().map(|message| message.n) else { continue };
        let cursor = kv::Change { key: CURSOR.to_owned(), value: Some(last.to_string().into_bytes()) };
        match events::commit(batch.iter().map(received).collect(), vec![cursor]).await {
            Ok(()) => after = last,
            Err(_) => pombo_plugin::clock::sleep(Duration::from_millis(PAUSE_MS)).await,
        }
    }
}

impl Connector for Pipe {
    fn describe() -> Description {
        let channel = if variant() == "whatsapp" { "whatsapp" } else { "test" };
        let schema = r#"{"type":"object","properties":{"server":{"type":"string"}},"additionalProperties":false}"#;
        Description {
            display_name: "Pipe (tests)".to_owned(),
            config_schema: schema.to_owned(),
            hosts: vec!["server".to_owned()],
            capabilities: Capability::names([Capability::Http, Capability::Kv, Capability::Events]),
            features: Feature::names([Feature::Inbound]),
            idempotent_resend: true,
            max_in_flight: 1024,
            ..Description::new("pipe", env!("CARGO_PKG_VERSION"), channel)
        }
    }

    fn check_recipient(address: &str) -> Result<String, String> {
        match address.trim() {
            "" => Err("must not be empty".to_owned()),
            address => Ok(address.to_owned()),
        }
    }

    async fn start(config: &str) -> Result<Self, RunError> {
        let config: Config = serde_json::from_str(config).map_err(|error| RunError::Config(error.to_string()))?;
        Ok(Self { server: config.server })
    }

    async fn run(&self, stopped: Stopped) -> Result<(), RunError> {
        assert!(variant() != "trap-run", "this version traps when it starts");
        let Some(server) = &self.server else {
            stopped.await;
            return Ok(());
        };
        let (mut stopped, mut receiving) = (pin!(stopped), pin!(receive(server)));
        poll_fn(|cx| {
            if stopped.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            receiving.as_mut().poll(cx).map(Err)
        })
        .await
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        match variant() {
            "trap-hundred" => {
                let taken = TAKEN.get() + 1;
                TAKEN.set(taken);
                assert!(taken < 100, "this version traps at its hundredth message");
            }
            "slow" => pombo_plugin::clock::sleep(SLOW).await,
            "refuse" => return Outcome::Temporary("this version takes nothing".to_owned()),
            _ => {}
        }
        let Some(server) = &self.server else { return Outcome::accepted(Some(message.client_id)) };
        let text = match &message.content {
            Content::Text(content) => content.text.as_str(),
            _ => "",
        };
        let sent = Sent { id: &message.client_id, to: &message.to, text, attempt: message.attempt };
        let body = match serde_json::to_vec(&sent) {
            Ok(body) => body,
            Err(error) => return Outcome::rejected(error.to_string()),
        };
        match request("POST", format!("http://{server}/out"), Some(body)).await {
            Ok(response) if (200..300).contains(&response.status) => Outcome::accepted(Some(message.client_id)),
            Ok(response) => Outcome::Temporary(format!("the server answered {}", response.status)),
            Err(http::Error::NotConnected(reason)) => Outcome::Temporary(reason),
            Err(http::Error::Interrupted(reason)) => Outcome::Unknown(reason),
            Err(error) => Outcome::rejected(format!("{error:?}")),
        }
    }
}

pombo_plugin::export_connector!(Pipe);
