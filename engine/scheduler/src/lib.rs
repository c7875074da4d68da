//! Everything that becomes due and must be done once: messages, their retries and schedules, webhooks, and events of automations.
//!
//! Layout
//! - [`Scheduler`] starts the tasks; [`Handle`] is all that the rest of the program sees of them.
//! - [`rules`]: pace, health, session, breaker, retry and draw, pure functions of (state, now, seed); `window`, the bounded part
//!   of a queue that a lane holds; `gate`, turns between tenants.
//! - `observer`: turns commits into signals. Runs on the store's committer thread; never blocks, never commits. `due`: the loop of
//!   the tasks that do what is due.
//! - `lane/`: the task of one connector: `admit`, `claim`, `outcome`, `hold`, `purge`.
//! - [`Intake`]: stores what connectors receive and report, on the task of the connector that reports it. `account/`: the health of
//!   the accounts behind the connectors, and the task that pauses connectors and stores changes of their sessions.
//! - [`automations`]: events of conversations, handed to automations in their turn. [`rollouts`]: the task that watches new versions
//!   of plugins, and promotes them or rolls them back.
//! - `audiences`: who was written to of late, as the lanes share it; [`rules::audience`] and [`rules::limits`]: what channels demand.
//! - `scheduled`: the task that moves messages whose time has come. `queued`: reads messages of queues past damaged ones. `recovery`:
//!   decides about messages that were in flight, before the lanes start.
//! - `hearing`: what connectors hear, and the task that notices those that are connected and deaf.
//! - `campaigns`: the task that makes messages of the rows of campaigns.
//! - [`webhooks`]: the task that delivers webhooks.
//!
//! It depends on the domain's ports alone: it must not know HTTP, WebAssembly or a database.
//!
//! Invariant: an attempt is stored before the connector is called, its outcome after. A message that was stored as PROCESSING
//! and has no outcome is decided by the rule for a crash in [`rules::retry`]; it is never sent again silently.

mod account;
mod audiences;
pub mod automations;
mod campaigns;
mod context;
mod due;
mod hearing;
mod intake;
mod lane;
mod metrics;
mod observer;
mod options;
mod queued;
mod recovery;
pub mod rollouts;
pub mod rules;
mod scheduled;
mod scheduler;
mod template_signals;
mod templates;
mod view;
pub mod webhooks;

pub use automations::fair_queue::QueueCounts;
pub use hearing::HEARTBEAT;
pub use intake::Intake;
pub use metrics::MetricsSnapshot;
pub use options::{
    AutomationOptions, CampaignOptions, HearingOptions, Options, Ports, RolloutOptions, SigningSecrets, WebhookOptions,
};
pub use pombo_domain::model::pace::{BreakerView, HealthView, PaceView};
pub use scheduler::{Handle, Scheduler};

/// The last instant that a timestamp may name (the year 9999): "all of the scheduled queue".
const FAR: i64 = 253_402_300_799_999;
