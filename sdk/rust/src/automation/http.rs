//! HTTP requests and responses.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;

/// A request to one of the servers named in [`super::Wants::hosts`].
///
/// A header's value may contain `{{secret:NAME}}`: the engine replaces it with the configuration's secret field NAME, over TLS
/// only. In a body it is not replaced, because bodies hold what people write. A header's value `{{hmac-sha256:NAME}}` becomes the
/// hexadecimal HMAC-SHA256 of the body with that secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, e.g. `GET` or `POST`.
    pub method: String,
    /// The URL, `https://…` or `http://…`.
    pub url: String,
    /// The headers: names and values.
    pub headers: Vec<(String, String)>,
    /// The body, if any.
    pub body: Option<Vec<u8>>,
    /// The time for the whole request; at most, and by default, the engine's limit.
    pub timeout: Option<Duration>,
}

impl HttpRequest {
    /// A request with this method.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: None, timeout: None }
    }
    /// A `GET` request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }
    /// A `POST` request.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }
    /// Sets the body to this value as JSON. `{{` in its strings is escaped, so that nothing between here and the server can take
    /// it for the placeholder of a secret.
    pub fn json(self, value: &impl Serialize) -> Result<Self, Error> {
        // In JSON, `{{` can occur only inside strings.
        let json = serde_json::to_string(value)?.replace("{{", r"{\u007b");
        Ok(self.header("content-type", "application/json").body(json))
    }
    /// Sets the time for the whole request.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// A server's response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The headers: names and values.
    pub headers: Vec<(String, String)>,
    /// The body, whole and as it came; empty if there was none.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// A response without headers, for tests.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
    /// The value of the first header with this name, ignoring case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
    /// The body as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
    /// The body parsed as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpError {
    /// The host or the secret is not granted, or the target is not allowed.
    Refused(String),
    /// The request itself is malformed.
    Invalid(String),
    /// No connection was made: nothing was sent.
    NotConnected(String),
    /// The connection broke or the time ran out after the request was begun: the server may have carried it out.
    Interrupted(String),
    /// The response is larger than the engine's limit; its size in bytes.
    TooLarge(u64),
}

impl HttpError {
    /// Whether the same request may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::NotConnected(_) | Self::Interrupted(_))
    }
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, why) = match self {
            Self::Refused(why) => ("was refused", why),
            Self::Invalid(why) => ("is malformed", why),
            Self::NotConnected(why) => ("was not sent", why),
            Self::Interrupted(why) => ("was interrupted", why),
            Self::TooLarge(size) => return write!(f, "the request's answer is too large: {size} bytes"),
        };
        f.write_str("the request ")?;
        f.write_str(what)?;
        f.write_str(": ")?;
        f.write_str(why)
    }
}

impl std::error::Error for HttpError {}
