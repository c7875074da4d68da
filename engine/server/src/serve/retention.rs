//! Deletes what is too old, in separate tasks from start to drain: events that are older than `events.retention_days`, access
//! tokens that nobody uses, and counts of messages. Knows nothing of their contents.

use std::sync::Arc;
use std::time::Duration;

use pombo_domain::Timestamp;
use pombo_domain::commands::Commands;
use pombo_domain::ports::{Clock, Store, StoreResult};
use tokio_util::sync::CancellationToken;

/// How often it checks.
const EVERY: Duration = Duration::from_secs(3600);

/// Maximum number of events deleted in one step, with a pause after it, so that writers are not slowed down.
const STEP: usize = 1000;
const REST: Duration = Duration::from_millis(50);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Deletes old events now and every hour, until `draining`.
pub(super) async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, days: u32, draining: CancellationToken) {
    loop {
        let before = clock.now().plus_ms(-i64::from(days) * DAY_MS);
        match draining.run_until_cancelled(forget(&*store, before, REST)).await {
            Some(Ok(0)) => {}
            Some(Ok(events)) => tracing::info!(events, "old events were deleted"),
            // The store says so in its health, too; the next look may find it repaired.
            Some(Err(error)) => tracing::warn!(%error, "old events could not be deleted"),
            None => return,
        }
        if draining.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

/// Deletes unused access tokens now and every hour, until `draining`.
pub(super) async fn forget_tokens(commands: Commands, draining: CancellationToken) {
    loop {
        match draining.run_until_cancelled(commands.forget_unused_tokens()).await {
            Some(Ok(0)) => {}
            Some(Ok(tokens)) => tracing::info!(tokens, "unused access tokens were deleted"),
            Some(Err(error)) => tracing::warn!(%error, "unused access tokens could not be deleted"),
            None => return,
        }
        if draining.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

/// Deletes counts that are too old, now and every hour, until `draining`.
pub(super) async fn forget_stats(commands: Commands, draining: CancellationToken) {
    loop {
        match draining.run_until_cancelled(commands.forget_stats()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => tracing::warn!(%error, "old counts of messages could not be deleted"),
            None => return,
        }
        if draining.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

/// Deletes all events older than `before`, in steps; returns how many.
async fn forget(store: &dyn Store, before: Timestamp, rest: Duration) -> StoreResult<usize> {
    let mut all = 0;
    loop {
        let forgotten = store.forget_events(before, STEP).await?;
        all += forgotten;
        if forgotten < STEP {
            return Ok(all);
        }
        tokio::time::sleep(rest).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::SystemClock;
    use crate::adapters::entropy::OsEntropy;
    use pombo_domain::model::{EventBody, NewEvent};
    use pombo_domain::ports::{AppendEvent, Batch, Change};
    use pombo_domain::{ConnectorIndex, TenantIndex};

    #[tokio::test]
    async fn all_that_is_too_old_goes_in_several_steps_and_the_rest_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = pombo_store::open(
            pombo_store::Options::default(),
            folder.path(),
            Arc::new(SystemClock),
            Arc::new(OsEntropy),
        )
        .expect("opens");
        let tenant = TenantIndex(1);
        let now = SystemClock.now();
        let event = |n: i64| {
            let body = EventBody::Other(String::new(), String::new());
            let at = now.plus_ms(n - 2500 - 3 * DAY_MS);
            let event = NewEvent { id: uuid::Uuid::from_u128(n as u128), connector: ConnectorIndex(1), at, body };
            Change::Event(AppendEvent { tenant, event, once: None })
        };
        store.commit(Batch::of((0..2503).map(event).collect())).await.expect("stored");
        let before = now.plus_ms(-3 * DAY_MS);
        assert_eq!(forget(&*store, before, Duration::ZERO).await, Ok(2500));
        let (left, _) = store.events(tenant, &Default::default(), 0, 9).expect("readable");
        assert_eq!(left.len(), 3);

        // The task does it by itself, once it runs, and ends with the drain.
        let draining = CancellationToken::new();
        let task = tokio::spawn(run(store.clone(), Arc::new(SystemClock), 2, draining.clone()));
        while !store.events(tenant, &Default::default(), 0, 9).expect("readable").0.is_empty() {
            tokio::task::yield_now().await;
        }
        draining.cancel();
        task.await.expect("ends");
    }
}
