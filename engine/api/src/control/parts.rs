//! What the server must give the control API besides the commands: views of things that the domain does not hold.

use std::sync::Arc;

use async_trait::async_trait;
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};

use super::import_worker::ImportWorker;

/// How a connector's pace stands now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PaceView {
    /// Attempts begun today, in the pace's time zone.
    pub sent_today: u32,
    /// How many today may have; `None` for no limit.
    pub cap_today: Option<u32>,
    /// Which day of the warm-up it is, from 1; `None` when it is warm.
    pub warm_up_day: Option<u32>,
    /// When the pause after the last message ends.
    pub next_at: Option<Timestamp>,
    /// Why the next message waits; `None` when nothing holds it.
    pub waiting_reason: Option<String>,
    /// Until when it waits.
    pub waiting_until: Option<Timestamp>,
}

/// Tells how a connector's pace stands. The scheduler knows.
#[async_trait]
pub trait PaceViews: Send + Sync + 'static {
    /// The view of one; `None` when the scheduler has no lane for it (yet).
    async fn pace_view(&self, connector: ConnectorIndex) -> Option<PaceView>;
}

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
pub struct ControlParts {
    /// How paces stand.
    pub pace: Arc<dyn PaceViews>,
    /// Whether the engine is ready.
    pub readiness: Arc<dyn Readiness>,
    /// All metrics in Prometheus' text form.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// What a tenant's webhooks are signed with.
    pub webhook_secret: Arc<dyn Fn(TenantIndex) -> Vec<u8> + Send + Sync>,
    /// Takes the uploaded workbooks.
    pub imports: ImportWorker,
}
