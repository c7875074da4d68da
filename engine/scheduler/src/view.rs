//! How a connector's pace looks from outside: why its next message waits, and until when.

use pombo_domain::Timestamp;
use pombo_domain::model::connector::{Connector, ConnectorStatus, Pace, PaceState};
use pombo_domain::model::health::HealthState;
use pombo_domain::ports::SessionState;

use crate::account::marks::TOLD_PAUSED;
use crate::rules::health::{self, HOUR_MS, HealthLevel, Judge};
use crate::rules::pace::{Decision, PaceRules};
use crate::rules::session;

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

/// An account's health at one instant: the score and the counts that it follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthView {
    /// 0 to 100.
    pub score: u8,
    /// What follows from it.
    pub level: HealthLevel,
    /// How far back is counted, in hours.
    pub window_hours: u16,
    /// Counted from here, where that is later than the window's begin.
    pub since: Option<Timestamp>,
    /// Messages that the channel accepted.
    pub sent: u32,
    /// Of them, with a report that they reached the recipient.
    pub delivered: u32,
    /// Messages of people.
    pub replies: u32,
    /// Messages that the channel refused for good.
    pub failures: u32,
    /// Blocks and reports.
    pub blocks: u32,
    /// Restrictions that the channel imposed.
    pub restrictions: u32,
}

/// A connector's pace at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaceView {
    /// The limits as they are set.
    pub limits: Pace,
    /// The pause between two messages as it is now, shortest and longest, ms: longer than the set one where the health slows
    /// it. 0 and 0 for none.
    pub delay_ms: (u64, u64),
    /// How the account stands; `None` where no health rules are set.
    pub health: Option<HealthView>,
    /// Attempts begun today (in the pace's time zone).
    pub sent_today: u32,
    /// Today's cap, `None` for no limit.
    pub cap_today: Option<u32>,
    /// Day of the warm-up (from 1), `None` once warm or without one.
    pub warm_up_day: Option<u32>,
    /// When the next message may go; now or earlier when nothing holds it. `None` where no instant is known: paused, or
    /// without a session.
    pub next_at: Option<Timestamp>,
    /// Why it waits: `paused`, `health` (paused by its health), `no_session`, `delay`, `daily_cap`, `quiet_hours`, `throttled`,
    /// `disconnected`, `deleted`; `None` when it does not.
    pub reason: Option<&'static str>,
    /// The reason as a sentence for a person, with what to do where somebody must do something.
    pub detail: Option<String>,
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

/// What a connector's pace depends on besides its own counts.
pub(crate) struct Situation<'a> {
    pub(crate) connector: &'a Connector,
    /// The session, where it needs one.
    pub(crate) session: Option<SessionState>,
    pub(crate) judge: Judge,
    pub(crate) health: HealthState,
}

impl Situation<'_> {
    fn health(&self, now: Timestamp) -> Option<HealthView> {
        let rules = self.judge.rules.as_ref()?;
        let counts = health::counts(&self.health, rules, now);
        let score = health::score(&counts, &self.judge);
        let since = Some(self.health.since).filter(|since| now.since(*since) < i64::from(rules.window_hours) * HOUR_MS);
        let level = if self.paused_by_health() { HealthLevel::Paused } else { health::level(score, &self.judge) };
        Some(HealthView {
            score,
            level,
            window_hours: rules.window_hours,
            since,
            sent: counts.sent,
            delivered: counts.delivered,
            replies: counts.replies,
            failures: counts.failed,
            blocks: counts.blocks,
            restrictions: counts.restrictions,
        })
    }

    fn paused_by_health(&self) -> bool {
        self.connector.status == ConnectorStatus::Paused && self.health.told == TOLD_PAUSED
    }

    /// What holds everything back, however long: a stable word and a sentence.
    fn stopped(&self, level: HealthLevel) -> Option<(&'static str, String)> {
        let why = |otherwise: &str| self.connector.status_reason.clone().unwrap_or_else(|| otherwise.to_owned());
        match self.connector.status {
            ConnectorStatus::Deleted => return Some(("deleted", "the connector was deleted".to_owned())),
            ConnectorStatus::Paused if self.paused_by_health() => {
                return Some(("health", why("paused by its health; see to the cause, then resume it")));
            }
            ConnectorStatus::Paused => return Some(("paused", why("the connector is paused; resume it to send"))),
            ConnectorStatus::Active if level == HealthLevel::Paused => {
                return Some(("health", "the connector is being paused by its health".to_owned()));
            }
            ConnectorStatus::Active => {}
        }
        let wait = session::wait_of(self.session.as_ref()?)?;
        Some(("no_session", wait.sentence))
    }
}

/// The view of `state` under `rules` at `now`; the lane fills in the counts.
pub(crate) fn pace_view(rules: &PaceRules, situation: &Situation<'_>, state: &PaceState, now: Timestamp) -> PaceView {
    let health = situation.health(now);
    let slowed = health.and_then(|health| health::slowed_to(health.score, &situation.judge));
    let rules = rules.slowed(slowed);
    let today = rules.today(state, now);
    let level = health.map_or(HealthLevel::Good, |health| health.level);
    let (next_at, reason, detail) = match (situation.stopped(level), rules.decide(state, now)) {
        (Some((word, sentence)), _) => (None, Some(word), Some(sentence)),
        (None, Decision::Go { .. }) => (Some(now), None, None),
        (None, Decision::Wait { until, hold }) => (Some(until), Some(hold.as_str()), Some(hold.describe().to_owned())),
    };
    let breaker = match state.failures {
        0 => BreakerView::Closed,
        failures if state.open_until > now => BreakerView::Open { until: state.open_until, failures },
        failures => BreakerView::HalfOpen { failures },
    };
    PaceView {
        limits: rules.pace().clone(),
        delay_ms: rules.delays_ms(),
        health,
        sent_today: today.sent,
        cap_today: today.cap,
        warm_up_day: today.warm_up_day,
        next_at,
        reason,
        detail,
        quiet: rules.is_quiet(now),
        throttled_until: Some(state.throttled_until).filter(|until| *until > now),
        breaker,
        in_flight: 0,
        queued: 0,
        more_queued: false,
    }
}
