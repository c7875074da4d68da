//! What plugins log and use: lines in rings, figures for each version. All in memory, all bounded; gone with the process.
//!
//! Written on the task that runs the plugin; nothing here waits, and no lock is held while an observer is called.
//!
//! Invariant: a line is only ever shown to the tenant whose instance wrote it, or to the operator.

mod histogram;
mod lines;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use pombo_domain::TenantIndex;
use pombo_domain::model::rollout::VersionStats;
use pombo_domain::ports::{Clock, LineWatch, PluginLine, PluginTelemetry, PluginUse, UseMark};
use tokio::sync::watch;
use uuid::Uuid;

use self::histogram::{Histogram, quantile};
use self::lines::Lines;
use crate::limits::{LOG_LINE_BYTES, cut};

/// Rings in all; the one that was quiet for the longest time makes room.
const RINGS: usize = 2048;
/// Versions of one plugin; the one that ran first makes room.
const VERSIONS: usize = 64;

/// How a use of a plugin ended, as far as figures go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The plugin did what it was asked to do.
    Well,
    /// It failed through no fault of the plugin's, under this name; counted as a success.
    Outside(&'static str),
    /// It failed, under this name.
    Failed(&'static str),
    /// It trapped or exceeded a bound, under this name.
    Trapped(&'static str),
}

/// What a figure or a line belongs to: an instance of a version of a plugin, and its tenant.
#[derive(Debug, Clone)]
pub(crate) struct MetricLabels {
    pub(crate) plugin: Arc<str>,
    pub(crate) digest: Arc<str>,
    /// `None`: an instance that serves no tenant.
    pub(crate) tenant: Option<TenantIndex>,
    /// The automation's or connector's id.
    pub(crate) instance: Option<Uuid>,
}

/// Logs and figures of all plugins.
pub struct Telemetry {
    clock: Arc<dyn Clock>,
    /// Lines of one ring.
    most: usize,
    plugins: Arc<RwLock<HashMap<Arc<str>, Arc<Plugin>>>>,
    rings: AtomicU64,
    /// Lines ever written.
    written: watch::Sender<u64>,
}

#[derive(Default)]
struct Plugin {
    versions: RwLock<Vec<(Arc<str>, Arc<Version>)>>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    /// The number of the last line.
    number: u64,
    /// Lines ever written, of all plugins, when this one's last was.
    at: u64,
    rings: HashMap<Option<TenantIndex>, Lines>,
}

#[derive(Default)]
struct Version {
    calls: AtomicU64,
    traps: AtomicU64,
    failures: AtomicU64,
    cpu_us: AtomicU64,
    memory_peak: AtomicU64,
    dropped: AtomicU64,
    latency: Histogram,
    by_name: Mutex<BTreeMap<&'static str, u64>>,
}

impl Version {
    fn counts(&self) -> [u64; 3] {
        // First: see `ended`.
        let calls = self.calls.load(Acquire);
        [calls, self.traps.load(Relaxed), self.failures.load(Relaxed)]
    }
}

fn stats([calls, traps, failures]: [u64; 3], buckets: &[u64]) -> VersionStats {
    VersionStats { calls, traps, failures, p99_us: quantile(buckets, 99), p50_us: quantile(buckets, 50) }
}

impl Telemetry {
    /// Empty; keeps `log_lines` lines of each plugin and tenant.
    pub(crate) fn new(clock: Arc<dyn Clock>, log_lines: usize) -> Arc<Self> {
        let (plugins, rings) = (Arc::default(), AtomicU64::new(0));
        Arc::new(Self { clock, most: log_lines, plugins, rings, written: watch::Sender::new(0) })
    }

    fn plugin(&self, name: &str) -> Option<Arc<Plugin>> {
        self.plugins.read().get(name).cloned()
    }

    fn version(&self, plugin: &Arc<str>, digest: &Arc<str>) -> Arc<Version> {
        let plugin = match self.plugin(plugin) {
            Some(plugin) => plugin,
            None => self.plugins.write().entry(plugin.clone()).or_default().clone(),
        };
        if let Some((_, version)) = plugin.versions.read().iter().find(|(known, _)| known == digest) {
            return version.clone();
        }
        let mut versions = plugin.versions.write();
        if let Some((_, version)) = versions.iter().find(|(known, _)| known == digest) {
            return version.clone();
        }
        if versions.len() >= VERSIONS {
            versions.remove(0);
        }
        let version = Arc::<Version>::default();
        versions.push((digest.clone(), version.clone()));
        version
    }

    /// Counts a call or a send that ended.
    pub(crate) fn ended(&self, labels: &MetricLabels, ended: Ended, duration: Duration, cpu: Duration, memory: u64) {
        let version = self.version(&labels.plugin, &labels.digest);
        let name = match ended {
            Ended::Well => None,
            Ended::Outside(name) => Some(name),
            Ended::Failed(name) => {
                version.failures.fetch_add(1, Relaxed);
                Some(name)
            }
            Ended::Trapped(name) => {
                version.traps.fetch_add(1, Relaxed);
                Some(name)
            }
        };
        if let Some(name) = name {
            *version.by_name.lock().entry(name).or_default() += 1;
        }
        version.cpu_us.fetch_add(cpu.as_micros() as u64, Relaxed);
        version.memory_peak.fetch_max(memory, Relaxed);
        version.latency.add(duration);
        // Last, so that a reader sees no call without its outcome.
        version.calls.fetch_add(1, Release);
    }

    /// Keeps a line that a plugin wrote; false when there were too many and it was dropped.
    pub(crate) fn line(&self, labels: &MetricLabels, level: &'static str, text: &str) -> bool {
        let version = self.version(&labels.plugin, &labels.digest);
        let Some(plugin) = self.plugin(&labels.plugin) else { return false };
        let now = Instant::now();
        {
            let mut log = plugin.log.lock();
            let mut added = false;
            let ring = log.rings.entry(labels.tenant).or_insert_with(|| {
                added = true;
                Lines::new(self.most, now)
            });
            if !ring.admits(now) {
                version.dropped.fetch_add(1, Relaxed);
                return false;
            }
            let all = *self.written.borrow() + 1;
            log.number += 1;
            log.at = all;
            let line = PluginLine {
                number: log.number,
                at: self.clock.now(),
                digest: labels.digest.to_string(),
                level,
                instance: labels.instance,
                text: cut(text, LOG_LINE_BYTES),
            };
            if let Some(ring) = log.rings.get_mut(&labels.tenant) {
                ring.push(line, now);
            }
            if added {
                self.rings.fetch_add(1, Relaxed);
            }
            // Inside the lock, so that `at` never runs ahead of what a follower has seen.
            self.written.send_modify(|written| *written = (*written + 1).max(all));
        }
        if self.rings.load(Relaxed) > RINGS as u64 {
            self.make_room();
        }
        true
    }

    /// Drops the ring that was quiet for the longest time.
    fn make_room(&self) {
        let plugins: Vec<_> = self.plugins.read().values().cloned().collect();
        let oldest = plugins.iter().filter_map(|plugin| {
            let log = plugin.log.lock();
            let (tenant, touched) =
                log.rings.iter().map(|(tenant, ring)| (*tenant, ring.touched)).min_by_key(|(_, at)| *at)?;
            Some((plugin, tenant, touched))
        });
        if let Some((plugin, tenant, _)) = oldest.min_by_key(|(_, _, touched)| *touched)
            && plugin.log.lock().rings.remove(&tenant).is_some()
        {
            self.rings.fetch_sub(1, Relaxed);
        }
    }

    /// Drops the figures of a version that was deleted.
    pub(crate) fn forget(&self, digest: &str) {
        for plugin in self.plugins.read().values() {
            plugin.versions.write().retain(|(known, _)| &**known != digest);
        }
    }

    fn find(&self, plugin: &str, digest: &str) -> Option<Arc<Version>> {
        let plugin = self.plugin(plugin)?;
        let versions = plugin.versions.read();
        versions.iter().find(|(known, _)| &**known == digest).map(|(_, version)| version.clone())
    }
}

impl PluginTelemetry for Telemetry {
    fn lines(&self, plugin: &str, tenant: Option<TenantIndex>, after: u64, limit: usize) -> Vec<PluginLine> {
        let Some(plugin) = self.plugin(plugin) else { return Vec::new() };
        let log = plugin.log.lock();
        match tenant {
            Some(_) => {
                log.rings.get(&tenant).into_iter().flat_map(|ring| ring.after(after)).take(limit).cloned().collect()
            }
            None => {
                let mut all: Vec<_> = log.rings.values().flat_map(|ring| ring.after(after).take(limit)).collect();
                all.sort_unstable_by_key(|line| line.number);
                all.into_iter().take(limit).cloned().collect()
            }
        }
    }

    fn follow(&self) -> Box<dyn LineWatch> {
        let mut written = self.written.subscribe();
        let since = *written.borrow_and_update();
        Box::new(Following { written, since, seen: HashMap::new(), plugins: self.plugins.clone() })
    }

    fn usage(&self, plugin: &str) -> BTreeMap<String, PluginUse> {
        let Some(plugin) = self.plugin(plugin) else { return BTreeMap::new() };
        let versions = plugin.versions.read();
        let used = |version: &Version| PluginUse {
            stats: stats(version.counts(), &version.latency.read()),
            failures: version.by_name.lock().iter().map(|(name, n)| ((*name).to_owned(), *n)).collect(),
            cpu_us: version.cpu_us.load(Relaxed),
            memory_peak: version.memory_peak.load(Relaxed),
            dropped_lines: version.dropped.load(Relaxed),
        };
        versions.iter().map(|(digest, version)| (digest.to_string(), used(version))).collect()
    }

    fn since(&self, plugin: &str, digest: &str, mark: &UseMark) -> VersionStats {
        let Some(version) = self.find(plugin, digest) else { return VersionStats::default() };
        let counts = version.counts();
        let before = |n: usize| mark.buckets.get(n).copied().unwrap_or(0);
        let buckets: Vec<u64> =
            version.latency.read().into_iter().enumerate().map(|(n, all)| all.saturating_sub(before(n))).collect();
        stats(std::array::from_fn(|n| counts[n].saturating_sub(mark.counts[n])), &buckets)
    }

    fn mark(&self, plugin: &str, digest: &str) -> UseMark {
        let Some(version) = self.find(plugin, digest) else { return UseMark::default() };
        UseMark { counts: version.counts(), buckets: version.latency.read() }
    }
}

/// One follower: what it has seen of each plugin it asked about.
struct Following {
    written: watch::Receiver<u64>,
    /// Lines ever written when it began.
    since: u64,
    seen: HashMap<String, u64>,
    plugins: Arc<RwLock<HashMap<Arc<str>, Arc<Plugin>>>>,
}

#[async_trait]
impl LineWatch for Following {
    async fn written(&mut self, plugin: &str) -> bool {
        loop {
            // Before it looks: a line that comes while it looks wakes it again.
            self.written.borrow_and_update();
            let known = self.plugins.read().get(plugin).cloned();
            let last = known.map_or(0, |plugin| plugin.log.lock().at);
            if last > self.seen.get(plugin).copied().unwrap_or(self.since) {
                self.seen.insert(plugin.to_owned(), last);
                return true;
            }
            if self.written.changed().await.is_err() {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pombo_domain::Timestamp;
    use pombo_testkit::ManualClock;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn labels(plugin: &str, digest: &str, tenant: u32) -> MetricLabels {
        MetricLabels { plugin: plugin.into(), digest: digest.into(), tenant: Some(TenantIndex(tenant)), instance: None }
    }

    #[test]
    fn a_tenant_sees_its_own_lines_and_the_operator_all_in_order() {
        let telemetry = Telemetry::new(Arc::new(ManualClock::new(Timestamp(7))), 3);
        for (tenant, text) in [(1, "a"), (2, "b"), (1, "c"), (1, "d"), (1, "e")] {
            assert!(telemetry.line(&labels("p", "x", tenant), "info", text));
        }
        let texts = |tenant: Option<u32>, after, limit| -> String {
            telemetry.lines("p", tenant.map(TenantIndex), after, limit).into_iter().map(|line| line.text).collect()
        };
        assert_eq!(texts(Some(1), 0, 10), "cde");
        assert_eq!(texts(Some(1), 3, 1), "d");
        assert_eq!(texts(Some(2), 0, 10), "b");
        assert_eq!(texts(Some(3), 0, 10), "");
        assert_eq!(texts(None, 0, 10), "bcde");
        assert!(telemetry.lines("q", None, 0, 10).is_empty());
    }

    #[test]
    fn a_flood_is_dropped_and_counted() {
        let telemetry = Telemetry::new(Arc::new(ManualClock::new(Timestamp(7))), 1000);
        let kept = (0..5000).filter(|_| telemetry.line(&labels("p", "x", 1), "info", "x")).count();
        assert!((200..1000).contains(&kept), "{kept}");
        assert_eq!(telemetry.usage("p")["x"].dropped_lines, 5000 - kept as u64);
        assert!(telemetry.line(&labels("p", "x", 2), "info", "another tenant has its own"));
    }

    #[test]
    fn figures_are_kept_by_version_and_counted_since_a_mark() {
        let telemetry = Telemetry::new(Arc::new(ManualClock::new(Timestamp(7))), 10);
        let (old, new) = (labels("p", "old", 1), labels("p", "new", 1));
        let ms = Duration::from_millis;
        telemetry.ended(&old, Ended::Well, ms(1), ms(1), 100);
        telemetry.ended(&new, Ended::Trapped("trap"), ms(9), ms(2), 300);
        let mark = telemetry.mark("p", "new");
        for _ in 0..99 {
            telemetry.ended(&new, Ended::Well, ms(2), ms(1), 200);
        }
        telemetry.ended(&new, Ended::Failed("error"), ms(50), ms(1), 200);
        let since = telemetry.since("p", "new", &mark);
        assert_eq!((since.calls, since.traps, since.failures), (100, 0, 1));
        assert!((2000..2600).contains(&since.p50_us) && (2000..2600).contains(&since.p99_us), "{since:?}");
        let usage = telemetry.usage("p");
        assert_eq!(usage["old"].stats.calls, 1);
        let new = &usage["new"];
        assert_eq!((new.stats.calls, new.stats.traps, new.memory_peak, new.cpu_us), (101, 1, 300, 102_000));
        assert_eq!(new.failures, BTreeMap::from([("error".to_owned(), 1), ("trap".to_owned(), 1)]));
        assert_eq!(telemetry.since("p", "gone", &UseMark::default()), VersionStats::default());
    }

    #[test]
    fn a_follower_is_woken_by_its_plugin_only_and_told_of_the_end() {
        let telemetry = Telemetry::new(Arc::new(ManualClock::new(Timestamp(7))), 10);
        telemetry.line(&labels("p", "x", 1), "info", "before it follows");
        let mut follower = telemetry.follow();
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = |follower: &mut Box<dyn LineWatch>| pin!(follower.written("p")).poll(&mut cx);
        assert_eq!(poll(&mut follower), Poll::Pending);
        telemetry.line(&labels("q", "x", 1), "info", "another's");
        assert_eq!(poll(&mut follower), Poll::Pending);
        telemetry.line(&labels("p", "x", 1), "info", "one");
        telemetry.line(&labels("p", "x", 1), "info", "two");
        assert_eq!(poll(&mut follower), Poll::Ready(true));
        assert_eq!(poll(&mut follower), Poll::Pending);
        drop(telemetry);
        assert_eq!(poll(&mut follower), Poll::Ready(false));
    }
}
