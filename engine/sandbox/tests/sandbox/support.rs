//! A sandbox over the test kit, and a scripted mail server.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pombo_domain::model::Attachment;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use pombo_sandbox::{Compiling, Embedded, Limits, Options, PluginKv, Ports, Sandbox};
use pombo_testkit::{CountingEntropy, FolderMedia, LoopbackGuard, LoopbackProxies, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use uuid::Uuid;

pub(crate) use pombo_testkit::built;
pub(crate) use pombo_testkit::samples::outgoing as message;

/// Whose connectors are.
const TENANT: TenantIndex = TenantIndex(1);

fn embedded(name: &'static str) -> Embedded {
    Embedded { name, component: Vec::leak(built(&format!("plugins/{name}.wasm"))) }
}

/// A key/value store in memory.
#[derive(Default)]
pub(crate) struct MemoryKv(Mutex<BTreeMap<(u32, String), Vec<u8>>>);
#[async_trait]
impl PluginKv for MemoryKv {
    async fn get(&self, c: ConnectorIndex, key: String) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().get(&(c.0, key)).cloned())
    }
    async fn list(
        &self,
        c: ConnectorIndex,
        prefix: String,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let all = self.0.lock();
        let mine = all.iter().filter(|((i, k), _)| *i == c.0 && k.starts_with(&prefix) && Some(k) > after.as_ref());
        Ok(mine.take(limit).map(|((_, k), v)| (k.clone(), v.clone())).collect())
    }
    async fn write(&self, c: ConnectorIndex, writes: Vec<KvWrite>) -> Result<(), StoreError> {
        let mut all = self.0.lock();
        for w in writes {
            match w.value {
                Some(v) => all.insert((c.0, w.key), v),
                None => all.remove(&(c.0, w.key)),
            };
        }
        Ok(())
    }
    async fn bytes(&self, c: ConnectorIndex) -> Result<u64, StoreError> {
        let all = self.0.lock();
        Ok(all.iter().filter(|((i, _), _)| *i == c.0).map(|((_, k), v)| (k.len() + v.len()) as u64).sum())
    }
}

/// Links that say whose file they open.
struct NamedLinks;
impl AttachmentLinks for NamedLinks {
    fn link(&self, tenant: TenantIndex, file: &Attachment, _: Timestamp) -> Option<String> {
        Some(format!("https://pombo.example/{}/{}", tenant.0, file.file_name))
    }
}

/// How the engine takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taking {
    Well,
    /// It says that it cannot take them now.
    Refusing,
    /// It never answers, and takes nothing.
    Hanging,
}

/// What one call of the plugin's handed over.
type Taken = (Vec<ChannelEvent>, Vec<KvWrite>);

/// What was told of sessions and of the channel, and a way to wait for it.
#[derive(Clone)]
pub(crate) struct Told {
    states: Arc<watch::Sender<Vec<(ConnectorIndex, SessionState)>>>,
    /// With the writes that came with each.
    pub(crate) taken: Arc<watch::Sender<Vec<Taken>>>,
    pub(crate) taking: Arc<Mutex<Taking>>,
    kv: Arc<MemoryKv>,
}
#[async_trait]
impl ConnectorEvents for Told {
    fn session_changed(&self, connector: ConnectorIndex, state: SessionState, account: Option<Account>) {
        assert!(account.is_none() || state == SessionState::Connected, "{state:?} with {account:?}");
        self.states.send_modify(|all| all.push((connector, state)));
    }
    async fn take(
        &self,
        connector: ConnectorIndex,
        events: Vec<ChannelEvent>,
        writes: Vec<KvWrite>,
    ) -> Result<(), IntakeError> {
        let taking = *self.taking.lock();
        match taking {
            Taking::Well => {}
            Taking::Refusing => return Err(IntakeError::Unavailable("full".to_owned())),
            Taking::Hanging => std::future::pending().await,
        }
        // Later than the next call, if the calls were not kept in order.
        for _ in 0..events.len() % 3 {
            tokio::task::yield_now().await;
        }
        self.kv.write(connector, writes.clone()).await.map_err(|e| IntakeError::Unavailable(e.to_string()))?;
        self.taken.send_modify(|all| all.push((events, writes)));
        Ok(())
    }
}
impl Told {
    pub(crate) fn of(&self, connector: u32) -> Vec<SessionState> {
        self.states.borrow().iter().filter(|(c, _)| c.0 == connector).map(|(_, s)| s.clone()).collect()
    }
    /// Waits until what was told of `connector` satisfies `done`.
    pub(crate) async fn until(&self, connector: u32, done: impl Fn(&[SessionState]) -> bool) {
        let mut changes = self.states.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while !done(&self.of(connector)) {
                changes.changed().await.expect("the sender lives");
            }
        });
        assert!(waited.await.is_ok(), "told: {:?}", self.of(connector));
    }
    /// All events that were taken, in order.
    pub(crate) fn events(&self) -> Vec<ChannelEvent> {
        self.taken.borrow().iter().flat_map(|(events, _)| events.clone()).collect()
    }
}

