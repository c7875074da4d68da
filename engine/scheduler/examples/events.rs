//! Work per event of the scheduler and the store, without a plugin: events of many conversations through an automation that keeps a
//! state and, where asked, answers. Prints events a second, the durable commit included.
//! `cargo run --release -p pombo-scheduler --example events [N [CONVERSATIONS [answers]]]`

use std::sync::Arc;
use std::time::{Duration, Instant};

use pombo_domain::model::{Inbound, InboundContent, PluginKind, TaskBody};
use pombo_domain::ports::{AutomationChange, Batch, Change, NewTask};
use pombo_domain::{ConnectorIndex, TenantIndex};
use pombo_scheduler::{Options, Ports, Scheduler, SigningSecrets};
use pombo_testkit::{
    BraceRenderer, CountingEntropy, FakePluginEngine, FakeTelemetry, ManualClock, NOON, PlainForm, ReversingBox,
    ScriptedConnectors, ScriptedFetcher, ScriptedWebhooks, TestStore, samples, says,
};

const TENANT: TenantIndex = TenantIndex(1);
const CONNECTOR: ConnectorIndex = ConnectorIndex(1);

struct Secrets;

impl SigningSecrets for Secrets {
    fn webhook_secret(&self, _: TenantIndex) -> Vec<u8> {
        Vec::new()
    }
}

fn change(change: AutomationChange) -> Change {
    Change::Automation(Box::new(change))
}

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn argument(n: usize, default: usize) -> usize {
    std::env::args().nth(n).and_then(|given| given.parse().ok()).unwrap_or(default)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (count, conversations) = (argument(1, 100_000), argument(2, 2_000));
    let answers = std::env::args().nth(3).is_some();
    let clock = ManualClock::new(NOON);
    let store = TestStore::durable(clock.clone());
    let mut plugin = samples::uploaded_plugin("answers", PluginKind::Automation, TENANT, "v1");
    if let Some(grants) = &mut plugin.grants {
        grants.what.events_per_minute = u32::MAX;
    }
    let set_up = vec![
        Change::Connector(samples::connector(CONNECTOR, TENANT, "whatsapp")),
        change(AutomationChange::Plugin(plugin)),
        change(AutomationChange::Put(samples::automation(10, TENANT, CONNECTOR, "answers"))),
    ];
    store.write(Batch::of(set_up)).expect("the store takes it");
    let plugins = Arc::new(FakePluginEngine::keeping_all(clock.clone()));
    plugins.act(move |call| {
        let state = call.state.as_deref().and_then(|state| state.parse::<u64>().ok()).unwrap_or(0) + 1;
        says(Some(&state.to_string()), true, if answers { vec![samples::say("tudo bem?")] } else { Vec::new() })
    });
    plugins.keep_calls(false);
    let content = InboundContent::Text("Oi, tudo bem? Meu pedido já saiu?".to_owned());
    for first in (0..count).step_by(500) {
        let event = |n: usize| {
            let chat = format!("55{:09}", n % conversations);
            let message = Inbound { content: content.clone(), ..samples::inbound(&chat, &n.to_string()) };
            change(AutomationChange::Event(NewTask {
                tenant: TENANT,
                connector: CONNECTOR,
                chat,
                is_group: false,
                contact_name: None,
                id: uuid::Uuid::from_u128(n as u128 + 1),
                at: NOON,
                body: TaskBody::Message(message),
                with_event: false,
            }))
        };
        let changes = (first..(first + 500).min(count)).map(event).collect();
        store.write(Batch::of(changes)).expect("the store takes it");
    }
    let ports = Ports {
        store,
        renderer: Arc::new(BraceRenderer::default()),
        connectors: Arc::new(ScriptedConnectors::started(clock.clone(), vec![samples::plugin("fake", "whatsapp")])),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(CountingEntropy::default()),
        webhooks: Arc::new(ScriptedWebhooks::new(clock.clone())),
        hook_form: Arc::new(PlainForm),
        attachments: Arc::new(ScriptedFetcher::new(clock)),
        plugins,
        telemetry: Arc::new(FakeTelemetry::default()),
        seals: Arc::new(ReversingBox),
        secrets: Arc::new(Secrets),
        connector_writes: Default::default(),
    };
    let (began, used) = (Instant::now(), cpu());
    let handle = Scheduler::start(ports, Options::default()).await.expect("it starts");
    while handle.metrics().automation_events < count as u64 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let (took, used) = (began.elapsed(), cpu() - used);
    println!(
        "{count} events of {conversations} conversations in {took:?}: {:.0} a second, {:.1} µs CPU an event",
        count as f64 / took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / count as f64,
    );
    std::process::exit(0);
}
