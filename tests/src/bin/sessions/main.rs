//! Measures many WhatsApp sessions in one engine, with the simulator in this process. Writes its figures to target/bench.json.
//!
//! `sessions fleet` pairs SESSIONS (500) numbers of ten tenants, each a connector of the engine, and measures: memory per session
//! (resident memory beyond that of an engine without sessions), processor time idle and at MESSAGES_A_SECOND (50), each message
//! sent by one session and received by the next, how long `POST /zapini/send-message` takes from one session to the next
//! (`whatsapp_send_sync`), and how all of them come back after the simulator restarts.
//!
//! `sessions soak` keeps SESSIONS (50) of them busy for SOAK_MINUTES (20) while sockets are cut all the time, and accounts for
//! every message at both ends; memory is sampled, and its growth over the last three quarters is reported.

mod fleet;
mod meter;
mod soak;

use anyhow::{Context, Result, bail};
use pombo_tests::process::target;
use serde_json::{Map, Value};

/// A number from the environment.
fn size(name: &str, default: u64) -> Result<u64> {
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

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("fleet") => fleet::measure(usize::try_from(size("SESSIONS", 500)?)?, size("MESSAGES_A_SECOND", 50)?),
        Some("soak") => soak::run(usize::try_from(size("SESSIONS", 50)?)?, size("SOAK_MINUTES", 20)?),
        _ => bail!("say which: fleet or soak"),
    }
}
