//! Ports with no engine behind them, for components that are only inspected or measured.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use pombo_domain::model::Attachment;
use pombo_domain::ports::{
    Account, AttachmentLinks, ChannelEvent, Clock, ConnectorEvents, Entropy, IntakeError, KvWrite, MediaError,
    MediaStore, MediaWriter, OutboundError, OutboundGuard, ProxyPolicy, SessionState, StoreError,
};
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use uuid::Uuid;

use crate::options::{PluginKv, Ports};

impl Ports {
    /// Ports that keep nothing, reach nothing and tell nobody: a plugin that uses one is refused.
    pub fn offline(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let nothing = Arc::new(Nothing);
        Self {
            clock,
            entropy,
            kv: nothing.clone(),
            media: nothing.clone(),
            links: nothing.clone(),
            guard: nothing.clone(),
            proxies: nothing.clone(),
            events: nothing,
        }
    }
}

/// Refuses whatever it is asked.
struct Nothing;

const REASON: &str = "there is no engine behind this sandbox";

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
    async fn create(
        &self,
        _: TenantIndex,
        _: &str,
        _: Option<&str>,
        _: u64,
    ) -> Result<Box<dyn MediaWriter>, MediaError> {
        Err(MediaError::Io(std::io::Error::other(REASON)))
    }
    async fn stat(&self, _: TenantIndex, _: Uuid) -> Result<Option<u64>, MediaError> {
        Ok(None)
    }
    async fn head(&self, _: TenantIndex, _: Uuid) -> Result<Option<Vec<u8>>, MediaError> {
        Ok(None)
    }
    fn path(&self, _: TenantIndex, _: Uuid) -> PathBuf {
        PathBuf::new()
    }
    async fn delete(&self, _: TenantIndex, _: Uuid) -> Result<(), MediaError> {
        Err(MediaError::Io(std::io::Error::other(REASON)))
    }
}

impl AttachmentLinks for Nothing {
    fn link(&self, _: TenantIndex, _: &Attachment, _: Timestamp) -> Option<String> {
        None
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

impl ProxyPolicy for Nothing {
    fn check_proxy(&self, _: &str, _: u16) -> Result<(), String> {
        Err(REASON.to_owned())
    }
    fn check_proxy_address(&self, _: &str, _: u16, _: IpAddr) -> bool {
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
