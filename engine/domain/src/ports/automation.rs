//! Automations and uploaded components: the plugins that answer in conversations, and how every uploaded component is inspected.

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

/// The description of an automation plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AutomationDescription {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Name to show to people.
    pub display_name: String,
    /// JSON Schema of its configuration.
    pub config_schema: Value,
    /// Top-level configuration fields that are secret.
    pub secret_fields: Vec<String>,
    /// The events that it is called for.
    pub events: EventKinds,
    /// Whether it only observes: it then gets every event, even one that another automation claims, and may not send, pause or
    /// assign.
    pub observer: bool,
    /// What it asks for.
    pub wants: Wants,
}

/// A component that has passed the inspection.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// SHA-256 in hexadecimal.
    pub digest: String,
    /// Size in bytes.
    pub size: u64,
    /// Kind of plugin.
    pub kind: PluginKind,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Name to show to people.
    pub display_name: String,
    /// What it asks for.
    pub wants: Wants,
    /// The description of an automation; a connector is described by [`super::Connectors::plugin`] once it runs.
    pub automation: Option<AutomationDescription>,
    /// The whole description as JSON, to be shown.
    pub description: Value,
}

/// Why a component is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadRefusal {
    /// It is larger than this limit, in bytes.
    #[error("the component is larger than {0} bytes; build it in release mode and leave out what it does not need")]
    TooLarge(u64),
    /// It is not a valid plugin; says what to change.
    #[error("{0}")]
    Unfit(String),
    /// The engine is busy compiling others; try again.
    #[error("too many components are being checked; try again in a moment")]
    Busy,
    /// It could not be stored, which is the engine's fault.
    #[error("the component could not be stored: {0}")]
    Storage(String),
}

/// One call of an automation.
#[derive(Clone)]
pub struct AutomationCall {
    /// Digest of the version.
    pub digest: Arc<str>,
    /// Name of the plugin.
    pub plugin: Arc<str>,
    /// The tenant that owns the automation.
    pub tenant: TenantIndex,
    /// The automation.
    pub automation: AutomationIndex,
    /// Public id of the automation, for log lines.
    pub id: Uuid,
    /// Configuration without secrets, a JSON object as text.
    pub config: Arc<str>,
    /// The decrypted secrets; they stay in the host.
    pub secrets: Arc<BTreeMap<String, String>>,
    /// What it may use.
    pub grants: Arc<Wants>,
    /// The event.
    pub event: Arc<CallEvent>,
    /// The automation's state in this conversation.
    pub state: Option<String>,
    /// The time of its clock.
    pub now: Timestamp,
    /// The seed of its random numbers.
    pub seed: u64,
    /// For a replay: the host's recorded answers. Nothing outside is asked then.
    pub replay: Option<Vec<HostAnswer>>,
}

/// The result of a call.
#[derive(Debug, Clone)]
pub struct CallResult {
    /// The automation's answer, or why there is none.
    pub outcome: Result<Outcome, CallFailure>,
    /// The host's answers to the guest.
    pub inputs: Vec<HostAnswer>,
    /// Processor time of the call.
    pub cpu: Duration,
    /// Highest memory use, in bytes.
    pub memory: u64,
}

/// Inspects components and calls automations.
#[async_trait]
pub trait PluginEngine: Send + Sync + 'static {
    /// Inspects a component within limits of time and memory (its size, whether it is a component, its world, its imports,
    /// whether it compiles, its description), and stores it, durably, under its digest.
    async fn inspect(&self, component: Bytes) -> Result<Inspected, UploadRefusal>;
    /// The stored component.
    async fn component(&self, digest: &str) -> Option<Bytes>;
    /// Deletes a component: its bytes and its compiled code.
    async fn forget(&self, digest: &str);
    /// Checks a whole configuration, including secrets, against an automation's schema.
    async fn check_config(&self, digest: &str, config: &Value) -> Result<(), Vec<FieldProblem>>;
    /// Calls an automation in a fresh instance.
    async fn call(&self, call: AutomationCall) -> CallResult;
    /// The automations that the binary contains: their digests and descriptions, inspected and stored.
    fn embedded(&self) -> Vec<Inspected>;
}

/// A line of a plugin's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginLine {
    /// Number of the line, increasing within the plugin; the cursor.
    pub number: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Digest of the version that wrote it.
    pub digest: String,
    /// Level: `trace`, `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// Public id of the automation or connector.
    pub instance: Option<Uuid>,
    /// The text, cut if it was too long.
    pub text: String,
}

/// What one version of a plugin did and used since the engine started.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct PluginUse {
    /// Calls, traps, failures and latencies.
    pub stats: VersionStats,
    /// Failures by [`CallFailure::code`], or by the name of the outcome.
    pub failures: BTreeMap<String, u64>,
    /// Processor time in microseconds.
    pub cpu_us: u64,
    /// Highest memory use of one instance, in bytes.
    pub memory_peak: u64,
    /// Number of log lines that were dropped.
    pub dropped_lines: u64,
}

/// Logs and usage of plugins: bounded, in memory. `owner` sees only its own lines: a line belongs to the tenant that the instance
/// serves.
pub trait PluginTelemetry: Send + Sync + 'static {
    /// Lines of a plugin after the number `after`, oldest first, at most `limit`; those of one tenant's instances, or all with
    /// `None`.
    fn lines(&self, plugin: &str, tenant: Option<TenantIndex>, after: u64, limit: usize) -> Vec<PluginLine>;
    /// Reports each new line of any plugin (by the plugin's name); a receiver that lags loses wake-ups, not lines.
    fn follow(&self) -> Box<dyn LineWatch>;
    /// The usage of each version, by digest.
    fn usage(&self, plugin: &str) -> BTreeMap<String, PluginUse>;
    /// The usage of a version since [`Self::mark`] returned `mark`.
    fn since(&self, plugin: &str, digest: &str, mark: &UseMark) -> VersionStats;
    /// The present counts of a version's usage.
    fn mark(&self, plugin: &str, digest: &str) -> UseMark;
}

/// Counters and histogram buckets at one moment, see [`PluginTelemetry::mark`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UseMark {
    /// Calls, traps, failures.
    pub counts: [u64; 3],
    /// The latency histogram's buckets.
    pub buckets: Vec<u64>,
}

/// Waits for new lines, see [`PluginTelemetry::follow`].
#[async_trait]
pub trait LineWatch: Send {
    /// Returns true when a line of this plugin was written since the last return; false when there will be no more.
    async fn written(&mut self, plugin: &str) -> bool;
}
