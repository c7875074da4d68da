//! Section Health. Open to everybody: a load balancer and Prometheus have no credential.

use std::sync::Arc;

use poem::http::Method;
use poem::web::Data;
use poem::IntoResponse;
use poem_openapi::payload::{Json, Payload, PlainText};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use crate::Section;
use crate::deps::{ControlDeps, NotReady};
use crate::wire::Refused;
use pombo_api::error::status::BAD_REQUEST;

pub(crate) struct Health;

/// That the process answers.
#[derive(Object)]
pub(crate) struct Alive {
    /// Always `ok`.
    status: String,
    /// The engine's version.
    version: String,
}

impl Alive {
    fn now() -> Self {
        Self { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// Whether the engine takes traffic.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
pub(crate) enum ReadyStatus {
    /// It does.
    Ready,
    /// It does not.
    NotReady,
}

/// Whether the engine takes traffic, and what stands against it.
#[derive(Object)]
pub(crate) struct Ready {
    /// Whether it does.
    status: ReadyStatus,
    /// What stands against it; empty when ready.
    problems: Vec<Obstacle>,
}

/// Something that stands against it.
#[derive(Object)]
pub(crate) struct Obstacle {
    /// Which part: `store`, `plugins`, `draining` …
    part: String,
    /// What is the matter.
    reason: String,
}

impl From<NotReady> for Obstacle {
    fn from(problem: NotReady) -> Self {
        Self { part: problem.part, reason: problem.reason }
    }
}

/// The answer about readiness.
#[derive(ApiResponse)]
pub(crate) enum ReadyAnswer {
    /// It takes traffic.
    #[oai(status = 200)]
    Yes(Json<Ready>),
    /// It does not: send none.
    #[oai(status = 503)]
    No(Json<Ready>),
}

/// Prometheus' text form.
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
    /// The metrics.
    #[oai(status = 200)]
    Text(MetricsText),
}

/// What this section answers while the engine starts and nothing else of it can be asked: that the process lives, and what it waits
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
    /// Whether the process answers
    #[oai(path = "/health", method = "get", operation_id = "health")]
    async fn health(&self) -> Result<Json<Alive>, Refused<BAD_REQUEST>> {
        Ok(Json(Alive::now()))
    }

    /// Whether the engine takes traffic
    #[oai(path = "/ready", method = "get", operation_id = "ready")]
    async fn ready(&self, parts: Data<&Arc<ControlDeps>>) -> Result<ReadyAnswer, Refused<BAD_REQUEST>> {
        let problems: Vec<Obstacle> = parts.readiness.problems().into_iter().map(Obstacle::from).collect();
        Ok(if problems.is_empty() {
            ReadyAnswer::Yes(Json(Ready { status: ReadyStatus::Ready, problems }))
        } else {
            ReadyAnswer::No(Json(Ready { status: ReadyStatus::NotReady, problems }))
        })
    }

    /// All metrics, for Prometheus
    #[oai(path = "/metrics", method = "get", operation_id = "metrics")]
    async fn metrics(&self, parts: Data<&Arc<ControlDeps>>) -> Result<MetricsAnswer, Refused<BAD_REQUEST>> {
        Ok(MetricsAnswer::Text(MetricsText(PlainText((parts.metrics)()))))
    }
}
