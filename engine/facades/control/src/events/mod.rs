//! Section Events: a tenant's log of what happened on its connectors, read by cursor or followed as a stream, together with what is
//! told live and stored nowhere. Requests that wait are woken by the commit.

pub(crate) mod automations;
mod live;
mod stream;
pub(crate) mod wire;

use std::sync::Arc;

use futures::stream::unfold;
use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::param::{Header, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::MetaSchema;
use poem_openapi::{Object, OpenApi};
use pombo_domain::TenantIndex;
use pombo_domain::commands::events::log::EventQuery;
use pombo_domain::model::EventBody;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::concurrency::ConcurrencyLimit;
use crate::deps::ControlDeps;
use crate::events::live::{Followed, LIVE_KINDS};
use crate::events::stream::{Follower, Places, Wanted};
use crate::events::wire::Event;
use crate::wire::{After, AfterCursor, READ, Refused};
use pombo_api::declared::{Param, ParamKind};
use pombo_api::error::{Failure, status};
use pombo_api::options::ApiState;
use pombo_api::signals::{Following, TooManyWait};
use pombo_api::sse::EventStream;

/// Maximum number of streams at the same time: in all, of one tenant, and with one credential (a user, a key).
const STREAMS: usize = 256;
const STREAMS_OF_TENANT: usize = 64;
const STREAMS_OF_ONE: usize = 16;

pub(crate) struct Events {
    streams: ConcurrencyLimit,
    of_credentials: ConcurrencyLimit<(TenantIndex, String)>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            streams: ConcurrencyLimit::new(STREAMS, STREAMS_OF_TENANT),
            of_credentials: ConcurrencyLimit::new(STREAMS, STREAMS_OF_ONE),
        }
    }
}

impl Events {
    /// A place for a stream, if there is one.
    fn place(&self, acting: &Acting) -> Option<Places> {
        let of_credential = self.of_credentials.take((acting.tenant, acting.by().to_owned()))?;
        Some((self.streams.take(Some(acting.tenant))?, of_credential))
    }
}

impl pombo_api::Section for Events {
    const FILE: &'static str = file!();
}

/// Number of events per page if the caller does not say.
const DEFAULT_EVENTS: u32 = 100;

/// The parameter `type`: one or several types of the log, separated by commas.
pub(crate) struct EventTypes;

impl ParamKind for EventTypes {
    type Value = Vec<String>;

    fn schema() -> MetaSchema {
        schema_of(&EventBody::KINDS)
    }
    fn parse(text: &str) -> Result<Vec<String>, String> {
        kinds_in(text, &EventBody::KINDS)
    }
}

/// The parameter `type` of a stream: also of what is told live.
pub(crate) struct StreamTypes;

/// The types of the log, and those that are only told live.
fn stream_kinds() -> Vec<&'static str> {
    let live = LIVE_KINDS.into_iter().filter(|kind| !EventBody::KINDS.contains(kind));
    EventBody::KINDS.into_iter().chain(live).collect()
}

impl ParamKind for StreamTypes {
    type Value = Vec<String>;

    fn schema() -> MetaSchema {
        schema_of(&stream_kinds())
    }
    fn parse(text: &str) -> Result<Vec<String>, String> {
        kinds_in(text, &stream_kinds())
    }
}

fn schema_of(known: &[&str]) -> MetaSchema {
    let one = known.join("|").replace('.', "\\.");
    MetaSchema { pattern: Some(format!("^({one})(,({one}))*$")), ..MetaSchema::new("string") }
}

fn kinds_in(text: &str, known: &[&str]) -> Result<Vec<String>, String> {
    let kinds: Vec<String> = text.split(',').map(str::to_owned).collect();
    match kinds.iter().all(|kind| known.contains(&kind.as_str())) {
        true => Ok(kinds),
        false => Err(format!("must be one or several, separated by commas, of {}", known.join(", "))),
    }
}

/// A page of events.
#[derive(Object)]
pub(crate) struct EventPage {
    /// The events, oldest first.
    data: Vec<Event>,
    /// The `after` for the next page, even when `data` is empty.
    next: u64,
}

/// The first page with an event on it; an empty one if none came in time.
async fn page(
    state: &ApiState,
    acting: &Acting,
    mut query: EventQuery,
    waiting: Option<(Following, i64)>,
) -> Result<EventPage, Failure> {
    let commands = &state.commands;
    let clock = commands.clock();
    let (mut following, deadline) = match waiting {
        None => (None, clock.now()),
        Some((following, ms)) => (Some(following), clock.now().plus_ms(ms)),
    };
    let mut over = clock.sleep_until(deadline);
    loop {
        let found = commands.list_events(acting.tenant, &query)?;
        query.after = found.next;
        let Some(following) = following.as_mut().filter(|_| found.events.is_empty()) else {
            let data = found.events.into_iter().map(|(event, connector)| Event::of(event, connector, state)).collect();
            return Ok(EventPage { data, next: query.after });
        };
        if query.after < commands.last_event(acting.tenant)? {
            // A long stretch without a match: look on before waiting.
            continue;
        }
        let more = tokio::select! {
            more = following.appended() => more,
            () = &mut over => false,
        };
        if !more {
            return Ok(EventPage { data: Vec::new(), next: query.after });
        }
    }
}

