//! Ends a guest that runs for too long without giving way to the host.
//!
//! The epoch's callback counts a tick whenever a guest is found running; the host's own part of the store's event loop sets
//! the count back whenever it gets its turn. A guest that spins starves that part, timers included, so the verdict is taken
//! outside: by the task that polls the future that drives the store.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use crate::limits::TICK;

/// How many ticks the guest of one store has run without giving way.
#[derive(Debug)]
pub(crate) struct CpuWatchdog {
    ticks: AtomicU32,
    limit: u32,
}

/// The guest ran longer than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuExceeded;

impl CpuWatchdog {
    pub(crate) fn new(cpu: Duration) -> Arc<Self> {
        let limit = (cpu.as_millis() / TICK.as_millis()).clamp(1, 1 << 20) as u32;
        Arc::new(Self { ticks: AtomicU32::new(0), limit })
    }

    /// Counts a tick at which the guest was found running.
    pub(crate) fn tick(&self) {
        self.ticks.fetch_add(1, Relaxed);
    }

    /// Sets the count back: the host has its turn.
    pub(crate) fn reset(&self) {
        self.ticks.store(0, Relaxed);
    }

    fn exhausted(&self) -> bool {
        self.ticks.load(Relaxed) > self.limit
    }

    /// Polls the host's part inside the store's event loop.
    pub(crate) async fn inside<F: Future>(&self, host: F) -> F::Output {
        let mut host = pin!(host);
        poll_fn(|cx| {
            self.reset();
            host.as_mut().poll(cx)
        })
        .await
    }

    /// Polls the future that drives the store, and gives up on it when the guest does not give way. The caller must then drop
    /// the store: nothing else ends the guest.
    pub(crate) async fn outside<F: Future>(&self, store: F) -> Result<F::Output, CpuExceeded> {
        let mut store = pin!(store);
        self.reset();
        poll_fn(|cx| match store.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending if self.exhausted() => Poll::Ready(Err(CpuExceeded)),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}
