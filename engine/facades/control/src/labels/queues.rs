//! Section Queues: who looks after conversations, as the tenant names it.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use pombo_domain::model::LabelKind;

use super::{CreateLabel, Label, LabelList, UpdateLabel, create, delete, list, update};
use crate::Section;
use crate::access::Acting;
use crate::wire::{BODY, CONFLICT, Created, Deleted, PathId, READ, Refused, WRITE};
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

const KIND: LabelKind = LabelKind::Queue;

#[derive(Default)]
pub(crate) struct Queues;

impl pombo_api::Section for Queues {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Queues")]
impl Queues {
    /// List the queues
    ///
    /// All of them, at most 1000.
    #[oai(path = "/v1/queues", method = "get", operation_id = "list_queues")]
    async fn list_queues(&self, state: Data<&Arc<ApiState>>, acting: Acting) -> Result<Json<LabelList>, Refused<READ>> {
        Ok(list(&state, acting.tenant, KIND)?)
    }

    /// Create a queue
    #[oai(path = "/v1/queues", method = "post", operation_id = "create_queue")]
    async fn create_queue(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<CreateLabel>,
    ) -> Result<Created<Label>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        Ok(create(&state, acting.tenant, KIND, &json).await?)
    }

    /// Get a queue
    #[oai(path = "/v1/queues/:id", method = "get", operation_id = "get_queue")]
    async fn get_queue(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Label>, Refused<READ>> {
        Ok(Json(state.commands.get_label(acting.tenant, KIND, id.of(KIND.noun())?)?.into()))
    }

    /// Change the name or colour of a queue
    #[oai(path = "/v1/queues/:id", method = "patch", operation_id = "update_queue")]
    async fn update_queue(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<UpdateLabel>,
    ) -> Result<Json<Label>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        Ok(update(&state, acting.tenant, KIND, id.of(KIND.noun())?, &json).await?)
    }

    /// Delete a queue
    ///
    /// Its conversations lose it.
    #[oai(path = "/v1/queues/:id", method = "delete", operation_id = "delete_queue")]
    async fn delete_queue(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Deleted, Refused<{ READ | WRITE }>> {
        Ok(delete(&state, acting.tenant, KIND, id.of(KIND.noun())?).await?)
    }
}
