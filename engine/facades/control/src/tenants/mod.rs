//! Section Tenants. The operator's alone.

pub(crate) mod keys;
pub(crate) mod settings;
pub(crate) mod users;
pub(crate) mod webhook_secret;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::model;
use serde::Deserialize;
use std::sync::Arc;
use uuid::Uuid;

use crate::Section;
use crate::access::Operator;
use crate::wire::{BODY, Created, Instant, OPERATOR, Page, PathId, Refused, WRITE, body, page_of};
use pombo_api::error::status::NOT_FOUND;
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Tenants;

impl pombo_api::Section for Tenants {
    const FILE: &'static str = file!();
}

/// A tenant to create.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTenant {
    /// Display name, from 1 to 120 characters.
    #[oai(validator(
        min_length = 1,
        max_length = 120,
        pattern = "^[^\\x00-\\x20\\x7f-\\xa0]([^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0])?$"
    ))]
    name: String,
}

/// A tenant.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Tenant {
    /// Id of the tenant (`companyId` in SendSync).
    id: Uuid,
    /// Display name.
    name: String,
    /// When it was created.
    created_at: Instant,
}

impl From<model::Tenant> for Tenant {
    fn from(tenant: model::Tenant) -> Self {
        Self { id: tenant.id, name: tenant.name, created_at: Instant(tenant.created_at) }
    }
}

#[OpenApi(tag = "Section::Tenants")]
impl Tenants {
    /// Create a tenant
    #[oai(path = "/v1/tenants", method = "post", operation_id = "create_tenant")]
    async fn create_tenant(
        &self,
        state: Data<&Arc<ApiState>>,
        _operator: Operator,
        json: JsonBytes<CreateTenant>,
    ) -> Result<Created<Tenant>, Refused<{ OPERATOR | BODY | WRITE }>> {
        let request = body(&json)?;
        let tenant = state.commands.create_tenant(&request.name).await?;
        Ok(Created::Made(Json(tenant.into())))
    }

    /// List the tenants
    #[oai(path = "/v1/tenants", method = "get", operation_id = "list_tenants")]
    async fn list_tenants(
        &self,
        state: Data<&Arc<ApiState>>,
        _operator: Operator,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the previous page; the first page if omitted.
        after: Query<Option<Uuid>>,
    ) -> Result<Json<Page<Tenant>>, Refused<{ OPERATOR | NOT_FOUND }>> {
        let tenants = state.commands.list_tenants()?;
        Ok(Json(page_of(tenants, |tenant| tenant.id, after.0, limit.0, Tenant::from)?))
    }

    /// Get a tenant
    #[oai(path = "/v1/tenants/:id", method = "get", operation_id = "get_tenant")]
    async fn get_tenant(
        &self,
        state: Data<&Arc<ApiState>>,
        _operator: Operator,
        id: Path<PathId>,
    ) -> Result<Json<Tenant>, Refused<{ OPERATOR | NOT_FOUND }>> {
        Ok(Json(state.commands.get_tenant(id.of("Tenant")?)?.into()))
    }
}
