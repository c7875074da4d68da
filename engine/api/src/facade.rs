//! The endpoint around a facade: it gives each request its id and the state, and turns every failure (of a handler, of the
//! framework, a panic) into the facade's own JSON. It is a single layer without boxing, because every request passes through it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use poem::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse, Request, Response};
use poem_openapi::registry::MetaApi;

use crate::error::Failure;
use crate::options::ApiState;

/// The header with the request's id, which is also in the log lines about the request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Writes the body of a failure in the facade's form.
pub type WriteFailure = fn(&Failure) -> Response;

/// A facade's routes with the endpoint around them.
pub struct Facade<E> {
    inner: E,
    name: &'static str,
    state: Arc<ApiState>,
    write: WriteFailure,
    paths: Vec<PathMethods>,
    ids: AtomicU64,
}

/// The methods of a path, for the Allow header.
struct PathMethods {
    segments: Vec<String>,
    methods: Vec<Method>,
}

impl<E> Facade<E> {
    /// Around `inner`, whose operations are `operations`.
    pub fn new(
        name: &'static str,
        state: Arc<ApiState>,
        write: WriteFailure,
        operations: Vec<MetaApi>,
        inner: E,
    ) -> Self {
        let mut paths: Vec<PathMethods> = Vec::new();
        for path in operations.into_iter().flat_map(|api| api.paths) {
            let segments: Vec<String> = segments(&path.path).map(str::to_owned).collect();
            let methods = path.operations.into_iter().map(|operation| operation.method);
            match paths.iter_mut().find(|known| known.segments == segments) {
                Some(known) => known.methods.extend(methods),
                None => paths.push(PathMethods { segments, methods: methods.collect() }),
            }
        }
        let ids = AtomicU64::new(state.commands.new_id().as_u64_pair().0);
        Self { inner, name, state, write, paths, ids }
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

    fn allow(&self, path: &str) -> Option<HeaderValue> {
        let fits = |known: &&PathMethods| {
            known.segments.len() == segments(path).count()
                && known.segments.iter().zip(segments(path)).all(|(a, b)| a.starts_with('{') || a == b)
        };
        // A path without parameters wins, as in the router.
        let found = self.paths.iter().filter(fits).min_by_key(|p| p.segments.iter().any(|s| s.starts_with('{')))?;
        let names: Vec<&str> = found.methods.iter().map(Method::as_str).collect();
        HeaderValue::from_str(&names.join(", ")).ok()
    }

    fn failed(&self, failure: &Failure, id: &HeaderValue, path: &str) -> Response {
        if failure.status.is_server_error() {
            let id = id.to_str().unwrap_or_default();
            let cause = failure.cause.as_deref().unwrap_or(&failure.message);
            tracing::error!(
                facade = self.name,
                request_id = id,
                status = failure.status.as_u16(),
                cause,
                "request failed"
            );
        }
        let mut response = (self.write)(failure);
        response.set_status(failure.status);
        let headers = response.headers_mut();
        match failure.status {
            StatusCode::METHOD_NOT_ALLOWED => {
                if let Some(methods) = self.allow(path) {
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

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

impl<E: Endpoint> Endpoint for Facade<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let id = self.request_id(&request);
        let uri = request.uri().clone();
        request.extensions_mut().insert(self.state.clone());
        let mut response = match AssertUnwindSafe(self.inner.call(request)).catch_unwind().await {
            Ok(Ok(output)) => output.into_response(),
            Ok(Err(error)) => self.failed(&Failure::of(error), &id, uri.path()),
            // The panic's text may quote a message's content: it stays out of the log.
            Err(_) => self.failed(&Failure::internal("a handler panicked"), &id, uri.path()),
        };
        tracing::debug!(
            facade = self.name,
            request_id = id.to_str().unwrap_or_default(),
            status = response.status().as_u16(),
            "answered"
        );
        response.headers_mut().insert(REQUEST_ID, id);
        Ok(response)
    }
}
