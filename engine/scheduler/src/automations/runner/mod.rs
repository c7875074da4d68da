//! Hands due lanes to tasks of their own. One task; the task that ends a look at a lane also begins the next look.
//!
//! A lane becomes known by a signal. It is read from the store where none came: at the start, when its time has come, and where there
//! were more than fit in memory.

mod item;

use std::sync::Arc;

use pombo_domain::ports::{DueLane, StoreResult};
use pombo_domain::{TenantIndex, Timestamp};
use uuid::Uuid;

use super::fair_queue::{Ending, LaneKey};
use crate::context::Context;
use crate::due;

/// Lanes read at once.
const PAGE: usize = 512;
/// Pages read before other tasks run.
const PAGES: usize = 8;
/// Conversations whose tenant is remembered, at most.
const TENANTS: usize = 65_536;
/// A lane whose task panicked is looked at again after this.
const AFTER_PANIC_MS: i64 = 5_000;

/// A look at a lane. Dropped without [`Lease::end`], by a panic or an abort, it is looked at again.
pub(super) struct Lease {
    pub(super) context: Arc<Context>,
    pub(super) key: LaneKey,
    ending: Option<Ending>,
}

impl Lease {
    /// Its automations have answered: others may be called while it is stored.
    pub(super) fn called(&self) {
        self.context.automations.queue.lock().called(self.key);
        pump(&self.context);
    }

    pub(super) fn end(mut self, ending: Ending) {
        self.ending = Some(ending);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let dispatcher = &self.context.automations;
        let after_panic = || Ending::Later(self.context.ports.clock.now().plus_ms(AFTER_PANIC_MS), None);
        let ending = self.ending.unwrap_or_else(after_panic);
        let (room, idle) = {
            let mut queue = dispatcher.queue.lock();
            (queue.ended(self.key, ending), queue.is_idle())
        };
        if self.ending.is_some() {
            pump(&self.context);
        }
        if idle {
            dispatcher.idle.notify_one();
        }
        if room || matches!(ending, Ending::Later(..)) {
            // The runner reads on, and must know when to wake. After an abort nothing is begun here: the runtime may be ending.
            self.context.signals.automations.wake.notify_one();
        }
    }
}

/// Begins the lanes that may begin, each on a task of its own.
fn pump(context: &Arc<Context>) {
    let dispatcher = &context.automations;
    while !context.signals.is_draining() {
        let Some((key, lane_state)) = dispatcher.queue.lock().next() else { break };
        let lease = Lease { context: context.clone(), key, ending: None };
        let mut tasks = dispatcher.tasks.lock();
        tasks.spawn(item::run(lease, lane_state));
        while let Some(ended) = tasks.try_join_next() {
            if ended.is_err_and(|error| error.is_panic()) {
                tracing::error!("handling an event panicked; it is handled again");
            }
        }
    }
}

/// Ends what is under way when the runner is ended.
struct AbortOnDrop(Arc<Context>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.automations.tasks.lock().abort_all();
    }
}

/// Runs until draining, then until what is under way has ended.
pub(crate) async fn run(context: Arc<Context>) {
    let _abort = AbortOnDrop(context.clone());
    let mut look = Look { context: context.clone(), from: Some(None), next: None };
    due::run(&context, &context.signals.automations.wake, &mut look).await;
    let dispatcher = &context.automations;
    while !dispatcher.queue.lock().is_idle() {
        dispatcher.idle.notified().await;
    }
}

/// The runner, with what it knows about the lanes on disk.
struct Look {
    context: Arc<Context>,
    /// Due lanes are to be read from the store, after this one (from the first with an inner `None`).
    from: Option<Option<DueLane>>,
    /// When a lane becomes due for which no signal comes.
    next: Option<Timestamp>,
}

impl due::Work for Look {
    const FAILED: &'static str = "events for automations not read";

