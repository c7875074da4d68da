//! Section Conversations: who answers them, an automation or a person.

pub(crate) mod wire;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use pombo_domain::Error;
use pombo_domain::commands::conversations::{Bulk, ConversationPatch, ConversationQuery, Selection};
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::conversations::wire::{Conversation, SendInConversation, WholeConversation};
use crate::queueing::{Queued, idempotency, send_to};
use crate::wire::{BODY, DEFAULT_LIMIT, OptionalBody, Page, PathId, READ, Refused, WRITE, body};
use pombo_api::declared::KeyHeader;
use pombo_api::error::Failure;
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Conversations;

impl pombo_api::Section for Conversations {
    const FILE: &'static str = file!();
}

/// A change of a conversation. Omitted fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateConversation {
    /// The new tags, which replace all old ones: at most 50, each of at most 64 characters.
    #[oai(nullable, validator(max_items = 50))]
    tags: Option<Vec<String>>,
    /// Who the conversation is assigned to, at most 120 characters; `null` for nobody.
    #[oai(default, nullable, validator(max_length = 120))]
    #[serde(default)]
    assignee: MaybeUndefined<String>,
}

/// The reason for pausing the automations in a conversation.
#[derive(Object, Deserialize, Default)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseConversation {
    /// Reason for the person who takes over, at most 500 characters.
    #[oai(nullable, validator(max_length = 500, pattern = "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$"))]
    reason: Option<String>,
}

/// The conversations in which to pause the automations: exactly one of `ids` and `connectorId`.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PauseConversations {
    /// From 1 to 1000 ids of conversations.
    #[oai(nullable, validator(min_items = 1, max_items = 1000))]
    ids: Option<Vec<Uuid>>,
    /// All present conversations of this connector.
    #[oai(nullable)]
    connector_id: Option<Uuid>,
    /// Reason for the person who takes over, at most 500 characters.
    #[oai(nullable, validator(max_length = 500, pattern = "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$"))]
    reason: Option<String>,
}

/// The conversations in which to resume the automations: exactly one of `ids` and `connectorId`.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ResumeConversations {
    /// From 1 to 1000 ids of conversations.
    #[oai(nullable, validator(min_items = 1, max_items = 1000))]
    ids: Option<Vec<Uuid>>,
    /// All conversations of this connector that are paused now.
    #[oai(nullable)]
    connector_id: Option<Uuid>,
}

/// The result of a change of many conversations.
#[derive(Object)]
pub(crate) struct ChangedConversations {
    /// Number of conversations that were changed; the others were already in that state.
    changed: u64,
    /// Ids that do not belong to any conversation.
    missing: Vec<Uuid>,
}

fn selection(ids: Option<Vec<Uuid>>, connector: Option<Uuid>) -> Result<Selection, Failure> {
    match (ids, connector) {
        (Some(ids), None) => Ok(Selection::Ids(ids)),
        (None, Some(connector)) => Ok(Selection::Connector(connector)),
        _ => Err(Error::invalid("body", "give exactly one of ids and connectorId").into()),
    }
}

async fn step(
    state: &ApiState,
    acting: Acting,
    selection: Selection,
    bulk: Bulk,
) -> Result<Json<ChangedConversations>, Failure> {
    let done = state.commands.step_conversations(&acting.actor(), selection, bulk).await?;
    Ok(Json(ChangedConversations { changed: done.changed, missing: done.missing }))
}

#[OpenApi(tag = "Section::Conversations")]
impl Conversations {
    /// List the conversations
    ///
    /// A page may have fewer rows than `limit` although there is a `next`.
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/v1/conversations", method = "get", operation_id = "list_conversations")]
    async fn list_conversations(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Only conversations on this connector.
        #[oai(name = "connectorId")]
        connector_id: Query<Option<Uuid>>,
        /// True: only conversations whose automations are paused; false: only the others.
        paused: Query<Option<bool>>,
        /// Only conversations with this tag.
        #[oai(validator(min_length = 1, max_length = 64))]
        tag: Query<Option<String>>,
        /// Only conversations assigned to this person.
        #[oai(validator(min_length = 1, max_length = 120))]
        assignee: Query<Option<String>>,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the previous page; the first page if omitted.
        after: Query<Option<Uuid>>,
    ) -> Result<Json<Page<Conversation>>, Refused<READ>> {
        let query = ConversationQuery { connector: connector_id.0, paused: paused.0, tag: tag.0, assignee: assignee.0 };
        let limit = limit.0.unwrap_or(DEFAULT_LIMIT) as usize;
        let page = state.commands.list_conversations(acting.tenant, query, after.0, limit)?;
        Ok(Json(Page { data: page.items.into_iter().map(Conversation::from).collect(), next: page.next }))
    }

