//! The committer: one thread through which every write goes. It gathers the batches that wait, checks them one after the
//! other, writes them as one batch with one sync, makes them visible in memory, answers and tells the observer. While a group
//! syncs, the next one gathers in the channel.
//!
//! After a failed write or sync nothing is acknowledged any more: what is on disk is then unknown until a restart reads it.

use std::sync::Arc;
use std::time::Instant;

use pombo_domain::Timestamp;
use pombo_domain::ports::{Clock, Committed, Entropy, StoreError, StoreHealth, StoreResult};
use tokio::sync::{mpsc, oneshot};

use crate::backend::Write;
use crate::group::{Group, Outcome, Prepared, PreparedChange};
use crate::memory::Memory;
use crate::recent::InFlight;
use crate::rows;
use crate::search::Search;
use crate::tables::events::Forgotten;
use crate::tables::idempotency;
use crate::tables::meta::{self, Counter};

/// What the committer is asked.
pub(crate) enum Request {
    Commit(Prepared, oneshot::Sender<StoreResult<Committed>>),
    Count(Counter, oneshot::Sender<StoreResult<u32>>),
    Forget(Forgotten, oneshot::Sender<StoreResult<usize>>),
    Close,
}

/// An answer to give once the group is on disk.
enum Answer {
    Committed(oneshot::Sender<StoreResult<Committed>>, Committed),
    Counted(oneshot::Sender<StoreResult<u32>>, u32),
    Forgot(oneshot::Sender<StoreResult<usize>>, usize),
}

impl Answer {
    /// The asker may be gone; the commit stands all the same.
    fn give(self, result: &StoreResult<()>) {
        match self {
            Self::Committed(asker, committed) => drop(asker.send(result.clone().map(|()| committed))),
            Self::Counted(asker, number) => drop(asker.send(result.clone().map(|()| number))),
            Self::Forgot(asker, count) => drop(asker.send(result.clone().map(|()| count))),
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
    pub(crate) memory: Arc<Memory>,
    pub(crate) search: Arc<Search>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) bounds: Bounds,
    pub(crate) in_flight: InFlight,
}

/// Says so in the store's health when the committer ends by a panic.
struct Guard(Arc<Memory>);

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
    /// Runs until it is asked to close or all askers are gone.
    pub(crate) fn run(mut self) {
        let _guard = Guard(self.memory.clone());
        let mut trimmed_at = Timestamp(i64::MIN);
        while let Some(request) = self.requests.blocking_recv() {
            let memory = self.memory.clone();
            let entropy = self.entropy.clone();
            let now = self.clock.now();
            let requests = &mut self.requests;
            let mut group = Group::new(&memory, &self.in_flight, &*entropy);
            let mut answers = Vec::new();
            let mut closing = false;
            let (mut batches, mut messages) = (0, 0);
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
                    Request::Forget(front, asker) => answers.push(Answer::Forgot(asker, group.forget(front))),
                    Request::Close => closing = true,
                }
                let room = batches < self.bounds.batches
                    && messages < self.bounds.messages
                    && group.staged.bytes() < self.bounds.bytes;
                next = if room && !closing { requests.try_recv().ok() } else { None };
            }
            if now.since(trimmed_at) >= TRIM_EVERY_MS || now < trimmed_at {
                trimmed_at = now;
                match idempotency::trim(&*memory.backend, &mut group.staged, now, TRIM) {
                    // More may be too old: look again with the next group.
                    Ok(TRIM) => trimmed_at = Timestamp(i64::MIN),
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "old idempotency records could not be read"),
                }
                group.staged.keep();
            }
            let (writes, outcome) = group.finish();
            let result = self.write(writes, outcome);
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
            effects,
            catalog,
            inserted,
            queued,
            stepped,
            event_ends,
            event_edges,
            conversations,
            firsts,
        } = outcome;
        {
            let _whole = self.memory.whole.lock();
            let kept = (!delta.0.is_empty()).then(|| self.memory.columns.keep(&delta, &mut writes));
            // What was written goes last: it is newer than what was read.
            let mut rows: Vec<rows::Change> = firsts.into_iter().map(|(key, row)| (key, Some(row))).collect();
            rows.extend(rows::changes(&writes));
            if !writes.is_empty() {
                *self.memory.writing_since.lock() = Some(Instant::now());
                let written = self.memory.backend.write(writes);
                *self.memory.writing_since.lock() = None;
                written?;
            }
            if let Some(kept) = kept {
                self.memory.columns.kept(&delta, &kept)?;
            }
            stepped.into_iter().for_each(|(key, rank, state)| self.in_flight.stepped(key, rank, state));
            for (queue, key) in &queued {
                self.memory.frontiers.queued(queue, key);
            }
            self.memory.events.changed(event_ends, event_edges);
            if !rows.is_empty() {
                self.memory.rows.changed(rows);
            }
            if !conversations.is_empty() {
                self.memory.hot.changed(conversations.iter().map(|touched| touched.now.clone()));
                self.memory.lanes.changed(conversations.iter().map(|t| (t.before.as_deref(), &*t.now)));
            }
            if !catalog.is_empty() {
                let mut shared = self.memory.catalog.write();
                catalog.into_iter().for_each(|change| shared.apply(change));
            }
        }
        self.search.inserted(inserted);
        if !effects.is_empty()
            && let Some(observer) = &*self.memory.observer.read()
        {
            observer.committed(&effects);
        }
        Ok(())
    }

    fn fail(&self, error: &StoreError) {
        let why = match error {
            StoreError::Unavailable(why) => why.clone(),
            other => other.to_string(),
        };
        tracing::error!(%why, "the store takes no more writes until it is restarted");
        *self.memory.health.write() = StoreHealth::Failed(why);
    }

    /// Answers whoever still asks.
    fn refuse(mut self) {
        let error = StoreError::Unavailable(match &*self.memory.health.read() {
            StoreHealth::Failed(why) => why.clone(),
            StoreHealth::Good => "the store is closed".to_owned(),
        });
        while let Some(request) = self.requests.blocking_recv() {
            match request {
                Request::Commit(_, asker) => drop(asker.send(Err(error.clone()))),
                Request::Count(_, asker) => drop(asker.send(Err(error.clone()))),
                Request::Forget(_, asker) => drop(asker.send(Err(error.clone()))),
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
                PreparedChange::Event(_) | PreparedChange::Automation(..) | PreparedChange::Other(_) => 1,
            })
            .sum(),
        Request::Forget(front, _) => (front.upto - front.first) as usize,
        Request::Count(..) | Request::Close => 1,
    }
}
