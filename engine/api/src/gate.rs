//! A facade's gate: what it does with each request before its operation is looked for. There it may choose another path for the
//! request, leave what its handlers need, answer by itself (a browser's preflight, a limit of requests), and say which headers
//! the answer gets, whatever it will be. A facade without one is entered directly.

use poem::http::HeaderMap;
use poem::{Request, Response};

use crate::error::Failure;

/// What a facade does with each request before its operation is looked for, see the module.
pub trait Gate: Send + Sync + 'static {
    /// Lets a request in. It carries the state already, and its path is below the facade's base. Must not block: it runs before
    /// anything of the body was read.
    fn enter(&self, request: &mut Request) -> Entry;
}

/// How a request goes on behind a [`Gate`].
#[derive(Default)]
pub struct Entry {
    /// Headers that the answer gets, failures included. They replace those of the same names.
    pub headers: HeaderMap,
    /// The answer, if no operation is to be called. A failure is written as all failures of the facade are.
    pub answer: Option<Result<Response, Failure>>,
}

/// What the `*` stood for in the pattern of `http.hosts` that the request's host name fits; in the request's extensions, where the
/// pattern has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPart(pub String);
