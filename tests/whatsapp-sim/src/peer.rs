//! A native client for tests: `whatsapp-rust` with its store in memory, so that both ends of a test really encrypt and
//! decrypt. It owns no protocol of its own, and knows the simulator only by its addresses: it works against the library
//! in this process and against the binary in another.
//!
//! # Layout
//! - this file: pairing, connecting, waiting; [`record`]: what was seen, and `recorder`, which writes it; `send`, `groups`: what a
//!   peer can do; `adapters`: sockets and timers.
//!
//! # Tasks
//! Each connected peer has two tasks on the caller's runtime: the client's own loop, and a recorder that takes the client's
//! events in order, downloads media and writes the record. No threads: hundreds fit into one process.

mod adapters;
mod groups;
pub mod record;
mod recorder;
mod send;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wacore::store::InMemoryBackend;
use wacore::store::traits::Backend;
use wacore::types::events::Subscription;
use wacore_binary::Jid;
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::store::persistence_manager::PersistenceManager;
use whatsapp_rust::{CacheConfig, CacheEntryConfig, Client};

use record::Record;
pub use record::{Ack, Entries, GroupChange, HistoryPart, Kind, Media, Receipt, Received, Typing};
use recorder::{Events, record_events};
pub use send::{Attachment, Text};

/// How long a wait may take before it is a failure. Tests await events, so this is never spent in a good run.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The version that a peer claims; fixed, so that nobody asks the web for one.
const VERSION: (u32, u32, u32) = (2, 3000, 1_029_000_000);

/// One-time prekeys a peer uploads: enough for a test, cheap for five hundred peers.
const PREKEYS: usize = 60;

/// Sent messages a peer keeps at hand for those who could not decrypt them.
const SENT_KEPT: u64 = 64;

/// What a peer could not do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The peer has no connection.
    #[error("this peer is disconnected: call reconnect() first")]
    Disconnected,
    /// The client refused or failed.
    #[error("{operation}: {reason}")]
    Client {
        /// What was asked.
        operation: &'static str,
        /// The client's words.
        reason: String,
    },
    /// The simulator's admin refused.
    #[error("the simulator answered {status} to {url}: {body}")]
    Admin {
        /// What was posted to.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The answer.
        body: String,
    },
    /// What a test waited for did not come.
    #[error("waited {after:?} for {what}; seen so far: {seen}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// Counts of what came.
        seen: String,
    },
}

fn client_error<E: std::fmt::Display>(operation: &'static str) -> impl FnOnce(E) -> Error {
    move |e| Error::Client { operation, reason: format!("{e:#}") }
}

/// Where the simulator is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// `ws://127.0.0.1:port/…`
    pub websocket: String,
    /// `http://127.0.0.1:port`
    pub admin: String,
}

impl From<&crate::Simulator> for Endpoints {
    fn from(simulator: &crate::Simulator) -> Self {
        Self { websocket: simulator.ws_url(), admin: simulator.admin_url() }
    }
}

struct Connection {
    client: Arc<Client>,
    socket: Arc<Mutex<Option<tokio::task::AbortHandle>>>,
    run: JoinHandle<()>,
    recorder: JoinHandle<()>,
    _subscription: Subscription,
}

/// A WhatsApp client of a test. Dropping it cuts its connection.
pub struct Peer {
    phone: String,
    endpoints: Endpoints,
    backend: Arc<dyn Backend>,
    record: Arc<Record>,
    /// It takes the history that its phone shares. Most do not: their tests are about what comes after it.
    takes_history: bool,
    connection: Mutex<Option<Connection>>,
}

impl Peer {
    /// A peer that is not connected yet. `phone` is the account's number, digits only.
    pub fn new(endpoints: impl Into<Endpoints>, phone: &str) -> Self {
        Self {
            phone: phone.to_owned(),
            endpoints: endpoints.into(),
            backend: Arc::new(InMemoryBackend::new()),
            record: Arc::new(Record::new()),
            takes_history: false,
            connection: Mutex::new(None),
        }
    }

    /// Pairs a new companion with the account's phone by QR; returns when it is logged in.
    pub async fn pair(endpoints: impl Into<Endpoints>, phone: &str) -> Result<Self, Error> {
        Self::new(endpoints, phone).paired(phone).await
    }

