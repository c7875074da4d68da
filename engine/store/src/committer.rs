//! The committer: one thread through which every write goes. It gathers the batches that wait, checks them one after the
//! other, writes them as one batch with one sync, makes them visible in memory, answers and tells the observer. While a group
//! syncs, the next one gathers in the channel.
//!
//! After a failed write or sync nothing more is acknowledged: what is on disk is then not known until a restart reads it.

use std::sync::Arc;
use std::time::Instant;

use pombo_domain::model::{Message, MessageState};
use pombo_domain::ports::{
    Clock, Committed, Effect, Entropy, MessageStep, Purge, Purged, StoreError, StoreHealth, StoreResult,
};
use pombo_domain::{MessageKey, TenantIndex, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::backend::Write;
use crate::directory::contacts::Row;
use crate::directory::tags::tags_of;
use crate::group::{Group, Outcome, Prepared, PreparedChange, Touched};
use crate::in_flight::InFlight;
use crate::row_cache;
use crate::search::Search;
use crate::shared::Shared;
use crate::tables::contacts;
use crate::tables::events::Forgotten;
use crate::tables::idempotency;
use crate::tables::meta::{self, Counter};

/// A request to the committer.
pub(crate) enum Request {
    Commit(Prepared, oneshot::Sender<StoreResult<Committed>>),
    Count(Counter, oneshot::Sender<StoreResult<u32>>),
    Forget(Forgotten, oneshot::Sender<StoreResult<usize>>),
    Purge(Purge, oneshot::Sender<StoreResult<()>>),
    Close,
}

/// An answer to give once the group is on disk.
enum Answer {
    Committed(oneshot::Sender<StoreResult<Committed>>, Committed),
    Counted(oneshot::Sender<StoreResult<u32>>, u32),
    Forgot(oneshot::Sender<StoreResult<usize>>, usize),
    Purged(oneshot::Sender<StoreResult<()>>),
}

impl Answer {
    /// The asker may be gone; the commit is valid all the same.
    fn give(self, result: &StoreResult<()>) {
        match self {
            Self::Committed(asker, committed) => drop(asker.send(result.clone().map(|()| committed))),
            Self::Counted(asker, number) => drop(asker.send(result.clone().map(|()| number))),
            Self::Forgot(asker, count) => drop(asker.send(result.clone().map(|()| count))),
            Self::Purged(asker) => drop(asker.send(result.clone())),
        }
    }
}

/// Bounds of a group.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) batches: usize,
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) search: Arc<Search>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) bounds: Bounds,
    pub(crate) in_flight: InFlight,
}

/// Marks the store's health as failed when the committer panics.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.health.write() = StoreHealth::Failed("the committer panicked".to_owned());
        }
    }
}

/// How often old idempotency records are looked for, and how many are removed at once.
const TRIM_EVERY_MS: i64 = 10_000;
const TRIM: usize = 1_000;

