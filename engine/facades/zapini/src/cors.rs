//! Which web pages may call: those of the origins that the operator lists, none by default. Credentials are tokens in a header, so
//! cookies are never allowed.

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Request, Response};

/// Headers that a page may send.
const ACCEPTED: &str = "Authorization, Content-Type, Accept, X-Requested-With, X-Request-Id";
/// Headers that a page may read.
const EXPOSED: &str = "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, X-Request-Id";
const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
/// How long a browser keeps the answer, in seconds.
const MAX_AGE: &str = "600";

/// The origins whose pages may call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins {
    every: bool,
    listed: Vec<String>,
}

impl Origins {
    /// These origins; `*` for every one.
    pub(crate) fn new(origins: &[String]) -> Self {
        let listed = origins.iter().map(|origin| origin.trim().trim_end_matches('/').to_ascii_lowercase());
        let (every, listed): (Vec<String>, Vec<String>) = listed.partition(|origin| origin == "*");
        Self { every: !every.is_empty(), listed }
    }

    fn allowed(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        if self.every {
            return Some(HeaderValue::from_static("*"));
        }
        let known = origin.to_str().is_ok_and(|origin| self.listed.contains(&origin.to_ascii_lowercase()));
        known.then(|| origin.clone())
    }

    /// Whether no page may call.
    pub(crate) fn is_empty(&self) -> bool {
        !self.every && self.listed.is_empty()
    }

    /// Headers for the answer to a request, whatever it is.
    pub(crate) fn headers(&self, request: &Request) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.is_empty() {
            return headers;
        }
        if !self.every {
            headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.allowed(request) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
        headers
    }

    /// The answer to a browser's question whether a page may call; `None` for any other request, and for pages that may not.
    pub(crate) fn preflight(&self, request: &Request) -> Option<Response> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        self.allowed(request).filter(|_| asks)?;
        Some(
            Response::builder()
                .status(StatusCode::NO_CONTENT)
                .header(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
                .header(header::ACCESS_CONTROL_ALLOW_HEADERS, ACCEPTED)
                .header(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE)
                .finish(),
        )
    }
}
