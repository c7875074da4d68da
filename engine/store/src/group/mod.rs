//! A group of batches on its way to disk: checks each batch against what is stored and what earlier batches of the group did,
//! and gathers the writes, the columns' delta, the effects and what becomes visible in memory afterwards.
//!
//! A batch that fails leaves no trace. Runs on the committer's thread only. What concerns automations is in `automations`,
//! `tasks`, `phone` and `pending`, campaigns in `campaigns`, what is counted in `stats`, what concerns timelines in `chat`, people in `contacts`,
//! conversations' tags in `tags`, and connectors' webhooks
//! in `webhooks`.

mod automations;
mod campaigns;
mod chat;
mod contacts;
mod pending;
mod phone;
mod stats;
mod tags;
mod tasks;
mod templates;
mod webhooks;

use std::collections::HashMap;
use std::sync::Arc;

use pombo_domain::ids::message_id;
use pombo_domain::model::{Delivery, EventKey, HookKind, Message, MessageState, NewMessage, Ranking, Status};
use pombo_domain::ports::{
    AutomationChange, Change, ChatChange, Committed, Conflict, DueDelivery, Effect, Entropy, FileChange,
    NewIdempotency, StoreError, StoreResult, Update,
};
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};

use self::pending::Pending;
pub(crate) use self::pending::Touched;
pub(crate) use self::webhooks::numbered;
use crate::backend::{Bytes, Write};
use crate::catalog::CatalogChange;
use crate::codec::damaged;
use crate::columns::block::Row;
use crate::columns::delta::{Delta, Step};
use crate::columns::word;
use crate::in_flight::InFlight;
use crate::keys;
use crate::pauses;
use crate::shared::Shared;
use crate::space::Space;
use crate::staged::Staged;
use crate::tables;
use crate::tables::contacts::Changed;
use crate::tables::events::{Forgotten, Mark};
use crate::tables::queues::Queue;
use crate::tables::states::Place;
use crate::tables::timeline::{self, Numbers};
use crate::tables::{
    access_tokens, conversations, deliveries, health, idempotency, imports, kv, media_files, messages, people, queues,
    receipts, rules, states,
};

/// Who did what follows from something that the engine was asked for, for the event in the log.
const ENGINE: &str = "engine";

/// The longest variable part of a key.
const LONGEST_KEY: usize = 4096;

/// A batch with its records encoded; made on the caller's task.
pub(crate) struct Prepared {
    pub(crate) changes: Vec<PreparedChange>,
    pub(crate) skip_stale: bool,
}

#[expect(clippy::large_enum_variant, reason = "a batch of many steps is one allocation this way")]
pub(crate) enum PreparedChange {
    Insert(PreparedInsert),
    Event(PreparedEvent),
    /// A change of automations, with the encoded row where it is an event.
    Automation(Box<AutomationChange>, Option<Vec<u8>>),
    /// A change of timelines, with the encoded row where it adds an entry.
    Chat(Box<ChatChange>, Option<Vec<u8>>),
    Other(Change),
}

pub(crate) struct PreparedInsert {
    pub(crate) tenant: TenantIndex,
    pub(crate) messages: Vec<NewMessage>,
    /// Their rows without headers, and the fingerprints of their external ids.
    pub(crate) rows: Vec<(Vec<u8>, Option<u64>)>,
    pub(crate) idempotency: Option<NewIdempotency>,
}

pub(crate) struct PreparedEvent {
    pub(crate) tenant: TenantIndex,
    pub(crate) connector: ConnectorIndex,
    pub(crate) row: Vec<u8>,
    pub(crate) once: Option<Mark>,
    /// What a webhook can be told of it.
    pub(crate) kinds: &'static [HookKind],
    /// Number of its conversation, see [`numbered`].
    pub(crate) conversation: Option<u64>,
}

