//! Work per event of the scheduler and the store, without a plugin: events of many conversations through an automation that keeps a
//! state and, where asked, answers. Prints events a second, the durable commit included.
//! `cargo run --release -p pombo-scheduler --example events [N [CONVERSATIONS [answers]]]`

#[path = "../tests/scheduler/support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

#[path = "../tests/scheduler/automations/store.rs"]
#[expect(dead_code, unreachable_pub, reason = "the tests use the rest")]
mod store;

#[path = "../tests/scheduler/automations/office.rs"]
#[expect(dead_code, unreachable_pub, reason = "the tests use the rest")]
mod office;

use std::time::{Duration, Instant};

use office::*;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use support::*;

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
    let mut office = Office::new().await;
    let mut granted = package(PluginKind::Automation, "v1");
    granted.revision = 2;
    if let Some(grants) = &mut granted.grants {
        grants.what.events_per_minute = u32::MAX;
    }
    office.write(vec![change(AutomationChange::Package(granted))]).await;
    office.automation(10, |_| ()).await;
    office.plugins.act(move |call| {
        let state = call.state.as_deref().and_then(|state| state.parse::<u64>().ok()).unwrap_or(0) + 1;
        says(Some(&state.to_string()), true, if answers { vec![say("tudo bem?")] } else { Vec::new() })
    });
    office.plugins.keep_calls(false);
    let content = inbound::InboundContent::Text("Oi, tudo bem? Meu pedido já saiu?".to_owned());
    for first in (0..count).step_by(500) {
        let event = |n: usize| {
            let chat = format!("55{:09}", n % conversations);
            let message = Inbound { content: content.clone(), ..from(&chat, &n.to_string()) };
            change(AutomationChange::Event(NewWork {
                tenant: TENANT,
                connector: LANE,
                chat,
                is_group: false,
                contact_name: None,
                id: uuid::Uuid::from_u128(n as u128 + 1),
                at: office.now(),
                body: WorkBody::Message(message),
                with_event: false,
            }))
        };
        let changes = (first..(first + 500).min(count)).map(event).collect();
        office.store().inner.commit(Batch::of(changes)).await.expect("the store takes it");
    }
    let (began, used) = (Instant::now(), cpu());
    office.start().await;
    while office.handle().metrics().automation_events < count as u64 {
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
