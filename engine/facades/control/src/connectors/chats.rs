//! Section Chats: requests about a conversation that are carried out at once and not stored: look-ups, read marks, typing.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use pombo_domain::ports::{LookupResult, Typing};
use serde::Deserialize;

use crate::Section;
use crate::access::Acting;
use crate::wire::send::MessageRef;
use crate::wire::{BODY, CHANNEL, Done, PathId, READ, Refused, body};
use pombo_api::error::Failure;
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Chats;

impl pombo_api::Section for Chats {
    const FILE: &'static str = file!();
}

/// Received messages to mark as read.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkRead {
    /// The conversation: address of a contact or group. Required unless the messages are named by `event`.
    #[oai(nullable, validator(min_length = 1, max_length = 320))]
    chat: Option<String>,
    /// The messages, from 1 to 100, all of this conversation.
    #[oai(validator(min_items = 1, max_items = 100))]
    messages: Vec<MessageRef>,
}

/// The typing state to show.
#[derive(Enum, Deserialize, Clone, Copy)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub(crate) enum TypingState {
    /// Somebody is writing.
    Composing,
    /// Somebody is recording a voice note.
    Recording,
    /// Nobody is writing or recording.
    Paused,
}

/// A typing state to show in a conversation.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowTyping {
    /// The conversation: address of a contact or group.
    #[oai(validator(min_length = 1, max_length = 320))]
    chat: String,
    /// The state that the contact or group is shown.
    state: TypingState,
}

/// Addresses to look up on the channel.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookUp {
    /// From 1 to 50 addresses, in the form of a message's `to`.
    #[oai(validator(min_items = 1, max_items = 50))]
    addresses: Vec<String>,
}

/// The result for one address.
#[derive(Object)]
pub(crate) struct FoundAddress {
    /// The address as it was asked for.
    asked: String,
    /// Whether the address exists on the channel.
    exists: bool,
    /// The address in the channel's own form; absent if it does not exist.
    #[oai(skip_serializing_if_is_none)]
    address: Option<String>,
    /// Other addresses of the same contact.
    aliases: Vec<String>,
}

impl From<LookupResult> for FoundAddress {
    fn from(found: LookupResult) -> Self {
        Self { asked: found.asked, exists: found.address.is_some(), address: found.address, aliases: found.aliases }
    }
}

/// The results of a look-up.
#[derive(Object)]
pub(crate) struct FoundAddresses {
    /// One result for each address, in the order of the request.
    data: Vec<FoundAddress>,
}

#[OpenApi(tag = "Section::Chats")]
impl Chats {
    /// Mark received messages as read
    ///
    /// Only for connectors whose plugin has the feature `read-receipts`.
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

    /// Show a typing state
    ///
    /// The channel drops the state after a while. Only for connectors whose plugin has the feature `typing`.
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

    /// Look up which addresses exist on the channel
    ///
    /// Only for connectors whose plugin has the feature `lookup`. Channels restrict accounts that ask about many addresses, so ask only
    /// about those that you want to send to: 30 at once and 60 an hour, unless the operator configured other numbers. Beyond that the answer
    /// is 429 with `Retry-After`.
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
