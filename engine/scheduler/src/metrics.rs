//! What the scheduler counts. The server turns a [`MetricsSnapshot`] into Prometheus text; nothing here knows how.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Live counters, shared by all tasks.
        #[derive(Debug, Default)]
        pub(crate) struct Metrics {
            $(pub(crate) $name: AtomicU64,)*
            pub(crate) in_flight: AtomicI64,
            pub(crate) lag_ms: AtomicI64,
        }

        /// The counters at one instant. All but `in_flight` and `lag_ms` only grow.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct MetricsSnapshot {
            $($(#[$doc])* pub $name: u64,)*
            /// Messages that are claimed and whose outcome is not stored yet.
            pub in_flight: i64,
            /// How long the message claimed last had been due, ms.
            pub lag_ms: i64,
        }

        impl Metrics {
            pub(crate) fn snapshot(&self) -> MetricsSnapshot {
                MetricsSnapshot {
                    $($name: self.$name.load(Relaxed),)*
                    in_flight: self.in_flight.load(Relaxed),
                    lag_ms: self.lag_ms.load(Relaxed),
                }
            }
        }

        impl MetricsSnapshot {
            /// The growing counters by name.
            pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }
    };
}

counters! {
    /// Messages whose claim was stored.
    claims,
    /// Batches of claims.
    claim_batches,
    /// Claims dropped because the message changed just before (canceled).
    claims_stale,
    /// Sends that the channel accepted.
    outcome_accepted,
    /// Sends to a recipient that does not exist.
    outcome_invalid_recipient,
    /// Sends refused for good.
    outcome_rejected,
    /// Sends that the provider throttled.
    outcome_throttled,
    /// Sends to be repeated.
    outcome_temporary,
    /// Sends without a connection.
    outcome_disconnected,
    /// Sends whose outcome is not known.
    outcome_unknown,
    /// Texts that could not be rendered.
    render_failed,
    /// Attachments that could not be fetched.
    attachment_failed,
    /// Messages that are tried again.
    retries,
    /// Messages given up.
    failed,
    /// Messages whose outcome is not known and that are left to a person.
    unknown,
    /// Batches of outcomes.
    outcome_batches,
    /// Messages held at the head of a queue.
    held,
    /// Messages whose time had come.
    promoted,
    /// Messages found with a connector at the start.
    recovered,
    /// Messages whose outcome was in doubt and that receipts proved sent.
    proven_sent,
    /// Batches of connectors' events stored.
    intake_batches,
    /// Messages that connectors received.
    intake_messages,
    /// Receipts of the engine's messages.
    intake_receipts,
    /// Events that had been reported before.
    intake_repeated,
    /// Batches of connectors' events that the store refused.
    intake_refused,
    /// Events that automations have dealt with.
    automation_events,
    /// Calls of automations.
    automation_calls,
    /// Calls that failed because of the plugin.
    automation_failures,
    /// Events that became dead letters after their last try.
    automation_parked,
    /// Looks at events whose automation could not be called then.
    automation_waits,
    /// Events that waited for their automation's allowance.
    automation_throttled,
    /// Timers that ran out.
    automation_timers,
    /// Versions of plugins that were rolled back.
    rollbacks,
    /// Connectors paused by their health.
    health_pauses,
    /// Connectors that were found to be deaf.
    hearing_deaf,
    /// Instances restarted because their connectors were deaf.
    hearing_restarts,
    /// Heartbeats that plugins were asked for.
    hearing_heartbeats,
    /// Failures of the store: commits that it refused, and reads.
    store_errors,
    /// Webhook posts answered 2xx.
    webhooks_delivered,
    /// Webhook posts to be repeated.
    webhooks_retried,
    /// Webhook deliveries given up.
    webhooks_abandoned,
    /// Webhook deliveries moved because their receiver was busy.
    webhooks_deferred,
}

impl Metrics {
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Relaxed);
    }
}
