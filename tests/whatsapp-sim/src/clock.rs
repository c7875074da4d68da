//! The server's clock: what it writes into stanzas, and when that ends which ends by itself. It is the machine's clock until somebody
//! puts it ahead or holds it; then hours pass in a test without anybody waiting for them. Clients have clocks of their own, which it
//! does not move. No task of its own; called from anywhere.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// How far the clock goes ahead, over all calls: a hundred years.
const FURTHEST: Duration = Duration::from_secs(100 * 366 * 86_400);

/// The clock cannot be put ahead that far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the clock goes ahead by a hundred years altogether, and no further: advance it by less")]
pub struct TooFar;

/// The clock. Its readings are durations since 1970.
pub struct Clock {
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// How far it was put ahead.
    ahead: Duration,
    /// What it missed of the machine's time while it was held.
    behind: Duration,
    /// Its reading while it is held.
    held: Option<Duration>,
}

impl State {
    fn now(&self) -> Duration {
        self.held.unwrap_or_else(|| (machine() + self.ahead).saturating_sub(self.behind))
    }
}

fn machine() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Default for Clock {
    fn default() -> Self {
        Self { state: watch::Sender::new(State::default()) }
    }
}

impl Clock {
    /// The time since 1970.
    pub fn now(&self) -> Duration {
        self.state.borrow().now()
    }

    /// How far it was put ahead, over all calls.
    pub fn advanced(&self) -> Duration {
        self.state.borrow().ahead
    }

    /// Whether time passes only by [`advance`](Self::advance).
    pub fn is_held(&self) -> bool {
        self.state.borrow().held.is_some()
    }

    /// Puts the clock ahead; whoever waited for a time that is past by then wakes.
    pub fn advance(&self, by: Duration) -> Result<(), TooFar> {
        let mut outcome = Ok(());
        self.state.send_modify(|state| match state.ahead.checked_add(by).filter(|ahead| *ahead <= FURTHEST) {
            Some(ahead) => {
                state.ahead = ahead;
                state.held = state.held.map(|held| held + by);
            }
            None => outcome = Err(TooFar),
        });
        outcome
    }

    /// Holds the clock, or lets it go on from where it stands.
    pub fn hold(&self, hold: bool) {
        self.state.send_modify(|state| match (hold, state.held) {
            (true, None) => state.held = Some(state.now()),
            (false, Some(held)) => {
                state.behind = (machine() + state.ahead).saturating_sub(held);
                state.held = None;
            }
            _ => {}
        });
    }

    /// Waits until the clock reads this.
    pub async fn reaches(&self, reading: Duration) {
        let mut moved = self.state.subscribe();
        loop {
            let state = *moved.borrow_and_update();
            let left = reading.saturating_sub(state.now());
            if left.is_zero() {
                return;
            }
            let passes = async {
                match state.held {
                    Some(_) => std::future::pending::<()>().await,
                    None => tokio::time::sleep(left).await,
                }
            };
            tokio::select! {
                () = passes => {}
                // The sender is this clock's own, so this is never an error.
                _ = moved.changed() => {}
            }
        }
    }

    /// Waits until this much time has passed.
    pub async fn sleep(&self, pause: Duration) {
        let reading = self.now().saturating_add(pause);
        self.reaches(reading).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn it_goes_with_the_machine_until_it_is_put_ahead() {
        let clock = Clock::default();
        assert!(clock.now() <= machine());
        assert_eq!(clock.advance(HOUR), Ok(()));
        assert!(clock.now() >= machine() + HOUR - Duration::from_secs(60));
        assert_eq!(clock.advanced(), HOUR);
    }

    #[test]
    fn held_it_stands_still_and_goes_on_from_there() {
        let clock = Clock::default();
        clock.hold(true);
        let stands = clock.now();
        assert_eq!((clock.is_held(), clock.now()), (true, stands));
        clock.advance(HOUR).expect("near");
        assert_eq!(clock.now(), stands + HOUR);
        clock.hold(false);
        let goes = clock.now();
        assert!(goes >= stands + HOUR && goes < stands + HOUR + Duration::from_secs(60), "{goes:?}");
    }

    #[test]
    fn it_goes_no_further_than_a_hundred_years() {
        let clock = Clock::default();
        clock.advance(FURTHEST).expect("as far as it goes");
        assert_eq!(clock.advance(Duration::from_nanos(1)), Err(TooFar));
        assert_eq!(clock.advance(Duration::MAX), Err(TooFar));
        assert_eq!(clock.advanced(), FURTHEST);
    }

    #[tokio::test]
    async fn who_waits_wakes_when_the_clock_is_put_ahead() {
        let clock = std::sync::Arc::new(Clock::default());
        clock.hold(true);
        let waits = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(2 * HOUR).await }
        });
        // The sleeper reads the clock before it is moved.
        while clock.state.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(HOUR).expect("near");
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        clock.advance(HOUR).expect("near");
        waits.await.expect("wakes");
    }
}
