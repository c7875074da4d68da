//! Section Health. Needs no credential, because load balancers and Prometheus have none.

use std::sync::Arc;

use poem::IntoResponse;
use poem::http::Method;
use poem::web::Data;
use poem_openapi::payload::{Json, Payload, PlainText};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use crate::Section;
use crate::deps::{ControlDeps, NotReady};
use crate::wire::Refused;
use pombo_api::error::status::BAD_REQUEST;

#[derive(Default)]
pub(crate) struct Health;

impl pombo_api::Section for Health {
    const FILE: &'static str = file!();
}

/// A sign of life.
#[derive(Object)]
pub(crate) struct Alive {
    /// Always `ok`.
    status: String,
    /// Version of the engine.
    version: String,
}

impl Alive {
    fn now() -> Self {
        Self { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// Whether the engine is ready for traffic.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
pub(crate) enum ReadyStatus {
    /// It is ready.
    Ready,
    /// It is not ready.
    NotReady,
}

/// Whether the engine is ready for traffic, and what prevents it.
#[derive(Object)]
pub(crate) struct Ready {
    /// Whether it is ready.
    status: ReadyStatus,
    /// What prevents it from being ready; empty when it is.
    problems: Vec<Obstacle>,
}

/// Something that prevents the engine from being ready.
#[derive(Object)]
pub(crate) struct Obstacle {
    /// The part concerned: `store`, `plugins`, `draining` …
    part: String,
    /// What is wrong, for an operator.
    reason: String,
}

impl From<NotReady> for Obstacle {
    fn from(problem: NotReady) -> Self {
        Self { part: problem.part, reason: problem.reason }
    }
}

/// Whether the engine is ready for traffic.
#[derive(ApiResponse)]
pub(crate) enum ReadyAnswer {
    /// It is ready.
    #[oai(status = 200)]
    Yes(Json<Ready>),
    /// It is not ready: send it no traffic.
    #[oai(status = 503)]
    No(Json<Ready>),
}

/// Metrics in Prometheus' text format.
pub(crate) struct MetricsText(PlainText<String>);

impl Payload for MetricsText {
    const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
        PlainText::<String>::schema_ref()
    }
}

impl IntoResponse for MetricsText {
    fn into_response(self) -> poem::Response {
        self.0.into_response().set_content_type(Self::CONTENT_TYPE)
    }
}

/// The metrics.
#[derive(ApiResponse)]
pub(crate) enum MetricsAnswer {
    /// The metrics in Prometheus' text format.
    #[oai(status = 200)]
    Text(MetricsText),
}

/// The answers of this section while the engine starts and answers no other requests: that the process is alive, and what it waits
/// for. `None` for any other request.
pub fn answer_while_starting(
    method: &Method,
    path: &str,
    waits_for: impl FnOnce() -> Vec<NotReady>,
) -> Option<poem::Response> {
    match (method, path) {
        (&Method::GET, "/health") => Some(Json(Alive::now()).into_response()),
        (&Method::GET, "/ready") => {
            let problems = waits_for().into_iter().map(Obstacle::from).collect();
            Some(ReadyAnswer::No(Json(Ready { status: ReadyStatus::NotReady, problems })).into_response())
        }
        _ => None,
    }
}

#[OpenApi(tag = "Section::Health")]
impl Health {
    /// Check that the process answers
    #[oai(path = "/health", method = "get", operation_id = "health")]
    async fn health(&self) -> Result<Json<Alive>, Refused<BAD_REQUEST>> {
        Ok(Json(Alive::now()))
    }

    /// Check whether the engine is ready for traffic
    #[oai(path = "/ready", method = "get", operation_id = "ready")]
    async fn ready(&self, deps: Data<&Arc<ControlDeps>>) -> Result<ReadyAnswer, Refused<BAD_REQUEST>> {
        let problems: Vec<Obstacle> = deps.readiness.problems().into_iter().map(Obstacle::from).collect();
        Ok(if problems.is_empty() {
            ReadyAnswer::Yes(Json(Ready { status: ReadyStatus::Ready, problems }))
        } else {
            ReadyAnswer::No(Json(Ready { status: ReadyStatus::NotReady, problems }))
        })
    }

    /// Get all metrics, for Prometheus
    #[oai(path = "/metrics", method = "get", operation_id = "metrics")]
    async fn metrics(&self, deps: Data<&Arc<ControlDeps>>) -> Result<MetricsAnswer, Refused<BAD_REQUEST>> {
        Ok(MetricsAnswer::Text(MetricsText(PlainText((deps.metrics)()))))
    }
}
