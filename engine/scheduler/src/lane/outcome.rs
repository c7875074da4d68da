//! Stores what became of attempts, many in one commit. Runs inside the lane's task; repeats until the store takes it, because
//! the outcome is known nowhere else.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::health::HealthSignal;
use pombo_domain::model::message::{MessageState, NotAllowed};
use pombo_domain::ports::{Batch, Change, SendOutcome, StoreError, StoreResult, Update};
use pombo_domain::{MessageKey, Timestamp};

use super::{Ended, InFlight, LaneConfig, early};
use crate::account::marks::{self, EventSource};
use crate::context::Context;
use crate::metrics::Metrics;
use crate::observer::LaneShared;
use crate::rules::draw::Draw;
use crate::rules::retry::{self, Ending, Verdict};

/// Other addresses of a recipient that one outcome tells, at most.
const ALIASES: usize = 16;
/// The longest of them, in bytes; a longer one is left out.
const ALIAS_BYTES: usize = 320;

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

/// What follows from the end of one attempt.
struct Follows {
    update: Update,
    /// The revision of the state with which the attempt began.
    attempt: u32,
    /// Other addresses of the recipient that the channel told.
    aliases: Vec<Change>,
    signal: Option<HealthSignal>,
    /// Kept while the outcome is in doubt: up to the last try, a receipt may prove that it was sent.
    in_doubt: Option<InFlight>,
}

