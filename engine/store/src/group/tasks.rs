//! Events on their way into the lanes of conversations, and what becomes of them there.

use std::sync::Arc;

use pombo_domain::model::event_task::ANSWERING;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{AutomationIndex, MessageKey, TenantIndex, Timestamp};
use uuid::Uuid;

use super::ENGINE;
use super::automations::gone;
use super::{Group, check_key};
use crate::automation_catalog::Listed;
use crate::backend::Bytes;
use crate::codec::damaged;
use crate::keys;
use crate::space::Space;
use crate::tables::conversations::{self, Lane, Stored};
use crate::tables::tasks::{self, Head};
use crate::tables::timers;

/// Events that wait in a lane while a pause that ends by itself lasts, at most, counted by the numbers that its lanes share. Later ones are
/// passed over.
const MOST_WAITING: u64 = 1_000;

/// An event on its way into the lanes of a conversation.
struct Arrival {
    at: Timestamp,
    contact_name: Option<String>,
    kind: EventKind,
    /// The lanes whose automations listen to it, and those that get the event that the conversation was opened.
    lanes: Vec<u32>,
    greeted: Vec<u32>,
    row: Vec<u8>,
}

impl Arrival {
    fn concerns_nobody(&self) -> bool {
        self.lanes.is_empty() && self.greeted.is_empty()
    }
}

/// The lanes of those that listen to a kind of event.
fn lanes_of(automations: &Listed, kind: EventKind, addressee: Option<AutomationIndex>, in_group: bool) -> Vec<u32> {
    let mut lanes = Vec::new();
    let asked = |a: &&Arc<Automation>| a.listens_to(kind, in_group) && addressee.is_none_or(|index| a.index == index);
    for automation in automations.iter().filter(asked) {
        let lane = if automation.observer { automation.index.0 } else { ANSWERING };
        if !lanes.contains(&lane) {
            lanes.push(lane);
        }
    }
    lanes
}

