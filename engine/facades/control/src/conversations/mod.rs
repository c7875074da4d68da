//! Section Conversations: listed (what a list may be asked for is in [`listing`]), opened, changed and deleted, and who answers them, an
//! automation or a person. What was said in them is in [`history`], and found by [`search`]. Operations of one path are in one file,
//! because the document can show a path only once.

mod by_hand;
mod entries;
pub(crate) mod history;
mod listing;
pub(crate) mod search;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{ApiResponse, Object, OpenApi};
use pombo_domain::Error;
use pombo_domain::commands::conversations::{Bulk, ConversationPatch, ConversationQuery, Selection};
use pombo_domain::ports::ConversationFilter;
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::conversations::listing::{Assigned, ListOrder, ListStatus, one_of, place, tags_of};
use crate::wire::conversation::{Conversation, WholeConversation};
use crate::wire::{BODY, DEFAULT_LIMIT, Deleted, PathId, READ, Refused, WRITE, body, optional};
use pombo_api::error::Failure;
use pombo_api::json::{JsonBytes, OptionalJsonBytes};
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Conversations;

impl pombo_api::Section for Conversations {
    const FILE: &'static str = file!();
}

/// A change of a conversation. Omitted fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UpdateConversation {
    /// The new tags, which replace all old ones: at most 50, each of at most 64 characters. One that is not there yet is created; it
    /// has at most 50 characters. Case and accents do not count.
    #[oai(nullable, validator(max_items = 50))]
    tags: Option<Vec<String>>,
    /// Who the conversation is assigned to, at most 120 characters; `null` for nobody.
    #[oai(default, nullable, validator(max_length = 120))]
    #[serde(default)]
    assignee: MaybeUndefined<String>,
    /// Id of the user that the conversation is assigned to; `null` for none.
    #[oai(default, nullable)]
    #[serde(default)]
    assignee_id: MaybeUndefined<Uuid>,
    /// Id of the queue that the conversation is put into; `null` for none.
    #[oai(default, nullable)]
    #[serde(default)]
    queue_id: MaybeUndefined<Uuid>,
    /// Id of the status that the conversation gets; `null` for none.
    #[oai(default, nullable)]
    #[serde(default)]
    status_id: MaybeUndefined<Uuid>,
}

/// A conversation to open.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OpenConversation {
    /// Id of the connector.
    connector_id: Uuid,
    /// Address of the contact or group, in the form of a message's `to`.
    #[oai(validator(min_length = 1, max_length = 320))]
    to: String,
    /// Whether it is a group.
    #[oai(default)]
    #[serde(default)]
    is_group: bool,
    /// The same as `isGroup`.
    #[oai(nullable)]
    group: Option<bool>,
}

