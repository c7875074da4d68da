//! What `whatsapp-rust` asks of its host: tasks and timers, a websocket, and HTTP for media. Everything on the tokio
//! runtime of the caller, so that hundreds of peers share its threads.
//!
//! It speaks to this machine only: an address that is not loopback is refused before a socket is opened.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use wacore::net::{
    DisconnectReason, HttpClient, HttpRequest, HttpResponse, Transport, TransportEvent, TransportFactory,
    WHATSAPP_WEB_ORIGIN,
};
use wacore::runtime::{AbortHandle, Runtime};
use whatsapp_rust::async_channel;

type Task = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Tasks and timers on the caller's tokio runtime.
pub(super) struct Tokio;

#[async_trait]
impl Runtime for Tokio {
    fn spawn(&self, future: Task) -> AbortHandle {
        let task = tokio::spawn(future);
        AbortHandle::new(move || task.abort())
    }

    fn spawn_detached(&self, future: Task) {
        tokio::spawn(future);
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            // The closure reports through a channel of its own; a panic in it closes that channel.
            let _ = tokio::task::spawn_blocking(work).await;
        })
    }

    fn yield_now(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        None
    }
}

/// Opens a websocket to the simulator for each connection of the client.
pub(super) struct Sockets {
    /// `ws://127.0.0.1:port/…`
    pub(super) url: String,
    /// The task of the newest socket.
    pub(super) open: Arc<Mutex<Option<tokio::task::AbortHandle>>>,
}

enum Outgoing {
    Data(Bytes),
    Close(oneshot::Sender<()>),
}

struct Socket {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    task: tokio::task::AbortHandle,
}

#[async_trait]
impl TransportFactory for Sockets {
    async fn create_transport(&self) -> anyhow::Result<(Arc<dyn Transport>, async_channel::Receiver<TransportEvent>)> {
        let mut request = self.url.as_str().into_client_request().context("the websocket's address")?;
        request.headers_mut().insert("Origin", http::HeaderValue::from_static(WHATSAPP_WEB_ORIGIN));
        let stream = loopback(request.uri()).await?;
        stream.set_nodelay(true)?;
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        // Unbounded both ways: a client that waits for its own frames to go out must not keep its socket from reading.
        let (events, received) = async_channel::unbounded();
        let (outgoing, queue) = mpsc::unbounded_channel();
        let task = tokio::spawn(pump(socket, queue, events)).abort_handle();
        *self.open.lock() = Some(task.clone());
        Ok((Arc::new(Socket { outgoing, task }), received))
    }
}

/// Owns one socket: aborting this task cuts the connection.
async fn pump(
    mut socket: WebSocketStream<TcpStream>,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
    events: async_channel::Sender<TransportEvent>,
) {
    if events.send(TransportEvent::Connected).await.is_err() {
        return;
    }
    let reason = loop {
        tokio::select! {
            outgoing = queue.recv() => match outgoing {
                Some(Outgoing::Data(data)) => {
                    if let Err(e) = socket.send(Message::Binary(data)).await {
                        break DisconnectReason::ReadError(e.to_string());
                    }
                }
                Some(Outgoing::Close(done)) => {
                    // The other end may have gone first.
                    let _ = socket.close(None).await;
                    let _ = done.send(());
                    break DisconnectReason::Unknown;
                }
                None => return,
            },
            incoming = socket.next() => match incoming {
                Some(Ok(Message::Binary(data))) => {
                    if events.send(TransportEvent::DataReceived(data)).await.is_err() {
                        return;
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    break DisconnectReason::ServerClose {
                        code: frame.as_ref().map(|f| f.code.into()),
                        reason: frame.map(|f| f.reason.to_string()).unwrap_or_default(),
                    };
                }
                Some(Ok(_)) => {}
                Some(Err(e)) => break DisconnectReason::ReadError(e.to_string()),
                None => break DisconnectReason::StreamEnded,
            },
        }
    };
    // The receiver is gone when the client itself hung up.
    let _ = events.send(TransportEvent::Disconnected(reason)).await;
}

#[async_trait]
impl Transport for Socket {
    async fn send(&self, data: Bytes) -> anyhow::Result<()> {
        self.outgoing.send(Outgoing::Data(data)).map_err(|_| anyhow!("the socket is closed"))
    }

    async fn disconnect(&self) {
        let (done, closed) = oneshot::channel();
        if self.outgoing.send(Outgoing::Close(done)).is_ok() {
            // An error says that the socket's task ended by itself.
            let _ = closed.await;
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Plain HTTP, one connection a request. `https://` is taken for `http://`: the simulator's media host has no certificate,
/// and the client always writes `https`.
pub(super) struct Http;

#[async_trait]
impl HttpClient for Http {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let mut builder = http::Request::builder().method(request.method.as_str());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let (status, body) = exchange(builder, &request.url, request.body.unwrap_or_default()).await?;
        Ok(HttpResponse { status_code: status, body })
    }
}

/// Posts JSON; gives the status and the body.
pub(super) async fn post_json(url: &str, body: &serde_json::Value) -> anyhow::Result<(u16, Vec<u8>)> {
    let builder = http::Request::post("/").header("Content-Type", "application/json");
    exchange(builder, url, Bytes::from(serde_json::to_vec(body)?)).await
}

async fn exchange(builder: http::request::Builder, url: &str, body: Bytes) -> anyhow::Result<(u16, Vec<u8>)> {
    let uri: http::Uri = url.parse().with_context(|| format!("not an address: {url}"))?;
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let host = uri.authority().map(|a| a.as_str()).unwrap_or_default();
    let request = builder.uri(path).header("Host", host).body(Full::new(body))?;
    let stream = loopback(&uri).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((status, body.into()))
}

async fn loopback(uri: &http::Uri) -> anyhow::Result<TcpStream> {
    let host = uri.host().ok_or_else(|| anyhow!("{uri} names no host"))?;
    let port = uri.port_u16().ok_or_else(|| anyhow!("{uri} names no port"))?;
    let address: SocketAddr =
        format!("{host}:{port}").parse().with_context(|| format!("{host} is not an IP address"))?;
    if !address.ip().is_loopback() {
        bail!("a test peer speaks to this machine only, not to {address}");
    }
    Ok(TcpStream::connect(address).await?)
}
