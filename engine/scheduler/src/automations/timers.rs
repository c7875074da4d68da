//! Makes timers that ran out into events. One task. A timer is taken away and its event stored in one batch.

use std::sync::Arc;

use pombo_domain::Timestamp;
use pombo_domain::ports::{AutomationChange, Batch, Change, StoreResult};

use crate::context::Context;
use crate::metrics::Metrics;
use crate::rules::draw::Draw;

/// Timers of one batch.
const PAGE: usize = 256;

/// Runs until draining.
pub(crate) async fn run(context: Arc<Context>) {
    let clock = &context.ports.clock;
    let bell = &context.notes.bell;
    let mut draw = Draw::new(context.ports.entropy.u64());
    // The first is looked for at once.
    let mut next = Some(Timestamp(i64::MIN));
    let mut failures = 0;
    while !context.notes.is_draining() {
        if let Some(set) = bell.timer() {
            next = Some(next.map_or(set, |next| next.min(set)));
        }
        if next.is_some_and(|next| next <= clock.now()) {
            next = match fire(&context).await {
                Ok(next) => {
                    failures = 0;
                    next
                }
                Err(error) => {
                    failures += 1;
                    Metrics::add(&context.metrics.store_errors, 1);
                    if failures == 1 {
                        tracing::error!(%error, "timers not fired; trying again");
                    }
                    Some(clock.now().plus_ms(context.options.store_retry.delay_ms(failures, draw.seed()).max(1)))
                }
            };
            continue;
        }
        let until = async {
            match next {
                Some(next) => clock.sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = bell.timers_wake.notified() => {}
            () = until => {}
        }
    }
}

/// Fires all that ran out; when the next one does.
async fn fire(context: &Context) -> StoreResult<Option<Timestamp>> {
    let store = &context.ports.store;
    while !context.notes.is_draining() {
        let due = store.timers_due(context.ports.clock.now(), PAGE)?;
        if due.is_empty() {
            break;
        }
        let count = due.len();
        let fire = |key| {
            let id = context.ports.entropy.uuid();
            Change::Automation(Box::new(AutomationChange::FireTimer(key, id)))
        };
        store.commit(Batch::of(due.into_iter().map(fire).collect())).await?;
        Metrics::add(&context.metrics.automation_timers, count);
    }
    store.next_timer()
}
