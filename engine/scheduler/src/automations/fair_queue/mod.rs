//! Which lane of which conversation is handled next. Pure: it must not know the store, a task or the clock.
//!
//! Tenants take turns; within a tenant, lanes go in the order in which they became due. A conversation has at most one item under
//! way, whatever its lanes: a lane whose conversation is busy waits for its end and then goes first. What runs is counted twice:
//! while its automation is called, against the bounds of calls, and until it is stored, against wider ones, so that waiting for the
//! disk costs nobody a call.
//!
//! Memory is bounded by tenant: past [`Limits::queued_per_tenant`] lanes stay on disk, behind the tenant's own cursor.

use std::collections::{BTreeSet, HashMap, VecDeque};

use pombo_domain::ports::DueLane;
use pombo_domain::{AutomationIndex, TenantIndex, Timestamp};
use uuid::Uuid;

/// How many items may be under way for each that may be in a call: the rest wait for the disk.
const STORING: usize = 16;

/// A lane of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey {
    /// The conversation that it belongs to.
    pub conversation: Uuid,
    /// Its lane: [`pombo_domain::model::event_task::ANSWERING`], or the one of an observer.
    pub lane: u32,
}

impl From<DueLane> for LaneKey {
    fn from(due: DueLane) -> Self {
        Self { conversation: due.conversation, lane: due.lane }
    }
}

/// How much may be in memory and under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls at once, over all tenants.
    pub in_flight: usize,
    /// Calls at once of one tenant.
    pub in_flight_per_tenant: usize,
    /// Lanes of one tenant in memory.
    pub queued_per_tenant: usize,
}

/// What a lane remembers from one look at it to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneState {
    /// How often in a row it could not be handled through no fault of its own.
    pub waits: u32,
    /// The automation from whose allowance it has already taken an event.
    pub token_taken: Option<AutomationIndex>,
}

/// What follows from a look at a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It has no more work for now; the store signals when it does.
    Rest,
    /// It has more work now.
    Again,
    /// It waits for something that is not stored: room, or the allowance of this automation.
    Later(Timestamp, Option<AutomationIndex>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Queued,
    /// Its conversation is busy with another lane.
    Blocked,
    /// `again`: the store has signalled more work in the meantime.
    Running {
        again: bool,
    },
    Later(Timestamp),
}

#[derive(Debug)]
struct Lane {
    tenant: TenantIndex,
    place: Place,
    state: LaneState,
}

#[derive(Debug, Default)]
struct Tenant {
    queue: VecDeque<LaneKey>,
    calling: usize,
    running: usize,
    /// Lanes in memory.
    held: usize,
    /// Whether it is in the order of turns.
    in_turn: bool,
    /// The lanes after this one (all, with an inner `None`) may be on disk only.
    rest: Option<Option<DueLane>>,
}

#[derive(Debug)]
struct Busy {
    tenant: TenantIndex,
    calling: bool,
    blocked: Vec<LaneKey>,
}

/// How many lanes are in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounts {
    /// Lanes whose automation is being called.
    pub calling: usize,
    /// Lanes under way, including those in a call.
    pub running: usize,
    /// Lanes that are due and wait for their turn.
    pub waiting: usize,
    /// Lanes put off for lack of room or allowance.
    pub deferred: usize,
}

/// The queue; see the module.
#[derive(Debug)]
pub struct FairQueue {
    limits: Limits,
    tenants: HashMap<TenantIndex, Tenant>,
    turns: VecDeque<TenantIndex>,
    lanes: HashMap<LaneKey, Lane>,
    busy: HashMap<Uuid, Busy>,
    later: BTreeSet<(Timestamp, LaneKey)>,
    /// Tenants with lanes on disk only.
    resting: BTreeSet<TenantIndex>,
    calling: usize,
}

