//! How much memory and idle processor time an instance costs: `instances PLUGIN.wasm [COUNT]`.
//!
//! Starts COUNT connectors of a plugin that needs no configuration, sends each one message, and then leaves them alone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, TenantIndex};
use pombo_sandbox::{Compiling, Embedded, Limits, Options, Ports, Sandbox};
use pombo_testkit::{CountingEntropy, SystemClock};
use uuid::Uuid;

/// A field of /proc/self/status, in kB.
fn status(field: &str) -> u64 {
    let all = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = all.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Processor time of this process, in milliseconds.
fn processor() -> u64 {
    let all = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> =
        all.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
    fields.iter().sum::<u64>() * 10
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let plugin = arguments.next().ok_or("usage: instances PLUGIN.wasm [COUNT]")?;
    let count: u32 = arguments.next().map_or(Ok(500), |n| n.parse())?;
    let folder = std::env::temp_dir().join(format!("pombo-instances-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("plugins"))?;
    std::fs::copy(&plugin, folder.join("plugins/measured.wasm"))?;
    let renderer = PathBuf::from(&plugin).with_file_name("renderer.wasm");
    let options = Options {
        cache_dir: folder.join("cache"),
        compiled_ahead: None,
        operator_dir: Some(folder.join("plugins")),
        uploads_dir: folder.join("uploads"),
        compile_command: None,
        embedded: vec![Embedded { name: "renderer", component: Vec::leak(std::fs::read(renderer)?) }],
        grants: BTreeMap::new(),
        smtp_plain_hosts: Vec::new(),
        http_plain_hosts: Vec::new(),
        authorities: Vec::new(),
        connect_to: std::collections::BTreeMap::new(),
        limits: Limits { instances: count + 50, ..Limits::default() },
        renderers: 1,
        compiling: Compiling::default(),
    };
    let ports = Ports::offline(Arc::new(SystemClock), Arc::new(CountingEntropy::default()));
    let sandbox = Sandbox::open(options, ports).await?;
    let name = Connectors::plugins(&sandbox).first().map(|p| p.name.clone()).ok_or("the plugin was refused")?;
    let (empty, begun) = (status("VmRSS"), Instant::now());
    for index in 1..=count {
        let spec = ConnectorSpec {
            index: ConnectorIndex(index),
            id: Uuid::from_u128(u128::from(index)),
            tenant: TenantIndex(1),
            plugin: name.clone(),
            config: serde_json::json!({}),
            secrets: BTreeMap::new(),
            proxy: None,
        };
        sandbox.start(spec).await?;
    }
    for index in 1..=count {
        let mut state = sandbox.session(ConnectorIndex(index));
        while matches!(state, SessionState::Stopped | SessionState::Connecting) {
            state = sandbox.session_after(ConnectorIndex(index), &state).await;
        }
    }
    let (started, full) = (begun.elapsed(), status("VmRSS"));
    let (before, idle) = (processor(), Duration::from_secs(10));
    tokio::time::sleep(idle).await;
    let spent = processor() - before;
    println!("plugin           {name}");
    println!("instances        {count}, started in {started:.1?}");
    println!(
        "resident         {empty} kB before, {full} kB after: {} kB an instance",
        (full - empty) / u64::from(count)
    );
    println!("address space    {} GiB", status("VmSize") >> 20);
    println!("idle processor   {spent} ms in {idle:?}: {:.2} % of one", spent as f64 / idle.as_millis() as f64 * 100.0);
    sandbox.shutdown(Duration::from_secs(5)).await;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