/// Stores the states that follow from `ended`, and counts them for the account's health. Returns how many there were.
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
    let counts = config.judge.rules.is_some() || ended.iter().any(|one| is_in_doubt(&one.ending));
    let keys: Vec<MessageKey> = ended.iter().map(|one| one.in_flight.key).collect();
    let mut ended = Some(ended);
    let mut follows = Vec::with_capacity(count);
    let mut failures = 0;
    loop {
        // Receipts and health are the account's: only within its turn is what is read here still true when it is stored. The intake takes
        // it, too: a failure is told either before this, and settled here, or after it, of a message that was sent.
        let turn = shared.account_health.turn.lock().await;
        let now = context.ports.clock.now();
        for one in ended.take().unwrap_or_default() {
            match follow(&context, &config, one, now, draw.seed()) {
                Ok(one) => follows.push(one),
                Err(error) => {
                    tracing::error!(connector = %config.connector.id, %error, "an outcome does not fit its message")
                }
            }
        }
        prove(&context, &mut follows, now);
        let failed = settle_early(&context, &shared, &mut follows, now);
        let mut changes: Vec<Change> = follows.iter().map(|one| Change::Update(one.update.clone())).collect();
        changes.extend(follows.iter().flat_map(|one| one.aliases.iter().cloned()));
        if pace_changed {
            // Read again for each try: another commit may have gone ahead of a failed one.
            changes.push(Change::Pace(shared.connector, shared.pace.lock().clone()));
        }
        let marked = counts.then(|| {
            let signals: Vec<HealthSignal> = follows.iter().filter_map(|one| one.signal).collect();
            let source = EventSource {
                tenant: config.connector.tenant,
                connector: shared.connector,
                entropy: &*context.ports.entropy,
                now,
            };
            marks::mark(source, &config.connector, &config.judge, &shared.account_health.health(), &signals)
        });
        changes.extend(marked.iter().flat_map(|marked| marked.changes.iter().cloned()));
        let stored = match failed {
            Ok(failed) => {
                changes.extend(failed);
                context.ports.store.commit(Batch { changes, skip_stale: true }).await
            }
            Err(error) => Err(error),
        };
        match stored {
            Ok(committed) => {
                early::forget(&shared, &keys);
                if let Some(marked) = marked {
                    shared.account_health.publish(marked.health);
                    if marked.pause {
                        context.signals.accounts.assess(shared.connector);
                    }
                }
                drop(turn);
                if !committed.stale.is_empty() {
                    let stale = committed.stale.len();
                    tracing::warn!(connector = %config.connector.id, stale, "outcomes came after another change");
                }
                Metrics::add(&context.metrics.outcome_batches, 1);
                return count;
            }
            Err(error) => {
                drop(turn);
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

fn is_in_doubt(ending: &Ending) -> bool {
    matches!(ending, Ending::Outcome(SendOutcome::Unknown(_)))
}

/// Settles messages in doubt: those of which receipts show that the channel has them were sent.
fn prove(context: &Context, follows: &mut [Follows], now: Timestamp) {
    for one in follows.iter_mut() {
        let Some(in_flight) = &one.in_doubt else { continue };
        let receipts = match context.ports.store.receipts(in_flight.key) {
            Ok(receipts) => receipts,
            Err(error) => {
                tracing::error!(%error, "receipts not read; the message stays in doubt");
                continue;
            }
        };
        if receipts.prove_sent()
            && let Ok(state) = in_flight.state.sent(receipts.provider_id, now)
        {
            one.signal = in_flight.says.then_some(HealthSignal::Sent);
            one.update = update(in_flight, state);
            one.in_doubt = None;
            Metrics::add(&context.metrics.proven_sent, 1);
        }
    }
}

/// Settles messages of which the channel told during the attempt that it could not deliver them. Returns the changes behind those of
/// `follows`.
fn settle_early(
    context: &Context,
    shared: &LaneShared,
    follows: &mut [Follows],
    now: Timestamp,
) -> StoreResult<Vec<Change>> {
    let noted = early::noted(shared, follows.iter().map(|one| one.update.key));
    let mut changes = Vec::new();
    for one in follows.iter_mut().filter(|one| noted.contains(&one.update.key)) {
        match settle_one(context, one, now) {
            Ok(failed) => changes.extend(failed),
            // Nor is it readable later: its outcome must not wait for it.
            Err(StoreError::Damaged(what)) => {
                tracing::error!(what, "a message that could not be delivered is damaged; only its outcome is stored")
            }
            Err(error) => return Err(error),
        }
    }
    Ok(changes)
}

fn settle_one(context: &Context, one: &mut Follows, now: Timestamp) -> StoreResult<Vec<Change>> {
    let store = &context.ports.store;
    let receipts = store.receipts(one.update.key)?;
    let Some(failure) = receipts.told_during(one.attempt).cloned() else { return Ok(Vec::new()) };
    let Some(stored) = store.message(one.update.key)? else { return Ok(Vec::new()) };
    // It is not in doubt any more: the channel had it.
    if let Some(in_flight) = &one.in_doubt
        && let Ok(state) = in_flight.state.sent(failure.provider_id.clone(), now)
    {
        one.signal = in_flight.says.then_some(HealthSignal::Sent);
        one.update = update(in_flight, state);
        one.in_doubt = None;
    }
    Ok(early::settled(context, &stored.message, &one.update.state, receipts, &failure, now))
}

fn update(in_flight: &InFlight, state: MessageState) -> Update {
    let delivery =
        in_flight.message.as_ref().and_then(|message| Delivery::of(message, Some(in_flight.state.status), &state));
    Update { key: in_flight.key, state, delivery }
}

fn follow(
    context: &Context,
    config: &LaneConfig,
    ended: Ended,
    now: Timestamp,
    seed: u64,
) -> Result<Follows, NotAllowed> {
    let Ended { in_flight, mut ending, rejoin } = ended;
    let (told, held) = match &mut ending {
        Ending::Outcome(SendOutcome::Accepted { aliases, held, .. }) => (std::mem::take(aliases), *held),
        _ => (Vec::new(), false),
    };
    let metrics = &context.metrics;
    let attempt = retry::Attempt {
        attempts: in_flight.state.attempts,
        idempotent: config.idempotent,
        due_at: if rejoin { now } else { in_flight.state.due_at },
        first_due: in_flight.first_due,
        expires_at: in_flight.expires_at,
    };
    let repeated = !matches!(ending, Ending::NotCalled(_));
    let in_doubt = is_in_doubt(&ending);
    let refused = matches!(ending, Ending::Outcome(SendOutcome::InvalidRecipient(_) | SendOutcome::Rejected(_)));
    let mut signal = refused.then_some(HealthSignal::Failed);
    let state = match retry::verdict(&context.options.retry, ending, attempt, now, seed) {
        Verdict::Sent(provider_id) => {
            signal = in_flight.says.then_some(HealthSignal::Sent);
            let sent = in_flight.state.sent(provider_id, now)?;
            if held { sent.held_by_channel() } else { sent }
        }
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
    let (update, attempt) = (update(&in_flight, state), in_flight.state.revision);
    let aliases = aliases(context, config, &in_flight.to, told);
    Ok(Follows { update, attempt, aliases, signal, in_doubt: in_doubt.then_some(in_flight) })
}

/// What makes addresses that the channel told with an outcome other addresses of the recipient. They are kept before there is a contact,
/// so that it is found by them once there is one. One that has a contact of its own stays that contact's: what joins two contacts is what
/// the channel reports of them.
fn aliases(context: &Context, config: &LaneConfig, to: &str, told: Vec<String>) -> Vec<Change> {
    let Some(kind) = config.contact_kind.filter(|_| !told.is_empty()) else { return Vec::new() };
    let (store, tenant) = (&context.ports.store, config.connector.tenant);
    let find = |identifier: &str| {
        let found = store.contact(tenant, kind, identifier);
        found.inspect_err(|error| tracing::error!(%error, "a contact was not read; its other addresses are left out"))
    };
    let own = kind.identifier(to).into_owned();
    let Ok(recipient) = find(&own) else { return Vec::new() };
    let identifier = recipient.map_or(own, |contact| contact.identifier);
    let mut changes = Vec::new();
    for alias in told.into_iter().filter(|alias| (1..=ALIAS_BYTES).contains(&alias.len())).take(ALIASES) {
        let alias = kind.identifier(&alias).into_owned();
        if alias == identifier || alias.is_empty() || !matches!(find(&alias), Ok(None)) {
            continue;
        }
        changes.push(Change::ContactAlias { tenant, kind, alias, identifier: identifier.clone() });
    }
    changes
}
