//! The endpoint around a facade's handlers: gives each request its id and the state, checks its query, and turns every failure (a
//! handler's, the framework's, a panic) into the facade's own form. Before that the request passes the facade's gate, if it has
//! one. One pass, no boxed layers: it stands in the way of every request.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, Request, Response};
use poem_openapi::registry::MetaParamIn;

use crate::error::Failure;
use crate::facade::{Facade, Security, UnknownParameters, WrongParameter, WrongQuery};
use crate::gate::{Entry, Gate};
use crate::options::ApiState;

/// The request's id in the answer, and in the log lines about it.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A facade's handlers with what surrounds them.
pub(crate) struct FacadeEndpoint {
    facade: &'static Facade,
    routes: BoxEndpoint<'static, Response>,
    state: Arc<ApiState>,
    provide: Box<dyn Fn(&mut Request) + Send + Sync>,
    gate: Option<Box<dyn Gate>>,
    operations: Vec<Operation>,
    ids: AtomicU64,
}

/// What is known of an operation from the document.
struct Operation {
    id: String,
    method: Method,
    segments: Vec<String>,
    /// Whether it has every path below its own: the last segment stands for any number of them. What its query may have is not known then.
    open: bool,
    /// Names of its query parameters.
    query: Vec<String>,
    security: Security,
}

/// A facade that is ready to be mounted.
pub struct Served {
    /// The facade, as the server lists it.
    pub facade: &'static Facade,
    pub(crate) endpoint: FacadeEndpoint,
}

impl Served {
    /// The same, behind a gate.
    #[must_use]
    pub fn behind(mut self, gate: impl Gate) -> Self {
        self.endpoint.gate = Some(Box::new(gate));
        self
    }
}

impl Facade {
    /// Ready to be mounted, for a facade that stands on the state alone.
    pub fn serve(&'static self, state: Arc<ApiState>) -> Served {
        Served { facade: self, endpoint: FacadeEndpoint::new(self, state, |_| {}) }
    }

    /// Ready to be mounted. Its handlers find `deps` as `Data<&Arc<D>>`.
    pub fn serve_with<D: Send + Sync + 'static>(&'static self, state: Arc<ApiState>, deps: Arc<D>) -> Served {
        let provide = move |request: &mut Request| {
            request.extensions_mut().insert(Arc::clone(&deps));
        };
        Served { facade: self, endpoint: FacadeEndpoint::new(self, state, provide) }
    }
}

impl FacadeEndpoint {
    /// `provide` puts what the handlers need besides the state into each request.
    pub(crate) fn new(
        facade: &'static Facade,
        state: Arc<ApiState>,
        provide: impl Fn(&mut Request) + Send + Sync + 'static,
    ) -> Self {
        let mut operations = Vec::new();
        for path in (facade.operations)().into_iter().flat_map(|section| section.api.paths) {
            for operation in path.operations {
                let query = operation.params.into_iter().filter(|param| param.in_type == MetaParamIn::Query);
                let security = Security {
                    schemes: operation.security.iter().flat_map(HashMap::keys).copied().collect(),
                    is_optional: operation.security.iter().any(HashMap::is_empty),
                };
                let segments: Vec<String> = path.path.split('/').map(str::to_owned).collect();
                operations.push(Operation {
                    id: operation.operation_id.unwrap_or_default().to_owned(),
                    method: operation.method,
                    open: segments.last().is_some_and(|last| last.starts_with('*')),
                    segments,
                    query: query.map(|param| param.name).collect(),
                    security,
                });
            }
        }
        let ids = AtomicU64::new(state.commands.new_id().as_u64_pair().0);
        Self { facade, routes: (facade.routes)(), state, provide: Box::new(provide), gate: None, operations, ids }
    }

    fn request_id(&self, request: &Request) -> HeaderValue {
        let given = request.headers().get(&REQUEST_ID).filter(|value| {
            let bytes = value.as_bytes();
            let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            (1..=64).contains(&bytes.len()) && bytes.iter().all(plain)
        });
        given.cloned().unwrap_or_else(|| {
            // A counter through a bijective mix: unique for the process's life, and cheap.
            let mut x = self.ids.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
            x ^= x >> 32;
            HeaderValue::from_str(&format!("{x:016x}")).unwrap_or_else(|_| HeaderValue::from_static("0"))
        })
    }

