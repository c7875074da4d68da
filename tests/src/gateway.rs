//! A WhatsApp gateway elsewhere: it speaks Zapini's instance API over TLS and posts webhooks in Baileys' form.
//!
//! It records each call and answers it as scripted: by default with 200 and an id of its own. Files that a call links to are fetched
//! before it is answered, as a real gateway would.

use std::collections::{HashMap, VecDeque};
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Client, Reply, read_body, read_head};
use crate::process::{Tool, root, target};
use crate::server::Server;
use crate::tenant::{Tenant, text_of};
use crate::wait::{PATIENCE, until};

/// A call of the instance API.
#[derive(Debug, Clone)]
pub struct Call {
    /// E.g. `/send-message`.
    pub path: String,
    /// The header `Authorization`.
    pub authorization: String,
    /// The header `X-Instance-UUID`.
    pub instance: String,
    /// The body.
    pub body: Value,
    /// What `media_url` led to.
    pub file: Option<Vec<u8>>,
    /// WhatsApp's id in the answer, where there was one.
    pub id: Option<String>,
}

/// How a call that sends is answered.
#[derive(Debug, Clone)]
pub enum Script {
    /// With this status and body. A `retryAfter` in the body is a header instead.
    Answer(u16, Value),
    /// With 200 and an id, after webhooks with these statuses of the message were posted.
    Early(Vec<u64>),
    /// Not at all: the connection is closed.
    HangUp,
}

/// Where webhooks are posted.
#[derive(Debug, Clone)]
struct Hook {
    client: Client,
    /// The path above `/incoming` and so on.
    path: String,
    secret: String,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    scripts: VecDeque<Script>,
    files: HashMap<String, Vec<u8>>,
    /// What `GET /status` answers; without it, 503.
    status: Option<Value>,
    hook: Option<Hook>,
    ids: usize,
}

/// The gateway. Its threads and its process end with the test's process.
#[derive(Debug)]
pub struct Gateway {
    shared: Shared,
    folder: TempDir,
    port: u16,
    _front: Tool,
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<State>>);

impl Gateway {
    /// Starts a gateway on a free port of 127.0.0.1.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let behind = listener.local_addr()?.port();
        let shared = Shared::default();
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(&stream));
            }
        });
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(target().join("venv/bin/python"));
        command.arg(root().join("tests/tools/tls_front.py")).arg("--dir").arg(folder.path());
        command.args(["--name", "gateway.test", "--to", &behind.to_string()]);
        let mut front = Tool::start("TLS in front of the gateway", &mut command)?;
        let port = front.ready_file(&folder.path().join("port"))?.trim().parse()?;
        Ok(Self { shared, folder, port, _front: front })
    }

    /// The lines of an engine's configuration with which it trusts the gateway.
    pub fn settings(&self) -> String {
        format!("[sandbox]\nextra_ca = {:?}\n", self.folder.path().join("ca.pem").display().to_string())
    }

    /// The address of its instance API.
    pub fn base_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Makes it post its webhooks to this connector, with the connector's secret.
    pub fn listen_to(&self, server: &Server, tenant: &Tenant, connector: &str) -> Result<()> {
        let shown = tenant.client.get(&format!("/v1/connectors/{connector}/receiving"))?.expect_json(200)?;
        let (url, secret) = (text_of(&shown, "url")?, text_of(&shown, "secret")?);
        let path = url.find("/v1/").map(|at| url[at..].to_owned()).context("a URL of /v1")?;
        self.shared.lock().hook = Some(Hook { client: server.client(), path, secret });
        Ok(())
    }

    /// Scripts the answer to the next call that sends and has no script yet.
    pub fn script(&self, script: Script) {
        self.shared.lock().scripts.push_back(script);
    }

    /// What `GET /status` answers from now on; without it, 503.
    pub fn say_status(&self, status: Option<Value>) {
        self.shared.lock().status = status;
    }

    /// Offers a file, only to those who have the token; its URL.
    pub fn offer(&self, name: &str, content: &[u8]) -> String {
        self.shared.lock().files.insert(format!("/media/{name}"), content.to_vec());
        format!("{}/media/{name}", self.base_url())
    }

    /// The calls that send, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// The call whose body this accepts, once there is one.
    pub fn call(&self, what: &str, wanted: impl Fn(&Call) -> bool) -> Result<Call> {
        until(what, PATIENCE, || Ok(self.calls().into_iter().find(|call| wanted(call))))
    }

    /// Posts a webhook and returns the answer.
    pub fn try_post(&self, path: &str, body: &Value) -> Result<Reply> {
        let hook = self.shared.lock().hook.clone();
        hook.context("the gateway has no connector")?.post(path, body)
    }

    /// Posts a webhook that must be taken.
    pub fn post(&self, path: &str, body: &Value) -> Result<()> {
        self.try_post(path, body)?.expect(200)?;
        Ok(())
    }

    /// Posts that the instance is connected with this number.
    pub fn connect(&self, phone: &str) -> Result<()> {
        let at = "2025-01-15T10:30:00Z";
        self.post("connection", &json!({"status": "connected", "phone_number": phone, "timestamp": at}))
    }

    /// Posts how far a message came.
    pub fn progress(&self, id: &str, status: u64) -> Result<()> {
        self.post("status", &progress(id, status))
    }
}

