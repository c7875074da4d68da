//! The layers around the handlers: unknown query parameters are refused, the framework's errors about parameters
//! name the parameter, and each error body carries the request's id.

use std::sync::Arc;

use poem::http::{HeaderValue, Method, header};
use poem::{Endpoint, IntoResponse, Request, Response};
use poem_openapi::error::{ParseParamError, ParsePathError};
use poem_openapi::registry::{MetaApi, MetaParamIn};
use pombo_domain::FieldProblem;

use crate::deps::ControlDeps;
use crate::wire::ErrorBody;
use pombo_api::error::Failure;
use pombo_api::facade::REQUEST_ID;

/// The routes, with the control API's dependencies attached to each request.
pub(crate) struct Guarded<E> {
    inner: E,
    parts: Arc<ControlDeps>,
    operations: Vec<Operation>,
}

/// The query parameters of an operation, from the document itself.
struct Operation {
    method: Method,
    segments: Vec<String>,
    query: Vec<String>,
}

impl<E> Guarded<E> {
    pub(crate) fn new(inner: E, parts: Arc<ControlDeps>, document: Vec<MetaApi>) -> Self {
        let mut operations = Vec::new();
        for path in document.into_iter().flat_map(|api| api.paths) {
            for operation in path.operations {
                let query = operation.params.into_iter().filter(|param| param.in_type == MetaParamIn::Query);
                operations.push(Operation {
                    method: operation.method,
                    segments: path.path.split('/').map(str::to_owned).collect(),
                    query: query.map(|param| param.name).collect(),
                });
            }
        }
        Self { inner, parts, operations }
    }

    fn check_query(&self, request: &Request) -> Result<(), Failure> {
        if request.uri().query().is_none_or(str::is_empty) {
            return Ok(());
        }
        let segments = || request.uri().path().split('/');
        let fits = |operation: &&Operation| {
            operation.segments.len() == segments().count()
                && operation.segments.iter().zip(segments()).all(|(a, b)| a.starts_with('{') || a == b)
        };
        // A path without parameters wins, as in the router, whether or not it takes the method: that is for the router to say.
        let parameters = |operation: &&Operation| operation.segments.iter().filter(|s| s.starts_with('{')).count();
        let Some(path) = self.operations.iter().filter(fits).min_by_key(parameters) else { return Ok(()) };
        let of_path =
            |operation: &&Operation| operation.segments == path.segments && operation.method == request.method();
        let Some(operation) = self.operations.iter().find(of_path) else { return Ok(()) };
        let mut problems = Vec::new();
        let mut seen = Vec::new();
        let given: Vec<(String, String)> =
            request.params().map_err(|_| Failure::bad_request("the query is not well formed"))?;
        for (name, _) in given {
            let message = if !operation.query.contains(&name) {
                match operation.query.as_slice() {
                    [] => "this operation takes no query parameters".to_owned(),
                    known => format!("is not known here; known are {}", known.join(", ")),
                }
            } else if seen.contains(&name) {
                "was given twice".to_owned()
            } else {
                seen.push(name);
                continue;
            };
            problems.push(FieldProblem::new(name, message));
        }
        if problems.is_empty() { Ok(()) } else { Err(pombo_domain::Error::invalid_fields(problems).into()) }
    }
}

impl<E: Endpoint> Endpoint for Guarded<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        self.check_query(&request)?;
        request.extensions_mut().insert(self.parts.clone());
        match self.inner.call(request).await {
            Ok(output) => Ok(output.into_response()),
            Err(error) => Err(named(error)),
        }
    }
}

/// Converts an error about a parameter into a failure that names it.
fn named(error: poem::Error) -> poem::Error {
    let (field, reason) = if let Some(error) = error.downcast_ref::<ParseParamError>() {
        (error.name, error.reason.clone())
    } else if let Some(error) = error.downcast_ref::<ParsePathError>() {
        (error.name, error.reason.clone())
    } else {
        return error;
    };
    Failure::from(pombo_domain::Error::invalid(field, plain(&reason))).into()
}

/// The framework's reason without the names of its types.
fn plain(reason: &str) -> &str {
    let reason = reason.split(" (occurred while parsing").next().unwrap_or(reason);
    match reason.strip_prefix("failed to parse \"").and_then(|rest| rest.split_once("\": ")) {
        Some((_, reason)) => reason,
        None => reason,
    }
}

/// Writes a failure's body; [`WithRequestId`] completes it.
pub(crate) fn write_failure(failure: &Failure) -> Response {
    let mut response = Response::default();
    response.set_data(ErrorBody::of(failure));
    response
}

/// Completes the error bodies with the request's id, which the facade around the handlers chose.
pub(crate) struct WithRequestId<E>(pub(crate) E);

impl<E: Endpoint<Output = Response>> Endpoint for WithRequestId<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let mut response = self.0.call(request).await?;
        if let Some(mut body) = response.extensions_mut().remove::<ErrorBody>() {
            let id = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
            body.error.request_id = id.unwrap_or_default().to_owned();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response.set_body(body.to_bytes());
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_reason_loses_the_names_of_types() {
        let given =
            "failed to parse \"integer(uint32)\": invalid digit found in string (occurred while parsing \"optional\")";
        assert_eq!(plain(given), "invalid digit found in string");
        assert_eq!(plain("verification failed. maximum(250)"), "verification failed. maximum(250)");
    }
}