/// The group; see the module.
pub(crate) struct Group<'a> {
    shared: &'a Shared,
    entropy: &'a dyn Entropy,
    now: Timestamp,
    pub(crate) staged: Staged<'a>,
    in_flight: &'a InFlight,
    tails: HashMap<TenantIndex, (u64, Timestamp)>,
    kv_bytes: HashMap<ConnectorIndex, u64>,
    /// Events of the present batch so far.
    events: usize,
    /// Whether the last one of them was left out as repeated.
    left_out: bool,
    /// The last one of them and what a webhook can be told of it, if it is a message whose conversation is still to be found.
    heard: Option<(EventKey, &'static [HookKind])>,
    pending: Pending,
    pub(crate) outcome: Outcome,
}

/// What a group does besides its writes.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) delta: Delta,
    pub(crate) effects: Vec<Effect>,
    pub(crate) catalog: Vec<CatalogChange>,
    /// Inserted messages, a run of one tenant each, for the search index.
    pub(crate) inserted: Vec<Vec<Message>>,
    /// Queue keys that were put, for the frontiers.
    pub(crate) queued: Vec<(Queue, Bytes)>,
    /// Messages whose state changed, with their rank and new state.
    pub(crate) stepped: Vec<(MessageKey, u8, MessageState)>,
    /// The next event number of each tenant that got events.
    pub(crate) event_ends: HashMap<TenantIndex, u64>,
    /// The first event of each tenant that forgot some.
    pub(crate) event_edges: HashMap<TenantIndex, u64>,
    /// The conversations that were changed.
    pub(crate) conversations: Vec<Touched>,
    /// The next numbers of each tenant that was given some.
    pub(crate) chat_numbers: HashMap<TenantIndex, Numbers>,
    /// Items that became the first of their lane, with their rows: they are read next.
    pub(crate) firsts: Vec<(Bytes, Bytes)>,
    /// Contacts that were changed or deleted, for the directory.
    pub(crate) contacts: Vec<Changed>,
}

/// Lengths to cut back to when a batch fails.
struct Marks {
    delta: usize,
    effects: usize,
    catalog: usize,
    inserted: usize,
    queued: usize,
    stepped: usize,
    firsts: usize,
    contacts: usize,
    tails: HashMap<TenantIndex, (u64, Timestamp)>,
    kv_bytes: HashMap<ConnectorIndex, u64>,
}

impl<'a> Group<'a> {
    pub(crate) fn new(shared: &'a Shared, in_flight: &'a InFlight, entropy: &'a dyn Entropy) -> Self {
        Self {
            shared,
            in_flight,
            entropy,
            now: Timestamp(i64::MIN),
            staged: Staged::new(&*shared.backend),
            tails: HashMap::new(),
            kv_bytes: HashMap::new(),
            events: 0,
            left_out: false,
            heard: None,
            pending: Pending::default(),
            outcome: Outcome::default(),
        }
    }

    /// Adds a batch at `now`. On an error the group is as it was before.
    pub(crate) fn add(&mut self, batch: Prepared, now: Timestamp) -> StoreResult<Committed> {
        self.now = now;
        self.events = 0;
        self.left_out = false;
        self.heard = None;
        let marks = Marks {
            delta: self.outcome.delta.0.len(),
            effects: self.outcome.effects.len(),
            catalog: self.outcome.catalog.len(),
            inserted: self.outcome.inserted.len(),
            queued: self.outcome.queued.len(),
            stepped: self.outcome.stepped.len(),
            firsts: self.outcome.firsts.len(),
            contacts: self.outcome.contacts.len(),
            tails: self.tails.clone(),
            kv_bytes: self.kv_bytes.clone(),
        };
        let mut committed = Committed::default();
        for change in batch.changes {
            if let Err(error) = self.change(change, batch.skip_stale, &mut committed) {
                self.staged.take_back();
                self.pending.take_back();
                self.outcome.delta.0.truncate(marks.delta);
                // The last event taken back for each tenant is the first that the batch had appended.
                for effect in self.outcome.effects.drain(marks.effects..).rev() {
                    if let Effect::Event(tenant, serial) = effect {
                        self.outcome.event_ends.insert(tenant, serial);
                    }
                }
                self.outcome.catalog.truncate(marks.catalog);
                self.outcome.inserted.truncate(marks.inserted);
                self.outcome.queued.truncate(marks.queued);
                self.outcome.stepped.truncate(marks.stepped);
                self.outcome.firsts.truncate(marks.firsts);
                self.outcome.contacts.truncate(marks.contacts);
                self.tails = marks.tails;
                self.kv_bytes = marks.kv_bytes;
                return Err(error);
            }
        }
        self.staged.keep();
        self.pending.keep();
        Ok(committed)
    }

