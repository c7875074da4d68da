//! The audiences that lanes share: who was written to outside of the reply window. In memory, read from the store when an audience is
//! first asked for; each lane stores whom it counts in the batch of the attempts. So neither a crash nor two lanes at once exceed a limit:
//! a person is counted here before the batch, and again after a start from what was stored.
//!
//! Bounded by the number of connectors, and each audience by its limit or [`MOST_PEOPLE`].

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pombo_domain::model::connector::Connector;
use pombo_domain::model::rules::AudienceRule;
use pombo_domain::ports::{AudienceKey, PersonKey, Store, StoreResult};
use sha2::{Digest, Sha256};

use crate::rules::audience::{Audience, MOST_PEOPLE};

/// All audiences.
#[derive(Default)]
pub(crate) struct Audiences(Mutex<HashMap<AudienceKey, Arc<Mutex<Audience>>>>);

impl Audiences {
    /// An audience.
    pub(crate) fn of(&self, store: &dyn Store, key: AudienceKey) -> StoreResult<Arc<Mutex<Audience>>> {
        let mut all = self.0.lock();
        if let Some(found) = all.get(&key) {
            return Ok(found.clone());
        }
        let mut audience = Audience::of(store.audience(&key, MOST_PEOPLE)?);
        audience.tell_limit(store.audience_limit(&key)?);
        let audience = Arc::new(Mutex::new(audience));
        all.insert(key, audience.clone());
        Ok(audience)
    }

    /// The channel told the limit of an audience, and that is stored. Two connectors may be told at once: what was stored last counts.
    pub(crate) fn limit_told(&self, store: &dyn Store, key: AudienceKey, limit: Option<u32>) {
        // One that nobody asked for is read from the store when somebody does.
        let Some(audience) = self.0.lock().get(&key).cloned() else { return };
        let mut audience = audience.lock();
        let stored = store.audience_limit(&key).unwrap_or_else(|error| {
            tracing::error!(%error, "the limit of an audience was not read; the one that was told counts");
            Some(limit)
        });
        audience.tell_limit(stored);
    }
}

/// 16 bytes of SHA-256 over the parts, each with its length, so that no two lists of parts look the same.
fn hashed(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}

/// The audience of a connector: that of all connectors of the tenant which run the same plugin and have the same value in the field by
/// which they share it, otherwise its own.
pub(crate) fn audience_of(rule: &AudienceRule, connector: &Connector) -> AudienceKey {
    let shared = rule.shared_by.as_ref().and_then(|field| {
        let config: serde_json::Value = serde_json::from_str(&connector.config).ok()?;
        let value = config.get(field)?;
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (!value.is_empty() && value != "null").then(|| (field.clone(), value))
    });
    match shared {
        Some((field, value)) => hashed(&[
            b"shared",
            &connector.tenant.0.to_le_bytes(),
            connector.plugin.as_bytes(),
            field.as_bytes(),
            value.as_bytes(),
        ]),
        None => hashed(&[b"own", connector.id.as_bytes()]),
    }
}

/// The name of a person in an audience.
pub(crate) fn person_of(identifier: &str) -> PersonKey {
    hashed(&[b"person", identifier.as_bytes()])
}