    /// The same for one that takes the history that its phone shares.
    pub async fn pair_with_history(endpoints: impl Into<Endpoints>, phone: &str) -> Result<Self, Error> {
        let mut peer = Self::new(endpoints, phone);
        peer.takes_history = true;
        peer.paired(phone).await
    }

    async fn paired(self, phone: &str) -> Result<Self, Error> {
        let peer = self;
        peer.connect().await?;
        let qr = peer.wait_for("a QR code", |e| e.qr_codes.last().cloned()).await?;
        peer.admin(&format!("/phones/{phone}/scan"), &serde_json::json!({ "qr": qr })).await?;
        peer.wait_for("the first login", |e| (e.logins > 0).then_some(())).await?;
        Ok(peer)
    }

    /// Pairs by pairing code instead.
    pub async fn pair_with_code(endpoints: impl Into<Endpoints>, phone: &str) -> Result<Self, Error> {
        let peer = Self::new(endpoints, phone);
        peer.connect().await?;
        peer.wait_for("a QR code", |e| (!e.qr_codes.is_empty()).then_some(())).await?;
        let options = PairCodeOptions { phone_number: phone.to_owned(), ..Default::default() };
        let code = peer.client()?.pair_with_code(options).await.map_err(client_error("ask for a pairing code"))?;
        peer.admin(&format!("/phones/{phone}/link"), &serde_json::json!({ "code": code })).await?;
        peer.wait_for("the first login", |e| (e.logins > 0).then_some(())).await?;
        Ok(peer)
    }

    /// Opens the connection with whatever the store holds; returns at once. See [`reconnect`](Self::reconnect).
    pub async fn connect(&self) -> Result<(), Error> {
        let persistence =
            PersistenceManager::new(self.backend.clone()).await.map_err(client_error("open the store"))?;
        let socket = Arc::new(Mutex::new(None));
        let client = Client::builder()
            .with_runtime(adapters::Tokio)
            .with_persistence_manager(Arc::new(persistence))
            .with_transport_factory(adapters::Sockets { url: self.endpoints.websocket.clone(), open: socket.clone() })
            .with_http_client(adapters::Http)
            .with_version_override(VERSION)
            .with_skip_history_sync(!self.takes_history)
            .with_wanted_pre_key_count(PREKEYS)
            .with_cache_config(cache_config())
            .build()
            .await
            .map_err(client_error("build the client"))?
            .into_client();
        let (events, queue) = mpsc::unbounded_channel();
        let subscription = client.subscribe_handler(Arc::new(Events(events)));
        let recorder = tokio::spawn(record_events(client.clone(), queue, self.record.clone()));
        let run = tokio::spawn({
            let client = client.clone();
            async move { client.run().await }
        });
        let connection = Connection { client, socket, run, recorder, _subscription: subscription };
        if let Some(old) = self.connection.lock().replace(connection) {
            old.cut();
        }
        Ok(())
    }

    /// Closes the connection as a client does that is shut down: what it has to say is said first. The store stays.
    pub async fn disconnect(&self) {
        let Some(connection) = self.connection.lock().take() else { return };
        connection.client.disconnect().await;
        connection.cut();
    }

    /// Logs in again from the kept store, without a QR; returns when it is logged in.
    pub async fn reconnect(&self) -> Result<(), Error> {
        self.disconnect().await;
        let logins = self.record.read(|e| e.logins);
        self.connect().await?;
        self.wait_for("a login from the store", |e| (e.logins > logins).then_some(())).await
    }

    /// Drops the connection without a word, as a process that is killed.
    pub fn cut(&self) {
        if let Some(connection) = self.connection.lock().take() {
            connection.cut();
        }
    }

    /// The client itself, for what has no method here.
    pub fn client(&self) -> Result<Arc<Client>, Error> {
        self.connection.lock().as_ref().map(|c| c.client.clone()).ok_or(Error::Disconnected)
    }

    /// The account's number, as given.
    pub fn phone(&self) -> &str {
        &self.phone
    }

    /// The chat with this peer, by phone number.
    pub fn jid(&self) -> Jid {
        Jid::pn(self.phone.as_str())
    }

