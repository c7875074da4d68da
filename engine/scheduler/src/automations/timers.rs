//! Makes timers that ran out into events, and ends the pauses that end by themselves. One task. A timer is removed and its event stored in
//! one batch; so is a pause ended, with its event and all that waited for its end. A pause that cannot be ended because what belongs to it is
//! damaged holds up nothing else: it is passed over until the next start.

use std::collections::BTreeSet;
use std::sync::Arc;

use pombo_domain::Timestamp;
use pombo_domain::ports::{AutomationChange, Batch, Change, PauseEnd, StoreError, StoreResult};

use crate::context::Context;
use crate::due;
use crate::metrics::Metrics;

/// Timers fired in one batch, and pauses ended in one, at most.
const PAGE: usize = 256;
/// Why a pause ended, in its event.
const PAUSE_OVER: &str = "nothing more was written on the phone";

/// Runs until draining.
pub(crate) async fn run(context: Arc<Context>) {
    // The first is looked for at once.
    let mut timers = Timers { context: context.clone(), next: Some(Timestamp(i64::MIN)), damaged: BTreeSet::new() };
    due::run(&context, &context.signals.automations.timers_wake, &mut timers).await;
}

struct Timers {
    context: Arc<Context>,
    /// When the next timer runs out or the next pause ends, as far as is known.
    next: Option<Timestamp>,
    /// Pauses that are over and cannot be ended. Not more than there are pauses: each is read from among them.
    damaged: BTreeSet<PauseEnd>,
}

impl due::Work for Timers {
    const FAILED: &'static str = "timers not fired, and pauses not ended";

    async fn look(&mut self) -> StoreResult<Option<Timestamp>> {
        if let Some(set) = self.context.signals.automations.timer() {
            self.next = Some(self.next.map_or(set, |next| next.min(set)));
        }
        if self.next.is_some_and(|next| next <= self.context.ports.clock.now()) {
            // Timers that come due at the end of a pause are handled after what waited for it.
            let pause = end_pauses(&self.context, &mut self.damaged).await;
            // What fails there must not keep timers.
            let timer = fire(&self.context).await;
            self.next = pause?.into_iter().chain(timer?).min();
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

/// Ends all pauses whose time has come, but for those that are damaged. Returns when the next one ends.
async fn end_pauses(context: &Context, damaged: &mut BTreeSet<PauseEnd>) -> StoreResult<Option<Timestamp>> {
    let store = &context.ports.store;
    let mut after = None;
    while !context.signals.is_draining() {
        let due = store.pauses_ending(context.ports.clock.now(), after, PAGE)?;
        let Some(last) = due.last().copied() else { break };
        let due: Vec<PauseEnd> = due.into_iter().filter(|end| !damaged.contains(end)).collect();
        if !due.is_empty() {
            match store.commit(ends(context, &due)).await {
                Err(StoreError::Damaged(_)) => end_singly(context, &due, damaged).await?,
                ended => drop(ended?),
            }
        }
        after = Some(last);
    }
    store.next_pause_end(after)
}

/// Ends these pauses one by one, because one of them is damaged.
async fn end_singly(context: &Context, due: &[PauseEnd], damaged: &mut BTreeSet<PauseEnd>) -> StoreResult<()> {
    for end in due {
        match context.ports.store.commit(ends(context, &[*end])).await {
            Err(StoreError::Damaged(what)) => {
                tracing::error!(conversation = %end.conversation, what, "a pause cannot be ended: it is damaged");
                damaged.insert(*end);
            }
            ended => drop(ended?),
        }
    }
    Ok(())
}

/// The batch that ends these pauses.
fn ends(context: &Context, due: &[PauseEnd]) -> Batch {
    let end = |end: &PauseEnd| {
        let (end, event, reason) = (*end, context.ports.entropy.uuid(), PAUSE_OVER.to_owned());
        Change::Automation(Box::new(AutomationChange::EndPause { end, event, reason }))
    };
    Batch::of(due.iter().map(end).collect())
}
