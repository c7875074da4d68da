//! Asks an endpoint in this process, and reads its answer whole.

use poem::http::{HeaderMap, StatusCode};
use poem::{Body, Endpoint, Request, Response};
use serde_json::Value;

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads an answer.
    pub async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, headers: parts.headers, body: body.into_vec().await.expect("a body") }
    }

    /// Its body as text, as far as it is text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Its JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("this is not JSON: {}", self.text()))
    }

    /// The JSON of an answer that must have this status; `null` where there is no body.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The JSON of an answer that must be a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text());
        self.json()
    }
}

/// Asks with these headers; the body is read as it is.
pub async fn ask(
    service: &impl Endpoint<Output = Response>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = Request::builder().method(method.parse().expect("a method")).uri(path.parse().expect("a URI"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(service.call(request.body(body.into())).await.expect("every failure is an answer")).await
}