/// A sandbox and what it stands on.
pub(crate) struct World {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) told: Told,
    pub(crate) folder: TempDir,
}

/// What a test wants otherwise than the rest.
pub(crate) struct Wish {
    pub(crate) limits: Limits,
    /// Files for the operator's folder, by name.
    pub(crate) plugins: Vec<(&'static str, Vec<u8>)>,
    pub(crate) loopback: bool,
    pub(crate) granted: bool,
    /// Servers that get secrets without TLS.
    pub(crate) plain: Vec<String>,
}

impl Default for Wish {
    fn default() -> Self {
        let limits = Limits {
            cpu: Duration::from_millis(200),
            send: Duration::from_secs(10),
            host_call: Duration::from_secs(2),
            instances: 24,
            restart_first: Duration::from_millis(50),
            ..Limits::default()
        };
        Self { limits, plugins: Vec::new(), loopback: true, granted: true, plain: Vec::new() }
    }
}

pub(crate) fn options(folder: &Path, wish: &Wish) -> Options {
    let operator_dir = folder.join("plugins");
    std::fs::create_dir_all(&operator_dir).expect("a folder");
    for (name, component) in &wish.plugins {
        std::fs::write(operator_dir.join(name), component).expect("written");
    }
    let mut grants = BTreeMap::new();
    if !wish.granted {
        grants.insert("hostile-hanging-host-call".to_owned(), Vec::new());
        grants.insert("hostile-probe".to_owned(), vec![pombo_sandbox::Capability::Events]);
    }
    // One cache for all tests: compiling is what takes time, and sharing it is what it is for.
    let cache_dir = std::env::temp_dir().join(format!("pombo-sandbox-tests-{}", std::process::id()));
    Options {
        cache_dir,
        compiled_ahead: None,
        operator_dir: Some(operator_dir),
        uploads_dir: folder.join("uploads"),
        compile_command: None,
        embedded: vec![embedded("renderer"), embedded("connector-email")],
        grants,
        smtp_plain_hosts: wish.plain.clone(),
        http_plain_hosts: wish.plain.clone(),
        authorities: Vec::new(),
        connect_to: BTreeMap::new(),
        limits: wish.limits.clone(),
        renderers: 2,
        compiling: Compiling::default(),
    }
}

pub(crate) fn ports(folder: &Path, loopback: bool) -> (Ports, Told) {
    let kv = Arc::new(MemoryKv::default());
    let told = Told {
        states: Arc::new(watch::channel(Vec::new()).0),
        taken: Arc::new(watch::channel(Vec::new()).0),
        taking: Arc::new(Mutex::new(Taking::Well)),
        kv: kv.clone(),
    };
    let ports = Ports {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(CountingEntropy::new(42)),
        kv,
        media: Arc::new(FolderMedia::with_limit(folder, 1 << 20)),
        links: Arc::new(NamedLinks),
        guard: Arc::new(LoopbackGuard(loopback)),
        proxies: Arc::new(LoopbackProxies(true)),
        events: Arc::new(told.clone()),
    };
    (ports, told)
}

pub(crate) async fn world(wish: Wish) -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let (ports, told) = ports(folder.path(), wish.loopback);
    // Compiled once: the second test finds the first one's code.
    static OPENING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one = OPENING.lock().await;
    let sandbox = Sandbox::open(options(folder.path(), &wish), ports).await.expect("opens");
    World { sandbox: Arc::new(sandbox), told, folder }
}

pub(crate) fn spec(index: u32, plugin: &str, config: Value) -> ConnectorSpec {
    ConnectorSpec {
        index: ConnectorIndex(index),
        id: Uuid::from_u128(u128::from(index)),
        tenant: TENANT,
        plugin: plugin.to_owned(),
        config,
        secrets: BTreeMap::from([("password".to_owned(), "s3cret".to_owned())]),
        proxy: None,
    }
}

impl World {
    /// Starts a connector and waits until it can send.
    pub(crate) async fn start(&self, index: u32, plugin: &str, config: Value) {
        self.sandbox.start(spec(index, plugin, config)).await.expect("starts");
        self.told.until(index, |states| states.contains(&SessionState::Connected)).await;
    }

