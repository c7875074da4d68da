//! Whether a connector whose session is connected hears what it should: counts in memory of what was sent and heard, and what follows from
//! them. Its owner is `crate::hearing`; it must not know the store, a task or a channel.
//!
//! Two kinds of evidence, both measured by the connector's own past:
//!
//! - *People who were written to.* So many of them gave no receipt within [`PROMPT_MS`] that chance does not explain it. The share that
//!   usually does is the smaller one of the last three days' and of this hour of the day's, both since the engine started. Where it is below
//!   [`USUAL`] or not known, as at night for who never writes at night, silence says nothing.
//! - *Silence.* In each of the last weeks (two at least) so much was heard in these hours of the week that [`MISSED`] things are missed by
//!   now, and it is [`LONGER`] times as long as any silence within these hours then, because what is heard comes in bursts. The quietest of
//!   the weeks counts, and only if at least half as much was sent in the last day as before it then: what is heard answers to what is sent.
//!
//! Invariant: a receipt ends all evidence but a failed heartbeat; whatever is heard ends the silence.

mod hours;
#[cfg(test)]
mod tests;
mod times;

use std::collections::{HashSet, VecDeque};

use pombo_domain::Timestamp;
use pombo_domain::model::hearing::{Deaf, DeafReason, HearingView};

use hours::{HOUR_MS, Hours, WEEK};
use times::Times;

/// A receipt that comes within this after the acceptance of its message is prompt, ms.
pub const PROMPT_MS: i64 = 45_000;
/// A receipt is expected where at least this share of messages usually has one promptly.
const USUAL: f64 = 0.5;
/// No connector is trusted further than this.
const TRUSTED: f64 = 0.98;
/// Messages by which the share of the last days is known, at least.
const ENOUGH: u32 = 50;
/// Messages by which the share of an hour of the day is known, at least.
const ENOUGH_OF_HOUR: u32 = 20;
/// How unlikely it must be that people give no receipt by chance: where nothing is heard at all, and where other things are.
const UNLIKELY: f64 = 1e-6;
const VERY_UNLIKELY: f64 = 1e-9;
/// People who must have given no receipt, at least.
const LEAST_PEOPLE: usize = 4;
/// People who are remembered; further ones do not change what follows.
const PEOPLE: usize = 256;
/// Things that were heard in the quietest of the last weeks and are missed now, from which silence is deafness.
pub const MISSED: f64 = 20.0;
/// Missed things from which a heartbeat is worth it.
const SUSPICIOUS: f64 = 5.0;
/// How many times as long as any silence before in the same hours of the week a silence must be.
const LONGER: i64 = 3;
/// How far back silence is looked at, hours.
const LOOKED_BACK: i64 = 48;
/// The shortest time between two restarts of an instance, and how many there may be within a day, ms.
pub const BETWEEN_RESTARTS_MS: i64 = 15 * 60_000;
/// Restarts within a day.
pub const RESTARTS_A_DAY: usize = 4;
const DAY_MS: i64 = 24 * HOUR_MS;
/// The shortest time between two heartbeats, ms.
const BETWEEN_HEARTBEATS_MS: i64 = HOUR_MS;
/// Looks are at least so far apart, ms.
const LOOK_MS: i64 = 1_000;

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A receipt of somebody who was written to.
    Receipt,
    /// Anything else that the channel tells.
    Other,
}

/// What is done about a connector that may be deaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cures {
    /// Whether its instance is restarted.
    pub restarts: bool,
    /// The pause after which its plugin is asked for a sign of life, ms; `None`: never, or the plugin has none.
    pub heartbeat_ms: Option<i64>,
}

/// What one connector hears.
#[derive(Debug, Clone, Default)]
pub struct Hearing {
    hours: Hours,
    times: Times,
    /// Since when the session is connected; `None` while it is not.
    connected_at: Option<Timestamp>,
    heard_at: Option<Timestamp>,
    receipt_at: Option<Timestamp>,
    /// Who was written to since the last receipt, and when first, in that order.
    people: VecDeque<(u64, Timestamp)>,
    known: HashSet<u64>,
    /// Messages that were accepted since the last receipt.
    since_receipt: u32,
    deaf: Option<Deaf>,
    /// Whether people were told of `deaf`.
    told: bool,
    /// When instances were restarted within the last day.
    restarts: VecDeque<Timestamp>,
    beat_at: Option<Timestamp>,
    /// When a heartbeat was not heard; nothing was heard since.
    beat_failed_at: Option<Timestamp>,
}

fn hour_of(at: Timestamp) -> i64 {
    at.0.div_euclid(HOUR_MS)
}

