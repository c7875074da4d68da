//! `websocket`: client connections to the hosts that a connector's configuration names.

use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use wasmtime::component::{Accessor, HasSelf, Resource};

use super::granted;
use super::http::checked_url;
use super::network;
use super::placeholders::Secrets;
use super::resources::{Connection, Halves, Socket, Stream};
use super::tcp::Unreachable;
use crate::bindings::host::http::Error as HttpError;
use crate::bindings::host::websocket::{self, Error, Frame, Header};
use crate::grants::Capability;
use crate::limits::{WEBSOCKET_MESSAGE_BYTES, cut};
use crate::state::{Context, HostState, Services};

/// What is read from the network at once.
const READ_BUFFER_BYTES: usize = 8 << 10;

fn closed(error: &WsError) -> Error {
    Error::Closed(match error {
        WsError::ConnectionClosed | WsError::AlreadyClosed => "closed".to_owned(),
        other => cut(&other.to_string(), 200),
    })
}

async fn connect(context: &Context, services: &Services, url: &str, headers: &[Header]) -> Result<Socket, Error> {
    let url = checked_url(context, services, url, ["wss", "ws"]).map_err(|e| match e {
        HttpError::Refused(why) => Error::Refused(why),
        HttpError::Invalid(why) => Error::Invalid(why),
        _ => Error::Invalid("the URL cannot be used".to_owned()),
    })?;
    let encrypted = url.scheme() == "wss";
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let mut request = url.as_str().into_client_request().map_err(|e| Error::Invalid(cut(&e.to_string(), 200)))?;
    for header in headers {
        let name = HeaderName::try_from(&header.name)
            .map_err(|_| Error::Invalid(format!("{:?} is not a header name", header.name)))?;
        let value = Secrets(context.secrets()).in_header(&header.value, encrypted).map_err(Error::Refused)?;
        let value = HeaderValue::try_from(value)
            .map_err(|_| Error::Invalid(format!("the value of {name} is not allowed in a header")))?;
        request.headers_mut().insert(name, value);
    }
    let unreachable = |e| match e {
        Unreachable::Forbidden => Error::Refused("the server's address is not allowed".to_owned()),
        Unreachable::Failed(why) => Error::NotConnected(why),
    };
    let route = network::route(context, services, &host, port).await.map_err(unreachable)?;
    let tcp = route.connect(services.limits.host_call).await.map_err(unreachable)?;
    let stream: Box<dyn Stream> = if encrypted {
        let name = rustls::pki_types::ServerName::try_from(host)
            .map_err(|_| Error::Invalid("the host's name cannot be used with TLS".to_owned()))?;
        let tls = tokio_rustls::TlsConnector::from(services.tls.clone()).connect(name, tcp).await;
        Box::new(tls.map_err(|e| Error::NotConnected(format!("TLS: {}", cut(&e.to_string(), 200))))?)
    } else {
        Box::new(tcp)
    };
    let config = WebSocketConfig::default()
        // Kept for as long as the connection: there are many, and most are silent.
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        // A peer that does not read stops the guest's `send` and not the host's memory.
        .max_write_buffer_size(WEBSOCKET_MESSAGE_BYTES * 2)
        .max_message_size(Some(WEBSOCKET_MESSAGE_BYTES))
        .max_frame_size(Some(WEBSOCKET_MESSAGE_BYTES));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(e) => Err(Error::NotConnected(cut(&e.to_string(), 200))),
    }
}

fn halves<T: Send + 'static>(
    accessor: &Accessor<T, HasSelf<HostState>>,
    connection: &Resource<Connection>,
) -> Result<Arc<Halves>, Error> {
    accessor.with(|mut access| match access.get().table.get(connection) {
        Ok(connection) => Ok(connection.halves()),
        Err(_) => Err(Error::Closed("this connection is gone".to_owned())),
    })
}

impl websocket::Host for HostState {}

impl websocket::HostConnection for HostState {
    fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl<T: Send + 'static> websocket::HostConnectionWithStore<T> for HasSelf<HostState> {
    async fn connect(
        accessor: &Accessor<T, Self>,
        url: String,
        headers: Vec<Header>,
    ) -> Result<Resource<Connection>, Error> {
        let (context, services) = granted(accessor, Capability::Websocket).map_err(Error::Refused)?;
        let limit = services.limits.host_call;
        let socket = tokio::time::timeout(limit, connect(&context, &services, &url, &headers))
            .await
            .map_err(|_| Error::TimedOut)??;
        let ping_after = context.proxy.as_ref().map(|proxy| proxy.ping_after());
        accessor
            .with(|mut access| access.get().table.push(Connection::new(socket, limit, ping_after)))
            .map_err(|_| Error::Refused("this instance holds too many connections".to_owned()))
    }

    async fn send(accessor: &Accessor<T, Self>, connection: Resource<Connection>, frame: Frame) -> Result<(), Error> {
        let halves = halves(accessor, &connection)?;
        let message = match frame {
            Frame::Text(text) => Message::text(text),
            Frame::Binary(bytes) => Message::binary(bytes),
        };
        halves.note_sent();
        let work = async { halves.sink.lock().await.send(message).await.map_err(|e| closed(&e)) };
        tokio::time::timeout(halves.limit, work).await.unwrap_or(Err(Error::TimedOut))
    }

    async fn recv(accessor: &Accessor<T, Self>, connection: Resource<Connection>) -> Result<Frame, Error> {
        let halves = halves(accessor, &connection)?;
        let mut stream = halves.stream.lock().await;
        loop {
            return match stream.next().await {
                Some(Ok(Message::Text(text))) => Ok(Frame::Text(text.as_str().to_owned())),
                Some(Ok(Message::Binary(bytes))) => Ok(Frame::Binary(bytes.to_vec())),
                // Pings are answered by the library when the stream is polled.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(frame))) => {
                    let said = frame.map(|f| format!("{} {}", f.code, f.reason)).unwrap_or_default();
                    Err(Error::Closed(cut(&said, 200)))
                }
                Some(Err(e)) => Err(closed(&e)),
                None => Err(Error::Closed("closed".to_owned())),
            };
        }
    }

    async fn close(accessor: &Accessor<T, Self>, connection: Resource<Connection>) {
        if let Ok(halves) = halves(accessor, &connection) {
            // A peer that does not take the close frame is left to the drop.
            let _ = tokio::time::timeout(halves.limit, async { halves.sink.lock().await.close().await }).await;
        }
    }
}
