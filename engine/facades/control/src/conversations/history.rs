//! Section Conversations, what was said in them: their messages, a message by hand, what is read, the archive, counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::Error;
use pombo_domain::commands::conversations::{ConversationOverview, TimelineView};
use pombo_domain::model;
use pombo_domain::ports::TimelineRange;
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::conversations::by_hand::SendInConversation;
use crate::conversations::entries::Entry;
use crate::queueing::{Queued, idempotency, send_to};
use crate::wire::content::Links;
use crate::wire::conversation::Conversation;
use crate::wire::{BODY, DEFAULT_LIMIT, Instant, PathId, READ, Refused, WRITE, body, optional};
use pombo_api::declared::KeyHeader;
use pombo_api::error::Failure;
use pombo_api::json::{JsonBytes, OptionalJsonBytes};
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct ConversationHistory;

impl pombo_api::Section for ConversationHistory {
    const FILE: &'static str = file!();
}

/// A page of a conversation's messages.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ConversationMessages {
    /// The messages, oldest first.
    data: Vec<Entry>,
    /// Whether there are older ones; pass `oldest` as `before` for them.
    has_older: bool,
    /// Whether there are newer ones; pass `newest` as `after` for them.
    has_newer: bool,
    /// Number of the first message of the page.
    oldest: Option<u64>,
    /// Number of the last message of the page.
    newest: Option<u64>,
}

impl ConversationMessages {
    fn of(view: TimelineView, links: &Links<'_>) -> Self {
        let number = |entry: Option<&pombo_domain::commands::conversations::EntryView>| entry.map(|e| e.item.number);
        Self {
            oldest: number(view.entries.first()),
            newest: number(view.entries.last()),
            data: view.entries.into_iter().map(|entry| Entry::of(entry, &view.contacts, links)).collect(),
            has_older: view.has_older,
            has_newer: view.has_newer,
        }
    }
}

/// How many conversations there are. All numbers but `archived` are of those that are not archived.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ConversationCounts {
    /// Those that are not archived.
    open: u64,
    /// Those that are archived.
    archived: u64,
    /// Those with unread messages.
    unread: u64,
    /// Those that are assigned to nobody.
    unassigned: u64,
    /// Those that are assigned to the user who asks.
    mine: u64,
    /// Those in which the automations are paused.
    paused: u64,
    /// Those that an automation answers.
    automated: u64,
    /// By id of the connector.
    by_connector: BTreeMap<String, u64>,
    /// By tag: the 1000 most frequent ones.
    by_tag: BTreeMap<String, u64>,
}

impl From<ConversationOverview> for ConversationCounts {
    fn from(counts: ConversationOverview) -> Self {
        Self {
            open: counts.open,
            archived: counts.archived,
            unread: counts.unread,
            unassigned: counts.unassigned,
            mine: counts.mine,
            paused: counts.paused,
            automated: counts.automated,
            by_connector: counts.by_connector.into_iter().map(|(id, count)| (id.to_string(), count)).collect(),
            by_tag: counts.by_tag,
        }
    }
}

/// Somebody that a conversation can be assigned to.
#[derive(Object)]
pub(crate) struct Assignee {
    /// Id of the user.
    id: Uuid,
    /// Name of the user.
    name: String,
}

impl From<model::User> for Assignee {
    fn from(user: model::User) -> Self {
        Self { id: user.id, name: user.name }
    }
}

/// Those that a conversation can be assigned to.
#[derive(Object)]
pub(crate) struct Assignees {
    /// The users, oldest first.
    data: Vec<Assignee>,
}

/// How far a conversation was read.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReadConversation {
    /// Number of the last message that was read; all of them if omitted.
    #[oai(nullable)]
    up_to: Option<u64>,
    /// Whether the channel is told too, so that the other side sees it; true if omitted. It is told of at most the 100 newest messages,
    /// and only where the connector's plugin has the feature `read-receipts`. Without a connection it is told at the next one.
    #[oai(nullable)]
    tell_channel: Option<bool>,
}

impl Default for ReadConversation {
    fn default() -> Self {
        Self { up_to: None, tell_channel: Some(true) }
    }
}

#[OpenApi(tag = "Section::Conversations")]
impl ConversationHistory {
    /// Count the conversations
    #[oai(path = "/v1/conversations/counts", method = "get", operation_id = "count_conversations")]
    async fn count_conversations(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
    ) -> Result<Json<ConversationCounts>, Refused<{ READ | WRITE }>> {
        Ok(Json(state.commands.count_conversations(&acting.actor()).await?.into()))
    }

