//! Moves messages whose time has come from the scheduled to the ready queue, and those that were put off until an instant that does not
//! count any more. One task.
//!
//! It reads by cursor: everything up to the cursor was moved, so what was removed is not read again. An entry that joins
//! before the cursor moves it back (the observer notes the earliest). Messages to be released are found by their connector and the
//! instant, which are the beginning of their keys.

use std::collections::VecDeque;
use std::sync::Arc;

use pombo_domain::model::ReasonCode;
use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::message::Position;
use pombo_domain::ports::{Batch, Change, RuleChange, ScheduledEntry, StoreResult, Update};
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};

use crate::context::Context;
use crate::due::{self, StoreRetries};
use crate::metrics::Metrics;
use crate::queued;

const PAGE: usize = 512;

/// Runs until draining.
pub(crate) async fn run(context: Arc<Context>) {
    let retries = StoreRetries::new("messages to strangers not released");
    let releases = VecDeque::new();
    let mut scheduled = Scheduled { context: context.clone(), cursor: None, releases, retries, rests_until: None };
    due::run(&context, &context.signals.scheduled_wake, &mut scheduled).await;
}

struct Scheduled {
    context: Arc<Context>,
    /// Everything up to here was moved.
    cursor: Option<ScheduledEntry>,
    /// What is to be released, the next one first. At most one for each connector and instant.
    releases: VecDeque<Release>,
    /// Failures of releases in a row, and until when they rest after one. Theirs alone: what is due goes on.
    retries: StoreRetries,
    rests_until: Option<Timestamp>,
}

impl due::Work for Scheduled {
    const FAILED: &'static str = "scheduled messages not moved";

    /// Moves what is due, and then takes one step of one release: neither a long release nor one that fails holds up what is due.
    async fn look(&mut self) -> StoreResult<Option<Timestamp>> {
        if let Some(earliest) = self.context.signals.scheduled.lock().take()
            && self.cursor.is_some_and(|cursor| earliest <= cursor)
        {
            self.cursor = just_before(earliest);
        }
        while let Some((connector, at)) = self.context.signals.take_release() {
            // One that is under way begins anew: more messages may have been put off to that instant.
            self.releases.retain(|release| (release.connector, release.at) != (connector, at));
            self.releases.push_back(Release { connector, at, rest: None });
        }
        let promoted = promote(&self.context, &mut self.cursor).await;
        let again = self.release_some().await;
        Ok(promoted?.into_iter().chain(again).min())
    }
}

impl Scheduled {
    /// A step of the first release; when the next step is to be taken. One that is not done, or that failed, goes behind the others.
    async fn release_some(&mut self) -> Option<Timestamp> {
        let now = self.context.ports.clock.now();
        if let Some(until) = self.rests_until.filter(|until| *until > now && !self.releases.is_empty()) {
            return Some(until);
        }
        let mut release = self.releases.pop_front()?;
        let step = release.step(&self.context).await;
        if !matches!(step, Ok(true)) {
            self.releases.push_back(release);
        }
        self.rests_until = match step {
            Ok(_) => {
                self.retries.succeeded();
                None
            }
            Err(error) => Some(self.retries.failed(&self.context, &error)),
        };
        self.rests_until.or_else(|| (!self.releases.is_empty()).then_some(now))
    }
}

/// Moves the messages to strangers that a connector put off to `at` to its ready queue; of those that wait for the end of the channel's
/// cycle as many as may be sent in this one. Then it is noted that this was done.
struct Release {
    connector: ConnectorIndex,
    at: Timestamp,
    /// Behind which entry it goes on, and how many more messages it may move; `None` before the first step.
    rest: Option<(Option<ScheduledEntry>, usize)>,
}

impl Release {
    /// Looks at one page of entries. Whether that was all. While the scheduler drains it does nothing: what is left is stored, and the next
    /// start goes on with it.
    async fn step(&mut self, context: &Context) -> StoreResult<bool> {
        if context.signals.is_draining() {
            return Ok(false);
        }
        let store = &*context.ports.store;
        let (connector, at) = (self.connector, self.at);
        let (cursor, room) =
            self.rest.unwrap_or_else(|| (before_those_of(connector, at), room_for(context, connector, at)));
        let asked = room.min(PAGE);
        let mut entries = if asked == 0 { Vec::new() } else { store.scheduled(at, cursor, asked)? };
        entries.retain(|entry| entry.connector == connector && entry.due_at == at);
        let keys: Vec<MessageKey> = entries.iter().map(|entry| entry.key).collect();
        let now = context.ports.clock.now();
        let mut changes = Vec::with_capacity(keys.len());
        for (key, stored) in keys.iter().zip(queued::messages(store, &keys)?) {
            let Some(stored) = stored else { continue };
            let waits = stored.state.reason.as_ref().is_some_and(|reason| reason.code == ReasonCode::Outreach);
            if !waits || stored.state.position(&stored.message) != Position::Scheduled(at) {
                continue;
            }
            let Ok(state) = stored.state.release(now) else { continue };
            let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
            changes.push(Change::Update(Update { key: *key, state, delivery }));
        }
        let room = room - changes.len();
        move_all(context, changes).await?;
        self.rest = Some((entries.last().copied().or(cursor), room));
        if room > 0 && entries.len() == asked {
            return Ok(false);
        }
        if store.outreach(connector)?.release.contains(&at) {
            let done = Change::Rule(RuleChange::OutreachReleased { connector, at });
            store.commit(Batch::of(vec![done])).await?;
        }
        Ok(true)
    }
}

/// How many messages that were put off to `at` may go now.
fn room_for(context: &Context, connector: ConnectorIndex, at: Timestamp) -> usize {
    let account = context.accounts.of(&*context.ports.store, connector);
    let outreach = account.outreach_now().at(context.ports.clock.now());
    let waits_for_cycle = outreach.cycle_end == Some(at) && outreach.locked_until != Some(at);
    outreach.left().filter(|_| waits_for_cycle).map_or(usize::MAX, |left| left as usize)
}

/// Stores that messages join the ready queue. Those that were changed meanwhile stay as they are.
async fn move_all(context: &Context, changes: Vec<Change>) -> StoreResult<()> {
    let count = changes.len();
    if count == 0 {
        return Ok(());
    }
    let committed = context.ports.store.commit(Batch { changes, skip_stale: true }).await?;
    Metrics::add(&context.metrics.promoted, count - committed.stale.len().min(count));
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
        for (entry, stored) in entries.iter().zip(queued::messages(&**store, &keys)?) {
            let Some(stored) = stored else { continue };
            if stored.state.position(&stored.message) != Position::Scheduled(entry.due_at) {
                continue;
            }
            let Ok(state) = stored.state.due(now) else { continue };
            let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
            changes.push(Change::Update(Update { key: entry.key, state, delivery }));
        }
        move_all(context, changes).await?;
        *cursor = Some(last);
    }
    // Not `next_scheduled`: reading from the cursor passes over nothing that was removed.
    let next = store.scheduled(Timestamp(crate::FAR), *cursor, 1)?;
    Ok(next.first().map(|entry| entry.due_at))
}
