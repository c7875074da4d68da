//! The breaker and the provider's throttling: what a connection's failure means for its lane. Pure functions.

use pombo_domain::Timestamp;
use pombo_domain::backoff::{Backoff, Jitter};
use pombo_domain::model::connector::PaceState;

/// How long the breaker stays open, and how long a throttled lane pauses.
#[derive(Debug, Clone)]
pub struct BreakerPolicy {
    /// How long it stays open after the nth failure in a row.
    pub open: Backoff,
    /// The pause of a throttled lane where the provider did not say how long, ms.
    pub throttle_default_ms: u64,
    /// The longest pause of a throttled lane, whatever the provider says, ms.
    pub throttle_max_ms: u64,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            open: Backoff { base_ms: 1_000, max_ms: 60_000, jitter: Jitter::Equal },
            throttle_default_ms: 15_000,
            throttle_max_ms: 3_600_000,
        }
    }
}

/// A send found no connection. While the breaker is already open, that is the same failure seen again.
pub fn disconnected(policy: &BreakerPolicy, state: &mut PaceState, now: Timestamp, seed: u64) {
    if state.failures > 0 && state.open_until > now {
        return;
    }
    state.failures = state.failures.saturating_add(1);
    state.open_until = now.plus_ms(policy.open.delay_ms(state.failures, seed));
}

/// The connection worked.
pub fn connected(state: &mut PaceState) {
    state.failures = 0;
    state.open_until = Timestamp(0);
}

/// The connection may work again: the next message may try it at once.
pub fn probe_now(state: &mut PaceState, now: Timestamp) {
    state.open_until = state.open_until.min(now);
}

/// The provider asked to slow down. Returns the pause in milliseconds.
pub fn throttled(policy: &BreakerPolicy, state: &mut PaceState, now: Timestamp, retry_after_ms: Option<u64>) -> u64 {
    let rest = retry_after_ms.unwrap_or(policy.throttle_default_ms).clamp(1, policy.throttle_max_ms);
    let until = now.plus_ms(i64::try_from(rest).unwrap_or(i64::MAX));
    state.throttled_until = state.throttled_until.max(until);
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_longer_with_each_failure_but_once_for_many_seen_together() {
        let policy = BreakerPolicy::default();
        let mut state = PaceState::default();
        let mut now = Timestamp(1_000_000);
        let mut last = 0;
        for n in 1..=12 {
            for _ in 0..50 {
                disconnected(&policy, &mut state, now, u64::MAX);
            }
            assert_eq!(state.failures, n, "fifty sends that fail together are one failure");
            let open = state.open_until.since(now);
            assert!(open >= last && open <= 60_000, "{open}");
            last = open;
            now = state.open_until;
        }
        assert_eq!(last, 60_000);
        connected(&mut state);
        assert_eq!((state.failures, state.open_until), (0, Timestamp(0)));
    }

    #[test]
    fn throttling_is_bounded_and_never_shortened() {
        let policy = BreakerPolicy::default();
        let mut state = PaceState::default();
        let now = Timestamp(5_000);
        assert_eq!(throttled(&policy, &mut state, now, Some(u64::MAX)), 3_600_000);
        assert_eq!(throttled(&policy, &mut state, now, None), 15_000);
        assert_eq!(state.throttled_until, Timestamp(3_605_000));
    }
}
