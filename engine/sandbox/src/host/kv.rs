//! `kv`: a connector's own key/value store.

use pombo_domain::ports::{KvWrite, StoreError};
use wasmtime::component::{Accessor, HasSelf};

use super::granted;
use crate::bindings::host::kv;
use crate::grants::Capability;
use crate::limits::{KV_KEY_BYTES, KV_LIST, KV_VALUE_BYTES};
use crate::state::{Context, HostState, Services};

fn unavailable(error: &StoreError) -> kv::Error {
    tracing::warn!(%error, "a plugin's key/value call failed");
    kv::Error::Unavailable("the engine's store does not answer".to_owned())
}

fn check_key(key: &str) -> Result<(), kv::Error> {
    if key.len() <= KV_KEY_BYTES && !key.is_empty() {
        return Ok(());
    }
    Err(kv::Error::Quota(format!("a key must have 1 to {KV_KEY_BYTES} bytes")))
}

/// The writes, if the connector may store them.
pub(super) async fn checked(
    context: &Context,
    services: &Services,
    changes: Vec<kv::Change>,
) -> Result<Vec<KvWrite>, kv::Error> {
    let mut added = 0u64;
    for change in &changes {
        check_key(&change.key)?;
        let value = change.value.as_ref().map_or(0, Vec::len);
        if value > KV_VALUE_BYTES {
            return Err(kv::Error::Quota(format!("a value must not be longer than {KV_VALUE_BYTES} bytes")));
        }
        // What it replaces is not subtracted: the bound is there to stop growth, not to be met to the byte.
        if change.value.is_some() {
            added += (change.key.len() + value) as u64;
        }
    }
    if added > 0 {
        let held = services.kv.bytes(context.index).await.map_err(|e| unavailable(&e))?;
        let most = services.limits.kv_bytes;
        if held.saturating_add(added) > most {
            return Err(kv::Error::Quota(format!("this connector may store {most} bytes")));
        }
    }
    Ok(changes.into_iter().map(|c| KvWrite { key: c.key, value: c.value }).collect())
}

impl kv::Host for HostState {}

impl<T: Send + 'static> kv::HostWithStore<T> for HasSelf<HostState> {
    async fn get(accessor: &Accessor<T, Self>, key: String) -> Result<Option<Vec<u8>>, kv::Error> {
        let (context, services) = granted(accessor, Capability::Kv).map_err(kv::Error::Refused)?;
        check_key(&key)?;
        match tokio::time::timeout(services.limits.host_call, services.kv.get(context.index, key)).await {
            Ok(result) => result.map_err(|e| unavailable(&e)),
            Err(_) => Err(kv::Error::TimedOut),
        }
    }

    async fn list_prefix(
        accessor: &Accessor<T, Self>,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<kv::Entry>, kv::Error> {
        let (context, services) = granted(accessor, Capability::Kv).map_err(kv::Error::Refused)?;
        let listing = services.kv.list(context.index, prefix, after, limit.min(KV_LIST) as usize);
        match tokio::time::timeout(services.limits.host_call, listing).await {
            Ok(Ok(entries)) => Ok(entries.into_iter().map(|(key, value)| kv::Entry { key, value }).collect()),
            Ok(Err(e)) => Err(unavailable(&e)),
            Err(_) => Err(kv::Error::TimedOut),
        }
    }

    async fn batch(accessor: &Accessor<T, Self>, changes: Vec<kv::Change>) -> Result<(), kv::Error> {
        let (context, services) = granted(accessor, Capability::Kv).map_err(kv::Error::Refused)?;
        let work = async {
            let writes = checked(&context, &services, changes).await?;
            services.kv.write(context.index, writes).await.map_err(|e| unavailable(&e))
        };
        tokio::time::timeout(services.limits.host_call, work).await.unwrap_or(Err(kv::Error::TimedOut))
    }
}
