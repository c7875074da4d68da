//! When a connector may send next: pure functions of (pace, what was counted, now, seed).
//!
//! It must not know the store, a task or the clock. [`PaceRules`] is built again whenever the connector changes.

use std::borrow::Cow;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use pombo_domain::Timestamp;
use pombo_domain::commands::connectors::pace::MAX_DELAY_MS;
use pombo_domain::model::connector::{Pace, PaceState, WarmUp};
use pombo_domain::model::pace::WaitReason;

use crate::rules::draw::between;

/// What holds the next message back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hold {
    /// The random pause after the last message.
    Delay,
    /// The cap of the day, from the daily cap or the warm-up curve, is reached.
    DailyCap,
    /// These are the connector's quiet hours.
    QuietHours,
    /// The provider asked to slow down.
    Throttled,
    /// The connection failed; the breaker is open.
    Disconnected,
}

impl Hold {
    /// The reason as the API shows it.
    pub fn reason(self) -> WaitReason {
        match self {
            Self::Delay => WaitReason::Delay,
            Self::DailyCap => WaitReason::DailyCap,
            Self::QuietHours => WaitReason::QuietHours,
            Self::Throttled => WaitReason::Throttled,
            Self::Disconnected => WaitReason::Disconnected,
        }
    }
    /// The beginning of a sentence, for the message's reason.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Delay => "pausing between two messages",
            Self::DailyCap => "the connector's cap for today is reached",
            Self::QuietHours => "the connector's quiet hours",
            Self::Throttled => "the provider asked to slow down",
            Self::Disconnected => "the connector is disconnected",
        }
    }
}

/// The answer to "may the next message go?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Up to `room` messages may go now. With `probe`, only one, and only while none is under way: the breaker is half open.
    Go {
        /// At least 1.
        room: u32,
        /// The breaker waits for this one's outcome.
        probe: bool,
    },
    /// No message may go before `until`.
    Wait {
        /// The earliest instant at which nothing holds it.
        until: Timestamp,
        /// What accounts for the longest part of the wait.
        hold: Hold,
    },
}

/// What the day looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Today {
    /// Days since 1970-01-01 in the pace's zone.
    pub day: i32,
    /// Attempts begun on this day.
    pub sent: u32,
    /// The day's cap, `None` for no limit.
    pub cap: Option<u32>,
    /// Day of the warm-up (from 1), `None` once warm or without one.
    pub warm_up_day: Option<u32>,
}

/// A connector's pace, ready to be asked.
#[derive(Debug, Clone)]
pub struct PaceRules {
    pace: Pace,
    zone: TimeZone,
    /// Caps are this part of what is set, pauses this part longer.
    slowed_to: Option<(u32, u32)>,
}

const DAY_MS: i64 = 86_400_000;
/// How far in the future a stored throttle or open breaker is believed; a clock that once stood wrong must not park a lane.
pub const LONGEST_STORED_WAIT_MS: i64 = 6 * 3_600_000;

impl PaceRules {
    /// Rules of `pace`. An unknown time zone counts as UTC (the command that stores a pace refuses one).
    pub fn new(pace: Pace) -> Self {
        let zone = TimeZone::get(&pace.time_zone).unwrap_or(TimeZone::UTC);
        Self { pace, zone, slowed_to: None }
    }

