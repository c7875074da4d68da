//! The other end of the connector `pipe`: an HTTP server that acts as a channel. It hands out what people write and keeps what is
//! sent to them.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http::{read_body, read_head};
use crate::process::target;

/// How many messages one answer can hand out.
const BATCH: usize = 128;
/// How long a request for messages waits.
const WAIT: Duration = Duration::from_secs(20);

/// A message that was sent to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The engine's id of the message; the same when it was sent again.
    pub id: String,
    /// The recipient.
    pub to: String,
    /// The text.
    pub text: String,
}

#[derive(Debug, Default)]
struct State {
    written: Vec<Value>,
    /// Messages in the order of their first arrival.
    sent: Vec<Sent>,
    ids: HashMap<String, usize>,
    /// How many messages arrived whose id had arrived before.
    repeated: usize,
    /// When each message first arrived.
    arrived: Vec<Instant>,
    down: bool,
    /// How many of the written messages the connector has stored, as it says when it asks for more.
    stored: usize,
}

/// The server. Its threads end with the test's process.
#[derive(Debug, Clone)]
pub struct Pipe {
    address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

/// A folder that contains only the connector `pipe`, for `sandbox.plugin_dir`.
pub fn plugins() -> Result<PathBuf> {
    folder_of(&["pipe"])
}

/// A folder that contains only these built plugins.
pub fn folder_of(names: &[&str]) -> Result<PathBuf> {
    let folder = target().join("test-plugins").join(names.join("+"));
    std::fs::create_dir_all(&folder)?;
    for name in names {
        let built = target().join("plugins").join(format!("{name}.wasm"));
        let bytes = std::fs::read(&built).with_context(|| format!("{} is not built", built.display()))?;
        put(&folder.join(format!("{name}.wasm")), &bytes)?;
    }
    Ok(folder)
}

/// Writes a file atomically, unless it already has this content: another test may be reading it.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let partial = path.with_extension(format!("partial-{:?}", std::thread::current().id()));
    std::fs::write(&partial, bytes)?;
    std::fs::rename(&partial, path)?;
    Ok(())
}

