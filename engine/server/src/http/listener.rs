//! Accepts connections and answers their requests within the limits. A client that disconnects does not cancel a command halfway,
//! and a panic affects one request, which gets 500.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use http::{HeaderValue, StatusCode, header, uri::Scheme};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::endpoint::BoxEndpoint;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Request, Response};
use pombo_api::error::Failure;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client_address::TrustedProxies;
use super::request_body::limited;
use super::run_to_end::RunToEnd;
use super::stall::StallGuard;
use crate::config::Http;
use crate::telemetry::metrics::HttpMetrics;

/// A peer that reads nothing of its response for this long is disconnected.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

/// Limits of connections and requests.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) max_connections: usize,
    pub(crate) header_timeout: Duration,
    pub(crate) max_header_bytes: usize,
    pub(crate) body_idle_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) max_body_bytes: u64,
}

impl From<&Http> for Limits {
    fn from(http: &Http) -> Self {
        Self {
            max_connections: http.max_connections,
            header_timeout: Duration::from_secs(http.header_timeout_seconds),
            max_header_bytes: http.max_header_kb * 1024,
            body_idle_timeout: Duration::from_secs(http.body_idle_timeout_seconds),
            request_timeout: Duration::from_secs(http.request_timeout_seconds),
            max_body_bytes: http.max_body_mb * 1024 * 1024,
        }
    }
}

/// A bound port, not yet accepting.
pub(crate) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

/// What all connections share.
struct Service {
    endpoint: BoxEndpoint<'static, Response>,
    limits: Limits,
    proxies: TrustedProxies,
    metrics: HttpMetrics,
    protocol: http1::Builder,
}

impl Listener {
    /// Binds with a long queue, so that a burst of connections is not refused.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(4096)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address that it listens on, with the port that the system chose for 0.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `draining`; then it accepts nothing more and lets running requests finish within `drain`.
    pub(crate) async fn serve(
        self,
        endpoint: BoxEndpoint<'static, Response>,
        limits: Limits,
        proxies: TrustedProxies,
        metrics: HttpMetrics,
        draining: CancellationToken,
        drain: Duration,
    ) {
        let mut protocol = http1::Builder::new();
        protocol
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_headers(100)
            // Also the read buffer's largest size.
            .max_buf_size(limits.max_header_bytes.max(8192) + 64 * 1024)
            .max_header_size(limits.max_header_bytes);
        let places = Arc::new(Semaphore::new(limits.max_connections));
        let service = Arc::new(Service { endpoint, limits, proxies, metrics, protocol });
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = draining.cancelled() => break,
                accepted = accept(&self.listener, &places) => accepted,
            };
            match accepted {
                Ok((socket, peer, place)) => {
                    let service = Arc::clone(&service);
                    let draining = draining.clone();
                    let local = self.address;
                    connections.spawn(async move {
                        service.connection(socket, peer, local, draining).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: waiting is all that helps.
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(self.listener);
        connections.close();
        if tokio::time::timeout(drain, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), "requests were still running when the drain time ended");
        }
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (socket, peer) = listener.accept().await?;
    Ok((socket, peer, place))
}

impl Service {
    async fn connection(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        local: SocketAddr,
        draining: CancellationToken,
    ) {
        // Failing to set it costs latency, nothing else.
        let _ = socket.set_nodelay(true);
        self.metrics.connection_opened();
        let requests = Arc::clone(&self);
        let serve = hyper::service::service_fn(move |request| {
            let service = Arc::clone(&requests);
            async move { Ok::<_, Infallible>(http::Response::from(service.request(request, peer, local).await)) }
        });
        let io = TokioIo::new(StallGuard::new(socket, WRITE_PATIENCE));
        let mut connection = std::pin::pin!(self.protocol.serve_connection(io, serve));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = draining.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
        self.metrics.connection_closed();
    }

    async fn request(
        self: Arc<Self>,
        request: http::Request<Incoming>,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Response {
        let began = Instant::now();
        let facade = label(request.uri().path());
        let length = request.body().size_hint().exact();
        let client = self.proxies.client(peer, request.headers());
        let mut request: Request =
            (request, LocalAddr(Addr::SocketAddr(local)), RemoteAddr(Addr::SocketAddr(client)), Scheme::HTTP).into();

        let response = if length.is_some_and(|length| length > self.limits.max_body_bytes) {
            let most = self.limits.max_body_bytes / 1024 / 1024;
            let message = format!("the request's body is larger than {most} MB");
            let mut response = failed(facade, StatusCode::PAYLOAD_TOO_LARGE, message);
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        } else {
            if length != Some(0) {
                let body = request.take_body();
                request.set_body(limited(body, self.limits.body_idle_timeout, self.limits.max_body_bytes));
            }
            RunToEnd::new(Arc::clone(&self).run(facade, request)).await
        };
        self.metrics.request(facade, response.status(), began.elapsed());
        response
    }

    async fn run(self: Arc<Self>, facade: &'static str, request: Request) -> Response {
        let answered = AssertUnwindSafe(self.endpoint.get_response(request)).catch_unwind();
        match tokio::time::timeout(self.limits.request_timeout, answered).await {
            Ok(Ok(response)) => response,
            Ok(Err(_panic)) => {
                tracing::error!("a request's handler panicked");
                failed(facade, StatusCode::INTERNAL_SERVER_ERROR, "internal error; the log has the details")
            }
            Err(_) => {
                tracing::warn!("a request took too long and was aborted");
                failed(facade, StatusCode::SERVICE_UNAVAILABLE, "the request took too long; try again")
            }
        }
    }
}

/// What a path is counted as in the metrics: a facade, or something that no facade has.
fn label(path: &str) -> &'static str {
    crate::facades::at_path(path).unwrap_or_else(|| match path.trim_start_matches('/').split('/').next() {
        Some("docs") => "docs",
        Some("health" | "ready" | "metrics") => "operations",
        _ => "other",
    })
}

/// The answer to a request that no facade saw to its end: in the form of the facade that its path is for.
fn failed(facade: &str, status: StatusCode, message: impl Into<String>) -> Response {
    let failure = Failure::new(status, message);
    let mut response = match crate::facades::named(facade) {
        Some(facade) => (facade.write_failure)(&failure, ""),
        None => {
            let error = status.canonical_reason().unwrap_or("Error");
            let body = serde_json::json!({ "statusCode": status.as_u16(), "message": failure.message, "error": error });
            Response::builder().content_type("application/json").body(body.to_string())
        }
    };
    response.set_status(status);
    response
}
