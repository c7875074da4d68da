//! Section Parked: events that an automation still failed to handle on the last attempt.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::commands::automations::dead_letters::DeadLetterView;
use pombo_domain::model::FailureCode;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::wire::{DEFAULT_LIMIT, Deleted, Done, Instant, Page, PathId, READ, Refused, WRITE, WordOf};
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Parked;

impl pombo_api::Section for Parked {
    const FILE: &'static str = file!();
}

/// An event that was parked after the last attempt to handle it failed.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ParkedEvent {
    /// Id of the parked event, by which it is replayed or discarded.
    id: Uuid,
    /// Id of the automation that failed.
    automation_id: Uuid,
    /// Id of the conversation in which the event happened.
    conversation_id: Uuid,
    /// Id of the event, as in the event log.
    event_id: Uuid,
    /// Kind of event, such as `message-received`.
    kind: String,
    /// When the event happened.
    happened_at: Instant,
    /// Number of attempts to handle it.
    tries: u32,
    code: WordOf<FailureCode>,
    /// Why the last attempt failed, for a person. May quote the plugin.
    reason: String,
    /// When the event was parked.
    at: Instant,
}

impl From<DeadLetterView> for ParkedEvent {
    fn from(view: DeadLetterView) -> Self {
        let dead_letter = view.dead_letter;
        Self {
            id: dead_letter.id,
            automation_id: view.automation,
            conversation_id: dead_letter.task.key.conversation,
            event_id: dead_letter.task.id,
            kind: dead_letter.task.body.kind().as_str().to_owned(),
            happened_at: Instant(dead_letter.task.at),
            tries: dead_letter.tries,
            code: dead_letter.code.into(),
            reason: dead_letter.reason,
            at: Instant(dead_letter.at),
        }
    }
}

#[OpenApi(tag = "Section::Parked")]
impl Parked {
    /// List the parked events
    ///
    /// A page may have fewer rows than `limit` although there is a `next`.
    #[oai(path = "/v1/automations/parked", method = "get", operation_id = "list_parked")]
    async fn list_parked(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Only events of this automation; of all automations if omitted.
        #[oai(name = "automationId")]
        automation_id: Query<Option<Uuid>>,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the previous page; the first page if omitted.
        after: Query<Option<Uuid>>,
    ) -> Result<Json<Page<ParkedEvent>>, Refused<READ>> {
        let limit = limit.0.unwrap_or(DEFAULT_LIMIT) as usize;
        let page = state.commands.list_dead_letters(acting.tenant, automation_id.0, after.0, limit)?;
        Ok(Json(Page { data: page.items.into_iter().map(ParkedEvent::from).collect(), next: page.next }))
    }

    /// Handle a parked event again
    ///
    /// The event is appended to the events that wait in its conversation, as if it were new.
    #[oai(path = "/v1/automations/parked/:id/replay", method = "post", operation_id = "replay_parked")]
    async fn replay_parked(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Done, Refused<{ READ | WRITE }>> {
        state.commands.requeue_dead_letter(acting.tenant, id.of("Parked event")?).await?;
        Ok(Done::Done)
    }

    /// Discard a parked event
    ///
    /// The event is deleted and never handled again.
    #[oai(path = "/v1/automations/parked/:id", method = "delete", operation_id = "discard_parked")]
    async fn discard_parked(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Deleted, Refused<{ READ | WRITE }>> {
        state.commands.discard_dead_letter(acting.tenant, id.of("Parked event")?).await?;
        Ok(Deleted::Done)
    }
}
