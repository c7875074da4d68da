//! Server-sent events: the text of an event, and an answer that is a stream of them. How a stream ends, what it follows and who may
//! follow it is the facade's.

use std::marker::PhantomData;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use poem::http::header;
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;

/// The longest silence of a stream, in milliseconds: a proxy would cut a silent connection.
pub const HEARTBEAT_MS: i64 = 15_000;
/// How long a stream lasts, in milliseconds: the client then reconnects and presents its credential again.
pub const STREAM_MS: i64 = 3_600_000;
/// How long a client waits before it reconnects. A stream sends it at once, so that the client knows that it follows.
pub const RETRY: &str = "retry: 2000\n\n";

/// The same with a first event, and the id from which the stream follows: with it the client reconnects if no other comes. `name` and
/// `data` as for [`event`].
pub fn start_at(id: u64, name: &str, data: &str) -> String {
    format!("retry: 2000\nid: {id}\nevent: {name}\ndata: {data}\n\n")
}

/// A comment, for a stream that has nothing to say.
pub const HEARTBEAT: &str = ":\n\n";

/// An event. `name` and `data` must have no line breaks, as JSON has none when it is written without spaces.
pub fn event(id: u64, name: &str, data: &str) -> String {
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
}

/// An event that is stored nowhere: without an id, so that a client that reconnects goes on behind the last one that is stored. `name` and
/// `data` as for [`event`].
pub fn passing(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// A comment that also tells the client where it stands, although there was no event: with this id it reconnects.
pub fn heartbeat_at(id: u64) -> String {
    format!(":\nid: {id}\n\n")
}

/// The data of a stream's events, as the document shows it.
pub trait Streamed: Type {
    /// What the events are, in a sentence.
    const DESCRIPTION: &'static str;
}

/// An answer of server-sent events with data `T`.
pub struct EventStream<T>(Response, PhantomData<fn() -> T>);

impl<T> EventStream<T> {
    /// An answer that lasts as long as `pieces`: each is one or several whole events.
    pub fn of(pieces: impl Stream<Item = String> + Send + 'static) -> Self {
        let bytes = pieces.map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
        let response = Response::builder()
            .content_type("text/event-stream")
            .header(header::CACHE_CONTROL, "no-store")
            // A proxy must not gather events before it passes them on.
            .header("X-Accel-Buffering", "no")
            .body(Body::from_bytes_stream(bytes));
        Self(response, PhantomData)
    }
}

impl<T: Send> IntoResponse for EventStream<T> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<T: Streamed> ApiResponse for EventStream<T> {
    fn meta() -> MetaResponses {
        let items = Some(Box::new(T::schema_ref()));
        let schema = MetaSchema { items, ..MetaSchema::new_with_format("array", "event-stream") };
        let schema = MetaSchemaRef::Inline(Box::new(schema));
        MetaResponses {
            responses: vec![MetaResponse {
                description: T::DESCRIPTION,
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType { content_type: "text/event-stream", schema }],
                headers: Vec::new(),
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
