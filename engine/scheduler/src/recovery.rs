//! What was with a connector when the process ended, decided before the lanes start: SENT where receipts prove it, and FAILED where the
//! channel told for good that it could not deliver it; else tried again with the same client id where that cannot send twice, otherwise
//! UNKNOWN.

use std::collections::HashMap;

use pombo_domain::ConnectorIndex;
use pombo_domain::model::connector::ConnectorStatus;
use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::message::Status;
use pombo_domain::ports::{Batch, Change, SendOutcome, StoreResult, Update};

use crate::context::Context;
use crate::lane::early;
use crate::metrics::Metrics;
use crate::rules::retry::{self, Ending, Verdict};

const PAGE: usize = 512;

/// Decides all messages in flight, or those of one connector (whose lane failed). How many there were.
pub(crate) async fn recover(context: &Context, only: Option<ConnectorIndex>) -> StoreResult<usize> {
    let store = &context.ports.store;
    // A lane that failed: receipts may be coming in, and each must see what the other decided.
    let account_health = only.map(|only| context.accounts.of(&**store, only));
    let _turn = match &account_health {
        Some(account_health) => Some(account_health.turn.lock().await),
        None => None,
    };
    let mut idempotent: HashMap<ConnectorIndex, bool> = HashMap::new();
    let mut after = None;
    let mut total = 0;
    loop {
        let keys = store.in_flight(after, PAGE)?;
        let Some(last) = keys.last().copied() else { break };
        let now = context.ports.clock.now();
        let mut changes = Vec::new();
        for stored in store.messages(&keys)?.into_iter().flatten() {
            let connector = stored.message.content.connector;
            if stored.state.status != Status::Processing || only.is_some_and(|only| only != connector) {
                continue;
            }
            let idempotent = match idempotent.get(&connector) {
                Some(known) => *known,
                None => {
                    let known = is_idempotent(context, connector)?;
                    idempotent.insert(connector, known);
                    known
                }
            };
            let attempt = retry::Attempt {
                attempts: stored.state.attempts,
                idempotent,
                due_at: stored.state.due_at,
                first_due: stored.message.created_at,
                expires_at: stored.message.expires_at(&stored.state),
            };
            let receipts = store.receipts(stored.message.key)?;
            let failure = receipts.told_during(stored.state.revision).cloned();
            let ending = match &failure {
                // The channel had it: what could not be delivered had been accepted.
                Some(failure) => Ending::Outcome(SendOutcome::accepted(failure.provider_id.clone())),
                None if receipts.prove_sent() => {
                    Metrics::add(&context.metrics.proven_sent, 1);
                    Ending::Outcome(SendOutcome::accepted(receipts.provider_id.clone()))
                }
                None => Ending::Crash,
            };
            let next = match retry::verdict(&context.options.retry, ending, attempt, now, 0) {
                Verdict::Again { reason, due_at, free } => stored.state.retry_later(reason, due_at, free, now),
                Verdict::Unknown(reason) => stored.state.unknown(reason, now),
                Verdict::Failed(reason) => stored.state.failed(reason, now),
                Verdict::Sent(provider_id) => stored.state.sent(provider_id, now),
            };
            let Ok(state) = next else { continue };
            total += 1;
            let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
            let failed = match &failure {
                Some(failure) => early::settled(context, &stored.message, &state, receipts, failure, now),
                None => Vec::new(),
            };
            changes.push(Change::Update(Update { key: stored.message.key, state, delivery }));
            changes.extend(failed);
        }
        if !changes.is_empty() {
            store.commit(Batch { changes, skip_stale: true }).await?;
        }
        after = Some(last);
    }
    Metrics::add(&context.metrics.recovered, total);
    if total > 0 {
        tracing::info!(messages = total, "messages were in flight when the process or a lane ended; decided");
    }
    Ok(total)
}

/// Whether a resend through this connector cannot send twice. A deleted one or an unknown plugin counts as not.
fn is_idempotent(context: &Context, connector: ConnectorIndex) -> StoreResult<bool> {
    let Some(connector) = context.ports.store.connector(connector)? else { return Ok(false) };
    if connector.status == ConnectorStatus::Deleted {
        return Ok(false);
    }
    Ok(context.ports.connectors.plugin(&connector.plugin).is_some_and(|plugin| plugin.idempotent_resend))
}