    /// List those that a conversation can be assigned to
    #[oai(path = "/v1/assignees", method = "get", operation_id = "list_assignees")]
    async fn list_assignees(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
    ) -> Result<Json<Assignees>, Refused<READ>> {
        let users = state.commands.list_assignees(acting.tenant)?;
        Ok(Json(Assignees { data: users.into_iter().map(Assignee::from).collect() }))
    }

    /// List a conversation's messages
    ///
    /// Received and sent messages in one order, as long as the conversation is kept. A sent message is in it from its first attempt
    /// on. Reactions, edits and deletions are shown with the message that they concern. Without `before`, `after` and `around` the page has
    /// the newest messages.
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/v1/conversations/:id/messages", method = "get", operation_id = "list_conversation_messages")]
    async fn list_conversation_messages(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        /// Only messages with a lower number: the newest of them.
        #[oai(validator(maximum(value = "9007199254740991")))]
        before: Query<Option<u64>>,
        /// Only messages with a higher number: the oldest of them, unless `before` is given too.
        #[oai(validator(maximum(value = "9007199254740991")))]
        after: Query<Option<u64>>,
        /// The messages around this number: about as many older ones as newer ones, and the message with this number. It cannot be
        /// combined with `before` and `after`.
        #[oai(validator(maximum(value = "9007199254740991")))]
        around: Query<Option<u64>>,
        /// Only messages that the engine took at this time or later.
        from: Query<Option<Instant>>,
        /// Only messages that the engine took at this time or earlier.
        to: Query<Option<Instant>>,
        /// Maximum number of messages, from 1 to 100; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<ConversationMessages>, Refused<READ>> {
        let range =
            TimelineRange { before: before.0, after: after.0, from: from.0.map(|at| at.0), to: to.0.map(|at| at.0) };
        let limit = limit.0.unwrap_or(DEFAULT_LIMIT) as usize;
        let id = id.of("Conversation")?;
        let view = match around.0 {
            Some(_) if range.before.is_some() || range.after.is_some() => {
                let message = "does not go with before and after; give one of them";
                return Err(Failure::from(Error::invalid("around", message)).into());
            }
            Some(around) => {
                state.commands.conversation_timeline_around(acting.tenant, id, around, &range, limit).await?
            }
            None => state.commands.conversation_timeline(acting.tenant, id, &range, limit).await?,
        };
        Ok(Json(ConversationMessages::of(view, &Links::new(&state, acting.tenant))))
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
        let tenant = acting.tenant;
        Ok(send_to(&state, tenant, view.connector, request, key, Some(acting.actor().by)).await?)
    }

    /// Mark a conversation as read
    ///
    /// It counts at once, whether the channel can be told or not.
    #[oai(path = "/v1/conversations/:id/read", method = "post", operation_id = "read_conversation")]
    async fn read_conversation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: OptionalJsonBytes<ReadConversation>,
    ) -> Result<Json<Conversation>, Refused<{ READ | BODY | WRITE }>> {
        let ReadConversation { up_to, tell_channel } = optional(&json)?;
        let (id, tell) = (id.of("Conversation")?, tell_channel.unwrap_or(true));
        Ok(Json(state.commands.read_conversation(&acting.actor(), id, up_to, tell).await?.into()))
    }

    /// Mark a conversation as unread
    ///
    /// Its newest received message is to be read again. The channel is not told.
    #[oai(path = "/v1/conversations/:id/unread", method = "post", operation_id = "unread_conversation")]
    async fn unread_conversation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Conversation>, Refused<{ READ | WRITE }>> {
        let id = id.of("Conversation")?;
        Ok(Json(state.commands.unread_conversation(&acting.actor(), id).await?.into()))
    }

    /// Archive a conversation
    ///
    /// It comes back when the other side writes. If it is already archived, nothing changes.
    #[oai(path = "/v1/conversations/:id/archive", method = "post", operation_id = "archive_conversation")]
    async fn archive_conversation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Conversation>, Refused<{ READ | WRITE }>> {
        let id = id.of("Conversation")?;
        Ok(Json(state.commands.archive_conversation(&acting.actor(), id).await?.into()))
    }

    /// Take a conversation back from the archive
    ///
    /// If it is not archived, nothing changes.
    #[oai(path = "/v1/conversations/:id/archive", method = "delete", operation_id = "restore_conversation")]
    async fn restore_conversation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Conversation>, Refused<{ READ | WRITE }>> {
        let id = id.of("Conversation")?;
        Ok(Json(state.commands.restore_conversation(&acting.actor(), id).await?.into()))
    }
}
