//! Changing a plugin's version while it runs: the new version gets a share of the work and is compared with the old one; then it
//! takes over or is rolled back. The comparison is a pure function.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A change of versions that is in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Digest of the previous version; `None` for a first version.
    pub from: Option<String>,
    /// Digest of the new version.
    pub to: String,
    /// Percentage of the work that the new version gets.
    pub share: u8,
    /// Phase of the rollout.
    pub step: RolloutStep,
    /// Whether the engine promotes it or rolls it back by itself.
    pub automatic: bool,
    /// When this phase began.
    pub since: Timestamp,
    /// Who began the rollout.
    pub by: String,
}

/// Phase of a rollout.
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
    /// Number of finished calls.
    pub calls: u64,
    /// Calls that trapped, exceeded their processor time or memory, or missed their deadline.
    pub traps: u64,
    /// Calls that failed in another way because of the plugin.
    pub failures: u64,
    /// Duration that 99 % of the calls did not exceed, in microseconds.
    pub p99_us: u64,
    /// Median duration of a call, in microseconds.
    pub p50_us: u64,
}

/// When a new version is accepted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RolloutRules {
    /// Number of calls of the new version after which it can be judged.
    pub calls: u64,
    /// Maximum duration of the canary phase, in milliseconds: after it, a plugin with few calls takes over.
    pub canary_ms: i64,
    /// How long the version is watched after it took over, in milliseconds.
    pub watch_ms: i64,
    /// Number of traps, beyond those expected from the old version's rate, that end the rollout.
    pub traps: u64,
    /// Percentage points by which its failure rate may exceed the old version's.
    pub failures_percent: u64,
    /// How slow its median may be, in percent of the old version's median.
    pub slower_percent: u64,
    /// Medians below this are never considered slow, in microseconds.
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

/// What to do with a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It cannot be judged yet.
    Wait,
    /// Go to the next phase: from canary to watching, from watching to the end.
    Advance,
    /// Go back to the old version; with the reason, for a person.
    RollBack(String),
}

/// Minimum number of calls from which a rate is computed.
const SOME: u64 = 10;

/// Compares a new version with an old one. `old` has the counts of the old version before or during the rollout.
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
