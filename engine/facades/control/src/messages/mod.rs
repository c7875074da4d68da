//! Section Messages: lists, single messages, and a person's decisions about them.

pub(crate) mod sending;
pub(crate) mod stats;
pub(crate) mod templates;
mod why;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::MetaSchema;
use poem_openapi::{Enum, Object, OpenApi};
use pombo_domain::ErrorCode;
use pombo_domain::commands::messages::list::{MAX_SEARCH_CHARS, MessageQuery};
use pombo_domain::commands::messages::transitions::{MessageView, Transition};
use pombo_domain::model;
use pombo_domain::model::message::Resolution;
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::{Acting, Reading};
use crate::deps::ControlDeps;
use crate::messages::why::Why;
use crate::wire::message::{Message, MessageStatus};
use crate::wire::{BODY, CONFLICT, DEFAULT_LIMIT, Instant, MessageType, PathId, READ, Refused, WRITE, body, optional};
use pombo_api::declared::{Param, ParamKind};
use pombo_api::error::Failure;
use pombo_api::json::{JsonBytes, OptionalJsonBytes};
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Messages;

impl pombo_api::Section for Messages {
    const FILE: &'static str = file!();
}

/// The words of a search, as the list command takes them.
pub(crate) struct SearchWords;

impl ParamKind for SearchWords {
    type Value = String;

    fn schema() -> MetaSchema {
        MetaSchema {
            max_length: Some(MAX_SEARCH_CHARS),
            // A word of two characters at least.
            pattern: Some("\\S\\S".to_owned()),
            ..MetaSchema::new("string")
        }
    }
    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// A page of messages.
#[derive(Object)]
pub(crate) struct MessagePage {
    /// The messages, newest first.
    data: Vec<Message>,
    /// Position of the page in the list.
    meta: PageMeta,
}

/// Position of a page in its list.
#[derive(Object)]
pub(crate) struct PageMeta {
    /// Exact number of all matching messages.
    total: u64,
    /// Number of this page, from 1.
    page: u32,
    /// Maximum number of rows per page.
    limit: u32,
    /// Number of pages.
    pages: u64,
}

/// The reason for rejecting or canceling a message.
#[derive(Object, Deserialize, Default)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopMessage {
    /// Reason for people to read, at most 500 characters.
    #[oai(nullable, validator(max_length = 500, pattern = "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$"))]
    reason: Option<String>,
}

/// What happened to an UNKNOWN message.
#[derive(Enum, Deserialize, Clone, Copy)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It arrived.
    Sent,
    /// It did not arrive and is not to be sent again.
    Failed,
    /// It did not arrive and is to be sent again.
    Retry,
}

/// A person's decision about an UNKNOWN message.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolveMessage {
    /// What happened to it.
    outcome: Outcome,
}

type Changed = Result<Json<Message>, Refused<{ READ | WRITE | CONFLICT }>>;
type ChangedWithBody = Result<Json<Message>, Refused<{ READ | BODY | WRITE | CONFLICT }>>;

async fn change(
    state: &ApiState,
    acting: Acting,
    id: &PathId,
    transition: Transition,
) -> Result<Json<Message>, Failure> {
    let view = state.commands.change_message_status(acting.tenant, id.of("Message")?, transition).await?;
    Ok(Json(Message::of(view, None, None, state)))
}

/// The message that somebody may read. Of what is not its connector's, a key that is bound to one learns nothing, not even whether it is
/// there.
fn visible(state: &ApiState, reading: Reading, id: &PathId) -> Result<MessageView, Failure> {
    match reading {
        Reading::Whole(acting) => Ok(state.commands.get_message(acting.tenant, id.of("Message")?)?),
        Reading::Bound { identity, own, refusal } => match id.of("Message") {
            Ok(id) => match state.commands.get_message(identity.tenant, id) {
                Ok(view) if view.connector_id == own => Ok(view),
                Ok(_) => Err(*refusal),
                Err(error) if error.code == ErrorCode::NotFound => Err(*refusal),
                Err(error) => Err(error.into()),
            },
            Err(_) => Err(*refusal),
        },
    }
}

