//! Uploaded plugins. A component is a JSON object that says what a real one would: `name`, `version`, `kind`, `hosts`, `cpuMs`,
//! `events`, `observer`, `requires` (a field that its configuration must have) and `answer` (what it says to every event; `trap`
//! fails).

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pombo_domain::model::rollout::VersionStats;
use pombo_domain::model::{EventKind, EventKinds, PluginKind, Wants};
use pombo_domain::ports::*;
use pombo_domain::{FieldProblem, TenantIndex, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use uuid::Uuid;

/// See the module.
#[derive(Default)]
pub(in crate::tests) struct FakePlugins {
    kept: Mutex<HashMap<String, Bytes>>,
    /// What was inspected: how often a component came that far.
    pub(in crate::tests) inspected: Mutex<usize>,
    /// What the next inspection fails with.
    pub(in crate::tests) refuses: Mutex<Option<Refusal>>,
    /// What was called.
    pub(in crate::tests) calls: Mutex<Vec<AutomationCall>>,
    /// What the binary carries.
    pub(in crate::tests) carried: Mutex<Vec<Value>>,
}

impl FakePlugins {
    /// Whether a component is kept.
    pub(in crate::tests) fn keeps(&self, digest: &str) -> bool {
        self.kept.lock().expect("no test panics in it").contains_key(digest)
    }
    fn read(&self, digest: &str) -> Value {
        let kept = self.kept.lock().expect("no test panics in it");
        serde_json::from_slice(&kept[digest]).expect("it was inspected")
    }
}

/// The digest of a component.
pub(in crate::tests) fn digest_of(component: &[u8]) -> String {
    hex::encode(Sha256::digest(component))
}

fn described(component: &Value, bytes: &[u8]) -> Inspected {
    let text = |field: &str, or: &str| component[field].as_str().unwrap_or(or).to_owned();
    let hosts = component["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let wants = Wants {
        hosts: hosts.collect(),
        cpu_ms: component["cpuMs"].as_u64().unwrap_or_default() as u32,
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
impl PluginEngine for FakePlugins {
    async fn inspect(&self, component: Bytes) -> Result<Inspected, Refusal> {
        *self.inspected.lock().expect("no test panics in it") += 1;
        if let Some(refusal) = self.refuses.lock().expect("no test panics in it").take() {
            return Err(refusal);
        }
        let read: Value =
            serde_json::from_slice(&component).map_err(|_| Refusal::Unfit("this is not a component".to_owned()))?;
        let inspected = described(&read, &component);
        self.kept.lock().expect("no test panics in it").insert(inspected.digest.clone(), component);
        Ok(inspected)
    }
    async fn component(&self, digest: &str) -> Option<Bytes> {
        self.kept.lock().expect("no test panics in it").get(digest).cloned()
    }
    async fn forget(&self, digest: &str) {
        self.kept.lock().expect("no test panics in it").remove(digest);
    }
    async fn check_config(&self, digest: &str, config: &Value) -> Result<(), Vec<FieldProblem>> {
        match self.read(digest)["requires"].as_str() {
            Some(field) if config.get(field).is_none() => {
                Err(vec![FieldProblem { field: field.to_owned(), message: "is required".to_owned() }])
            }
            _ => Ok(()),
        }
    }
    async fn call(&self, call: AutomationCall) -> CallResult {
        let answer = self.read(&call.digest)["answer"].as_str().unwrap_or_default().to_owned();
        self.calls.lock().expect("no test panics in it").push(call);
        let send = |text: String| {
            Action::Send(SendAction { content: SendContent::Text(text), reply_to: None, delay_ms: 0, label: None })
        };
        let outcome = match answer.as_str() {
            "trap" => Err(CallFailure::Trap("unreachable".to_owned())),
            "absent" => Err(CallFailure::NotCalled("the version is not there".to_owned())),
            _ => Ok(Outcome { state: None, actions: vec![send(answer)], claim: true }),
        };
        CallResult { outcome, inputs: Vec::new(), cpu: Duration::ZERO, memory: 0 }
    }
    fn embedded(&self) -> Vec<Inspected> {
        let carried = self.carried.lock().expect("no test panics in it");
        let all = carried.iter().map(|component| {
            let bytes = Bytes::from(component.to_string());
            let inspected = described(component, &bytes);
            self.kept.lock().expect("no test panics in it").insert(inspected.digest.clone(), bytes);
            inspected
        });
        all.collect()
    }
}

/// Lines that tests wrote, and one version's figures.
#[derive(Default)]
pub(in crate::tests) struct FakeTelemetry {
    lines: Mutex<Vec<(String, Option<TenantIndex>, PluginLine)>>,
    written: watch::Sender<usize>,
}

impl FakeTelemetry {
    /// A plugin writes, in an instance of this tenant.
    pub(in crate::tests) fn write(&self, plugin: &str, tenant: TenantIndex, text: &str) {
        let mut lines = self.lines.lock().expect("no test panics in it");
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
    /// How many follow.
    pub(in crate::tests) fn followers(&self) -> usize {
        self.written.receiver_count()
    }
}

impl PluginTelemetry for FakeTelemetry {
    fn lines(&self, plugin: &str, tenant: Option<TenantIndex>, after: u64, limit: usize) -> Vec<PluginLine> {
        let lines = self.lines.lock().expect("no test panics in it");
        let seen = lines
            .iter()
            .filter(|(of, whose, line)| of == plugin && line.number > after && (tenant.is_none() || *whose == tenant));
        seen.take(limit).map(|(.., line)| line.clone()).collect()
    }
    fn follow(&self) -> Box<dyn LineWatch> {
        Box::new(Following(self.written.subscribe()))
    }
    fn usage(&self, _: &str) -> BTreeMap<String, PluginUse> {
        let stats = VersionStats { calls: 9, traps: 1, failures: 2, p99_us: 80, p50_us: 40 };
        let failures = BTreeMap::from([("trap".to_owned(), 1)]);
        let used = PluginUse { stats, failures, cpu_us: 70, memory_peak: 60, dropped_lines: 3 };
        BTreeMap::from([("00".repeat(32), used)])
    }
    fn since(&self, _: &str, _: &str, _: &UseMark) -> VersionStats {
        VersionStats::default()
    }
    fn mark(&self, _: &str, _: &str) -> UseMark {
        UseMark::default()
    }
}

struct Following(watch::Receiver<usize>);

#[async_trait]
impl LineWatch for Following {
    async fn written(&mut self, _: &str) -> bool {
        self.0.changed().await.is_ok()
    }
}
