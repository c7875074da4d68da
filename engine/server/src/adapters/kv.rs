//! The connectors' key/value store, kept in the engine's own store.

use std::sync::Arc;

use async_trait::async_trait;
use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{Batch, Change, KvWrite, Store, StoreError};
use pombo_sandbox::PluginKv;

/// [`PluginKv`] over the engine's store.
#[derive(Clone)]
pub(crate) struct StoreKv(pub(crate) Arc<dyn Store>);

#[async_trait]
impl PluginKv for StoreKv {
    async fn get(&self, connector: ConnectorIndex, key: String) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.kv_get(connector, &key)
    }

    async fn list(
        &self,
        connector: ConnectorIndex,
        prefix: String,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.0.kv_list(connector, &prefix, after.as_deref(), limit)
    }

    async fn write(&self, connector: ConnectorIndex, writes: Vec<KvWrite>) -> Result<(), StoreError> {
        let batch = Batch { changes: vec![Change::Kv(connector, writes)], ..Batch::default() };
        self.0.commit(batch).await.map(|_| ())
    }

    async fn bytes(&self, connector: ConnectorIndex) -> Result<u64, StoreError> {
        self.0.kv_bytes(connector)
    }
}