    /// Ends the group: returns all writes, and what else is to be done.
    pub(crate) fn finish(mut self) -> (Vec<Write>, Outcome) {
        self.outcome.conversations = self.pending.take_changed();
        for touched in &self.outcome.conversations {
            // The row of one that is gone was deleted with its keys.
            if !touched.is_gone {
                conversations::put(&mut self.staged, &touched.now);
            }
            let before = touched.before.as_ref().and_then(|before| pauses::end_of(&before.conversation));
            let now = pauses::end_of(&touched.now.conversation).filter(|_| !touched.is_gone);
            if before != now {
                pauses::put_end(&mut self.staged, before, now);
                self.outcome.effects.extend(now.map(|end| Effect::Timer(end.at)));
            }
        }
        self.outcome.chat_numbers = std::mem::take(&mut self.pending.chat_numbers);
        for (tenant, numbers) in &self.outcome.chat_numbers {
            timeline::put_numbers(&mut self.staged, *tenant, *numbers);
        }
        (self.staged.into_writes(), self.outcome)
    }

    fn change(&mut self, change: PreparedChange, skip_stale: bool, committed: &mut Committed) -> StoreResult<()> {
        let change = match change {
            PreparedChange::Insert(insert) => return self.insert(insert, committed),
            PreparedChange::Event(event) => return self.event(event, committed),
            PreparedChange::Automation(change, row) => return self.automation(*change, row, committed),
            PreparedChange::Chat(change, row) => return self.chat(*change, row, committed),
            PreparedChange::Other(change) => change,
        };
        let catalog = &mut self.outcome.catalog;
        match change {
            Change::Insert(_) | Change::Event(_) | Change::Automation(_) | Change::Chat(_) => {
                return Err(damaged("a change that was not prepared"));
            }
            Change::Update(update) => return self.update(update, skip_stale, committed),
            Change::Delivery(delivery) => return self.delivery(&delivery),
            Change::Tenant(tenant) => {
                people::put_tenant(&mut self.staged, &tenant);
                catalog.push(CatalogChange::Tenant(tenant));
            }
            Change::User(user) => {
                check_key(&user.email)?;
                people::put_user(&mut self.staged, &user)?;
                catalog.push(CatalogChange::User(user));
            }
            Change::DeleteUser(tenant, id) => {
                people::delete_user(&mut self.staged, tenant, id)?;
                catalog.push(CatalogChange::NoUser(tenant, id));
            }
            Change::AccessToken(token) => {
                access_tokens::put(&mut self.staged, &token)?;
                catalog.push(CatalogChange::AccessToken(token));
            }
            Change::AccessTokenUsed(number, day) => {
                let token = access_tokens::used(&mut self.staged, number, day)?;
                catalog.extend(token.map(CatalogChange::AccessToken));
            }
            Change::RevokeAccessToken(number) => {
                access_tokens::delete(&mut self.staged, number);
                catalog.push(CatalogChange::NoAccessToken(number));
            }
            Change::ApiKey(key) => {
                people::put_api_key(&mut self.staged, &key);
                catalog.push(CatalogChange::ApiKey(key));
            }
            Change::Connector(connector) => {
                people::put_connector(&mut self.staged, &connector);
                self.outcome.effects.push(Effect::Connector(connector.tenant, connector.index));
                catalog.push(CatalogChange::Connector(Arc::new(connector)));
            }
            Change::Pace(connector, state) => {
                people::put_pace(&mut self.staged, connector, &state);
                catalog.push(CatalogChange::Pace(connector, state));
            }
            Change::Contact(contact) => return self.put_contact(contact),
            Change::ContactSteps { tenant, id, at, steps, must_exist } => {
                return self.step_contact(tenant, id, at, &steps, must_exist);
            }
            Change::DeleteContact(tenant, id) => return self.delete_contact(tenant, id),
            Change::Tag(change) => return self.tag(change),
            Change::Template(change) => return self.template(*change),
            Change::Label(change) => return self.label(change),
            Change::File(FileChange::Add { file, most }) => media_files::add(&mut self.staged, &file, most)?,
            Change::File(FileChange::Delete(tenant, id)) => media_files::delete(&mut self.staged, tenant, id)?,
            Change::Webhook(change) => return self.webhook(*change),
            Change::Rule(change) => rules::apply(&mut self.staged, &change)?,
            Change::Campaign(change) => return self.campaign(*change),
            Change::Import(import) => imports::put(&mut self.staged, &import)?,
            Change::Kv(connector, writes) => {
                writes.iter().try_for_each(|w| check_key(&w.key))?;
                let before = match self.kv_bytes.get(&connector) {
                    Some(bytes) => *bytes,
                    None => self.shared.catalog.read().kv_bytes.get(&connector).copied().unwrap_or(0),
                };
                let bytes = kv::write(&mut self.staged, connector, writes, before)?;
                self.kv_bytes.insert(connector, bytes);
                catalog.push(CatalogChange::KvBytes(connector, bytes));
            }
            Change::Receipts(key, row) => {
                if self.shared.columns.word(key).is_none() {
                    return Err(StoreError::Conflict(Conflict::Message(key)));
                }
                self.count_reports(key, &row)?;
                receipts::put(&mut self.staged, key, &row);
                return self.campaign_reported(key, &row);
            }
            Change::Stat(change) => return self.stat(change),
            Change::Health(connector, state) => health::put(&mut self.staged, connector, &state),
            Change::ContactAlias { tenant, kind, alias, identifier } => {
                return self.alias(tenant, kind, &alias, &identifier);
            }
        }
        Ok(())
    }

