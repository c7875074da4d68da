//! Section Chats: what is done in a conversation at once and not kept: look-ups, read marks, typing.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use pombo_domain::ports::{LookupResult, Typing};
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::messages::sending::MessageRef;
use crate::wire::{BODY, CHANNEL, PathId, READ, Refused, body};
use pombo_api::error::Failure;
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

pub(crate) struct Chats;

/// The channel has it.
#[derive(ApiResponse)]
pub(crate) enum Done {
    /// Done.
    #[oai(status = 204)]
    Done,
}

/// Messages that were read.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkRead {
    /// The conversation: a contact's or a group's address. Needed unless the messages are named by `event`.
    #[oai(nullable, validator(min_length = 1, max_length = 320))]
    chat: Option<String>,
    /// The messages, all of this conversation.
    #[oai(validator(min_items = 1, max_items = 100))]
    messages: Vec<MessageRef>,
}

/// What the other side is shown.
#[derive(Enum, Deserialize, Clone, Copy)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub(crate) enum TypingState {
    /// Writing.
    Composing,
    /// Recording a voice note.
    Recording,
    /// Neither.
    Paused,
}

/// That somebody writes.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowTyping {
    /// The conversation: a contact's or a group's address.
    #[oai(validator(min_length = 1, max_length = 320))]
    chat: String,
    /// What is shown.
    state: TypingState,
}

/// Addresses to be looked up.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookUp {
    /// As a message's `to`.
    #[oai(validator(min_items = 1, max_items = 50))]
    addresses: Vec<String>,
}

/// Whether an address exists.
#[derive(Object)]
pub(crate) struct FoundAddress {
    /// As asked.
    asked: String,
    /// Whether the channel knows it.
    exists: bool,
    /// How the channel writes it.
    #[oai(skip_serializing_if_is_none)]
    address: Option<String>,
    /// Other addresses of it.
    aliases: Vec<String>,
}

impl From<LookupResult> for FoundAddress {
    fn from(found: LookupResult) -> Self {
        Self { asked: found.asked, exists: found.address.is_some(), address: found.address, aliases: found.aliases }
    }
}

/// What was found.
#[derive(Object)]
pub(crate) struct FoundAddresses {
    /// In the order of the request.
    data: Vec<FoundAddress>,
}

#[OpenApi(
    tag = "Section::Chats",
    request_header(
        name = "X-Pombo-Tenant",
        ty = "Option<Uuid>",
        description = "The tenant that the operator acts for."
    )
)]
impl Chats {
    /// Mark received messages as read
    ///
    /// For connectors whose plugin has the feature `read-receipts`.
    #[oai(path = "/v1/connectors/:id/read", method = "post", operation_id = "mark_read")]
    async fn mark_read(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<MarkRead>,
    ) -> Result<Done, Refused<{ READ | BODY | CHANNEL }>> {
        let id = id.of("Connector")?;
        let MarkRead { chat, messages } = body(&json)?;
        let named = |(i, message): (usize, MessageRef)| message.named(&format!("messages[{i}]"));
        let messages = messages.into_iter().enumerate().map(named).collect::<Result<_, Failure>>()?;
        state.commands.mark_read(acting.tenant, id, chat, messages).await?;
        Ok(Done::Done)
    }

    /// Show that somebody writes
    ///
    /// The channel forgets it after a while. For connectors whose plugin has the feature `typing`.
    #[oai(path = "/v1/connectors/:id/typing", method = "post", operation_id = "show_typing")]
    async fn show_typing(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<ShowTyping>,
    ) -> Result<Done, Refused<{ READ | BODY | CHANNEL }>> {
        let id = id.of("Connector")?;
        let ShowTyping { chat, state: shown } = body(&json)?;
        let typing = match shown {
            TypingState::Composing => Typing::Composing,
            TypingState::Recording => Typing::Recording,
            TypingState::Paused => Typing::Paused,
        };
        state.commands.show_typing(acting.tenant, id, &chat, typing).await?;
        Ok(Done::Done)
    }

    /// Ask the channel which addresses exist
    ///
    /// For connectors whose plugin has the feature `lookup`. Channels count these questions: ask for what is to be sent to.
    #[oai(path = "/v1/connectors/:id/lookup", method = "post", operation_id = "look_up")]
    async fn look_up(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<LookUp>,
    ) -> Result<Json<FoundAddresses>, Refused<{ READ | BODY | CHANNEL }>> {
        let id = id.of("Connector")?;
        let found = state.commands.look_up(acting.tenant, id, body(&json)?.addresses).await?;
        Ok(Json(FoundAddresses { data: found.into_iter().map(FoundAddress::from).collect() }))
    }
}
