//! The library's transport on top of the engine's websocket: one reader task per connection, and a handle that writes.

use std::rc::Rc;
use std::sync::Arc;

use pombo_plugin::connector::http::Header;
use pombo_plugin::connector::websocket::{Connection, Error, Frame};
use whatsapp_rust::anyhow::{self, anyhow};
use whatsapp_rust::async_channel::{Receiver, bounded};
use whatsapp_rust::async_trait;
use whatsapp_rust::bytes::Bytes;
use whatsapp_rust::wacore::net::{DisconnectReason, Transport, TransportEvent, TransportFactory, WHATSAPP_WEB_ORIGIN};

use super::executor;

/// How many frames may wait for the library; further frames wait in the host.
const QUEUED: usize = 16;

/// Is told when connections begin and end.
pub(crate) trait Watcher {
    /// An attempt begins; returns its number.
    fn connecting(&self) -> u64;
    /// The attempt failed, for this reason.
    fn refused(&self, why: &str);
    /// The connection ended: requests that wait for an answer on it will not get one.
    fn ended(&self, connection: u64);
}

/// Opens connections to one address.
pub(crate) struct Sockets {
    url: String,
    watcher: Rc<dyn Watcher>,
}

impl Sockets {
    pub(crate) fn new(url: String, watcher: Rc<dyn Watcher>) -> Self {
        Self { url, watcher }
    }
}

#[async_trait(?Send)]
impl TransportFactory for Sockets {
    async fn create_transport(&self) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        let number = self.watcher.connecting();
        let origin = Header { name: "Origin".to_owned(), value: WHATSAPP_WEB_ORIGIN.to_owned() };
        let connection = match Connection::connect(self.url.clone(), vec![origin]).await {
            Ok(connection) => Rc::new(connection),
            Err(error) => {
                let why = words(&error);
                self.watcher.refused(&why);
                return Err(anyhow!(why));
            }
        };
        let (events, queue) = bounded(QUEUED);
        let reader = connection.clone();
        let watcher = self.watcher.clone();
        executor::spawn(async move {
            // A receiver that is gone has given the connection up; then the loop ends as well.
            let _ = events.send(TransportEvent::Connected).await;
            let reason = loop {
                match reader.recv().await {
                    Ok(Frame::Binary(bytes)) => {
                        if events.send(TransportEvent::DataReceived(Bytes::from(bytes))).await.is_err() {
                            break DisconnectReason::Unknown;
                        }
                    }
                    // The protocol has no text frames.
                    Ok(Frame::Text(_)) => {}
                    Err(Error::Closed(why)) if why.is_empty() => break DisconnectReason::StreamEnded,
                    Err(Error::Closed(reason)) => break DisconnectReason::ServerClose { code: None, reason },
                    Err(error) => break DisconnectReason::ReadError(words(&error)),
                }
            };
            watcher.ended(number);
            let _ = events.send(TransportEvent::Disconnected(reason)).await;
        });
        #[expect(clippy::arc_with_non_send_sync, reason = "the library's signature; a guest has one thread")]
        Ok((Arc::new(Socket(connection)), queue))
    }
}

struct Socket(Rc<Connection>);

#[async_trait(?Send)]
impl Transport for Socket {
    async fn send(&self, data: Bytes) -> anyhow::Result<()> {
        self.0.send(Frame::Binary(data.into())).await.map_err(|error| anyhow!(words(&error)))
    }

    async fn disconnect(&self) {
        self.0.close().await;
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::Refused(why) => format!("the engine does not allow the connection: {why}"),
        Error::Invalid(why) => format!("the address of the server is malformed: {why}"),
        Error::NotConnected(why) => format!("no connection to the server: {why}"),
        Error::Closed(why) if why.is_empty() => "the connection was closed".to_owned(),
        Error::Closed(why) => format!("the connection was closed: {why}"),
        Error::TimedOut => "the connection timed out".to_owned(),
    }
}
