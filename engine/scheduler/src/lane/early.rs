//! Failures that the channel tells before the outcome of their attempt is stored. The intake keeps them with the receipts. Who ends the
//! attempt settles them in the batch of its end: the lane with the outcome, or the recovery where the outcome was lost. So no crash comes in
//! between, and none takes the channel's code.

use std::collections::HashSet;

use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::message::{Message, MessageState, Status};
use pombo_domain::model::receipt::{LateFailure, Receipts};
use pombo_domain::ports::{Change, Update};
use pombo_domain::{MessageKey, Timestamp};

use crate::context::Context;
use crate::observer::LaneShared;
use crate::rules::late;

/// Those of `keys` of which such a failure may be kept. Call it within the account's turn.
pub(crate) fn noted(shared: &LaneShared, keys: impl Iterator<Item = MessageKey>) -> HashSet<MessageKey> {
    let noted = shared.failed_early.lock();
    if noted.is_empty() { HashSet::new() } else { keys.filter(|key| noted.contains(key)).collect() }
}

/// The attempts of these messages ended, and that is stored. Call it within the account's turn.
pub(crate) fn forget(shared: &LaneShared, keys: &[MessageKey]) {
    let mut noted = shared.failed_early.lock();
    for key in keys {
        noted.remove(key);
    }
}

/// What is stored behind the end of an attempt during which the channel told that it could not deliver the message. `ended` is the state that
/// the attempt ended with. Receipts are read and stored: call it within the account's turn.
pub(crate) fn settled(
    context: &Context,
    message: &Message,
    ended: &MessageState,
    mut receipts: Receipts,
    failure: &LateFailure,
    now: Timestamp,
) -> Vec<Change> {
    let retry_later = context.options.retry.retry_later;
    let Some(state) = late::next(message, ended, &receipts, failure, retry_later, now) else { return Vec::new() };
    let again = state.status == Status::Waiting;
    let delivery = Delivery::of(message, Some(ended.status), &state);
    let mut changes = vec![Change::Update(Update { key: message.key, state, delivery })];
    if again {
        receipts.forget_failure();
        changes.push(Change::Receipts(message.key, receipts));
    }
    changes
}
