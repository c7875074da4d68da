//! HTTP through the proxy: the same client library as without one, over connections of the dialer. Every request has a tunnel of its
//! own server, also one without TLS: the proxy sees where to, and never reads or changes the request.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderValue, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use reqwest::{Body, RequestBuilder, Response};
use tokio::net::TcpStream;
use tower_service::Service;

use super::dialer::Dialer;
use crate::host::resources::ExchangeError;
use crate::host::tcp::Unreachable;

/// Idle connections that are kept for one server.
const IDLE: usize = 4;

/// The HTTP client of one proxy, with its connections.
pub(super) struct Web(Client<HttpsConnector<Through>, Body>);

/// Connects where a URI says, through the proxy.
#[derive(Clone)]
struct Through(Arc<Dialer>);

impl Service<Uri> for Through {
    type Response = TokioIo<TcpStream>;
    type Error = Unreachable;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialer = self.0.clone();
        Box::pin(async move {
            let host = uri.host().ok_or_else(|| Unreachable::Failed("the URL has no host".to_owned()))?;
            let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
            dialer.dial(host, uri.port_u16().unwrap_or(default)).await.map(TokioIo::new)
        })
    }
}

impl Web {
    /// `idle`: how long a connection without a request is kept.
    pub(super) fn new(dialer: Arc<Dialer>, tls: &rustls::ClientConfig, idle: Duration) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(Through(dialer));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle)
            .pool_max_idle_per_host(IDLE)
            .build(connector);
        Self(client)
    }

    pub(super) async fn send(&self, builder: RequestBuilder) -> Result<Response, ExchangeError> {
        let invalid = |_| ExchangeError::Invalid("the request cannot be made".to_owned());
        let mut request = Request::<Body>::try_from(builder.build().map_err(invalid)?).map_err(invalid)?;
        // As without a proxy.
        request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        match self.0.request(request).await {
            Ok(response) => Ok(response.map(Body::wrap).into()),
            Err(error) => Err(not_sent(&error)),
        }
    }
}

fn not_sent(error: &ClientError) -> ExchangeError {
    if !error.is_connect() {
        return ExchangeError::Interrupted("the connection broke".to_owned());
    }
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(why) = inner.downcast_ref::<Unreachable>() {
            return ExchangeError::NotConnected(why.to_string());
        }
        cause = inner.source();
    }
    ExchangeError::NotConnected("no connection to the server".to_owned())
}
