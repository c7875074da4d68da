//! The real store in a folder of its own, behind a decorator that fails as planned.

mod through;

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pombo_domain::MessageKey;
use pombo_domain::model::{Message, MessageState, Ranking, Status};
use pombo_domain::ports::{Batch, Change, Clock, Committed, Entropy, Store, StoreError, StoreResult, Update};
use pombo_store::{DiskStore, FjallOptions, Options};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::CountingEntropy;

/// How long [`TestStore::reopened`] waits for others to let go of the store, before it fails.
const RELEASED_WITHIN: Duration = Duration::from_secs(10);

/// What happens to a commit.
pub enum Fate {
    /// The commit is stored.
    Passes,
    /// Nothing is stored, and the caller gets this error.
    Refused(StoreError),
    /// The commit is stored, and yet the caller gets this error.
    StoredBut(StoreError),
}

/// The store is not available, as after a failed sync.
pub fn unavailable() -> StoreError {
    StoreError::Unavailable("a planned fault".to_owned())
}

impl Fate {
    /// Nothing is stored, and the caller is told that the store is not available.
    pub fn refused() -> Self {
        Self::Refused(unavailable())
    }
    /// The commit is stored, and yet the caller is told that the store is not available.
    pub fn lost() -> Self {
        Self::StoredBut(unavailable())
    }
}

type Plan = Box<dyn FnMut(usize, &Batch) -> Fate + Send>;
type ReadPlan = Box<dyn FnMut(&str) -> Option<StoreError> + Send>;

/// The store of a test, in a folder that is removed with it.
///
/// A commit is one step of its task: it lets the others run once, and then ends without them. So a test on a runtime of one
/// thread runs the same way each time, and [`crate::settle`] is enough to let everything happen. Where commits are to overlap,
/// see [`TestStore::overlapping`].
pub struct TestStore {
    disk: Arc<DiskStore>,
    folder: TempDir,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    durable: bool,
    overlaps: bool,
    plan: Mutex<Option<Plan>>,
    read_plan: Mutex<Option<ReadPlan>>,
    has_read_plan: AtomicBool,
    commits: AtomicUsize,
    due_deliveries_read: AtomicUsize,
    page_rows: AtomicUsize,
    delay_ms: AtomicU64,
    history: Mutex<Vec<(MessageKey, Status)>>,
    under_way: AtomicUsize,
    ended: Notify,
}

struct UnderWay<'a>(&'a TestStore);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
        self.0.ended.notify_one();
    }
}

impl TestStore {
    /// An empty store. [`Self::reopened`] reads back what it stored, but its data does not survive a crash of the machine:
    /// nothing is synced.
    pub fn open(clock: impl Clock) -> Arc<Self> {
        Arc::new(Self::made(clock, false, false))
    }

    /// An empty store whose commits run concurrently with their callers, as in production; [`Self::settle`] waits for them.
    pub fn overlapping(clock: impl Clock) -> Arc<Self> {
        Arc::new(Self::made(clock, false, true))
    }

    /// The same, with each commit synced: for measuring.
    pub fn durable(clock: impl Clock) -> Arc<Self> {
        Arc::new(Self::made(clock, true, true))
    }