    fn insert(&mut self, insert: PreparedInsert, committed: &mut Committed) -> StoreResult<()> {
        let PreparedInsert { tenant, messages, rows, idempotency } = insert;
        let (first, last_at) = match self.tails.get(&tenant) {
            Some(tail) => *tail,
            None => {
                let (next, last_at) = self.shared.columns.tail(tenant);
                (next, last_at.unwrap_or(Timestamp(i64::MIN)))
            }
        };
        let created_at = self.now.max(last_at);
        if let Some(new) = idempotency {
            idempotency::take(&mut self.staged, tenant, new, (first, messages.len() as u32), self.now)?;
        }
        let mut randomness = vec![0u8; messages.len() * 8];
        self.entropy.fill(&mut randomness);
        let mut inserted = Vec::with_capacity(messages.len());
        let shared = self.shared;
        let catalog = shared.catalog.read();
        let ranking = |connector: ConnectorIndex| match catalog.connectors.get(&connector) {
            Some(connector) if !connector.pace.category_order => Ranking::ByTime,
            _ => Ranking::ByCategory,
        };
        for (((content, (mut row, print)), random), serial) in
            messages.into_iter().zip(rows).zip(randomness.chunks_exact(8)).zip(first..)
        {
            let key = MessageKey { tenant, serial };
            let id = message_id(created_at, serial, u64::from_le_bytes(random.try_into().unwrap_or_default()));
            let ranking = ranking(content.connector);
            messages::complete(&mut row, id, created_at, ranking);
            let message = Message { id, key, created_at, ranking, content };
            let state = message.initial_state();
            let connector = message.content.connector;
            for file in &message.content.attachments {
                media_files::note_use(&mut self.staged, tenant, file.id)?;
            }
            self.staged.fresh(Space::Messages, keys::message(key).bytes(), row);
            if let Some(entry) = queues::entry(connector, key, state.position(&message)) {
                self.outcome.queued.push((entry.queue, entry.key.clone()));
                self.staged.fresh(Space::Queues, entry.key, &entry.value[..]);
                self.outcome.effects.push(entry.effect);
            }
            if let Some(campaign) = message.content.options.campaign {
                self.campaign_message(&message, campaign, &state)?;
            }
            if let Some(delivery) = Delivery::of(&message, None, &state) {
                deliveries::insert(&mut self.staged, &delivery, &mut self.outcome.effects);
                let due = DueDelivery { due_at: delivery.next_at, key: delivery.key };
                self.outcome.queued.push((Queue::Deliveries, keys::delivery_due(due).bytes()));
            }
            let word = word::pack(state.status, message.content.message_type, connector);
            self.outcome.delta.0.push(Step::Row(key, Row { word, at: created_at, print }));
            committed.inserted.push((key, id, created_at));
            inserted.push(message);
        }
        if !inserted.is_empty() {
            self.tails.insert(tenant, (first + inserted.len() as u64, created_at));
            self.outcome.inserted.push(inserted);
        }
        Ok(())
    }

