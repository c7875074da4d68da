//! Makes timers that ran out into events. One task. A timer is removed and its event stored in one batch.

use std::sync::Arc;

use pombo_domain::Timestamp;
use pombo_domain::ports::{AutomationChange, Batch, Change, StoreResult};

use crate::context::Context;
use crate::due;
use crate::metrics::Metrics;

/// Timers fired in one batch, at most.
const PAGE: usize = 256;

/// Runs until draining.
pub(crate) async fn run(context: Arc<Context>) {
    // The first is looked for at once.
    let mut timers = Timers { context: context.clone(), next: Some(Timestamp(i64::MIN)) };
    due::run(&context, &context.signals.automations.timers_wake, &mut timers).await;
}

struct Timers {
    context: Arc<Context>,
    /// When the next timer runs out, as far as is known.
    next: Option<Timestamp>,
}

impl due::Work for Timers {
    const FAILED: &'static str = "timers not fired";

    async fn look(&mut self) -> StoreResult<Option<Timestamp>> {
        if let Some(set) = self.context.signals.automations.timer() {
            self.next = Some(self.next.map_or(set, |next| next.min(set)));
        }
        if self.next.is_some_and(|next| next <= self.context.ports.clock.now()) {
            self.next = fire(&self.context).await?;
        }
        Ok(self.next)
    }
}

/// Fires all timers that ran out. Returns when the next one does.
async fn fire(context: &Context) -> StoreResult<Option<Timestamp>> {
    let store = &context.ports.store;
    while !context.signals.is_draining() {
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
