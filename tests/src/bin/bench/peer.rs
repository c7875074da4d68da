//! The peer: `tests/peers/queue-bench` on a Redis of its own, and `tests/peers/list-baseline`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pombo_tests::http::Client;
use pombo_tests::process::{Tool, Watched, free_port, root};
use pombo_tests::wait::until;
use serde_json::Value;
use tempfile::TempDir;

const KEY: &str = "benchmark-key";

/// Redis and the fastify server; a worker on demand.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    client: Client,
    redis_port: u16,
    worker: Option<Tool>,
    _server: Tool,
    _redis: Watched,
    _folder: TempDir,
}

impl Peer {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pombo-peer-").tempdir()?;
        let redis_port = free_port()?;
        let redis = Watched::start(
            Command::new("redis-server")
                .args(["--bind", "127.0.0.1", "--port", &redis_port.to_string(), "--save", ""])
                .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
                .arg(folder.path())
                .stdout(Stdio::null()),
        )?;
        until("Redis to accept", Duration::from_secs(20), || {
            Ok(std::net::TcpStream::connect(("127.0.0.1", redis_port)).ok())
        })?;
        let mut server = node("server.js", redis_port)?;
        let port = first_line(&mut server)?["port"].as_u64().context("the peer names no port")?;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port)?));
        let client = Client::new(address).key(KEY);
        Ok(Self { address, client, redis_port, worker: None, _server: server, _redis: redis, _folder: folder })
    }

    pub(crate) fn headers(&self) -> [(&'static str, String); 1] {
        [("X-API-Key", KEY.to_owned())]
    }

    fn stats(&self) -> Result<Value> {
        self.client.get("/stats")?.expect_json(200)
    }

    pub(crate) fn waiting(&self) -> Result<u64> {
        self.stats()?["counts"]["wait"].as_u64().context("no count")
    }

    pub(crate) fn completed(&self) -> Result<u64> {
        self.stats()?["counts"]["completed"].as_u64().context("no count")
    }

    /// Redis' own figure of its resident memory, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        self.stats()?["rss"].as_u64().context("no memory")
    }

    pub(crate) fn start_worker(&mut self) -> Result<()> {
        let mut worker = node("worker.js", self.redis_port)?;
        first_line(&mut worker)?;
        self.worker = Some(worker);
        Ok(())
    }

    pub(crate) fn stop_worker(&mut self) {
        self.worker = None;
    }
}

fn node(script: &str, redis_port: u16) -> Result<Tool> {
    let folder = root().join("tests/peers/queue-bench");
    ensure!(folder.join("node_modules").is_dir(), "run `tests/setup.sh bench` first");
    let mut command = Command::new("node");
    command.arg(script).current_dir(folder).env("NODE_ENV", "production");
    command.env("REDIS_PORT", redis_port.to_string()).env("API_KEY", KEY).stdout(Stdio::piped());
    Tool::start(script, &mut command)
}

fn first_line(tool: &mut Tool) -> Result<Value> {
    let stdout = tool.stdout().context("its output is not piped")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    serde_json::from_str(&line).with_context(|| format!("unexpected: {line:?}"))
}

/// The lists' baseline at `messages` messages: `{"list_status": {"p50", "p99"}, …}` in ms.
pub(crate) fn list_baseline(messages: u64, queries: usize) -> Result<Value> {
    let output = Command::new("python3")
        .arg(root().join("tests/peers/list-baseline/lists.py"))
        .args([messages.to_string(), queries.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the lists' baseline failed: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}
