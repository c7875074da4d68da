//! The stream of events: taken up where it was left, and what it tells live.

use anyhow::{Result, ensure};
use pombo_tests::sse::{Follower, Told};
use pombo_tests::tenant::{text_of, unique};
use serde_json::json;

use crate::gateway::staged;
use crate::shared::{mailing_tenant, server};

#[test]
fn received_messages_are_followed_and_taken_up_with_the_last_event_id() -> Result<()> {
    staged(|server, bench| {
        let key = &bench.tenant.key;
        let path = "/v1/events/stream?type=message.received";
        let mut stream = Follower::start(server, key, path, None)?;
        bench.receive("STREAM-1", &json!({"conversation": "m1"}))?;
        let (first, event) = stream.next()?;
        ensure!(event["data"]["text"] == "m1" && event["cursor"] == first, "{event}");
        drop(stream);
        // Nobody follows.
        for n in 2..=4 {
            bench.receive(&format!("STREAM-{n}"), &json!({"conversation": format!("m{n}")}))?;
        }
        let mut again = Follower::start(server, key, path, Some(first))?;
        for n in 2..=4 {
            let (_, event) = again.next()?;
            ensure!(event["data"]["text"] == format!("m{n}"), "each once, in order: {event}");
        }
        // Who comes with a cursor that this log never had is told so, and goes on at its end.
        let mut strange = Follower::start(server, key, path, Some(900_000_000))?;
        let told = strange.told()?;
        ensure!(told.name == "resync" && told.data["reason"] == "unknown_cursor", "{told:?}");
        ensure!(told.id == told.data["cursor"].as_u64(), "{told:?}");
        bench.receive("STREAM-5", &json!({"conversation": "m5"}))?;
        let (_, event) = strange.next()?;
        ensure!(event["data"]["text"] == "m5", "{event}");
        Ok(())
    })
}

#[test]
fn each_step_of_a_message_is_told_live() -> Result<()> {
    let (tenant, connector) = mailing_tenant()?;
    let path = format!("/v1/events/stream?type=message.changed&connectorId={connector}");
    let mut stream = Follower::start(server()?, &tenant.key, &path, None)?;
    // Refused once, sent at the second attempt.
    let id = tenant.send_text(&connector, &format!("fault.451.1.n{}@customers.test", unique()), "live")?;
    let mut statuses = Vec::new();
    while statuses.last().map(String::as_str) != Some("SENT") {
        let Told { id: stored, name, data } = stream.told()?;
        ensure!(stored.is_none() && name == "message.changed", "{name} {data}");
        ensure!(data["id"] == id && data["connectorId"] == connector, "{data}");
        ensure!(data["revision"] == statuses.len(), "a step is missing: {data}");
        statuses.push(text_of(&data, "status")?);
    }
    ensure!(statuses.first().map(String::as_str) == Some("PENDING"), "{statuses:?}");
    for wanted in ["PROCESSING", "WAITING"] {
        ensure!(statuses.iter().any(|status| status == wanted), "{statuses:?}");
    }
    Ok(())
}
