//! The pace of look-ups: channels restrict accounts that ask about many addresses, so each connector may ask about so many at once and so
//! many an hour. Counted in memory; after a start each connector may ask about as many at once as ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::commands::Commands;
use crate::{ConnectorIndex, Error, ErrorCode, Result, Timestamp};

const HOUR_MS: i64 = 3_600_000;
/// Connectors that are remembered, before those that may ask about as many as ever are forgotten.
const MOST: usize = 10_000;

/// How many addresses a connector may look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupPace {
    /// How many at once; at least 1. A request for more is taken when none was looked up for so long that all of these are free.
    pub burst: u32,
    /// How many an hour, in the long run; 0 for any number.
    pub per_hour: u32,
}

impl Default for LookupPace {
    fn default() -> Self {
        Self { burst: 30, per_hour: 60 }
    }
}

/// What connectors looked up of late. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Lookups {
    pace: LookupPace,
    taken: Arc<Mutex<HashMap<ConnectorIndex, Taken>>>,
}

/// What one connector looked up.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// When it was counted.
    at: Timestamp,
    /// When as many as ever are free again.
    full_at: Timestamp,
}

impl Taken {
    /// How long after `now` as many as ever are free again, ms. If the clock went back, as long as when it was counted: a clock that
    /// once stood wrong must not keep a connector from asking.
    fn left(self, now: Timestamp) -> i64 {
        self.full_at.since(now.max(self.at)).max(0)
    }
    /// The same, counted now.
    fn at(self, now: Timestamp) -> Self {
        Self { at: now, full_at: now.plus_ms(self.left(now)) }
    }
}

impl Lookups {
    fn taken(&self) -> MutexGuard<'_, HashMap<ConnectorIndex, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `addresses` cost, ms.
    fn cost_ms(&self, addresses: usize) -> i64 {
        let each = HOUR_MS / i64::from(self.pace.per_hour.max(1));
        i64::try_from(addresses).unwrap_or(i64::MAX).saturating_mul(each.max(1))
    }

    /// Counts a look-up of so many addresses; `Err` says in how many milliseconds it may be made.
    fn take(&self, connector: ConnectorIndex, addresses: usize, now: Timestamp) -> std::result::Result<(), u64> {
        if self.pace.per_hour == 0 {
            return Ok(());
        }
        let burst = self.pace.burst.max(1) as usize;
        let mut taken = self.taken();
        if taken.len() >= MOST {
            taken.retain(|_, of| of.left(now) > 0);
        }
        let of = taken.entry(connector).or_insert(Taken { at: now, full_at: now });
        *of = of.at(now);
        let wait = of.left(now).saturating_add(self.cost_ms(addresses.min(burst))) - self.cost_ms(burst);
        if wait > 0 {
            return Err(u64::try_from(wait).unwrap_or(0));
        }
        of.full_at = of.full_at.plus_ms(self.cost_ms(addresses));
        Ok(())
    }

    /// A look-up that was counted did not reach the channel.
    fn give_back(&self, connector: ConnectorIndex, addresses: usize) {
        let cost = self.cost_ms(addresses);
        if let Some(taken) = self.taken().get_mut(&connector) {
            taken.full_at = taken.full_at.plus_ms(-cost);
        }
    }
}

impl Commands {
    /// The same with another pace of look-ups.
    #[must_use]
    pub fn with_lookup_pace(mut self, pace: LookupPace) -> Self {
        self.lookups = Lookups { pace, ..Lookups::default() };
        self
    }

    /// Counts a look-up of so many addresses for its connector. Fails with [`ErrorCode::RateLimited`], which says when to ask again.
    pub(super) fn count_lookup(&self, connector: ConnectorIndex, addresses: usize) -> Result<()> {
        self.lookups.take(connector, addresses, self.now()).map_err(|wait_ms| {
            let LookupPace { burst, per_hour } = self.lookups.pace;
            let message = format!(
                "look-ups have a pace of their own, because channels restrict accounts that ask about many addresses: {burst} at once, \
                 and {per_hour} an hour; ask later, or about fewer addresses"
            );
            Error { retry_after_ms: Some(wait_ms), ..Error::new(ErrorCode::RateLimited, message) }
        })
    }

    /// A look-up that was counted did not reach the channel.
    pub(super) fn lookup_not_made(&self, connector: ConnectorIndex, addresses: usize) {
        self.lookups.give_back(connector, addresses);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectorIndex = ConnectorIndex(1);
    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn lookups(burst: u32, per_hour: u32) -> Lookups {
        Lookups { pace: LookupPace { burst, per_hour }, ..Lookups::default() }
    }

    #[test]
    fn so_many_at_once_and_then_one_after_each_pause() {
        let all = lookups(30, 60);
        assert_eq!((all.take(ONE, 20, NOW), all.take(ONE, 10, NOW)), (Ok(()), Ok(())));
        assert_eq!(all.take(ONE, 1, NOW), Err(60_000));
        assert_eq!(all.take(ONE, 3, NOW), Err(180_000));
        assert_eq!(all.take(ConnectorIndex(2), 30, NOW), Ok(()), "another connector");
        assert_eq!(all.take(ONE, 1, NOW.plus_ms(59_999)), Err(1));
        assert_eq!(all.take(ONE, 1, NOW.plus_ms(60_000)), Ok(()));
        assert_eq!(all.take(ONE, 1, NOW.plus_ms(60_000)), Err(60_000));
    }

    #[test]
    fn more_than_at_once_is_taken_when_all_are_free_and_costs_as_much() {
        let all = lookups(30, 60);
        assert_eq!(all.take(ONE, 50, NOW), Ok(()));
        assert_eq!(all.take(ONE, 1, NOW), Err(21 * 60_000));
        assert_eq!(all.take(ONE, 50, NOW.plus_ms(49 * 60_000)), Err(60_000));
        assert_eq!(all.take(ONE, 50, NOW.plus_ms(50 * 60_000)), Ok(()));
    }

    #[test]
    fn what_was_not_asked_costs_nothing() {
        let all = lookups(2, 60);
        assert_eq!(all.take(ONE, 2, NOW), Ok(()));
        all.give_back(ONE, 2);
        assert_eq!(all.take(ONE, 2, NOW), Ok(()));
        let free = lookups(1, 0);
        assert!((0..100).all(|_| free.take(ONE, 50, NOW).is_ok()));
    }

    #[test]
    fn a_clock_that_goes_back_holds_nobody_for_longer() {
        let all = lookups(2, 60);
        assert_eq!(all.take(ONE, 2, NOW), Ok(()));
        let wrong = NOW.plus_ms(-100 * HOUR_MS);
        assert_eq!(all.take(ONE, 1, wrong), Err(60_000));
        assert_eq!(all.take(ONE, 1, wrong.plus_ms(59_999)), Err(1));
        assert_eq!(all.take(ONE, 1, wrong.plus_ms(60_000)), Ok(()));
    }
}
