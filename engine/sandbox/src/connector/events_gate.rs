//! The gate in front of a connector's events: one after another, in the order of the calls, and no faster than a bound that
//! keeps a plugin from filling the disk. It outlives restarts, so that failing earns nothing.

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Duration, Instant};

use crate::limits::Limits;

/// What was not used in so many seconds may be used at once: a session that comes back reports the messages that it missed.
const BURST_SECONDS: f64 = 60.0;

/// One connector's gate.
#[derive(Debug)]
pub(crate) struct EventsGate {
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

impl EventsGate {
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
        let wait = self.lack(&mut left, Instant::now(), events as f64, bytes as f64);
        if wait > Duration::ZERO {
            // Given up during the sleep, a call has spent nothing.
            tokio::time::sleep(wait).await;
        }
        left.events -= events as f64;
        left.bytes -= bytes as f64;
        Turn { _turn: left }
    }

    /// Adds what the time since the last call brought; how long until there is enough.
    fn lack(&self, left: &mut Spent, now: Instant, events: f64, bytes: f64) -> Duration {
        let passed = now.saturating_duration_since(left.at).as_secs_f64();
        left.at = now;
        left.events = (left.events + passed * self.events.per_second).min(self.events.burst);
        left.bytes = (left.bytes + passed * self.bytes.per_second).min(self.bytes.burst);
        // What is slept for comes with the next call: until then it is owed.
        let lack = |left: f64, rate: &Rate| (-left / rate.per_second).max(0.0);
        let wait = lack(left.events - events, &self.events).max(lack(left.bytes - bytes, &self.bytes));
        Duration::from_secs_f64(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> EventsGate {
        EventsGate::new(&Limits { events_per_second: 10, event_bytes_per_second: 1000, ..Limits::default() })
    }

    /// How long `count` calls of `bytes` each are made to wait in all, one after another.
    fn waited(gate: &EventsGate, left: &mut Spent, count: usize, bytes: f64) -> f64 {
        let start = left.at;
        let mut now = start;
        for _ in 0..count {
            now += gate.lack(left, now, 1.0, bytes);
            left.events -= 1.0;
            left.bytes -= bytes;
        }
        now.duration_since(start).as_secs_f64()
    }

    #[tokio::test]
    async fn a_burst_passes_at_once_and_a_flood_at_the_rate() {
        let gate = gate();
        let mut left = gate.turn.lock().await;
        assert_eq!(waited(&gate, &mut left, 600, 10.0), 0.0);
        let flood = waited(&gate, &mut left, 50, 10.0);
        assert!((4.9..5.1).contains(&flood), "{flood}");
    }

    #[tokio::test]
    async fn large_events_count_by_their_bytes() {
        let gate = gate();
        let mut left = gate.turn.lock().await;
        assert_eq!(waited(&gate, &mut left, 1, 60_000.0), 0.0);
        let large = waited(&gate, &mut left, 2, 30_000.0);
        assert!((59.9..60.1).contains(&large), "{large}");
    }

    #[tokio::test]
    async fn the_next_call_waits_for_the_one_before() {
        let gate = gate();
        let first = gate.enter(1, 1).await;
        let mut second = std::pin::pin!(gate.enter(1, 1));
        assert!(futures::poll!(second.as_mut()).is_pending());
        drop(first);
        second.await;
    }
}
