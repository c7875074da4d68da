//! Moves messages whose time has come from the scheduled to the ready queue, and those that were put off until an instant that does not
//! count any more. One task.
//!
//! It reads by cursor: everything up to the cursor was moved, so what was removed is not read again. An entry that joins
//! before the cursor moves it back (the observer notes the earliest). Messages to be released are found by their connector and the
//! instant, which are the beginning of their keys.

use std::sync::Arc;

use pombo_domain::model::ReasonCode;
use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::message::Position;
use pombo_domain::ports::{Batch, Change, RuleChange, ScheduledEntry, StoreResult, Update};
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
        while let Some((connector, at)) = self.context.signals.take_release() {
            if let Err(error) = release(&self.context, connector, at).await {
                self.context.signals.note_releases(connector, &[at]);
                return Err(error);
            }
        }
        promote(&self.context, &mut self.cursor).await
    }
}

/// Moves the messages to strangers that a connector put off to `at` to its ready queue; of those that wait for the end of the channel's
/// cycle as many as may be sent in this one. Then it is noted that this was done. While the scheduler drains, it is left to the next start.
async fn release(context: &Context, connector: ConnectorIndex, at: Timestamp) -> StoreResult<()> {
    let store = &context.ports.store;
    let outreach = context.accounts.of(&**store, connector).outreach_now().at(context.ports.clock.now());
    let waits_for_cycle = outreach.cycle_end == Some(at) && outreach.locked_until != Some(at);
    let mut room = outreach.left().filter(|_| waits_for_cycle).map_or(usize::MAX, |left| left as usize);
    let mut cursor = before_those_of(connector, at);
    while room > 0 {
        if context.signals.is_draining() {
            return Ok(());
        }
        let mut entries = store.scheduled(at, cursor, PAGE)?;
        entries.retain(|entry| entry.connector == connector && entry.due_at == at);
        let Some(last) = entries.last().copied() else { break };
        let keys: Vec<MessageKey> = entries.iter().map(|entry| entry.key).collect();
        let now = context.ports.clock.now();
        let mut changes = Vec::with_capacity(keys.len());
        for (entry, stored) in entries.iter().zip(store.messages(&keys)?) {
            let Some(stored) = stored else { continue };
            let waits = stored.state.reason.as_ref().is_some_and(|reason| reason.code == ReasonCode::Outreach);
            if !waits || stored.state.position(&stored.message) != Position::Scheduled(at) || changes.len() >= room {
                continue;
            }
            let Ok(state) = stored.state.release(now) else { continue };
            let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
            changes.push(Change::Update(Update { key: entry.key, state, delivery }));
        }
        room -= changes.len();
        if !changes.is_empty() {
            let count = changes.len();
            let committed = store.commit(Batch { changes, skip_stale: true }).await?;
            Metrics::add(&context.metrics.promoted, count - committed.stale.len().min(count));
        }
        cursor = Some(last);
    }
    let done = Change::Rule(RuleChange::OutreachReleased { connector, at });
    store.commit(Batch::of(vec![done])).await?;
    Ok(())
}

/// A cursor after which `entry` is the first that is read.
fn just_before(entry: ScheduledEntry) -> Option<ScheduledEntry> {
    let due_at = Timestamp(entry.due_at.0.checked_sub(1)?);
    let key = MessageKey { tenant: TenantIndex(u32::MAX), serial: u64::MAX };
    Some(ScheduledEntry { due_at, connector: ConnectorIndex(u32::MAX), key })
}

/// A cursor after which the entries of a connector at this instant are the first that are read.
fn before_those_of(connector: ConnectorIndex, at: Timestamp) -> Option<ScheduledEntry> {
    let key = MessageKey { tenant: TenantIndex(u32::MAX), serial: u64::MAX };
    match connector.0.checked_sub(1) {
        Some(before) => Some(ScheduledEntry { due_at: at, connector: ConnectorIndex(before), key }),
        None => just_before(ScheduledEntry { due_at: at, connector, key }),
    }
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
