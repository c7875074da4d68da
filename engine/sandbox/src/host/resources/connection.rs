//! A WebSocket connection that a guest holds.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{SplitSink, SplitStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// TCP, or TLS over it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open WebSocket.
pub(crate) type Socket = WebSocketStream<Box<dyn Stream>>;

/// A guest's connection: its halves are used by different calls at once.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Connection(Arc<Halves>);

/// Both directions of a connection.
pub(crate) struct Halves {
    pub(crate) sink: Mutex<SplitSink<Socket, Message>>,
    pub(crate) stream: Mutex<SplitStream<Socket>>,
    /// How long one call may take.
    pub(crate) limit: Duration,
}

impl Connection {
    pub(crate) fn new(socket: Socket, limit: Duration) -> Self {
        let (sink, stream) = socket.split();
        Self(Arc::new(Halves { sink: Mutex::new(sink), stream: Mutex::new(stream), limit }))
    }

    pub(crate) fn halves(&self) -> Arc<Halves> {
        self.0.clone()
    }
}
