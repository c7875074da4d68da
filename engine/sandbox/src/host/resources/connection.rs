//! A WebSocket connection that a guest holds. Through a proxy it has a task that sends pings while nothing else is sent, so that the proxy
//! does not take it for dead; the task ends with the connection.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// TCP, or TLS over it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open WebSocket.
pub(crate) type Socket = WebSocketStream<Box<dyn Stream>>;

/// A guest's connection: its halves are used by different calls at once.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Connection {
    halves: Arc<Halves>,
    pings: Option<AbortHandle>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(pings) = &self.pings {
            pings.abort();
        }
    }
}

/// Both directions of a connection.
pub(crate) struct Halves {
    pub(crate) sink: Mutex<SplitSink<Socket, Message>>,
    pub(crate) stream: Mutex<SplitStream<Socket>>,
    /// How long one call may take.
    pub(crate) limit: Duration,
    /// When something was last sent.
    sent: parking_lot::Mutex<Instant>,
}

impl Halves {
    /// Notes that something is being sent.
    pub(crate) fn note_sent(&self) {
        *self.sent.lock() = Instant::now();
    }
}

impl Connection {
    /// `ping_after`: after how long a silence of the guest a ping is sent; `None` for never.
    pub(crate) fn new(socket: Socket, limit: Duration, ping_after: Option<Duration>) -> Self {
        let (sink, stream) = socket.split();
        let sent = parking_lot::Mutex::new(Instant::now());
        let halves = Arc::new(Halves { sink: Mutex::new(sink), stream: Mutex::new(stream), limit, sent });
        let pings = ping_after.map(|silence| tokio::spawn(ping(Arc::downgrade(&halves), silence)).abort_handle());
        Self { halves, pings }
    }

    pub(crate) fn halves(&self) -> Arc<Halves> {
        self.halves.clone()
    }
}

/// Sends a ping after each `silence`, until the connection is gone.
async fn ping(connection: Weak<Halves>, silence: Duration) {
    let mut wait = silence;
    loop {
        tokio::time::sleep(wait).await;
        let Some(halves) = connection.upgrade() else { return };
        let quiet = halves.sent.lock().elapsed();
        if quiet < silence {
            wait = silence - quiet;
            continue;
        }
        let sending = async { halves.sink.lock().await.send(Message::Ping(Bytes::new())).await };
        // A connection that takes none is found broken by whoever uses it.
        if !matches!(tokio::time::timeout(halves.limit, sending).await, Ok(Ok(()))) {
            return;
        }
        halves.note_sent();
        wait = silence;
    }
}
