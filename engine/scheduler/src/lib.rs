//! Everything that is due and must be done once: messages, their retries and schedules, and webhooks.
//!
//! Layout
//! - [`Scheduler`], [`Handle`]: starts the tasks; all that the rest of the program sees.
//! - [`rules`]: pace, health, session, breaker, retry and draw, pure functions of (state, now, seed); `window`, the bounded part
//!   of a queue that a lane holds; `gate`, turns between tenants.
//! - `observer`: notes what commits mean. Runs on the store's committer thread; never blocks, never commits.
//! - `lane/`: the task of one connector: `admit`, `claim`, `outcome`, `hold`, `purge`.
//! - [`Intake`]: what connectors receive and report, made durable by whoever tells it. `account/`: how the accounts behind the
//!   connectors stand, and the task that pauses them and tells of their sessions.
//! - [`automations`]: events of conversations, given to automations in their turn. [`rollouts`]: the task that watches new versions
//!   of plugins, and takes them on or back.
//! - `scheduled`: the task that moves what has become due. `recovery`: what was in flight, decided before the lanes start.
//! - [`webhooks`]: the task that delivers webhooks.
//!
//! It stands on the domain's ports alone: it must not know HTTP, WebAssembly or a database.
//!
//! Invariant: an attempt is stored before the connector is called, its outcome after. A message that was stored as PROCESSING
//! and has no outcome is decided by [`rules::retry`]'s rule for a crash, never sent again silently.

mod account;
pub mod automations;
mod context;
mod intake;
mod lane;
mod metrics;
mod observer;
mod options;
mod recovery;
pub mod rollouts;
pub mod rules;
mod scheduled;
mod scheduler;
mod view;
pub mod webhooks;

pub use automations::turns::TurnCounts;
pub use intake::Intake;
pub use metrics::MetricsSnapshot;
pub use options::{AutomationOptions, Options, Ports, RolloutOptions, SigningSecrets, WebhookOptions};
pub use scheduler::{Handle, Scheduler};
pub use view::{BreakerView, HealthView, PaceView};

/// The last instant that a timestamp may name (the year 9999): "all of the scheduled queue".
const FAR: i64 = 253_402_300_799_999;
