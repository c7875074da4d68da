//! Who runs a call, and how its processor time is measured.
//!
//! A call begins on the task that asked for it: most are over in microseconds, and handing them to another thread would cost more
//! than they do. One that is still computing at the end of its first slice goes on in a runtime of its own, whose threads are of a
//! lower priority: long calls share those among themselves, a slice each in turn, and hold up nothing else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};
use wasmtime::Engine;

/// How often a running automation can give way.
pub(crate) const TICK: Duration = Duration::from_millis(1);
/// Ticks before a call leaves the task that asked for it.
pub(crate) const FIRST_SLICE: u64 = 3;
/// Ticks of each slice after that.
pub(crate) const SLICE: u64 = 2;
/// How much nicer than the rest the threads for long calls are.
const NICE: i32 = 5;
/// Ticks without a call after which the ticking stops.
const IDLE: u32 = 500;

/// What one call used so far.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    nanos: AtomicU64,
    slices: AtomicU64,
    memory: AtomicU64,
}

impl Meter {
    /// Notes how much memory the guest has now, in bytes.
    pub(crate) fn has(&self, memory: u64) {
        self.memory.fetch_max(memory, Relaxed);
    }
    /// The most memory that the guest had, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.memory.load(Relaxed)
    }
    /// Notes that the guest was made to give way.
    pub(crate) fn gave_way(&self) {
        self.slices.fetch_add(1, Relaxed);
    }
    pub(crate) fn cpu(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Relaxed))
    }
}

/// The call used more processor time than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// Processor time of this thread.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

struct Metered<F> {
    call: Pin<Box<F>>,
    meter: Arc<Meter>,
    limit: u64,
}

impl<F: Future> Future for Metered<F> {
    type Output = Result<F::Output, Exhausted>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let begun = thread_time();
        let polled = self.call.as_mut().poll(cx);
        let spent = thread_time().saturating_sub(begun);
        let all = self.meter.nanos.fetch_add(spent, Relaxed) + spent;
        match polled {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            // It was in the guest's hands, or waits after having been: either way it is over.
            Poll::Pending if all > self.limit => Poll::Ready(Err(Exhausted)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// A task that is aborted when its result is no longer wanted.
struct Wanted<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Wanted<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The threads for long calls.
pub(crate) struct Slices {
    long: Option<Runtime>,
    ticking: Ticking,
}

impl Slices {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let long = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("long-calls")
            .on_thread_start(|| {
                // On this system a process's number of nothing is the calling thread's.
                if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                    tracing::debug!(%error, "the threads for long calls keep the priority of the others");
                }
            })
            .enable_all()
            .build()?;
        Ok(Self { long: Some(long), ticking: Ticking::start(engine)? })
    }

    /// Runs a call within its processor time. `Err(Exhausted)`: it was ended.
    pub(crate) async fn run<F>(&self, meter: Arc<Meter>, limit: Duration, call: F) -> Result<F::Output, Exhausted>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let _running = self.ticking.running();
        let limit = limit.as_nanos().min(u128::from(u64::MAX)) as u64;
        let mut metered = Metered { call: Box::pin(call), meter: meter.clone(), limit };
        let begun = std::future::poll_fn(|cx| match Pin::new(&mut metered).poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if meter.slices.load(Relaxed) > 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        if let Some(done) = begun.await {
            return done;
        }
        let Some(long) = &self.long else { return Err(Exhausted) };
        let mut wanted = Wanted(long.spawn(metered));
        // It panics only where the engine's own code does, and is not aborted while it is wanted.
        (&mut wanted.0).await.unwrap_or(Err(Exhausted))
    }
}

impl Drop for Slices {
    fn drop(&mut self) {
        if let Some(long) = self.long.take() {
            // Without waiting: this may be on a thread that must not.
            long.shutdown_background();
        }
    }
}

/// The thread that ticks the engine's epoch while calls run.
struct Ticking {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    resting: AtomicBool,
    stop: AtomicBool,
}

struct Running<'t>(&'t Ticking);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.shared.running.fetch_sub(1, SeqCst);
    }
}

impl Ticking {
    fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let (engine, seen) = (engine.clone(), shared.clone());
        let thread = std::thread::Builder::new().name("automation-epoch".to_owned()).spawn(move || {
            let mut idle = 0;
            while !seen.stop.load(SeqCst) {
                idle = if seen.running.load(SeqCst) == 0 { idle + 1 } else { 0 };
                if idle > IDLE {
                    seen.resting.store(true, SeqCst);
                    // A call that begins after this look sees that the thread rests, and wakes it.
                    if seen.running.load(SeqCst) == 0 && !seen.stop.load(SeqCst) {
                        std::thread::park();
                    }
                    seen.resting.store(false, SeqCst);
                    idle = 0;
                } else {
                    let begun = Instant::now();
                    std::thread::park_timeout(TICK);
                    // Woken by a call that began a moment ago, and not by the time.
                    if begun.elapsed() < TICK / 2 {
                        continue;
                    }
                }
                engine.increment_epoch();
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    fn running(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, SeqCst);
        if self.shared.resting.load(SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        Running(self)
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It can only end by returning.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices() -> Slices {
        Slices::start(&Engine::default()).expect("starts")
    }

    async fn spin(meter: Arc<Meter>) {
        loop {
            let begun = thread_time();
            while thread_time() - begun < 1_000_000 {}
            meter.gave_way();
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_short_call_stays_and_a_long_one_goes_where_long_ones_are() {
        let slices = slices();
        let here = std::thread::current().id();
        let meter = Arc::new(Meter::default());
        let ran = slices.run(meter.clone(), Duration::from_secs(1), async { std::thread::current().id() }).await;
        assert_eq!(ran, Ok(here));
        let gives_way = meter.clone();
        let ran = slices.run(meter, Duration::from_secs(1), async move {
            gives_way.gave_way();
            tokio::task::yield_now().await;
            std::thread::current().name().map(str::to_owned)
        });
        assert_eq!(ran.await, Ok(Some("long-calls".to_owned())));
    }

    #[tokio::test]
    async fn an_endless_call_ends_by_what_it_used() {
        let slices = slices();
        let meter = Arc::new(Meter::default());
        let ran = slices.run(meter.clone(), Duration::from_millis(20), spin(meter.clone())).await;
        assert_eq!(ran, Err(Exhausted));
        assert!(meter.cpu() >= Duration::from_millis(20), "{:?}", meter.cpu());
    }

    #[tokio::test]
    async fn waiting_uses_nothing() {
        let slices = slices();
        let meter = Arc::new(Meter::default());
        let wait = tokio::time::sleep(Duration::from_millis(50));
        assert_eq!(slices.run(meter.clone(), Duration::from_millis(20), wait).await, Ok(()));
        assert!(meter.cpu() < Duration::from_millis(20), "{:?}", meter.cpu());
    }
}
