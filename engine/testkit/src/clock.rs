//! Time: a clock that a test moves, and the system's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use parking_lot::Mutex;
use pombo_domain::Timestamp;
use pombo_domain::ports::Clock;
use tokio::sync::oneshot;

/// 1 May 2024, 12:00 UTC.
pub const NOON: Timestamp = Timestamp(1_714_564_800_000);

struct State {
    now: Timestamp,
    next: u64,
    /// Whether a sleep moves the clock to its end.
    skips: bool,
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
}

impl State {
    /// Wakes every sleeper that is due.
    fn wake(&mut self) {
        while let Some(first) = self.sleepers.first_entry()
            && first.key().0 <= self.now
        {
            // The sleeper may have been dropped.
            let _ = first.remove().send(());
        }
    }
}

/// A clock that moves only when a test moves it. Clones are the same clock.
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<State>>);

impl ManualClock {
    /// A clock that stands at `now`; a sleep ends when the clock is moved to its end.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(State { now, next: 0, skips: false, sleepers: BTreeMap::new() })))
    }

    /// A clock on which nobody waits: each sleep moves it to its end at once, until [`Self::stand`].
    pub fn skipping(now: Timestamp) -> Self {
        let clock = Self::new(now);
        clock.0.lock().skips = true;
        clock
    }

    /// From now on only the test moves the clock.
    pub fn stand(&self) {
        self.0.lock().skips = false;
    }

    /// How many tasks sleep on this clock.
    pub fn sleepers(&self) -> usize {
        let mut state = self.0.lock();
        state.sleepers.retain(|_, sleeper| !sleeper.is_closed());
        state.sleepers.len()
    }

    /// Moves the clock by `ms` milliseconds at once (also backwards) and wakes every sleeper that is then due. No task runs in
    /// between.
    pub fn jump(&self, ms: i64) {
        let mut state = self.0.lock();
        state.now = state.now.plus_ms(ms);
        state.wake();
    }

    /// Moves the clock to `to`, stopping at the end of each sleep on the way: sleepers are woken in order, and run until nothing is
    /// left to do ([`settle`]).
    pub async fn advance_to(&self, to: Timestamp) {
        self.advance_settling(to, settle).await;
    }

    /// The same, where letting the others run takes more than [`settle`].
    pub async fn advance_settling(&self, to: Timestamp, settle: impl AsyncFn()) {
        loop {
            settle().await;
            let due = {
                let mut state = self.0.lock();
                state.sleepers.retain(|_, sleeper| !sleeper.is_closed());
                let first = state.sleepers.first_key_value().map(|(key, _)| *key).filter(|(at, _)| *at <= to);
                state.now = state.now.max(first.map_or(to, |(at, _)| at));
                first.and_then(|key| state.sleepers.remove(&key))
            };
            match due {
                // The sleeper may have been dropped.
                Some(sleeper) => drop(sleeper.send(())),
                None => break,
            }
        }
        settle().await;
    }

    /// [`Self::advance_to`] `ms` milliseconds from now.
    pub async fn advance(&self, ms: i64) {
        let to = self.now().plus_ms(ms);
        self.advance_to(to).await;
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().now
    }
    async fn sleep_until(&self, at: Timestamp) {
        let woken = {
            let mut state = self.0.lock();
            if at <= state.now {
                return;
            }
            if state.skips {
                state.now = at;
                state.wake();
                None
            } else {
                let (sender, receiver) = oneshot::channel();
                let key = (at, state.next);
                state.next += 1;
                state.sleepers.insert(key, sender);
                Some(receiver)
            }
        };
        match woken {
            // The sender is dropped only after it was used.
            Some(woken) => drop(woken.await),
            None => tokio::task::yield_now().await,
        }
    }
}

/// Lets every task run until none has anything left to do but wait for the clock. Only where the runtime has one thread, as in
/// `#[tokio::test]`: there, yielding runs the others.
pub async fn settle() {
    for _ in 0..400 {
        tokio::task::yield_now().await;
    }
}

/// The system's time, for what cannot run on a manual clock.
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
    async fn sleep_until(&self, at: Timestamp) {
        let ms = u64::try_from(at.since(self.now())).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_are_woken_in_order_and_see_the_time_they_asked_for() {
        let clock = ManualClock::new(NOON);
        let seen = Arc::new(Mutex::new(Vec::new()));
        for ms in [30, 10, 20, 99] {
            let (clock, seen) = (clock.clone(), seen.clone());
            tokio::spawn(async move {
                clock.sleep_until(NOON.plus_ms(ms)).await;
                seen.lock().push(clock.now().since(NOON));
            });
        }
        clock.advance(50).await;
        assert_eq!(*seen.lock(), [10, 20, 30]);
        assert_eq!((clock.now().since(NOON), clock.sleepers()), (50, 1));
        clock.jump(100);
        settle().await;
        assert_eq!((seen.lock().len(), clock.sleepers()), (4, 0));
    }

    #[tokio::test]
    async fn a_skipping_clock_makes_nobody_wait_until_it_stands() {
        let clock = ManualClock::skipping(NOON);
        clock.sleep_until(NOON.plus_ms(1_000)).await;
        assert_eq!(clock.now().since(NOON), 1_000);
        clock.stand();
        assert!(futures::poll!(Box::pin(clock.sleep_until(NOON.plus_ms(2_000)))).is_pending());
    }
}
