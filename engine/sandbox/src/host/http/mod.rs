//! `http`: requests to the hosts that a connector's configuration names; `exchange` those in pieces.

mod exchange;

use std::time::Duration;

use reqwest::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use url::Url;
use wasmtime::component::{Accessor, HasSelf};

use super::granted;
use super::placeholders::Secrets;
use super::resources::{BROKEN, ExchangeError};
use crate::bindings::host::http;
use crate::grants::Capability;
use crate::limits::HTTP_BODY_BYTES;
use crate::state::{Context, HostState, Services};

/// Headers that the host sets itself: left out when the guest sets them too.
const OURS: [HeaderName; 2] = [CONTENT_LENGTH, CONNECTION];
/// What could make one request two, or another server's.
const FORBIDDEN: [HeaderName; 2] = [TRANSFER_ENCODING, HOST];

/// The URL, if the connector may call it.
pub(crate) fn checked_url(
    context: &Context,
    services: &Services,
    url: &str,
    schemes: [&str; 2],
) -> Result<Url, http::Error> {
    let url = Url::parse(url).map_err(|e| http::Error::Invalid(format!("not a URL: {e}")))?;
    if !schemes.contains(&url.scheme()) {
        return Err(http::Error::Invalid(format!("the URL must begin with {}:// or {}://", schemes[0], schemes[1])));
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(http::Error::Invalid("the URL has no host".to_owned()));
    };
    context.hosts.check(host, port).map_err(http::Error::Refused)?;
    // The guard reads http(s) only; a WebSocket is reached the same way.
    let as_http = url.as_str().replacen("ws", "http", usize::from(url.scheme().starts_with("ws")));
    services.guard.check_url(&as_http).map_err(|e| http::Error::Refused(e.to_string()))?;
    Ok(url)
}

/// Whether the operator lets secrets go to this server without TLS.
fn plain_allowed(services: &Services, url: &Url) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    let with_port = format!("{host}:{port}");
    services.http_plain_hosts.iter().any(|allowed| *allowed == host || *allowed == with_port)
}

/// A request to where the connector may go, with its secrets, and proofs of them, in its headers and its query.
fn prepared(
    context: &Context,
    services: &Services,
    method: &str,
    url: &str,
    headers: &[http::Header],
) -> Result<reqwest::RequestBuilder, http::Error> {
    let mut url = checked_url(context, services, url, ["https", "http"])?;
    let encrypted = url.scheme() == "https" || plain_allowed(services, &url);
    let secrets = Secrets(context.secrets());
    // Only now: the URL was checked as the plugin wrote it, and nobody is shown this one.
    let query = secrets.in_query(url.query().unwrap_or_default(), encrypted).map_err(http::Error::Refused)?;
    if query.is_some() {
        url.set_query(query.as_deref());
    }
    let method = reqwest::Method::from_bytes(method.as_bytes())
        .map_err(|_| http::Error::Invalid("no such method".to_owned()))?;
    let mut builder = services.http.request(method, url);
    for header in headers {
        let name = HeaderName::try_from(&header.name)
            .map_err(|_| http::Error::Invalid(format!("{:?} is not a header name", header.name)))?;
        if FORBIDDEN.contains(&name) {
            return Err(http::Error::Invalid(format!("{name} is the host's to set")));
        }
        if OURS.contains(&name) {
            continue;
        }
        let value = secrets.in_header(&header.value, encrypted).map_err(http::Error::Refused)?;
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| http::Error::Invalid(format!("the value of {name} is not allowed in a header")))?;
        value.set_sensitive(true);
        builder = builder.header(name, value);
    }
    Ok(builder)
}

/// Sends a request by the connector's way out: its proxy if it has one, and nothing else then.
fn sent(
    context: &Context,
    builder: reqwest::RequestBuilder,
) -> impl Future<Output = Result<reqwest::Response, ExchangeError>> + Send + use<> {
    let proxy = context.proxy.clone();
    async move {
        match proxy {
            Some(proxy) => proxy.send(builder).await,
            None => builder.send().await.map_err(|e| not_sent(&e)),
        }
    }
}

/// Why there is no response.
fn not_sent(error: &reqwest::Error) -> ExchangeError {
    if error.is_connect() {
        ExchangeError::NotConnected("no connection to the server".to_owned())
    } else if error.is_builder() {
        ExchangeError::Invalid("the request cannot be made".to_owned())
    } else {
        ExchangeError::Interrupted("the connection broke".to_owned())
    }
}

fn broken() -> http::Error {
    http::Error::Interrupted(BROKEN.to_owned())
}

fn headers_of(headers: &HeaderMap) -> Vec<http::Header> {
    let header = |(name, value): (&HeaderName, &HeaderValue)| http::Header {
        name: name.to_string(),
        value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
    };
    headers.iter().map(header).collect()
}

async fn send(context: &Context, services: &Services, request: http::Request) -> Result<http::Response, http::Error> {
    let mut builder = prepared(context, services, &request.method, &request.url, &request.headers)?;
    if let Some(body) = request.body {
        builder = builder.body(body);
    }
    let mut response = sent(context, builder).await?;
    if let Some(size) = response.content_length().filter(|n| *n > HTTP_BODY_BYTES as u64) {
        return Err(http::Error::TooLarge(size));
    }
    let status = response.status().as_u16();
    let headers = headers_of(response.headers());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| broken())? {
        if body.len() + chunk.len() > HTTP_BODY_BYTES {
            return Err(http::Error::TooLarge((body.len() + chunk.len()) as u64));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(http::Response { status, headers, body })
}

impl http::Host for HostState {}

impl<T: Send + 'static> http::HostWithStore<T> for HasSelf<HostState> {
    async fn send(accessor: &Accessor<T, Self>, request: http::Request) -> Result<http::Response, http::Error> {
        let (context, services) = granted(accessor, Capability::Http).map_err(http::Error::Refused)?;
        let own = request.timeout_millis.map(|ms| Duration::from_millis(u64::from(ms)));
        let limit = own.unwrap_or(services.limits.host_call).min(services.limits.host_call);
        match tokio::time::timeout(limit, send(&context, &services, request)).await {
            Ok(result) => result,
            Err(_) => Err(http::Error::Interrupted("no answer in time".to_owned())),
        }
    }
}
