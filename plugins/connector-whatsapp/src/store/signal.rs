//! Identities, sessions, prekeys and sender keys.

use std::sync::Arc;

use whatsapp_rust::async_trait;
use whatsapp_rust::bytes::Bytes;
use whatsapp_rust::wacore::store::error::Result;
use whatsapp_rust::wacore::store::traits::SignalStore;

use super::{Store, kv};

/// From how many prekeys on reading the whole table is cheaper than one read each.
const MANY: usize = 16;

fn identity(address: &str) -> String {
    format!("w/i/{address}")
}
fn session(address: &str) -> String {
    format!("w/s/{address}")
}
fn prekey(id: u32) -> String {
    format!("w/p/{id:010}")
}
fn signed_prekey(id: u32) -> String {
    format!("w/q/{id:010}")
}
fn sender_key(name: &str) -> String {
    format!("w/k/{name}")
}
/// The id at the end of a prekey's key.
fn id(key: &str) -> Option<u32> {
    key.get(4..)?.parse().ok()
}

#[async_trait(?Send)]
impl SignalStore for Store {
    async fn put_identity(&self, address: &str, key: [u8; 32]) -> Result<()> {
        kv::batch(vec![kv::put(identity(address), key)]).await
    }

    async fn put_identities_batch(&self, identities: &[(Arc<str>, [u8; 32])]) -> Result<()> {
        kv::batch(identities.iter().map(|(address, key)| kv::put(identity(address), *key)).collect()).await
    }

    async fn load_identity(&self, address: &str) -> Result<Option<[u8; 32]>> {
        match kv::get(identity(address)).await? {
            None => Ok(None),
            Some(key) => key.try_into().map(Some).map_err(|_| kv::damaged("identity key")),
        }
    }

    async fn delete_identity(&self, address: &str) -> Result<()> {
        kv::batch(vec![kv::delete(identity(address))]).await
    }

    async fn get_session(&self, address: &str) -> Result<Option<Bytes>> {
        Ok(kv::get(session(address)).await?.map(Bytes::from))
    }

    async fn put_session(&self, address: &str, record: &[u8]) -> Result<()> {
        kv::batch(vec![kv::put(session(address), record)]).await
    }

    async fn put_sessions_batch(&self, sessions: &[(Arc<str>, Bytes)]) -> Result<()> {
        kv::batch(sessions.iter().map(|(address, record)| kv::put(session(address), record.as_ref())).collect()).await
    }

    async fn delete_session(&self, address: &str) -> Result<()> {
        kv::batch(vec![kv::delete(session(address))]).await
    }

    async fn has_signal_state_for_user(&self, user: &str) -> Result<bool> {
        for table in ['s', 'i'] {
            for end in ['@', ':'] {
                if kv::any(&format!("w/{table}/{user}{end}")).await? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn store_prekey(&self, id: u32, record: &[u8], _uploaded: bool) -> Result<()> {
        kv::batch(vec![kv::put(prekey(id), record)]).await
    }

    async fn store_prekeys_batch(&self, keys: &[(u32, Bytes)], _uploaded: bool) -> Result<()> {
        kv::batch(keys.iter().map(|(id, record)| kv::put(prekey(*id), record.as_ref())).collect()).await
    }

    async fn load_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        Ok(kv::get(prekey(id)).await?.map(Bytes::from))
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>> {
        let mut found = Vec::with_capacity(ids.len());
        if ids.len() >= MANY {
            let wanted: std::collections::HashSet<u32> = ids.iter().copied().collect();
            for entry in kv::all("w/p/").await? {
                if let Some(id) = id(&entry.key).filter(|id| wanted.contains(id)) {
                    found.push((id, Bytes::from(entry.value)));
                }
            }
            return Ok(found);
        }
        for id in ids {
            if let Some(record) = self.load_prekey(*id).await? {
                found.push((*id, record));
            }
        }
        Ok(found)
    }

    async fn mark_prekeys_uploaded(&self, _ids: &[u32]) -> Result<()> {
        // The device's watermarks say which are uploaded; nothing reads a flag per key.
        Ok(())
    }

    async fn remove_prekey(&self, id: u32) -> Result<()> {
        kv::batch(vec![kv::delete(prekey(id))]).await
    }

    async fn get_max_prekey_id(&self) -> Result<u32> {
        Ok(kv::all("w/p/").await?.last().and_then(|entry| id(&entry.key)).unwrap_or(0))
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> Result<()> {
        kv::batch(vec![kv::put(signed_prekey(id), record)]).await
    }

    async fn load_signed_prekey(&self, id: u32) -> Result<Option<Vec<u8>>> {
        kv::get(signed_prekey(id)).await
    }

    async fn load_all_signed_prekeys(&self) -> Result<Vec<(u32, Vec<u8>)>> {
        let entries = kv::all("w/q/").await?;
        Ok(entries.into_iter().filter_map(|entry| Some((id(&entry.key)?, entry.value))).collect())
    }

    async fn remove_signed_prekey(&self, id: u32) -> Result<()> {
        kv::batch(vec![kv::delete(signed_prekey(id))]).await
    }

    async fn put_sender_key(&self, address: &str, record: &[u8]) -> Result<()> {
        kv::batch(vec![kv::put(sender_key(address), record)]).await
    }

    async fn put_sender_keys_batch(&self, keys: &[(Arc<str>, Bytes)]) -> Result<()> {
        kv::batch(keys.iter().map(|(address, record)| kv::put(sender_key(address), record.as_ref())).collect()).await
    }

    async fn get_sender_key(&self, address: &str) -> Result<Option<Vec<u8>>> {
        kv::get(sender_key(address)).await
    }

    async fn delete_sender_key(&self, address: &str) -> Result<()> {
        kv::batch(vec![kv::delete(sender_key(address))]).await
    }
}
