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
use crate::model::rollout::VersionStats;
use crate::model::{Attachment, EventKinds, PluginKind, Wants, WorkBody};
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

/// The event of a call, with its conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallEvent {
    /// The event's id.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// From 1.
    pub attempt: u32,
    /// The conversation's id.
    pub conversation: Uuid,
    /// The connector's id.
    pub connector: Uuid,
    /// Its channel.
    pub channel: String,
    /// The other side's address.
    pub chat: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// The other side's name.
    pub contact_name: Option<String>,
    /// The conversation's tags.
    pub tags: Vec<String>,
    /// Who is in charge.
    pub assignee: Option<String>,
    /// When the conversation was opened.
    pub opened_at: Timestamp,
    /// What happened.
    pub body: WorkBody,
}

/// What the host answered to one question of a guest; in the order in which it asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostAnswer {
    /// A value of its key/value store.
    KvGet {
        /// What it asked for.
        key: String,
        /// The answer; `Err` as it was told.
        value: Result<Option<String>, String>,
    },
    /// A listing.
    KvList {
        /// What it asked for: prefix, after, limit.
        asked: (String, Option<String>, u32),
        /// The answer.
        entries: Result<Vec<(String, String)>, String>,
    },
    /// An HTTP request.
    Http {
        /// SHA-256 of method, URL, headers and body before secrets were put in.
        request: [u8; 32],
        /// Method and URL, to be shown.
        shown: String,
        /// The answer: status, headers, body; or the error's case and words.
        response: Result<(u16, Vec<(String, String)>, Vec<u8>), (String, String)>,
    },
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

/// What an automation answered: its new state, and what shall be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What it wants to find next time.
    pub state: Option<String>,
    /// In order.
    pub actions: Vec<Action>,
    /// Whether the event is dealt with.
    pub claim: bool,
}

/// One thing that an automation wants done. As in `wit/automation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Sends into the conversation.
    Send(SendAction),
    /// Writes its key/value store; `None` deletes.
    WriteKv(String, Option<String>),
    /// Sets a timer: name, delay in ms, payload.
    SetTimer(String, u64, String),
    /// Takes a timer back.
    CancelTimer(String),
    /// Adds a tag.
    AddTag(String),
    /// Takes a tag away.
    RemoveTag(String),
    /// The contact's name, and whether it may be sent to.
    UpdateContact(Option<String>, Option<bool>),
    /// Pauses the conversation's automations; says why.
    HandOver(String),
    /// Puts somebody in charge.
    Assign(Option<String>),
    /// Appends to the event log: a kind and JSON.
    Emit(String, String),
    /// Marks the conversation as read.
    MarkRead,
}

/// A message that an automation wants sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAction {
    /// What it says.
    pub content: SendContent,
    /// The channel's id of the message it answers.
    pub reply_to: Option<String>,
    /// Not before this many ms.
    pub delay_ms: u64,
    /// Given back when its status changes.
    pub label: Option<String>,
}

/// What a sent message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendContent {
    /// As it is.
    Text(String),
    /// A template and a JSON object of variables.
    Template(String, String),
    /// A file that the engine fetches.
    FileUrl {
        /// From where.
        url: String,
        /// What is said with it.
        caption: Option<String>,
        /// Audio goes as a voice note.
        voice_note: bool,
    },
    /// A file that the engine has.
    File {
        /// Which.
        file: Attachment,
        /// What is said with it.
        caption: Option<String>,
        /// Audio goes as a voice note.
        voice_note: bool,
    },
    /// A reaction.
    Reaction {
        /// The channel's id of the message.
        message: String,
        /// Who wrote that message; `None`: the account.
        sender: Option<String>,
        /// Empty: takes it back.
        emoji: String,
    },
}

/// Why a call gave no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum CallFailure {
    /// It trapped.
    #[error("it failed: {0}")]
    Trap(String),
    /// It used more processor time than granted.
    #[error("it used more processor time than it is allowed")]
    Processor,
    /// It wanted more memory than granted.
    #[error("it needed more memory than it is allowed")]
    Memory,
    /// It waited too long.
    #[error("it did not answer in time")]
    TimedOut,
    /// It answered with an error.
    #[error("{0}")]
    Said(String),
    /// Its answer cannot be done; says why.
    #[error("its answer cannot be carried out: {0}")]
    Unfit(String),
    /// In a replay, it asked what it was not asked to be told then.
    #[error("it asked for something that was not recorded: {0}")]
    Diverged(String),
    /// Not its fault: there was no room, or the version is not there.
    #[error("it could not be called: {0}")]
    NotCalled(String),
}

impl CallFailure {
    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Processor => "processor",
            Self::Memory => "memory",
            Self::TimedOut => "timeout",
            Self::Said(_) => "error",
            Self::Unfit(_) => "unfit",
            Self::Diverged(_) => "diverged",
            Self::NotCalled(_) => "not-called",
        }
    }
    /// Whether it is the kind that a good plugin never has: a trap or an exceeded bound.
    pub fn is_trap(&self) -> bool {
        matches!(self, Self::Trap(_) | Self::Processor | Self::Memory | Self::TimedOut)
    }
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
