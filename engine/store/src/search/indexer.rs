//! The threads of the search index: the indexer, which alone adds messages, and the sealer, which writes full segments.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::mpsc;

use parking_lot::{Condvar, Mutex};
use pombo_domain::model::Message;
use pombo_domain::ports::{StoreError, StoreResult};
use pombo_domain::{MessageKey, TenantIndex};

use super::open::OpenSegment;
use super::segment::{self, Segment};
use super::{Full, Progress, Shared};
use crate::backend::{KeyRange, Order};
use crate::columns::block::BLOCK;
use crate::keys;
use crate::space::Space;
use crate::tables::messages;

/// Text that may wait to be indexed; beyond it the records are read again.
const WAITING: usize = 8 << 20;
/// Messages added under one lock.
const STEP: usize = 256;

/// What waits to be indexed.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Vec<Message>>,
    bytes: usize,
    /// Tenants whose records must be read, because there was no room for their messages here.
    behind: BTreeSet<TenantIndex>,
    stopped: bool,
}

enum Job {
    Messages(Vec<Message>),
    Records(TenantIndex),
    Stop,
}

fn weight(messages: &[Message]) -> usize {
    messages.iter().map(|m| m.content.text.len() + 512).sum()
}

impl Queue {
    /// Adds runs of messages, each of one tenant in the order of their serials. Never blocks.
    pub(super) fn push(&self, runs: Vec<Vec<Message>>) {
        if runs.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock();
        for messages in runs {
            let Some(first) = messages.first() else { continue };
            if waiting.bytes > WAITING || !waiting.behind.is_empty() {
                waiting.behind.insert(first.key.tenant);
            } else {
                waiting.bytes += weight(&messages);
                waiting.messages.push_back(messages);
            }
        }
        drop(waiting);
        self.changed.notify_one();
    }

    pub(super) fn behind(&self, tenant: TenantIndex) {
        self.waiting.lock().behind.insert(tenant);
        self.changed.notify_one();
    }

    pub(super) fn stop(&self) {
        self.waiting.lock().stopped = true;
        self.changed.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.waiting.lock().stopped
    }

    fn next(&self) -> Job {
        let mut waiting = self.waiting.lock();
        loop {
            if waiting.stopped {
                return Job::Stop;
            }
            if let Some(messages) = waiting.messages.pop_front() {
                waiting.bytes -= weight(&messages);
                return Job::Messages(messages);
            }
            if let Some(tenant) = waiting.behind.pop_first() {
                return Job::Records(tenant);
            }
            self.changed.wait(&mut waiting);
        }
    }
}

type Seal = (TenantIndex, Arc<OpenSegment>);

/// The task; see the module.
pub(super) struct Indexer {
    shared: Arc<Shared>,
    sealer: mpsc::Sender<Seal>,
}

impl Indexer {
    /// Starts both threads.
    pub(super) fn spawn(shared: Arc<Shared>) -> io::Result<Vec<std::thread::JoinHandle<()>>> {
        let (sealer, seals) = mpsc::channel::<Seal>();
        let sealing = shared.clone();
        let sealer_thread = std::thread::Builder::new().name("pombo-seal".to_owned()).spawn(move || {
            while let Ok((tenant, frozen)) = seals.recv() {
                if let Err(error) = seal(&sealing, tenant, &frozen) {
                    // It stays searchable in memory and is rebuilt at the next start.
                    tracing::warn!(%error, "a search segment could not be written");
                }
            }
        })?;
        let indexer = Self { shared, sealer };
        let indexer_thread = std::thread::Builder::new().name("pombo-index".to_owned()).spawn(move || indexer.run())?;
        Ok(vec![indexer_thread, sealer_thread])
    }

    fn run(self) {
        for (tenant, _) in self.shared.columns.tenants() {
            self.load(tenant);
            self.shared.queue.behind(tenant);
        }
        loop {
            let (tenant, result) = match self.shared.queue.next() {
                Job::Stop => break,
                Job::Records(tenant) => (tenant, self.read_up(tenant, u64::MAX)),
                Job::Messages(messages) => match messages.first() {
                    Some(first) => (first.key.tenant, self.add(&messages)),
                    None => continue,
                },
            };
            if let Err(error) = result {
                tracing::error!(%error, tenant = tenant.0, "the search index cannot read the records");
                self.shared.of(tenant).progress.send_replace(Progress::Failed(error));
            }
        }
        for tenant in self.shared.tenants.read().values() {
            tenant.progress.send_replace(Progress::Failed(StoreError::Unavailable("the store is closed".to_owned())));
        }
    }

