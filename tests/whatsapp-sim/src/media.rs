//! The media host: ciphertext goes up, ciphertext comes down, over plain HTTP on this machine; and its announcement to
//! clients. It never sees a media key: expired media come back because the receiving account's phone, which decrypted the
//! message, gives the key (see `retry`).
//!
//! # Layout
//! - this file: the blobs, what may go wrong with them, and the `media_conn` iq; `host`: the HTTP; `retry`: media that
//!   expired.

mod host;
mod retry;

use std::collections::{HashMap, VecDeque};
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
    /// Until when each may be used, in seconds since 1970.
    grants: HashMap<String, u64>,
    grant_order: VecDeque<String>,
    failing: Failing,
    uploads: u64,
    downloads: u64,
}

struct Blob {
    token: String,
    /// What the query of its direct path must repeat: the host's signature of the path.
    signature: String,
    bytes: Bytes,
    purpose: Purpose,
    /// Somebody said that it is expired.
    expired: bool,
    /// When a message's media expire by themselves, in seconds since 1970.
    ends: u64,
}

/// What media are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A message of a person.
    Message,
    /// The account's own devices: history and app state. What goes wrong with media in general spares them.
    Sync,
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
    /// Keeps media; gives its direct path, which has a query as the real host's have.
    pub(crate) fn put(&self, world: &World, bytes: Bytes, purpose: Purpose) -> String {
        let token = token(&bytes);
        let path = format!("/v/t62.7118-24/{:08}_{}_n.enc", world.next_serial(), &token[..20]);
        let signature = format!("01_{}", &hex::encode(Sha256::digest(path.as_bytes()))[..40]);
        let ends = world.now() + KEPT_SECONDS;
        let direct_path = direct_path(&path, &signature, ends);
        let mut state = self.state.lock();
        state.keep(path, Blob { token, signature, bytes, purpose, expired: false, ends });
        state.uploads += u64::from(purpose == Purpose::Message);
        direct_path
    }

    /// The media at a direct path, unless somebody said that it is expired.
    pub fn get(&self, direct_path: &str) -> Option<Bytes> {
        self.state.lock().by_path.get(without_query(direct_path)).filter(|b| !b.expired).map(|b| b.bytes.clone())
    }

    /// Expires the media whose direct path contains `part`; gives how many. Empty: all that messages have.
    pub fn expire(&self, part: &str) -> usize {
        let part = without_query(part);
        let mut expired = 0;
        for (path, blob) in &mut self.state.lock().by_path {
            if blob.is_meant(path, part) && !blob.expired {
                blob.expired = true;
                expired += 1;
            }
        }
        expired
    }

    /// Forgets media for good: not even asking the sender brings them back.
    pub fn forget(&self, part: &str) -> usize {
        let part = without_query(part);
        let mut state = self.state.lock();
        let meant = state.by_path.iter().filter(|(path, blob)| blob.is_meant(path, part));
        let paths: Vec<String> = meant.map(|(path, _)| path.clone()).collect();
        for path in &paths {
            state.drop_blob(path);
        }
        paths.len()
    }

    /// Puts expired media at a new path, as its sender does who uploads it again.
    fn renew(&self, world: &World, direct_path: &str) -> Option<String> {
        let bytes = self.state.lock().by_path.get(without_query(direct_path)).map(|b| b.bytes.clone())?;
        Some(self.put(world, bytes, Purpose::Message))
    }

    /// Lets the next requests fail.
    pub fn fail_next(&self, failing: Failing) {
        self.state.lock().failing = failing;
    }

    /// Takes back every grant: uploads get 401 until their client asks for a new one.
    pub fn revoke_grants(&self) {
        let mut state = self.state.lock();
        state.grants.clear();
        state.grant_order.clear();
    }

    /// How many files are kept, their size, and how often files were uploaded and downloaded.
    pub fn stock(&self) -> Stock {
        let state = self.state.lock();
        Stock { blobs: state.by_path.len(), bytes: state.size, uploads: state.uploads, downloads: state.downloads }
    }

    fn grant(&self, world: &World) -> String {
        let mut random = [0_u8; 12];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut random);
        let grant = format!("{}-{}", world.next_serial(), hex::encode(random));
        let mut state = self.state.lock();
        state.grants.insert(grant.clone(), world.now() + GRANT_SECONDS);
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

impl Blob {
    fn is_expired(&self, now: u64) -> bool {
        self.expired || (self.purpose == Purpose::Message && now >= self.ends)
    }

    /// Whether a fault that names a part of a path means this one.
    fn is_meant(&self, path: &str, part: &str) -> bool {
        path.contains(part) && (self.purpose == Purpose::Message || !part.is_empty())
    }
}

/// How long a message's media can be downloaded, in seconds, as their direct path says it. Their bytes stay: who asks for them again
/// gets them at a new path.
const KEPT_SECONDS: u64 = 30 * 86_400;

/// A direct path as clients get it: signature and expiry in its query, which they must send as they got it.
fn direct_path(path: &str, signature: &str, ends: u64) -> String {
    format!("{path}?ccb=11-4&oh={signature}&oe={ends:X}&_nc_sid=5e03e0")
}

fn without_query(direct_path: &str) -> &str {
    direct_path.split_once('?').map_or(direct_path, |(path, _)| path)
}

/// The address at which the media with this direct path are downloaded, as messages name it.
pub(crate) fn url(world: &World, direct_path: &str) -> String {
    format!("https://{}{direct_path}&mms3=true", world.media_host())
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
