//! Versions change while 200 messages per second go out: 30 swaps, a third of them to versions that trap, are slow or refuse.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use pombo_tests::automation::{automate, component, try_upload, upload, variant};
use pombo_tests::http::Client;
use pombo_tests::pipe::Pipe;
use pombo_tests::server::Server;
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::wait::until;
use serde_json::{Value, json};

use crate::shared::{Chat, options};

const SWAPS: usize = 30;
const PER_SECOND: usize = 200;
/// Rollouts that take seconds and not minutes.
const QUICK: &str = "[plugins]\ncanary_calls = 30\ncanary_seconds = 3\nwatch_seconds = 1\n";

/// What a version shall do, and whether it is to be believed.
fn plan(swap: usize) -> (&'static str, bool) {
    match swap % 10 {
        2 => ("trap-run", false),
        5 => ("trap-hundred", false),
        7 => ("slow", false),
        9 => ("refuse", false),
        _ => ("good", true),
    }
}

/// Waits until the rollout is over; the digest that is active then.
fn settled(client: &Client, name: &str) -> Result<(String, Value)> {
    let package = until("the rollout to end", Duration::from_secs(120), || {
        let package = client.get(&format!("/v1/plugins/{name}"))?.expect_json(200)?;
        Ok(package["rollout"].is_null().then_some(package))
    })?;
    Ok((text_of(&package, "active")?, package))
}

