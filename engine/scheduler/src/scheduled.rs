//! Moves messages whose time has come from the scheduled to the ready queue. One task.
//!
//! It reads by cursor: everything up to the cursor was moved, so what was removed is not read again. An entry that joins
//! before the cursor moves it back (the observer notes the earliest).

use std::sync::Arc;

use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::message::Position;
use pombo_domain::ports::{Batch, Change, ScheduledEntry, StoreResult, Update};
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};

use crate::context::Context;
use crate::due;
use crate::metrics::Metrics;

const PAGE: usize = 512;

/// Runs until draining.
pub(crate) async fn run(context: Arc<Context>) {
    let mut scheduled = Scheduled { context: context.clone(), cursor: None };
    due::run(&context, &context.signals.scheduled_wake, &mut scheduled).await;
}

struct Scheduled {
    context: Arc<Context>,
    /// Everything up to here was moved.
    cursor: Option<ScheduledEntry>,
}

impl due::Work for Scheduled {
    const FAILED: &'static str = "scheduled messages not moved";

    async fn look(&mut self) -> StoreResult<Option<Timestamp>> {
        if let Some(earliest) = self.context.signals.scheduled.lock().take()
            && self.cursor.is_some_and(|cursor| earliest <= cursor)
        {
            self.cursor = just_before(earliest);
        }
        promote(&self.context, &mut self.cursor).await
    }
}

/// A cursor after which `entry` is the first that is read.
fn just_before(entry: ScheduledEntry) -> Option<ScheduledEntry> {
    let due_at = Timestamp(entry.due_at.0.checked_sub(1)?);
    let key = MessageKey { tenant: TenantIndex(u32::MAX), serial: u64::MAX };
    Some(ScheduledEntry { due_at, connector: ConnectorIndex(u32::MAX), key })
}

/// Moves all messages that are due. Returns when the next one is.
async fn promote(context: &Context, cursor: &mut Option<ScheduledEntry>) -> StoreResult<Option<Timestamp>> {
    let store = &context.ports.store;
    while !context.signals.is_draining() {
        let now = context.ports.clock.now();
        let entries = store.scheduled(now, *cursor, PAGE)?;
        let Some(last) = entries.last().copied() else { break };
        let keys: Vec<MessageKey> = entries.iter().map(|entry| entry.key).collect();
        let mut changes = Vec::with_capacity(keys.len());
        for (entry, stored) in entries.iter().zip(store.messages(&keys)?) {
            let Some(stored) = stored else { continue };
            if stored.state.position(&stored.message) != Position::Scheduled(entry.due_at) {
                continue;
            }
            let Ok(state) = stored.state.due(now) else { continue };
            let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
            changes.push(Change::Update(Update { key: entry.key, state, delivery }));
        }
        if !changes.is_empty() {
            let count = changes.len();
            let committed = store.commit(Batch { changes, skip_stale: true }).await?;
            Metrics::add(&context.metrics.promoted, count - committed.stale.len().min(count));
        }
        *cursor = Some(last);
    }
    // Not `next_scheduled`: reading from the cursor passes over nothing that was removed.
    let next = store.scheduled(Timestamp(crate::FAR), *cursor, 1)?;
    Ok(next.first().map(|entry| entry.due_at))
}
