//! Section "Chat API": what user interfaces of chats need.

use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};
use pombo_api::declared::{Declared, Param};
use pombo_api::json::OptionalJsonBytes;
use pombo_domain::model::Right;
use pombo_domain::ports::TimelineRange;
use serde::Serialize;
use uuid::Uuid;

use crate::Section;
use crate::conversations::{
    ArchivedConversation, ConversationBody, ConversationDetail, Filters, Form, MessagePage, ReadConversation,
    RestoredConversation, archive, detailed, listed, mark_read, messages, restore,
};
use crate::credentials::Caller;
use crate::envelope::{Listed, Success};
use crate::errors::{BODY, NAMED, Refused, VALUES, WRITE};
use crate::gate::State;
use crate::params::{DEFAULT_MESSAGES, Flag, MessageLimit, MessageNumber, Page, PageNumber, PerPage, Text, given};
use crate::pauses::{self, Pause};
use crate::refs::conversation;
use crate::times::offset;

/// The answer to a pause.
#[derive(Debug, Serialize, Object)]
struct ChatPaused {
    /// Id of the conversation.
    conversation_id: Uuid,
    /// Always `true`.
    automation_paused: bool,
    /// When the automations were paused.
    #[oai(nullable)]
    paused_at: Option<String>,
    /// Name of who paused them.
    #[oai(nullable)]
    paused_by: Option<String>,
    /// Why they were paused; null where no reason was given.
    #[oai(nullable)]
    reason: Option<String>,
}

/// The answer to a resumption.
#[derive(Debug, Serialize, Object)]
struct ChatResumed {
    /// Id of the conversation.
    conversation_id: Uuid,
    /// Always `false`.
    automation_paused: bool,
    /// When the automations were resumed.
    resumed_at: String,
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct ChatApi;

impl pombo_api::Section for ChatApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Chat")]
impl ChatApi {
    /// List the chats
    ///
    /// As `GET /conversations` with `format=chat`: with tags and instance, without archived ones, the last active first.
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/api/v1/chat/conversations", method = "get", operation_id = "list_chats")]
    async fn list_chats(
        &self,
        caller: Caller,
        state: State<'_>,
        /// Only conversations of the instance with this UUID or number.
        instance_id: Query<Option<Param<Text>>>,
        /// Only conversations of which name and number together contain every word of this text, at most 200 characters; case and
        /// accents are ignored.
        search: Query<Option<Param<Text>>>,
        /// True: only conversations with unread messages. False does not filter.
        unread: Query<Option<Param<Flag>>>,
        /// Number of the page, from 1.
        page: Query<Option<Param<PageNumber>>>,
        /// Maximum number of conversations per page.
        per_page: Query<Option<Param<PerPage>>>,
    ) -> Result<Listed<ConversationBody>, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::Read)?;
        let (instance_id, search, unread) = (given(instance_id), given(search), given(unread));
        let filters = Filters { instance_id, search, unread, ..Filters::default() };
        Ok(listed(&state, &caller, filters, Page::of(given(page), given(per_page)), Form::CHAT).await?)
    }

    /// Get a chat, and who answers it
    ///
    /// An archived one too. It is not marked as read.
    #[oai(path = "/api/v1/chat/conversations/:uuid", method = "get", operation_id = "get_chat")]
    async fn get_chat(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<ConversationDetail>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::Read)?;
        let view = conversation(&state, &caller, &uuid.0.0)?;
        Ok(Success::of(detailed(&state, &caller, Form::CHAT, view).await?))
    }

    /// List the messages of a chat
    ///
    /// As `GET /conversations/{uuid}/messages` with `format=chat`: with the text as HTML and the reactions by emoji.
    #[oai(path = "/api/v1/chat/conversations/:uuid/messages", method = "get", operation_id = "list_chat_messages")]
    async fn list_chat_messages(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
        /// Only messages before the one with this `id`: the newest of them.
        before_id: Query<Option<Param<MessageNumber>>>,
        /// Only messages behind the one with this `id`: the oldest of them, unless `before_id` is given too.
        after_id: Query<Option<Param<MessageNumber>>>,
        /// Maximum number of messages.
        limit: Query<Option<Param<MessageLimit>>>,
    ) -> Result<Success<MessagePage>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::Read)?;
        let view = conversation(&state, &caller, &uuid.0.0)?;
        let range = TimelineRange { before: given(before_id), after: given(after_id), ..TimelineRange::default() };
        let limit = given(limit).unwrap_or(DEFAULT_MESSAGES);
        Ok(Success::of(messages(&state, &caller, &view, &range, limit, true).await?))
    }

    /// Mark a chat as read
    ///
    /// As `POST /conversations/{uuid}/mark-read`.
    #[oai(path = "/api/v1/chat/conversations/:uuid/mark-read", method = "post", operation_id = "mark_chat_read")]
    async fn mark_chat_read(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<ReadConversation>, Refused<{ NAMED | VALUES | WRITE }>> {
        Ok(mark_read(&state, &caller, &uuid.0.0).await?)
    }

    /// Archive a chat
    ///
    /// As `POST /conversations/{uuid}/archive`.
    #[oai(path = "/api/v1/chat/conversations/:uuid/archive", method = "post", operation_id = "archive_chat")]
    async fn archive_chat(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<ArchivedConversation>, Refused<{ NAMED | VALUES | WRITE }>> {
        Ok(archive(&state, &caller, &uuid.0.0).await?)
    }

    /// Take a chat back from the archive
    ///
    /// As `DELETE /conversations/{uuid}/archive`: one that is not archived is not found.
    #[oai(path = "/api/v1/chat/conversations/:uuid/archive", method = "delete", operation_id = "restore_chat")]
    async fn restore_chat(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<RestoredConversation>, Refused<{ NAMED | VALUES | WRITE }>> {
        Ok(restore(&state, &caller, &uuid.0.0).await?)
    }

    /// Pause the automations of a chat
    ///
    /// As `POST /conversations/{uuid}/automation/pause`, answered in another form.
    #[oai(
        path = "/api/v1/chat/conversations/:uuid/pause-automation",
        method = "post",
        operation_id = "pause_chat_automation"
    )]
    async fn pause_chat_automation(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
        body: OptionalJsonBytes<Declared<Pause>>,
    ) -> Result<Success<ChatPaused>, Refused<{ NAMED | BODY | WRITE }>> {
        caller.must(Right::Converse)?;
        let view = pauses::pause(&state, &caller, &uuid.0.0, body.object()?).await?;
        let paused_by = pauses::paused_by(&state, &caller, &view)?;
        let conversation_id = view.conversation.id;
        let handover = view.conversation.handover;
        let paused = ChatPaused {
            conversation_id,
            automation_paused: true,
            paused_at: handover.as_ref().map(|handover| offset(handover.at)),
            paused_by,
            reason: handover.map(|handover| handover.reason).filter(|reason| !reason.is_empty()),
        };
        Ok(Success::saying("Automation paused successfully", paused))
    }

    /// Resume the automations of a chat
    ///
    /// If they are not paused, nothing changes.
    #[oai(
        path = "/api/v1/chat/conversations/:uuid/resume-automation",
        method = "post",
        operation_id = "resume_chat_automation"
    )]
    async fn resume_chat_automation(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<ChatResumed>, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::Converse)?;
        let view = pauses::resume(&state, &caller, &uuid.0.0).await?;
        let resumed = ChatResumed {
            conversation_id: view.conversation.id,
            automation_paused: false,
            resumed_at: offset(state.commands.now()),
        };
        Ok(Success::saying("Automation resumed successfully", resumed))
    }
}