/// Sends at a steady pace until it is told to stop; how many.
fn stream(tenant: &Tenant, connector: &str, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<Result<usize>> {
    let (client, connector, stop) = (tenant.client.clone(), connector.to_owned(), stop.clone());
    std::thread::spawn(move || {
        let (start, mut sent) = (Instant::now(), 0);
        while !stop.load(Ordering::Relaxed) {
            let due = (start.elapsed().as_millis() as usize * PER_SECOND / 1000).saturating_sub(sent).min(1000);
            if due == 0 {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            let rows: Vec<Value> = (sent..sent + due)
                .map(|n| json!({"connectorId": connector, "to": format!("p{}", n % 97), "message": format!("m{n}")}))
                .collect();
            let path = format!("{}/queue/bulk", pombo_tests::tenant::SENDSYNC);
            client.post(&path, &json!({"messages": rows}))?.expect(201)?;
            sent += due;
        }
        Ok(sent)
    })
}

#[test]
fn thirty_swaps_of_a_connector_lose_and_double_nothing() -> Result<()> {
    let server = Server::start(options(QUICK)?)?;
    let operator = server.operator()?;
    let (tenant, pipe) = (Tenant::create(&server)?, Pipe::start()?);
    let connector = tenant.connector("pipe", &pipe.config())?;
    tenant.pace(&connector, &json!({}))?;
    // The same component as the operator's folder holds, now as a package with versions.
    let first = upload(&operator, &variant("pipe", "good first")?)?;
    let mut active = text_of(&first, "digest")?;
    operator.post("/v1/plugins/pipe/activate", &json!({"digest": active, "grant": true}))?.expect(200)?;
    settled(&operator, "pipe")?;

    let stop = Arc::new(AtomicBool::new(false));
    let sending = stream(&tenant, &connector, &stop);
    for swap in 0..SWAPS {
        let (behaviour, good) = plan(swap);
        let uploaded = upload(&operator, &variant("pipe", &format!("{behaviour} v{swap}"))?)?;
        let digest = text_of(&uploaded, "digest")?;
        // Some with a canary, some at once.
        let share = if swap % 3 == 0 { 100 } else { 30 };
        let body = json!({"digest": digest, "share": share, "grant": true});
        operator.post("/v1/plugins/pipe/activate", &body)?.expect(200)?;
        let (now, package) = settled(&operator, "pipe")?;
        if good {
            ensure!(now == digest, "swap {swap}: a good version is not active: {package}");
            active = digest;
        } else {
            ensure!(now == active, "swap {swap} ({behaviour}): a bad version is active: {package}");
            let version = package["versions"].as_array().into_iter().flatten().find(|v| v["digest"] == digest.as_str());
            let version = version.with_context(|| format!("no version {digest}: {package}"))?;
            ensure!(version["status"] == "rolled-back" && version["reason"].is_string(), "swap {swap}: {version}");
        }
    }
    // A component of another world never gets that far.
    try_upload(&operator, &component("renderer")?, None)?.expect(400)?;
    stop.store(true, Ordering::Relaxed);
    let sent = match sending.join() {
        Ok(sent) => sent?,
        Err(_) => bail!("the sender panicked"),
    };
    tenant.wait_total(&[("status", "SENT")], sent as u64, Duration::from_secs(120))?;
    let arrived = pipe.sent();
    let texts: HashSet<&str> = arrived.iter().map(|m| m.text.as_str()).collect();
    // One message is one id, whatever was tried: nobody reads it twice.
    ensure!(
        arrived.len() == sent && texts.len() == sent,
        "{sent} sent, {} arrived, {} different",
        arrived.len(),
        texts.len()
    );
    Ok(())
}

#[test]
fn thirty_swaps_of_an_automation_answer_everything_once() -> Result<()> {
    let server = Server::start(options(&format!("{QUICK}[automations]\nretry_seconds = [1, 1, 1, 1, 1, 1, 1, 1]\n"))?)?;
    let chat = Chat::new(&server)?;
    let client = &chat.tenant.client;
    let first = upload(client, &variant("echo", "count first")?)?;
    let mut active = text_of(&first, "digest")?;
    client.post("/v1/plugins/echo/activate", &json!({"digest": active, "grant": true}))?.expect(200)?;
    automate(&chat.tenant, &chat.connector, "echo", &json!({}))?;
    settled(client, "echo")?;

    let stop = Arc::new(AtomicBool::new(false));
    let writing = {
        let (pipe, stop) = (chat.pipe.clone(), stop.clone());
        std::thread::spawn(move || {
            let (start, mut written) = (Instant::now(), 0);
            while !stop.load(Ordering::Relaxed) {
                let upto = start.elapsed().as_millis() as usize * PER_SECOND / 1000;
                pipe.write_all((written..upto).map(|n| (format!("p{}", n % 97), format!("m{n}"))));
                written = written.max(upto);
                std::thread::sleep(Duration::from_millis(5));
            }
            written
        })
    };
    for swap in 0..SWAPS {
        let (behaviour, good) = match swap % 5 {
            2 => ("trap", false),
            4 => ("fail", false),
            _ => ("count", true),
        };
        let digest = text_of(&upload(client, &variant("echo", &format!("{behaviour} v{swap}"))?)?, "digest")?;
        let share = if swap % 3 == 0 { 100 } else { 30 };
        client.post("/v1/plugins/echo/activate", &json!({"digest": digest, "share": share}))?.expect(200)?;
        let (now, package) = settled(client, "echo")?;
        if good {
            ensure!(now == digest, "swap {swap}: {package}");
            active = digest;
        } else {
            ensure!(now == active, "swap {swap} ({behaviour}): {package}");
        }
    }
    stop.store(true, Ordering::Relaxed);
    let Ok(written) = writing.join() else { bail!("the writer panicked") };
    let arrived = chat.pipe.wait("every answer", Duration::from_secs(180), |sent| sent.len() >= written)?;
    ensure!(arrived.len() == written, "{written} written, {} answers", arrived.len());
    for person in 0..97 {
        let answers = chat.pipe.sent_to(&format!("p{person}"));
        for (n, text) in (person..written).step_by(97).enumerate() {
            let expected = format!("m{text} #{}", n + 1);
            ensure!(answers.contains(&expected), "p{person}: no {expected:?} among {answers:?}");
        }
    }
    Ok(())
}
