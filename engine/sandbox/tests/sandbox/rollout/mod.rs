//! Other versions of connector plugins: tried, promoted, rolled back. `tests/hostile/relay*` are the versions without sessions; a
//! server counts what each of them hands over.

mod refusals;
mod sessions;
mod stream;
mod versions;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pombo_domain::ConnectorIndex;
use pombo_domain::model::rollout::VersionStats;
use pombo_domain::ports::{Connectors, PluginTelemetry, SendOutcome};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::support::{Wish, World, built, message, world};

/// The plugin whose versions these are.
const RELAY: &str = "hostile-relay";

/// The good version under another name.
fn good(letter: char) -> Vec<u8> {
    crate::reload::replaced(&built("hostile/relay.wasm"), &version('a'), &version(letter))
}

fn version(letter: char) -> String {
    format!("1.0.0+{}", letter.to_string().repeat(40))
}

fn bad(case: &str) -> Vec<u8> {
    built(&format!("hostile/relay-{case}.wasm"))
}

/// A server that counts bodies.
#[derive(Clone)]
struct Counter {
    port: u16,
    counts: Arc<Mutex<HashMap<String, usize>>>,
}

impl Counter {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let this = Self { port, counts: Arc::default() };
        let counts = this.counts.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, counts.clone()));
            }
        });
        this
    }

    fn config(&self) -> Value {
        json!({"host": format!("127.0.0.1:{}", self.port)})
    }

    fn of(&self, id: u128) -> usize {
        self.counts.lock().get(&Uuid::from_u128(id).to_string()).copied().unwrap_or(0)
    }

    fn all(&self) -> usize {
        self.counts.lock().values().sum()
    }
}

/// Requests on one connection, until it ends.
async fn serve(stream: TcpStream, counts: Arc<Mutex<HashMap<String, usize>>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).await.ok().filter(|n| *n > 0)?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        *counts.lock().entry(String::from_utf8(body).ok()?).or_default() += 1;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.ok()?;
    }
}

/// Keeps a component as an upload is kept; its digest.
fn keep(world: &World, component: &[u8]) -> String {
    let digest = hex::encode(Sha256::digest(component));
    let folder = world.folder.path().join("uploads");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(format!("{digest}.wasm")), component).expect("written");
    digest
}

/// A sandbox with the good version of the relay.
async fn relaying(wish: Wish) -> World {
    world(Wish { plugins: vec![("relay.wasm", built("hostile/relay.wasm"))], ..wish }).await
}

impl World {
    async fn send_id(&self, index: u32, id: u128) -> SendOutcome {
        let message = pombo_domain::ports::Outgoing { client_id: Uuid::from_u128(id), ..message("ana", "x") };
        self.sandbox.send(ConnectorIndex(index), message).await
    }

    /// Sends these in turn; each must be accepted.
    async fn accepted(&self, index: u32, ids: std::ops::Range<u128>) {
        for id in ids {
            let sent = self.send_id(index, id).await;
            assert!(matches!(sent, SendOutcome::Accepted { .. }), "{id}: {sent:?}");
        }
    }

    /// What a version did since the sandbox was opened.
    fn stats(&self, plugin: &str, digest: &str) -> VersionStats {
        let all: BTreeMap<_, _> = self.sandbox.telemetry().usage(plugin);
        all.get(digest).map(|used| used.stats).unwrap_or_default()
    }

    /// Waits until a version did so much; figures are not announced.
    async fn until_stats(&self, plugin: &str, digest: &str, done: impl Fn(&VersionStats) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            while !done(&self.stats(plugin, digest)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "{:?}", self.stats(plugin, digest));
    }

    fn running(&self, plugin: &str) -> String {
        self.sandbox.plugin(plugin).expect("is there").version
    }
}
