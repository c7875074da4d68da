//! The health of an account with its channel, as a number from 0 to 100, and what follows from it: pure functions of (what was
//! counted, the rules, now).
//!
//! The score is 100 less these points, at least 0. `sent`, `failed` … are the counts of the window.
//!
//! | sign | points | counted when |
//! |---|---|---|
//! | blocks and reports | 10 for each percent of `max(sent, min_sent)` | always |
//! | restrictions by the channel | 40 each | always |
//! | refused for good | 1.5 for each percent of `sent + failed` above 5 % | `sent + failed` ≥ `min_sent` |
//! | delivered | 1 for each percent below 80 % of what was sent more than an hour ago | that is ≥ `min_sent`, two-way |
//! | replies | 20 with none, falling to 0 at 10 % of `sent` | `sent` ≥ `min_sent`, two-way |
//!
//! *Two-way* are channels whose plugin declares `inbound`: others report neither deliveries nor replies, and silence says
//! nothing about them. No replies alone slow nothing down under the default rules; together with a second bad sign they do.
//!
//! Invariant: another block, restriction or refusal never raises the score; another delivery or reply never lowers it.

use pombo_domain::Timestamp;
use pombo_domain::model::connector::HealthRules;
pub use pombo_domain::model::health::HealthLevel;
use pombo_domain::model::health::{HealthHour, HealthSignal, HealthState};

/// An hour, in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;

/// The rules by which an account is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judge {
    /// The connector's health rules; without any, everything is good.
    pub rules: Option<HealthRules>,
    /// The channel reports deliveries and replies.
    pub two_way: bool,
}

/// What was counted in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages that the channel accepted.
    pub sent: u32,
    /// Accepted messages that have had more than an hour to arrive.
    pub settled: u32,
    /// Messages that reached their recipient.
    pub delivered: u32,
    /// Messages that the channel refused for good.
    pub failed: u32,
    /// Messages received from people.
    pub replies: u32,
    /// Blocks and reports.
    pub blocks: u32,
    /// Restrictions that the channel imposed.
    pub restrictions: u32,
}

fn hour_of(at: Timestamp) -> i64 {
    at.0.div_euclid(HOUR_MS)
}

/// The first hour of the window that ends now.
fn first_hour(rules: &HealthRules, now: Timestamp) -> i64 {
    hour_of(now) - i64::from(rules.window_hours.max(1)) + 1
}

/// What the window that ends at `now` holds.
pub fn counts(state: &HealthState, rules: &HealthRules, now: Timestamp) -> Counts {
    let (first, this) = (first_hour(rules, now), hour_of(now));
    let mut sum = Counts::default();
    for hour in state.hours.iter().filter(|hour| hour.hour >= first) {
        sum.sent = sum.sent.saturating_add(hour.sent);
        if hour.hour < this - 1 {
            sum.settled = sum.settled.saturating_add(hour.sent);
        }
        sum.delivered = sum.delivered.saturating_add(hour.delivered);
        sum.failed = sum.failed.saturating_add(hour.failed);
        sum.replies = sum.replies.saturating_add(hour.replies);
        sum.blocks = sum.blocks.saturating_add(hour.blocks);
        sum.restrictions = sum.restrictions.saturating_add(hour.restrictions);
    }
    sum
}

/// The score of these counts; see the module.
pub fn score(counts: &Counts, judge: &Judge) -> u8 {
    let Some(rules) = &judge.rules else { return 100 };
    let least = u64::from(rules.min_sent.max(1));
    let (sent, failed) = (u64::from(counts.sent), u64::from(counts.failed));
    let enough = sent + failed >= least;
    // In thousandths of a point.
    let mut lost = u64::from(counts.blocks) * 1_000_000 / sent.max(least);
    lost += u64::from(counts.restrictions) * 40_000;
    if enough {
        lost += (failed * 150_000 / (sent + failed)).saturating_sub(7_500);
    }
    let settled = u64::from(counts.settled);
    if judge.two_way && settled >= least {
        let delivered = u64::from(counts.delivered).min(settled);
        lost += 80_000_u64.saturating_sub(delivered * 100_000 / settled);
    }
    if judge.two_way && sent >= least {
        lost += 20_000_u64.saturating_sub(u64::from(counts.replies) * 200_000 / sent);
    }
    u8::try_from(100_000_u64.saturating_sub(lost) / 1_000).unwrap_or(100)
}

/// What follows from `score`.
pub fn level(score: u8, judge: &Judge) -> HealthLevel {
    match &judge.rules {
        Some(rules) if score < rules.pause_below => HealthLevel::Paused,
        Some(rules) if score < rules.slow_below => HealthLevel::Slowed,
        _ => HealthLevel::Good,
    }
}

/// Score and level of `state` at `now`.
pub fn assess(state: &HealthState, judge: &Judge, now: Timestamp) -> (u8, HealthLevel) {
    let Some(rules) = &judge.rules else { return (100, HealthLevel::Good) };
    let score = score(&counts(state, rules, now), judge);
    (score, level(score, judge))
}

/// The fraction by which caps shrink and pauses grow: the score as a part of the threshold. `None` when nothing is slowed.
pub fn slowed_to(score: u8, judge: &Judge) -> Option<(u32, u32)> {
    let rules = judge.rules.as_ref().filter(|rules| score < rules.slow_below)?;
    Some((u32::from(score.max(1)), u32::from(rules.slow_below)))
}

/// Counts `signal` in the hour of `now`, and forgets the hours that have left the window.
pub fn record(state: &mut HealthState, rules: &HealthRules, signal: HealthSignal, now: Timestamp) {
    let (first, this) = (first_hour(rules, now), hour_of(now));
    // A clock that stepped back leaves hours in the future: they stay countable, at most a window of them.
    state.hours.retain(|hour| hour.hour >= first && hour.hour - this < i64::from(rules.window_hours.max(1)));
    let at = match state.hours.binary_search_by_key(&this, |hour| hour.hour) {
        Ok(at) => at,
        Err(at) => {
            state.hours.insert(at, HealthHour { hour: this, ..HealthHour::default() });
            at
        }
    };
    let hour = &mut state.hours[at];
    let count = match signal {
        HealthSignal::Sent => &mut hour.sent,
        HealthSignal::Delivered => &mut hour.delivered,
        HealthSignal::Failed => &mut hour.failed,
        HealthSignal::Reply => &mut hour.replies,
        HealthSignal::Blocked => &mut hour.blocks,
        HealthSignal::Restricted => &mut hour.restrictions,
    };
    *count = count.saturating_add(1);
}

/// Starts a new observation at `now`: what was counted before no longer counts.
pub fn restart(state: &mut HealthState, now: Timestamp) {
    state.hours.clear();
    state.since = now;
    state.told = 0;
}

/// The score with what it comes from, as a sentence for a person.
pub fn describe(score: u8, counts: &Counts, judge: &Judge) -> String {
    let hours = judge.rules.as_ref().map_or(0, |rules| rules.window_hours);
    let Counts { sent, delivered, failed, replies, blocks, restrictions, .. } = counts;
    let two_way = if judge.two_way { format!(", {delivered} delivered, {replies} replies") } else { String::new() };
    format!(
        "its health score is {score} of 100: {sent} messages sent{two_way}, {failed} refused, {blocks} blocks, \
         {restrictions} restrictions in the last {hours} hours"
    )
}

#[cfg(test)]
mod tests;
