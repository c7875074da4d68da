//! Fake automation plugins, their figures, and a box that does not hide what it seals.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pombo_domain::TenantIndex;
use pombo_domain::error::FieldProblem;
use pombo_domain::model::rollout::VersionStats;
use pombo_domain::ports::*;
use serde_json::Value;
use uuid::Uuid;

use super::clock::ManualClock;

/// What an automation does when it is called.
pub enum Says {
    Now(Result<Outcome, CallFailure>),
    /// Answers at that time from now.
    After(i64, Result<Outcome, CallFailure>),
    Panic,
}

pub fn says(state: Option<&str>, claim: bool, actions: Vec<Action>) -> Says {
    Says::Now(Ok(Outcome { state: state.map(str::to_owned), actions, claim }))
}

/// Nothing to say to this event.
pub fn nothing(call: &AutomationCall) -> Says {
    says(call.state.as_deref(), false, Vec::new())
}

pub fn fails(failure: CallFailure) -> Says {
    Says::Now(Err(failure))
}

type Script = Arc<dyn Fn(&AutomationCall) -> Says + Send + Sync>;

pub struct FakePlugins {
    clock: ManualClock,
    script: Mutex<Option<Script>>,
    pub calls: Mutex<Vec<AutomationCall>>,
    /// Components that are kept; all, with `None`.
    pub kept: Mutex<Option<HashSet<String>>>,
    forgets_calls: AtomicBool,
    busy: Mutex<HashSet<Uuid>>,
    /// Calls under way now, and the most there ever were.
    pub running: Mutex<(usize, usize)>,
}

impl FakePlugins {
    pub fn new(clock: ManualClock) -> Self {
        Self {
            clock,
            script: Mutex::default(),
            calls: Mutex::default(),
            kept: Mutex::default(),
            forgets_calls: AtomicBool::new(false),
            busy: Mutex::default(),
            running: Mutex::default(),
        }
    }
    pub fn act(&self, script: impl Fn(&AutomationCall) -> Says + Send + Sync + 'static) {
        *self.script.lock() = Some(Arc::new(script));
    }
    /// Whether calls are kept, to be looked at.
    #[allow(dead_code, reason = "for measuring")]
    pub fn keep_calls(&self, keep: bool) {
        self.forgets_calls.store(!keep, Ordering::Relaxed);
    }
    /// Ends calls that were under way when a scheduler was ended.
    pub fn forget_running(&self) {
        self.busy.lock().clear();
        self.running.lock().0 = 0;
    }
}

#[async_trait]
impl PluginEngine for FakePlugins {
    async fn inspect(&self, _: Bytes) -> Result<Inspected, Refusal> {
        unreachable!()
    }
    async fn component(&self, digest: &str) -> Option<Bytes> {
        let kept = self.kept.lock();
        kept.as_ref().is_none_or(|kept| kept.contains(digest)).then(Bytes::new)
    }
    async fn forget(&self, _: &str) {
        unreachable!()
    }
    async fn check_config(&self, _: &str, _: &Value) -> Result<(), Vec<FieldProblem>> {
        unreachable!()
    }
    async fn call(&self, call: AutomationCall) -> CallResult {
        let conversation = call.event.conversation;
        assert!(self.busy.lock().insert(conversation), "two calls at once in one conversation");
        {
            let mut running = self.running.lock();
            running.0 += 1;
            running.1 = running.1.max(running.0);
        }
        if !self.forgets_calls.load(Ordering::Relaxed) {
            self.calls.lock().push(call.clone());
        }
        let script = self.script.lock().clone();
        let outcome = match script.map_or_else(|| nothing(&call), |script| script(&call)) {
            Says::Now(outcome) => {
                tokio::task::yield_now().await;
                outcome
            }
            Says::After(ms, outcome) => {
                self.clock.sleep_until(self.clock.now().plus_ms(ms)).await;
                outcome
            }
            Says::Panic => {
                self.busy.lock().remove(&conversation);
                self.running.lock().0 -= 1;
                panic!("a planned panic")
            }
        };
        self.busy.lock().remove(&conversation);
        self.running.lock().0 -= 1;
        CallResult { outcome, inputs: Vec::new(), cpu: Duration::ZERO, memory: 0 }
    }
    fn embedded(&self) -> Vec<Inspected> {
        Vec::new()
    }
}

/// Figures that a test sets, by digest.
#[derive(Default)]
pub struct FakeTelemetry {
    pub stats: Mutex<HashMap<String, VersionStats>>,
}

impl FakeTelemetry {
    pub fn set(&self, digest: &str, calls: u64, traps: u64, p50_us: u64) {
        let stats = VersionStats { calls, traps, failures: 0, p99_us: p50_us * 2, p50_us };
        self.stats.lock().insert(digest.to_owned(), stats);
    }
}

impl PluginTelemetry for FakeTelemetry {
    fn lines(&self, _: &str, _: Option<TenantIndex>, _: u64, _: usize) -> Vec<PluginLine> {
        unreachable!()
    }
    fn follow(&self) -> Box<dyn LineWatch> {
        unreachable!()
    }
    fn usage(&self, _: &str) -> BTreeMap<String, PluginUse> {
        unreachable!()
    }
    fn since(&self, _: &str, digest: &str, mark: &UseMark) -> VersionStats {
        let all = self.stats.lock().get(digest).copied().unwrap_or_default();
        let since = |now: u64, then: u64| now - then;
        VersionStats {
            calls: since(all.calls, mark.counts[0]),
            traps: since(all.traps, mark.counts[1]),
            failures: since(all.failures, mark.counts[2]),
            ..all
        }
    }
    fn mark(&self, _: &str, digest: &str) -> UseMark {
        let all = self.stats.lock().get(digest).copied().unwrap_or_default();
        UseMark { counts: [all.calls, all.traps, all.failures], buckets: Vec::new() }
    }
}

/// Seals by writing the context before.
pub struct FakeSeals;

impl SecretBox for FakeSeals {
    fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        [context.as_bytes(), b"\0", plain].concat()
    }
    fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        let prefix = [context.as_bytes(), b"\0"].concat();
        sealed.strip_prefix(prefix.as_slice()).map(<[u8]>::to_vec).ok_or(SecretError)
    }
}
