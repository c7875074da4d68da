//! Section "Chat API": sending a text or a file, changing what was sent, and reacting. Every answer waits for WhatsApp.

use std::sync::Arc;

use poem::Request;
use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use pombo_api::declared::{Declared, Param};
use pombo_api::error::Failure;
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;
use pombo_domain::commands::connectors::overview::ConnectorOverview;
use pombo_domain::commands::messages::actions::ActionRequest;
use pombo_domain::commands::messages::now::{EntryRef, FoundEntry};
use pombo_domain::model::{FileKind, Right};
use pombo_domain::{Error, ErrorCode};
use serde::Serialize;
use uuid::Uuid;

use crate::conversations::{GroupedReaction, file_of, formatted};
use crate::credentials::Caller;
use crate::envelope::{Settled, Success};
use crate::errors::{BODY, CHANNEL, NAMED, Refused, VALUES};
use crate::gate::State;
use crate::media_message::{MediaFields, MediaType, SENT, SendMedia, send_media};
use crate::params::Text;
use crate::refs::{entry, named_or_serving};
use crate::sending::{
    ChatSend, EditFields, EditMessage, Reached, Reaction, ReactionFields, SendStatus, TextFields, about, new_text,
    reached, reaction, send_text, settled, waiting,
};
use crate::times::seconds;
use crate::{Section, ZapiniDeps};

/// A message that was sent, as chats show it.
#[derive(Debug, Serialize, Object)]
struct SentChatMessage {
    /// Its number; null where it is not in a conversation yet.
    #[oai(nullable)]
    id: Option<u64>,
    /// Its UUID.
    unique_id: Uuid,
    /// WhatsApp's id of it; null while it is not known.
    #[oai(nullable)]
    whatsapp_message_id: Option<String>,
    /// Always `outgoing`.
    direction: String,
    /// Always `true`.
    is_from_me: bool,
    /// Its text; of a file its caption, empty where it has none.
    message_body: String,
    /// Its text as HTML.
    formatted_body: String,
    /// JIDs of those whom the text mentions; empty.
    mentioned_jids: Vec<String>,
    /// What its file was sent as; left out without one.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<MediaType>,
    /// URL that opens its file without a token, for a limited time; left out without a file.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    media_url: Option<String>,
    /// Name that the instance's account goes by; null where it has none.
    #[oai(nullable)]
    sender_name: Option<String>,
    /// How far it came.
    status: SendStatus,
    /// Reactions to it; empty.
    grouped_reactions: Vec<GroupedReaction>,
    /// When it was sent.
    created_at: String,
}

/// The answer to a send.
#[derive(Debug, Serialize, Object)]
struct ChatSent {
    /// The message.
    message: SentChatMessage,
}

/// A message with a new text.
#[derive(Debug, Serialize, Object)]
struct EditedMessage {
    /// Its number.
    id: u64,
    /// Its UUID.
    unique_id: Uuid,
    /// The new text.
    message_body: String,
    /// How far the change came.
    status: SendStatus,
}

/// A message that was deleted.
#[derive(Debug, Serialize, Object)]
struct DeletedMessage {
    /// Its number.
    id: u64,
    /// Its UUID.
    unique_id: Uuid,
    /// How far the deletion came.
    status: SendStatus,
}

/// A message with the account's reaction.
#[derive(Debug, Serialize, Object)]
struct ReactedMessage {
    /// Its number.
    id: u64,
    /// Its UUID.
    unique_id: Uuid,
    /// The account's reaction; null where it was removed.
    #[oai(nullable)]
    emoji: Option<String>,
    /// How far the reaction came.
    status: SendStatus,
}

