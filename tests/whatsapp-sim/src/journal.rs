//! The journal: what came and went, for people who read it and for scripts that expect something of it. It owns a file of JSON lines,
//! one for each stanza and for each session that begins or ends, and counts of both. It is off until somebody needs it.
//!
//! Of a stanza it has the names and ids: no content, so neither texts nor ciphertexts. Ids are phone numbers, too; those of a simulator are
//! nobody's. Sessions' tasks write it; it waits for nobody but the disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use wacore_binary::Node;

use crate::session::iq;
use crate::world::{DeviceId, World};

/// The attributes that a line repeats.
const NAMES: [&str; 10] = ["id", "type", "class", "xmlns", "from", "to", "participant", "recipient", "code", "error"];
/// How many characters of an attribute a line has, and how many children it names.
const LONGEST: usize = 128;
const CHILDREN: usize = 8;
/// How many kinds of stanzas, and of ends of sessions, are counted.
const KINDS: usize = 20_000;

/// Which way a stanza went, as the server sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// A client sent it.
    In,
    /// The server sent it.
    Out,
}

/// What stanzas are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StanzaKind {
    /// The client. One that is not paired yet has no number.
    pub device: DeviceId,
    /// Which way it went.
    pub direction: Direction,
    /// `message`, `receipt`, `iq`…
    pub name: String,
    /// Its attribute `type`.
    pub kind: String,
    /// Its attribute `xmlns`, which requests have.
    pub namespace: String,
}

/// What ends of sessions are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndKind {
    /// The client. One that is not paired yet has no number.
    pub device: DeviceId,
    /// `left`, `cut`, `refused 402`… as `World::note_end` says it.
    pub reason: String,
}

/// The journal.
pub struct Journal {
    on: AtomicBool,
    written: Mutex<Written>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Written {
    file: Option<Lines>,
    stanzas: BTreeMap<StanzaKind, u64>,
    ends: BTreeMap<EndKind, u64>,
    /// More kinds came than are counted.
    full: bool,
}

/// A file that begins again when it is full; what it held is kept beside it, once.
struct Lines {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
}

impl Default for Journal {
    fn default() -> Self {
        Self { on: AtomicBool::new(false), written: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Journal {
    /// Counts from now on.
    pub fn count(&self) {
        self.on.store(true, Ordering::Release);
    }

    /// Counts, and writes to this file, which is emptied. With `limit` bytes it is full: it becomes `PATH.1`, in the place of an earlier
    /// one, and another begins.
    pub fn write_to(&self, path: &Path, limit: u64) -> std::io::Result<()> {
        let lines = Lines { path: path.to_owned(), file: File::create(path)?, size: 0, limit };
        self.written.lock().file = Some(lines);
        self.count();
        Ok(())
    }

    /// How many stanzas went through that `wanted` takes; `None` if there were too many kinds of them to count.
    pub fn stanzas(&self, wanted: impl Fn(&StanzaKind) -> bool) -> Option<u64> {
        let written = self.written.lock();
        (!written.full).then(|| written.stanzas.iter().filter(|(kind, _)| wanted(kind)).map(|(_, count)| count).sum())
    }

    /// How many sessions ended that `wanted` takes; `None` if there were too many kinds of ends to count.
    pub fn ends(&self, wanted: impl Fn(&EndKind) -> bool) -> Option<u64> {
        let written = self.written.lock();
        (!written.full).then(|| written.ends.iter().filter(|(kind, _)| wanted(kind)).map(|(_, count)| count).sum())
    }

    /// Wakes after everything that happens, while the journal is on.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Something happened that is no stanza of a client's.
    pub(crate) fn touch(&self) {
        if self.is_on() {
            self.changed.send_replace(());
        }
    }

    fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }
}

impl Written {
    fn line(&mut self, line: &Value) {
        if let Some(file) = &mut self.file
            && let Err(e) = file.write(line)
        {
            tracing::warn!(error = %e, "the journal cannot be written and ends here");
            self.file = None;
        }
    }
}

/// Counts one more of a kind; `false` if there are too many kinds.
fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, kind: K) -> bool {
    let room = counts.len() < KINDS;
    match counts.get_mut(&kind) {
        Some(count) => *count += 1,
        None if room => {
            counts.insert(kind, 1);
        }
        None => return false,
    }
    true
}

impl Lines {
    fn write(&mut self, line: &Value) -> std::io::Result<()> {
        let line = format!("{line}\n");
        if self.size > 0 && self.size + line.len() as u64 > self.limit {
            let mut full = self.path.clone().into_os_string();
            full.push(".1");
            std::fs::rename(&self.path, full)?;
            self.file = File::create(&self.path)?;
            self.size = 0;
        }
        self.size += line.len() as u64;
        self.file.write_all(line.as_bytes())
    }
}

impl World {
    /// A stanza came or went.
    pub(crate) fn note_stanza(&self, connection: u64, device: &DeviceId, direction: Direction, node: &Node) {
        if !self.journal.is_on() {
            return;
        }
        let kind = StanzaKind {
            device: device.clone(),
            direction,
            name: short(&node.tag),
            kind: short(&iq::attr(node, "type")),
            namespace: short(&iq::attr(node, "xmlns")),
        };
        let mut line = begun(self.clock.now(), connection, device);
        let way = if direction == Direction::In { "in" } else { "out" };
        line.insert("direction".into(), way.into());
        line.insert("name".into(), kind.name.clone().into());
        for name in NAMES {
            if let Some(value) = node.attrs.get(name) {
                line.insert(name.to_owned(), short(&value.as_str()).into());
            }
        }
        let children = node.children().unwrap_or_default().iter().take(CHILDREN).map(|child| short(&child.tag));
        let children: Vec<String> = children.collect();
        if !children.is_empty() {
            line.insert("children".into(), children.into());
        }
        let mut written = self.journal.written.lock();
        written.line(&Value::Object(line));
        let counted = count(&mut written.stanzas, kind);
        written.full |= !counted;
        drop(written);
        // Of what came in, the consequences are still to come: the session tells when they are there.
        if direction == Direction::Out {
            self.journal.touch();
        }
    }

