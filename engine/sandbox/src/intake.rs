//! The gate in front of a connector's events: one after another, in the order of the calls, and no faster than a bound that
//! keeps a plugin from filling the disk. It outlives restarts, so that failing earns nothing.

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Duration, Instant};

use crate::limits::Limits;

/// What was not used in so many seconds may be used at once: a session that comes back has its offline messages to tell.
const BURST_SECONDS: f64 = 60.0;

/// One connector's gate.
#[derive(Debug)]
pub(crate) struct Intake {
    turn: Mutex<Spent>,
    events: Rate,
    bytes: Rate,
}

#[derive(Debug)]
struct Rate {
    per_second: f64,
    burst: f64,
}

/// What is left, at an instant.
#[derive(Debug)]
struct Spent {
    events: f64,
    bytes: f64,
    at: Instant,
}

/// The turn of one call; the next one waits until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'g> {
    _turn: MutexGuard<'g, Spent>,
}

impl Intake {
    pub(crate) fn new(limits: &Limits) -> Self {
        let rate = |per_second: f64| Rate { per_second, burst: per_second * BURST_SECONDS };
        let (events, bytes) =
            (rate(f64::from(limits.events_per_second.max(1))), rate(limits.event_bytes_per_second.max(1) as f64));
        let full = Spent { events: events.burst, bytes: bytes.burst, at: Instant::now() };
        Self { turn: Mutex::new(full), events, bytes }
    }

    /// Waits for the calls before and then for the bound.
    pub(crate) async fn enter(&self, events: usize, bytes: usize) -> Turn<'_> {
        let mut left = self.turn.lock().await;
        let now = Instant::now();
        let passed = now.duration_since(left.at).as_secs_f64();
        left.at = now;
        left.events = (left.events + passed * self.events.per_second).min(self.events.burst);
        left.bytes = (left.bytes + passed * self.bytes.per_second).min(self.bytes.burst);
        // It may go below nothing by one call, and is waited for by that same call.
        let (events, bytes) = (events as f64, bytes as f64);
        let lack = |left: f64, rate: &Rate| (-left / rate.per_second).max(0.0);
        let wait = lack(left.events - events, &self.events).max(lack(left.bytes - bytes, &self.bytes));
        if wait > 0.0 {
            // Given up during the sleep, a call has spent nothing.
            tokio::time::sleep(Duration::from_secs_f64(wait)).await;
        }
        left.events -= events;
        left.bytes -= bytes;
        Turn { _turn: left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Intake {
        Intake::new(&Limits { events_per_second: 10, event_bytes_per_second: 1000, ..Limits::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_a_flood_at_the_rate() {
        let gate = gate();
        let start = Instant::now();
        for _ in 0..600 {
            gate.enter(1, 10).await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..50 {
            gate.enter(1, 10).await;
        }
        let waited = start.elapsed().as_secs_f64();
        assert!((4.9..5.3).contains(&waited), "{waited}");
    }

    #[tokio::test(start_paused = true)]
    async fn large_events_count_by_their_bytes() {
        let gate = gate();
        let start = Instant::now();
        gate.enter(1, 60_000).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        gate.enter(1, 30_000).await;
        let waited = start.elapsed().as_secs_f64();
        assert!((29.9..30.1).contains(&waited), "{waited}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_call_waits_for_the_one_before() {
        let gate = gate();
        let first = gate.enter(1, 1).await;
        let second = tokio::time::timeout(Duration::from_secs(5), gate.enter(1, 1)).await;
        assert!(second.is_err());
        drop(first);
        gate.enter(1, 1).await;
    }
}