    /// Tells the probe to do something; what came of it.
    pub(crate) async fn told_to(&self, index: u32, task: Value) -> Result<String, String> {
        match self.send(index, &task.to_string()).await {
            SendOutcome::Accepted { provider_id, .. } => Ok(provider_id.unwrap_or_default()),
            SendOutcome::Rejected(why) => Err(why.reason),
            other => Err(format!("{other:?}")),
        }
    }

    pub(crate) async fn send(&self, index: u32, text: &str) -> SendOutcome {
        self.sandbox.send(ConnectorIndex(index), message("ana@exemplo.com", text)).await
    }

    /// Sends by the no-op connector 99, which every hostile test runs next to the hostile one.
    pub(crate) async fn good_one_serves(&self) {
        let sent = tokio::time::timeout(Duration::from_secs(5), self.send(99, "x")).await.expect("in time");
        assert!(matches!(sent, SendOutcome::Accepted { .. }), "{sent:?}");
    }

    /// Where a file of the connectors' tenant lies.
    pub(crate) fn path_of(&self, file: Uuid) -> PathBuf {
        FolderMedia::new(self.folder.path()).path(TENANT, file)
    }

    pub(crate) fn file(&self, size: usize) -> Attachment {
        let id = Uuid::from_u128(size as u128 + 7);
        let bytes: Vec<u8> = (0..size).map(|i| (i * 7 % 253) as u8).collect();
        std::fs::write(self.path_of(id), bytes).expect("written");
        Attachment { id, file_name: "a.pdf".to_owned(), content_type: "application/pdf".to_owned(), size: size as u64 }
    }
}

/// What a scripted server does when it reads a command (its first word), or `.` for the end of a message.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Say(&'static str),
    Drop,
    Hang,
}

/// A mail server on loopback that follows a script and keeps what it accepts.
pub(crate) struct Mail {
    pub(crate) port: u16,
    pub(crate) accepted: Arc<Mutex<Vec<String>>>,
    pub(crate) logins: Arc<Mutex<Vec<String>>>,
    pub(crate) connections: Arc<Mutex<usize>>,
}

impl Mail {
    pub(crate) async fn start(script: &[(&'static str, Act)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let script: HashMap<&'static str, Act> = script.iter().cloned().collect();
        let this = Self { port, accepted: Arc::default(), logins: Arc::default(), connections: Arc::default() };
        let (accepted, logins, connections) = (this.accepted.clone(), this.logins.clone(), this.connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *connections.lock() += 1;
                tokio::spawn(session(stream, script.clone(), accepted.clone(), logins.clone()));
            }
        });
        this
    }

    pub(crate) fn config(&self) -> Value {
        json!({"host": "127.0.0.1", "port": self.port, "security": "none", "from": {"email": "loja@example.com"}})
    }
}

async fn session(
    stream: tokio::net::TcpStream,
    script: HashMap<&'static str, Act>,
    accepted: Arc<Mutex<Vec<String>>>,
    logins: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    write.write_all(b"220 test\r\n").await.ok()?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let word = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let mut said = match &*word {
            "EHLO" => "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n",
            "DATA" => "354 go\r\n",
            "AUTH" => {
                logins.lock().push(line.trim().to_owned());
                "235 2.7.0 ok\r\n"
            }
            _ => "250 2.0.0 ok\r\n",
        };
        match script.get(&*word) {
            Some(Act::Say(other)) => said = other,
            Some(Act::Drop) => return None,
            Some(Act::Hang) => std::future::pending().await,
            None => {}
        }
        write.write_all(said.as_bytes()).await.ok()?;
        if word == "DATA" && said.starts_with("354") {
            let mut message = String::new();
            loop {
                let mut line = String::new();
                if lines.read_line(&mut line).await.ok()? == 0 {
                    return None;
                }
                if line == ".\r\n" {
                    break;
                }
                message.push_str(line.strip_prefix('.').unwrap_or(&line));
                if let Some(Act::Drop) = script.get("MIDDLE") {
                    return None;
                }
            }
            match script.get(".") {
                Some(Act::Say(other)) => write.write_all(other.as_bytes()).await.ok()?,
                Some(Act::Drop) => return None,
                Some(Act::Hang) => std::future::pending().await,
                None => {
                    accepted.lock().push(message);
                    write.write_all(b"250 2.0.0 queued as ABC\r\n").await.ok()?;
                    // As a server does with a connection that was idle for too long.
                    match script.get("NEXT") {
                        Some(Act::Drop) => return None,
                        Some(Act::Say(goodbye)) => write.write_all(goodbye.as_bytes()).await.ok()?,
                        _ => {}
                    }
                }
            }
        }
    }
}