    /// The same, slowed to a part of it: caps shrink to `part.0 / part.1`, pauses grow by its inverse.
    pub fn slowed(&self, part: Option<(u32, u32)>) -> Cow<'_, Self> {
        match part {
            None => Cow::Borrowed(self),
            part => Cow::Owned(Self { slowed_to: part, ..self.clone() }),
        }
    }

    /// The shortest and the longest pause between two messages as they are now, ms.
    pub fn delays_ms(&self) -> (u64, u64) {
        let grown = |ms: u64| match self.slowed_to {
            Some((part, whole)) => {
                (ms.saturating_mul(u64::from(whole)) / u64::from(part.max(1))).min(ms.max(MAX_DELAY_MS))
            }
            None => ms,
        };
        let (min, max) = (self.pace.delay_min_ms, self.pace.delay_max_ms);
        (grown(min.min(max)), grown(max.max(min)))
    }

    fn shrunk(&self, cap: u32) -> u32 {
        match self.slowed_to {
            Some((part, whole)) => {
                let shrunk = u64::from(cap) * u64::from(part) / u64::from(whole.max(1));
                u32::try_from(shrunk).unwrap_or(u32::MAX).max(1).min(cap)
            }
            None => cap,
        }
    }

    /// The pace as it is set.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Whether the number of messages that may go depends on how many went: then only one batch may be in preparation at a time.
    pub fn counts(&self) -> bool {
        self.has_delay() || self.pace.daily_cap.is_some() || self.pace.warm_up.is_some()
    }

    fn has_delay(&self) -> bool {
        self.pace.delay_max_ms > 0 || self.pace.delay_min_ms > 0
    }

    /// Civil day (since 1970-01-01) and minute of the day.
    fn local(&self, at: Timestamp) -> (i32, u16) {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.0) else { return (0, 0) };
        let local_ms = at.0 + i64::from(self.zone.to_offset(instant).seconds()) * 1000;
        let day = i32::try_from(local_ms.div_euclid(DAY_MS)).unwrap_or(i32::MAX);
        let minute = u16::try_from(local_ms.rem_euclid(DAY_MS) / 60_000).unwrap_or(0);
        (day, minute)
    }

    fn date(day: i32) -> Option<Date> {
        let ms = i64::from(day).checked_mul(DAY_MS)?;
        Some(TimeZone::UTC.to_datetime(jiff::Timestamp::from_millisecond(ms).ok()?).date())
    }

    /// The first instant of the civil day after the one of `at`.
    fn next_day(&self, at: Timestamp) -> Timestamp {
        let (day, _) = self.local(at);
        let start = Self::date(day.saturating_add(1))
            .and_then(|date| date.to_zoned(self.zone.clone()).ok())
            .map(|zoned| Timestamp(zoned.timestamp().as_millisecond()));
        start.filter(|start| *start > at).unwrap_or(at.plus_ms(DAY_MS))
    }

    /// Whether sending is quiet at `at`.
    pub fn is_quiet(&self, at: Timestamp) -> bool {
        let Some(quiet) = &self.pace.quiet_hours else { return false };
        let (from, to) = (quiet.from_minute, quiet.to_minute);
        let (_, minute) = self.local(at);
        if from <= to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }

    /// The first instant after `at` that is not quiet; `None` when `at` is not.
    pub fn quiet_until(&self, at: Timestamp) -> Option<Timestamp> {
        if !self.is_quiet(at) {
            return None;
        }
        let to = self.pace.quiet_hours.as_ref()?.to_minute;
        let (day, minute) = self.local(at);
        let end_day = if minute < to { day } else { day.saturating_add(1) };
        // On the day on which clocks are put forward, the end may not exist; then the next day's counts.
        let end = [end_day, end_day.saturating_add(1)]
            .into_iter()
            .find_map(|day| self.end_of_quiet_on(day, to, at))
            .unwrap_or(at.plus_ms(60_000));
        // A change of the clock on the way may jump over the end, or out of the window.
        let jump = jiff::Timestamp::from_millisecond(at.0)
            .ok()
            .and_then(|now| self.zone.following(now).next())
            .map(|change| Timestamp(change.timestamp().as_millisecond()))
            .filter(|jump| *jump > at && *jump < end && !self.is_quiet(*jump));
        Some(jump.unwrap_or(end))
    }

    /// When the quiet hours that hold at `at` end on `day`, at minute `to` of it; `None` when they do not.
    fn end_of_quiet_on(&self, day: i32, to: u16, at: Timestamp) -> Option<Timestamp> {
        let (hour, minute) = (i8::try_from(to / 60).ok()?, i8::try_from(to % 60).ok()?);
        let civil = Self::date(day)?.at(hour, minute, 0, 0);
        // When clocks are put back, the end exists twice and `at` may lie between the two.
        let ends = self.zone.to_ambiguous_timestamp(civil);
        [ends.earlier(), ends.compatible(), ends.later()]
            .into_iter()
            .filter_map(|end| Some(Timestamp(end.ok()?.as_millisecond())))
            .find(|end| *end > at && !self.is_quiet(*end))
    }

    /// What was sent and may be sent on the day of `at`.
    pub fn today(&self, state: &PaceState, at: Timestamp) -> Today {
        let (day, _) = self.local(at);
        // One day back is a clock that stepped over midnight or a changed time zone: still the same count.
        let same = state.day == day || state.day == day.saturating_add(1);
        let sent = if same { state.sent_today } else { 0 };
        // An account that was in use before is not new here.
        let in_use = self.pace.in_use_since.map(|since| self.local(since).0);
        let warm_day = match state.first_day.into_iter().chain(in_use).min() {
            Some(first) => u32::try_from(day.saturating_sub(first)).unwrap_or(0) + 1,
            None => 1,
        };
        let warm_cap = self.pace.warm_up.as_ref().and_then(|curve| warm_up_cap(curve, warm_day));
        let cap = match (warm_cap, self.pace.daily_cap) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let cap = cap.map(|cap| self.shrunk(cap));
        Today { day, sent, cap, warm_up_day: warm_cap.map(|_| warm_day) }
    }

    fn connection_hold(state: &PaceState, now: Timestamp, at: Timestamp) -> Option<(Hold, Timestamp)> {
        let longest = now.plus_ms(LONGEST_STORED_WAIT_MS);
        [(Hold::Disconnected, state.open_until), (Hold::Throttled, state.throttled_until)]
            .into_iter()
            .map(|(hold, until)| (hold, until.min(longest)))
            .find(|(_, until)| *until > at)
    }

    fn own_hold(&self, state: &PaceState, now: Timestamp, at: Timestamp) -> Option<(Hold, Timestamp)> {
        if let Some(until) = self.quiet_until(at) {
            return Some((Hold::QuietHours, until));
        }
        let today = self.today(state, at);
        if today.cap.is_some_and(|cap| today.sent >= cap) {
            return Some((Hold::DailyCap, self.next_day(at)));
        }
        if self.has_delay() {
            let (_, longest) = self.delays_ms();
            let next = state.next_at.min(now.plus_ms(i64::try_from(longest).unwrap_or(i64::MAX)));
            if next > at {
                return Some((Hold::Delay, next));
            }
        }
        None
    }

    /// Whether the next message of the queue may go.
    pub fn decide(&self, state: &PaceState, now: Timestamp) -> Decision {
        let held = |at| Self::connection_hold(state, now, at).or_else(|| self.own_hold(state, now, at));
        if let Some(wait) = settle(now, held) {
            return wait;
        }
        let probe = state.failures > 0;
        let today = self.today(state, now);
        let room = today.cap.map_or(u32::MAX, |cap| cap - today.sent);
        Decision::Go { room: if probe || self.has_delay() { 1 } else { room }, probe }
    }

    /// Whether a message ahead of the queue may go: only the connection and the provider hold it.
    pub fn decide_direct(&self, state: &PaceState, now: Timestamp) -> Decision {
        let held = |at| Self::connection_hold(state, now, at);
        if let Some(wait) = settle(now, held) {
            return wait;
        }
        let probe = state.failures > 0;
        Decision::Go { room: if probe { 1 } else { u32::MAX }, probe }
    }

    /// Counts attempts that begin now and draws the pause after them. Direct ones count for the day but draw no pause.
    pub fn record(&self, state: &PaceState, now: Timestamp, normal: u32, direct: u32, seed: u64) -> PaceState {
        let today = self.today(state, now);
        let mut next = state.clone();
        let rolled = state.day != today.day && state.day != today.day.saturating_add(1);
        if rolled {
            next.day = today.day;
        }
        next.sent_today = today.sent.saturating_add(normal).saturating_add(direct);
        if normal + direct > 0 && next.first_day.is_none() {
            next.first_day = Some(today.day);
        }
        if normal > 0 && self.has_delay() {
            let (shortest, longest) = self.delays_ms();
            let pause = between(seed, shortest, longest);
            next.next_at = now.plus_ms(i64::try_from(pause).unwrap_or(i64::MAX));
        }
        next
    }

    /// Takes attempts back that reached nobody (disconnected, throttled, canceled just before).
    pub fn refund(&self, state: &mut PaceState, attempts: u32) {
        state.sent_today = state.sent_today.saturating_sub(attempts);
    }
}

