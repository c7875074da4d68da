//! Statuses a second, and how long a webhook waits for its answer under that load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use pombo_tests::files::hmac_sha256;
use pombo_tests::load::{Connection, prepare, quantile_ms, run};
use pombo_tests::meta::{Line, SIGNATURE, escaped, now, status, wamid};
use serde_json::{Value, json};

use crate::{PATIENCE, Stage, phone, report};

/// Updates of a POST: the most that Meta sends.
const EACH: usize = 1000;
/// POSTs at the same time.
const CONNECTIONS: usize = 2;

pub(crate) fn measure(messages: usize, seconds: usize) -> Result<()> {
    let stage = Stage::start(1)?;
    let (connector, line) = &stage.connectors[0];
    let messages = (messages / EACH).max(1) * EACH;
    let campaign = stage.campaign(connector, 0, messages)?;
    stage.begin(&campaign)?;
    stage.accepted(messages)?;
    stage.tenant.wait_total(&[("status", "SENT")], messages as u64, PATIENCE)?;
    let sent = sent(&stage)?;

    // First every status is new, then Meta repeats itself.
    let path = format!("/v1/connectors/{connector}/receive/webhook");
    let secret = stage.graph.app_secret();
    let mut posts = Vec::new();
    for word in ["sent", "delivered", "read"] {
        for some in sent.chunks(EACH) {
            posts.push(request(&path, secret, &statuses(line, some, word))?);
        }
    }
    let address = stage.server.address();
    let period = Duration::from_secs(u64::try_from(seconds)?);
    let ended = AtomicBool::new(false);
    let (rate, waits) = std::thread::scope(|scope| -> Result<_> {
        let waiting = scope.spawn(|| -> Result<Vec<Duration>> {
            let mut connection = Connection::open(address)?;
            let mut waits = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let text = line.text(&phone(waits.len() % 500), &wamid(), "oi", now());
                let request = request(&path, secret, &text)?;
                let start = Instant::now();
                let (code, _) = connection.exchange(&request)?;
                waits.push(start.elapsed());
                anyhow::ensure!(code == 200, "a webhook was answered with {code}");
            }
            waits.sort();
            Ok(waits)
        });
        let rate = run(
            address,
            CONNECTIONS,
            200,
            |_, elapsed| elapsed >= period,
            |number| posts[usize::try_from(number).unwrap_or_default() % posts.len()].clone(),
        );
        ended.store(true, Ordering::Relaxed);
        let waits = waiting.join().map_err(|_| anyhow!("the webhooks' thread panicked"))??;
        Ok((rate?, waits))
    })?;
    report(
        "cloud_webhooks",
        json!({
            "statuses_per_post": EACH, "messages": messages, "statuses_per_second": rate.per_second(EACH as u64).round(),
            "answers": waits.len(), "p50_ms": quantile_ms(&waits, 0.5), "p99_ms": quantile_ms(&waits, 0.99),
            "aim_p99_ms": 50, "metas_median_ms": 250,
        }),
    )
}

/// The sent messages: the engine's id, Meta's id and the recipient of each.
fn sent(stage: &Stage) -> Result<Vec<[String; 3]>> {
    let mut all = Vec::new();
    for page in 1.. {
        let path = format!("/v1/messages?status=SENT&limit=250&page={page}");
        let list = stage.tenant.client.get(&path)?.expect_json(200)?;
        let some = list["data"].as_array().context("no data")?;
        if some.is_empty() {
            break;
        }
        let text = |one: &Value, name: &str| one[name].as_str().map(str::to_owned);
        let ids = |one: &Value| Some([text(one, "id")?, text(one, "providerId")?, text(one, "to")?]);
        all.extend(some.iter().filter_map(ids));
    }
    Ok(all)
}

fn statuses(line: &Line, sent: &[[String; 3]], word: &str) -> Value {
    let all: Vec<Value> = sent.iter().map(|[ours, id, to]| status(id, word, to, Some(ours), now())).collect();
    line.body(&[line.statuses(&all)])
}

/// A signed request.
fn request(path: &str, secret: &str, body: &Value) -> Result<Vec<u8>> {
    let body = escaped(body).into_bytes();
    let signature = format!("sha256={}", hmac_sha256(secret.as_bytes(), &body)?);
    Ok(prepare("POST", path, &[(SIGNATURE, &signature)], &body))
}
