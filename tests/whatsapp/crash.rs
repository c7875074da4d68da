//! kill -9 of the engine while it sends and receives: nothing is lost on either side, and the person reads nothing twice.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pombo_tests::files::noise;
use pombo_tests::server::Server;
use pombo_tests::tenant::text_of;
use pombo_tests::wait::until;
use pombo_tests::whatsapp::{Events, WhatsApp, connected, options};
use serde_json::{Value, json};

use crate::shared::pair_on;

const OUT: usize = 400;
const IN: usize = 200;
const KILLS: usize = 12;

#[test]
fn messages_both_ways_survive_a_dozen_kills() -> Result<()> {
    let whatsapp = WhatsApp::start(&[])?;
    let mut server = Server::start(options())?;
    let pair = pair_on(&server, &whatsapp)?;
    let rows: Vec<Value> = (0..OUT)
        .map(|n| json!({"connectorId": pair.connector, "to": pair.theirs, "message": format!("saída {n}")}))
        .collect();
    let answer = pair.tenant.try_bulk(&rows)?.expect_json(201)?;
    let results = answer["results"].as_array().context("no results")?;
    let ids: Vec<String> = results.iter().map(|result| text_of(result, "id")).collect::<Result<_>>()?;
    assert_eq!(ids.len(), OUT);

    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;
    let moments = noise(KILLS, 0xdead);
    let mut written = Vec::new();
    let seen = || pair.peer.seen(|seen| seen.received.len());
    for (kill, moment) in moments.into_iter().enumerate() {
        for n in 0..IN / KILLS {
            let text = format!("entrada {}", kill * (IN / KILLS) + n);
            written.push((whatsapp.wait(pair.peer.send_text(&chat, &text))?, text));
        }
        let before = seen();
        if before < OUT {
            until("the sending to go on", Duration::from_secs(60), || Ok((seen() > before).then_some(())))?;
        }
        std::thread::sleep(Duration::from_millis(u64::from(moment)));
        server.kill()?;
        server.launch().with_context(|| format!("after kill {kill}"))?;
        connected(&pair.tenant, &pair.connector)?;
    }
    pair.tenant.wait_total(&[("status", "SENT")], OUT as u64, Duration::from_secs(120))?;

    // The person read every one once: resent ones carry the same id, and the client shows one message an id.
    let mut read: HashMap<String, usize> = HashMap::new();
    for message in whatsapp
        .wait(pair.peer.wait_for("all of them", |seen| (seen.received.len() >= OUT).then(|| seen.received.clone())))?
    {
        *read.entry(message.text.unwrap_or_default()).or_default() += 1;
    }
    for n in 0..OUT {
        assert_eq!(read.get(&format!("saída {n}")), Some(&1), "saída {n}");
    }
    // The tenant sees every one once.
    let mut events = Events::all(&pair.tenant);
    for (id, _) in &written {
        events.message(id)?;
    }
    let all = events.drain()?;
    for (id, text) in &written {
        let of = |e: &&Value| e["type"] == "message.received" && e["data"]["providerId"] == id.as_str();
        let found: Vec<&Value> = all.iter().filter(of).collect();
        ensure!(found.len() == 1 && found[0]["data"]["text"] == text.as_str(), "{text}: {found:?}");
    }
    server.terminate(Duration::from_secs(60))?;
    server.inspect()?;
    Ok(())
}
