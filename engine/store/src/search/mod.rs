//! Search by words: per tenant, segments of at most 65,536 messages, each with a dictionary of its tokens. A query scans the
//! dictionaries and gives a mask per block, which the columns' scan takes as one more filter.
//!
//! The indexer thread takes what the committer inserted (or reads records, where it fell behind, and after opening), the
//! sealer thread writes full segments to disk. Neither delays a commit. A search waits until all messages that it
//! must see are in. The files are a cache: missing or damaged ones are built again from the records.

pub(crate) mod fold;
mod indexer;
mod open;
mod scan;
mod segment;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use memchr::memmem::Finder;
use parking_lot::{Mutex, RwLock};
use pombo_domain::TenantIndex;
use pombo_domain::model::Message;
use pombo_domain::ports::{StoreError, StoreResult};
use tokio::sync::watch;

use crate::backend::Backend;
use crate::columns::Columns;
use crate::columns::block::{BLOCK, Mask};
use indexer::{Indexer, Queue};
use open::OpenSegment;
use segment::{Budget, Segment};

/// The search index of all tenants.
pub(crate) struct Search {
    shared: Arc<Shared>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

/// How large the index may grow in memory.
pub(crate) struct Limits {
    /// Bytes of sealed dictionaries held in memory.
    pub(crate) memory: u64,
    /// Bytes of a dictionary that is still open.
    pub(crate) segment: usize,
}

/// What the index's threads and its readers share.
struct Shared {
    root: PathBuf,
    backend: Arc<dyn Backend>,
    columns: Arc<Columns>,
    budget: Arc<Budget>,
    /// A dictionary of this size is sealed before its block is full.
    large: usize,
    tenants: RwLock<HashMap<TenantIndex, Arc<TenantSearch>>>,
    queue: Queue,
}

/// How far a tenant's index is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    /// All serials below this one are indexed.
    Upto(u64),
    /// Reading records failed.
    Failed(StoreError),
}

/// A tenant's index.
struct TenantSearch {
    segments: RwLock<Segments>,
    progress: watch::Sender<Progress>,
}

struct Segments {
    /// Oldest first, without gaps.
    full: Vec<Full>,
    open: OpenSegment,
}

/// A segment that takes no more messages.
#[derive(Clone)]
enum Full {
    Sealed(Arc<Segment>),
    /// Not on disk yet.
    Frozen(Arc<OpenSegment>),
}

impl Search {
    /// Starts the index under `root`; segments load and missing ones are rebuilt in the background.
    pub(crate) fn start(
        root: PathBuf,
        limits: Limits,
        backend: Arc<dyn Backend>,
        columns: Arc<Columns>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            root,
            backend,
            columns,
            budget: Budget::new(limits.memory),
            large: limits.segment,
            tenants: RwLock::default(),
            queue: Queue::default(),
        });
        let threads = Indexer::spawn(shared.clone())?;
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// Takes messages that a commit inserted, a run of one tenant each.
    pub(crate) fn inserted(&self, runs: Vec<Vec<Message>>) {
        self.shared.queue.push(runs);
    }

    /// Ends the threads.
    pub(crate) fn stop(&self) {
        self.shared.queue.stop();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the search index panicked");
            }
        }
    }

    /// Returns when all of a tenant's messages below `upto` are in.
    pub(crate) async fn caught_up(&self, tenant: TenantIndex, upto: u64) -> StoreResult<()> {
        let mut progress = self.shared.of(tenant).progress.subscribe();
        let reached = progress
            .wait_for(|p| match p {
                Progress::Upto(n) => *n >= upto,
                Progress::Failed(_) => true,
            })
            .await;
        match reached.as_deref() {
            Ok(Progress::Upto(_)) => Ok(()),
            Ok(Progress::Failed(error)) => Err(error.clone()),
            Err(_) => Err(StoreError::Unavailable("the search index has stopped".to_owned())),
        }
    }

    /// The messages of some blocks in which every word occurs. A block without any is left out.
    pub(crate) fn masks(
        &self,
        tenant: TenantIndex,
        words: &[String],
        blocks: &[u32],
    ) -> StoreResult<HashMap<u32, Box<Mask>>> {
        let finders: Vec<Finder<'_>> = words.iter().map(|word| Finder::new(word.as_bytes())).collect();
        let tenant = self.shared.of(tenant);
        // Sealed segments are searched without the lock, so that a long search does not hold up the indexer.
        let full = tenant.segments.read().full.clone();
        let mut masks: HashMap<u32, Box<Mask>> = HashMap::new();
        let wanted = |first: u64| {
            let block = (first / BLOCK as u64) as u32;
            blocks.contains(&block).then_some(block)
        };
        for segment in &full {
            if let Some(block) = wanted(segment.first()) {
                merge(
                    &mut masks,
                    block,
                    all_words(&finders, |word, mask| segment.matches(word, mask)).map_err(unreadable)?,
                );
            }
        }
        let segments = tenant.segments.read();
        // Segments may have been filled since the clone.
        let searched = full.last().map_or(0, Full::next);
        for segment in segments.full.iter().filter(|segment| segment.first() >= searched) {
            if let Some(block) = wanted(segment.first()) {
                merge(
                    &mut masks,
                    block,
                    all_words(&finders, |word, mask| segment.matches(word, mask)).map_err(unreadable)?,
                );
            }
        }
        if let Some(block) = wanted(segments.open.first) {
            let found = all_words(&finders, |word, mask| {
                segments.open.matches(word, mask);
                Ok(())
            });
            merge(&mut masks, block, found.unwrap_or_default());
        }
        Ok(masks)
    }
}

