//! A clock that moves only when a test moves it.

use std::collections::BTreeMap;
use std::sync::Arc;

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
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
}

#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<State>>);

impl ManualClock {
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(State { now, next: 0, sleepers: BTreeMap::new() })))
    }

    /// Moves to `to`, waking on the way whoever sleeps, in order, and letting them run.
    pub async fn advance_to(&self, to: Timestamp) {
        self.advance_settling(to, settle).await;
    }

    /// The same, where letting them run takes more than [`settle`].
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
                Some(sleeper) => drop(sleeper.send(())),
                None => break,
            }
        }
        settle().await;
    }

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
        let receiver = {
            let mut state = self.0.lock();
            if at <= state.now {
                return;
            }
            let (sender, receiver) = oneshot::channel();
            let key = (at, state.next);
            state.next += 1;
            state.sleepers.insert(key, sender);
            receiver
        };
        // The sender is only dropped after it was used.
        let _ = receiver.await;
    }
}

/// Lets every task run until none has anything left to do. The test's runtime has one thread, so yielding runs the others.
pub async fn settle() {
    for _ in 0..400 {
        tokio::task::yield_now().await;
    }
}
