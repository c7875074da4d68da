//! The tests' mail servers, both in `tests/tools`: one with scripted faults, and a private postfix.

use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Tool, root, target};
use crate::wait::until;

/// `tests/tools/faulty_smtp.py`, which documents the faults that a recipient's address can ask for.
#[derive(Debug)]
pub struct FaultySmtp {
    ports: Value,
    _tool: Tool,
    folder: TempDir,
}

/// A mail that the server kept.
#[derive(Debug, Clone)]
pub struct Mail(pub Value);

impl FaultySmtp {
    /// Starts the server.
    pub fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pombo-smtp-").tempdir()?;
        let mut command = Command::new(target().join("venv/bin/python"));
        command.arg(root().join("tests/tools/faulty_smtp.py")).arg("--dir").arg(folder.path());
        let mut tool = Tool::start("the scripted mail server", &mut command)?;
        let ports = serde_json::from_str(&tool.ready_file(&folder.path().join("ports.json"))?)?;
        Ok(Self { ports, _tool: tool, folder })
    }

    /// The port of a listener: plain, starttls, tls, auth, starttls_auth, refuse, silent.
    pub fn port(&self, listener: &str) -> Result<u16> {
        let port = self.ports[listener].as_u64().with_context(|| format!("no listener {listener}"))?;
        Ok(u16::try_from(port)?)
    }

    /// The certificate authority of its TLS listeners, as PEM.
    pub fn ca(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("ca.pem"))?)
    }

    /// All mails that the server kept, oldest first.
    pub fn mails(&self) -> Result<Vec<Mail>> {
        Ok(lines(self.folder.path().join("mails.jsonl"))?.into_iter().map(Mail).collect())
    }

    /// The mails to one recipient.
    pub fn mails_to(&self, recipient: &str) -> Result<Vec<Mail>> {
        Ok(self.mails()?.into_iter().filter(|mail| mail.recipient() == recipient).collect())
    }

    /// Waits for a mail to a recipient.
    pub fn wait_for(&self, recipient: &str) -> Result<Mail> {
        until(&format!("a mail to {recipient}"), Duration::from_secs(60), || Ok(self.mails_to(recipient)?.pop()))
    }

    /// The attempts for one recipient and the answers to them: (`rcpt` or `data`, answer).
    pub fn attempts(&self, recipient: &str) -> Result<Vec<(String, String)>> {
        let all = lines(self.folder.path().join("attempts.jsonl"))?;
        let of = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        Ok(all.iter().filter(|l| l["recipient"] == recipient).map(|l| (of(l, "at"), of(l, "answer"))).collect())
    }
}

impl Mail {
    /// The mail's only recipient.
    pub fn recipient(&self) -> &str {
        self.0["recipients"][0].as_str().unwrap_or_default()
    }

    /// The Message-ID; empty when the mail has none.
    pub fn message_id(&self) -> &str {
        self.0["message_id"].as_str().unwrap_or_default()
    }

    /// The subject, decoded.
    pub fn subject(&self) -> &str {
        self.0["subject"].as_str().unwrap_or_default()
    }

    /// A header; empty when the mail does not have it.
    pub fn header(&self, name: &str) -> &str {
        let headers = self.0["headers"].as_object();
        headers
            .and_then(|h| h.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)))
            .and_then(|(_, value)| value.as_str())
            .unwrap_or_default()
    }

    /// The text of the first part of this content type, with `\n` as line ends.
    pub fn text(&self, content_type: &str) -> String {
        let part = self
            .parts()
            .iter()
            .find(|part| part["content_type"] == content_type && part["disposition"] != "attachment");
        part.and_then(|p| p["text"].as_str()).unwrap_or_default().replace("\r\n", "\n").trim_end().to_owned()
    }

    /// The attached files: (name, content type, SHA-256 in hex, size).
    pub fn attachments(&self) -> Vec<(String, String, String, u64)> {
        let text = |part: &Value, key: &str| part[key].as_str().unwrap_or_default().to_owned();
        let attached = self.parts().iter().filter(|part| part["disposition"] == "attachment");
        let row = |p: &Value| {
            (text(p, "filename"), text(p, "content_type"), text(p, "sha256"), p["size"].as_u64().unwrap_or(0))
        };
        attached.map(row).collect()
    }

    fn parts(&self) -> &[Value] {
        self.0["parts"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// The whole lines of a file of JSON lines.
fn lines(path: PathBuf) -> Result<Vec<Value>> {
    let mut bytes = Vec::new();
    std::fs::File::open(&path)?.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
    bytes[..whole]
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).with_context(|| path.display().to_string()))
        .collect()
}

/// `tests/tools/postfix.py`, which accepts mail for `inbox-ANYTHING@pombo.test`.
#[derive(Debug)]
pub struct Postfix {
    /// The port that it listens on, at 127.0.0.1.
    pub port: u16,
    _tool: Tool,
    folder: TempDir,
}

impl Postfix {
    /// Starts the server. Needs root.
    pub fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pombo-postfix-").tempdir()?;
        let mut command = Command::new("python3");
        command.arg(root().join("tests/tools/postfix.py")).arg("--dir").arg(folder.path());
        let mut tool = Tool::start("postfix", &mut command)?;
        let ports: Value = serde_json::from_str(&tool.ready_file(&folder.path().join("ports.json"))?)?;
        let port = u16::try_from(ports["smtp"].as_u64().context("no port")?)?;
        Ok(Self { port, _tool: tool, folder })
    }

    /// Every delivered mail as text.
    pub fn mails(&self) -> Result<Vec<String>> {
        let new = self.folder.path().join("mail/inbox/new");
        if !new.exists() {
            return Ok(Vec::new());
        }
        let mut mails = Vec::new();
        for entry in std::fs::read_dir(new)? {
            mails.push(String::from_utf8_lossy(&std::fs::read(entry?.path())?).into_owned());
        }
        Ok(mails)
    }
}
