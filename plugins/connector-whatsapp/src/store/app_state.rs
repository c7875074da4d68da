//! Keys, versions and mutations of the app state.

use whatsapp_rust::async_trait;
use whatsapp_rust::wacore::appstate::hash::HashState;
use whatsapp_rust::wacore::appstate::processor::AppStateMutationMAC;
use whatsapp_rust::wacore::store::error::{Result, StoreError};
use whatsapp_rust::wacore::store::traits::{AppStateSyncKey, AppSyncStore};

use super::codec::{Reader, Writer, hex};
use super::{Store, kv};

fn key(id: &[u8]) -> String {
    format!("w/a/{}", hex(id))
}
fn version(name: &str) -> String {
    format!("w/v/{name}")
}
fn mutation(name: &str, index: &[u8]) -> String {
    format!("w/m/{name}/{}", hex(index))
}

fn read_key(value: &[u8]) -> Option<AppStateSyncKey> {
    let mut reader = Reader::new(value);
    Some(AppStateSyncKey {
        timestamp: reader.signed()?,
        fingerprint: reader.bytes()?.to_vec(),
        key_data: reader.rest().to_vec(),
    })
}

#[async_trait(?Send)]
impl AppSyncStore for Store {
    async fn get_sync_key(&self, id: &[u8]) -> Result<Option<AppStateSyncKey>> {
        match kv::get(key(id)).await? {
            None => Ok(None),
            Some(value) => read_key(&value).map(Some).ok_or_else(|| kv::damaged("app state key")),
        }
    }

    async fn set_sync_key(&self, id: &[u8], new: AppStateSyncKey) -> Result<()> {
        let value = Writer::new().signed(new.timestamp).bytes(&new.fingerprint).rest(&new.key_data);
        kv::batch(vec![kv::put(key(id), value), kv::put("w/a-latest", id)]).await
    }

    async fn get_version(&self, name: &str) -> Result<HashState> {
        match kv::get(version(name)).await? {
            None => Ok(HashState::default()),
            // It has no fixed shape: the library adds to it.
            Some(value) => serde_json::from_slice(&value).map_err(|e| StoreError::Serialization(Box::new(e))),
        }
    }

    async fn set_version(&self, name: &str, state: HashState) -> Result<()> {
        let value = serde_json::to_vec(&state).map_err(|e| StoreError::Serialization(Box::new(e)))?;
        kv::batch(vec![kv::put(version(name), value)]).await
    }

    async fn put_mutation_macs(&self, name: &str, _version: u64, mutations: &[AppStateMutationMAC]) -> Result<()> {
        let put = |m: &AppStateMutationMAC| {
            kv::put(mutation(name, m.index_mac.as_ref()), AsRef::<[u8]>::as_ref(&m.value_mac))
        };
        kv::batch(mutations.iter().map(put).collect()).await
    }

    async fn get_mutation_mac(&self, name: &str, index_mac: &[u8]) -> Result<Option<Vec<u8>>> {
        kv::get(mutation(name, index_mac)).await
    }

    async fn delete_mutation_macs(&self, name: &str, index_macs: &[Vec<u8>]) -> Result<()> {
        kv::batch(index_macs.iter().map(|index| kv::delete(mutation(name, index))).collect()).await
    }

    async fn clear_mutation_macs(&self, name: &str) -> Result<()> {
        kv::clear(&format!("w/m/{name}/")).await
    }

    async fn get_latest_sync_key_id(&self) -> Result<Option<Vec<u8>>> {
        kv::get("w/a-latest").await
    }
}
