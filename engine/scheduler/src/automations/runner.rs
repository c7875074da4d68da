//! Hands due lanes to tasks of their own. One task; whoever ends a look at a lane begins the next one itself.
//!
//! A lane becomes known by the bell, or is read where nobody rang: at the start, when its time has come, and where there were more
//! than fit in memory.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pombo_domain::ports::{DueLane, StoreResult};
use pombo_domain::{TenantIndex, Timestamp};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::item;
use super::prepared::Preparations;
use super::turns::{Ending, LaneKey, Limits, TurnCounts, Turns};
use crate::context::Context;
use crate::metrics::Metrics;
use crate::options::AutomationOptions;
use crate::rules::draw::Draw;

/// Lanes read at once.
const PAGE: usize = 512;
/// Pages read before others run.
const PAGES: usize = 8;
/// Conversations whose tenant is remembered.
const TENANTS: usize = 65_536;
/// Conversations marked as read at once; beyond, they stay unread.
const READING: usize = 32;
/// A lane whose task panicked is looked at again after this.
const AFTER_PANIC_MS: i64 = 5_000;

/// What the tasks of automations share.
pub(crate) struct Floor {
    turns: Mutex<Turns>,
    tenants: Mutex<HashMap<Uuid, TenantIndex>>,
    pub(super) preparations: Preparations,
    pub(super) reading: Arc<Semaphore>,
    tasks: Mutex<JoinSet<()>>,
    /// The last one under way has ended.
    idle: Notify,
}

impl Floor {
    pub(crate) fn new(options: &AutomationOptions) -> Self {
        let limits = Limits {
            in_flight: options.in_flight,
            in_flight_per_tenant: options.in_flight_per_tenant,
            queued_per_tenant: options.queued_per_tenant,
        };
        Self {
            turns: Mutex::new(Turns::new(limits)),
            tenants: Mutex::default(),
            preparations: Preparations::default(),
            reading: Arc::new(Semaphore::new(READING)),
            tasks: Mutex::default(),
            idle: Notify::new(),
        }
    }

    pub(crate) fn counts(&self) -> TurnCounts {
        self.turns.lock().counts()
    }
}

/// A look at a lane. Dropped without [`Slot::end`], by a panic or an abort, it is looked at again.
pub(super) struct Slot {
    pub(super) context: Arc<Context>,
    pub(super) key: LaneKey,
    ending: Option<Ending>,
}

impl Slot {
    /// Its automations have answered: others may be called while it is stored.
    pub(super) fn called(&self) {
        self.context.automations.turns.lock().called(self.key);
        pump(&self.context);
    }

    pub(super) fn end(mut self, ending: Ending) {
        self.ending = Some(ending);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let floor = &self.context.automations;
        let after_panic = || Ending::Later(self.context.ports.clock.now().plus_ms(AFTER_PANIC_MS), None);
        let ending = self.ending.unwrap_or_else(after_panic);
        let (room, idle) = {
            let mut turns = floor.turns.lock();
            (turns.ended(self.key, ending), turns.is_idle())
        };
        if self.ending.is_some() {
            pump(&self.context);
        }
        if idle {
            floor.idle.notify_one();
        }
        if room || matches!(ending, Ending::Later(..)) {
            // The runner reads on, and must know when to wake. After an abort nothing is begun here: the runtime may be ending.
            self.context.notes.bell.wake.notify_one();
        }
    }
}

/// Begins what may begin.
fn pump(context: &Arc<Context>) {
    let floor = &context.automations;
    while !context.notes.is_draining() {
        let Some((key, note)) = floor.turns.lock().next() else { break };
        let slot = Slot { context: context.clone(), key, ending: None };
        let mut tasks = floor.tasks.lock();
        tasks.spawn(item::run(slot, note));
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
    let clock = context.ports.clock.clone();
    let (bell, floor) = (&context.notes.bell, &context.automations);
    let mut draw = Draw::new(context.ports.entropy.u64());
    let mut look = Look { from: Some(None), next: None };
    let mut failures = 0;
    while !context.notes.is_draining() {
        let retry_at = match look.work(&context) {
            Ok(()) => {
                failures = 0;
                None
            }
            Err(error) => {
                failures += 1;
                Metrics::add(&context.metrics.store_errors, 1);
                if failures == 1 {
                    tracing::error!(%error, "events for automations not read; trying again");
                }
                Some(clock.now().plus_ms(context.options.store_retry.delay_ms(failures, draw.seed()).max(1)))
            }
        };
        let put_off = floor.turns.lock().tick(clock.now());
        pump(&context);
        let more = retry_at.is_none() && (look.from.is_some() || floor.turns.lock().hungry().is_some());
        if more {
            tokio::task::yield_now().await;
            continue;
        }
        let next = match retry_at {
            Some(at) => Some(at),
            None => [look.next, put_off].into_iter().flatten().min(),
        };
        let until = async {
            match next {
                Some(next) => clock.sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = bell.wake.notified() => {}
            () = until => {}
        }
    }
    while !floor.turns.lock().is_idle() {
        floor.idle.notified().await;
    }
}

/// What the runner knows of the lanes on disk.
struct Look {
    /// What is due is to be read, after this lane (from the first, with an inner `None`).
    from: Option<Option<DueLane>>,
    /// When a lane becomes due that nobody rings for.
    next: Option<Timestamp>,
}

impl Look {
    /// Takes what was rung, and reads what became due.
    fn work(&mut self, context: &Context) -> StoreResult<()> {
        let now = context.ports.clock.now();
        let rung = context.notes.bell.heard();
        if rung.changed {
            context.automations.turns.lock().reconsider();
            context.automations.preparations.changed(context);
        }
        if rung.lost {
            self.from = Some(None);
        }
        for (n, due) in rung.lanes.iter().enumerate() {
            if due.due_at > now {
                self.next = Some(self.next.map_or(due.due_at, |next| next.min(due.due_at)));
            } else if let Err(error) = offer(context, *due) {
                // The rest is read again.
                tracing::debug!(unread = rung.lanes.len() - n, "lanes are read from the store");
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
        self.feed(context, now)
    }

    /// Reads what is due.
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

    /// Reads on for tenants that had more than fit.
    fn feed(&mut self, context: &Context, now: Timestamp) -> StoreResult<()> {
        for _ in 0..PAGES {
            let Some((tenant, after)) = context.automations.turns.lock().hungry() else { return Ok(()) };
            let page = context.ports.store.due_lanes(now, after, PAGE)?;
            let mut own = Vec::new();
            for due in &page {
                if tenant_of(context, due.conversation)? == Some(tenant) {
                    own.push(*due);
                }
            }
            let rest = if page.len() == PAGE { page.last().copied() } else { None };
            context.automations.turns.lock().fed(tenant, &own, rest);
        }
        Ok(())
    }
}

fn offer(context: &Context, due: DueLane) -> StoreResult<()> {
    if let Some(tenant) = tenant_of(context, due.conversation)? {
        context.automations.turns.lock().offer(due, tenant);
    }
    Ok(())
}

/// Whose the conversation is.
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
