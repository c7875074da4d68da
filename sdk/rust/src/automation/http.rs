//! HTTP requests and what comes back.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;

/// A request to one of the servers named in [`super::Wants::hosts`].
///
/// A header's value may hold `{{secret:NAME}}`: the engine puts the configuration's secret field NAME there, over TLS only. A body
/// may not: what people write goes into bodies. A header's value `{{hmac-sha256:NAME}}` becomes the hexadecimal HMAC of the body with
/// that secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST` …
    pub method: String,
    /// Where to.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// What is sent along.
    pub body: Option<Vec<u8>>,
    /// How long to wait; the engine's default otherwise.
    pub timeout: Option<Duration>,
}

impl HttpRequest {
    /// A request with this method.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: None, timeout: None }
    }
    /// A `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }
    /// A `POST`.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
    /// With these bytes.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }
    /// With this as JSON. What looks like the name of a secret in it is written so that it looks like none, whoever else reads the
    /// request on its way.
    pub fn json(self, value: &impl Serialize) -> Result<Self, Error> {
        // `{{` is nowhere in JSON but within its strings.
        let json = serde_json::to_string(value)?.replace("{{", r"{\u007b");
        Ok(self.header("content-type", "application/json").body(json))
    }
    /// Waits at most so long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// An answer, for tests.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
    /// The first header with this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
    /// The body read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpError {
    /// The host or the secret is not granted, or the target is not allowed.
    Refused(String),
    /// The request itself is malformed.
    Invalid(String),
    /// No connection was made: nothing was sent.
    NotConnected(String),
    /// The connection broke or the time ran out after the request was begun: it may have been carried out.
    Interrupted(String),
    /// The answer has more bytes than the engine takes.
    TooLarge(u64),
}

impl HttpError {
    /// Whether asking again later may help.
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
