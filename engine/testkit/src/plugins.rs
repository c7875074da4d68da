//! Uploaded plugins that are not compiled: a component is a JSON object, or a function from the test gives its answers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pombo_domain::error::FieldProblem;
use pombo_domain::model::rollout::VersionStats;
use pombo_domain::model::{EventKind, EventKinds, PluginKind, Wants};
use pombo_domain::ports::*;
use pombo_domain::{TenantIndex, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use uuid::Uuid;

use crate::ManualClock;

/// What an automation does when it is called.
pub enum Says {
    /// Answers at once.
    Now(Result<Outcome, CallFailure>),
    /// Answers after so many milliseconds.
    After(i64, Result<Outcome, CallFailure>),
    /// Panics, as a bug in the sandbox would.
    Panic,
}

/// An answer: the next state, whether the event is claimed, and the effects.
pub fn says(state: Option<&str>, claim: bool, actions: Vec<Action>) -> Says {
    Says::Now(Ok(Outcome { state: state.map(str::to_owned), actions, claim }))
}

/// An answer without effects.
pub fn nothing(call: &AutomationCall) -> Says {
    says(call.state.as_deref(), false, Vec::new())
}

/// A call that fails with this error.
pub fn fails(failure: CallFailure) -> Says {
    Says::Now(Err(failure))
}

/// The digest of a component.
pub fn digest_of(component: &[u8]) -> String {
    hex::encode(Sha256::digest(component))
}

type Script = Arc<dyn Fn(&AutomationCall) -> Says + Send + Sync>;

/// Plugins that a test describes.
///
/// A component is a JSON object that states what a real component would: `name`, `version`, `kind`, `hosts`, `cpuMs`, `events`,
/// `observer`, `requires` (a field that its configuration must have) and `answer` (what it says to every event; `trap` and
/// `absent` fail). If there is a script, the script answers instead. Two concurrent calls in one conversation fail the test.
pub struct FakePluginEngine {
    clock: ManualClock,
    script: Mutex<Option<Script>>,
    components: Mutex<HashMap<String, Bytes>>,
    /// Digests of components that are kept in addition to the inspected ones; `None`: every component is kept.
    pub kept: Mutex<Option<HashSet<String>>>,
    /// How many components were inspected.
    pub inspected: Mutex<usize>,
    /// The error that the next inspection fails with.
    pub refuses: Mutex<Option<UploadRefusal>>,
    /// The components in the binary.
    pub carried: Mutex<Vec<Value>>,
    /// The calls, in order.
    pub calls: Mutex<Vec<AutomationCall>>,
    forgets_calls: AtomicBool,
    busy: Mutex<HashSet<Uuid>>,
    /// How many calls are in progress now, and the highest number so far.
    pub running: Mutex<(usize, usize)>,
}

impl FakePluginEngine {
    /// An engine that keeps the components that it inspected.
    pub fn new(clock: ManualClock) -> Self {
        Self {
            clock,
            script: Mutex::default(),
            components: Mutex::default(),
            kept: Mutex::new(Some(HashSet::new())),
            inspected: Mutex::default(),
            refuses: Mutex::default(),
            carried: Mutex::default(),
            calls: Mutex::default(),
            forgets_calls: AtomicBool::new(false),
            busy: Mutex::default(),
            running: Mutex::default(),
        }
    }

    /// An engine that keeps every component, until `kept` says otherwise.
    pub fn keeping_all(clock: ManualClock) -> Self {
        Self { kept: Mutex::default(), ..Self::new(clock) }
    }

    /// Sets what every automation does from now on.
    pub fn act(&self, script: impl Fn(&AutomationCall) -> Says + Send + Sync + 'static) {
        *self.script.lock() = Some(Arc::new(script));
    }

    /// Whether calls are recorded for the test to look at; not for measuring.
    pub fn keep_calls(&self, keep: bool) {
        self.forgets_calls.store(!keep, Ordering::Relaxed);
    }

    /// Removes the calls whose caller was dropped while they were in progress.
    pub fn forget_running(&self) {
        self.busy.lock().clear();
        self.running.lock().0 = 0;
    }

    /// Whether this inspected component is kept.
    pub fn keeps(&self, digest: &str) -> bool {
        self.components.lock().contains_key(digest)
    }

    fn read(&self, digest: &str) -> Option<Value> {
        let components = self.components.lock();
        components.get(digest).map(|component| serde_json::from_slice(component).expect("it was inspected"))
    }

    fn answer_of(&self, call: &AutomationCall) -> Says {
        if let Some(script) = self.script.lock().clone() {
            return script(call);
        }
        let Some(component) = self.read(&call.digest) else { return nothing(call) };
        match component["answer"].as_str().unwrap_or_default() {
            "trap" => fails(CallFailure::Trap("unreachable".to_owned())),
            "absent" => fails(CallFailure::NotCalled("the version is not there".to_owned())),
            text => says(None, true, vec![crate::samples::say(text)]),
        }
    }
}

fn described(component: &Value, bytes: &[u8]) -> Inspected {
    let text = |field: &str, or: &str| component[field].as_str().unwrap_or(or).to_owned();
    let hosts = component["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let wants = Wants {
        hosts: hosts.collect(),
        cpu_ms: u32::try_from(component["cpuMs"].as_u64().unwrap_or_default()).expect("milliseconds"),
        ..Wants::default()
    };
    let named = |kind: &EventKind| match component["events"].as_array() {
        Some(events) => events.iter().any(|event| event == kind.as_str()),
        None => *kind == EventKind::MessageReceived,
    };
    let events: EventKinds = EventKind::ALL.into_iter().filter(named).collect();
    let kind = match component["kind"].as_str() {
        Some("connector") => PluginKind::Connector,
        _ => PluginKind::Automation,
    };
    let (name, version, display_name) = (text("name", ""), text("version", "1.0.0"), text("name", ""));
    let automation = (kind == PluginKind::Automation).then(|| AutomationDescription {
        name: name.clone(),
        version: version.clone(),
        display_name: display_name.clone(),
        config_schema: json!({"type": "object", "required": component["requires"]}),
        secret_fields: vec!["token".to_owned()],
        events,
        observer: component["observer"] == true,
        wants: wants.clone(),
    });
    Inspected {
        digest: digest_of(bytes),
        size: bytes.len() as u64,
        kind,
        name,
        version,
        display_name,
        wants,
        automation,
        description: component.clone(),
    }
}

#[async_trait]
impl PluginEngine for FakePluginEngine {
    async fn inspect(&self, component: Bytes) -> Result<Inspected, UploadRefusal> {
        *self.inspected.lock() += 1;
        if let Some(refusal) = self.refuses.lock().take() {
            return Err(refusal);
        }
        let read: Value = serde_json::from_slice(&component)
            .map_err(|_| UploadRefusal::Unfit("this is not a component".to_owned()))?;
        let inspected = described(&read, &component);
        self.components.lock().insert(inspected.digest.clone(), component);
        Ok(inspected)
    }
    async fn component(&self, digest: &str) -> Option<Bytes> {
        let inspected = self.components.lock().get(digest).cloned();
        let kept = || self.kept.lock().as_ref().is_none_or(|kept| kept.contains(digest));
        inspected.or_else(|| kept().then(Bytes::new))
    }
    async fn forget(&self, digest: &str) {
        self.components.lock().remove(digest);
    }
    async fn check_config(&self, digest: &str, config: &Value) -> Result<(), Vec<FieldProblem>> {
        match self.read(digest).as_ref().and_then(|component| component["requires"].as_str()) {
            Some(field) if config.get(field).is_none() => Err(vec![FieldProblem::new(field, "is required")]),
            _ => Ok(()),
        }
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
        let answer = self.answer_of(&call);
        let outcome = match answer {
            Says::Now(outcome) => {
                tokio::task::yield_now().await;
                Some(outcome)
            }
            Says::After(ms, outcome) => {
                self.clock.sleep_until(self.clock.now().plus_ms(ms)).await;
                Some(outcome)
            }
            Says::Panic => None,
        };
        self.busy.lock().remove(&conversation);
        self.running.lock().0 -= 1;
        let outcome = outcome.unwrap_or_else(|| panic!("a planned panic"));
        CallResult { outcome, inputs: Vec::new(), cpu: Duration::ZERO, memory: 0 }
    }
    fn embedded(&self) -> Vec<Inspected> {
        let carried = self.carried.lock();
        let all = carried.iter().map(|component| {
            let bytes = Bytes::from(component.to_string());
            let inspected = described(component, &bytes);
            self.components.lock().insert(inspected.digest.clone(), bytes);
            inspected
        });
        all.collect()
    }
}

/// The log lines and usage of plugins, as a test sets them.
#[derive(Default)]
pub struct FakeTelemetry {
    lines: Mutex<Vec<(String, Option<TenantIndex>, PluginLine)>>,
    written: watch::Sender<usize>,
    stats: Mutex<HashMap<String, VersionStats>>,
}

impl FakeTelemetry {
    /// A plugin writes, in an instance of this tenant.
    pub fn write(&self, plugin: &str, tenant: TenantIndex, text: &str) {
        let mut lines = self.lines.lock();
        let number = lines.iter().filter(|(of, ..)| of == plugin).count() as u64 + 1;
        let line = PluginLine {
            number,
            at: Timestamp(0),
            digest: "00".repeat(32),
            level: "info",
            instance: Some(Uuid::from_u128(5)),
            text: text.to_owned(),
        };
        lines.push((plugin.to_owned(), Some(tenant), line));
        self.written.send_replace(lines.len());
    }

    /// How many follow the lines.
    pub fn followers(&self) -> usize {
        self.written.receiver_count()
    }

    /// The figures of a version so far, whatever its plugin.
    pub fn set(&self, digest: &str, calls: u64, traps: u64, p50_us: u64) {
        let stats = VersionStats { calls, traps, failures: 0, p99_us: p50_us * 2, p50_us };
        self.stats.lock().insert(digest.to_owned(), stats);
    }
}

impl PluginTelemetry for FakeTelemetry {
    fn lines(&self, plugin: &str, tenant: Option<TenantIndex>, after: u64, limit: usize) -> Vec<PluginLine> {
        let lines = self.lines.lock();
        let seen = lines
            .iter()
            .filter(|(of, whose, line)| of == plugin && line.number > after && (tenant.is_none() || *whose == tenant));
        seen.take(limit).map(|(.., line)| line.clone()).collect()
    }
    fn follow(&self) -> Box<dyn LineWatch> {
        Box::new(Following(self.written.subscribe()))
    }
    /// The same figures for every plugin.
    fn usage(&self, _: &str) -> BTreeMap<String, PluginUse> {
        let stats = VersionStats { calls: 9, traps: 1, failures: 2, p99_us: 80, p50_us: 40 };
        let failures = BTreeMap::from([("trap".to_owned(), 1)]);
        let used = PluginUse { stats, failures, cpu_us: 70, memory_peak: 60, dropped_lines: 3 };
        BTreeMap::from([("00".repeat(32), used)])
    }
    fn since(&self, _: &str, digest: &str, mark: &UseMark) -> VersionStats {
        let all = self.stats.lock().get(digest).copied().unwrap_or_default();
        let then = |n: usize| mark.counts[n];
        VersionStats { calls: all.calls - then(0), traps: all.traps - then(1), failures: all.failures - then(2), ..all }
    }
    fn mark(&self, _: &str, digest: &str) -> UseMark {
        let all = self.stats.lock().get(digest).copied().unwrap_or_default();
        UseMark { counts: [all.calls, all.traps, all.failures], buckets: Vec::new() }
    }
}

struct Following(watch::Receiver<usize>);

#[async_trait]
impl LineWatch for Following {
    async fn written(&mut self, _: &str) -> bool {
        self.0.changed().await.is_ok()
    }
}
