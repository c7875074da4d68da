//! A long run with broken sockets, in which every message is accounted for at both ends.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pombo_tests::files::noise;
use pombo_tests::wait::until;
use serde_json::json;

use crate::fleet::Fleet;
use crate::meter::resident_mb;
use crate::report;

const RATE: f64 = 10.0;

/// Runs `count` sessions for this many minutes and reports the result.
pub(crate) fn run(count: usize, minutes: u64) -> Result<()> {
    let fleet = Fleet::pair(count)?;
    let time = Duration::from_secs(minutes * 60);
    let start = Instant::now();
    let (mut sent, mut drops, mut samples) = (0usize, 0u64, Vec::new());
    let chance = noise(1 << 16, 0x50a7);
    while start.elapsed() < time {
        fleet.write(sent, &format!("mensagem {sent}"))?;
        sent += 1;
        if sent.is_multiple_of(20) {
            let dice = usize::from(chance[sent % chance.len()]);
            let phone = &fleet.sessions[(sent * 7 + dice) % fleet.sessions.len()].phone;
            let on = json!({"phone": phone});
            let fault = match dice % 4 {
                0 => json!({"kind": "drop", "on": on}),
                1 => json!({"kind": "cutAfter", "on": on}),
                2 => json!({"kind": "drop", "on": on, "afterStanzas": 4}),
                _ => json!({"kind": "streamError", "on": on, "code": 503}),
            };
            fleet.whatsapp.admin("/faults", &fault)?;
            drops += 1;
        }
        if samples.len() < start.elapsed().as_secs() as usize / 15 {
            samples.push(resident_mb(&fleet.server)?);
            println!(
                "{:>5} s  {sent} messages  {drops} drops  {:.1} MB",
                start.elapsed().as_secs(),
                samples[samples.len() - 1]
            );
        }
        let due = Duration::from_secs_f64(sent as f64 / RATE);
        if let Some(early) = due.checked_sub(start.elapsed()) {
            std::thread::sleep(early);
        }
    }
    fleet.whatsapp.admin("/faults", &json!({"kind": "clear"}))?;
    let patience = Duration::from_secs(300);
    until("every message to be sent", patience, || Ok((fleet.total("SENT")? == sent as u64).then_some(())))?;
    until("every message to be received", patience, || Ok((fleet.received()?.len() >= sent).then_some(())))?;
    let mut seen: HashMap<String, usize> = HashMap::new();
    for event in fleet.received()? {
        *seen.entry(event["data"]["text"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    let lost = (0..sent).filter(|n| !seen.contains_key(&format!("mensagem {n}"))).count();
    let doubled = seen.values().filter(|count| **count > 1).count();
    let quarter = samples.len() / 4;
    let growth = samples.last().copied().unwrap_or_default() - samples.get(quarter).copied().unwrap_or_default();
    report(
        "whatsapp_soak",
        json!({
            "minutes": minutes, "sessions": count, "messages": sent, "drops": drops, "lost": lost, "doubled": doubled,
            "memory_mb": samples, "growth_mb_after_the_first_quarter": growth,
        }),
    )?;
    ensure!(lost == 0 && doubled == 0, "{lost} lost, {doubled} doubled");
    Ok(())
}