/// The message that was sent, as its conversation has it.
fn shown(
    state: &ApiState,
    caller: &Caller,
    instance: &ConnectorOverview,
    sent: Reached,
    text: String,
    kind: Option<FileKind>,
) -> Result<SentChatMessage, Failure> {
    let found = match state.commands.find_entry(caller.tenant, EntryRef::Id(sent.id)) {
        Ok(found) => Some(found.item),
        Err(Error { code: ErrorCode::NotFound, .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let now = state.commands.now();
    let at = found.as_ref().map(|item| item.at).or(sent.at).unwrap_or(now);
    let file = found.as_ref().and_then(|item| file_of(&item.entry));
    let media_url = file.map(|file| state.media_links.url(caller.tenant, file, now));
    Ok(SentChatMessage {
        id: found.map(|item| item.number),
        unique_id: sent.id,
        status: SendStatus::of(Some(&sent)),
        whatsapp_message_id: sent.provider_id,
        direction: "outgoing".to_owned(),
        is_from_me: true,
        formatted_body: formatted(&text, &[]),
        message_body: text,
        mentioned_jids: Vec::new(),
        media_type: kind.map(MediaType::from),
        media_url,
        sender_name: instance.account.as_ref().and_then(|account| account.display_name.clone()),
        grouped_reactions: Vec::new(),
        created_at: seconds(at),
    })
}

/// Does something about a message of any conversation of the caller's, and waits for the outcome.
async fn act(
    state: &ApiState,
    caller: &Caller,
    deps: &ZapiniDeps,
    given: &str,
    request: ActionRequest,
) -> Result<(FoundEntry, SendStatus), Failure> {
    let found = entry(state, caller, given).await?;
    let by = caller.actor().by;
    let done = state.commands.act_on_entry_now(caller.tenant, &found, request, &by, waiting(deps)).await;
    let done = done.map_err(about(found.connector))?.map(reached).transpose().map_err(about(found.connector))?;
    Ok((found, SendStatus::of(done.as_ref())))
}

/// Sets or removes the account's reaction to a message.
async fn react(
    state: &ApiState,
    caller: &Caller,
    deps: &ZapiniDeps,
    given: &str,
    emoji: String,
) -> Result<Settled<Success<ReactedMessage>>, Failure> {
    let said = if emoji.is_empty() { "Reaction removed successfully" } else { "Reaction added successfully" };
    let (found, status) = act(state, caller, deps, given, ActionRequest::React(emoji.clone())).await?;
    let emoji = Some(emoji).filter(|emoji| !emoji.is_empty());
    let reacted = ReactedMessage { id: found.item.number, unique_id: found.item.id, emoji, status };
    Ok(settled(status, Success::saying(said, reacted)))
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct ChatSendsApi;

impl pombo_api::Section for ChatSendsApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Chat")]
impl ChatSendsApi {
    /// Send a text message
    ///
    /// As `POST /send-message`; the answer is the message as chats show it.
    #[oai(path = "/api/v1/chat/send", method = "post", operation_id = "send_chat_message")]
    async fn send_chat_message(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Data<&Arc<ZapiniDeps>>,
        request: &Request,
        body: JsonBytes<Declared<ChatSend>>,
    ) -> Result<Settled<Success<ChatSent>>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::Converse)?;
        let message = body.object::<TextFields<'_>>()?.checked()?;
        let view = named_or_serving(&state, &caller, request, message.instance.as_deref())?;
        let text = message.text().to_owned();
        let sent = send_text(&state, &caller, &deps, &view, message).await?;
        let message = shown(&state, &caller, &view, sent, text, None)?;
        Ok(settled(message.status, Success::saying("Message sent successfully", ChatSent { message })))
    }

    /// Send a file
    ///
    /// As `POST /send-media`; the answer is the message as chats show it.
    #[oai(path = "/api/v1/chat/send-media", method = "post", operation_id = "send_chat_media")]
    async fn send_chat_media(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Data<&Arc<ZapiniDeps>>,
        request: &Request,
        body: JsonBytes<Declared<SendMedia>>,
    ) -> Result<Settled<Success<ChatSent>>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::Converse)?;
        let message = body.object::<MediaFields<'_>>()?.checked()?;
        let view = named_or_serving(&state, &caller, request, message.instance.as_deref())?;
        let (caption, kind) = (message.caption().to_owned(), message.kind);
        let sent = send_media(&state, &caller, &deps, &view, message).await?;
        let message = shown(&state, &caller, &view, sent, caption, Some(kind))?;
        Ok(settled(message.status, Success::saying(SENT, ChatSent { message })))
    }

    /// Change the text of a message
    ///
    /// Only of a message that the instance's account wrote (otherwise 403), for as long as WhatsApp allows it.
    #[oai(path = "/api/v1/chat/messages/:uuid", method = "patch", operation_id = "edit_chat_message")]
    async fn edit_chat_message(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Data<&Arc<ZapiniDeps>>,
        /// UUID or number of the message, or WhatsApp's id of it.
        uuid: Path<Param<Text>>,
        body: JsonBytes<Declared<EditMessage>>,
    ) -> Result<Settled<Success<EditedMessage>>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::Converse)?;
        let text = new_text(body.object::<EditFields<'_>>()?)?;
        let (found, status) = act(&state, &caller, &deps, &uuid.0.0, ActionRequest::Edit(text.clone())).await?;
        let edited = EditedMessage { id: found.item.number, unique_id: found.item.id, message_body: text, status };
        Ok(settled(status, Success::saying("Message updated successfully", edited)))
    }

    /// Delete a message for everyone
    ///
    /// Only one that the instance's account wrote (otherwise 403). If it is deleted already, nothing changes.
    #[oai(path = "/api/v1/chat/messages/:uuid", method = "delete", operation_id = "delete_chat_message")]
    async fn delete_chat_message(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Data<&Arc<ZapiniDeps>>,
        /// UUID or number of the message, or WhatsApp's id of it.
        uuid: Path<Param<Text>>,
    ) -> Result<Settled<Success<DeletedMessage>>, Refused<{ NAMED | VALUES | CHANNEL }>> {
        caller.must(Right::Converse)?;
        let (found, status) = act(&state, &caller, &deps, &uuid.0.0, ActionRequest::Revoke).await?;
        let deleted = DeletedMessage { id: found.item.number, unique_id: found.item.id, status };
        Ok(settled(status, Success::saying("Message deleted successfully", deleted)))
    }

    /// React to a message
    ///
    /// The account has one reaction to a message: a new one replaces it, an empty one removes it.
    #[oai(path = "/api/v1/chat/messages/:uuid/reaction", method = "post", operation_id = "add_chat_reaction")]
    async fn add_chat_reaction(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Data<&Arc<ZapiniDeps>>,
        /// UUID or number of the message, or WhatsApp's id of it.
        uuid: Path<Param<Text>>,
        body: JsonBytes<Declared<Reaction>>,
    ) -> Result<Settled<Success<ReactedMessage>>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::Converse)?;
        let emoji = reaction(body.object::<ReactionFields<'_>>()?)?;
        Ok(react(&state, &caller, &deps, &uuid.0.0, emoji).await?)
    }

    /// Remove the reaction to a message
    ///
    /// If the account has none, nothing changes.
    #[oai(path = "/api/v1/chat/messages/:uuid/reaction", method = "delete", operation_id = "remove_chat_reaction")]
    async fn remove_chat_reaction(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Data<&Arc<ZapiniDeps>>,
        /// UUID or number of the message, or WhatsApp's id of it.
        uuid: Path<Param<Text>>,
    ) -> Result<Settled<Success<ReactedMessage>>, Refused<{ NAMED | VALUES | CHANNEL }>> {
        caller.must(Right::Converse)?;
        Ok(react(&state, &caller, &deps, &uuid.0.0, String::new()).await?)
    }
}
