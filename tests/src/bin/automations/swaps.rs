//! How long a stateless connector pauses when its version changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use pombo_tests::automation::{upload, variant};
use pombo_tests::pipe::Pipe;
use pombo_tests::server::Server;
use pombo_tests::tenant::{SENDSYNC, Tenant, text_of};
use pombo_tests::wait::until;
use serde_json::{Value, json};

use crate::{options, percentile, report};

const PER_SECOND: usize = 200;
const QUICK: &str = "[plugins]\ncanary_calls = 20\ncanary_seconds = 2\nwatch_seconds = 0\n";
/// Around the instant at which a change was asked for.
const BEFORE: Duration = Duration::from_millis(50);
const AFTER: Duration = Duration::from_millis(1_000);

/// The longest pauses, in ms, around each instant.
fn pauses(arrivals: &[Instant], around: &[Instant]) -> Vec<f64> {
    let longest = |at: &Instant| {
        let near = arrivals.windows(2).filter(|pair| pair[1] + BEFORE >= *at && pair[0] <= *at + AFTER);
        near.map(|pair| pair[1].duration_since(pair[0]).as_secs_f64() * 1e3).fold(0.0, f64::max)
    };
    let mut pauses: Vec<f64> = around.iter().map(longest).collect();
    pauses.sort_by(f64::total_cmp);
    pauses
}

fn figure(pauses: &[f64]) -> Value {
    let round = |ms: f64| (ms * 10.0).round() / 10.0;
    json!({
        "p50_ms": round(percentile(pauses, 0.5)),
        "p99_ms": round(percentile(pauses, 0.99)),
        "max_ms": round(percentile(pauses, 1.0)),
    })
}

pub(crate) fn measure(swaps: usize) -> Result<()> {
    let server = Server::start(options(QUICK)?)?;
    let operator = server.operator()?;
    let (tenant, pipe) = (Tenant::create(&server)?, Pipe::start()?);
    let connector = tenant.connector("pipe", &pipe.config())?;
    tenant.pace(&connector, &json!({}))?;
    let stop = Arc::new(AtomicBool::new(false));
    let sending = {
        let (client, connector, stop) = (tenant.client.clone(), connector.clone(), stop.clone());
        std::thread::spawn(move || -> Result<()> {
            let (start, mut sent) = (Instant::now(), 0);
            while !stop.load(Ordering::Relaxed) {
                let due = (start.elapsed().as_millis() as usize * PER_SECOND / 1000).saturating_sub(sent);
                if due == 0 {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                }
                let message = |n| json!({"connectorId": connector, "to": "p", "message": format!("m{n}")});
                let rows: Vec<Value> = (sent..sent + due).map(message).collect();
                client.post(&format!("{SENDSYNC}/queue/bulk"), &json!({"messages": rows}))?.expect(201)?;
                sent += due;
            }
            Ok(())
        })
    };
    // As many instants without a change.
    let mut quiet = Vec::new();
    for _ in 0..swaps.div_ceil(4) {
        quiet.push(Instant::now());
        std::thread::sleep(AFTER);
    }
    let mut changed = Vec::new();
    for swap in 0..swaps {
        let digest = text_of(&upload(&operator, &variant("pipe", &format!("good v{swap}"))?)?, "digest")?;
        // Compiling it has its own price, which is not the change's.
        std::thread::sleep(AFTER / 4);
        changed.push(Instant::now());
        let body = json!({"digest": digest, "grant": true});
        operator.post("/v1/plugins/pipe/activate", &body)?.expect(200)?;
        until("the change", Duration::from_secs(60), || {
            let package = operator.get("/v1/plugins/pipe")?.expect_json(200)?;
            Ok((package["rollout"].is_null() && package["active"] == digest.as_str()).then_some(()))
        })?;
        let until = changed[swap] + AFTER;
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }
    stop.store(true, Ordering::Relaxed);
    match sending.join() {
        Ok(sent) => sent?,
        Err(_) => bail!("the sender panicked"),
    }
    let arrivals = pipe.arrivals();
    let (during, without) = (pauses(&arrivals, &changed), pauses(&arrivals, &quiet));
    let share = during.iter().filter(|ms| **ms < 50.0).count() as f64 / during.len().max(1) as f64;
    report(
        "connector_swaps",
        json!({
            "swaps": swaps, "messages_per_second": PER_SECOND, "around_a_swap": figure(&during), "without_a_swap": figure(&without),
            "below_50_ms": share, "aim": {"below_50_ms": 0.99},
        }),
    )
}