    fn made(clock: impl Clock, durable: bool, overlaps: bool) -> Self {
        let folder = if durable { TempDir::new() } else { folder() };
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(clock), Arc::new(CountingEntropy::new(1)));
        Self::at(folder.expect("a temporary folder"), clock, entropy, durable, overlaps)
    }

    fn at(folder: TempDir, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, durable: bool, overlaps: bool) -> Self {
        let backend = FjallOptions { memtable_bytes: 1 << 20, ..FjallOptions::default() };
        let options = Options { backend, ..Options::default() };
        let open = if durable { pombo_store::open } else { pombo_store::open_unsynced };
        let disk = open(options, folder.path(), clock.clone(), entropy.clone()).expect("the store opens");
        Self {
            disk,
            folder,
            clock,
            entropy,
            durable,
            overlaps,
            plan: Mutex::default(),
            read_plan: Mutex::default(),
            has_read_plan: AtomicBool::new(false),
            commits: AtomicUsize::new(0),
            due_deliveries_read: AtomicUsize::new(0),
            page_rows: AtomicUsize::new(0),
            delay_ms: AtomicU64::new(0),
            history: Mutex::default(),
            under_way: AtomicUsize::new(0),
            ended: Notify::new(),
        }
    }

    /// Closes the store and opens its folder again. Waits until nobody else holds the store: tasks that were ended let go of it when
    /// their runtime comes to them. Plans are forgotten.
    pub async fn reopened(self: Arc<Self>) -> Arc<Self> {
        let began = Instant::now();
        while Arc::strong_count(&self) > 1 && began.elapsed() < RELEASED_WITHIN {
            tokio::task::yield_now().await;
        }
        self.disk.close().expect("it closes");
        let closed = Arc::try_unwrap(self)
            .unwrap_or_else(|store| panic!("{} others still have the store", Arc::strong_count(&store) - 1));
        let Self { disk, folder, clock, entropy, durable, overlaps, .. } = closed;
        drop(disk);
        Arc::new(Self::at(folder, clock, entropy, durable, overlaps))
    }

    /// The store itself, without plans: for the test's own commits and reads.
    pub fn disk(&self) -> &Arc<DiskStore> {
        &self.disk
    }

    /// The store's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Decides what happens to each commit from now on. The function gets the commit's number, from 0: how many came before it,
    /// including those that were refused.
    pub fn plan(&self, plan: impl FnMut(usize, &Batch) -> Fate + Send + 'static) {
        *self.plan.lock() = Some(Box::new(plan));
    }

    /// From now on, refuses each commit for which the function gives an error. See [`Self::plan`].
    pub fn refuse(&self, mut refuse: impl FnMut(usize, &Batch) -> Option<StoreError> + Send + 'static) {
        self.plan(move |number, batch| refuse(number, batch).map_or(Fate::Passes, Fate::Refused));
    }

    /// Refuses only the next commit, with this error.
    pub fn refuse_next(&self, error: StoreError) {
        let mut error = Some(error);
        self.refuse(move |_, _| error.take());
    }

    /// From now on every commit passes.
    pub fn no_plan(&self) {
        *self.plan.lock() = None;
    }

    /// From now on, fails each read for which the function gives an error. The function gets the name of the port's method.
    pub fn fail_reads(&self, plan: impl FnMut(&str) -> Option<StoreError> + Send + 'static) {
        *self.read_plan.lock() = Some(Box::new(plan));
        self.has_read_plan.store(true, Ordering::SeqCst);
    }

    /// From now on every read succeeds.
    pub fn no_read_plan(&self) {
        self.has_read_plan.store(false, Ordering::SeqCst);
        *self.read_plan.lock() = None;
    }

    /// How many commits were requested, including those that were refused, but not those of [`Self::write`].
    pub fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }

    /// How many entries of the queue of due deliveries were read, an entry that was read twice counted twice.
    pub fn due_deliveries_read(&self) -> usize {
        self.due_deliveries_read.load(Ordering::SeqCst)
    }

    /// Makes each commit take this many real milliseconds longer: for measuring.
    pub fn delay_commits(&self, ms: u64) {
        self.delay_ms.store(ms, Ordering::SeqCst);
    }

    /// The statuses that a message has had, in order: what a constant reader would have seen.
    pub fn history(&self, key: MessageKey) -> Vec<Status> {
        self.history.lock().iter().filter(|(of, _)| *of == key).map(|(_, status)| *status).collect()
    }

    /// A test's own commit, which no plan refuses. Blocks.
    pub fn write(&self, batch: Batch) -> StoreResult<Committed> {
        let told = Told::by(&batch, self);
        let committed = block_on(self.disk.commit(batch))?;
        told.keep(&committed, self);
        Ok(committed)
    }

    /// From now on a page of conversations is read from at most `rows` rows, whether they match or not: a reader must continue
    /// after a short page, and after an empty one.
    pub fn short_pages(&self, rows: usize) {
        self.page_rows.store(rows, Ordering::SeqCst);
    }

    /// How many messages there are, of all tenants.
    pub fn message_count(&self) -> u64 {
        let tenants = self.disk.tenants().expect("readable");
        tenants.iter().flat_map(|tenant| self.disk.status_counts(tenant.index)).sum()
    }

    /// A message's step with its delivery, as the scheduler would make it.
    pub fn step(&self, key: MessageKey, step: impl FnOnce(&MessageState) -> MessageState) {
        let stored = self.disk.message(key).expect("readable").expect("it is stored");
        let state = step(&stored.state);
        self.write(Batch::of(vec![Change::Update(crate::samples::update(&stored, state))])).expect("stored");
    }

    /// Gives a message a state that no step leads to. Nobody is told.
    pub fn force(&self, key: MessageKey, change: impl FnOnce(&mut MessageState)) {
        let mut state = self.disk.message(key).expect("readable").expect("it is stored").state;
        change(&mut state);
        state.revision += 1;
        self.write(Batch::of(vec![Change::Update(Update { key, state, delivery: None })])).expect("stored");
    }

    /// Lets every task run until none has anything left to do but wait for the clock, and no commit is under way.
    pub async fn settle(&self) {
        loop {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            if self.under_way.load(Ordering::SeqCst) == 0 {
                return;
            }
            self.ended.notified().await;
        }
    }

    async fn committing(&self, batch: Batch) -> StoreResult<Committed> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let _under_way = UnderWay(self);
        match self.delay_ms.load(Ordering::SeqCst) {
            0 => tokio::task::yield_now().await,
            ms => tokio::time::sleep(Duration::from_millis(ms)).await,
        }
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        let fate = self.plan.lock().as_mut().map_or(Fate::Passes, |plan| plan(number, &batch));
        if let Fate::Refused(error) = fate {
            return Err(error);
        }
        let told = Told::by(&batch, self);
        let commit = self.disk.commit(batch);
        let committed = if self.overlaps { commit.await? } else { block_on(commit)? };
        told.keep(&committed, self);
        match fate {
            Fate::StoredBut(error) => Err(error),
            Fate::Passes | Fate::Refused(_) => Ok(committed),
        }
    }

    fn reading(&self, method: &str) -> StoreResult<()> {
        if !self.has_read_plan.load(Ordering::SeqCst) {
            return Ok(());
        }
        let failed = self.read_plan.lock().as_mut().and_then(|plan| plan(method));
        failed.map_or(Ok(()), Err)
    }
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits in place, also within a task: the committer has a thread of its own.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    // Else a task that has used up its turn would wait for its next one, which never comes.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// A folder in memory where the system has one: opening a store makes many small files, each of them synced.
fn folder() -> std::io::Result<TempDir> {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new())
}

