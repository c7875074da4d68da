//! What the server gives to the sandbox.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{
    AttachmentLinks, Clock, ConnectorEvents, Entropy, KvWrite, MediaStore, OutboundGuard, ProxyPolicy, StoreError,
};

use crate::grants::Capability;
use crate::limits::Limits;
use crate::precompile::Compiling;

/// Servers, by lower-case name, that are reached at another address. The guard still decides, and TLS still checks the name.
pub type ConnectTo = BTreeMap<String, SocketAddr>;

/// A plugin that the binary carries.
#[derive(Debug, Clone, Copy)]
pub struct Embedded {
    /// The plugin's name, for messages about it.
    pub name: &'static str,
    /// The component's bytes.
    pub component: &'static [u8],
}

/// Where plugins come from and what they may use.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder for compiled code; made when missing, with access for the owner only.
    pub cache_dir: PathBuf,
    /// A folder that was some sandbox's `cache_dir` before, for reading only: what was compiled ahead of this start. Whoever can write
    /// there can run any code in this process.
    pub compiled_ahead: Option<PathBuf>,
    /// The folder of the operator's plugins: every `*.wasm` in it. `None` for no such plugins.
    pub operator_dir: Option<PathBuf>,
    /// The folder for uploaded components, each under its digest; made when missing.
    pub uploads_dir: PathBuf,
    /// The program, with its first arguments, that compiles uploaded components: one that calls [`crate::compile_component`] with the
    /// arguments that follow. With none, they are compiled by this process, where nothing bounds the compiler's memory.
    pub compile_command: Option<Vec<OsString>>,
    /// The plugins that the binary carries; one of them must be a renderer.
    pub embedded: Vec<Embedded>,
    /// What an operator's plugin is granted, by its name; one that is not named is granted all that it wants.
    pub grants: BTreeMap<String, Vec<Capability>>,
    /// SMTP servers (`host` or `host:port`) other than loopback that may be used without TLS.
    pub smtp_plain_hosts: Vec<String>,
    /// HTTP servers (`host` or `host:port`) that get a connector's secrets without TLS: those of tests and of a demo.
    pub http_plain_hosts: Vec<String>,
    /// Certificate authorities, DER, that connections of plugins trust in addition to the public ones.
    pub authorities: Vec<Vec<u8>>,
    /// Servers that are reached at another address.
    pub connect_to: ConnectTo,
    /// Bounds on every instance.
    pub limits: Limits,
    /// How many renderer instances there are at most; 0 for one per core.
    pub renderers: usize,
    /// Names the plugins that the start compiles, while it does.
    pub compiling: Compiling,
}

/// What the sandbox needs from outside.
#[derive(Clone)]
pub struct Ports {
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The plugins' key/value store.
    pub kv: Arc<dyn PluginKv>,
    /// The files of messages.
    pub media: Arc<dyn MediaStore>,
    /// Links to those files, for plugins whose channel fetches them.
    pub links: Arc<dyn AttachmentLinks>,
    /// Which addresses a plugin may reach.
    pub guard: Arc<dyn OutboundGuard>,
    /// Which proxies connectors may use.
    pub proxies: Arc<dyn ProxyPolicy>,
    /// What connectors report: sessions, receipts and messages.
    pub events: Arc<dyn ConnectorEvents>,
}

/// Where connectors keep their keys and values: each connector sees its own only.
#[async_trait]
pub trait PluginKv: Send + Sync + 'static {
    /// The value of a key; `None` when there is none.
    async fn get(&self, connector: ConnectorIndex, key: String) -> Result<Option<Vec<u8>>, StoreError>;
    /// At most `limit` entries whose key starts with `prefix`, in the order of the keys, after the key `after`.
    async fn list(
        &self,
        connector: ConnectorIndex,
        prefix: String,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError>;
    /// Applies all of the writes or none.
    async fn write(&self, connector: ConnectorIndex, writes: Vec<KvWrite>) -> Result<(), StoreError>;
    /// How many bytes all keys and values of a connector have.
    async fn bytes(&self, connector: ConnectorIndex) -> Result<u64, StoreError>;
}
