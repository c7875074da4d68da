//! The process of an unmodified Baileys (`client.mjs`), driven by lines of JSON.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use pombo_tests::process::{Tool, root};
use pombo_tests::tenant::text_of;
use pombo_tests::wait::PATIENCE;
use pombo_tests::whatsapp::WhatsApp;
use serde_json::{Value, json};

/// What it wrote so far, and whether it still writes.
#[derive(Default)]
struct Written {
    lines: Mutex<(Vec<Value>, bool)>,
    changed: Condvar,
}

/// One client of that maker.
pub(crate) struct Baileys {
    tool: Tool,
    written: Arc<Written>,
    next: u64,
}

impl Baileys {
    /// Starts one that is not paired.
    pub(crate) fn start(whatsapp: &WhatsApp) -> Result<Self> {
        let folder = root().join("tests/whatsapp/baileys");
        let mut command = Command::new("node");
        command.arg(folder.join("client.mjs")).arg(whatsapp.endpoints().websocket).arg(whatsapp.media_host());
        command.stdout(Stdio::piped());
        let mut tool = Tool::start("Baileys", &mut command)?;
        let output = tool.stdout().context("its output is piped")?;
        let written = Arc::new(Written::default());
        let reader = written.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| json!({"event": "text", "text": line}));
                reader.lines.lock().unwrap_or_else(PoisonError::into_inner).0.push(line);
                reader.changed.notify_all();
            }
            reader.lines.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
            reader.changed.notify_all();
        });
        Ok(Self { tool, written, next: 0 })
    }

    /// One that is paired with the account's phone by QR and logged in.
    pub(crate) fn pair(whatsapp: &WhatsApp, phone: &str) -> Result<Self> {
        let client = Self::start(whatsapp)?;
        let shown = client.event("a QR code", |e| e["event"] == "qr")?;
        whatsapp.admin(&format!("/phones/{phone}/scan"), &json!({"qr": text_of(&shown, "qr")?}))?;
        client.event("the login", |e| e["event"] == "open")?;
        Ok(client)
    }

    /// Gives a command and waits for its answer.
    pub(crate) fn ask(&mut self, what: &str, given: Value) -> Result<Value> {
        self.next += 1;
        let id = self.next;
        let mut command = given;
        command["id"] = json!(id);
        command["do"] = json!(what);
        self.tool.write_line(&command.to_string())?;
        let answer = self.line(what, |line| line["id"] == id && line["event"].is_null())?;
        match answer.get("error") {
            Some(error) => bail!("{what}: {error}"),
            None => Ok(answer["ok"].clone()),
        }
    }

    /// The same for a command that sends a message; its id.
    pub(crate) fn send(&mut self, what: &str, given: Value) -> Result<String> {
        text_of(&self.ask(what, given)?, "id")
    }

    /// The first event, seen before or still to come, that `wanted` takes.
    pub(crate) fn event(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        self.line(what, |line| line["event"].is_string() && wanted(line))
    }

    /// The received message with this id, once it has a content.
    pub(crate) fn message(&self, id: &str) -> Result<Value> {
        self.event(&format!("message {id}"), |e| {
            e["event"] == "message" && e["key"]["id"] == id && !e["content"].is_null()
        })
    }

    /// Waits until a message of this client has come so far: 2 is with the server, 3 delivered, 4 read.
    pub(crate) fn status(&self, id: &str, least: u64) -> Result<()> {
        let far = |e: &Value| e["key"]["id"] == id && e["status"].as_u64().is_some_and(|status| status >= least);
        self.event(&format!("status {least} of {id}"), far).map(drop)
    }

    /// The events so far that `wanted` takes.
    pub(crate) fn events(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let lines = self.written.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.0.iter().filter(|line| line["event"].is_string() && wanted(line)).cloned().collect()
    }

    fn line(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let end = Instant::now() + PATIENCE;
        let mut lines = self.written.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut looked = 0;
        loop {
            if let Some(found) = lines.0[looked..].iter().find(|line| wanted(line)) {
                return Ok(found.clone());
            }
            looked = lines.0.len();
            let left = end.saturating_duration_since(Instant::now());
            if lines.1 {
                bail!("Baileys ended while a test waited for {what}; `tests/setup.sh test` installs it");
            }
            if left.is_zero() {
                bail!("Baileys said nothing of {what}; it said: {}", json!(lines.0));
            }
            lines = self.written.changed.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
