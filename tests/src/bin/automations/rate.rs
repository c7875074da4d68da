//! Events a second through an automation.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pombo_tests::automation::{automate, component, install};
use pombo_tests::pipe::Pipe;
use pombo_tests::process::target;
use pombo_tests::server::Server;
use pombo_tests::tenant::Tenant;
use pombo_tests::wait::until;
use serde_json::{Value, json};

use crate::{options, report};

/// Conversations that the events belong to.
const CONVERSATIONS: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(900);

/// Without limits that are there for other tenants' sake, and without recordings.
const ALONE: &str = "[automations]\nrecord = false\nevents_per_minute = 100000000\ntenant_cpu_percent = 100000\nin_flight = 64\nin_flight_per_tenant = 64\n";

/// What is counted: handled events of an automation, by the plugin's figures.
fn handled(tenant: &Tenant, plugin: &str) -> Result<u64> {
    let usage = tenant.client.get(&format!("/v1/plugins/{plugin}/usage"))?.expect_json(200)?;
    let versions = usage["data"].as_array().context("no versions")?;
    Ok(versions.iter().filter_map(|version| version["calls"].as_u64()).sum())
}

fn last_event(tenant: &Tenant) -> Result<u64> {
    tenant.client.get("/v1/events?after=latest&limit=1")?.expect_json(200)?["next"].as_u64().context("no next")
}

/// The time that `count` events take: receiving them alone, or being answered too.
fn run(name: &str, plugin: Option<Vec<u8>>, count: usize) -> Result<Value> {
    let server = Server::start(options(ALONE)?)?;
    let (tenant, pipe) = (Tenant::create(&server)?, Pipe::start()?);
    let connector = tenant.connector("pipe", &pipe.config())?;
    // What is answered waits in the queue: sending is not what is measured here.
    tenant.set_paused(&connector, true)?;
    let plugin = match plugin {
        Some(component) => {
            let (plugin, _) = install(&tenant.client, &component)?;
            automate(&tenant, &connector, &plugin, &json!({}))?;
            // The first call of a version loads it.
            pipe.write("first", "x");
            until("the first event", PATIENCE, || Ok((handled(&tenant, &plugin)? == 1).then_some(())))?;
            Some(plugin)
        }
        None => None,
    };
    let before = last_event(&tenant)?;
    let start = Instant::now();
    pipe.write_all((0..count).map(|n| (format!("c{}", n % CONVERSATIONS), format!("m{n}"))));
    match &plugin {
        Some(plugin) => {
            let goal = count as u64 + 1;
            until("every event to be handled", PATIENCE, || Ok((handled(&tenant, plugin)? >= goal).then_some(())))?;
            tenant.wait_total(&[], goal, PATIENCE)?;
        }
        None => until("every event to be stored", PATIENCE, || {
            Ok((last_event(&tenant)? >= before + count as u64).then_some(()))
        })?,
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = count as f64 / seconds;
    println!("{name}: {rate:.0} events/s");
    Ok(json!({"events": count, "seconds": seconds, "events_per_second": rate.round()}))
}

/// All three languages, and none.
pub(crate) fn measure(count: usize) -> Result<()> {
    let built = |language: &str| {
        let path = target().join(format!("sdk/echo-{language}.wasm"));
        std::fs::read(&path).with_context(|| format!("{} is not built: run sdk/build-examples.sh", path.display()))
    };
    let figure = json!({
        "received_only": run("receiving alone", None, count)?,
        "rust": run("Rust", Some(component("echo")?), count)?,
        "javascript": run("JavaScript", Some(built("js")?), count / 10)?,
        "python": run("Python", Some(built("python")?), count / 50)?,
        "aim": {"rust": 20_000, "javascript": 3_000, "python": 1_000},
    });
    report("automations_rate", figure)
}
