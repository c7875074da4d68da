//! Section "Conversas": the conversations of instances, and what was said in them.

use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use pombo_api::declared::Param;
use pombo_domain::model::Right;
use pombo_domain::ports::TimelineRange;

use super::{
    ArchivedConversation, ChatFormat, ConversationBody, ConversationDetail, Filters, Form, MessagePage,
    ReadConversation, RestoredConversation, archive, detailed, listed, mark_read, messages, restore,
};
use crate::Section;
use crate::credentials::Caller;
use crate::envelope::{Listed, Said, Success};
use crate::errors::{NAMED, Refused, VALUES, WRITE};
use crate::gate::State;
use crate::params::{
    DEFAULT_MESSAGES, Flag, Instant, MessageLimit, MessageNumber, Page, PageNumber, PerPage, Text, given, tag_ids,
};
use crate::refs::conversation;

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct ConversationsApi;

impl pombo_api::Section for ConversationsApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Conversations")]
impl ConversationsApi {
    /// List the conversations
    ///
    /// Without archived ones, the last active first. Filters are combined by AND.
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/conversations", method = "get", operation_id = "list_conversations")]
    async fn list_conversations(
        &self,
        caller: Caller,
        state: State<'_>,
        request: &Request,
        /// Only conversations of the instance with this UUID or number.
        instance_id: Query<Option<Param<Text>>>,
        /// True: only conversations with unread messages. False does not filter.
        unread: Query<Option<Param<Flag>>>,
        /// Only conversations of which name and number together contain every word of this text, at most 200 characters; case and
        /// accents are ignored.
        search: Query<Option<Param<Text>>>,
        /// True: only groups; false: only conversations with one person.
        is_group: Query<Option<Param<Flag>>>,
        /// Number of the page, from 1.
        page: Query<Option<Param<PageNumber>>>,
        /// Maximum number of conversations per page.
        per_page: Query<Option<Param<PerPage>>>,
        /// Whether to show the tags of each conversation.
        include_tags: Query<Option<Param<Flag>>>,
        /// Only conversations with the tag of this id.
        #[oai(name = "tag_id")]
        _tag_id: Query<Option<Param<Text>>>,
        /// Only conversations with one of the tags of these ids, at most 50: separated by commas, or given several times, also as
        /// `tag_ids[]`.
        #[oai(name = "tag_ids")]
        _tag_ids: Query<Option<Param<Text>>>,
        /// True: only conversations without a tag. False does not filter.
        untagged: Query<Option<Param<Flag>>>,
        /// `chat` shows tags and instance too.
        format: Query<Option<Param<ChatFormat>>>,
    ) -> Result<Listed<ConversationBody>, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::Read)?;
        let filters = Filters {
            instance_id: given(instance_id),
            unread: given(unread),
            search: given(search),
            is_group: given(is_group),
            tags: tag_ids(request)?,
            untagged: given(untagged),
            archived: false,
        };
        let form = Form::of(given(format).is_some(), given(include_tags));
        Ok(listed(&state, &caller, filters, Page::of(given(page), given(per_page)), form).await?)
    }

    /// List the archived conversations
    ///
    /// As `GET /conversations`. A conversation comes back from the archive when the other side writes.
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/conversations/archived", method = "get", operation_id = "list_archived_conversations")]
    async fn list_archived_conversations(
        &self,
        caller: Caller,
        state: State<'_>,
        request: &Request,
        /// Only conversations of the instance with this UUID or number.
        instance_id: Query<Option<Param<Text>>>,
        /// True: only conversations with unread messages. False does not filter.
        unread: Query<Option<Param<Flag>>>,
        /// Only conversations of which name and number together contain every word of this text, at most 200 characters; case and
        /// accents are ignored.
        search: Query<Option<Param<Text>>>,
        /// True: only groups; false: only conversations with one person.
        is_group: Query<Option<Param<Flag>>>,
        /// Number of the page, from 1.
        page: Query<Option<Param<PageNumber>>>,
        /// Maximum number of conversations per page.
        per_page: Query<Option<Param<PerPage>>>,
        /// Whether to show the tags of each conversation.
        include_tags: Query<Option<Param<Flag>>>,
        /// Only conversations with the tag of this id.
        #[oai(name = "tag_id")]
        _tag_id: Query<Option<Param<Text>>>,
        /// Only conversations with one of the tags of these ids, as in `GET /conversations`.
        #[oai(name = "tag_ids")]
        _tag_ids: Query<Option<Param<Text>>>,
        /// True: only conversations without a tag. False does not filter.
        untagged: Query<Option<Param<Flag>>>,
        /// `chat` shows tags and instance too.
        format: Query<Option<Param<ChatFormat>>>,
    ) -> Result<Listed<ConversationBody>, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::Read)?;
        let filters = Filters {
            instance_id: given(instance_id),
            unread: given(unread),
            search: given(search),
            is_group: given(is_group),
            tags: tag_ids(request)?,
            untagged: given(untagged),
            archived: true,
        };
        let form = Form::of(given(format).is_some(), given(include_tags));
        Ok(listed(&state, &caller, filters, Page::of(given(page), given(per_page)), form).await?)
    }

    /// Get a conversation, and who answers it
    ///
    /// An archived one too. It is not marked as read.
    #[oai(path = "/conversations/:uuid", method = "get", operation_id = "get_conversation")]
    async fn get_conversation(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
        /// Whether to show the tags.
        include_tags: Query<Option<Param<Flag>>>,
        /// `chat` shows tags and instance too.
        format: Query<Option<Param<ChatFormat>>>,
    ) -> Result<Success<ConversationDetail>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::Read)?;
        let view = conversation(&state, &caller, &uuid.0.0)?;
        let form = Form::of(given(format).is_some(), given(include_tags));
        Ok(Success::of(detailed(&state, &caller, form, view).await?))
    }

    /// List the messages of a conversation
    ///
    /// Received and sent ones in one order. Without `before_id` and `after_id`, the newest. A sent message is in it from its first
    /// attempt on.
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/conversations/:uuid/messages", method = "get", operation_id = "list_conversation_messages")]
    async fn list_conversation_messages(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
        /// Only messages with `created_at` at this time or later.
        from: Query<Option<Param<Instant>>>,
        /// Only messages with `created_at` at this time or earlier.
        to: Query<Option<Param<Instant>>>,
        /// Only messages before the one with this `id`: the newest of them.
        before_id: Query<Option<Param<MessageNumber>>>,
        /// Only messages behind the one with this `id`: the oldest of them, unless `before_id` is given too.
        after_id: Query<Option<Param<MessageNumber>>>,
        /// Maximum number of messages.
        limit: Query<Option<Param<MessageLimit>>>,
        /// `chat` shows the text as HTML and the reactions by emoji too.
        format: Query<Option<Param<ChatFormat>>>,
    ) -> Result<Success<MessagePage>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::Read)?;
        let view = conversation(&state, &caller, &uuid.0.0)?;
        let range =
            TimelineRange { before: given(before_id), after: given(after_id), from: given(from), to: given(to) };
        let limit = given(limit).unwrap_or(DEFAULT_MESSAGES);
        Ok(Success::of(messages(&state, &caller, &view, &range, limit, given(format).is_some()).await?))
    }

    /// Mark a conversation as read
    ///
    /// It counts at once. WhatsApp is told of at most the 100 newest messages; without a connection, at the next one.
    #[oai(path = "/conversations/:uuid/mark-read", method = "post", operation_id = "mark_conversation_read")]
    async fn mark_conversation_read(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<ReadConversation>, Refused<{ NAMED | VALUES | WRITE }>> {
        Ok(mark_read(&state, &caller, &uuid.0.0).await?)
    }

    /// Archive a conversation
    ///
    /// It comes back when the other side writes. One that is archived already keeps its `archived_at`.
    #[oai(path = "/conversations/:uuid/archive", method = "post", operation_id = "archive_conversation")]
    async fn archive_conversation(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<ArchivedConversation>, Refused<{ NAMED | VALUES | WRITE }>> {
        Ok(archive(&state, &caller, &uuid.0.0).await?)
    }

    /// Take a conversation back from the archive
    ///
    /// One that is not archived is not found.
    #[oai(path = "/conversations/:uuid/archive", method = "delete", operation_id = "restore_conversation")]
    async fn restore_conversation(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<RestoredConversation>, Refused<{ NAMED | VALUES | WRITE }>> {
        Ok(restore(&state, &caller, &uuid.0.0).await?)
    }

    /// Delete a conversation and its messages
    ///
    /// Received files are deleted too. The next message from or to the contact opens a new conversation.
    #[oai(path = "/conversations/:uuid", method = "delete", operation_id = "delete_conversation")]
    async fn delete_conversation(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
    ) -> Result<Said, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::DeleteRecords)?;
        let id = conversation(&state, &caller, &uuid.0.0)?.conversation.id;
        state.commands.delete_conversation(&caller.actor(), id).await?;
        Ok(Said("Conversation deleted.".into()))
    }
}
