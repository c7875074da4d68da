//! The engine's inspection of components, without an engine: only the sandbox, with its default limits and nothing behind its
//! ports.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;

use pombo_domain::ports::{
    Account, ChannelEvent, ConnectorEvents, IntakeError, KvWrite, MediaError, MediaStore, MediaWriter, OutboundError,
    OutboundGuard, PluginEngine, SessionState, StoreError,
};
use pombo_domain::{ConnectorIndex, TenantIndex};
use pombo_sandbox::{Embedded, Limits, Options, PluginKv, Ports, Sandbox};
use uuid::Uuid;

use crate::adapters::clock::SystemClock;
use crate::adapters::entropy::OsEntropy;

/// The sandbox opens only with a renderer.
const RENDERER: Embedded = Embedded { name: "renderer", component: include_bytes!(env!("POMBO_PLUGIN_RENDERER")) };

/// An engine that inspects, and stores what it inspected in a folder.
pub(super) async fn engine(folder: &Path) -> anyhow::Result<Arc<dyn PluginEngine>> {
    let options = Options {
        cache_dir: cache(folder),
        plugin_dir: None,
        plugins_dir: folder.join("plugins"),
        // The author's own component, on the author's own machine: its compilation needs no bound.
        compile_command: None,
        embedded: vec![RENDERER],
        grants: std::collections::BTreeMap::new(),
        smtp_plain_hosts: Vec::new(),
        authorities: Vec::new(),
        connect_to: std::collections::BTreeMap::new(),
        limits: Limits::default(),
        renderers: 1,
    };
    let nothing = Arc::new(Nothing);
    let ports = Ports {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        kv: nothing.clone(),
        media: nothing.clone(),
        guard: nothing.clone(),
        events: nothing,
    };
    let sandbox = Sandbox::open(options, ports).await.context("the inspection cannot start")?;
    Ok(sandbox.plugins())
}

/// The folder for native code from one check to the next; in the folder itself if the user has no cache folder.
fn cache(folder: &Path) -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let place = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let Some(place) = place.map(|place| place.join("pombo")) else { return folder.join("cache") };
    match std::fs::create_dir_all(&place) {
        Ok(()) => place.join("plugins"),
        Err(_) => folder.join("cache"),
    }
}

/// Stands behind every port of the sandbox: an inspection calls none of them.
struct Nothing;

const REASON: &str = "this is only a check: there is no engine behind it";

#[async_trait]
impl PluginKv for Nothing {
    async fn get(&self, _: ConnectorIndex, _: String) -> Result<Option<Vec<u8>>, StoreError> {
        Err(StoreError::Unavailable(REASON.to_owned()))
    }
    async fn list(
        &self,
        _: ConnectorIndex,
        _: String,
        _: Option<String>,
        _: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        Err(StoreError::Unavailable(REASON.to_owned()))
    }
    async fn write(&self, _: ConnectorIndex, _: Vec<KvWrite>) -> Result<(), StoreError> {
        Err(StoreError::Unavailable(REASON.to_owned()))
    }
    async fn bytes(&self, _: ConnectorIndex) -> Result<u64, StoreError> {
        Err(StoreError::Unavailable(REASON.to_owned()))
    }
}

#[async_trait]
impl MediaStore for Nothing {
    async fn create(&self, _: TenantIndex, _: &str, _: Option<&str>) -> Result<Box<dyn MediaWriter>, MediaError> {
        Err(MediaError::Io(std::io::Error::other(REASON)))
    }
    fn path(&self, _: TenantIndex, _: Uuid) -> PathBuf {
        PathBuf::new()
    }
    async fn delete(&self, _: TenantIndex, _: Uuid) -> Result<(), MediaError> {
        Err(MediaError::Io(std::io::Error::other(REASON)))
    }
}

impl OutboundGuard for Nothing {
    fn check_url(&self, _: &str) -> Result<(), OutboundError> {
        Err(OutboundError::BadUrl(REASON.to_owned()))
    }
    fn check_address(&self, _: IpAddr) -> bool {
        false
    }
}

#[async_trait]
impl ConnectorEvents for Nothing {
    fn session_changed(&self, _: ConnectorIndex, _: SessionState, _: Option<Account>) {}
    async fn take(&self, _: ConnectorIndex, _: Vec<ChannelEvent>, _: Vec<KvWrite>) -> Result<(), IntakeError> {
        Err(IntakeError::Unavailable(REASON.to_owned()))
    }
}
