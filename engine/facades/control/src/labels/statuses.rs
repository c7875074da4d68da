//! Section ConversationStatuses: how far conversations have come, as the tenant names it.

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

const KIND: LabelKind = LabelKind::Status;

#[derive(Default)]
pub(crate) struct ConversationStatuses;

impl pombo_api::Section for ConversationStatuses {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::ConversationStatuses")]
impl ConversationStatuses {
    /// List the statuses of conversations
    ///
    /// All of them, at most 1000.
    #[oai(path = "/v1/conversation-statuses", method = "get", operation_id = "list_conversation_statuses")]
    async fn list_conversation_statuses(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
    ) -> Result<Json<LabelList>, Refused<READ>> {
        Ok(list(&state, acting.tenant, KIND)?)
    }

    /// Create a status of conversations
    #[oai(path = "/v1/conversation-statuses", method = "post", operation_id = "create_conversation_status")]
    async fn create_conversation_status(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<CreateLabel>,
    ) -> Result<Created<Label>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        Ok(create(&state, acting.tenant, KIND, &json).await?)
    }

    /// Get a status of conversations
    #[oai(path = "/v1/conversation-statuses/:id", method = "get", operation_id = "get_conversation_status")]
    async fn get_conversation_status(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Label>, Refused<READ>> {
        Ok(Json(state.commands.get_label(acting.tenant, KIND, id.of(KIND.noun())?)?.into()))
    }

    /// Change the name or colour of a status of conversations
    #[oai(path = "/v1/conversation-statuses/:id", method = "patch", operation_id = "update_conversation_status")]
    async fn update_conversation_status(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<UpdateLabel>,
    ) -> Result<Json<Label>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        Ok(update(&state, acting.tenant, KIND, id.of(KIND.noun())?, &json).await?)
    }

    /// Delete a status of conversations
    ///
    /// Its conversations lose it.
    #[oai(path = "/v1/conversation-statuses/:id", method = "delete", operation_id = "delete_conversation_status")]
    async fn delete_conversation_status(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Deleted, Refused<{ READ | WRITE }>> {
        Ok(delete(&state, acting.tenant, KIND, id.of(KIND.noun())?).await?)
    }
}
