//! The demo's mails: raw messages as files below `DATA/demo-mailbox`, up to a number of the newest ones, and their parsed parts.
//! Mails survive a restart of the demo.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use mail_parser::{Addr, Address, MessageParser, MimeHeaders, PartType};
use parking_lot::Mutex;
use pombo_domain::Timestamp;
use serde::Serialize;

/// Received mails, oldest first, bounded in number.
pub(crate) struct Mailbox {
    folder: PathBuf,
    max: usize,
    kept: Mutex<Kept>,
}

struct Kept {
    next: u64,
    numbers: VecDeque<u64>,
}

/// A mail in the list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) number: u64,
    pub(super) received_at: String,
    pub(super) envelope: Envelope,
    pub(super) from: Vec<String>,
    pub(super) to: Vec<String>,
    pub(super) subject: String,
    pub(super) message_id: Option<String>,
    pub(super) attachments: Vec<AttachmentInfo>,
    pub(super) text: String,
}

/// A whole mail.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mail {
    #[serde(flatten)]
    pub(super) summary: Summary,
    pub(super) html: Option<String>,
    pub(super) headers: Vec<(String, String)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttachmentInfo {
    pub(super) index: usize,
    pub(super) filename: String,
    pub(super) content_type: String,
    pub(super) size: usize,
}

/// The data of the SMTP dialogue, which the message itself need not contain.
#[derive(Serialize, serde::Deserialize, Clone, Default)]
pub(crate) struct Envelope {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
}

/// The line of JSON before the raw message in its file.
#[derive(Serialize, serde::Deserialize)]
struct Prefix {
    received_at: i64,
    envelope: Envelope,
}

impl Mailbox {
    /// Opens the folder and creates it if necessary.
    pub(crate) fn open(folder: PathBuf, max: usize) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|n| n.strip_suffix(".mail")).and_then(|n| n.parse::<u64>().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        let next = numbers.last().map_or(1, |n| n + 1);
        Ok(Self { folder, max, kept: Mutex::new(Kept { next, numbers: numbers.into() }) })
    }

    fn file(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.mail"))
    }

    /// Stores a mail; returns its number.
    pub(super) fn keep(&self, at: Timestamp, envelope: Envelope, raw: &[u8]) -> io::Result<u64> {
        let number = {
            let mut kept = self.kept.lock();
            kept.next += 1;
            kept.next - 1
        };
        let mut bytes = serde_json::to_vec(&Prefix { received_at: at.0, envelope })?;
        bytes.push(b'\n');
        bytes.extend_from_slice(raw);
        write_private(&self.file(number), &bytes)?;
        let mut kept = self.kept.lock();
        let at = kept.numbers.partition_point(|n| *n < number);
        kept.numbers.insert(at, number);
        while kept.numbers.len() > self.max {
            if let Some(oldest) = kept.numbers.pop_front() {
                std::fs::remove_file(self.file(oldest))?;
            }
        }
        Ok(number)
    }

    /// The newest `limit` mails, newest first.
    pub(super) fn newest(&self, limit: usize) -> Vec<Summary> {
        let numbers: Vec<u64> = self.kept.lock().numbers.iter().rev().take(limit).copied().collect();
        numbers.into_iter().filter_map(|n| self.mail(n)).map(|mail| mail.summary).collect()
    }

    /// The number of mails.
    pub(super) fn len(&self) -> usize {
        self.kept.lock().numbers.len()
    }

    /// The message as received, with the data of the dialogue.
    fn stored(&self, number: u64) -> Option<(Prefix, Vec<u8>)> {
        let bytes = std::fs::read(self.file(number)).ok()?;
        let line = bytes.iter().position(|b| *b == b'\n')?;
        let prefix = serde_json::from_slice(&bytes[..line]).ok()?;
        Some((prefix, bytes[line + 1..].to_vec()))
    }

    /// The message as received.
    pub(super) fn raw(&self, number: u64) -> Option<Vec<u8>> {
        self.stored(number).map(|(_, raw)| raw)
    }

    /// A mail in its parts.
    pub(super) fn mail(&self, number: u64) -> Option<Mail> {
        let (prefix, raw) = self.stored(number)?;
        let parsed = MessageParser::default().parse(&raw);
        let message = parsed.as_ref();
        let html = message.and_then(|m| {
            let part = m.html_bodies().find(|p| matches!(p.body, PartType::Html(_)))?;
            part.text_contents().map(str::to_owned)
        });
        let text = message.and_then(|m| m.body_text(0)).unwrap_or_default().into_owned();
        let attachments = message.map(|m| m.attachments().enumerate().map(|(i, p)| attachment(i, p)).collect());
        let headers = message.map(|m| m.headers_raw().map(|(k, v)| (k.to_owned(), unfolded(v))).collect());
        let summary = Summary {
            number,
            received_at: Timestamp(prefix.received_at).to_iso(),
            envelope: prefix.envelope,
            from: message.and_then(|m| m.from()).map(addresses).unwrap_or_default(),
            to: message.and_then(|m| m.to()).map(addresses).unwrap_or_default(),
            subject: message.and_then(|m| m.subject()).unwrap_or_default().to_owned(),
            message_id: message.and_then(|m| m.message_id()).map(str::to_owned),
            attachments: attachments.unwrap_or_default(),
            text,
        };
        Some(Mail { summary, html, headers: headers.unwrap_or_default() })
    }

    /// One attachment's name, type and decoded bytes.
    pub(super) fn attachment(&self, number: u64, index: usize) -> Option<(AttachmentInfo, Vec<u8>)> {
        let raw = self.raw(number)?;
        let message = MessageParser::default().parse(&raw)?;
        let part = message.attachments().nth(index)?;
        Some((attachment(index, part), part.contents().to_vec()))
    }
}

fn attachment(index: usize, part: &mail_parser::MessagePart<'_>) -> AttachmentInfo {
    let content_type = part.content_type().map_or_else(
        || "application/octet-stream".to_owned(),
        |t| format!("{}/{}", t.c_type, t.c_subtype.as_deref().unwrap_or("octet-stream")).to_ascii_lowercase(),
    );
    let filename = part.attachment_name().unwrap_or("attachment").to_owned();
    AttachmentInfo { index, filename, content_type, size: part.contents().len() }
}

fn addresses(list: &Address<'_>) -> Vec<String> {
    let shown = |a: &Addr<'_>| match (a.name.as_deref(), a.address.as_deref()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (name, address) => address.or(name).unwrap_or_default().to_owned(),
    };
    list.iter().map(shown).collect()
}

fn unfolded(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}
