//! What automations cost, and what one tenant's endless loops cost the others: `automations PLUGIN.wasm [CALLS [HOSTILE.wasm]]`.
//!
//! `renderer.wasm` must lie in `target/plugins`. HOSTILE is `target/hostile/automation-probe.wasm`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use pombo_domain::model::{Inbound, InboundContent, TaskBody, Wants};
use pombo_domain::ports::*;
use pombo_domain::{AutomationIndex, TenantIndex, Timestamp};
use pombo_sandbox::{Compiling, Embedded, Limits, Options, Plugins, Ports, Sandbox};
use pombo_testkit::{CountingEntropy, SystemClock, samples};
use uuid::Uuid;

fn call(plugin: &Inspected, tenant: u32, text: &str, cpu_ms: u32) -> AutomationCall {
    let content = InboundContent::Text(text.to_owned());
    let message = Inbound { content, ..samples::inbound("sender", "3EB0A1B2C3D4E5F60718") };
    AutomationCall {
        digest: plugin.digest.as_str().into(),
        plugin: plugin.name.as_str().into(),
        tenant: TenantIndex(tenant),
        automation: AutomationIndex(tenant),
        id: Uuid::from_u128(1),
        config: "{}".into(),
        secrets: Arc::default(),
        grants: Arc::new(Wants { cpu_ms, ..Wants::default() }),
        event: Arc::new(CallEvent {
            id: Uuid::from_u128(2),
            at: Timestamp(1),
            attempt: 1,
            conversation: Uuid::from_u128(3),
            connector: Uuid::from_u128(4),
            channel: "whatsapp".to_owned(),
            chat: "chat".to_owned(),
            is_group: false,
            contact_name: Some("Ana".to_owned()),
            tags: vec!["new".to_owned()],
            assignee: None,
            opened_at: Timestamp(0),
            body: TaskBody::Message(message),
        }),
        state: None,
        now: Timestamp(1),
        seed: 1,
        replay: None,
    }
}

fn quantiles(mut all: Vec<Duration>) -> String {
    all.sort_unstable();
    let at = |percent: usize| all.get(all.len() * percent / 100).copied().unwrap_or_default();
    let most = all.last().copied().unwrap_or_default();
    format!("p50 {:.1?}, p99 {:.1?}, longest {most:.1?}, {} calls", at(50), at(99), all.len())
}

/// 50 tenants, each a call every 20 ms.
async fn ordinary(plugins: &Arc<Plugins>, plugin: &Inspected, rounds: usize) -> Vec<Duration> {
    let tenants = (1..=50).map(|tenant| {
        let (plugins, plugin) = (plugins.clone(), plugin.clone());
        tokio::spawn(async move {
            let mut took = Vec::new();
            for round in 0..rounds {
                tokio::time::sleep(Duration::from_millis(10 + (u64::from(tenant) * 7 + round as u64 * 3) % 20)).await;
                let begun = Instant::now();
                let result = plugins.call(call(&plugin, tenant, "echo hello", 0)).await;
                took.push(begun.elapsed());
                if let Err(error) = result.outcome {
                    eprintln!("tenant {tenant}: {error}");
                }
            }
            took
        })
    });
    let mut all = Vec::new();
    for took in futures::future::join_all(tenants).await {
        all.extend(took.unwrap_or_default());
    }
    all
}

async fn run(plugin: PathBuf, calls: u32, hostile: Option<PathBuf>) -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("pombo-automations-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let target = std::env::current_exe()?.ancestors().nth(3).ok_or("no target folder")?.to_owned();
    let compiler = std::env::current_exe()?.with_file_name("compile");
    let options = Options {
        cache_dir: folder.join("cache"),
        compiled_ahead: None,
        operator_dir: None,
        uploads_dir: folder.join("uploads"),
        compile_command: compiler.exists().then(|| vec![compiler.into()]),
        embedded: vec![Embedded {
            name: "renderer",
            component: Vec::leak(std::fs::read(target.join("plugins/renderer.wasm"))?),
        }],
        grants: BTreeMap::new(),
        smtp_plain_hosts: Vec::new(),
        http_plain_hosts: Vec::new(),
        authorities: Vec::new(),
        connect_to: BTreeMap::new(),
        limits: Limits::default(),
        renderers: 1,
        compiling: Compiling::default(),
    };
    let ports = Ports::offline(Arc::new(SystemClock), Arc::new(CountingEntropy::default()));
    let sandbox = Sandbox::open(options, ports).await?;
    let plugins = sandbox.plugins();
    let begun = Instant::now();
    let inspected = plugins.inspect(std::fs::read(&plugin)?.into()).await?;
    println!("{:<18} {} bytes, checked and compiled in {:.1?}", inspected.name, inspected.size, begun.elapsed());
    let first = plugins.call(call(&inspected, 1, "echo hello", 0)).await;
    first.outcome?;
    println!("one call           {:.1?} of processor time, {} KiB of memory", first.cpu, first.memory >> 10);
    for round in 0..3 {
        let (mut cpu, begun) = (Duration::ZERO, Instant::now());
        for _ in 0..calls {
            let result = plugins.call(call(&inspected, 1, "echo hello", 0)).await;
            result.outcome?;
            cpu += result.cpu;
        }
        let took = begun.elapsed() / calls.max(1);
        println!(
            "calls, one by one  {took:.1?} each, {:.1?} of it measured in the guest ({round})",
            cpu / calls.max(1)
        );
    }
    let begun = Instant::now();
    let tasks = (0..8).map(|_| {
        let (plugins, inspected) = (plugins.clone(), inspected.clone());
        tokio::spawn(async move {
            for _ in 0..calls / 8 {
                plugins.call(call(&inspected, 1, "echo hello", 0)).await.outcome?;
            }
            Ok::<_, CallFailure>(())
        })
    });
    for done in futures::future::join_all(tasks).await {
        done??;
    }
    println!("calls, 8 at once   {:.0} a second", f64::from(calls / 8 * 8) / begun.elapsed().as_secs_f64());
    if let Some(hostile) = hostile {
        let hostile = plugins.inspect(std::fs::read(hostile)?.into()).await?;
        println!("50 tenants alone   {}", quantiles(ordinary(&plugins, &inspected, 100).await));
        let stop = Arc::new(AtomicBool::new(false));
        let spinning: Vec<_> = (0..64)
            .map(|_| {
                let (plugins, hostile, stop) = (plugins.clone(), hostile.clone(), stop.clone());
                tokio::spawn(async move {
                    let mut loops = 0;
                    while !stop.load(Relaxed) {
                        // Every outcome is a failure; how many there were is what counts.
                        drop(plugins.call(call(&hostile, 99, "spin", 200)).await);
                        loops += 1;
                    }
                    loops
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(2)).await;
        println!("… beside 64 loops  {}", quantiles(ordinary(&plugins, &inspected, 100).await));
        stop.store(true, Relaxed);
        let loops: Vec<_> = futures::future::join_all(spinning).await;
        println!("loops ended        {}", loops.into_iter().flatten().sum::<u32>());
    }
    sandbox.shutdown(Duration::from_secs(1)).await;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let plugin = arguments.next().ok_or("usage: automations PLUGIN.wasm [CALLS [HOSTILE.wasm]]")?;
    let calls: u32 = arguments.next().map_or(Ok(10_000), |n| n.parse())?;
    let hostile = arguments.next().map(PathBuf::from);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(plugin.into(), calls, hostile))
}