impl FairQueue {
    /// An empty queue. Limits of zero count as one.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits {
            in_flight: limits.in_flight.max(1),
            in_flight_per_tenant: limits.in_flight_per_tenant.max(1),
            queued_per_tenant: limits.queued_per_tenant.max(2),
        };
        Self {
            limits,
            tenants: HashMap::new(),
            turns: VecDeque::new(),
            lanes: HashMap::new(),
            busy: HashMap::new(),
            later: BTreeSet::new(),
            resting: BTreeSet::new(),
            calling: 0,
        }
    }

    /// The store signals that the lane has work that is due.
    pub fn offer(&mut self, due: DueLane, tenant: TenantIndex) {
        let key = LaneKey::from(due);
        if let Some(lane) = self.lanes.get_mut(&key) {
            match &mut lane.place {
                Place::Running { again } => *again = true,
                // Something about it changed; what it waits for may be over.
                Place::Later(at) if lane.state.token_taken.is_none() => {
                    self.later.remove(&(*at, key));
                    lane.place = Place::Queued;
                    self.queue(key, tenant);
                }
                Place::Queued | Place::Blocked | Place::Later(_) => {}
            }
            return;
        }
        let of = self.tenants.entry(tenant).or_default();
        if of.held >= self.limits.queued_per_tenant {
            let before = just_before(due);
            of.rest = Some(of.rest.map_or(before, |rest| rest.min(before)));
            self.resting.insert(tenant);
            return;
        }
        of.held += 1;
        self.lanes.insert(key, Lane { tenant, place: Place::Queued, state: LaneState::default() });
        self.queue(key, tenant);
    }

    fn queue(&mut self, key: LaneKey, tenant: TenantIndex) {
        self.tenants.entry(tenant).or_default().queue.push_back(key);
        self.join_turns(tenant);
    }

    /// Puts the tenant in the order of turns if it has lanes queued and may begin another.
    fn join_turns(&mut self, index: TenantIndex) {
        let limits = self.limits;
        let Some(tenant) = self.tenants.get_mut(&index) else { return };
        if !tenant.in_turn && !tenant.queue.is_empty() && may(&limits, tenant) {
            tenant.in_turn = true;
            self.turns.push_back(index);
        }
    }

    /// Begins the next lane; `None` when none may begin.
    pub fn next(&mut self) -> Option<(LaneKey, LaneState)> {
        let limits = self.limits;
        while self.calling < limits.in_flight && self.busy.len() < limits.in_flight * STORING {
            let index = self.turns.pop_front()?;
            let Some(tenant) = self.tenants.get_mut(&index) else { continue };
            tenant.in_turn = false;
            if !may(&limits, tenant) {
                continue;
            }
            let Some(key) = tenant.queue.pop_front() else { continue };
            let Some(lane) = self.lanes.get_mut(&key) else { continue };
            if let Some(busy) = self.busy.get_mut(&key.conversation) {
                lane.place = Place::Blocked;
                busy.blocked.push(key);
                // This does not count as a turn.
                if !tenant.queue.is_empty() {
                    tenant.in_turn = true;
                    self.turns.push_front(index);
                }
                continue;
            }
            lane.place = Place::Running { again: false };
            let state = lane.state;
            tenant.calling += 1;
            tenant.running += 1;
            self.calling += 1;
            self.busy.insert(key.conversation, Busy { tenant: index, calling: true, blocked: Vec::new() });
            self.join_turns(index);
            return Some((key, state));
        }
        None
    }

    /// Its automations have answered: from here it only waits for the disk.
    pub fn called(&mut self, key: LaneKey) {
        let Some(busy) = self.busy.get_mut(&key.conversation) else { return };
        if std::mem::replace(&mut busy.calling, false) {
            self.calling -= 1;
            let tenant = busy.tenant;
            if let Some(tenant) = self.tenants.get_mut(&tenant) {
                tenant.calling -= 1;
            }
            self.join_turns(tenant);
        }
    }

    /// The look at it is over. Returns whether the tenant now has room for lanes that are on disk only.
    pub fn ended(&mut self, key: LaneKey, ending: Ending) -> bool {
        self.called(key);
        let Some(busy) = self.busy.remove(&key.conversation) else { return false };
        let index = busy.tenant;
        if let Some(tenant) = self.tenants.get_mut(&index) {
            tenant.running -= 1;
        }
        if let Some(lane) = self.lanes.get_mut(&key) {
            let told = lane.place == Place::Running { again: true };
            match ending {
                Ending::Later(at, token_taken) => {
                    lane.place = Place::Later(at);
                    lane.state = LaneState { waits: lane.state.waits.saturating_add(1), token_taken };
                    self.later.insert((at, key));
                }
                Ending::Again => self.requeue(key, index),
                Ending::Rest if told => self.requeue(key, index),
                Ending::Rest => {
                    self.lanes.remove(&key);
                    if let Some(tenant) = self.tenants.get_mut(&index) {
                        tenant.held -= 1;
                    }
                }
            }
        }
        if let Some(tenant) = self.tenants.get_mut(&index) {
            for blocked in busy.blocked.into_iter().rev() {
                if let Some(lane) = self.lanes.get_mut(&blocked) {
                    lane.place = Place::Queued;
                    tenant.queue.push_front(blocked);
                }
            }
            if tenant.held == 0 && tenant.running == 0 && tenant.rest.is_none() && !tenant.in_turn {
                self.tenants.remove(&index);
            }
        }
        self.join_turns(index);
        self.has_room(index)
    }

    /// Whether the tenant has lanes on disk only, and room for them.
    fn has_room(&self, index: TenantIndex) -> bool {
        let room = self.limits.queued_per_tenant / 2;
        self.tenants.get(&index).is_some_and(|tenant| tenant.rest.is_some() && tenant.held <= room)
    }

    /// Back to the end of its tenant's queue, as if new.
    fn requeue(&mut self, key: LaneKey, tenant: TenantIndex) {
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.place = Place::Queued;
            lane.state = LaneState::default();
            self.queue(key, tenant);
        }
    }

    /// Queues the lanes that were put off until now. Returns when the next one's time comes.
    pub fn tick(&mut self, now: Timestamp) -> Option<Timestamp> {
        while let Some((at, key)) = self.later.first().copied() {
            if at > now {
                return Some(at);
            }
            self.later.pop_first();
            self.resume(key);
        }
        None
    }

    /// Automations or plugins changed: lanes that wait for anything other than their allowance are looked at again.
    pub fn reconsider(&mut self) {
        let waiting: Vec<(Timestamp, LaneKey)> = self.later.iter().copied().collect();
        for (at, key) in waiting {
            if self.lanes.get(&key).is_some_and(|lane| lane.state.token_taken.is_none()) {
                self.later.remove(&(at, key));
                self.resume(key);
            }
        }
    }

    fn resume(&mut self, key: LaneKey) {
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.place = Place::Queued;
            let tenant = lane.tenant;
            self.queue(key, tenant);
        }
    }

    /// A tenant that has lanes on disk only and room for them, with the lane after which to read on.
    pub fn starved(&self) -> Option<(TenantIndex, Option<DueLane>)> {
        let index = self.resting.iter().copied().find(|index| self.has_room(*index))?;
        Some((index, self.tenants.get(&index)?.rest?))
    }

    /// Offers the lanes of a tenant that were read from disk. `rest` is where the reading ended, `None` when all of them are in memory.
    /// Everything before it was taken, so what did not fit begins after it.
    pub fn refilled(&mut self, index: TenantIndex, lanes: &[DueLane], rest: Option<DueLane>) {
        if let Some(tenant) = self.tenants.get_mut(&index) {
            tenant.rest = rest.map(Some);
            if rest.is_none() {
                self.resting.remove(&index);
            }
        }
        for due in lanes {
            self.offer(*due, index);
        }
        if let Some(tenant) = self.tenants.get_mut(&index)
            && tenant.held == 0
            && tenant.running == 0
            && tenant.rest.is_none()
            && !tenant.in_turn
        {
            self.tenants.remove(&index);
        }
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.busy.is_empty()
    }

    /// Whether it holds no lane and no tenant.
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty() && self.lanes.is_empty() && self.later.is_empty() && self.resting.is_empty()
    }

    /// How many lanes are called, under way, waiting and put off.
    pub fn counts(&self) -> QueueCounts {
        let (running, deferred) = (self.busy.len(), self.later.len());
        let waiting = self.lanes.len().saturating_sub(running + deferred);
        QueueCounts { calling: self.calling, running, waiting, deferred }
    }
}

fn may(limits: &Limits, tenant: &Tenant) -> bool {
    tenant.calling < limits.in_flight_per_tenant && tenant.running < limits.in_flight_per_tenant * STORING
}

/// The last place before this one; `None` where it is the first of all.
fn just_before(due: DueLane) -> Option<DueLane> {
    if let Some(lane) = due.lane.checked_sub(1) {
        return Some(DueLane { lane, ..due });
    }
    let lane = u32::MAX;
    match due.conversation.as_u128().checked_sub(1) {
        Some(before) => Some(DueLane { conversation: Uuid::from_u128(before), lane, ..due }),
        None => Some(DueLane { due_at: Timestamp(due.due_at.0.checked_sub(1)?), conversation: Uuid::max(), lane }),
    }
}

#[cfg(test)]
mod tests;
