//! Section Parked: events that an automation failed at for the last time.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::commands::automations::dead_letters::ParkedView;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::connectors::Deleted;
use crate::connectors::chats::Done;
use crate::wire::{DEFAULT_LIMIT, Instant, Page, PathId, READ, Refused, WRITE};
use pombo_api::options::ApiState;

pub(crate) struct Parked;

/// An event that was put aside.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ParkedEvent {
    /// Its id here.
    id: Uuid,
    /// The automation that failed.
    automation_id: Uuid,
    /// The conversation.
    conversation_id: Uuid,
    /// The event's id.
    event_id: Uuid,
    /// What happened, such as `message-received`.
    kind: String,
    /// When it happened.
    happened_at: Instant,
    /// How often it was tried.
    tries: u32,
    /// `trap`, `timeout`, `processor`, `memory`, `error`, `unfit`.
    code: String,
    /// For a person; may quote the plugin.
    reason: String,
    /// When it was put aside.
    at: Instant,
}

impl From<ParkedView> for ParkedEvent {
    fn from(view: ParkedView) -> Self {
        let parked = view.parked;
        Self {
            id: parked.id,
            automation_id: view.automation,
            conversation_id: parked.work.key.conversation,
            event_id: parked.work.id,
            kind: parked.work.body.kind().as_str().to_owned(),
            happened_at: Instant(parked.work.at),
            tries: parked.tries,
            code: parked.code,
            reason: parked.reason,
            at: Instant(parked.at),
        }
    }
}

#[OpenApi(
    tag = "Section::Parked",
    request_header(
        name = "X-Pombo-Tenant",
        ty = "Option<Uuid>",
        description = "The tenant that the operator acts for."
    )
)]
impl Parked {
    /// List the events that were put aside
    ///
    /// A page may have fewer rows than `limit` while there is a `next`.
    #[oai(path = "/v1/automations/parked", method = "get", operation_id = "list_parked")]
    async fn list_parked(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Of this automation.
        #[oai(name = "automationId")]
        automation_id: Query<Option<Uuid>>,
        /// Rows of the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the page before.
        after: Query<Option<Uuid>>,
    ) -> Result<Json<Page<ParkedEvent>>, Refused<READ>> {
        let limit = limit.0.unwrap_or(DEFAULT_LIMIT) as usize;
        let page = state.commands.list_parked(acting.tenant, automation_id.0, after.0, limit)?;
        Ok(Json(Page { data: page.items.into_iter().map(ParkedEvent::from).collect(), next: page.next }))
    }

    /// Have a parked event handled again
    ///
    /// It goes to the end of what waits in its conversation, as if it were new.
    #[oai(path = "/v1/automations/parked/:id/replay", method = "post", operation_id = "replay_parked")]
    async fn replay_parked(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Done, Refused<{ READ | WRITE }>> {
        state.commands.replay_parked(acting.tenant, id.of("Parked event")?).await?;
        Ok(Done::Done)
    }

    /// Forget a parked event
    #[oai(path = "/v1/automations/parked/:id", method = "delete", operation_id = "discard_parked")]
    async fn discard_parked(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Deleted, Refused<{ READ | WRITE }>> {
        state.commands.discard_parked(acting.tenant, id.of("Parked event")?).await?;
        Ok(Deleted::Done)
    }
}
