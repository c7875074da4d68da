//! Failures that the channel told before it was stored that their messages were sent: they wait in memory until it is. Called by the
//! lane's task after it stored outcomes, and by the intake after it stored that a message could not be delivered: whichever comes last
//! settles the message. A failure that a crash takes from memory is in the log and among the message's receipts.

use pombo_domain::MessageKey;
use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::message::Status;
use pombo_domain::ports::{Batch, Change, StoreResult, Update};

use crate::context::Context;
use crate::observer::LaneShared;
use crate::rules::late;

/// Whether any failure waits.
pub(crate) fn has_any(shared: &LaneShared) -> bool {
    !shared.early_failures.lock().is_empty()
}

/// Settles those of the messages that are no longer with the connector. Call it within the account's turn: receipts are read and stored.
pub(crate) async fn settle(context: &Context, shared: &LaneShared, keys: Vec<MessageKey>) {
    let early: Vec<MessageKey> = {
        let early = shared.early_failures.lock();
        keys.into_iter().filter(|key| early.contains_key(key)).collect()
    };
    let mut changes = Vec::new();
    for key in early {
        match settled(context, shared, key) {
            Ok(settled) => changes.extend(settled),
            Err(error) => {
                tracing::error!(%error, "a message was not read; that it could not be delivered is in the log")
            }
        }
    }
    if changes.is_empty() {
        return;
    }
    if let Err(error) = context.ports.store.commit(Batch { changes, skip_stale: true }).await {
        tracing::error!(%error, "that messages could not be delivered was not stored; it is in the log");
    }
}

fn settled(context: &Context, shared: &LaneShared, key: MessageKey) -> StoreResult<Vec<Change>> {
    let store = &context.ports.store;
    let Some(stored) = store.message(key)? else { return Ok(Vec::new()) };
    if stored.state.status == Status::Processing {
        return Ok(Vec::new());
    }
    let Some(failure) = shared.early_failures.lock().remove(&key) else { return Ok(Vec::new()) };
    let mut receipts = store.receipts(key)?;
    let (retry_later, now) = (context.options.retry.retry_later, context.ports.clock.now());
    let next = late::next(&stored.message, &stored.state, &receipts, &failure, retry_later, now);
    let Some(state) = next else { return Ok(Vec::new()) };
    let again = state.status == Status::Waiting;
    let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
    let mut changes = vec![Change::Update(Update { key, state, delivery })];
    if again {
        // What is told of the next attempt counts; nothing proves that the channel has that one.
        (receipts.failed, receipts.provider_id) = (None, None);
        changes.push(Change::Receipts(key, receipts));
    }
    Ok(changes)
}