impl Committer {
    /// Runs until it is asked to close or nobody is left to ask. For each group:
    ///
    /// 1. wait for a request;
    /// 2. gather: check it and stage its writes, then those of all requests that wait, within the bounds of a group;
    /// 3. from time to time, stage the removal of old idempotency records;
    /// 4. write it with one sync, make it visible in memory, tell the observer ([`Self::write`]);
    /// 5. answer: after a failure everything from now on is refused.
    pub(crate) fn run(mut self) {
        let _guard = Guard(self.shared.clone());
        let mut trimmed_at = Timestamp(i64::MIN);
        // 1.
        while let Some(request) = self.requests.blocking_recv() {
            let shared = self.shared.clone();
            let entropy = self.entropy.clone();
            let now = self.clock.now();
            let requests = &mut self.requests;
            let mut group = Group::new(&shared, &self.in_flight, &*entropy);
            let mut answers = Vec::new();
            let mut closing = false;
            let (mut batches, mut messages) = (0, 0);
            // 2.
            let mut next = Some(request);
            while let Some(request) = next {
                batches += 1;
                messages += weight(&request);
                match request {
                    Request::Commit(batch, asker) => match group.add(batch, self.clock.now()) {
                        Ok(committed) => answers.push(Answer::Committed(asker, committed)),
                        Err(error) => drop(asker.send(Err(error))),
                    },
                    Request::Count(counter, asker) => match meta::count(&mut group.staged, counter) {
                        Ok(number) => {
                            group.staged.keep();
                            answers.push(Answer::Counted(asker, number));
                        }
                        Err(error) => drop(asker.send(Err(error))),
                    },
                    Request::Forget(front, asker) => match group.forget(front) {
                        Ok(count) => answers.push(Answer::Forgot(asker, count)),
                        Err(error) => drop(asker.send(Err(error))),
                    },
                    Request::Purge(purge, asker) => match group.purge(purge, self.clock.now()) {
                        Ok(()) => answers.push(Answer::Purged(asker)),
                        Err(error) => drop(asker.send(Err(error))),
                    },
                    Request::Close => closing = true,
                }
                let room = batches < self.bounds.batches
                    && messages < self.bounds.messages
                    && group.staged.bytes() < self.bounds.bytes;
                next = if room && !closing { requests.try_recv().ok() } else { None };
            }
            // 3.
            if now.since(trimmed_at) >= TRIM_EVERY_MS || now < trimmed_at {
                trimmed_at = now;
                match idempotency::trim(&*shared.backend, &mut group.staged, now, TRIM) {
                    // More may be too old: look again with the next group.
                    Ok(TRIM) => trimmed_at = Timestamp(i64::MIN),
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "old idempotency records could not be read"),
                }
                group.staged.keep();
            }
            // 4.
            let (writes, outcome) = group.finish();
            let result = self.write(writes, outcome);
            // 5.
            if let Err(error) = &result {
                self.fail(error);
            }
            answers.into_iter().for_each(|answer| answer.give(&result));
            if result.is_err() {
                return self.refuse();
            }
            if closing {
                return;
            }
        }
    }

    /// Writes a group and makes it visible.
    fn write(&mut self, mut writes: Vec<Write>, outcome: Outcome) -> StoreResult<()> {
        let Outcome {
            delta,
            mut effects,
            catalog,
            inserted,
            queued,
            stepped,
            event_ends,
            event_edges,
            conversations,
            chat_numbers,
            firsts,
            contacts,
        } = outcome;
        let watched = {
            let _whole = self.shared.whole.lock();
            let kept = (!delta.0.is_empty()).then(|| self.shared.columns.keep(&delta, &mut writes));
            // What was written goes last: it is newer than what was read.
            let mut rows: Vec<row_cache::Change> = firsts.into_iter().map(|(key, row)| (key, Some(row))).collect();
            rows.extend(row_cache::changes(&writes));
            if !writes.is_empty() {
                *self.shared.writing_since.lock() = Some(Instant::now());
                let written = self.shared.backend.write(writes);
                *self.shared.writing_since.lock() = None;
                written?;
            }
            if let Some(kept) = kept {
                self.shared.columns.kept(&delta, &kept)?;
            }
            // Whoever begins to wait from here on reads the new states.
            let watched = self.shared.watches.take(&stepped);
            self.note_messages(&inserted, &stepped, &mut effects);
            stepped.into_iter().for_each(|(key, rank, state)| self.in_flight.stepped(key, rank, state));
            for (queue, key) in &queued {
                self.shared.frontiers.queued(queue, key);
            }
            self.shared.events.changed(event_ends, event_edges);
            if !rows.is_empty() {
                self.shared.rows.changed(rows);
            }
            for contacts::Changed { tenant, number, contact } in contacts {
                self.shared.directory.contacts.changed(tenant, || (number, contact.as_ref().map(Row::of)));
            }
            for Touched { before, now, is_gone } in &conversations {
                let (old, now) = (before.as_deref().map(|old| &old.conversation), &now.conversation);
                let old = old.map_or(&[][..], |old| old.tags.as_slice());
                let new = if *is_gone { &[][..] } else { now.tags.as_slice() };
                if old != new {
                    let tags = || if *is_gone { Box::<[u32]>::default() } else { tags_of(now) };
                    self.shared.directory.tags.changed(now.tenant, || (now.id, tags()));
                }
            }
            if !conversations.is_empty() {
                let now = |touched: &Touched| (!touched.is_gone).then(|| touched.now.clone());
                self.shared.conversations.changed(conversations.iter().map(|t| (t.before.clone(), now(t))));
                let lanes = conversations.iter().map(|t| (t.before.as_deref(), (!t.is_gone).then_some(&*t.now)));
                self.shared.lanes.changed(lanes);
                let pauses = conversations.iter().map(|t| (t.before.as_deref(), (!t.is_gone).then_some(&*t.now)));
                self.shared.pauses.changed(pauses);
                self.shared
                    .directory
                    .conversations
                    .changed(conversations.iter().map(|t| (&t.now.conversation, t.is_gone)));
            }
            let opened = conversations.iter().filter(|touched| touched.before.is_none());
            self.shared.chats.changed(chat_numbers, opened.map(|touched| touched.now.conversation.connector));
            if !catalog.is_empty() {
                let mut known = self.shared.catalog.write();
                catalog.into_iter().for_each(|change| known.apply(change));
            }
            watched
        };
        self.search.inserted(inserted);
        for watch in watched {
            // An error means that nobody waits any longer.
            let _ = watch.send(());
        }
        if !effects.is_empty()
            && let Some(observer) = &*self.shared.observer.read()
        {
            observer.committed(&effects);
        }
        Ok(())
    }

    /// Adds what happened to messages of tenants that are followed. Of others nothing is looked up or allocated. Whoever begins to follow
    /// after this reads the new states.
    fn note_messages(
        &self,
        inserted: &[Vec<Message>],
        stepped: &[(MessageKey, u8, MessageState)],
        effects: &mut Vec<Effect>,
    ) {
        if inserted.is_empty() && stepped.is_empty() {
            return;
        }
        let observer = self.shared.observer.read();
        let Some(observer) = observer.as_ref() else { return };
        let mut asked: Option<(TenantIndex, bool)> = None;
        let mut follows = |tenant: TenantIndex| match asked {
            Some((last, follows)) if last == tenant => follows,
            _ => {
                let follows = observer.follows(tenant);
                asked = Some((tenant, follows));
                follows
            }
        };
        // Nothing steps in the group in which it is inserted, so these come first.
        for messages in inserted {
            if messages.first().is_some_and(|first| follows(first.key.tenant)) {
                let step = |message: &Message| Effect::Message(MessageStep::to(message.key, &message.initial_state()));
                effects.extend(messages.iter().map(step));
            }
        }
        for (key, _, state) in stepped {
            if follows(key.tenant) {
                effects.push(Effect::Message(MessageStep::to(*key, state)));
            }
        }
    }

    fn fail(&self, error: &StoreError) {
        let why = match error {
            StoreError::Unavailable(why) => why.clone(),
            other => other.to_string(),
        };
        tracing::error!(%why, "the store takes no more writes until it is restarted");
        *self.shared.health.write() = StoreHealth::Failed(why);
    }

    /// Refuses all requests that still come.
    fn refuse(mut self) {
        let error = StoreError::Unavailable(match &*self.shared.health.read() {
            StoreHealth::Failed(why) => why.clone(),
            StoreHealth::Good => "the store is closed".to_owned(),
        });
        while let Some(request) = self.requests.blocking_recv() {
            match request {
                Request::Commit(_, asker) => drop(asker.send(Err(error.clone()))),
                Request::Count(_, asker) => drop(asker.send(Err(error.clone()))),
                Request::Forget(_, asker) => drop(asker.send(Err(error.clone()))),
                Request::Purge(_, asker) => drop(asker.send(Err(error.clone()))),
                Request::Close => return,
            }
        }
    }
}

/// How many messages and events a request touches.
fn weight(request: &Request) -> usize {
    match request {
        Request::Commit(batch, _) => batch
            .changes
            .iter()
            .map(|change| match change {
                PreparedChange::Insert(insert) => insert.messages.len(),
                PreparedChange::Event(_)
                | PreparedChange::Automation(..)
                | PreparedChange::Chat(..)
                | PreparedChange::Other(_) => 1,
            })
            .sum(),
        Request::Forget(front, _) => (front.upto - front.first) as usize,
        Request::Purge(purge, _) => match &purge.what {
            Purged::Conversation { items, .. } => items.len(),
            Purged::Outdated { items, .. } => items.len(),
        },
        Request::Count(..) | Request::Close => 1,
    }
}