    /// A session began: its client logged in, or wants to be paired.
    pub(crate) fn note_begin(&self, connection: u64, device: &DeviceId) {
        if self.journal.is_on() {
            let mut line = begun(self.clock.now(), connection, device);
            line.insert("event".into(), "began".into());
            self.journal.written.lock().line(&Value::Object(line));
        }
    }

    /// A session ended. The reason is one of `left` (the client did), `cut` (a fault did), `refused CODE` (the login was), `replaced`,
    /// `loggedOut`, `wrongAck`, `streamError CODE`, `closed`, and `protocol` (the client broke it).
    pub(crate) fn note_end(&self, connection: u64, device: &DeviceId, reason: &str) {
        if !self.journal.is_on() {
            return;
        }
        let mut line = begun(self.clock.now(), connection, device);
        line.insert("event".into(), "ended".into());
        line.insert("reason".into(), reason.into());
        let kind = EndKind { device: device.clone(), reason: reason.to_owned() };
        let mut written = self.journal.written.lock();
        written.line(&Value::Object(line));
        let counted = count(&mut written.ends, kind);
        written.full |= !counted;
        drop(written);
        self.journal.touch();
    }
}

/// What all lines begin with.
fn begun(now: Duration, connection: u64, device: &DeviceId) -> Map<String, Value> {
    let mut line = Map::new();
    line.insert("at".into(), json!(now.as_millis() as f64 / 1000.0));
    line.insert("session".into(), connection.into());
    if !device.phone.is_empty() {
        line.insert("device".into(), device.to_string().into());
    }
    line
}

fn short(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wacore_binary::builder::NodeBuilder;

    use super::*;

    fn world() -> (Arc<World>, DeviceId) {
        (World::new(), DeviceId::new("5511900000001", 1))
    }

    #[test]
    fn a_line_has_names_and_ids_and_no_content() {
        let (world, ana) = world();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        world.journal.write_to(&path, 1 << 20).expect("created");
        let secret = NodeBuilder::new("enc").attr("type", "msg").bytes(b"ciphertext".to_vec()).build();
        let message = NodeBuilder::new("message").attr("id", "3EB0A").attr("to", "5511900000002@s.whatsapp.net");
        let message = message.attr("notify", "Ana").children([secret]).build();
        world.note_stanza(7, &ana, Direction::In, &message);
        let written = std::fs::read_to_string(&path).expect("read");
        let line: Value = serde_json::from_str(written.trim()).expect("one line of JSON");
        assert_eq!(line["session"], 7);
        assert_eq!((&line["device"], &line["direction"]), (&json!("5511900000001:1"), &json!("in")));
        assert_eq!(
            (&line["name"], &line["id"], &line["children"]),
            (&json!("message"), &json!("3EB0A"), &json!(["enc"]))
        );
        assert!(line["at"].is_f64() && !written.contains("ciphertext") && !written.contains("Ana"), "{written}");
    }

    #[test]
    fn a_full_file_is_kept_once_and_begins_again() {
        let (world, ana) = world();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        world.journal.write_to(&path, 1000).expect("created");
        for _ in 0..100 {
            world.note_end(7, &ana, "left");
        }
        let kept =
            ["journal", "journal.1"].map(|name| std::fs::read_to_string(folder.path().join(name)).expect("read"));
        assert!(kept.iter().all(|lines| !lines.is_empty() && lines.len() <= 1000));
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 2);
        assert_eq!(world.journal.ends(|end| end.reason == "left"), Some(100), "what is counted is not forgotten");
    }

    #[test]
    fn what_is_off_counts_nothing() {
        let (world, ana) = world();
        world.note_end(7, &ana, "left");
        assert_eq!(world.journal.ends(|_| true), Some(0));
        world.journal.count();
        world.note_end(7, &ana, "left");
        world.note_stanza(7, &ana, Direction::Out, &NodeBuilder::new("success").build());
        assert_eq!(world.journal.ends(|_| true), Some(1));
        assert_eq!(
            world.journal.stanzas(|kind| kind.name == "success" && &*kind.device.phone == "5511900000001"),
            Some(1)
        );
    }
}