/// The answer to an opening.
#[derive(ApiResponse)]
pub(crate) enum Opened {
    /// There was a conversation with this address; it is as it was.
    #[oai(status = 200)]
    Known(Json<Conversation>),
    /// The conversation was opened.
    #[oai(status = 201)]
    Made(Json<Conversation>),
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

/// A value, `null`, or nothing at all.
fn given<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// A page of conversations.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct ConversationList {
    /// The rows.
    data: Vec<Conversation>,
    /// The `after` for the next page of the order `id`; absent on the last one.
    next: Option<Uuid>,
    /// Number of all conversations that match, on all pages.
    total: u64,
    /// The `cursor` of the newest event when the list was read. The events behind it have whatever happened since; some of that may be in
    /// the list already.
    cursor: u64,
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
        /// Only conversations assigned to: `me`, the user who asks; `none`, nobody; the user with this id; or the person with this name.
        #[oai(validator(min_length = 1, max_length = 120))]
        assignee: Query<Option<String>>,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// In the order `id`: the `next` of the previous page; the first page if omitted.
        after: Query<Option<Uuid>>,
        /// The order: `id` if omitted, `-lastActivity`, `waitingSince` or `-openedAt`.
        order: Query<Option<ListOrder>>,
        /// In every order but `id`: number of conversations to skip; none if omitted.
        #[oai(validator(maximum(value = "9007199254740991")))]
        offset: Query<Option<u64>>,
        /// Only conversations with one of these tags: one or several, separated by commas.
        #[oai(validator(min_length = 1, max_length = 3250))]
        tags: Query<Option<String>>,
        /// True: only conversations with a tag; false: only those without any.
        tagged: Query<Option<bool>>,
        /// The opposite of `tagged`.
        untagged: Query<Option<bool>>,
        /// True: only conversations that are assigned to somebody; false: only the others.
        assigned: Query<Option<bool>>,
        /// Only conversations assigned to this user.
        #[oai(name = "assigneeId")]
        assignee_id: Query<Option<Uuid>>,
        /// True: only archived conversations; false: only the others.
        archived: Query<Option<bool>>,
        /// The same as `archived`, as a word.
        status: Query<Option<ListStatus>>,
        /// True: only conversations in which an automation is active now; false: only the others.
        automated: Query<Option<bool>>,
        /// True: only conversations with unread messages; false: only the others.
        unread: Query<Option<bool>>,
        /// True: only groups; false: only conversations with one person.
        #[oai(name = "isGroup")]
        is_group: Query<Option<bool>>,
        /// Only conversations of which the name, the address and the preview of the newest message together contain every word of
        /// this text; case and accents are ignored. At most 200 characters.
        #[oai(validator(min_length = 1, max_length = 200))]
        search: Query<Option<String>>,
        /// Only conversations in this queue.
        #[oai(name = "queueId")]
        queue_id: Query<Option<Uuid>>,
        /// Only conversations that have this status.
        #[oai(name = "statusId")]
        status_id: Query<Option<Uuid>>,
    ) -> Result<Json<ConversationList>, Refused<{ READ | WRITE }>> {
        let (tenant, by) = (acting.tenant, acting.actor().by);
        let who = Assigned::of(assignee.0, &by)?;
        let is_archived = status.0.map(|status| status == ListStatus::Archived);
        let filter = ConversationFilter {
            connector: None,
            paused: paused.0,
            automated: automated.0,
            tag: tag.0,
            assignee: who.name,
            assigned_user: one_of("assigneeId", assignee_id.0, ("assignee", who.user))?,
            assigned: one_of("assigned", assigned.0, ("assignee", who.assigned))?,
            archived: one_of("archived", archived.0, ("status", is_archived))?,
            unread: unread.0,
            is_group: is_group.0,
            tags: tags_of(tags.0),
            tagged: one_of("tagged", tagged.0, ("untagged", untagged.0.map(|untagged| !untagged)))?,
            search: search.0,
            ..ConversationFilter::default()
        };
        let place = place(order.0, after.0, offset.0)?;
        // Read first: what happens while the list is read is behind it.
        let cursor = state.commands.last_event(tenant)?;
        let query = ConversationQuery { connector: connector_id.0, queue: queue_id.0, status: status_id.0, filter };
        let limit = limit.0.unwrap_or(DEFAULT_LIMIT) as usize;
        let page = state.commands.list_conversations(tenant, query, place, limit).await?;
        let data = page.items.into_iter().map(Conversation::from).collect();
        Ok(Json(ConversationList { data, next: page.next, total: page.total, cursor }))
    }

    /// Open the conversation with an address
    ///
    /// If there is one, it is answered as it is, with the status 200. Only for connectors whose plugin has the feature `inbound`.
    #[oai(path = "/v1/conversations", method = "post", operation_id = "open_conversation")]
    async fn open_conversation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<OpenConversation>,
    ) -> Result<Opened, Refused<{ READ | BODY | WRITE }>> {
        let OpenConversation { connector_id, to, is_group, group } = body(&json)?;
        if is_group && group == Some(false) {
            return Err(Failure::from(Error::invalid("group", "is not what isGroup says; give one of them")).into());
        }
        let is_group = is_group || group == Some(true);
        let (view, opened) = state.commands.open_conversation(&acting.actor(), connector_id, &to, is_group).await?;
        let conversation = Json(view.into());
        Ok(if opened { Opened::Made(conversation) } else { Opened::Known(conversation) })
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

    /// Change a conversation's tags, assignee, queue or status
    #[oai(path = "/v1/conversations/:id", method = "patch", operation_id = "update_conversation")]
    async fn update_conversation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<UpdateConversation>,
    ) -> Result<Json<Conversation>, Refused<{ READ | BODY | WRITE }>> {
        let UpdateConversation { tags, assignee, assignee_id, queue_id, status_id } = body(&json)?;
        let patch = ConversationPatch {
            tags,
            assignee: given(assignee),
            assigned_user: given(assignee_id),
            queue: given(queue_id),
            status: given(status_id),
        };
        let id = id.of("Conversation")?;
        Ok(Json(state.commands.update_conversation(&acting.actor(), id, patch).await?.into()))
    }

    /// Delete a conversation with its history
    ///
    /// Received files are deleted too. The sent messages stay in the list of messages. The next message from or to the address opens a
    /// new conversation.
    #[oai(path = "/v1/conversations/:id", method = "delete", operation_id = "delete_conversation")]
    async fn delete_conversation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Deleted, Refused<{ READ | WRITE }>> {
        state.commands.delete_conversation(&acting.actor(), id.of("Conversation")?).await?;
        Ok(Deleted::Done)
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
        json: OptionalJsonBytes<PauseConversation>,
    ) -> Result<Json<Conversation>, Refused<{ READ | BODY | WRITE }>> {
        let reason = optional(&json)?.reason.unwrap_or_default();
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
}
