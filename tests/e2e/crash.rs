//! kill -9 while messages drain, again and again: nothing is lost, nothing is sent twice under two Message-IDs, and the store is
//! consistent after each restart.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pombo_tests::files::noise;
use pombo_tests::mail::FaultySmtp;
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::wait::until;
use serde_json::{Value, json};

const MESSAGES: usize = 5000;
const KILLS: usize = 24;

#[test]
fn five_thousand_messages_survive_two_dozen_kills() -> Result<()> {
    let smtp = FaultySmtp::start()?;
    let mut server = Server::start(Options::default())?;
    let tenant = Tenant::create(&server)?;
    let connector = tenant.email(&smtp, "plain", &json!({"maxInFlight": 20}))?;
    tenant.set_paused(&connector, true)?;
    let mut ids: HashMap<String, String> = HashMap::new();
    for bulk in 0..MESSAGES / 1000 {
        let rows: Vec<Value> = (0..1000)
            .map(|n| {
                let to = format!("crash{}@customers.test", bulk * 1000 + n);
                json!({"connectorId": connector, "to": to, "message": "{Olá|Oi|Tudo bem}, {um|dois|três}"})
            })
            .collect();
        let answer = tenant.try_bulk(&rows)?.expect_json(201)?;
        for (row, result) in rows.iter().zip(answer["results"].as_array().context("no results")?) {
            ids.insert(text_of(row, "to")?, text_of(result, "id")?);
        }
    }
    assert_eq!(ids.len(), MESSAGES);
    // So slow that the kills are spread over the whole run.
    tenant.pace(&connector, &json!({"maxInFlight": 8, "delayMinMs": 1, "delayMaxMs": 6}))?;
    tenant.set_paused(&connector, false)?;
    let sent_by_now = || Ok::<_, anyhow::Error>(smtp.mails()?.len());
    // Moments drawn from a fixed seed, so that a failure can be tried again.
    let moments = noise(KILLS * 2, 0x5eed);
    let mut kills_with_work_left = 0;
    for kill in 0..KILLS {
        let wait = u64::from(u16::from_le_bytes([moments[2 * kill], moments[2 * kill + 1]])) % 900;
        // From the first mail after the restart on, so that each kill meets a server that sends.
        let before = sent_by_now()?;
        if before < MESSAGES {
            until("the draining to go on", Duration::from_secs(60), || Ok((sent_by_now()? > before).then_some(())))?;
        }
        std::thread::sleep(Duration::from_millis(wait));
        server.kill()?;
        if sent_by_now()? < MESSAGES {
            kills_with_work_left += 1;
        }
        server.inspect().with_context(|| format!("after kill {kill}"))?;
        server.launch().with_context(|| format!("after kill {kill}"))?;
        // Whatever is SENT arrived.
        let total = tenant.total(&[])?;
        assert_eq!(total, MESSAGES as u64, "messages are missing after kill {kill}");
    }
    assert!(kills_with_work_left >= 20, "only {kills_with_work_left} kills met a queue that was not empty");
    // The pace has been shown; the rest may go quickly.
    tenant.pace(&connector, &json!({"maxInFlight": 20}))?;
    let started = Instant::now();
    tenant.wait_total(&[("status", "SENT")], MESSAGES as u64, Duration::from_secs(300))?;
    server.terminate(Duration::from_secs(60))?;
    server.inspect()?;

    let mut by_recipient: HashMap<String, Vec<String>> = HashMap::new();
    let mut texts: HashMap<String, HashSet<String>> = HashMap::new();
    for mail in smtp.mails()? {
        by_recipient.entry(mail.recipient().to_owned()).or_default().push(mail.message_id().to_owned());
        texts.entry(mail.recipient().to_owned()).or_default().insert(mail.text("text/plain"));
    }
    let mut repeated = 0;
    for (to, id) in &ids {
        let received = by_recipient.remove(to).with_context(|| format!("{to} got nothing"))?;
        assert!(received.iter().all(|m| m.contains(id.as_str())), "{to}: {received:?} are not of {id}");
        let distinct: HashSet<&String> = received.iter().collect();
        assert_eq!(distinct.len(), 1, "{to} got {received:?}");
        assert_eq!(texts[to].len(), 1, "{to} got two texts");
        repeated += received.len() - 1;
    }
    assert!(by_recipient.is_empty(), "mails that nobody sent: {by_recipient:?}");
    // At each kill, at most what was in flight may have had an unknown outcome.
    assert!(repeated <= KILLS * 20, "{repeated} mails were repeated");
    eprintln!("{KILLS} kills, {repeated} repeated with the same Message-ID, the rest took {:?}", started.elapsed());
    Ok(())
}

#[test]
fn what_was_answered_with_201_is_there_after_kill_9() -> Result<()> {
    let smtp = FaultySmtp::start()?;
    let mut server = Server::start(Options::default())?;
    let tenant = Tenant::create(&server)?;
    let connector = tenant.email(&smtp, "plain", &json!({}))?;
    tenant.set_paused(&connector, true)?;
    let mut acknowledged: HashSet<String> = HashSet::new();
    for round in 0..5 {
        let stop = Instant::now() + Duration::from_millis(300 + 150 * round);
        let process = server.id()?;
        let accepted: Vec<String> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8)
                .map(|writer| {
                    let (tenant, connector) = (&tenant, &connector);
                    scope.spawn(move || {
                        let mut ids = Vec::new();
                        // Until the server is gone: the last request may be answered or not, only an answer counts.
                        for n in 0.. {
                            let to = format!("w{writer}-{n}@customers.test");
                            match tenant.send_text(connector, &to, "durable") {
                                Ok(id) => ids.push(id),
                                Err(_) => break,
                            }
                        }
                        ids
                    })
                })
                .collect();
            std::thread::sleep(stop.saturating_duration_since(Instant::now()));
            let killed = pombo_tests::process::signal(process, "KILL");
            let ids = writers.into_iter().flat_map(|w| w.join().unwrap_or_default()).collect();
            killed.map(|()| ids)
        })?;
        server.kill()?;
        assert!(!accepted.is_empty(), "nothing was accepted in round {round}");
        acknowledged.extend(accepted);
        server.inspect()?;
        server.launch()?;
        let mut stored = HashSet::new();
        let mut page = 1;
        loop {
            let list = tenant.list(&[("page", &page.to_string())])?;
            let rows = list["data"].as_array().context("no data")?;
            stored.extend(rows.iter().filter_map(|r| r["id"].as_str().map(str::to_owned)));
            if rows.is_empty() {
                assert_eq!(list["meta"]["total"], stored.len(), "the total is not what the pages hold");
                break;
            }
            page += 1;
        }
        let lost: Vec<&String> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "{} acknowledged messages are gone in round {round}", lost.len());
    }
    Ok(())
}
