//! What every request passes before its operation is looked for, in this order: which path and instance it means, a browser's
//! preflight, who calls, how many requests the caller has left.

use std::sync::Arc;
use std::time::Duration;

use poem::http::{StatusCode, Uri};
use poem::{Request, Response};
use pombo_api::auth::state_of;
use pombo_api::error::Failure;
use pombo_api::options::ApiState;
use pombo_api::{Entry, HostPart};

use crate::cors::Origins;
use crate::credentials::{Identified, identify};
use crate::paths::{instance_of_host, method, place};
use crate::rate::RateLimit;
use crate::refs::NamedInstance;

/// Paths whose requests are not counted and need no token, with those below them.
const UNCOUNTED: [&str; 2] = ["/health", "/webhooks/instance"];

/// Settings of the facade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZapiniOptions {
    /// Number of requests of one token in each window; 0 for no limit.
    pub rate_limit: u32,
    /// The window, from a token's first request.
    pub rate_window: Duration,
    /// Origins of web pages that may call, `*` for every one.
    pub cors_origins: Vec<String>,
}

impl Default for ZapiniOptions {
    fn default() -> Self {
        Self { rate_limit: 100, rate_window: Duration::from_secs(15 * 60), cors_origins: Vec::new() }
    }
}

/// The facade's gate.
pub(crate) struct Gate {
    origins: Origins,
    rate: RateLimit,
}

impl Gate {
    pub(crate) fn new(options: &ZapiniOptions) -> Self {
        let rate = RateLimit::new(options.rate_limit, options.rate_window);
        Self { origins: Origins::new(&options.cors_origins), rate }
    }
}

impl pombo_api::Gate for Gate {
    fn enter(&self, request: &mut Request) -> Entry {
        redirect(request);
        let mut headers = self.origins.headers(request);
        if let Some(response) = self.origins.preflight(request) {
            return Entry { headers, answer: Some(Ok(response)) };
        }
        let path = request.uri().path();
        let is_at = |base: &&str| path.strip_prefix(*base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if UNCOUNTED.iter().any(is_at) {
            return Entry { headers, answer: None };
        }
        let identified = identify(request);
        let mut answer: Option<Result<Response, Failure>> = None;
        if let (Identified(Ok(caller)), Ok(state)) = (&identified, state_of(request)) {
            let now = state.commands.now();
            if let Some(left) = self.rate.count(caller.token, now) {
                left.write(&mut headers);
                if left.exceeded {
                    answer = Some(Err(too_many(left.until.since(now))));
                }
            }
        }
        request.extensions_mut().insert(identified);
        Entry { headers, answer }
    }
}

fn too_many(wait_ms: i64) -> Failure {
    let wait_ms = u64::try_from(wait_ms).unwrap_or(0).max(1);
    let message = format!("too many requests with this token; try again in {} s", wait_ms.div_ceil(1000));
    Failure { retry_after_ms: Some(wait_ms), ..Failure::new(StatusCode::TOO_MANY_REQUESTS, message) }
}

/// Leads a request to the path and method under which the document has its operation, and notes which instance it names on the way.
fn redirect(request: &mut Request) {
    let place = place(request.uri().path());
    let of_host = || request.data::<HostPart>().and_then(|part| instance_of_host(&part.0)).map(str::to_owned);
    if let Some(instance) = place.instance.or_else(of_host) {
        request.extensions_mut().insert(NamedInstance(instance));
    }
    if place.path != request.uri().path() {
        let whole = match request.uri().query() {
            Some(query) => format!("{}?{query}", place.path),
            None => place.path,
        };
        // A part of a path that was valid; were it not, the path as it came names no operation.
        if let Ok(uri) = whole.parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    let documented = method(request.method(), request.uri().path());
    request.set_method(documented);
}

/// The state behind a request's handler.
pub(crate) type State<'a> = poem::web::Data<&'a Arc<ApiState>>;