    fn update(&mut self, update: Update, skip_stale: bool, committed: &mut Committed) -> StoreResult<()> {
        let Update { key, state, delivery } = update;
        // A message of this very group is not there yet: nobody knows of it.
        let Some(old_word) = self.shared.columns.word(key) else {
            return Err(StoreError::Conflict(Conflict::Message(key)));
        };
        let row_key = keys::message(key);
        let (rank, old) = self.state_of(key, &row_key, old_word)?;
        if old.revision.checked_add(1) != Some(state.revision) {
            if skip_stale {
                committed.stale.push(key);
                return Ok(());
            }
            return Err(StoreError::Conflict(Conflict::Message(key)));
        }
        let connector = word::connector(old_word);
        let place = Place::new(key, rank);
        let (from, to) = (place.of(&old), place.of(&state));
        if from != to {
            if let Some(left) = queues::entry(connector, key, from) {
                if let (Effect::Ready(connector, entry), true) = (left.effect, state.status != Status::Processing) {
                    self.outcome.effects.push(Effect::Unready(connector, entry));
                }
                self.staged.delete(Space::Queues, left.key);
            }
            if let Some(joined) = queues::entry(connector, key, to) {
                self.outcome.queued.push((joined.queue, joined.key.clone()));
                self.staged.put(Space::Queues, joined.key, joined.value.to_vec());
                self.outcome.effects.push(joined.effect);
            }
        }
        self.staged.put(Space::States, row_key.bytes(), states::encode(rank, &state));
        self.outcome.delta.0.push(Step::Word(key, word::stepped(old_word, state.status)));
        self.count_step(key, connector, &old, &state)?;
        self.progressed(key, connector, old.status, &state)?;
        if state.status == Status::Sent && self.shared.chats.converses(connector) {
            self.entry_sent(key, state.provider_id.as_deref())?;
        }
        self.message_stepped(key, old.status, &state)?;
        self.campaign_stepped(key, old.status, &state)?;
        self.outcome.stepped.push((key, rank, state));
        match delivery {
            Some(delivery) => self.delivery(&delivery),
            None => Ok(()),
        }
    }

    fn event(&mut self, event: PreparedEvent, committed: &mut Committed) -> StoreResult<()> {
        let PreparedEvent { tenant, connector, row, once, kinds, conversation } = event;
        let place = self.events;
        self.events += 1;
        self.left_out = false;
        self.heard = None;
        let serial = self.next_event(tenant);
        if let Some(mark) = once {
            let mark = keys::event_mark(tenant, &mark).bytes();
            if self.staged.get(Space::Events, &mark)?.is_some() {
                committed.repeated.push(place);
                self.left_out = true;
                return Ok(());
            }
            self.staged.put(Space::Events, mark, serial.to_be_bytes().to_vec());
        }
        let key = self.append(tenant, row);
        match conversation {
            Some(conversation) => self.hook(key, connector, conversation, kinds),
            None => {
                self.heard = Some((key, kinds));
                Ok(())
            }
        }
    }

