//! Section Connectors: operations that only a connector's plugin knows, such as the answer to a step of linking an account. What they
//! mean is the plugin's business; the engine knows their names and the form of their values.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;
use serde::Deserialize;
use serde_json::Value;

use crate::Section;
use crate::access::Acting;
use crate::wire::{BODY, CHANNEL, PathId, READ, Refused, body};

#[derive(Default)]
pub(crate) struct OwnOperations;

impl pombo_api::Section for OwnOperations {
    const FILE: &'static str = file!();
}

/// An operation that only the connector's plugin knows.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnOperation {
    /// Its kind, one of the `operations` of the plugin; at most 64 characters.
    #[oai(validator(min_length = 1, max_length = 64))]
    kind: String,
    /// Its value, in the form that the plugin's description gives; at most 64 KB of JSON.
    value: Value,
}

/// What the plugin answered.
#[derive(Object)]
pub(crate) struct OwnAnswer {
    /// The answer, in the plugin's own form; null where it has nothing to say.
    value: Value,
}

#[OpenApi(tag = "Section::Connectors")]
impl OwnOperations {
    /// Have a connector do what only its plugin knows
    ///
    /// One of the plugin's `operations`, for example the answer to a step of linking an account (`link-step`). It is carried out at once
    /// and neither stored nor logged. Operations on templates are not called like this: use those of the templates.
    #[oai(path = "/v1/connectors/:id/operations", method = "post", operation_id = "operate_connector")]
    async fn operate_connector(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<OwnOperation>,
    ) -> Result<Json<OwnAnswer>, Refused<{ READ | BODY | CHANNEL }>> {
        let id = id.of("Connector")?;
        let OwnOperation { kind, value } = body(&json)?;
        let value = state.commands.operate_own(acting.tenant, id, &kind, &value).await?;
        Ok(Json(OwnAnswer { value }))
    }
}