    /// Loads a tenant's segments, up to the first that is missing or damaged; the rest is removed.
    fn load(&self, tenant: TenantIndex) {
        let folder = segment::folder(&self.shared.root, tenant);
        let firsts = segment::present(&folder).unwrap_or_else(|error| {
            tracing::warn!(%error, "the search segments cannot be listed; they are rebuilt");
            Vec::new()
        });
        let len = self.shared.columns.tail(tenant).0;
        let mut full = Vec::new();
        let mut next = 0;
        for first in firsts {
            let opened = (first == next).then(|| Segment::open(&folder, tenant, first, &self.shared.budget));
            match opened {
                Some(Ok(segment)) if segment.next() <= len && self.is_of_these_records(tenant, &segment) => {
                    next = segment.next();
                    full.push(Full::Sealed(Arc::new(segment)));
                }
                other => {
                    if let Some(Err(error)) = other {
                        tracing::warn!(%error, tenant = tenant.0, first, "a search segment is rebuilt from the records");
                    }
                    if let Err(error) = segment::remove(&folder, first) {
                        tracing::warn!(%error, "a search segment could not be removed");
                    }
                }
            }
        }
        let search = self.shared.of(tenant);
        let mut segments = search.segments.write();
        segments.full = full;
        segments.open = OpenSegment::new(next);
        search.progress.send_replace(Progress::Upto(next));
    }

    /// Whether a segment was made from the records that are here, and not from others in a folder restored since.
    fn is_of_these_records(&self, tenant: TenantIndex, segment: &Segment) -> bool {
        let last = MessageKey { tenant, serial: segment.next().saturating_sub(1) };
        let row = messages::read_row(&*self.shared.backend, last).ok().flatten();
        row.is_some_and(|row| messages::id_of(&row).is_ok_and(|id| id == segment.last_id))
    }

    /// Adds messages of one tenant; those before them come from the records, where they were left out.
    fn add(&self, messages: &[Message]) -> StoreResult<()> {
        let Some(first) = messages.first() else { return Ok(()) };
        let tenant = first.key.tenant;
        self.read_up(tenant, first.key.serial)?;
        let next = self.shared.of(tenant).segments.read().open.next();
        let known = messages.partition_point(|m| m.key.serial < next);
        self.push(tenant, &messages[known..]);
        Ok(())
    }

    /// Adds a tenant's records up to `upto`.
    fn read_up(&self, tenant: TenantIndex, upto: u64) -> StoreResult<()> {
        let search = self.shared.of(tenant);
        let upto = upto.min(self.shared.columns.tail(tenant).0);
        loop {
            let next = search.segments.read().open.next();
            if next >= upto || self.shared.queue.is_stopped() {
                return Ok(());
            }
            let range = KeyRange::prefix(&keys::Key::new().u32(tenant.0))
                .from(&keys::message(MessageKey { tenant, serial: next }));
            let mut records = Vec::with_capacity(STEP);
            let wanted = (upto - next).min(STEP as u64) as usize;
            for row in self.shared.backend.scan(Space::Messages, range, Order::Forward).take(wanted) {
                let (key, row) = row?;
                let key = keys::parse_message(&key).ok_or_else(|| crate::codec::bad_key("messages"))?;
                records.push(messages::parse(key, &row)?);
            }
            if records.first().is_none_or(|m| m.key.serial != next) {
                return Err(crate::codec::damaged("messages: a record is missing"));
            }
            self.push(tenant, &records);
        }
    }

    /// Adds messages whose serials follow the index's last.
    fn push(&self, tenant: TenantIndex, mut messages: &[Message]) {
        let search = self.shared.of(tenant);
        while !messages.is_empty() {
            let mut segments = search.segments.write();
            let left = BLOCK as u64 - segments.open.next() % BLOCK as u64;
            let (now, later) = messages.split_at(messages.len().min(STEP).min(left as usize));
            for message in now {
                let content = &message.content;
                segments.open.push(message.id, &content.to, content.contact_name.as_deref(), &content.text);
            }
            messages = later;
            let next = segments.open.next();
            if next.is_multiple_of(BLOCK as u64) || segments.open.text_len() > self.shared.large {
                let frozen = Arc::new(std::mem::replace(&mut segments.open, OpenSegment::new(next)));
                segments.full.push(Full::Frozen(frozen.clone()));
                // The sealer only ends after this sender is gone.
                let _ = self.sealer.send((tenant, frozen));
            }
            drop(segments);
            search.progress.send_replace(Progress::Upto(next));
        }
    }
}

/// Writes a full segment and puts the sealed one in its place.
fn seal(shared: &Shared, tenant: TenantIndex, frozen: &OpenSegment) -> io::Result<()> {
    let folder = segment::folder(&shared.root, tenant);
    segment::write(&folder, tenant, frozen)?;
    let sealed = Arc::new(Segment::open(&folder, tenant, frozen.first, &shared.budget)?);
    let search = shared.of(tenant);
    let mut segments = search.segments.write();
    if let Some(place) = segments.full.iter_mut().find(|full| full.first() == sealed.first) {
        *place = Full::Sealed(sealed);
    }
    Ok(())
}
