//! Stores what became of attempts, many in one commit. Runs inside the lane's task; repeats until the store takes it, because
//! the outcome is known nowhere else.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::message::NotAllowed;
use pombo_domain::ports::{Batch, Change, SendOutcome, Update};

use super::{Ended, LaneConfig};
use crate::context::Context;
use crate::draw::Draw;
use crate::metrics::Metrics;
use crate::observer::LaneShared;
use crate::retry::{self, Ending, Verdict};

/// The counter of an outcome.
pub(super) fn counter(metrics: &Metrics, outcome: &SendOutcome) -> &'static str {
    let (counter, name): (&AtomicU64, _) = match outcome {
        SendOutcome::Accepted { .. } => (&metrics.outcome_accepted, "accepted"),
        SendOutcome::InvalidRecipient(_) => (&metrics.outcome_invalid_recipient, "invalid_recipient"),
        SendOutcome::Rejected(_) => (&metrics.outcome_rejected, "rejected"),
        SendOutcome::Throttled { .. } => (&metrics.outcome_throttled, "throttled"),
        SendOutcome::Temporary(_) => (&metrics.outcome_temporary, "temporary"),
        SendOutcome::Disconnected(_) => (&metrics.outcome_disconnected, "disconnected"),
        SendOutcome::Unknown(_) => (&metrics.outcome_unknown, "unknown"),
    };
    Metrics::add(counter, 1);
    name
}

/// Stores the states that follow from `ended`; returns how many there were.
pub(super) async fn store_outcomes(
    context: Arc<Context>,
    config: Arc<LaneConfig>,
    shared: Arc<LaneShared>,
    ended: Vec<Ended>,
    pace_changed: bool,
    seed: u64,
) -> usize {
    let count = ended.len();
    let mut draw = Draw::new(seed);
    let now = context.ports.clock.now();
    let mut updates = Vec::with_capacity(count);
    for one in ended {
        match next_update(&context, &config, one, now, draw.seed()) {
            Ok(update) => updates.push(update),
            Err(error) => {
                tracing::error!(connector = %config.connector.id, %error, "an outcome does not fit its message")
            }
        }
    }
    let mut failures = 0;
    loop {
        let mut changes: Vec<Change> = updates.iter().cloned().map(Change::Update).collect();
        if pace_changed {
            // Read anew for each try: another commit may have gone ahead of a failed one.
            changes.push(Change::Pace(shared.connector, shared.pace.lock().clone()));
        }
        match context.ports.store.commit(Batch { changes, skip_stale: true }).await {
            Ok(committed) => {
                if !committed.stale.is_empty() {
                    let stale = committed.stale.len();
                    tracing::warn!(connector = %config.connector.id, stale, "outcomes came after another change");
                }
                Metrics::add(&context.metrics.outcome_batches, 1);
                return count;
            }
            Err(error) => {
                failures += 1;
                Metrics::add(&context.metrics.store_errors, 1);
                if failures == 1 {
                    tracing::error!(connector = %config.connector.id, count, %error, "outcomes not stored; trying again");
                }
                let pause = context.options.store_retry.delay_ms(failures, draw.seed());
                let clock = &context.ports.clock;
                clock.sleep_until(clock.now().plus_ms(pause)).await;
            }
        }
    }
}

fn next_update(
    context: &Context,
    config: &LaneConfig,
    ended: Ended,
    now: pombo_domain::Timestamp,
    seed: u64,
) -> Result<Update, NotAllowed> {
    let Ended { in_flight, ending, rejoin } = ended;
    let metrics = &context.metrics;
    let attempt = retry::Attempt {
        attempts: in_flight.state.attempts,
        idempotent: config.idempotent,
        due_at: if rejoin { now } else { in_flight.state.due_at },
        first_due: in_flight.first_due,
    };
    let repeated = !matches!(ending, Ending::NotCalled(_));
    let state = match retry::verdict(&context.options.retry, ending, attempt, now, seed) {
        Verdict::Sent(provider_id) => in_flight.state.sent(provider_id, now)?,
        Verdict::Failed(reason) => {
            Metrics::add(&metrics.failed, 1);
            in_flight.state.failed(reason, now)?
        }
        Verdict::Unknown(reason) => {
            Metrics::add(&metrics.unknown, 1);
            in_flight.state.unknown(reason, now)?
        }
        Verdict::Again { reason, due_at, free } => {
            Metrics::add(&metrics.retries, usize::from(repeated));
            in_flight.state.retry_later(reason, due_at, free, now)?
        }
    };
    let delivery =
        in_flight.message.as_ref().and_then(|message| Delivery::of(message, Some(in_flight.state.status), &state));
    Ok(Update { key: in_flight.key, state, delivery })
}
