//! Events per second through an automation.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pombo_tests::automation::{automate, component, install};
use pombo_tests::pipe::Pipe;
use pombo_tests::process::target;
use pombo_tests::server::Server;
use pombo_tests::tenant::Tenant;
use pombo_tests::wait::until;
use serde_json::{Value, json};

use crate::{options, processor_ms, report};

/// Connectors that the events come from, each from so many conversations.
const CONNECTORS: usize = 4;
const CONVERSATIONS: usize = 500;
const PATIENCE: Duration = Duration::from_secs(900);

/// Without limits that are there for other tenants' sake, and without recordings.
const ALONE: &str = "[automations]\nrecord = false\nevents_per_minute = 100000000\ntenant_cpu_percent = 100000\nin_flight = 64\nin_flight_per_tenant = 64\n";

/// What is counted: handled events of an automation, by the plugin's figures.
fn handled(tenant: &Tenant, plugin: &str) -> Result<u64> {
    let usage = tenant.client.get(&format!("/v1/plugins/{plugin}/usage"))?.expect_json(200)?;
    let versions = usage["versions"].as_array().context("no versions")?;
    Ok(versions.iter().filter_map(|version| version["calls"].as_u64()).sum())
}

fn last_event(tenant: &Tenant) -> Result<u64> {
    tenant.client.get("/v1/events?after=latest&limit=1")?.expect_json(200)?["next"].as_u64().context("no next")
}

/// The time that `count` events take, from the first that is written until the last is stored or, with a plugin, the last answer
/// is.
fn run(name: &str, plugin: Option<Vec<u8>>, count: usize) -> Result<Value> {
    let server = Server::start(options(ALONE)?)?;
    let tenant = Tenant::create(&server)?;
    let plugin = match plugin {
        Some(component) => Some(install(&tenant.client, &component)?.0),
        None => None,
    };
    let mut pipes = Vec::new();
    for _ in 0..CONNECTORS {
        let pipe = Pipe::start()?;
        let connector = tenant.connector("pipe", &pipe.config())?;
        // What is answered waits in the queue: sending is not what is measured here.
        tenant.set_paused(&connector, true)?;
        if let Some(plugin) = &plugin {
            automate(&tenant, &connector, plugin, &json!({}))?;
        }
        // The first call of a version loads it.
        pipe.write("first", "x");
        pipes.push(pipe);
    }
    let first = CONNECTORS as u64;
    match &plugin {
        Some(plugin) => until("the first events", PATIENCE, || Ok((handled(&tenant, plugin)? >= first).then_some(())))?,
        None => until("the first events", PATIENCE, || Ok((last_event(&tenant)? >= first).then_some(())))?,
    }
    let (each, before) = (count / CONNECTORS, last_event(&tenant)?);
    let count = each * CONNECTORS;
    let (start, used) = (Instant::now(), processor_ms(server.id()?)?);
    for pipe in &pipes {
        pipe.write_all((0..each).map(|n| (format!("c{}", n % CONVERSATIONS), format!("m{n}"))));
    }
    until("every event to be stored", PATIENCE, || Ok((last_event(&tenant)? >= before + count as u64).then_some(())))?;
    let received = start.elapsed().as_secs_f64();
    if plugin.is_some() {
        // Each has its answer in the queue: none was lost, none answered twice.
        tenant.wait_total(&[], first + count as u64, PATIENCE)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let used = processor_ms(server.id()?)?.saturating_sub(used);
    let rate = (count as f64 / seconds).round();
    let each_us = (used as f64 * 1e3 / count as f64).round();
    println!("{name}: {rate} events/s, {each_us} µs of the engine's processor time each");
    let round = |seconds: f64| (seconds * 100.0).round() / 100.0;
    Ok(json!({
        "events": count, "all_received_after_s": round(received), "all_handled_after_s": round(seconds),
        "events_per_second": rate, "engine_processor_us_per_event": each_us,
    }))
}

/// The languages asked for: `rust`, `js`, `python`; all of them, and none, without.
pub(crate) fn measure(count: usize, only: &[String]) -> Result<()> {
    let built = |language: &str| {
        let path = target().join(format!("sdk/echo-{language}.wasm"));
        std::fs::read(&path).with_context(|| format!("{} is not built: run tests/guests/build.sh", path.display()))
    };
    let wanted = |language: &str| only.is_empty() || only.iter().any(|asked| asked == language);
    let mut figures = serde_json::Map::new();
    let mut note = |name: &str, figure: Result<Value>| figure.map(|figure| figures.insert(name.to_owned(), figure));
    if wanted("none") {
        note("received_only", run("receiving alone", None, count))?;
    }
    if wanted("rust") {
        note("rust", run("Rust", Some(component("echo")?), count))?;
    }
    if wanted("js") {
        note("javascript", run("JavaScript", Some(built("js")?), count / 4))?;
    }
    if wanted("python") {
        note("python", run("Python", Some(built("python")?), count / 10))?;
    }
    note("conversations", Ok(json!(CONNECTORS * CONVERSATIONS)))?;
    note("aim_events_per_second", Ok(json!({"rust": 20_000, "javascript": 3_000, "python": 1_000})))?;
    report("automations_rate", Value::Object(figures))
}
