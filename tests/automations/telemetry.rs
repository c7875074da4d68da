//! What an author sees of a working plugin: its live log, and its usage.

use anyhow::{Context, Result, ensure};
use pombo_tests::automation::{activate, automate, install, upload, variant};
use pombo_tests::server::Server;
use pombo_tests::sse::Follower;
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::shared::{Chat, options};

#[test]
fn a_log_is_read_in_pages_and_followed_from_where_one_was() -> Result<()> {
    let server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let client = &chat.tenant.client;
    let (echo, digest) = install(client, &variant("echo", "watch 1")?)?;
    let automation = automate(&chat.tenant, &chat.connector, &echo, &json!({}))?;
    let path = format!("/v1/plugins/{echo}/logs");
    let stream = format!("{path}/stream");
    let mut live = Follower::start(&server, &chat.tenant.key, &format!("{stream}?after=latest"), None)?;
    let write =
        |upto: std::ops::RangeInclusive<usize>| chat.pipe.write_all(upto.map(|n| ("ana".to_owned(), format!("m{n}"))));
    write(1..=5);
    let mut ids = Vec::new();
    for n in 1..=5 {
        let (id, line) = live.next()?;
        ensure!(line["text"] == format!("message {n}") && line["level"] == "info" && line["number"] == id, "{line}");
        ensure!(line["digest"] == digest.as_str() && line["instanceId"] == automation.as_str(), "{line}");
        ids.push(id);
    }
    drop(live);
    write(6..=8);
    // Who comes again misses nothing, and gets nothing twice.
    let mut again = Follower::start(&server, &chat.tenant.key, &stream, Some(ids[2]))?;
    for n in 4..=8 {
        ensure!(again.next()?.1["text"] == format!("message {n}"), "line {n}");
    }
    let page = client.get(&format!("{path}?limit=3"))?.expect_json(200)?;
    let texts = |page: &Value| -> Vec<String> {
        page["data"].as_array().into_iter().flatten().filter_map(|l| l["text"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(texts(&page), ["message 1", "message 2", "message 3"]);
    let rest = client.get(&format!("{path}?after={}", page["next"]))?.expect_json(200)?;
    assert_eq!(texts(&rest), ["message 4", "message 5", "message 6", "message 7", "message 8"]);
    let none = client.get(&format!("{path}?after={}", rest["next"]))?.expect_json(200)?;
    ensure!(none["data"] == json!([]) && none["next"] == rest["next"], "{none}");
    Ok(())
}

#[test]
fn usage_is_told_for_each_version() -> Result<()> {
    let server = Server::start(options("[automations]\nretry_seconds = [1]")?)?;
    let chat = Chat::new(&server)?;
    let client = &chat.tenant.client;
    let (echo, good) = install(client, &variant("echo", "good 1")?)?;
    automate(&chat.tenant, &chat.connector, &echo, &json!({}))?;
    for n in 1..=4 {
        chat.pipe.write("ana", &format!("m{n}"));
        chat.pipe.answers("ana", n)?;
    }
    let bad = text_of(&upload(client, &variant("echo", "fail 2")?)?, "digest")?;
    activate(client, &echo, &bad, &json!({"automatic": false}))?;
    chat.pipe.write_all((0..3).map(|n| (format!("b{n}"), "oi".to_owned())));
    until("three parked events", PATIENCE, || {
        let page = client.get("/v1/automations/parked")?.expect_json(200)?;
        Ok(page["data"].as_array().is_some_and(|all| all.len() == 3).then_some(()))
    })?;
    let usage = client.get(&format!("/v1/plugins/{echo}/usage"))?.expect_json(200)?;
    let of = |digest: &str| -> Result<Value> {
        let all = usage["versions"].as_array().context("no versions")?;
        all.iter().find(|v| v["digest"] == digest).cloned().with_context(|| format!("no {digest}: {usage}"))
    };
    let (good, bad) = (of(&good)?, of(&bad)?);
    ensure!(good["calls"] == 4 && good["failures"] == 0 && good["traps"] == 0, "{good}");
    // Each was tried twice.
    ensure!(bad["calls"] == 6 && bad["failures"] == 6 && bad["failuresByCode"]["error"] == 6, "{bad}");
    for version in [&good, &bad] {
        let (p50, p99) = (version["p50Us"].as_u64().unwrap_or(0), version["p99Us"].as_u64().unwrap_or(0));
        ensure!(p50 > 0 && p99 >= p50, "{version}");
        ensure!(version["memoryPeak"].as_u64().is_some_and(|bytes| bytes > 0), "{version}");
    }
    Ok(())
}