    /// The number of the next event of a log.
    fn next_event(&self, tenant: TenantIndex) -> u64 {
        match self.outcome.event_ends.get(&tenant) {
            Some(next) => *next,
            None => self.shared.events.of(tenant).next,
        }
    }

    /// Appends the row of an event.
    fn append(&mut self, tenant: TenantIndex, row: Vec<u8>) -> EventKey {
        let key = EventKey { tenant, serial: self.next_event(tenant) };
        self.staged.fresh(Space::Events, keys::event(key).bytes(), row);
        self.outcome.event_ends.insert(tenant, key.serial + 1);
        self.outcome.effects.push(Effect::Event(tenant, key.serial));
        key
    }

    /// Forgets the front of a log, unless some of it was forgotten since it was looked at. Returns how many events were forgotten. On an
    /// error the group is as it was before.
    pub(crate) fn forget(&mut self, front: Forgotten) -> StoreResult<usize> {
        let Forgotten { tenant, first, upto, marks, deliveries } = front;
        let edge = self.outcome.event_edges.get(&tenant).copied().unwrap_or(self.shared.events.of(tenant).first);
        if edge != first {
            return Ok(0);
        }
        let (effects, queued) = (self.outcome.effects.len(), self.outcome.queued.len());
        for key in deliveries {
            match tables::webhooks::forget(&mut self.staged, key, &mut self.outcome.effects) {
                Ok(due) => self.outcome.queued.extend(due.map(|key| (Queue::EventDeliveries, key))),
                Err(error) => {
                    self.staged.take_back();
                    self.outcome.effects.truncate(effects);
                    self.outcome.queued.truncate(queued);
                    return Err(error);
                }
            }
        }
        for serial in first..upto {
            self.staged.delete(Space::Events, keys::event(EventKey { tenant, serial }).bytes());
        }
        for mark in marks {
            self.staged.delete(Space::Events, keys::event_mark(tenant, &mark).bytes());
        }
        self.staged.put(Space::Events, keys::event_edge(tenant).bytes(), upto.to_be_bytes().to_vec());
        self.outcome.event_edges.insert(tenant, upto);
        self.staged.keep();
        Ok((upto - first) as usize)
    }

    /// A message's rank and present state, from the nearest place that knows it.
    fn state_of(&self, key: MessageKey, row_key: &[u8], word: u32) -> StoreResult<(u8, MessageState)> {
        if let Some(Some(row)) = self.staged.staged(Space::States, row_key) {
            return states::decode(row);
        }
        if let Some(known) = self.in_flight.get(key) {
            return Ok(known.clone());
        }
        if word::is_changed(word) {
            let row = self.shared.backend.get(Space::States, row_key)?;
            return states::decode(&row.ok_or_else(|| damaged("states: a row is missing"))?);
        }
        if let Some(birth) = self.shared.births.get(key) {
            return Ok(birth);
        }
        let record = messages::read(&*self.shared.backend, key)?;
        let record = record.ok_or_else(|| damaged("messages: a record is missing"))?;
        Ok((record.rank(), record.initial_state()))
    }

    fn delivery(&mut self, delivery: &Delivery) -> StoreResult<()> {
        let due = deliveries::put(&mut self.staged, delivery, &mut self.outcome.effects)?;
        self.outcome.queued.extend(due.map(|key| (Queue::Deliveries, key)));
        Ok(())
    }
}

fn check_key(text: &str) -> StoreResult<()> {
    if text.len() <= LONGEST_KEY {
        return Ok(());
    }
    Err(damaged(format!("a key of {} bytes; the longest is {LONGEST_KEY}", text.len())))
}