    async fn look(&mut self) -> StoreResult<Option<Timestamp>> {
        // 1. What became due is offered to the queue.
        let read = self.offer_due();
        // 2. What was put off until now joins it.
        let now = self.context.ports.clock.now();
        let put_off = self.context.automations.queue.lock().tick(now);
        // 3. What may begin begins, even if the store failed.
        pump(&self.context);
        read?;
        // 4. Again at once while the store has more that fits.
        let more = self.from.is_some() || self.context.automations.queue.lock().starved().is_some();
        Ok(if more { Some(now) } else { [self.next, put_off].into_iter().flatten().min() })
    }
}

impl Look {
    /// Offers the queue the lanes that were signalled, and those that became due on disk.
    fn offer_due(&mut self) -> StoreResult<()> {
        let context = self.context.clone();
        let context = &*context;
        let now = context.ports.clock.now();
        let pending = context.signals.automations.take();
        if pending.changed {
            context.automations.queue.lock().reconsider();
            context.automations.preparations.changed(&*context.ports.store);
        }
        if pending.lost {
            self.from = Some(None);
        }
        for (n, due) in pending.lanes.iter().enumerate() {
            if due.due_at > now {
                self.next = Some(self.next.map_or(due.due_at, |next| next.min(due.due_at)));
            } else if let Err(error) = offer(context, *due) {
                // The rest is read again.
                tracing::debug!(unread = pending.lanes.len() - n, "lanes are read from the store");
                self.from = Some(None);
                return Err(error);
            }
        }
        if let Some(next) = self.next.filter(|next| *next <= now) {
            // Everything before it was offered.
            let before = DueLane { due_at: next.plus_ms(-1), conversation: Uuid::max(), lane: u32::MAX };
            self.from = Some(self.from.map_or(Some(before), |from| from.min(Some(before))));
            self.next = None;
        }
        self.read(context, now)?;
        self.refill(context, now)
    }

    /// Reads due lanes from the store.
    fn read(&mut self, context: &Context, now: Timestamp) -> StoreResult<()> {
        for _ in 0..PAGES {
            let Some(after) = self.from else { return Ok(()) };
            let page = context.ports.store.due_lanes(now, after, PAGE)?;
            for due in &page {
                offer(context, *due)?;
            }
            if page.len() == PAGE {
                self.from = Some(page.last().copied());
                continue;
            }
            self.from = None;
            // What follows is not due yet.
            let all = DueLane { due_at: now, conversation: Uuid::max(), lane: u32::MAX };
            let coming = context.ports.store.due_lanes(Timestamp(i64::MAX), Some(all), 1)?;
            self.next = [self.next, coming.first().map(|due| due.due_at)].into_iter().flatten().min();
        }
        Ok(())
    }

    /// Reads on for tenants that had more lanes than fit in memory.
    fn refill(&mut self, context: &Context, now: Timestamp) -> StoreResult<()> {
        for _ in 0..PAGES {
            let Some((tenant, after)) = context.automations.queue.lock().starved() else { return Ok(()) };
            let page = context.ports.store.due_lanes(now, after, PAGE)?;
            let mut own = Vec::new();
            for due in &page {
                if tenant_of(context, due.conversation)? == Some(tenant) {
                    own.push(*due);
                }
            }
            let rest = if page.len() == PAGE { page.last().copied() } else { None };
            context.automations.queue.lock().refilled(tenant, &own, rest);
        }
        Ok(())
    }
}

fn offer(context: &Context, due: DueLane) -> StoreResult<()> {
    if let Some(tenant) = tenant_of(context, due.conversation)? {
        context.automations.queue.lock().offer(due, tenant);
    }
    Ok(())
}

/// The tenant that the conversation belongs to.
fn tenant_of(context: &Context, conversation: Uuid) -> StoreResult<Option<TenantIndex>> {
    let tenants = &context.automations.tenants;
    if let Some(known) = tenants.lock().get(&conversation) {
        return Ok(Some(*known));
    }
    let Some(found) = context.ports.store.conversation(conversation)? else { return Ok(None) };
    let mut tenants = tenants.lock();
    if tenants.len() >= TENANTS {
        tenants.clear();
    }
    tenants.insert(conversation, found.tenant);
    Ok(Some(found.tenant))
}
