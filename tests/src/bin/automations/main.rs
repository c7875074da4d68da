//! Measures what automations cost, with the built binary. Writes its figures to target/bench.json.
//!
//! `automations rate [rust|js|python|none]…` counts events per second through a Rust, a JavaScript and a Python automation, each
//! event with its durable commit: EVENTS messages are written to connectors at once, and the time is taken until the last answer
//! is in the queue. So the figure includes receiving and storing the messages; the baseline is the same stream without an
//! automation. The engine's processor time per event is given too: it says more than the elapsed time if other programs run on
//! the machine.
//!
//! `automations swaps` changes the version of a stateless connector SWAPS times while messages go out, and measures the longest
//! pause between two messages around each change; the baseline is the same stream without a change.
//!
//! `automations fairness` lets one tenant's automation spin forever among 50 ordinary tenants and reports how long these wait for
//! their answers, with and without it.

mod fairness;
mod rate;
mod swaps;

use anyhow::{Context, Result, bail};
use pombo_tests::pipe::folder_of;
use pombo_tests::process::{processor_time, target};
use pombo_tests::server::Options;
use serde_json::{Map, Value};

/// A number from the environment.
fn size(name: &str, default: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is not a number: {text}")),
        Err(_) => Ok(default),
    }
}

/// Puts a figure into target/bench.json, in addition to what other programs measured.
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

/// The processor time that a process has used, in ms.
fn processor_ms(pid: u32) -> Result<u64> {
    Ok(u64::try_from(processor_time(pid)?.as_millis())?)
}

/// The value below which this share of the sorted values lies.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).copied().unwrap_or_default()
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("rate") => rate::measure(size("EVENTS", 100_000)?, &arguments.collect::<Vec<_>>()),
        Some("swaps") => swaps::measure(size("SWAPS", 100)?),
        Some("fairness") => fairness::measure(size("TENANTS", 50)?),
        _ => bail!("say which: rate, swaps or fairness"),
    }
}
