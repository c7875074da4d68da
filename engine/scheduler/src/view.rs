//! What a connector's pace looks like from outside: why its next message waits, and until when. Pure.

use pombo_domain::Timestamp;
use pombo_domain::model::connector::{Connector, ConnectorStatus, PaceState};
use pombo_domain::model::health::HealthState;
use pombo_domain::model::pace::{BreakerView, HealthView, PaceView, WaitReason};
use pombo_domain::ports::SessionState;

use crate::account::marks::TOLD_PAUSED;
use crate::rules::health::{self, HOUR_MS, HealthLevel, Judge};
use crate::rules::pace::{Decision, PaceRules};
use crate::rules::session;

/// What the view of a pace depends on, besides the pace's own counts.
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

    /// What holds everything back, however long: the reason and a sentence.
    fn stopped(&self, level: HealthLevel) -> Option<(WaitReason, String)> {
        let why = |otherwise: &str| self.connector.status_reason.clone().unwrap_or_else(|| otherwise.to_owned());
        match self.connector.status {
            ConnectorStatus::Deleted => return Some((WaitReason::Deleted, "the connector was deleted".to_owned())),
            ConnectorStatus::Paused if self.paused_by_health() => {
                return Some((WaitReason::Health, why("paused by its health; see to the cause, then resume it")));
            }
            ConnectorStatus::Paused => {
                return Some((WaitReason::Paused, why("the connector is paused; resume it to send")));
            }
            ConnectorStatus::Active if level == HealthLevel::Paused => {
                return Some((WaitReason::Health, "the connector is being paused by its health".to_owned()));
            }
            ConnectorStatus::Active => {}
        }
        let wait = session::wait_of(self.session.as_ref()?)?;
        Some((WaitReason::NoSession, wait.sentence))
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
        (Some((reason, sentence)), _) => (None, Some(reason), Some(sentence)),
        (None, Decision::Go { .. }) => (Some(now), None, None),
        (None, Decision::Wait { until, hold }) => (Some(until), Some(hold.reason()), Some(hold.describe().to_owned())),
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
        ..PaceView::default()
    }
}