impl Hearing {
    /// The session is connected, or not. A new connection is a new beginning: what was missed before it may come now.
    pub fn session(&mut self, connected: bool, now: Timestamp) {
        if connected == self.connected_at.is_some() {
            return;
        }
        self.connected_at = connected.then_some(now);
        self.beat_failed_at = None;
        self.forget_people();
    }

    /// The session was ended, or was never there: nothing is missed.
    pub fn ended(&mut self, now: Timestamp) {
        self.session(false, now);
        (self.deaf, self.told) = (None, false);
    }

    /// Another account is connected: its past is another one.
    pub fn restart(&mut self) {
        *self = Self { connected_at: self.connected_at, ..Self::default() };
    }

    /// Adds what is known from elsewhere of an hour before all that were counted here.
    pub fn seed(&mut self, hour: i64, sent: u32, heard: u32, now: Timestamp) {
        self.hours.seed(hour, sent, heard, hour_of(now));
    }

    fn forget_people(&mut self) {
        self.people.clear();
        self.known.clear();
    }

    /// A message to `person` was handed to the channel, which accepted it, or did not answer in time. Whether the connector is to be
    /// looked at because of it.
    #[must_use]
    pub fn handed_over(&mut self, person: u64, accepted: bool, now: Timestamp) -> bool {
        if accepted {
            let hour = self.hours.now(hour_of(now));
            hour.sent = hour.sent.saturating_add(1);
            self.since_receipt = self.since_receipt.saturating_add(1);
        }
        if self.connected_at.is_none() || self.people.len() >= PEOPLE || !self.known.insert(person) {
            return false;
        }
        // Otherwise a look is due already, when the last of them has had its time.
        let is_first = self.people.back().is_none_or(|(_, at)| at.plus_ms(PROMPT_MS) <= now);
        self.people.push_back((person, now));
        is_first
    }

    /// A message that was accepted at `sent_at` was delivered at `reached_at`, by the channel's clock.
    pub fn delivered(&mut self, sent_at: Timestamp, reached_at: Timestamp, now: Timestamp) {
        let took = reached_at.min(now).since(sent_at).max(0);
        self.times.add(took, now);
        if took <= PROMPT_MS
            && let Some(hour) = self.hours.past(hour_of(sent_at))
        {
            hour.prompt = hour.prompt.saturating_add(1);
        }
    }

    /// Something was heard. Whether the connector is to be looked at because of it.
    #[must_use]
    pub fn heard(&mut self, what: Heard, now: Timestamp) -> bool {
        let hour = self.hours.now(hour_of(now));
        hour.heard = hour.heard.saturating_add(1);
        if let Some(quiet) = self.quiet_since().filter(|quiet| *quiet < now) {
            self.hours.silent(quiet.0, now.0);
        }
        self.noted(what, now)
    }

    /// A heartbeat was answered: a sign of life, and nothing of what the past tells.
    #[must_use]
    pub fn beat(&mut self, now: Timestamp) -> bool {
        self.noted(Heard::Other, now)
    }

    /// A heartbeat was not answered.
    pub fn missed_beat(&mut self, now: Timestamp) {
        if self.connected_at.is_some() {
            self.beat_failed_at = Some(now);
        }
    }

    fn noted(&mut self, what: Heard, now: Timestamp) -> bool {
        self.heard_at = Some(now);
        self.beat_failed_at = None;
        if what == Heard::Receipt {
            self.receipt_at = Some(now);
            self.since_receipt = 0;
            self.forget_people();
        }
        let cured = match &self.deaf {
            Some(deaf) => what == Heard::Receipt || deaf.reason != DeafReason::NoReceipts,
            None => false,
        };
        if cured {
            self.deaf = None;
        }
        cured
    }

    /// The share of messages that usually have a receipt promptly at this hour; `None` where it is too small or not known.
    fn usual_share(&self, now: Timestamp) -> Option<f64> {
        let this = hour_of(now);
        // What is in doubt now says nothing about what is usual.
        let share = |(sent, prompt): (u32, u32), enough: u32| {
            let sent = sent.saturating_sub(self.since_receipt);
            (sent >= enough).then(|| f64::from(prompt.min(sent)) / f64::from(sent))
        };
        let recent = share(self.hours.sent_here(this - 72..=this), ENOUGH)?;
        let hours = (0..=28).flat_map(|day| [-1, 0, 1].map(|near| this - 24 * day + near));
        let of_hour = share(self.hours.sent_here(hours), ENOUGH_OF_HOUR)?;
        Some(recent.min(of_hour)).filter(|share| *share >= USUAL).map(|share| share.min(TRUSTED))
    }

