//! Shows on the message at the head of the queue why it waits: it becomes WAITING with the reason and the instant, once.

use std::sync::Arc;

use pombo_domain::Timestamp;
use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::message::{Position, Reason};
use pombo_domain::ports::{Batch, Change, ReadyEntry, StoreError, Update};

use crate::context::Context;
use crate::metrics::Metrics;
use crate::pace::Hold;

/// A wait as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) entry: ReadyEntry,
    pub(super) hold: Hold,
    pub(super) until: Timestamp,
}

impl Held {
    /// Whether showing `other` would tell the reader nothing new.
    pub(super) fn says_the_same_as(&self, other: &Self) -> bool {
        self.entry == other.entry && self.hold == other.hold && about_the_same(self.until, other.until)
    }
}

/// Rewriting a message for a difference of a second or two would only cost writes.
fn about_the_same(a: Timestamp, b: Timestamp) -> bool {
    a.since(b).abs() < 2_000
}

/// What became of it.
pub(super) enum HoldDone {
    /// It is shown.
    Shown,
    /// The entry is gone from the queue.
    Gone(ReadyEntry),
    /// The store did not take it.
    Error(StoreError),
}

fn reason(held: &Held) -> Reason {
    let code = match held.hold {
        Hold::Delay | Hold::DailyCap | Hold::QuietHours => "pace",
        Hold::Throttled => "throttled",
        Hold::Disconnected => "disconnected",
    };
    Reason::new(code, format!("{}; until {}", held.hold.describe(), held.until.to_iso()))
}

/// Shows `held` on its message.
pub(super) async fn show(context: Arc<Context>, held: Held) -> HoldDone {
    let store = &context.ports.store;
    let stored = match store.message(held.entry.key) {
        Ok(Some(stored)) if stored.state.position(&stored.message) == Position::Ready(held.entry.order) => stored,
        Ok(_) => return HoldDone::Gone(held.entry),
        Err(error) => return HoldDone::Error(error),
    };
    let now = context.ports.clock.now();
    let reason = reason(&held);
    let shown = stored.state.held
        && stored.state.hold_until.is_some_and(|until| about_the_same(until, held.until))
        && stored.state.reason.as_ref().is_some_and(|old| old.code == reason.code);
    if shown {
        return HoldDone::Shown;
    }
    let Ok(state) = stored.state.hold(reason, held.until, now) else { return HoldDone::Gone(held.entry) };
    let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
    let update = Update { key: stored.message.key, state, delivery };
    match store.commit(Batch { changes: vec![Change::Update(update)], skip_stale: true }).await {
        Ok(committed) if committed.stale.is_empty() => {
            Metrics::add(&context.metrics.held, 1);
            HoldDone::Shown
        }
        // Changed at this very moment. Where it still stands in the queue, the claim reads it again.
        Ok(_) => HoldDone::Shown,
        Err(error) => HoldDone::Error(error),
    }
}