impl Group<'_> {
    pub(super) fn event_of_chat(&mut self, new: NewTask, row: Vec<u8>) -> StoreResult<()> {
        let NewTask { tenant, connector, chat, is_group, contact_name, id: _, at, body, with_event } = new;
        let automations = self.automations_on(connector);
        if automations.is_empty() || with_event && self.left_out {
            return Ok(());
        }
        check_key(&chat)?;
        let kind = body.kind();
        let lanes = lanes_of(&automations, kind, body.addressee(), is_group);
        let greeted = lanes_of(&automations, EventKind::ConversationOpened, None, is_group);
        let mut arrival = Arrival { at, contact_name, kind, lanes, greeted, row };
        if arrival.concerns_nobody() {
            return Ok(());
        }
        let stored = self.chat_of(tenant, connector, chat, Some(is_group), ENGINE)?;
        // The first event is the one before which nothing ever came; the conversation itself may be older.
        if stored.conversation.next_task > 0 {
            arrival.greeted.clear();
        }
        self.arrive((*stored).clone(), arrival);
        Ok(())
    }

    /// Adds an event that comes from inside the engine: from a message that was sent, or from a timer.
    fn event_within(&mut self, stored: &Stored, id: Uuid, body: &TaskBody) {
        let conversation = &stored.conversation;
        let automations = self.automations_on(conversation.connector);
        let kind = body.kind();
        let lanes = lanes_of(&automations, kind, body.addressee(), conversation.is_group);
        let at = self.now;
        let row = tasks::prepare(conversation.tenant, id, at, body);
        self.arrive(stored.clone(), Arrival { at, contact_name: None, kind, lanes, greeted: Vec::new(), row });
    }

    fn arrive(&mut self, mut stored: Stored, arrival: Arrival) {
        if arrival.concerns_nobody() {
            return;
        }
        let Arrival { at, contact_name, kind, lanes, greeted, row } = arrival;
        let conversation = &mut stored.conversation;
        conversation.last_event_at = conversation.last_event_at.max(at);
        conversation.engaged = true;
        if contact_name.is_some() {
            conversation.contact_name = contact_name;
        }
        let head = Head::new(self.now);
        if !greeted.is_empty() {
            // A conversation is opened once, so its own id is an id for that event.
            let opened = tasks::prepare(conversation.tenant, conversation.id, at, &TaskBody::Opened);
            self.enqueue(&mut stored, &greeted, opened, head, false);
        }
        self.enqueue(&mut stored, &lanes, row, head, kind == EventKind::TimerFired);
        self.save(stored);
    }

    /// Writes an item at the end of each of the lanes. While a lane is held for a timer, only what `waits` joins it: other
    /// events that come while automations are paused are passed over, since they would otherwise be answered after the resume. In a pause
    /// that ends by itself all of them wait, up to [`MOST_WAITING`].
    fn enqueue(&mut self, stored: &mut Stored, lanes: &[u32], mut row: Vec<u8>, head: Head, waits: bool) {
        let conversation = stored.conversation.id;
        let number = stored.conversation.next_task;
        let ends = stored.conversation.pause_ends_at().is_some();
        let passes = |lane: &Lane| lane.held && !waits && !(ends && number - lane.first < MOST_WAITING);
        tasks::set_head(&mut row, &head);
        let mut added = false;
        for (place, lane) in lanes.iter().enumerate() {
            match stored.lanes.binary_search_by_key(lane, |l| l.lane) {
                Ok(there) if passes(&stored.lanes[there]) => continue,
                Ok(there) => stored.lanes[there].last = number,
                Err(free) => {
                    let due_at = head.due_at;
                    let new = Lane { lane: *lane, first: number, last: number, due_at, held: false };
                    stored.lanes.insert(free, new);
                    self.outcome.effects.push(Effect::Work(DueLane { due_at, conversation, lane: *lane }));
                }
            }
            let last = place + 1 == lanes.len();
            let row = if last { std::mem::take(&mut row) } else { row.clone() };
            let key = TaskKey { conversation, lane: *lane, number };
            self.staged.put(Space::Work, keys::task(key).bytes(), row);
            added = true;
        }
        stored.conversation.next_task += u64::from(added);
    }

    /// A message's status changed: adds an event for the automation that sent it, if one did.
    pub(super) fn message_stepped(&mut self, key: MessageKey, old: Status, state: &MessageState) -> StoreResult<()> {
        let status = match state.status {
            Status::Sent => ReportedStatus::Sent,
            Status::Failed => ReportedStatus::Failed,
            Status::Unknown => ReportedStatus::Unknown,
            Status::Canceled => ReportedStatus::Canceled,
            Status::Pending | Status::Waiting | Status::Processing | Status::PendingApproval => return Ok(()),
        };
        if state.status == old {
            return Ok(());
        }
        let reason =
            state.reason.as_ref().filter(|_| status != ReportedStatus::Sent).map(|reason| reason.detail.clone());
        self.reported(key, status, reason)
    }

    pub(super) fn reported(
        &mut self,
        message: MessageKey,
        status: ReportedStatus,
        reason: Option<String>,
    ) -> StoreResult<()> {
        if !self.hears_steps(message.tenant) {
            return Ok(());
        }
        let Some(row) = self.staged.get(Space::Conversations, &keys::origin(message))? else { return Ok(()) };
        let (id, Origin { conversation, automation, label }) = conversations::parse_origin(&row)?;
        let Some(stored) = self.conversation(conversation)? else { return Ok(()) };
        let mut randomness = [0; 10];
        self.entropy.fill(&mut randomness);
        let event = uuid::Builder::from_unix_timestamp_millis(self.now.0.max(0) as u64, &randomness).into_uuid();
        self.event_within(&stored, event, &TaskBody::Status { message: id, automation, label, status, reason });
        Ok(())
    }

    pub(super) fn fire(&mut self, key: TimerKey, id: Uuid) -> StoreResult<()> {
        check_key(&key.name)?;
        let Some(payload) = timers::fire(&mut self.staged, &key)? else { return Ok(()) };
        let Some(stored) = self.conversation(key.conversation)? else { return Ok(()) };
        let TimerKey { due_at, automation, name, .. } = key;
        self.event_within(&stored, id, &TaskBody::Timer { automation, name, payload, due_at });
        Ok(())
    }

    pub(super) fn step_conversation(
        &mut self,
        tenant: TenantIndex,
        id: Uuid,
        steps: &[ConversationStep],
    ) -> StoreResult<()> {
        let stored = self.conversation(id)?.filter(|s| s.conversation.tenant == tenant).ok_or_else(gone)?;
        let mut next = (*stored).clone();
        let was_untold = next.conversation.is_untold();
        for step in steps {
            let ended = next.conversation.pause_ends_at().is_some();
            if let Some(step) = self.by_reference(&mut next.conversation, step)? {
                next.conversation.apply(&step);
            }
            match *step {
                ConversationStep::Resume => self.resume(&mut next)?,
                // What waited for the end of a pause passes by, as in every pause that somebody ends.
                ConversationStep::Pause(_) if ended && next.conversation.pause_ends_at().is_none() => {
                    self.drop_waiting(&mut next, |kind| kind != EventKind::TimerFired)?;
                }
                ConversationStep::Read { up_to, tell } => self.read(&mut next, up_to, tell)?,
                _ => {}
            }
        }
        self.put_untold(was_untold, &next.conversation);
        if next != *stored {
            self.save(next);
        }
        Ok(())
    }

    /// Makes the lanes that are held, and the answering one if it waits for another try, due now.
    pub(super) fn resume(&mut self, stored: &mut Stored) -> StoreResult<()> {
        let conversation = stored.conversation.id;
        for place in 0..stored.lanes.len() {
            let Lane { lane, first, due_at, held, .. } = stored.lanes[place];
            if held || lane == ANSWERING && due_at > self.now {
                let key = TaskKey { conversation, lane, number: first };
                let (_, row) = self.item(key)?;
                let head = Head { due_at: self.now, held: false, ..tasks::head(&row)? };
                self.set_first(stored, place, row.to_vec(), head);
            }
        }
        Ok(())
    }

    fn item(&self, key: TaskKey) -> StoreResult<(Bytes, Bytes)> {
        let row_key = keys::task(key).bytes();
        let row = self.task_row(&row_key)?.ok_or_else(|| damaged("work: an item is missing"))?;
        Ok((row_key, row))
    }

    /// A row of [`Space::Work`], from the nearest place that has it.
    fn task_row(&self, key: &[u8]) -> StoreResult<Option<Bytes>> {
        if let Some(row) = self.staged.staged(Space::Work, key) {
            return Ok(row.clone());
        }
        match self.shared.rows.get(key) {
            Some(row) => Ok(Some(row)),
            None => self.shared.backend.get(Space::Work, key),
        }
    }

    /// Changes the state of the first item of a lane.
    pub(super) fn set_first(&mut self, stored: &mut Stored, place: usize, mut row: Vec<u8>, head: Head) {
        let conversation = stored.conversation.id;
        let lane = &mut stored.lanes[place];
        (lane.due_at, lane.held) = (head.due_at, head.held);
        let (lane, number) = (lane.lane, lane.first);
        tasks::set_head(&mut row, &head);
        self.staged.put(Space::Work, keys::task(TaskKey { conversation, lane, number }).bytes(), row);
        if !head.held {
            self.outcome.effects.push(Effect::Work(DueLane { due_at: head.due_at, conversation, lane }));
        }
    }

    pub(super) fn step(
        &mut self,
        key: TaskKey,
        failures: u32,
        after: Option<(u32, u32)>,
        step: TaskStep,
    ) -> StoreResult<()> {
        let conflict = || StoreError::Conflict(Conflict::Task(key));
        let stored = self.conversation(key.conversation)?.ok_or_else(conflict)?;
        // Only the first item of a lane is ever tried.
        let place = stored.lanes.iter().position(|l| (l.lane, l.first) == (key.lane, key.number));
        let place = place.ok_or_else(conflict)?;
        let (row_key, row) = self.item(key)?;
        let head = tasks::head(&row)?;
        // What is held was held after it was read: somebody answers on the account's phone, and the automation is too late.
        let too_late = head.held && !matches!(step, TaskStep::Hold);
        if (head.failures, head.after) != (failures, after) || too_late {
            return Err(conflict());
        }
        let mut stored = (*stored).clone();
        let free = Head { held: false, ..head };
        let next = match step {
            TaskStep::Done => {
                self.leave(&mut stored, place, row_key)?;
                None
            }
            TaskStep::DeadLetter { automation, code, reason } => {
                let task = tasks::parse(key, &row)?;
                let (id, tries) = (DeadLetter::id_of(task.id, key.lane), head.failures.saturating_add(1));
                let dead_letter = DeadLetter { id, task, automation, tries, code, reason, at: self.now };
                tasks::put_dead_letter(&mut self.staged, &dead_letter);
                self.leave(&mut stored, place, row_key)?;
                None
            }
            TaskStep::After(order) => Some(Head { failures: 0, after: Some(order), ..free }),
            TaskStep::Retry { due_at } => Some(Head { failures: head.failures.saturating_add(1), due_at, ..free }),
            // The automations were resumed between the runner's look and this: nothing else would wake the lane.
            TaskStep::Hold if stored.conversation.handover.is_none() => Some(Head { due_at: self.now, ..free }),
            TaskStep::Hold => Some(Head { held: true, ..head }),
        };
        if let Some(head) = next {
            self.set_first(&mut stored, place, row.to_vec(), head);
        }
        self.save(stored);
        Ok(())
    }

    /// The first item of a lane leaves it: the next one's turn.
    fn leave(&mut self, stored: &mut Stored, place: usize, row_key: Bytes) -> StoreResult<()> {
        let conversation = stored.conversation.id;
        let Lane { lane, first, last, .. } = stored.lanes[place];
        if first == last {
            self.staged.delete(Space::Work, row_key);
            stored.lanes.remove(place);
            return Ok(());
        }
        // Lanes share their numbers, so the next one of this lane may lie further on.
        let near = TaskKey { conversation, lane, number: first + 1 };
        let near_key = keys::task(near);
        let (number, row) = match self.task_row(&near_key)? {
            Some(row) => {
                self.outcome.firsts.push((near_key.bytes(), row.clone()));
                (near.number, row)
            }
            None => {
                let next = self.staged.first_after(Space::Work, &keys::lane(conversation, lane), &row_key)?;
                let (next_key, row) = next.ok_or_else(|| damaged("work: an item is missing"))?;
                (keys::parse_task(&next_key).ok_or_else(|| damaged("work: a malformed key"))?.number, row)
            }
        };
        self.staged.delete(Space::Work, row_key);
        let due_at = tasks::head(&row)?.due_at;
        stored.lanes[place] = Lane { lane, first: number, last, due_at, held: false };
        self.outcome.effects.push(Effect::Work(DueLane { due_at, conversation, lane }));
        Ok(())
    }

    pub(super) fn take_dead_letter(&mut self, tenant: TenantIndex, id: Uuid) -> StoreResult<DeadLetter> {
        let key = keys::of_tenant(keys::DEAD_LETTER, tenant).uuid(id).bytes();
        let row = self.staged.get(Space::Conversations, &key)?.ok_or_else(gone)?;
        self.staged.delete(Space::Conversations, key);
        tasks::parse_dead_letter(&row)
    }

    /// Puts a dead letter at the end of its lane, not tried yet; automations that had handled it before are not asked again.
    pub(super) fn requeue(&mut self, tenant: TenantIndex, id: Uuid) -> StoreResult<()> {
        let DeadLetter { task, .. } = self.take_dead_letter(tenant, id)?;
        let stored = self.conversation(task.key.conversation)?.ok_or_else(gone)?;
        let mut stored = (*stored).clone();
        let row = tasks::prepare(task.tenant, task.id, task.at, &task.body);
        let head = Head { after: task.after, ..Head::new(self.now) };
        self.enqueue(&mut stored, &[task.key.lane], row, head, true);
        self.save(stored);
        Ok(())
    }
}
