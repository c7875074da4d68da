//! Automations and uploaded components: the plugins that decide answers, and how any uploaded component is checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::error::FieldProblem;
pub use crate::model::call::{Action, CallEvent, CallFailure, HostAnswer, Outcome, SendAction, SendContent};
use crate::model::rollout::VersionStats;
use crate::model::{EventKinds, PluginKind, Wants};
use crate::{AutomationIndex, TenantIndex, Timestamp};

/// What an automation plugin says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AutomationDescription {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// For people.
    pub display_name: String,
    /// JSON Schema of its configuration.
    pub config_schema: Value,
    /// Top-level configuration fields that are secret.
    pub secret_fields: Vec<String>,
    /// What it is called for.
    pub events: EventKinds,
    /// Only watches: gets every event whoever claims it, and may not send, pause or assign.
    pub observer: bool,
    /// What it asks for.
    pub wants: Wants,
}

/// A component that may be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// SHA-256, hex.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub kind: PluginKind,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// For people.
    pub display_name: String,
    /// What it asks for.
    pub wants: Wants,
    /// Of an automation; a connector is described by [`super::Connectors::plugin`] once it runs.
    pub automation: Option<AutomationDescription>,
    /// The whole description as JSON, for whoever shows it.
    pub description: Value,
}

/// Why a component is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Larger than the limit, in bytes.
    #[error("the component is larger than {0} bytes; build it in release mode and leave out what it does not need")]
    TooLarge(u64),
    /// It does not fit; says what to change.
    #[error("{0}")]
    Unfit(String),
    /// The engine is busy compiling others; try again.
    #[error("too many components are being checked; try again in a moment")]
    Busy,
    /// It could not be kept; the engine's fault.
    #[error("the component could not be stored: {0}")]
    Storage(String),
}

/// One call of an automation.
#[derive(Clone)]
pub struct AutomationCall {
    /// Which version, by its digest.
    pub digest: Arc<str>,
    /// Its plugin's name.
    pub plugin: Arc<str>,
    /// For whom.
    pub tenant: TenantIndex,
    /// Which automation.
    pub automation: AutomationIndex,
    /// Its public id, for log lines.
    pub id: Uuid,
    /// Its configuration, a JSON object as text, without secrets.
    pub config: Arc<str>,
    /// The opened secrets; they stay in the host.
    pub secrets: Arc<BTreeMap<String, String>>,
    /// What it may use.
    pub grants: Arc<Wants>,
    /// The event.
    pub event: Arc<CallEvent>,
    /// What it left in this conversation.
    pub state: Option<String>,
    /// What its clock shows.
    pub now: Timestamp,
    /// What its randomness is drawn from.
    pub seed: u64,
    /// What the host answered when it was called the first time: with it, nothing outside is asked.
    pub replay: Option<Vec<HostAnswer>>,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub struct CallResult {
    /// What it answered.
    pub outcome: Result<Outcome, CallFailure>,
    /// What the host answered it.
    pub inputs: Vec<HostAnswer>,
    /// Processor time.
    pub cpu: Duration,
    /// Most memory, bytes.
    pub memory: u64,
}

/// Checks components and calls automations.
#[async_trait]
pub trait PluginEngine: Send + Sync + 'static {
    /// Checks a component within bounds of time and memory (its size, that it is one, its world, its imports, that it compiles, its
    /// description), and keeps it, durably, under its digest.
    async fn inspect(&self, component: Bytes) -> Result<Inspected, Refusal>;
    /// The kept component.
    async fn component(&self, digest: &str) -> Option<Bytes>;
    /// Forgets a component: its bytes and its compiled code.
    async fn forget(&self, digest: &str);
    /// Checks a whole configuration, secrets included, against an automation's schema.
    async fn check_config(&self, digest: &str, config: &Value) -> Result<(), Vec<FieldProblem>>;
    /// Calls an automation in a fresh instance.
    async fn call(&self, call: AutomationCall) -> CallResult;
    /// The automations that the binary carries: their digests and descriptions, checked and kept.
    fn embedded(&self) -> Vec<Inspected>;
}

/// A line that a plugin wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginLine {
    /// Counts up within the plugin; the cursor.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// The version's digest.
    pub digest: String,
    /// `trace`, `debug`, `info`, `warn`, `error`.
    pub level: &'static str,
    /// The automation or connector, public id.
    pub instance: Option<Uuid>,
    /// What it said, cut.
    pub text: String,
}

/// What one version of a plugin used and did since the engine started.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct PluginUse {
    /// Calls, traps, failures and latencies.
    pub stats: VersionStats,
    /// Failures by [`CallFailure::code`] or the outcome's name.
    pub failures: BTreeMap<String, u64>,
    /// Processor time, µs.
    pub cpu_us: u64,
    /// Most memory of one instance, bytes.
    pub memory_peak: u64,
    /// Log lines dropped.
    pub dropped_lines: u64,
}

/// Logs and figures of plugins: bounded, in memory. `owner` sees only its own lines: a line of an instance belongs to the tenant that
/// the instance serves.
pub trait PluginTelemetry: Send + Sync + 'static {
    /// Lines of a plugin after the number `after`, oldest first, at most `limit`; of one tenant's instances, or of all with `None`.
    fn lines(&self, plugin: &str, tenant: Option<TenantIndex>, after: u64, limit: usize) -> Vec<PluginLine>;
    /// Told of each new line of any plugin (its name); a receiver that lags loses wake-ups, not lines.
    fn follow(&self) -> Box<dyn LineWatch>;
    /// Each version's figures, by digest.
    fn usage(&self, plugin: &str) -> BTreeMap<String, PluginUse>;
    /// A version's figures since the instant (monotone, ms since the engine's start) that [`Self::mark`] gave.
    fn since(&self, plugin: &str, digest: &str, mark: &UseMark) -> VersionStats;
    /// Where a version's figures stand now.
    fn mark(&self, plugin: &str, digest: &str) -> UseMark;
}

/// See [`PluginTelemetry::mark`]: the counters and the histogram's buckets as they stood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UseMark {
    /// Calls, traps, failures.
    pub counts: [u64; 3],
    /// The latency histogram's buckets.
    pub buckets: Vec<u64>,
}

/// See [`PluginTelemetry::follow`].
#[async_trait]
pub trait LineWatch: Send {
    /// Returns when a line of this plugin was written since the last return; false when there will be none any more.
    async fn written(&mut self, plugin: &str) -> bool;
}