    /// The LID that the server gave, once logged in.
    pub fn lid(&self) -> Option<Jid> {
        self.client().ok()?.lid().map(Jid::into_non_ad)
    }

    // ---- what was seen

    /// Looks at the record.
    pub fn seen<T>(&self, look: impl FnOnce(&Entries) -> T) -> T {
        self.record.read(look)
    }

    /// Waits until `look` finds what it looks for, for at most [`PATIENCE`].
    pub async fn wait_for<T>(&self, what: &str, mut look: impl FnMut(&Entries) -> Option<T>) -> Result<T, Error> {
        self.record.wait(what, PATIENCE, |e| look(e)).await
    }

    /// The next message that no call has returned yet; waits for it.
    pub async fn next_message(&self) -> Result<Received, Error> {
        self.record
            .wait("a message", PATIENCE, |e| {
                let next = e.received.get(e.taken).cloned();
                e.taken += usize::from(next.is_some());
                next
            })
            .await
    }

    /// Waits for the message with this id.
    pub async fn message(&self, id: &str) -> Result<Received, Error> {
        self.wait_for("a certain message", |e| e.received.iter().find(|m| m.id == id).cloned()).await
    }

    /// Waits until this many messages came; gives them all.
    pub async fn messages(&self, count: usize) -> Result<Vec<Received>, Error> {
        let what = format!("{count} messages");
        self.wait_for(&what, |e| (e.received.len() >= count).then(|| e.received.clone())).await
    }

    /// All messages so far.
    pub fn received(&self) -> Vec<Received> {
        self.seen(|e| e.received.clone())
    }

    /// All receipts so far.
    pub fn receipts(&self) -> Vec<Receipt> {
        self.seen(|e| e.receipts.clone())
    }

    /// Waits for a receipt of this kind (`delivery`, `read`, `played`, …) for a message of this peer.
    pub async fn receipt(&self, id: &str, kind: &str) -> Result<Receipt, Error> {
        let what = format!("a receipt of kind {kind}");
        self.wait_for(&what, |e| e.receipts.iter().find(|r| r.id == id && r.kind == kind).cloned()).await
    }

    /// Waits for the server's answer to a message of this peer.
    pub async fn ack(&self, id: &str) -> Result<Ack, Error> {
        self.wait_for("the server's ack", |e| e.acks.iter().find(|a| a.id == id).cloned()).await
    }

    /// Waits for a change in a group: the wire's word for it (`create`, `add`, `subject`, …).
    pub async fn group_change(&self, group: &Jid, action: &str) -> Result<GroupChange, Error> {
        let group = group.to_string();
        let what = format!("the group change {action}");
        self.wait_for(&what, |e| e.group_changes.iter().find(|c| c.group == group && c.action == action).cloned()).await
    }

    /// Posts to the simulator's admin.
    pub async fn admin(&self, path: &str, body: &serde_json::Value) -> Result<serde_json::Value, Error> {
        post(&format!("{}{path}", self.endpoints.admin), body).await
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Connection {
    fn cut(self) {
        if let Some(socket) = self.socket.lock().take() {
            socket.abort();
        }
        self.client.signal_shutdown_sync();
        self.run.abort();
        self.recorder.abort();
    }
}

/// Posts JSON to the simulator's admin; anything but 2xx is an error.
pub async fn post(url: &str, body: &serde_json::Value) -> Result<serde_json::Value, Error> {
    let (status, answer) = adapters::post_json(url, body).await.map_err(client_error("reach the simulator's admin"))?;
    if !(200..300).contains(&status) {
        let body = String::from_utf8_lossy(&answer).into_owned();
        return Err(Error::Admin { url: url.to_owned(), status, body });
    }
    Ok(serde_json::from_slice(&answer).unwrap_or(serde_json::Value::Null))
}

/// The client's caches. It keeps what it sent lately in memory: from the store alone, a message is taken out while it is
/// sent again, and a second device that asks for it at that moment gets nothing.
fn cache_config() -> CacheConfig {
    let lately = CacheEntryConfig::new(Some(Duration::from_secs(300)), SENT_KEPT);
    CacheConfig { recent_messages: lately, ..CacheConfig::default() }
}

/// SHA-256 in hex, as [`Media`] carries it.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
