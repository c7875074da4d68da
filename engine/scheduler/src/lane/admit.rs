//! When a lane claims, and how many messages: as many as the pace, the free room and the window allow. Runs in the lane's task.

use std::sync::atomic::Ordering;

use futures::FutureExt;
use pombo_domain::Timestamp;
use pombo_domain::model::connector::ConnectorStatus;
use pombo_domain::ports::{ReadyEntry, StoreError};

use super::Lane;
use super::claim::{self, Candidate, ClaimDone};
use super::hold::Held;
use crate::metrics::Metrics;
use crate::rules::health::{self, HealthLevel};
use crate::rules::limits::SECOND_MS;
use crate::rules::pace::Decision;
use crate::rules::session::{self, SessionWait};

/// A lane that waits for a session checks it this often by itself, should nothing wake it.
const LOOK_AGAIN_MS: i64 = 60_000;

impl Lane {
    /// Begins the claims that the pace and the free room allow. Returns when to look again.
    pub(super) fn start_claims(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.context.signals.is_draining() || self.config.connector.status != ConnectorStatus::Active {
            return None;
        }
        if let Some(at) = self.rest_until.filter(|at| *at > now) {
            return Some(at);
        }
        self.rest_until = None;
        let (score, level) = self.shared.account_health.assess(&self.config.judge, now);
        if level == HealthLevel::Paused {
            // The monitor stores the pause, or starts a new observation, and wakes this lane.
            self.context.signals.accounts.assess(self.shared.connector);
            return None;
        }
        let slowed = health::slowed_to(score, &self.config.judge);
        loop {
            let pace = self.shared.pace.lock().clone();
            let counts = self.config.rules.counts();
            let parallel = if counts || pace.failures > 0 { 1 } else { 2 };
            if self.claims.len() >= parallel || self.holding.is_some() {
                return None;
            }
            let mut room = self.room(counts);
            if room == 0 || !self.refill(room.max(self.look_past), now) {
                return self.rest_until;
            }
            let head = self.shared.window.lock().first()?;
            // A paced lane keeps its order even while the head's attachment is being fetched.
            if counts && self.fetching.first().is_some_and(|fetching| *fetching < head) {
                return None;
            }
            if let Some(wait) = self.session_wait() {
                return Some(self.wait_for_session(head, wait, now));
            }
            self.no_session_since = None;
            let rules = self.config.rules.slowed(slowed);
            let (normal, direct) = (rules.decide(&pace, now), rules.decide_direct(&pace, now));
            let decision = if head.order.is_direct() { direct } else { normal };
            match decision {
                Decision::Wait { until, hold } => {
                    if until.since(now) >= self.context.options.hold_after_ms {
                        self.show_hold(Held::by_pace(head, hold, until));
                    }
                    return Some(until);
                }
                Decision::Go { probe: true, .. } if self.busy() > 0 => return None,
                Decision::Go { probe: true, .. } => room = 1,
                Decision::Go { .. } => {}
            }
            if let Some(per_second) = self.config.per_second() {
                match self.shared.limits.lock().rate.room(per_second, now) {
                    // Those that are claimed already go first.
                    Ok(free) => room = room.min((free as usize).saturating_sub(self.claiming + self.backlog.len())),
                    Err(until) => return Some(until),
                }
                if room == 0 {
                    return Some(now.plus_ms(SECOND_MS));
                }
            }
            let allowed = |decision| match decision {
                Decision::Go { room: paced, .. } => room.min(usize::try_from(paced).unwrap_or(usize::MAX)),
                Decision::Wait { .. } => 0,
            };
            let (direct, normal) = (allowed(direct), allowed(normal));
            self.start_claim(room, direct, normal);
        }
    }

    /// How many may be claimed now.
    fn room(&self, counts: bool) -> usize {
        let options = &self.context.options;
        let ahead = if self.config.idempotent && !counts { options.claim_ahead } else { 0 };
        let slots = (self.config.max_in_flight + ahead).saturating_sub(self.busy());
        let outstanding = self.busy() + self.outcomes.len() + self.committing;
        let fetching = self.fetching.len() + self.fetch_queue.len();
        slots
            .min(options.lane_outstanding.saturating_sub(outstanding))
            .min(options.batch.saturating_sub(fetching))
            .min(options.batch)
    }

