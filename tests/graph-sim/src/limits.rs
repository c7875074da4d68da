//! Meta's limits, counted exactly by a clock that the caller gives. No lock and no task of its own: owned by the world.

use std::collections::{HashMap, VecDeque};

/// A day in milliseconds.
pub(crate) const DAY: i64 = 24 * 3600 * 1000;

/// A token bucket that is full at first. It remembers when it would be full again, which is exact in whole microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bucket {
    full_at: i64,
}

impl Bucket {
    /// Takes a token, if there is one. `now` is in milliseconds, `interval` the microseconds that one token needs to come back.
    pub(crate) fn take(&mut self, now: i64, interval: i64, size: i64) -> bool {
        let has = self.has(now, interval, size);
        if has {
            self.charge(now, interval);
        }
        has
    }

    /// Whether there is a token.
    pub(crate) fn has(&self, now: i64, interval: i64, size: i64) -> bool {
        self.full_at - now * 1000 <= (size - 1) * interval
    }

    /// Takes a token, even if there is none.
    pub(crate) fn charge(&mut self, now: i64, interval: i64) {
        self.full_at = self.full_at.max(now * 1000) + interval;
    }
}

/// Who was written to in the last 24 hours.
#[derive(Debug, Default)]
pub(crate) struct Distinct {
    last: HashMap<usize, i64>,
    order: VecDeque<(i64, usize)>,
}

impl Distinct {
    /// How many there are.
    pub(crate) fn count(&mut self, now: i64) -> usize {
        while let Some(&(at, user)) = self.order.front() {
            if at > now - DAY {
                break;
            }
            self.order.pop_front();
            if self.last.get(&user) == Some(&at) {
                self.last.remove(&user);
            }
        }
        self.last.len()
    }

    /// Whether this one is among them.
    pub(crate) fn holds(&mut self, now: i64, user: usize) -> bool {
        self.count(now);
        self.last.contains_key(&user)
    }

    /// Adds one.
    pub(crate) fn add(&mut self, now: i64, user: usize) {
        self.last.insert(user, now);
        self.order.push_back((now, user));
    }
}

/// Calls within a moving hour, or anything else that is counted within a span.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<i64>);

impl Recent {
    /// How many there are within the span.
    pub(crate) fn count(&mut self, now: i64, span: i64) -> usize {
        while self.0.front().is_some_and(|at| *at <= now - span) {
            self.0.pop_front();
        }
        self.0.len()
    }

    /// Adds one.
    pub(crate) fn add(&mut self, now: i64) {
        self.0.push_back(now);
    }
}
