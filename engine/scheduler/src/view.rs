//! How a connector's pace looks from outside: why its next message waits, and until when.

use pombo_domain::Timestamp;
use pombo_domain::model::connector::{ConnectorStatus, PaceState};

use crate::pace::{Decision, PaceRules};

/// The breaker, as seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerView {
    /// The connection works, as far as is known.
    Closed,
    /// It failed; nothing is sent until then.
    Open {
        /// When the next message probes it.
        until: Timestamp,
        /// Failures in a row.
        failures: u32,
    },
    /// The next message probes it.
    HalfOpen {
        /// Failures in a row.
        failures: u32,
    },
}

/// A connector's pace at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaceView {
    /// Attempts begun today (in the pace's time zone).
    pub sent_today: u32,
    /// Today's cap, `None` for no limit.
    pub cap_today: Option<u32>,
    /// Day of the warm-up (from 1), `None` once warm or without one.
    pub warm_up_day: Option<u32>,
    /// When the next message may go; now or earlier when nothing holds it. `None` while paused.
    pub next_at: Option<Timestamp>,
    /// Why it waits: `paused`, `delay`, `daily_cap`, `quiet_hours`, `throttled`, `disconnected`; `None` when it does not.
    pub reason: Option<&'static str>,
    /// Whether these are quiet hours.
    pub quiet: bool,
    /// Until when the provider asked to slow down, where that lies ahead.
    pub throttled_until: Option<Timestamp>,
    /// The breaker.
    pub breaker: BreakerView,
    /// Messages with the connector, and outcomes not stored yet.
    pub in_flight: usize,
    /// Queue entries in memory: the queue's length where `more_queued` is false.
    pub queued: usize,
    /// The queue may be longer than `queued`.
    pub more_queued: bool,
}

/// The view of `state` under `rules` at `now`; the lane fills in the counts.
pub(crate) fn pace_view(rules: &PaceRules, status: ConnectorStatus, state: &PaceState, now: Timestamp) -> PaceView {
    let today = rules.today(state, now);
    let (next_at, reason) = match (status, rules.decide(state, now)) {
        (ConnectorStatus::Active, Decision::Go { .. }) => (Some(now), None),
        (ConnectorStatus::Active, Decision::Wait { until, hold }) => (Some(until), Some(hold.as_str())),
        (ConnectorStatus::Paused, _) => (None, Some("paused")),
        (ConnectorStatus::Deleted, _) => (None, Some("deleted")),
    };
    let breaker = match state.failures {
        0 => BreakerView::Closed,
        failures if state.open_until > now => BreakerView::Open { until: state.open_until, failures },
        failures => BreakerView::HalfOpen { failures },
    };
    PaceView {
        sent_today: today.sent,
        cap_today: today.cap,
        warm_up_day: today.warm_up_day,
        next_at,
        reason,
        quiet: rules.is_quiet(now),
        throttled_until: Some(state.throttled_until).filter(|until| *until > now),
        breaker,
        in_flight: 0,
        queued: 0,
        more_queued: false,
    }
}