    /// From when on nothing was heard.
    fn quiet_since(&self) -> Option<Timestamp> {
        let connected = self.connected_at?;
        Some(self.heard_at.map_or(connected, |heard| heard.max(connected)))
    }

    /// How many things of an hour of the week were heard in the quietest of the weeks before.
    fn expected_in(&self, hour: i64, now: i64) -> f64 {
        let weeks = (1..=4).map(|week| hour - week * WEEK).filter(|then| self.hours.knows(*then));
        let day = |of: i64| self.hours.sent(of - 23..=of);
        let (mut least, mut known) = (u32::MAX, 0);
        for then in weeks {
            known += 1;
            if day(now).saturating_mul(2) < day(then) {
                return 0.0;
            }
            least = least.min(self.hours.of(then).heard);
        }
        if known < 2 { 0.0 } else { f64::from(least) }
    }

    /// How much should have been heard between two instants.
    fn expected(&self, from: Timestamp, to: Timestamp) -> f64 {
        let now = hour_of(to);
        let from = from.max(to.plus_ms(-LOOKED_BACK * HOUR_MS));
        (hour_of(from)..=now)
            .map(|hour| {
                let begins = from.0.max(hour * HOUR_MS);
                let ends = to.0.min((hour + 1) * HOUR_MS);
                let usual = self.expected_in(hour, now);
                // Of the hour in which something was heard, no more is missed than had not come yet.
                let left = (usual - f64::from(self.hours.of(hour).heard)).max(0.0);
                (usual * (ends - begins).max(0) as f64 / HOUR_MS as f64).min(left)
            })
            .sum()
    }

    /// How long a silence that began at `quiet` must be so that it is out of the ordinary, ms.
    fn patience_ms(&self, quiet: Timestamp, now: Timestamp) -> i64 {
        let (first, last) = (hour_of(quiet).max(hour_of(now) - LOOKED_BACK), hour_of(now));
        let weeks = |hour: i64| (1..=4).map(move |week| hour - week * WEEK);
        let then = (first..=last).flat_map(weeks).filter(|hour| self.hours.knows(*hour));
        LONGER * then.map(|hour| self.hours.of(hour).silence_ms()).max().unwrap_or(0)
    }

    /// People who were written to and have had their time.
    fn overdue(&self, now: Timestamp) -> usize {
        self.people.iter().take_while(|(_, at)| at.plus_ms(PROMPT_MS) <= now).count()
    }

    /// How many people without a receipt chance does not explain.
    fn too_many(share: f64, unlikely: f64) -> usize {
        let people = (unlikely.ln() / (1.0 - share).ln()).ceil();
        (people as usize).max(LEAST_PEOPLE)
    }

    /// Why the connector must be deaf, by what was seen since its session was connected; from when on, and the evidence for a person.
    fn evidence(&self, now: Timestamp) -> Option<(DeafReason, Timestamp, String)> {
        let quiet = self.quiet_since()?;
        if let Some(at) = self.beat_failed_at {
            let detail = format!("its plugin asked for a sign of life at {} and heard none", at.to_iso());
            return Some((DeafReason::Heartbeat, quiet, detail));
        }
        let overdue = self.overdue(now);
        if let Some((_, first)) = self.people.front()
            && overdue >= LEAST_PEOPLE
            && let Some(share) = self.usual_share(now)
        {
            let nothing = quiet <= *first;
            let (reason, unlikely) = match nothing {
                true => (DeafReason::NothingHeard, UNLIKELY),
                false => (DeafReason::NoReceipts, VERY_UNLIKELY),
            };
            if overdue >= Self::too_many(share, unlikely) {
                let what = if nothing { "nothing was heard since" } else { "no receipt came since" };
                let detail = format!(
                    "{overdue} people were written to from {} on, and {what}; usually {} of 100 messages are delivered within {} seconds",
                    first.to_iso(),
                    (share * 100.0).round(),
                    PROMPT_MS / 1_000,
                );
                return Some((reason, *first, detail));
            }
        }
        let missed = self.expected(quiet, now);
        (missed >= MISSED && now.since(quiet) >= self.patience_ms(quiet, now)).then(|| {
            let detail = format!(
                "nothing was heard since {}; in the quietest of the weeks before, {} things were heard in such a time",
                quiet.to_iso(),
                missed.floor(),
            );
            (DeafReason::Silence, quiet, detail)
        })
    }

    /// Notes what follows at this instant.
    pub fn judge(&mut self, now: Timestamp) {
        if self.deaf.is_none()
            && let Some((reason, since, detail)) = self.evidence(now)
        {
            self.deaf = Some(Deaf { since, noticed_at: now, reason, detail });
        }
    }

