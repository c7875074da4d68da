//! What the control API needs from the server besides the commands.

use std::sync::Arc;

use pombo_api::signals::EventSignals;
use pombo_domain::TenantIndex;
use pombo_domain::ports::PaceViews;
use pombo_imports::ImportWorker;

/// Something that keeps the engine from being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// Which part: `store`, `plugins`, `draining` …
    pub part: String,
    /// What is the matter, for an operator. No secrets: anyone may ask.
    pub reason: String,
}

/// Tells whether the engine is ready for traffic.
pub trait Readiness: Send + Sync + 'static {
    /// What stands against it; empty when ready.
    fn problems(&self) -> Vec<NotReady>;
}

/// What the server gives.
pub struct ControlDeps {
    /// Shows the paces of connectors.
    pub pace: Arc<dyn PaceViews>,
    /// Whether the engine is ready.
    pub readiness: Arc<dyn Readiness>,
    /// All metrics in Prometheus' text form.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// What a tenant's webhooks are signed with.
    pub webhook_secret: Arc<dyn Fn(TenantIndex) -> Vec<u8> + Send + Sync>,
    /// Takes the uploaded workbooks.
    pub imports: ImportWorker,
    /// Wakes who waits for events; told of the store's commits.
    pub events: Arc<EventSignals>,
}
