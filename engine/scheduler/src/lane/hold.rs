//! Shows on the message at the head of the queue why it waits: it becomes WAITING with the reason and the instant, once.

use std::borrow::Cow;
use std::sync::Arc;

use pombo_domain::Timestamp;
use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::message::Position;
use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::ports::{Batch, Change, ReadyEntry, StoreError, Update};

use crate::context::Context;
use crate::metrics::Metrics;
use crate::rules::pace::Hold;
use crate::rules::session::SessionWait;

/// A wait as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) entry: ReadyEntry,
    /// The reason's code.
    code: ReasonCode,
    /// A word by which waits with the same code differ.
    word: &'static str,
    sentence: Cow<'static, str>,
    /// `None` where no instant is known.
    until: Option<Timestamp>,
}

impl Held {
    pub(super) fn by_pace(entry: ReadyEntry, hold: Hold, until: Timestamp) -> Self {
        let code = match hold {
            Hold::Delay | Hold::DailyCap | Hold::QuietHours => ReasonCode::Pace,
            Hold::Throttled => ReasonCode::Throttled,
            Hold::Disconnected => ReasonCode::Disconnected,
        };
        Self { entry, code, word: hold.reason().as_str(), sentence: hold.describe().into(), until: Some(until) }
    }

    pub(super) fn by_session(entry: ReadyEntry, wait: SessionWait) -> Self {
        Self { entry, code: ReasonCode::Disconnected, word: wait.word, sentence: wait.sentence.into(), until: None }
    }

    /// Whether showing `other` would tell the reader nothing new.
    pub(super) fn says_the_same_as(&self, other: &Self) -> bool {
        self.entry == other.entry && self.word == other.word && same_instant(self.until, other.until)
    }

    fn reason(&self) -> Reason {
        match self.until {
            Some(until) => Reason::new(self.code, format!("{}; until {}", self.sentence, until.to_iso())),
            None => Reason::new(self.code, self.sentence.as_ref()),
        }
    }
}

fn same_instant(a: Option<Timestamp>, b: Option<Timestamp>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => about_the_same(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// Rewriting a message for a difference of a second or two would only cost writes.
fn about_the_same(a: Timestamp, b: Timestamp) -> bool {
    a.since(b).abs() < 2_000
}

/// How an attempt to show a wait ended.
pub(super) enum HoldDone {
    /// It is shown.
    Shown,
    /// The entry is no longer in the queue.
    Gone(ReadyEntry),
    /// The store failed.
    Error(StoreError),
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
    let reason = held.reason();
    // Without an instant, only the sentence tells one wait from another.
    let says_it = |old: &Reason| old.code == reason.code && (held.until.is_some() || old.detail == reason.detail);
    let shown = stored.state.held
        && same_instant(stored.state.hold_until, held.until)
        && stored.state.reason.as_ref().is_some_and(says_it);
    if shown {
        return HoldDone::Shown;
    }
    let Ok(mut state) = stored.state.hold(reason, held.until.unwrap_or(now), now) else {
        return HoldDone::Gone(held.entry);
    };
    state.hold_until = held.until;
    let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
    let update = Update { key: stored.message.key, state, delivery };
    match store.commit(Batch { changes: vec![Change::Update(update)], skip_stale: true }).await {
        Ok(committed) if committed.stale.is_empty() => {
            Metrics::add(&context.metrics.held, 1);
            HoldDone::Shown
        }
        // It has just changed. Where it is still in the queue, the claim reads it again.
        Ok(_) => HoldDone::Shown,
        Err(error) => HoldDone::Error(error),
    }
}