/// Follows holds until none is left; the wait is named after its longest part.
fn settle(now: Timestamp, held: impl Fn(Timestamp) -> Option<(Hold, Timestamp)>) -> Option<Decision> {
    let mut at = now;
    let mut longest: Option<(i64, Hold)> = None;
    for _ in 0..16 {
        let Some((hold, until)) = held(at) else { break };
        let part = until.since(at);
        if longest.is_none_or(|(ms, _)| part > ms) {
            longest = Some((part, hold));
        }
        at = until;
    }
    longest.map(|(_, hold)| Decision::Wait { until: at, hold })
}

/// The cap of the warm-up's `day` (from 1), `None` once it reached the curve's end.
pub fn warm_up_cap(curve: &WarmUp, day: u32) -> Option<u32> {
    let explicit = usize::try_from(day.max(1)).unwrap_or(usize::MAX).min(curve.days.len());
    let given = &curve.days[..explicit];
    let mut cap = *given.last()?;
    if given.iter().any(|cap| *cap >= curve.until) {
        return None;
    }
    let growing = day.max(1).saturating_sub(u32::try_from(curve.days.len()).unwrap_or(u32::MAX));
    if curve.growth_percent > 0 {
        for _ in 0..growing {
            let grown = u64::from(cap) * (100 + u64::from(curve.growth_percent)) / 100;
            cap = u32::try_from(grown.max(u64::from(cap) + 1)).unwrap_or(u32::MAX);
            if cap >= curve.until {
                return None;
            }
        }
    }
    Some(cap)
}

#[cfg(test)]
mod tests;
