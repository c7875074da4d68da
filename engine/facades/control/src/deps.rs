//! What the control API needs from the server besides the commands: views of state that the domain does not have.

use std::sync::Arc;

use async_trait::async_trait;
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};

use pombo_api::signals::EventSignals;
use pombo_imports::ImportWorker;

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
    /// The reason as a sentence, with what to do where somebody must do something.
    pub waiting_detail: Option<String>,
    /// Until when it waits.
    pub waiting_until: Option<Timestamp>,
    /// The pause between two messages as it is now, shortest and longest, in milliseconds.
    pub delay_ms: (u64, u64),
    /// How the account's health stands; `None` where no health rules are set.
    pub health: Option<HealthView>,
}

/// How an account's health stands now: the score and the counts that it follows from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthView {
    /// 0 to 100.
    pub score: u8,
    /// `good`, `slowed`, `paused`.
    pub level: String,
    /// How far back is counted, in hours.
    pub window_hours: u16,
    /// Counted from here, where that is later than the window's begin.
    pub since: Option<Timestamp>,
    /// Messages that the channel accepted.
    pub sent: u32,
    /// Of them, with a report that they reached the recipient.
    pub delivered: u32,
    /// Messages of people.
    pub replies: u32,
    /// Messages that the channel refused for good.
    pub failures: u32,
    /// Blocks and reports.
    pub blocks: u32,
    /// Restrictions that the channel imposed.
    pub restrictions: u32,
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
pub struct ControlDeps {
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
    /// Wakes who waits for events; told of the store's commits.
    pub events: Arc<EventSignals>,
}
