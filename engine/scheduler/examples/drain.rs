//! Work per message of the scheduler alone: drains a queue from a store in memory through a renderer and a connector that do
//! nothing, and prints messages a second and CPU a message. `cargo run --release -p pombo-scheduler --example drain [N [MS]]`, MS
//! being how long a commit takes.

#[path = "../tests/scheduler/support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

use std::time::{Duration, Instant};

use support::*;

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
    let mut world = World::new(free());
    world.store.commit_takes.store(takes, std::sync::atomic::Ordering::Relaxed);
    for _ in 0..count / 1_000 {
        world.post_all(TENANT, (0..1_000).map(|_| text("Olá, tudo bem?")).collect());
    }
    let (began, used) = (Instant::now(), cpu());
    world.start().await;
    while world.handle().metrics().outcome_accepted < count as u64 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let (took, used) = (began.elapsed(), cpu() - used);
    let metrics = world.handle().metrics();
    println!(
        "{count} messages in {took:?}: {:.0} a second, {:.1} µs CPU a message, {} claim batches, {} outcome batches",
        count as f64 / took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / count as f64,
        metrics.claim_batches,
        metrics.outcome_batches,
    );
}
