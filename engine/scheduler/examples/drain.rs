//! Work per message of the scheduler and the store: drains a queue from a store that does not sync through a renderer and a
//! connector that do nothing, and prints messages a second and CPU a message.
//! `cargo run --release -p pombo-scheduler --example drain [N [MS]]`, MS being how much longer a commit takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pombo_domain::ports::{Batch, Change};
use pombo_domain::{ConnectorIndex, TenantIndex};
use pombo_scheduler::{Options, Ports, Scheduler, SigningSecrets};
use pombo_testkit::{
    BraceRenderer, CountingEntropy, FakePluginEngine, FakeTelemetry, ManualClock, NOON, PlainForm, ReversingBox,
    ScriptedConnectors, ScriptedFetcher, ScriptedWebhooks, TestStore, samples,
};

struct Secrets;

impl SigningSecrets for Secrets {
    fn webhook_secret(&self, _: TenantIndex) -> Vec<u8> {
        Vec::new()
    }
}

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let count: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let takes: u64 = std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(0);
    let (tenant, connector) = (TenantIndex(1), ConnectorIndex(1));
    let clock = ManualClock::new(NOON);
    let store = TestStore::overlapping(clock.clone());
    store.delay_commits(takes);
    let made = Change::Connector(samples::connector(connector, tenant, "email"));
    store.write(Batch::of(vec![made])).expect("the store takes it");
    for _ in 0..count / 1_000 {
        let messages = vec![samples::message(connector, "ana@example.org", "Olá, tudo bem?"); 1_000];
        store.write(samples::inserts(tenant, messages)).expect("the store takes it");
    }
    let ports = Ports {
        store,
        renderer: Arc::new(BraceRenderer::default()),
        connectors: Arc::new(ScriptedConnectors::started(clock.clone(), vec![samples::plugin("fake", "email")])),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(CountingEntropy::default()),
        webhooks: Arc::new(ScriptedWebhooks::new(clock.clone())),
        hook_form: Arc::new(PlainForm),
        attachments: Arc::new(ScriptedFetcher::new(clock.clone())),
        plugins: Arc::new(FakePluginEngine::new(clock)),
        telemetry: Arc::new(FakeTelemetry::default()),
        seals: Arc::new(ReversingBox),
        secrets: Arc::new(Secrets),
        connector_writes: Default::default(),
    };
    let (began, used) = (Instant::now(), cpu());
    let handle = Scheduler::start(ports, Options::default()).await.expect("it starts");
    while handle.metrics().outcome_accepted < count as u64 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let (took, used) = (began.elapsed(), cpu() - used);
    let metrics = handle.metrics();
    println!(
        "{count} messages in {took:?}: {:.0} a second, {:.1} µs CPU a message, {} claim batches, {} outcome batches",
        count as f64 / took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / count as f64,
        metrics.claim_batches,
        metrics.outcome_batches,
    );
    std::process::exit(0);
}
