//! What can be set, with defaults that suit a two-core machine.

use std::sync::Arc;

use pombo_domain::TenantIndex;
use pombo_domain::backoff::{Backoff, Jitter};
use pombo_domain::commands::connectors::WriteLocks;
use pombo_domain::model::rollout::RolloutRules;
use pombo_domain::ports::{
    AttachmentFetcher, Clock, Connectors, Entropy, HookForm, PluginEngine, PluginTelemetry, Renderer, SecretBox, Store,
    WebhookClient,
};

use crate::rules::breaker::BreakerPolicy;
use crate::rules::retry::RetryPolicy;

/// The ports that the scheduler uses.
#[derive(Clone)]
pub struct Ports {
    /// Where everything is stored.
    pub store: Arc<dyn Store>,
    /// Renders the texts of messages that are templates.
    pub renderer: Arc<dyn Renderer>,
    /// Runs connector plugins: sends, sessions, versions.
    pub connectors: Arc<dyn Connectors>,
    /// The clock, also for sleeping.
    pub clock: Arc<dyn Clock>,
    /// Randomness: ids, and a seed for each task.
    pub entropy: Arc<dyn Entropy>,
    /// Posts webhooks to their receivers.
    pub webhooks: Arc<dyn WebhookClient>,
    /// Writes what is posted to connectors' webhooks.
    pub hook_form: Arc<dyn HookForm>,
    /// Fetches attachments that a message names by address.
    pub attachments: Arc<dyn AttachmentFetcher>,
    /// Calls automation plugins.
    pub plugins: Arc<dyn PluginEngine>,
    /// How calls of plugins end, for rollouts.
    pub telemetry: Arc<dyn PluginTelemetry>,
    /// Opens the secrets of automations and of connectors' webhooks, and seals what is recorded of automations.
    pub seals: Arc<dyn SecretBox>,
    /// The secrets that webhooks are signed with.
    pub secrets: Arc<dyn SigningSecrets>,
    /// Locks under which connectors are changed: the same that the commands take.
    pub connector_writes: WriteLocks,
}

/// The secrets that webhooks are signed with.
pub trait SigningSecrets: Send + Sync + 'static {
    /// The tenant's secret, as bytes; the same in every call.
    fn webhook_secret(&self, tenant: TenantIndex) -> Vec<u8>;
}

/// How the scheduler behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// When messages are tried again.
    pub retry: RetryPolicy,
    /// When connections are tried again, and how long throttled ones pause.
    pub breaker: BreakerPolicy,
    /// How webhooks are delivered.
    pub webhooks: WebhookOptions,
    /// How automations are called.
    pub automations: AutomationOptions,
    /// How changes of plugins' versions are watched.
    pub rollouts: RolloutOptions,
    /// How rows of campaigns are handed over.
    pub campaigns: CampaignOptions,
    /// What is done about connectors that may be deaf.
    pub hearing: HearingOptions,
    /// Queue entries that a lane holds in memory.
    pub window: usize,
    /// Messages claimed in one batch, at most.
    pub batch: usize,
    /// Messages that a lane may claim ahead of free send slots, where a resend is idempotent and no pace counts.
    pub claim_ahead: usize,
    /// Messages of a lane between claim and stored outcome, at most.
    pub lane_outstanding: usize,
    /// Batches in preparation at once, over all tenants.
    pub turns: usize,
    /// Attachments that a lane fetches at once.
    pub fetches: usize,
    /// A wait of at least this many milliseconds is shown on the message at the head of the queue.
    pub hold_after_ms: i64,
    /// Pauses after the store failed.
    pub store_retry: Backoff,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retry: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
            webhooks: WebhookOptions::default(),
            automations: AutomationOptions::default(),
            rollouts: RolloutOptions::default(),
            campaigns: CampaignOptions::default(),
            hearing: HearingOptions::default(),
            window: 512,
            batch: 256,
            claim_ahead: 512,
            lane_outstanding: 2_048,
            turns: 8,
            fetches: 4,
            hold_after_ms: 1_000,
            store_retry: Backoff { base_ms: 500, max_ms: 30_000, jitter: Jitter::Equal },
        }
    }
}

