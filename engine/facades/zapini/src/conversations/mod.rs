//! Conversations of instances, and what was said in them: how they are listed, shown and kept. Section "Conversas" is [`api`]; the chat
//! API's section shows the same in the form of [`Form::CHAT`].

pub(crate) mod api;
mod listing;
mod mentions;
mod messages;
mod wire;

use pombo_api::error::Failure;
use pombo_api::options::ApiState;
use pombo_domain::model::Right;

pub(crate) use self::listing::{ChatFormat, Filters, listed};
pub(crate) use self::mentions::formatted;
pub(crate) use self::messages::{GroupedReaction, MessagePage, file_of, messages};
pub(crate) use self::wire::{
    ArchivedConversation, ConversationBody, ConversationDetail, Form, ReadConversation, RestoredConversation, ShownTag,
    detailed,
};
use crate::credentials::Caller;
use crate::envelope::Success;
use crate::refs::conversation;

/// Marks a conversation as read; WhatsApp is told, at the next connection if there is none now.
pub(crate) async fn mark_read(
    state: &ApiState,
    caller: &Caller,
    uuid: &str,
) -> Result<Success<ReadConversation>, Failure> {
    caller.must(Right::Converse)?;
    let id = conversation(state, caller, uuid)?.conversation.id;
    let view = state.commands.read_conversation(&caller.actor(), id, None, true).await?;
    let read = ReadConversation { conversation_id: id, unread_count: view.conversation.unread() };
    Ok(Success::saying("Conversation marked as read.", read))
}

/// Archives a conversation.
pub(crate) async fn archive(
    state: &ApiState,
    caller: &Caller,
    uuid: &str,
) -> Result<Success<ArchivedConversation>, Failure> {
    caller.must(Right::Converse)?;
    let id = conversation(state, caller, uuid)?.conversation.id;
    let view = state.commands.archive_conversation(&caller.actor(), id).await?;
    let archived = ArchivedConversation::of(&view.conversation, state.commands.now());
    Ok(Success::saying("Conversation archived.", archived))
}

/// Takes a conversation back from the archive. One that is not there is not found.
pub(crate) async fn restore(
    state: &ApiState,
    caller: &Caller,
    uuid: &str,
) -> Result<Success<RestoredConversation>, Failure> {
    caller.must(Right::Converse)?;
    let known = conversation(state, caller, uuid)?.conversation;
    if known.archived_at.is_none() {
        return Err(Failure::not_found("Archived conversation"));
    }
    state.commands.restore_conversation(&caller.actor(), known.id).await?;
    let restored = RestoredConversation { conversation_id: known.id, restored: true };
    Ok(Success::saying("Conversation restored.", restored))
}
