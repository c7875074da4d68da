//! Changing a plugin's version while it works: a share of the work goes to the new one, both are compared, then it takes over or is
//! taken back. The comparison is a pure function.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A change of versions under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// The digest of the version that worked before; `None` for a first version.
    pub from: Option<String>,
    /// The digest of the new one.
    pub to: String,
    /// How much of the work goes to the new one, in percent.
    pub share: u8,
    /// Where it stands.
    pub step: RolloutStep,
    /// Whether it goes on and back by itself.
    pub automatic: bool,
    /// Since when it stands there.
    pub since: Timestamp,
    /// Who began it.
    pub by: String,
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RolloutStep {
    /// The new version gets its share.
    Canary,
    /// The new version does all the work and is still watched.
    Watching,
}

/// What one version did since some instant.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct VersionStats {
    /// Calls that ended.
    pub calls: u64,
    /// Of them, traps, exhausted processor time or memory, deadlines.
    pub traps: u64,
    /// Of them, other failures that are the plugin's.
    pub failures: u64,
    /// Microseconds that 99 of 100 calls took at most.
    pub p99_us: u64,
    /// Microseconds that half the calls took at most.
    pub p50_us: u64,
}

/// When a new version is believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RolloutRules {
    /// Calls of the new version after which it is judged well.
    pub calls: u64,
    /// How long the canary lasts, at most, ms: a quiet plugin takes over then with the calls it had.
    pub canary_ms: i64,
    /// How long it is watched after it took over, ms.
    pub watch_ms: i64,
    /// Traps beyond those that the old version's rate lets expect, that end it.
    pub traps: u64,
    /// Percentage points by which its failures may exceed the old one's.
    pub failures_percent: u64,
    /// How many times slower it may be, in percent of the old one's median.
    pub slower_percent: u64,
    /// Medians below this are never slow, µs.
    pub slow_from_us: u64,
}

impl Default for RolloutRules {
    fn default() -> Self {
        Self {
            calls: 50,
            canary_ms: 30_000,
            watch_ms: 60_000,
            traps: 1,
            failures_percent: 10,
            slower_percent: 300,
            slow_from_us: 5_000,
        }
    }
}

/// What becomes of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not known yet.
    Wait,
    /// The next step: from canary to watching, from watching to done.
    Advance,
    /// Back to the old version; why, for a person.
    RollBack(String),
}

/// The fewest calls that a rate is taken from.
const SOME: u64 = 10;

/// Judges a new version beside an old one. `old` counts what the old version did before or beside it.
pub fn judge(rules: &RolloutRules, step: RolloutStep, old: VersionStats, new: VersionStats, for_ms: i64) -> Verdict {
    let rate = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let expected = rate(old.traps, old.calls) * new.calls as f64;
    if new.traps >= rules.traps.max(1) && new.traps as f64 > 2.0 * expected {
        return Verdict::RollBack(format!("{} of {} calls trapped or exceeded their limits", new.traps, new.calls));
    }
    if new.calls >= SOME {
        let (before, now) = (rate(old.failures, old.calls), rate(new.failures, new.calls));
        if now > before + rules.failures_percent as f64 / 100.0 {
            let percent = |rate: f64| (rate * 100.0).round();
            return Verdict::RollBack(format!(
                "{} % of its calls failed, compared with {} % before",
                percent(now),
                percent(before)
            ));
        }
        let slow = old.calls >= SOME && new.p50_us > rules.slow_from_us;
        if slow && new.p50_us.saturating_mul(100) > old.p50_us.max(1).saturating_mul(rules.slower_percent) {
            return Verdict::RollBack(format!(
                "half of its calls take {} µs or more, compared with {} µs before",
                new.p50_us, old.p50_us
            ));
        }
    }
    let over = match step {
        RolloutStep::Canary => new.calls >= rules.calls || for_ms >= rules.canary_ms,
        RolloutStep::Watching => for_ms >= rules.watch_ms,
    };
    if over { Verdict::Advance } else { Verdict::Wait }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(calls: u64, traps: u64, failures: u64, p50_us: u64) -> VersionStats {
        VersionStats { calls, traps, failures, p99_us: p50_us * 2, p50_us }
    }

    #[test]
    fn a_version_is_believed_by_its_calls_or_by_its_time() {
        let rules = RolloutRules::default();
        let old = stats(1000, 0, 5, 400);
        for (new, ms, verdict) in [
            (stats(49, 0, 0, 400), 0, Verdict::Wait),
            (stats(50, 0, 0, 400), 0, Verdict::Advance),
            (stats(0, 0, 0, 0), 29_999, Verdict::Wait),
            (stats(0, 0, 0, 0), 30_000, Verdict::Advance),
        ] {
            assert_eq!(judge(&rules, RolloutStep::Canary, old, new, ms), verdict, "{new:?}");
        }
        assert_eq!(judge(&rules, RolloutStep::Watching, old, stats(500, 0, 0, 400), 59_999), Verdict::Wait);
        assert_eq!(judge(&rules, RolloutStep::Watching, old, stats(500, 0, 0, 400), 60_000), Verdict::Advance);
    }

    #[test]
    fn one_that_traps_fails_or_crawls_is_taken_back() {
        let rules = RolloutRules::default();
        let old = stats(1000, 0, 50, 400);
        for new in [stats(1, 1, 0, 400), stats(100, 1, 0, 400), stats(20, 0, 4, 400), stats(10, 0, 0, 6_000)] {
            let verdict = judge(&rules, RolloutStep::Watching, old, new, 0);
            assert!(matches!(verdict, Verdict::RollBack(_)), "{new:?}: {verdict:?}");
        }
        // Few failures are chance, a slow channel is slow for both, and an old version that trapped as much is no better.
        assert_eq!(judge(&rules, RolloutStep::Canary, old, stats(5, 0, 5, 400), 0), Verdict::Wait);
        let slow = stats(1000, 0, 0, 300_000);
        assert_eq!(judge(&rules, RolloutStep::Canary, slow, stats(20, 0, 0, 400_000), 0), Verdict::Wait);
        assert_eq!(judge(&rules, RolloutStep::Canary, stats(100, 50, 0, 9), stats(20, 10, 0, 9), 0), Verdict::Wait);
    }
}