#[OpenApi(tag = "Section::Events")]
impl Events {
    /// List events, oldest first
    ///
    /// To follow the log, pass each page's `next` as `after`. With `wait`, a request for a page that would be empty is answered
    /// as soon as something happens, or after that time. Each event is stored together with the change that it reports, so none
    /// is lost, and an event has the same `id` and `cursor` whenever it is read.
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/v1/events", method = "get", operation_id = "list_events")]
    async fn list_events(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        acting: Acting,
        /// The `next` of the previous page or the `cursor` of an event; `latest` for events from now on. From the beginning of
        /// the log if omitted.
        after: Query<Option<Param<AfterCursor>>>,
        /// Maximum number of events, from 1 to 250; 100 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// Only events on this connector.
        #[oai(name = "connectorId")]
        connector_id: Query<Option<Uuid>>,
        /// Only events of these types: one or several, separated by commas.
        #[oai(name = "type")]
        kinds: Query<Option<Param<EventTypes>>>,
        /// Seconds to wait for the first event, at most 30; no wait if omitted.
        #[oai(validator(maximum(value = "30")))]
        wait: Query<Option<u32>>,
    ) -> Result<Json<EventPage>, Refused<{ READ | status::TOO_MANY }>> {
        let wait = wait.0.unwrap_or_default();
        // Followed before the log is read: what is appended in between wakes too.
        let waiting = match wait {
            0 => None,
            _ => Some((deps.events.follow(acting.tenant).map_err(too_many)?, i64::from(wait) * 1000)),
        };
        let after = match after.0 {
            None => 0,
            Some(Param(After::Cursor(cursor))) => cursor,
            Some(Param(After::Latest)) => state.commands.last_event(acting.tenant)?,
        };
        let limit = limit.0.unwrap_or(DEFAULT_EVENTS) as usize;
        let kinds = kinds.0.map(|Param(kinds)| kinds).unwrap_or_default();
        let query = EventQuery { after, limit, connector: connector_id.0, kinds };
        Ok(Json(page(&state, &acting, query, waiting).await?))
    }

    /// Follow the events
    ///
    /// Server-sent events, for at most one hour, and only as long as the credential holds. A client that reconnects with
    /// `Last-Event-ID` misses no event that is still kept; one that stayed away too long is told by an event `resync`. With `live`, the
    /// stream also tells each step of a message and other changes that are stored nowhere. A comment is sent at least every 15 seconds.
    /// At most 256 streams are open at the same time: 64 of one tenant, 16 with one credential.
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/v1/events/stream", method = "get", operation_id = "follow_events")]
    async fn follow_events(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        acting: Acting,
        /// Where to begin: behind the `cursor` of an event; `latest`, and if omitted, with the events from now on.
        after: Query<Option<Param<AfterCursor>>>,
        /// The former name of `after`. If both are given, `after` counts.
        #[oai(deprecated)]
        cursor: Query<Option<Param<AfterCursor>>>,
        /// The `id` of the last event that the client received; takes precedence over `after`.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<Param<AfterCursor>>>,
        /// Only events on this connector.
        #[oai(name = "connectorId")]
        connector_id: Query<Option<Uuid>>,
        /// Only events of these types: one or several, separated by commas.
        #[oai(name = "type")]
        kinds: Query<Option<Param<StreamTypes>>>,
        /// Whether to tell also what is stored nowhere. If omitted, it is told only if `type` names a type that the log does not have.
        live: Query<Option<bool>>,
    ) -> Result<EventStream<Followed>, Refused<{ READ | status::TOO_MANY }>> {
        let Some(places) = self.place(&acting) else {
            let failure = Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too many streams of events are open already; end one, or let several readers share one",
            );
            return Err(Failure { retry_after_ms: Some(5_000), ..failure }.into());
        };
        let kinds = kinds.0.map(|Param(kinds)| kinds).unwrap_or_default();
        let mut wanted = Wanted { after: 0, connector: connector_id.0, kinds };
        // Followed before the log is read: what is appended in between wakes too.
        let following = deps.events.follow_stream(acting.tenant);
        let is_live = live.0.unwrap_or_else(|| wanted.names_live());
        let live = is_live.then(|| deps.events.follow_live(acting.tenant));
        wanted.after = match last_event_id.0.or(after.0).or(cursor.0) {
            Some(Param(After::Cursor(cursor))) => cursor,
            Some(Param(After::Latest)) | None => state.commands.last_event(acting.tenant)?,
        };
        // A connector that is not there is said in the answer, not by a stream that ends.
        let one = EventQuery { after: wanted.after, limit: 1, connector: wanted.connector, kinds: Vec::new() };
        state.commands.list_events(acting.tenant, &one)?;
        let follower = Follower::new(state.0.clone(), acting, wanted, following, live, places);
        Ok(EventStream::of(unfold(follower, |mut follower| async move {
            let piece = follower.next().await?;
            Some((piece, follower))
        })))
    }
}

fn too_many(error: TooManyWait) -> Failure {
    Failure { retry_after_ms: Some(1_000), ..Failure::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()) }
}
