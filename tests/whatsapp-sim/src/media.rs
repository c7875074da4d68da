//! The media host: ciphertext goes up, ciphertext comes down, over plain HTTP on this machine; and its announcement to
//! clients. It never sees a media key: expired media come back because the receiving account's phone, which decrypted the
//! message, gives the key (see `retry`).
//!
//! # Layout
//! - this file: the blobs, what may go wrong with them, and the `media_conn` iq; `host`: the HTTP; `retry`: media that
//!   expired.

mod host;
mod retry;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::session::{self, SessionHandle};
use crate::{Shutdown, world::World};

/// How many bytes are kept; the oldest media go first.
const KEPT: usize = 1 << 30;
/// How many grants are kept; the oldest go first.
const GRANTS: usize = 20_000;
/// How long a client may use what `media_conn` told it, in seconds.
const GRANT_SECONDS: u64 = 3600;

/// All uploaded media.
#[derive(Default)]
pub struct Blobs {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_path: HashMap<String, Blob>,
    order: VecDeque<String>,
    size: usize,
    /// Uploads that broke off, by token.
    partial: HashMap<String, BytesMut>,
    grants: HashSet<String>,
    grant_order: VecDeque<String>,
    failing: Failing,
    uploads: u64,
    downloads: u64,
}

struct Blob {
    token: String,
    bytes: Bytes,
    expired: bool,
}

/// Requests that will fail, and with which status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failing {
    /// How many uploads, and the status they get.
    pub uploads: (u32, u16),
    /// How many downloads, and the status they get.
    pub downloads: (u32, u16),
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// Media kept.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Uploads finished.
    pub uploads: u64,
    /// Downloads served.
    pub downloads: u64,
}

impl Blobs {
    /// Keeps media; gives its direct path.
    pub fn put(&self, world: &World, bytes: Bytes) -> String {
        let token = token(&bytes);
        let path = format!("/v/t62.7118-24/{}-{}.enc", world.next_serial(), &token[..20]);
        let mut state = self.state.lock();
        state.keep(path.clone(), Blob { token, bytes, expired: false });
        state.uploads += 1;
        path
    }

    /// The media at a direct path, unless it expired.
    pub fn get(&self, path: &str) -> Option<Bytes> {
        self.state.lock().by_path.get(path).filter(|b| !b.expired).map(|b| b.bytes.clone())
    }

    /// Expires the media whose direct path contains `part`; gives how many. Empty: all.
    pub fn expire(&self, part: &str) -> usize {
        let mut expired = 0;
        for (path, blob) in &mut self.state.lock().by_path {
            if path.contains(part) && !blob.expired {
                blob.expired = true;
                expired += 1;
            }
        }
        expired
    }

    /// Forgets media for good: not even asking the sender brings them back.
    pub fn forget(&self, part: &str) -> usize {
        let mut state = self.state.lock();
        let paths: Vec<String> = state.by_path.keys().filter(|p| p.contains(part)).cloned().collect();
        for path in &paths {
            state.drop_blob(path);
        }
        paths.len()
    }

    /// Puts expired media at a new path, as its sender does who uploads it again.
    fn renew(&self, world: &World, path: &str) -> Option<String> {
        let bytes = self.state.lock().by_path.get(path).map(|b| b.bytes.clone())?;
        Some(self.put(world, bytes))
    }

    /// Lets the next requests fail.
    pub fn fail_next(&self, failing: Failing) {
        self.state.lock().failing = failing;
    }

    /// Takes back every grant: clients get 401 until they ask for a new one.
    pub fn revoke_grants(&self) {
        let mut state = self.state.lock();
        state.grants.clear();
        state.grant_order.clear();
    }

    /// Counts.
    pub fn stock(&self) -> Stock {
        let state = self.state.lock();
        Stock { blobs: state.by_path.len(), bytes: state.size, uploads: state.uploads, downloads: state.downloads }
    }

    fn grant(&self, world: &World) -> String {
        let mut random = [0_u8; 12];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut random);
        let grant = format!("{}-{}", world.next_serial(), hex::encode(random));
        let mut state = self.state.lock();
        state.grants.insert(grant.clone());
        state.grant_order.push_back(grant.clone());
        if state.grant_order.len() > GRANTS
            && let Some(oldest) = state.grant_order.pop_front()
        {
            state.grants.remove(&oldest);
        }
        grant
    }
}

impl State {
    fn keep(&mut self, path: String, blob: Blob) {
        self.size += blob.bytes.len();
        self.by_path.insert(path.clone(), blob);
        self.order.push_back(path);
        while self.size > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.drop_blob(&oldest);
        }
    }

    fn drop_blob(&mut self, path: &str) {
        if let Some(blob) = self.by_path.remove(path) {
            self.size -= blob.bytes.len();
        }
    }
}

/// What names ciphertext in URLs: its SHA-256.
fn token(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// Answers an iq of `w:m`: where media go.
pub fn handle_media_conn(world: &Arc<World>, _session: &SessionHandle, iq: &Node) -> Option<Node> {
    iq.get_optional_child("media_conn")?;
    let host = NodeBuilder::new("host")
        .attr("hostname", world.media_host())
        .attr("type", "primary")
        .children([NodeBuilder::new("upload").build(), NodeBuilder::new("download").build()])
        .build();
    let connection = NodeBuilder::new("media_conn")
        .attr("auth", world.media.grant(world))
        .attr("ttl", GRANT_SECONDS)
        .attr("auth_ttl", GRANT_SECONDS)
        .attr("max_buckets", 12)
        .children([host])
        .build();
    Some(session::iq::result(iq, [connection]))
}

/// A client asks the sender to upload expired media again.
pub fn handle_retry_request(world: &Arc<World>, session: &SessionHandle, receipt: &Node) {
    retry::handle(world, &session.device, receipt);
}

/// Serves uploads and downloads until the shutdown.
pub async fn serve(listener: TcpListener, world: Arc<World>, shutdown: Shutdown) {
    host::serve(listener, world, shutdown).await;
}