    /// Pause the automations in many conversations
    ///
    /// Automations that answer do not get the events that happen during the pause; timers wait. Observers continue.
    #[oai(path = "/v1/conversations/pause", method = "post", operation_id = "pause_conversations")]
    async fn pause_conversations(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<PauseConversations>,
    ) -> Result<Json<ChangedConversations>, Refused<{ READ | BODY | WRITE }>> {
        let PauseConversations { ids, connector_id, reason } = body(&json)?;
        let bulk = Bulk::Pause(reason.unwrap_or_default());
        Ok(step(&state, acting, selection(ids, connector_id)?, bulk).await?)
    }

    /// Resume the automations in many conversations
    ///
    /// Timers that came due during the pause fire now.
    #[oai(path = "/v1/conversations/resume", method = "post", operation_id = "resume_conversations")]
    async fn resume_conversations(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<ResumeConversations>,
    ) -> Result<Json<ChangedConversations>, Refused<{ READ | BODY | WRITE }>> {
        let ResumeConversations { ids, connector_id } = body(&json)?;
        Ok(step(&state, acting, selection(ids, connector_id)?, Bulk::Resume).await?)
    }

    /// Get a conversation, with its timers and the events that wait for its automations
    #[oai(path = "/v1/conversations/:id", method = "get", operation_id = "get_conversation")]
    async fn get_conversation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<WholeConversation>, Refused<READ>> {
        Ok(Json(state.commands.look_into_conversation(acting.tenant, id.of("Conversation")?)?.into()))
    }

    /// Change a conversation's tags or assignee
    #[oai(path = "/v1/conversations/:id", method = "patch", operation_id = "update_conversation")]
    async fn update_conversation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<UpdateConversation>,
    ) -> Result<Json<Conversation>, Refused<{ READ | BODY | WRITE }>> {
        let UpdateConversation { tags, assignee } = body(&json)?;
        let assignee = match assignee {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(assignee) => Some(Some(assignee)),
        };
        let patch = ConversationPatch { tags, assignee };
        let id = id.of("Conversation")?;
        Ok(Json(state.commands.update_conversation(&acting.actor(), id, patch).await?.into()))
    }

    /// Pause the automations in a conversation
    ///
    /// Automations that answer do not get the events that happen during the pause; timers wait. Observers continue. If the
    /// conversation is already paused, nothing changes.
    #[oai(path = "/v1/conversations/:id/pause", method = "post", operation_id = "pause_conversation")]
    async fn pause_conversation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: OptionalBody<PauseConversation>,
    ) -> Result<Json<Conversation>, Refused<{ READ | BODY | WRITE }>> {
        let reason = json.value.reason.unwrap_or_default();
        let id = id.of("Conversation")?;
        Ok(Json(state.commands.pause_conversation(&acting.actor(), id, &reason).await?.into()))
    }

    /// Resume the automations in a conversation
    ///
    /// Timers that came due during the pause fire now.
    #[oai(path = "/v1/conversations/:id/resume", method = "post", operation_id = "resume_conversation")]
    async fn resume_conversation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Conversation>, Refused<{ READ | WRITE }>> {
        let id = id.of("Conversation")?;
        Ok(Json(state.commands.resume_conversation(&acting.actor(), id).await?.into()))
    }

    /// Send a message by hand into a conversation
    ///
    /// Like sending a message with the conversation's address as `to`. While an automation is active in the conversation, the
    /// request is refused with the code `AUTOMATION_ACTIVE`.
    #[oai(path = "/v1/conversations/:id/messages", method = "post", operation_id = "send_in_conversation")]
    async fn send_in_conversation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        /// Key of at most 255 characters that makes it safe to repeat the request.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        json: JsonBytes<SendInConversation>,
    ) -> Queued {
        let id = id.of("Conversation")?;
        let view = state.commands.get_conversation(acting.tenant, id)?;
        let request: SendInConversation = body(&json)?;
        let key = idempotency("control.send_in_conversation", key, id, &json.bytes)?;
        let request = request.to(view.conversation.chat);
        Ok(send_to(&state, acting.tenant, view.connector, request, key).await?)
    }
}
