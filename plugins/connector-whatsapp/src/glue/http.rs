//! The library's HTTP client, on top of the engine's. For small exchanges; files go through `media`, in pieces.

use pombo_plugin::connector::http::{self, Error, Header, Request};
use whatsapp_rust::anyhow::{self, anyhow};
use whatsapp_rust::async_trait;
use whatsapp_rust::wacore::net::{HttpClient, HttpRequest, HttpResponse};

/// Whole requests and answers.
pub(crate) struct Requests;

#[async_trait(?Send)]
impl HttpClient for Requests {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        // What the library fetches this way are files: history and snapshots of the app state.
        let url = if request.method.eq_ignore_ascii_case("GET") {
            crate::media::without_credential(&request.url)
        } else {
            request.url
        };
        let request = Request {
            method: request.method,
            url: address(&url),
            headers: request.headers.into_iter().map(|(name, value)| Header { name, value }).collect(),
            body: request.body.map(Into::into),
            timeout_millis: None,
        };
        match http::send(request).await {
            Ok(response) => Ok(HttpResponse { status_code: response.status, body: response.body }),
            Err(error) => Err(anyhow!(words(&error))),
        }
    }
}

/// What went wrong, without the address.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::Refused(why) => format!("the engine does not allow the request: {why}"),
        Error::Invalid(why) => format!("the request is malformed: {why}"),
        Error::NotConnected(why) => format!("no connection: {why}"),
        Error::Interrupted(why) => format!("the exchange was interrupted: {why}"),
        Error::TooLarge(limit) => format!("the answer is larger than {limit} bytes"),
    }
}

/// The URL to open for a URL of the channel's files: the same one. Everything that opens such a URL must call this.
#[cfg(not(feature = "simulator"))]
pub(crate) fn address(url: &str) -> String {
    url.to_owned()
}

/// The simulator has no certificates, so `https` URLs of the protocol are opened as plain HTTP there.
#[cfg(feature = "simulator")]
pub(crate) fn address(url: &str) -> String {
    match url.strip_prefix("https://") {
        Some(rest) => format!("http://{rest}"),
        None => url.to_owned(),
    }
}
