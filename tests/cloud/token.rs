//! Tokens that end: Meta is asked when, and the connector warns before it.

use anyhow::{Result, ensure};
use pombo_tests::graph::Graph;
use pombo_tests::meta::now;
use pombo_tests::whatsapp::Events;
use serde_json::json;

use crate::shared::{Bench, server};

const DAY: i64 = 24 * 60 * 60;

#[test]
fn what_ends_first_is_warned_of_without_a_setting() -> Result<()> {
    let soon = now() + 3 * DAY;
    for (token, data, what) in [(soon, 0, "access token"), (soon + DAY, soon, "access to data")] {
        let graph = Graph::start()?;
        graph.token_is(&json!({"expires_at": token, "data_access_expires_at": data}))?;
        let bench = Bench::at(server()?, graph, &json!({}))?;
        let mut events = Events::all(&bench.tenant);
        let told = events.expect("the warning", |event| event["data"]["kind"] == "expiring")?;
        assert_eq!(told["data"]["payload"], json!({"what": what, "atMillis": soon * 1_000}), "{told}");
        let asked = bench.graph.requests("/debug_token")?;
        ensure!(asked.len() == 1 && asked[0]["status"] == 200, "{asked:?}");
        let log = server()?.log()?;
        ensure!(!log.contains(bench.graph.token()), "the token stands in the log");
        bench.nothing_violated()?;
    }
    Ok(())
}

/// Whoever says when it ends is believed, and Meta is not asked.
#[test]
fn what_is_configured_counts_and_meta_is_not_asked() -> Result<()> {
    let graph = Graph::start()?;
    let bench = Bench::at(server()?, graph, &json!({"tokenExpiresAt": "2020-01-01T00:00:00Z"}))?;
    // What was sent was sent after the number was found to work.
    let who = crate::shared::person();
    bench.opened(&who)?;
    bench.send(&json!({"to": who, "text": "oi"}))?;
    ensure!(bench.graph.requests("/debug_token")?.is_empty(), "Meta was asked");
    Ok(())
}
