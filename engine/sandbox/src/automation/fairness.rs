//! What one tenant's calls may take from the others': instances at once, HTTP requests at once, and processor time.
//!
//! Processor time is a bucket that fills with time and is drained by what calls were measured to use. A tenant whose bucket is empty
//! waits, but only while others want the processor: alone, it may have all of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pombo_domain::TenantIndex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::AutomationLimits;

/// How often a waiting tenant checks whether the others are idle now.
const LOOK: Duration = Duration::from_millis(5);
/// Tenants beyond this many are forgotten when they have been idle.
const TENANTS: usize = 10_000;

/// The tenants that called recently.
pub(crate) struct Fairness {
    tenants: Mutex<HashMap<TenantIndex, Arc<Tenant>>>,
    /// Calls that run or wait, of all tenants.
    calls: Arc<AtomicUsize>,
    /// Permits for the engine's instances.
    slots: Arc<Semaphore>,
    limits: AutomationLimits,
}

/// One tenant's share.
pub(crate) struct Tenant {
    instances: Arc<Semaphore>,
    pub(crate) http: Semaphore,
    bucket: Mutex<Bucket>,
    calls: AtomicUsize,
}

#[derive(Debug)]
struct Bucket {
    /// Nanoseconds that may be used; below zero, what was used too much.
    left: i64,
    burst: i64,
    permille: u32,
    filled: Instant,
}

impl Bucket {
    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_nanos().min(i64::MAX as u128 / 100_000);
        self.filled = now;
        let more = passed as i64 / 1000 * i64::from(self.permille);
        self.left = self.left.saturating_add(more).min(self.burst);
    }
}

/// A call's place. Dropped when the call ends.
pub(crate) struct Place {
    pub(crate) tenant: Arc<Tenant>,
    calls: Arc<AtomicUsize>,
    _instance: Option<OwnedSemaphorePermit>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// What the call used.
    pub(crate) fn used(&self, cpu: Duration) {
        let nanos = cpu.as_nanos().min(i64::MAX as u128) as i64;
        let mut bucket = self.tenant.bucket.lock();
        // Bounded below: what one call overdrew is paid back in a few seconds.
        bucket.left = bucket.left.saturating_sub(nanos).max(-4 * bucket.burst);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tenant.calls.fetch_sub(1, Relaxed);
        self.calls.fetch_sub(1, Relaxed);
    }
}

impl Fairness {
    pub(crate) fn new(limits: AutomationLimits) -> Self {
        let slots = Arc::new(Semaphore::new(limits.instances.max(1) as usize));
        Self { tenants: Mutex::default(), calls: Arc::default(), slots, limits }
    }

    fn tenant(&self, index: TenantIndex) -> Arc<Tenant> {
        let mut tenants = self.tenants.lock();
        if tenants.len() >= TENANTS && !tenants.contains_key(&index) {
            tenants.retain(|_, tenant| Arc::strong_count(tenant) > 1);
        }
        let limits = &self.limits;
        let new = || {
            let burst = limits.tenant_cpu_burst.as_nanos().min(i64::MAX as u128 / 8) as i64;
            Arc::new(Tenant {
                instances: Arc::new(Semaphore::new(limits.instances_per_tenant.max(1))),
                http: Semaphore::new(limits.http_per_tenant.max(1)),
                bucket: Mutex::new(Bucket {
                    left: burst,
                    burst,
                    permille: limits.tenant_cpu_permille.max(1),
                    filled: Instant::now(),
                }),
                calls: AtomicUsize::new(0),
            })
        };
        tenants.entry(index).or_insert_with(new).clone()
    }

    /// Waits for its turn.
    pub(crate) async fn enter(&self, index: TenantIndex) -> Place {
        let tenant = self.tenant(index);
        tenant.calls.fetch_add(1, Relaxed);
        self.calls.fetch_add(1, Relaxed);
        let mut place = Place { tenant, calls: self.calls.clone(), _instance: None, _slot: None };
        // Neither is ever closed.
        place._instance = match place.tenant.instances.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => place.tenant.instances.clone().acquire_owned().await.ok(),
        };
        self.within_budget(&place.tenant).await;
        // Last, so that a call that waits for its own tenant keeps no slot from others.
        place._slot = match self.slots.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => self.slots.clone().acquire_owned().await.ok(),
        };
        place
    }

    async fn within_budget(&self, tenant: &Tenant) {
        loop {
            let short = {
                let mut bucket = tenant.bucket.lock();
                bucket.fill(Instant::now());
                if bucket.left > 0 {
                    return;
                }
                Duration::from_nanos((1 - bucket.left).unsigned_abs() * 1000 / u64::from(bucket.permille))
            };
            let others = self.calls.load(Relaxed) > tenant.calls.load(Relaxed);
            if !others {
                return;
            }
            tokio::time::sleep(short.min(LOOK)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn fairness(change: impl FnOnce(&mut AutomationLimits)) -> Fairness {
        let mut limits = AutomationLimits::default();
        change(&mut limits);
        Fairness::new(limits)
    }

    #[tokio::test]
    async fn one_tenant_has_its_instances_and_leaves_the_rest() {
        let fairness = fairness(|limits| (limits.instances, limits.instances_per_tenant) = (3, 2));
        let (one, two) = (TenantIndex(1), TenantIndex(2));
        let first = fairness.enter(one).await;
        let _second = fairness.enter(one).await;
        assert!(fairness.enter(one).now_or_never().is_none());
        let _other = fairness.enter(two).now_or_never().expect("has a slot");
        assert!(fairness.enter(two).now_or_never().is_none(), "there are three in all");
        drop(first);
        assert!(fairness.enter(one).now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_used_too_much_waits_while_others_are_there() {
        let fairness = fairness(|limits| limits.tenant_cpu_burst = Duration::from_secs(1));
        let (greedy, modest) = (TenantIndex(1), TenantIndex(2));
        fairness.enter(greedy).await.used(Duration::from_secs(3));
        drop(fairness.enter(greedy).now_or_never().expect("it is alone"));
        let other = fairness.enter(modest).now_or_never().expect("it used nothing");
        assert!(fairness.enter(greedy).now_or_never().is_none());
        assert!(fairness.enter(modest).now_or_never().is_some());
        drop(other);
        assert!(fairness.enter(greedy).now_or_never().is_some());
    }

    #[test]
    fn a_bucket_fills_with_time_up_to_its_burst() {
        let start = Instant::now();
        let mut bucket = Bucket { left: -500_000_000, burst: 1_000_000_000, permille: 250, filled: start };
        bucket.fill(start + Duration::from_secs(2));
        assert_eq!(bucket.left, 0);
        bucket.fill(start + Duration::from_secs(100));
        assert_eq!(bucket.left, 1_000_000_000);
    }
}