/// The AND of the words' masks, `None` when nothing is left.
fn all_words(
    finders: &[Finder<'_>],
    mut matches: impl FnMut(&Finder<'_>, &mut Mask) -> io::Result<()>,
) -> io::Result<Option<Box<Mask>>> {
    let mut all: Option<Box<Mask>> = None;
    for finder in finders {
        let mut mask = Box::new([0u64; BLOCK / 64]);
        matches(finder, &mut mask)?;
        if let Some(all) = &all {
            mask.iter_mut().zip(all.iter()).for_each(|(bits, other)| *bits &= other);
        }
        if mask.iter().all(|bits| *bits == 0) {
            return Ok(None);
        }
        all = Some(mask);
    }
    Ok(all)
}

fn merge(masks: &mut HashMap<u32, Box<Mask>>, block: u32, found: Option<Box<Mask>>) {
    if let Some(found) = found {
        match masks.get_mut(&block) {
            Some(mask) => mask.iter_mut().zip(found.iter()).for_each(|(bits, other)| *bits |= other),
            None => {
                masks.insert(block, found);
            }
        }
    }
}

fn unreadable(error: io::Error) -> StoreError {
    StoreError::Damaged(format!("search index: {error}"))
}

impl Full {
    fn matches(&self, word: &Finder<'_>, mask: &mut Mask) -> io::Result<()> {
        match self {
            Self::Sealed(segment) => segment.matches(word, mask),
            Self::Frozen(segment) => {
                segment.matches(word, mask);
                Ok(())
            }
        }
    }
    fn first(&self) -> u64 {
        match self {
            Self::Sealed(segment) => segment.first,
            Self::Frozen(segment) => segment.first,
        }
    }
    fn next(&self) -> u64 {
        match self {
            Self::Sealed(segment) => segment.next(),
            Self::Frozen(segment) => segment.next(),
        }
    }
}

impl Shared {
    fn of(&self, tenant: TenantIndex) -> Arc<TenantSearch> {
        if let Some(found) = self.tenants.read().get(&tenant) {
            return found.clone();
        }
        self.tenants.write().entry(tenant).or_insert_with(|| Arc::new(TenantSearch::new())).clone()
    }
}

impl TenantSearch {
    fn new() -> Self {
        Self {
            segments: RwLock::new(Segments { full: Vec::new(), open: OpenSegment::new(0) }),
            progress: watch::Sender::new(Progress::Upto(0)),
        }
    }
}
