//! What the control API needs from the server in addition to the commands.

use std::sync::Arc;

use pombo_api::signals::EventSignals;
use pombo_domain::TenantIndex;
use pombo_domain::ports::{HearingViews, PaceViews, RecipientLists, WebhookTests, Workbooks};

/// Something that keeps the engine from being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// Which part: `store`, `plugins`, `draining` …
    pub part: String,
    /// What is wrong, for an operator. It must not contain secrets, because anyone can ask.
    pub reason: String,
}

/// Says whether the engine is ready for traffic.
pub trait Readiness: Send + Sync + 'static {
    /// The problems that keep the engine from being ready; empty when it is ready.
    fn problems(&self) -> Vec<NotReady>;
}

/// What the server passes to the control API.
pub struct ControlDeps {
    /// Gives the present paces of connectors.
    pub pace: Arc<dyn PaceViews>,
    /// Tells what connectors hear.
    pub hearing: Arc<dyn HearingViews>,
    /// Says whether the engine is ready.
    pub readiness: Arc<dyn Readiness>,
    /// Gives all metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Gives the secret that a tenant's webhooks are signed with.
    pub webhook_secret: Arc<dyn Fn(TenantIndex) -> Vec<u8> + Send + Sync>,
    /// Posts tests to connectors' webhooks.
    pub webhook_tests: Arc<dyn WebhookTests>,
    /// Takes uploaded workbooks.
    pub imports: Arc<dyn Workbooks>,
    /// Reads lists of recipients.
    pub lists: Arc<dyn RecipientLists>,
    /// Wakes requests that wait for events; it learns of the store's commits.
    pub events: Arc<EventSignals>,
}
