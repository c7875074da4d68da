//! What becomes of a message of which the channel says, after it accepted it, that it could not be delivered. Pure.

use pombo_domain::Timestamp;
use pombo_domain::model::message::{Message, MessageState, Status};
use pombo_domain::model::receipt::{LateFailure, Receipts};

/// The pause before a message is sent once more.
pub const LATER_MS: i64 = 24 * 3_600_000;

/// The message's next state; `None`: it stays as it is. What was delivered stays delivered. With `retry_later`, a message that the
/// channel takes a day later is sent once more: only within a day from when it was first due, which the second failure never is.
pub fn next(
    message: &Message,
    state: &MessageState,
    receipts: &Receipts,
    failure: &LateFailure,
    retry_later: bool,
    now: Timestamp,
) -> Option<MessageState> {
    if receipts.first.delivered_at.is_some() || !matches!(state.status, Status::Sent | Status::Unknown) {
        return None;
    }
    // It is about an earlier attempt.
    if let (Some(known), Some(told)) = (&state.provider_id, &failure.provider_id)
        && known != told
    {
        return None;
    }
    let due_at = now.plus_ms(LATER_MS);
    let first_due = message.content.scheduled_at.unwrap_or(message.created_at).max(message.created_at);
    let is_wanted_then = message.content.options.expires_at.is_none();
    if failure.later && retry_later && is_wanted_then && now.since(first_due) < LATER_MS {
        return state.send_again(failure.reason.clone(), due_at, now).ok();
    }
    state.failed_late(failure.reason.clone(), now).ok()
}