/// A webhook with a received message: what it says, its id, and who wrote it.
pub fn incoming(from: &str, id: &str, message: &Value) -> Value {
    let jid = format!("{from}@s.whatsapp.net");
    json!({
        "remoteJid": jid, "message": message, "messageTimestamp": 1_705_312_200, "pushName": "John Doe",
        "key": {"remoteJid": jid, "fromMe": false, "id": id}, "participant": null, "isGroup": false,
    })
}

fn progress(id: &str, status: u64) -> Value {
    json!({
        "key": {"remoteJid": "5511999999999@s.whatsapp.net", "id": id, "fromMe": true},
        "status": status, "messageTimestamp": 1_705_312_200,
    })
}

impl Hook {
    fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.client.with("X-Webhook-Secret", &self.secret).post(&format!("{}/{path}", self.path), body)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Ok(Some((first, headers))) = read_head(&mut reader) {
            let Ok(body) = read_body(&mut reader, &headers, false) else { return };
            let mut words = first.split(' ');
            let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let header = |name: &str| {
                headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).unwrap_or_default()
            };
            let answer = match method {
                "GET" => Some(self.shown(path, &header("authorization"))),
                _ => {
                    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                    let (authorization, instance) = (header("authorization"), header("x-instance-uuid"));
                    self.sent(Call { path: path.to_owned(), authorization, instance, body, file: None, id: None })
                }
            };
            let Some(answer) = answer else { return };
            if (&mut &*stream).write_all(&answer).is_err() {
                return;
            }
        }
    }

    /// The answer to a GET.
    fn shown(&self, path: &str, authorization: &str) -> Vec<u8> {
        let state = self.lock();
        if path == "/status" {
            return match &state.status {
                Some(status) => written(200, &[], status.to_string().as_bytes()),
                None => written(503, &[], b"{}"),
            };
        }
        match state.files.get(path) {
            Some(_) if authorization.is_empty() => written(401, &[], b"{}"),
            Some(file) => written(200, &[], file),
            None => written(404, &[], b"{}"),
        }
    }

    /// The answer to a call that sends; `None` when the connection is to be closed.
    fn sent(&self, mut call: Call) -> Option<Vec<u8>> {
        call.file = call.body["media_url"].as_str().and_then(|url| fetched(url).ok());
        let (script, id, hook) = {
            let mut state = self.lock();
            state.ids += 1;
            let script = state.scripts.pop_front().unwrap_or(Script::Early(Vec::new()));
            (script, format!("3EB0GATEWAY{:04}", state.ids), state.hook.clone())
        };
        if matches!(script, Script::Early(_)) {
            call.id = Some(id.clone());
        }
        self.lock().calls.push(call);
        match script {
            Script::HangUp => None,
            Script::Answer(status, mut body) => {
                let retry = body.as_object_mut().and_then(|body| body.remove("retryAfter"));
                let retry = retry.map(|seconds| ("Retry-After", seconds.to_string()));
                Some(written(status, retry.as_slice(), body.to_string().as_bytes()))
            }
            Script::Early(statuses) => {
                for status in statuses {
                    // A webhook that is not taken is missing in what the test looks for.
                    let _ = hook.as_ref().map(|hook| hook.post("status", &progress(&id, status)));
                }
                let body = json!({"success": true, "message": "Message sent successfully", "message_id": id});
                Some(written(200, &[], body.to_string().as_bytes()))
            }
        }
    }
}

/// Gets a file of a server on this machine.
fn fetched(url: &str) -> Result<Vec<u8>> {
    let rest = url.strip_prefix("http://").context("a plain URL")?;
    let (authority, path) = rest.split_at(rest.find('/').context("a path")?);
    let address: SocketAddr = authority.parse()?;
    Ok(Client::new(address).get(path)?.expect(200)?.body)
}

fn written(status: u16, headers: &[(&str, String)], body: &[u8]) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}
