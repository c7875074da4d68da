//! What automations cost, measured through the built binary. Writes its figures into target/bench.json.
//!
//! `automations rate` counts events a second through a Rust, a JavaScript and a Python automation, each event with its durable commit:
//! EVENTS events of many conversations wait in the store (the automation is paused), then it is let go, and the time until the last
//! one is handled is taken. The baseline, in the same run, is the same stream without an automation: what receiving and storing
//! costs alone.
//!
//! `automations swaps` changes the version of a stateless connector SWAPS times while messages go out, and takes the longest pause
//! between two messages around each change; the baseline is the same stream without a change.
//!
//! `automations fairness` lets one tenant's automation spin for ever beside 50 ordinary tenants and tells how long these wait for
//! their answers, with and without it.

mod fairness;
mod rate;
mod swaps;

use anyhow::{Context, Result, bail};
use pombo_tests::pipe::folder_of;
use pombo_tests::process::target;
use pombo_tests::server::Options;
use serde_json::{Map, Value};

/// A number from the environment.
fn size(name: &str, default: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is not a number: {text}")),
        Err(_) => Ok(default),
    }
}

/// Puts a figure into target/bench.json, beside what other programs measured.
fn report(name: &str, figure: Value) -> Result<()> {
    println!("{name}: {}", serde_json::to_string_pretty(&figure)?);
    let path = target().join("bench.json");
    let mut figures: Map<String, Value> = match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("{} is not ours", path.display()))?,
        Err(_) => Map::new(),
    };
    figures.insert(name.to_owned(), figure);
    std::fs::write(&path, serde_json::to_string_pretty(&Value::Object(figures))? + "\n")?;
    Ok(())
}

/// An engine with the connector `pipe`, at full speed.
fn options(lines: &str) -> Result<Options> {
    let folder = folder_of(&["pipe"])?;
    let own = format!(
        "[sandbox]\nplugin_dir = {:?}\nevents_per_second = 1000000\nevent_kb_per_second = 1000000\n{lines}",
        folder.display().to_string()
    );
    Ok(Options { demo: false, ..Options::with(&own) })
}

/// The value below which this share of the sorted values lies.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).copied().unwrap_or_default()
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("rate") => rate::measure(size("EVENTS", 100_000)?),
        Some("swaps") => swaps::measure(size("SWAPS", 100)?),
        Some("fairness") => fairness::measure(size("TENANTS", 50)?),
        _ => bail!("say which: rate, swaps or fairness"),
    }
}