/// How webhooks are delivered.
#[derive(Debug, Clone)]
pub struct WebhookOptions {
    /// How long a receiver may take to answer, ms.
    pub timeout_ms: u64,
    /// Pauses after the first, second … failed try, ms; when none is left the delivery is given up.
    pub schedule_ms: Vec<u64>,
    /// Posts at once, over all receivers.
    pub running: usize,
    /// Posts at once to one receiver.
    pub running_per_host: usize,
    /// Deliveries kept in memory, over all receivers.
    pub queued: usize,
    /// Deliveries kept in memory for one receiver; further ones are put off at the receiver's own speed.
    pub queued_per_host: usize,
}

impl Default for WebhookOptions {
    fn default() -> Self {
        const MINUTE: u64 = 60_000;
        const HOUR: u64 = 60 * MINUTE;
        Self {
            timeout_ms: 15_000,
            schedule_ms: vec![
                5_000,
                30_000,
                2 * MINUTE,
                10 * MINUTE,
                30 * MINUTE,
                HOUR,
                2 * HOUR,
                4 * HOUR,
                8 * HOUR,
                12 * HOUR,
            ],
            running: 256,
            running_per_host: 8,
            queued: 1_024,
            queued_per_host: 64,
        }
    }
}

/// How automations are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutomationOptions {
    /// Calls at once, over all tenants.
    pub in_flight: usize,
    /// Calls at once of one tenant.
    pub in_flight_per_tenant: usize,
    /// Lanes with work that are held in memory for one tenant; the others are read once there is room.
    pub queued_per_tenant: usize,
    /// Pauses after the first, second … failed try, ms; when none is left the event becomes a dead letter.
    pub retry_ms: Vec<u64>,
    /// Events a minute of an automation that was not granted another number; further events wait.
    pub events_per_minute: u32,
    /// Whether calls are recorded at all; each automation has a setting of its own.
    pub record: bool,
    /// Recordings kept for each automation.
    pub record_keep: u32,
    /// The largest recording, in bytes; larger ones are left out.
    pub record_bytes: usize,
}

impl Default for AutomationOptions {
    fn default() -> Self {
        Self {
            in_flight: 64,
            in_flight_per_tenant: 16,
            queued_per_tenant: 16_384,
            retry_ms: vec![1_000, 5_000, 30_000, 120_000, 600_000],
            events_per_minute: 6_000,
            record: true,
            record_keep: 200,
            record_bytes: 256 * 1024,
        }
    }
}

/// How changes of plugins' versions are watched.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutOptions {
    /// When a new version is promoted or rolled back.
    pub rules: RolloutRules,
    /// How often versions under watch are compared, ms.
    pub tick_ms: i64,
}

impl Default for RolloutOptions {
    fn default() -> Self {
        Self { rules: RolloutRules::default(), tick_ms: 250 }
    }
}

/// How rows of campaigns are handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignOptions {
    /// Messages of one campaign that wait for their outcome, at most; further rows wait until there are fewer. Not in it are messages that
    /// are put off because they would start conversations: of those there are at most 20 times as many.
    pub window: usize,
    /// Rows handed over in one batch, at most.
    pub batch: usize,
}

impl Default for CampaignOptions {
    fn default() -> Self {
        Self { window: 500, batch: 100 }
    }
}

/// What is done about connectors that may be deaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HearingOptions {
    /// Whether their instances are restarted.
    pub restarts: bool,
    /// The silence after which a plugin that offers it is asked for a sign of life of its account, ms; `None`: never.
    pub heartbeat_ms: Option<i64>,
}

impl Default for HearingOptions {
    fn default() -> Self {
        Self { restarts: true, heartbeat_ms: Some(12 * 3_600_000) }
    }
}