    /// The operations of the path that the router chooses, whatever their methods: one without parameters wins.
    fn at_path(&self, path: &str) -> impl Iterator<Item = &Operation> {
        let fits = |operation: &&Operation| {
            let (wanted, given) = (operation.segments.len(), path.split('/').count());
            let long_enough = if operation.open { given >= wanted } else { given == wanted };
            let same = |(a, b): (&String, &str)| a.starts_with(['{', '*']) || a == b;
            long_enough && operation.segments.iter().zip(path.split('/')).all(same)
        };
        let parameters = |operation: &&Operation| {
            let parameters = operation.segments.iter().filter(|segment| segment.starts_with('{')).count();
            (operation.open, parameters)
        };
        let chosen = self.operations.iter().filter(fits).min_by_key(parameters);
        let same = move |operation: &&Operation| chosen.is_some_and(|chosen| chosen.segments == operation.segments);
        self.operations.iter().filter(same)
    }

    /// The answer to a request whose query its operation does not take; `Ok(None)` when there is nothing to say against it. A request
    /// that lacks the credential fails for that instead.
    fn check_query(&self, request: &Request) -> Result<Option<Response>, Failure> {
        let UnknownParameters::Refused { identify, refuse } = self.facade.unknown_parameters else { return Ok(None) };
        if request.uri().query().is_none_or(str::is_empty) {
            return Ok(None);
        }
        let mut operations = self.at_path(request.uri().path());
        // That the path does not take the method is for the router to say.
        let Some(operation) = operations.find(|operation| operation.method == request.method()) else {
            return Ok(None);
        };
        if operation.open {
            return Ok(None);
        }
        let Ok(given) = request.params::<Vec<(String, String)>>() else {
            identify(request, &operation.security)?;
            return Err(Failure::bad_request("the query is not well formed"));
        };
        let (mut problems, mut seen) = (Vec::new(), Vec::new());
        for (name, _) in given {
            if !operation.query.contains(&name) {
                problems.push(WrongParameter::Unknown(name));
            } else if seen.contains(&name) {
                problems.push(WrongParameter::Repeated(name));
            } else {
                seen.push(name);
            }
        }
        if problems.is_empty() {
            return Ok(None);
        }
        identify(request, &operation.security)?;
        refuse(&WrongQuery { operation: &operation.id, known: &operation.query, problems }).map(Some)
    }

    async fn answer(&self, mut request: Request) -> Result<Response, Failure> {
        if let Some(refused) = self.check_query(&request)? {
            return Ok(refused);
        }
        (self.provide)(&mut request);
        match AssertUnwindSafe(self.routes.call(request)).catch_unwind().await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Failure::of(error)),
            // The panic's text may quote a message's content: it stays out of the log.
            Err(_) => Err(Failure::internal("a handler panicked")),
        }
    }

    fn failed(&self, failure: &Failure, id: &HeaderValue, path: &str) -> Response {
        let id = id.to_str().unwrap_or_default();
        let status = (self.facade.failure_status)(failure);
        if status.is_server_error() {
            let cause = failure.cause.as_deref().unwrap_or(&failure.message);
            let status = status.as_u16();
            tracing::error!(facade = self.facade.name, request_id = id, status, cause, "request failed");
        }
        let mut response = (self.facade.write_failure)(failure, id);
        response.set_status(status);
        let headers = response.headers_mut();
        match status {
            StatusCode::METHOD_NOT_ALLOWED => {
                let methods: Vec<&str> = self.at_path(path).map(|operation| operation.method.as_str()).collect();
                if let (false, Ok(methods)) = (methods.is_empty(), HeaderValue::from_str(&methods.join(", "))) {
                    headers.insert(header::ALLOW, methods);
                }
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        if let Some(ms) = failure.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
        }
        response
    }
}

impl Endpoint for FacadeEndpoint {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let id = self.request_id(&request);
        request.extensions_mut().insert(self.state.clone());
        let Entry { headers, answer } = self.gate.as_ref().map(|gate| gate.enter(&mut request)).unwrap_or_default();
        let uri = request.uri().clone();
        let answered = match answer {
            Some(answer) => answer,
            None => self.answer(request).await,
        };
        let mut response = match answered {
            Ok(response) => response,
            Err(failure) => self.failed(&failure, &id, uri.path()),
        };
        tracing::debug!(
            facade = self.facade.name,
            request_id = id.to_str().unwrap_or_default(),
            status = response.status().as_u16(),
            "answered"
        );
        response.headers_mut().extend(headers);
        response.headers_mut().insert(REQUEST_ID, id);
        Ok(response)
    }
}
