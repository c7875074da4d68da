//! A tenant's API keys. A key's text passes through here once and is never stored, only its hash.
//!
//! A key is either the whole tenant's or bound to one connector. What a bound key may be used for is said in
//! [`Identity::of_the_whole_tenant`](super::authenticate::Identity::of_the_whole_tenant).

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::access::secret;
use crate::commands::text::{self, Rule};
use crate::model::ApiKey;
use crate::ports::{Batch, Change};
use crate::{ConnectorIndex, Error, ErrorCode, Field, Result, TenantIndex};

/// What the text of a whole tenant's key begins with.
pub const TENANT_KEY_PREFIX: &str = "sk_live_";
/// What the text of a key that is bound to one connector begins with.
pub const CONNECTOR_KEY_PREFIX: &str = "sk_inst_";

const SHOWN_CHARS: usize = 4;

/// Whether a credential's text has the form of an API key of either kind.
pub fn is_api_key(text: &str) -> bool {
    text.starts_with(TENANT_KEY_PREFIX) || text.starts_with(CONNECTOR_KEY_PREFIX)
}

/// SHA-256 of a whole key, which is stored and looked up. A key has more than 200 random bits, so no slow hash is needed.
pub fn hash_api_key(key: &str) -> [u8; 32] {
    secret::hash(key)
}

/// An API key as its tenant sees it.
pub struct ApiKeyView {
    /// The stored record.
    pub record: ApiKey,
    /// Public id of the connector that the key is bound to.
    pub connector: Option<Uuid>,
}

/// A new API key, at the only moment at which its text is known.
pub struct CreatedApiKey {
    /// The key as the list shows it.
    pub shown: ApiKeyView,
    /// The key itself.
    pub key: String,
}

impl Commands {
    /// Creates an API key of the whole tenant, or one that is bound to a connector. Only the result contains its text.
    pub async fn create_api_key(
        &self,
        tenant: TenantIndex,
        name: &str,
        connector: Option<Uuid>,
    ) -> Result<CreatedApiKey> {
        let name = text::checked(Rule { field: Field::Name, max_chars: 120, lines: false }, name)?;
        let Some(id) = connector else { return self.store_api_key(tenant, name, None).await };
        let live = || {
            self.live_connector(tenant, id).map_err(|error| match error.code {
                ErrorCode::NotFound => Error::unknown(Field::Connector, error.message),
                _ => error,
            })
        };
        // Deleting the connector revokes its keys under this lock: afterwards none may be made.
        let _turn = self.connector_writes.of(live()?.index).await;
        let index = live()?.index;
        self.store_api_key(tenant, name, Some((id, index))).await
    }

    async fn store_api_key(
        &self,
        tenant: TenantIndex,
        name: String,
        connector: Option<(Uuid, ConnectorIndex)>,
    ) -> Result<CreatedApiKey> {
        let prefix = if connector.is_some() { CONNECTOR_KEY_PREFIX } else { TENANT_KEY_PREFIX };
        let key = format!("{prefix}{}", secret::random(self.ports().entropy.as_ref()));
        let record = ApiKey {
            id: self.ports().entropy.uuid(),
            tenant,
            name,
            hash: hash_api_key(&key),
            prefix: key.chars().take(prefix.len() + SHOWN_CHARS).collect(),
            connector: connector.map(|(_, index)| index),
            created_at: self.ports().clock.now(),
            revoked_at: None,
        };
        self.ports().store.commit(Batch::of(vec![Change::ApiKey(record.clone())])).await?;
        Ok(CreatedApiKey { shown: ApiKeyView { record, connector: connector.map(|(id, _)| id) }, key })
    }

    /// A tenant's keys, including revoked ones, oldest first.
    pub fn list_api_keys(&self, tenant: TenantIndex) -> Result<Vec<ApiKeyView>> {
        let mut keys = self.ports().store.api_keys(tenant)?;
        keys.sort_by_key(|key| (key.created_at, key.id));
        keys.into_iter().map(|key| self.api_key_view(key)).collect()
    }

    /// Revokes a key permanently. Revoking it again changes nothing.
    pub async fn revoke_api_key(&self, tenant: TenantIndex, id: Uuid) -> Result<ApiKeyView> {
        let mut key = self.ports().store.api_key(tenant, id)?.ok_or_else(|| Error::not_found("API key"))?;
        if key.revoked_at.is_none() {
            key.revoked_at = Some(self.ports().clock.now());
            self.ports().store.commit(Batch::of(vec![Change::ApiKey(key.clone())])).await?;
        }
        self.api_key_view(key)
    }

    /// The changes that revoke the keys of a connector that is being deleted.
    pub(crate) fn revoked_api_keys(&self, tenant: TenantIndex, connector: ConnectorIndex) -> Result<Vec<Change>> {
        let now = self.ports().clock.now();
        let keys = self.ports().store.api_keys(tenant)?.into_iter();
        let bound = keys.filter(|key| key.connector == Some(connector) && key.revoked_at.is_none());
        Ok(bound.map(|key| Change::ApiKey(ApiKey { revoked_at: Some(now), ..key })).collect())
    }

    fn api_key_view(&self, record: ApiKey) -> Result<ApiKeyView> {
        let connector = match record.connector {
            None => None,
            Some(index) => {
                let missing = || Error::internal("an API key names a connector that is not stored");
                Some(self.ports().store.connector(index)?.ok_or_else(missing)?.id)
            }
        };
        Ok(ApiKeyView { record, connector })
    }
}
