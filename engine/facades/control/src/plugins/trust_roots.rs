//! Section TrustRoots: public keys whose signatures on plugins are trusted.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::{Error, model};
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::Owning;
use crate::plugins::wire::PluginOwner;
use crate::wire::{BODY, CONFLICT, Created, Deleted, Instant, Page, PathId, READ, Refused, WRITE, body, page_of};
use pombo_api::error::status;
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct TrustRoots;

impl pombo_api::Section for TrustRoots {
    const FILE: &'static str = file!();
}

/// A public key to trust.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTrustRoot {
    /// Name of the key's owner or purpose, from 1 to 120 characters.
    #[oai(validator(
        min_length = 1,
        max_length = 120,
        pattern = "^[^\\x00-\\x20\\x7f-\\xa0]([^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0])?$"
    ))]
    name: String,
    /// Ed25519 public key: 32 bytes in base64.
    #[oai(validator(min_length = 44, max_length = 44, pattern = "^[A-Za-z0-9+/]{43}=$"))]
    key: String,
}

/// A public key whose signatures are trusted.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct TrustRoot {
    /// Id of the trust root.
    id: Uuid,
    /// Name of the key's owner or purpose.
    name: String,
    /// Ed25519 public key in base64.
    key: String,
    /// Who trusts the key: the tenant, or the operator (for every tenant).
    owner: PluginOwner,
    /// When it was registered.
    created_at: Instant,
    /// When it was revoked; absent while it is trusted.
    #[oai(skip_serializing_if_is_none)]
    revoked_at: Option<Instant>,
}

impl From<model::TrustRoot> for TrustRoot {
    fn from(root: model::TrustRoot) -> Self {
        Self {
            id: root.id,
            name: root.name,
            key: STANDARD.encode(root.key),
            owner: root.owner.map_or(PluginOwner::Operator, |_| PluginOwner::Tenant),
            created_at: Instant(root.created_at),
            revoked_at: root.revoked_at.map(Instant),
        }
    }
}

#[OpenApi(tag = "Section::TrustRoots")]
impl TrustRoots {
    /// Trust a key
    #[oai(path = "/v1/trust-roots", method = "post", operation_id = "create_trust_root")]
    async fn create_trust_root(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        json: JsonBytes<CreateTrustRoot>,
    ) -> Result<Created<TrustRoot>, Refused<{ READ | BODY | WRITE | CONFLICT }>> {
        let CreateTrustRoot { name, key } = body(&json)?;
        let key = STANDARD.decode(key.trim()).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
        let key = key.ok_or_else(|| Error::invalid("key", "must be an Ed25519 public key: 32 bytes in base64"))?;
        let root = state.commands.create_trust_root(&owning.0, &name, key).await?;
        Ok(Created::Made(Json(root.into())))
    }

    /// List the trusted keys, including revoked ones
    ///
    /// The list has the tenant's own keys and the operator's.
    #[oai(path = "/v1/trust-roots", method = "get", operation_id = "list_trust_roots")]
    async fn list_trust_roots(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the previous page; the first page if omitted.
        after: Query<Option<Uuid>>,
    ) -> Result<Json<Page<TrustRoot>>, Refused<READ>> {
        let roots = state.commands.list_trust_roots(&owning.0)?;
        Ok(Json(page_of(roots, |root| root.id, after.0, limit.0, TrustRoot::from)?))
    }

    /// Revoke a trusted key
    ///
    /// The key's signatures on further uploads are refused. Versions that it signed before continue to work.
    #[oai(path = "/v1/trust-roots/:id", method = "delete", operation_id = "revoke_trust_root")]
    async fn revoke_trust_root(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        id: Path<PathId>,
    ) -> Result<Deleted, Refused<{ READ | WRITE | status::FORBIDDEN }>> {
        state.commands.revoke_trust_root(&owning.0, id.of("Trust root")?).await?;
        Ok(Deleted::Done)
    }
}
