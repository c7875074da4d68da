//! How many events a minute an automation handles. Pure.
//!
//! A minute's worth may come at once; then one at a time, evenly. An event that comes too early is given the instant
//! of its turn, which is then taken: each waiting event is looked at once more, not at every turn.

use pombo_domain::Timestamp;

const MINUTE_NS: i64 = 60_000_000_000;
const MS_NS: i64 = 1_000_000;

/// An automation's allowance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    per_minute: u32,
    /// The instant at which all events that were taken have had their time, ns.
    used_until: i64,
}

impl Allowance {
    /// An allowance of `per_minute` events (at least 1) a minute, with a whole minute's worth available.
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute.max(1), used_until: i64::MIN }
    }

    /// Changes the number of events a minute; what was taken stays taken.
    pub fn set(&mut self, per_minute: u32) {
        self.per_minute = per_minute.max(1);
    }

    /// Takes one event. Returns when it may be handled.
    pub fn take(&mut self, now: Timestamp) -> Timestamp {
        let now_ns = now.0.saturating_mul(MS_NS);
        let each = MINUTE_NS / i64::from(self.per_minute);
        self.used_until = self.used_until.max(now_ns).saturating_add(each);
        let from = self.used_until.saturating_sub(MINUTE_NS);
        if from <= now_ns { now } else { Timestamp(from.saturating_add(MS_NS - 1) / MS_NS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_worth_at_once_then_evenly() {
        let start = Timestamp(1_714_564_800_000);
        let mut allowance = Allowance::new(60);
        for _ in 0..60 {
            assert_eq!(allowance.take(start), start);
        }
        for n in 1..=5 {
            assert_eq!(allowance.take(start), start.plus_ms(n * 1_000));
        }
        let later = start.plus_ms(30_000);
        let at_once = (0..100).take_while(|_| allowance.take(later) == later).count();
        assert_eq!(at_once, 25, "30 came back, 5 of them were promised");
    }

    #[test]
    fn a_large_number_is_no_bound_and_a_new_one_counts_at_once() {
        let now = Timestamp(1_714_564_800_000);
        let mut allowance = Allowance::new(u32::MAX);
        assert!((0..100_000).all(|_| allowance.take(now) == now));
        let mut allowance = Allowance::new(1);
        allowance.take(now);
        assert_eq!(allowance.take(now), now.plus_ms(60_000));
        allowance.set(6_000);
        assert_eq!(allowance.take(now), now.plus_ms(60_010));
    }
}