    /// Reads on from the store where the window runs low; false when the store failed.
    fn refill(&mut self, want: usize, now: Timestamp) -> bool {
        let request = self.shared.window.lock().begin_refill(want);
        let Some(request) = request else { return true };
        match self.context.ports.store.ready(self.shared.connector, request.after, request.limit) {
            Ok(found) => {
                self.shared.window.lock().finish_refill(found);
                true
            }
            Err(error) => {
                self.shared.window.lock().abort_refill();
                self.rest(&error, now);
                false
            }
        }
    }

    /// Why a session keeps the lane waiting.
    pub(super) fn session_wait(&self) -> Option<SessionWait> {
        if !self.config.needs_session {
            return None;
        }
        session::wait_of(&self.context.ports.connectors.session(self.shared.connector))
    }

    /// Shows the wait on the message at the head once it has lasted a moment. Returns when to look again. No attempt is spent, and
    /// the breaker stays as it is: nothing was tried.
    fn wait_for_session(&mut self, head: ReadyEntry, wait: SessionWait, now: Timestamp) -> Timestamp {
        let since = *self.no_session_since.get_or_insert(now);
        let show_at = since.plus_ms(self.context.options.hold_after_ms);
        if now < show_at {
            return show_at;
        }
        self.show_hold(Held::by_session(head, wait));
        now.plus_ms(LOOK_AGAIN_MS)
    }

    /// Begins a claim of `room` messages, `direct` of those ahead of the queue and `normal` others at most. Where the last claims passed over
    /// all that they looked at, this one looks at more of the others, so that a row of messages to strangers delays nobody behind it.
    fn start_claim(&mut self, room: usize, direct: usize, normal: usize) {
        let (mut entries, normal) = {
            let mut window = self.shared.window.lock();
            let mut entries = window.take(direct, 0);
            let normal = normal.min(room - entries.len());
            let looked_at = if normal == 0 { 0 } else { normal.max(self.look_past) };
            entries.extend(window.take(0, looked_at));
            (entries, normal)
        };
        if !self.fetching.is_empty() {
            entries.retain(|entry| !self.fetching.contains(entry));
        }
        if entries.is_empty() {
            return;
        }
        let fetched = &mut self.fetched;
        let candidates: Vec<Candidate> =
            entries.into_iter().map(|entry| Candidate { entry, fetched: fetched.remove(&entry.key) }).collect();
        self.claiming += candidates.len();
        let (context, config, shared) = (self.context.clone(), self.config.clone(), self.shared.clone());
        self.claims.push(claim::claim(context, config, shared, candidates, normal, self.draw.seed()).boxed());
    }

    pub(super) fn claimed(&mut self, done: ClaimDone) {
        let ClaimDone { taken, claimed, ended, fetch, back, error, passed_over } = done;
        self.claiming -= taken;
        let in_vain = passed_over && claimed.is_empty() && ended.is_empty() && fetch.is_empty() && error.is_none();
        self.look_past = if in_vain { (taken * 2).min(self.context.options.batch) } else { 0 };
        let in_flight = i64::try_from(claimed.len() + ended.len()).unwrap_or(0);
        self.context.metrics.in_flight.fetch_add(in_flight, Ordering::Relaxed);
        self.backlog.extend(claimed);
        self.outcomes.extend(ended);
        for (entry, url) in fetch {
            self.fetching.insert(entry);
            self.fetch_queue.push_back((entry, url));
        }
        for Candidate { entry, fetched } in back {
            if let Some(fetched) = fetched {
                self.fetched.insert(entry.key, fetched);
            }
            self.shared.window.lock().note(entry);
        }
        match error {
            Some(error) => self.rest(&error, self.context.ports.clock.now()),
            None => self.store_failures = 0,
        }
    }

    /// The store failed: logs the first failure of a row, and pauses the claims.
    pub(super) fn rest(&mut self, error: &StoreError, now: Timestamp) {
        self.store_failures += 1;
        Metrics::add(&self.context.metrics.store_errors, 1);
        if self.store_failures == 1 {
            tracing::error!(connector = %self.config.connector.id, %error, "the store failed; the lane pauses its claims");
        }
        let pause = self.context.options.store_retry.delay_ms(self.store_failures, self.draw.seed());
        self.rest_until = Some(now.plus_ms(pause.max(1)));
    }
}
