//! The loop of a task that does what is due: look, sleep until the next instant or a wake, look again. A store that fails is
//! counted, logged once, and asked again after growing pauses, however the task waits.
//!
//! - [`run`]: the loop itself; a task brings its [`Work`].
//! - [`StoreRetries`]: failures in a row, also for what repeats one commit until the store takes it.

use std::future;

use pombo_domain::Timestamp;
use pombo_domain::ports::{StoreError, StoreResult};
use tokio::sync::Notify;

use crate::context::Context;
use crate::metrics::Metrics;

/// What a task does when it looks.
pub(crate) trait Work {
    /// What could not be done when the store failed, for the log: `timers not fired`.
    const FAILED: &'static str;
    /// Whether a wake ends the pause after a failure: so where it comes from a commit, which shows that the store works again.
    const WAKE_ENDS_PAUSE: bool = true;

    /// Whether the task ends. Asked before each look.
    fn is_over(&self, context: &Context) -> bool {
        context.signals.is_draining()
    }

    /// Does what is due; returns when it is to look again even if nothing wakes it. After an error it is called again later, and
    /// must not have forgotten what it did not do.
    fn look(&mut self) -> impl Future<Output = StoreResult<Option<Timestamp>>> + Send;

    /// Completes when there is a reason to look that neither the instant nor the wake tells. Must be cancel safe.
    fn own_wake(&mut self) -> impl Future<Output = ()> + Send {
        future::pending()
    }
}

/// Runs `work` until it is over; `wake` is rung when there may be something new, and to see that it is over.
///
/// 1. End where the work is over.
/// 2. Do what is due.
/// 3. Where the store failed: count it, log the first of a row, and set the next instant by the backoff.
/// 4. Sleep until the next instant, the wake, or the work's own wake.
pub(crate) async fn run<W: Work>(context: &Context, wake: &Notify, work: &mut W) {
    let mut retries = StoreRetries::new(W::FAILED);
    loop {
        // 1.
        if work.is_over(context) {
            return;
        }
        // 2.
        let next = match work.look().await {
            Ok(next) => {
                retries.succeeded();
                next
            }
            // 3.
            Err(error) => Some(retries.failed(context, &error)),
        };
        // 4.
        if next.is_some_and(|next| next <= context.ports.clock.now()) {
            tokio::task::yield_now().await;
            continue;
        }
        let pauses = !W::WAKE_ENDS_PAUSE && retries.are_under_way();
        loop {
            tokio::select! {
                () = wake.notified() => {}
                () = work.own_wake() => {}
                () = sleep_until(context, next) => break,
            }
            if !pauses || work.is_over(context) {
                break;
            }
        }
    }
}

/// Sleeps until `at`, or forever.
pub(crate) async fn sleep_until(context: &Context, at: Option<Timestamp>) {
    match at {
        Some(at) => context.ports.clock.sleep_until(at).await,
        None => future::pending().await,
    }
}

/// Failures of the store in a row.
pub(crate) struct StoreRetries {
    what: &'static str,
    failures: u32,
}

impl StoreRetries {
    /// None so far; `what` could not be done, for the log.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, failures: 0 }
    }

    /// Whether the store failed last.
    fn are_under_way(&self) -> bool {
        self.failures > 0
    }

    /// The store answered: the next failure is the first of a row.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The store failed: counts it and logs the first of a row; when to try again.
    pub(crate) fn failed(&mut self, context: &Context, error: &StoreError) -> Timestamp {
        self.failures = self.failures.saturating_add(1);
        Metrics::add(&context.metrics.store_errors, 1);
        if self.failures == 1 {
            tracing::error!(%error, "{}; trying again", self.what);
        }
        let pause = context.options.store_retry.delay_ms(self.failures, context.ports.entropy.u64());
        context.ports.clock.now().plus_ms(pause.max(1))
    }
}
