//! Section Keys. Only the answer that creates a key contains the key itself.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::commands::access::keys::ApiKeyView;
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::wire::{BODY, Created, Instant, Page, PathId, READ, Refused, WRITE, body, page_of};
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Keys;

impl pombo_api::Section for Keys {
    const FILE: &'static str = file!();
}

/// An API key to create.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateApiKey {
    /// Purpose of the key, from 1 to 120 characters.
    #[oai(validator(
        min_length = 1,
        max_length = 120,
        pattern = "^[^\\x00-\\x20\\x7f-\\xa0]([^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0])?$"
    ))]
    name: String,
    /// Id of the connector that the key is bound to; a key of the whole tenant if omitted. A bound key works only with the APIs
    /// that serve single connectors: this one refuses it. It is revoked when its connector is deleted.
    #[oai(nullable)]
    connector_id: Option<Uuid>,
}

/// A permanent API key, without the key itself.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ApiKey {
    /// Id of the key.
    id: Uuid,
    /// Purpose of the key.
    name: String,
    /// First characters of the key, to recognise it.
    prefix: String,
    /// Id of the connector that the key is bound to; absent for a key of the whole tenant.
    #[oai(skip_serializing_if_is_none)]
    connector_id: Option<Uuid>,
    /// When it was created.
    created_at: Instant,
    /// When it was revoked; absent while it is valid.
    #[oai(skip_serializing_if_is_none)]
    revoked_at: Option<Instant>,
}

/// A new API key with the key itself, which is not shown again.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct CreatedApiKey {
    /// Id of the key.
    id: Uuid,
    /// Purpose of the key.
    name: String,
    /// The key itself, for the header `X-API-Key`. Store it now.
    key: String,
    /// First characters of the key, as the list shows them.
    prefix: String,
    /// Id of the connector that the key is bound to; absent for a key of the whole tenant.
    #[oai(skip_serializing_if_is_none)]
    connector_id: Option<Uuid>,
    /// When it was created.
    created_at: Instant,
}

impl From<ApiKeyView> for ApiKey {
    fn from(ApiKeyView { record: key, connector }: ApiKeyView) -> Self {
        Self {
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            connector_id: connector,
            created_at: Instant(key.created_at),
            revoked_at: key.revoked_at.map(Instant),
        }
    }
}

#[OpenApi(tag = "Section::Keys")]
impl Keys {
    /// Create an API key
    #[oai(path = "/v1/keys", method = "post", operation_id = "create_key")]
    async fn create_key(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<CreateApiKey>,
    ) -> Result<Created<CreatedApiKey>, Refused<{ READ | BODY | WRITE }>> {
        let request = body(&json)?;
        let created = state.commands.create_api_key(acting.tenant, &request.name, request.connector_id).await?;
        let ApiKey { id, name, prefix, connector_id, created_at, .. } = created.shown.into();
        Ok(Created::Made(Json(CreatedApiKey { id, name, key: created.key, prefix, connector_id, created_at })))
    }

    /// List the API keys, including revoked ones
    #[oai(path = "/v1/keys", method = "get", operation_id = "list_keys")]
    async fn list_keys(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the previous page; the first page if omitted.
        after: Query<Option<Uuid>>,
    ) -> Result<Json<Page<ApiKey>>, Refused<READ>> {
        let keys = state.commands.list_api_keys(acting.tenant)?;
        Ok(Json(page_of(keys, |key| key.record.id, after.0, limit.0, ApiKey::from)?))
    }

    /// Revoke an API key
    #[oai(path = "/v1/keys/:id/revoke", method = "post", operation_id = "revoke_key")]
    async fn revoke_key(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<ApiKey>, Refused<{ READ | WRITE }>> {
        Ok(Json(state.commands.revoke_api_key(acting.tenant, id.of("API key")?).await?.into()))
    }
}
