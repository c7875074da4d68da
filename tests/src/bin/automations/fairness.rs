//! One hostile tenant among many ordinary ones.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pombo_tests::automation::{activate, automate, component, upload, variant};
use pombo_tests::pipe::Pipe;
use pombo_tests::server::Server;
use pombo_tests::tenant::{Tenant, text_of};
use serde_json::{Value, json};

use crate::{options, percentile, report};

/// Answers that each ordinary tenant waits for, one after the other.
const ROUNDS: usize = 40;
/// Conversations in which the hostile tenant's automation spins.
const SPINNING: usize = 500;
const PATIENCE: Duration = Duration::from_secs(120);

struct Ordinary {
    pipe: Pipe,
}

/// How long the ordinary tenants waited, in ms, sorted.
fn waits(tenants: &[Ordinary], round: &str) -> Result<Vec<f64>> {
    let threads: Vec<_> = tenants
        .iter()
        .enumerate()
        .map(|(index, tenant)| {
            let (pipe, round) = (tenant.pipe.clone(), round.to_owned());
            std::thread::spawn(move || -> Result<Vec<f64>> {
                let mut waits = Vec::new();
                // Not all at the same instant.
                std::thread::sleep(Duration::from_millis(index as u64 * 7 % 200));
                for n in 0..ROUNDS {
                    let (chat, start) = (format!("{round}-{n}"), Instant::now());
                    pipe.write(&chat, "oi");
                    pipe.wait("an answer", PATIENCE, |sent| sent.iter().any(|s| s.to == chat))?;
                    waits.push(start.elapsed().as_secs_f64() * 1e3);
                    std::thread::sleep(Duration::from_millis(100));
                }
                Ok(waits)
            })
        })
        .collect();
    let mut all = Vec::new();
    for thread in threads {
        all.extend(thread.join().map_err(|_| anyhow::anyhow!("a tenant panicked"))??);
    }
    all.sort_by(f64::total_cmp);
    Ok(all)
}

fn figure(waits: &[f64]) -> Value {
    let round = |ms: f64| (ms * 10.0).round() / 10.0;
    json!({
        "p50_ms": round(percentile(waits, 0.5)),
        "p90_ms": round(percentile(waits, 0.9)),
        "p99_ms": round(percentile(waits, 0.99)),
        "max_ms": round(percentile(waits, 1.0)),
    })
}

pub(crate) fn measure(count: usize) -> Result<()> {
    let server = Server::start(options("")?)?;
    let operator = server.operator()?;
    let echo = upload(&operator, &component("echo")?)?;
    activate(&operator, "echo", &text_of(&echo, "digest")?, &json!({}))?;
    let tenants = (0..count)
        .map(|_| {
            let (tenant, pipe) = (Tenant::create(&server)?, Pipe::start()?);
            let connector = tenant.connector("pipe", &pipe.config())?;
            tenant.pace(&connector, &json!({}))?;
            automate(&tenant, &connector, "echo", &json!({}))?;
            Ok(Ordinary { pipe })
        })
        .collect::<Result<Vec<_>>>()?;
    waits(&tenants, "warm")?;
    let alone = waits(&tenants, "alone")?;

    let (hostile, pipe) = (Tenant::create(&server)?, Pipe::start()?);
    let connector = hostile.connector("pipe", &pipe.config())?;
    // Its plugin has a name of its own: patched, so that it is another plugin.
    let mut bytes = variant("echo", "spin 1")?;
    rename(&mut bytes, "echo", "eco0");
    let spinner = upload(&hostile.client, &bytes)?;
    let name = text_of(&spinner, "name")?;
    activate(&hostile.client, &name, &text_of(&spinner, "digest")?, &json!({}))?;
    automate(&hostile, &connector, &name, &json!({}))?;
    pipe.write_all((0..SPINNING).map(|n| (format!("s{n}"), "oi".to_owned())));
    let (ended, start) = (spun(&hostile, &name)?, Instant::now());
    let beside = waits(&tenants, "beside")?;
    // The time that the engine gave it: it did spin, and it was ended for that reason.
    let (ended, seconds) = (spun(&hostile, &name)? - ended, start.elapsed().as_secs_f64());
    ensure!(ended > 0, "the hostile tenant's calls did not run");
    report(
        "automation_fairness",
        json!({
            "ordinary_tenants": count, "answers_each": ROUNDS, "alone": figure(&alone), "beside_a_hostile_tenant": figure(&beside),
            "hostile": {"waiting_conversations": SPINNING, "endless_calls_ended_per_second": (ended as f64 / seconds * 10.0).round() / 10.0},
        }),
    )
}

/// Calls of the hostile plugin that were ended.
fn spun(tenant: &Tenant, plugin: &str) -> Result<u64> {
    let usage = tenant.client.get(&format!("/v1/plugins/{plugin}/usage"))?.expect_json(200)?;
    let versions = usage["versions"].as_array().context("no versions")?;
    Ok(versions.iter().filter_map(|version| version["traps"].as_u64()).sum())
}

/// Writes another name of the same length over the plugin's own, where its description holds it.
fn rename(bytes: &mut [u8], from: &str, to: &str) {
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| &bytes[*at..*at + from.len()] == from.as_bytes()).collect();
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
}