#[OpenApi(tag = "Section::Messages")]
impl Messages {
    /// List messages, newest first
    ///
    /// With `providerId`, a key that is bound to one connector may ask too: it sees the messages of that connector.
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/v1/messages", method = "get", operation_id = "list_messages")]
    async fn list_messages(
        &self,
        state: Data<&Arc<ApiState>>,
        reading: Reading,
        /// Only messages with this status.
        status: Query<Option<MessageStatus>>,
        /// Only messages of this connector.
        #[oai(name = "connectorId")]
        connector_id: Query<Option<Uuid>>,
        /// Only messages of this category.
        #[oai(name = "messageType")]
        message_type: Query<Option<MessageType>>,
        /// Only messages with exactly this reference.
        #[oai(name = "externalId")]
        external_id: Query<Option<String>>,
        /// Only the messages that their channels know by this id, at most one of each connector. Not together with `search`.
        #[oai(name = "providerId", validator(min_length = 1, max_length = 1024))]
        provider_id: Query<Option<String>>,
        /// Only messages that contain every word in recipient, contact name or text; case and accents are ignored. At most 200
        /// characters, with at least one word of 2 characters.
        search: Query<Option<Param<SearchWords>>>,
        /// Only messages created at this time or later.
        #[oai(name = "dateFrom")]
        date_from: Query<Option<Instant>>,
        /// Only messages created at this time or earlier.
        #[oai(name = "dateTo")]
        date_to: Query<Option<Instant>>,
        /// Number of the page, from 1; 1 if omitted.
        #[oai(validator(minimum(value = "1")))]
        page: Query<Option<u32>>,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<MessagePage>, Refused<READ>> {
        let (page, limit) = (page.unwrap_or(1), limit.unwrap_or(DEFAULT_LIMIT));
        let (tenant, connector) = match reading {
            Reading::Whole(acting) => (acting.tenant, connector_id.0),
            // What it may see is its own connector's message with an id that it knows, and nothing else.
            Reading::Bound { identity, own, refusal } => match connector_id.0 {
                _ if provider_id.0.is_none() => return Err((*refusal).into()),
                Some(named) if named != own => return Err((*refusal).into()),
                _ => (identity.tenant, Some(own)),
            },
        };
        let query = MessageQuery {
            status: status.0.map(model::Status::from),
            connector,
            message_type: message_type.0.map(model::MessageType::from),
            external_id: external_id.0,
            provider_id: provider_id.0,
            search: search.0.map(|words| words.0),
            from: date_from.0.map(|at| at.0),
            to: date_to.0.map(|at| at.0),
            page,
            limit,
        };
        let listing = state.commands.list_messages(tenant, query).await?;
        let row = |(stored, connector_id)| Message::of(MessageView { stored, connector_id }, None, None, &state);
        let meta = PageMeta { total: listing.total, page, limit, pages: listing.pages };
        Ok(Json(MessagePage { data: listing.rows.into_iter().map(row).collect(), meta }))
    }

    /// Get a message, with what its recipient gets and what the channel reported
    ///
    /// A key that is bound to one connector may ask too: it sees the messages of that connector.
    #[oai(path = "/v1/messages/:id", method = "get", operation_id = "get_message")]
    async fn get_message(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        reading: Reading,
        id: Path<PathId>,
    ) -> Result<Json<Message>, Refused<READ>> {
        let view = visible(&state, reading, &id)?;
        let rendered = state.commands.render_message(&view.stored).await;
        let receipts = state.commands.message_receipts(&view.stored)?;
        let not_seen = state.commands.message_not_seen(&view.stored, &receipts, &*deps.hearing)?;
        Ok(Json(Message::of(view, rendered, Some(receipts), &state).with_not_seen(not_seen)))
    }

    /// Say in one sentence why a message is where it is
    ///
    /// It is made of what is stored of the message, of what the channel reported and of what its connector waits for at this instant.
    /// Nothing is stored for it. A key that is bound to one connector may ask too: of the messages of that connector.
    #[oai(path = "/v1/messages/:id/why", method = "get", operation_id = "explain_message")]
    async fn explain_message(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        reading: Reading,
        id: Path<PathId>,
    ) -> Result<Json<Why>, Refused<READ>> {
        let view = visible(&state, reading, &id)?;
        Ok(Json(state.commands.message_why(&view.stored, &*deps.pace, &*deps.hearing)?.into()))
    }

    /// Approve a PENDING_APPROVAL message
    #[oai(path = "/v1/messages/:id/approve", method = "post", operation_id = "approve_message")]
    async fn approve_message(&self, state: Data<&Arc<ApiState>>, acting: Acting, id: Path<PathId>) -> Changed {
        Ok(change(&state, acting, &id, Transition::Approve).await?)
    }

    /// Reject a PENDING_APPROVAL message
    #[oai(path = "/v1/messages/:id/reject", method = "post", operation_id = "reject_message")]
    async fn reject_message(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: OptionalJsonBytes<StopMessage>,
    ) -> ChangedWithBody {
        Ok(change(&state, acting, &id, Transition::Reject(optional(&json)?.reason)).await?)
    }

    /// Cancel a message that is not yet being sent
    #[oai(path = "/v1/messages/:id/cancel", method = "post", operation_id = "cancel_message")]
    async fn cancel_message(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: OptionalJsonBytes<StopMessage>,
    ) -> ChangedWithBody {
        Ok(change(&state, acting, &id, Transition::Cancel(optional(&json)?.reason)).await?)
    }

    /// Try a FAILED or CANCELED message again
    #[oai(path = "/v1/messages/:id/retry", method = "post", operation_id = "retry_message")]
    async fn retry_message(&self, state: Data<&Arc<ApiState>>, acting: Acting, id: Path<PathId>) -> Changed {
        Ok(change(&state, acting, &id, Transition::Retry).await?)
    }

    /// Decide what happened to an UNKNOWN message
    #[oai(path = "/v1/messages/:id/resolve", method = "post", operation_id = "resolve_message")]
    async fn resolve_message(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<ResolveMessage>,
    ) -> ChangedWithBody {
        let resolution = match body(&json)?.outcome {
            Outcome::Sent => Resolution::Sent,
            Outcome::Failed => Resolution::Failed,
            Outcome::Retry => Resolution::Retry,
        };
        Ok(change(&state, acting, &id, Transition::Resolve(resolution)).await?)
    }
}