/// The message statuses that a batch sets; not kept where commits overlap, because their order is then unknown.
struct Told {
    inserted: Vec<pombo_domain::model::NewMessage>,
    updated: Vec<(MessageKey, Status)>,
}

impl Told {
    fn by(batch: &Batch, store: &TestStore) -> Self {
        let mut told = Self { inserted: Vec::new(), updated: Vec::new() };
        if !store.overlaps {
            for change in &batch.changes {
                match change {
                    Change::Insert(insert) => told.inserted.extend(insert.messages.iter().cloned()),
                    Change::Update(update) => told.updated.push((update.key, update.state.status)),
                    _ => {}
                }
            }
        }
        told
    }

    fn keep(self, committed: &Committed, store: &TestStore) {
        let mut history = store.history.lock();
        for ((key, id, created_at), content) in committed.inserted.iter().zip(self.inserted) {
            let message = Message { id: *id, key: *key, created_at: *created_at, ranking: Ranking::default(), content };
            history.push((*key, message.initial_state().status));
        }
        history.extend(self.updated.into_iter().filter(|(key, _)| !committed.stale.contains(key)));
    }
}

#[cfg(test)]
mod tests {
    use pombo_domain::{ConnectorIndex, TenantIndex};

    use super::*;
    use crate::{ManualClock, NOON, samples};

    const TENANT: TenantIndex = TenantIndex(1);

    fn messages(count: usize) -> Batch {
        samples::inserts(TENANT, vec![samples::message(ConnectorIndex(1), "ana@example.org", "Oi"); count])
    }

    #[tokio::test]
    async fn commits_go_by_the_plan_and_what_was_stored_is_there_after_a_restart() {
        let store = TestStore::open(ManualClock::new(NOON));
        store.plan(|number, _| match number {
            0 => Fate::refused(),
            1 => Fate::lost(),
            _ => Fate::Passes,
        });
        for (count, error) in [(1, Some(unavailable())), (2, Some(unavailable())), (4, None)] {
            assert_eq!(store.commit(messages(count)).await.err(), error);
        }
        assert_eq!((store.commits(), store.status_counts(TENANT)[Status::Pending as usize]), (3, 6));
        let store = store.reopened().await;
        assert_eq!(store.status_counts(TENANT)[Status::Pending as usize], 6);
        store.refuse_next(unavailable());
        assert!(store.commit(messages(1)).await.is_err() && store.commit(messages(1)).await.is_ok());
    }

    #[tokio::test]
    async fn a_message_has_a_history_and_a_read_fails_as_planned() {
        let store = TestStore::open(ManualClock::new(NOON));
        let key = store.write(messages(1)).expect("stored").inserted[0].0;
        let stored = store.message(key).expect("readable").expect("there");
        let canceled = stored.state.cancel(None, NOON).expect("it waits");
        store.write(Batch::of(vec![Change::Update(samples::update(&stored, canceled))])).expect("stored");
        assert_eq!(store.history(key), [Status::Pending, Status::Canceled]);
        store.fail_reads(|method| (method == "message").then(unavailable));
        assert_eq!(store.message(key).err(), Some(unavailable()));
        assert!(store.receipts(key).is_ok());
        store.no_read_plan();
        assert!(store.message(key).is_ok());
    }

    #[tokio::test]
    async fn overlapping_commits_are_waited_for() {
        let store = TestStore::overlapping(ManualClock::new(NOON));
        let asked = store.clone();
        let commit = tokio::spawn(async move { asked.commit(messages(3)).await });
        store.settle().await;
        assert!(commit.is_finished());
    }
}