impl Pipe {
    /// Starts a server on a free port.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let pipe = Self { address: listener.local_addr()?, state: Arc::default() };
        let serving = pipe.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(&stream));
            }
        });
        Ok(pipe)
    }

    /// The configuration of a connector that talks to this server.
    pub fn config(&self) -> Value {
        json!({"server": self.address.to_string()})
    }

    /// A person writes a message in a conversation; returns the channel's id of the message.
    pub fn write(&self, chat: &str, text: &str) -> String {
        self.write_all([(chat.to_owned(), text.to_owned())]).pop().unwrap_or_default()
    }

    /// Many people write; returns the channel's ids of their messages.
    pub fn write_all(&self, messages: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
        self.append(messages.into_iter().map(|(chat, text)| json!({"chat": chat, "text": text})))
    }

    /// People write who go by names: conversation, name and text of each message; returns the channel's ids of the messages.
    pub fn write_named(&self, messages: impl IntoIterator<Item = (String, String, String)>) -> Vec<String> {
        let named = |(chat, name, text): (String, String, String)| json!({"chat": chat, "name": name, "text": text});
        self.append(messages.into_iter().map(named))
    }

    fn append(&self, messages: impl Iterator<Item = Value>) -> Vec<String> {
        let mut state = self.lock();
        let mut ids = Vec::new();
        for mut message in messages {
            let n = state.written.len() + 1;
            let id = format!("in-{n}");
            (message["n"], message["id"]) = (json!(n), json!(id));
            state.written.push(message);
            ids.push(id);
        }
        drop(state);
        self.state.1.notify_all();
        ids
    }

    /// Hands out once more, under the same ids, what the connector has not said to have stored, and as many as `more` of the messages
    /// before: as a channel does that was not answered. How many.
    pub fn repeat(&self, more: usize) -> usize {
        let mut state = self.lock();
        let again = state.written[state.stored.saturating_sub(more)..].to_vec();
        let count = again.len();
        for mut message in again {
            message["n"] = json!(state.written.len() + 1);
            state.written.push(message);
        }
        drop(state);
        self.state.1.notify_all();
        count
    }

    /// How many messages were written, with those that were repeated, and how many of them the connector has stored.
    pub fn intake(&self) -> (usize, usize) {
        let state = self.lock();
        (state.written.len(), state.stored)
    }

    /// Waits until the connector has stored so many of the written messages.
    pub fn wait_stored(&self, count: usize, patience: Duration) -> Result<()> {
        let waited = self.state.1.wait_timeout_while(self.lock(), patience, |state| state.stored < count);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        ensure!(!timeout.timed_out(), "{} of {count} messages were stored in {} s", state.stored, patience.as_secs());
        Ok(())
    }

    /// The messages that were sent, in the order of their first arrival.
    pub fn sent(&self) -> Vec<Sent> {
        self.lock().sent.clone()
    }

    /// The messages that were sent to one recipient.
    pub fn sent_to(&self, chat: &str) -> Vec<String> {
        self.lock().sent.iter().filter(|sent| sent.to == chat).map(|sent| sent.text.clone()).collect()
    }

    /// How many different messages were sent, and how many arrivals were repetitions.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.sent.len(), state.repeated)
    }

    /// When the messages arrived first.
    pub fn arrivals(&self) -> Vec<Instant> {
        self.lock().arrived.clone()
    }

    /// Forgets what was sent.
    pub fn forget(&self) {
        let mut state = self.lock();
        let (written, stored) = (std::mem::take(&mut state.written), state.stored);
        *state = State { written, stored, ..State::default() };
    }

    /// Sets whether the channel is down: then it refuses everything that is sent.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// Waits until the sent messages satisfy `enough`.
    pub fn wait(&self, what: &str, patience: Duration, enough: impl Fn(&[Sent]) -> bool) -> Result<Vec<Sent>> {
        let end = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            if enough(&state.sent) {
                return Ok(state.sent.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let last = &state.sent[state.sent.len().saturating_sub(20)..];
                bail!(
                    "waited {} s in vain for {what}; {} sent, the last: {last:?}",
                    patience.as_secs(),
                    state.sent.len()
                );
            }
            state = self.state.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until this many different messages were sent to one recipient; returns their texts.
    pub fn answers(&self, chat: &str, count: usize) -> Result<Vec<String>> {
        let to = |sent: &[Sent]| sent.iter().filter(|s| s.to == chat).count() >= count;
        self.wait(&format!("{count} messages to {chat}"), crate::wait::PATIENCE, to)?;
        Ok(self.sent_to(chat))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: &TcpStream) {
        // A connection that does not take its answers soon is slower by the timers of TCP.
        let _ = stream.set_nodelay(true);
        let mut reader = BufReader::new(stream);
        while let Ok(Some((first, headers))) = read_head(&mut reader) {
            let Ok(body) = read_body(&mut reader, &headers, false) else { return };
            let path = first.split(' ').nth(1).unwrap_or_default();
            let (status, answer) = match path.strip_prefix("/in?after=") {
                Some(after) => (200, self.read(after.parse().unwrap_or(0))),
                None => (self.take(&body), String::new()),
            };
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", answer.len());
            let mut stream = stream;
            if stream.write_all((head + &answer).as_bytes()).is_err() {
                return;
            }
        }
    }

    fn read(&self, after: usize) -> String {
        let mut state = self.lock();
        if after > state.stored {
            state.stored = after;
            self.state.1.notify_all();
        }
        let (state, _) = self
            .state
            .1
            .wait_timeout_while(state, WAIT, |state| state.written.len() <= after)
            .unwrap_or_else(PoisonError::into_inner);
        let batch: Vec<&Value> = state.written.iter().skip(after).take(BATCH).collect();
        serde_json::to_string(&batch).expect("JSON can be written")
    }

    fn take(&self, body: &[u8]) -> u16 {
        let Ok(message) = serde_json::from_slice::<Value>(body) else { return 400 };
        let text = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
        let sent = Sent { id: text("id"), to: text("to"), text: text("text") };
        let mut state = self.lock();
        if state.down {
            return 503;
        }
        if state.ids.contains_key(&sent.id) {
            state.repeated += 1;
        } else {
            let place = state.sent.len();
            state.ids.insert(sent.id.clone(), place);
            state.sent.push(sent);
            state.arrived.push(Instant::now());
        }
        drop(state);
        self.state.1.notify_all();
        204
    }
}