    /// What people are to be told: that the connector is deaf, or (`Some(None)`) that it hears again.
    pub fn to_tell(&self) -> Option<Option<Deaf>> {
        (self.told != self.deaf.is_some()).then(|| self.deaf.clone())
    }

    /// People were told that the connector is deaf, or that it hears again.
    pub fn was_told(&mut self, deaf: bool) {
        self.told = deaf;
    }

    /// When the next restart may be.
    fn next_restart(&self) -> Option<Timestamp> {
        let last = *self.restarts.back()?;
        let full = self.restarts.len() >= RESTARTS_A_DAY;
        let oldest = self.restarts.front().filter(|_| full).map(|at| at.plus_ms(DAY_MS));
        Some(last.plus_ms(BETWEEN_RESTARTS_MS).max(oldest.unwrap_or(last)))
    }

    /// Whether the instance is to be restarted now, which is noted: where what was seen since the last connection shows that it is deaf, at
    /// most once in a while.
    pub fn take_restart(&mut self, cures: Cures, now: Timestamp) -> bool {
        if !cures.restarts || self.deaf.is_none() || self.evidence(now).is_none() {
            return false;
        }
        if self.next_restart().is_some_and(|next| next > now) {
            return false;
        }
        if self.restarts.len() >= RESTARTS_A_DAY {
            self.restarts.pop_front();
        }
        self.restarts.push_back(now);
        true
    }

    /// When the plugin is to be asked for a sign of life.
    fn next_beat(&self, cures: Cures, now: Timestamp) -> Option<Timestamp> {
        let (quiet, pause) = (self.quiet_since()?, cures.heartbeat_ms?);
        if self.deaf.is_some() || self.beat_failed_at.is_some() {
            return None;
        }
        let is_suspicious = self.overdue(now) >= LEAST_PEOPLE && self.usual_share(now).is_some()
            || self.expected(quiet, now) >= SUSPICIOUS && now.since(quiet) * 2 >= self.patience_ms(quiet, now);
        let by_silence = quiet.plus_ms(pause);
        let wanted = if is_suspicious { now.min(by_silence) } else { by_silence };
        // After an answer nothing is quiet; after none there is another state. This bounds what is neither.
        let rest = self.beat_at.map(|at| at.plus_ms(BETWEEN_HEARTBEATS_MS.min(pause)));
        Some(rest.map_or(wanted, |rest| rest.max(wanted)))
    }

    /// Whether the plugin is to be asked for a sign of life now, which is noted.
    pub fn take_beat(&mut self, cures: Cures, now: Timestamp) -> bool {
        let is_due = self.next_beat(cures, now).is_some_and(|at| at <= now);
        if is_due {
            self.beat_at = Some(now);
        }
        is_due
    }

    /// When to look again even if nothing happens; `None` where nothing that is known becomes evidence by itself.
    pub fn next_look(&self, cures: Cures, now: Timestamp) -> Option<Timestamp> {
        let quiet = self.quiet_since()?;
        let due = |(_, at): &(u64, Timestamp)| at.plus_ms(PROMPT_MS);
        let people = self.people.iter().map(due).find(|at| *at > now);
        let restart = self.deaf.as_ref().and_then(|_| self.next_restart()).filter(|at| *at > now && cures.restarts);
        let looks = [people, restart, self.silence_ends(quiet, now), self.next_beat(cures, now)];
        looks.into_iter().flatten().min().map(|at| at.max(now.plus_ms(LOOK_MS)))
    }

    /// When silence becomes evidence, at the latest an hour from now; `None` where too little of the past is known.
    fn silence_ends(&self, quiet: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let this = hour_of(now);
        if self.deaf.is_some() || !self.hours.knows(this - 2 * WEEK) {
            return None;
        }
        let (missed, rate) = (self.expected(quiet, now), self.expected_in(this, this));
        let end = Timestamp((this + 1) * HOUR_MS);
        if rate <= 0.0 {
            return Some(end);
        }
        let wait = ((MISSED - missed).max(0.0) / rate * HOUR_MS as f64).ceil() as i64;
        Some(now.plus_ms(wait).max(quiet.plus_ms(self.patience_ms(quiet, now))).min(end))
    }

    /// What is shown.
    pub fn view(&self, now: Timestamp) -> HearingView {
        HearingView {
            heard_at: self.heard_at,
            receipt_at: self.receipt_at,
            unanswered: self.people.len(),
            delivery: self.times.read(now),
            deaf: self.deaf.clone().filter(|_| self.connected_at.is_some()),
            restarted_at: self.restarts.back().copied(),
        }
    }
}
