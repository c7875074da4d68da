//! Hundreds of sessions: pairing, rest, traffic, and the return of all of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pombo_tests::load::{latencies, prepare, quantile_ms};
use pombo_tests::server::Server;
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::wait::until;
use pombo_tests::whatsapp::{WhatsApp, with};
use serde_json::{Value, json};

use crate::meter::{processor_share, resident_mb};
use crate::report;

const TENANTS: usize = 10;
const PAIRING_THREADS: usize = 8;
/// A whole rest: keepalives of every session fall into it.
const REST: Duration = Duration::from_secs(40);
const TRAFFIC: Duration = Duration::from_secs(40);
/// Sends that wait for WhatsApp, one after the other.
const WAITING_SENDS: usize = 300;

/// A connector with its number.
pub(crate) struct Session {
    pub(crate) tenant: usize,
    pub(crate) connector: String,
    pub(crate) phone: String,
}

/// An engine, a simulator, and sessions between them.
pub(crate) struct Fleet {
    pub(crate) server: Server,
    pub(crate) whatsapp: WhatsApp,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) sessions: Vec<Session>,
    /// Resident memory before the first session.
    pub(crate) bare_mb: f64,
}

impl Fleet {
    /// Pairs `count` sessions.
    pub(crate) fn pair(count: usize) -> Result<Self> {
        let whatsapp = WhatsApp::start(&[])?;
        // The sends that are timed are far more than a token usually has.
        let server = Server::start(with("[zapini]\nrate_limit = 0\n"))?;
        let tenants: Vec<Tenant> = (0..TENANTS).map(|_| Tenant::create(&server)).collect::<Result<_>>()?;
        let bare_mb = resident_mb(&server)?;
        let (next, paired) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let worker = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                let phone = format!("551198{number:07}");
                whatsapp.register(&phone)?;
                let tenant = number % TENANTS;
                let connector = whatsapp.paired(&tenants[tenant], &phone)?;
                let mut paired = paired.lock().map_err(|_| anyhow::anyhow!("another pairing failed"))?;
                paired.push(Session { tenant, connector, phone });
                if paired.len().is_multiple_of(50) {
                    println!("paired {}: {:.1} MB", paired.len(), resident_mb(&server)?);
                }
            }
        };
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..PAIRING_THREADS).map(|_| scope.spawn(worker)).collect();
            running.into_iter().try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(_) => bail!("a pairing thread panicked"),
            })
        })?;
        let sessions = paired.into_inner().map_err(|_| anyhow::anyhow!("a pairing failed"))?;
        Ok(Self { server, whatsapp, tenants, sessions, bare_mb })
    }

    /// Session `index` writes to the next one; the message's id.
    pub(crate) fn write(&self, index: usize, text: &str) -> Result<(usize, String)> {
        let from = &self.sessions[index % self.sessions.len()];
        let to = &self.sessions[(index + 1) % self.sessions.len()].phone;
        let body = json!({"connectorId": from.connector, "to": to, "message": text});
        Ok((from.tenant, text_of(&self.tenants[from.tenant].send(&body)?, "id")?))
    }

    /// Times of sends that wait until WhatsApp has accepted the message: each session to the next one. Sorted.
    pub(crate) fn waiting_sends(&self, count: usize) -> Result<Vec<Duration>> {
        latencies(self.server.address(), count, 200, |n| {
            let from = &self.sessions[n % self.sessions.len()];
            let to = &self.sessions[(n + 1) % self.sessions.len()].phone;
            let body = json!({"instance_id": from.connector, "recipient": to, "message": format!("agora {n}")});
            let bearer = format!("Bearer {}", self.tenants[from.tenant].key);
            prepare("POST", "/zapini/send-message", &[("Authorization", &bearer)], body.to_string().as_bytes())
        })
    }

    /// How many sessions are connected.
    pub(crate) fn connected(&self) -> Result<usize> {
        let mut connected = 0;
        for tenant in &self.tenants {
            let list = tenant.client.get("/v1/connectors?limit=250")?.expect_json(200)?;
            let list = list["data"].as_array().or_else(|| list.as_array()).cloned().unwrap_or_default();
            connected += list.iter().filter(|c| c["session"]["status"] == "CONNECTED").count();
        }
        Ok(connected)
    }

    /// Messages in this status, of all tenants.
    pub(crate) fn total(&self, status: &str) -> Result<u64> {
        self.tenants.iter().map(|tenant| tenant.total(&[("status", status)])).sum()
    }

    /// Messages received, of all tenants: from which number, with which text.
    pub(crate) fn received(&self) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        for tenant in &self.tenants {
            let mut events = pombo_tests::whatsapp::Events::all(tenant);
            all.extend(events.drain()?.iter().filter(|e| e["type"] == "message.received").cloned());
        }
        Ok(all)
    }
}

/// Sends `rate` messages a second for `time`; how many.
pub(crate) fn traffic(fleet: &Fleet, rate: u64, time: Duration, first: usize) -> Result<usize> {
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < time {
        fleet.write(first + sent, &format!("mensagem {}", first + sent))?;
        sent += 1;
        let due = Duration::from_secs_f64(sent as f64 / rate as f64);
        if let Some(early) = due.checked_sub(start.elapsed()) {
            std::thread::sleep(early);
        }
    }
    Ok(sent)
}

/// The whole measurement.
pub(crate) fn measure(count: usize, rate: u64) -> Result<()> {
    let begun = Instant::now();
    let fleet = Fleet::pair(count)?;
    let pairing = begun.elapsed().as_secs_f64();
    let idle = processor_share(&fleet.server, || {
        std::thread::sleep(REST);
        Ok(())
    })?;
    let rested_mb = resident_mb(&fleet.server)?;
    let mut sent = 0;
    let busy = processor_share(&fleet.server, || {
        sent = traffic(&fleet, rate, TRAFFIC, 0)?;
        Ok(())
    })?;
    let patience = Duration::from_secs(120);
    until("every message to be sent", patience, || Ok((fleet.total("SENT")? == sent as u64).then_some(())))?;
    let mut received = 0;
    until("every message to be received", patience, || {
        received = fleet.received()?.len();
        Ok((received == sent).then_some(()))
    })
    .with_context(|| format!("received {received} of {sent}"))?;
    let busy_mb = resident_mb(&fleet.server)?;

    println!("sends that wait");
    // Each of these sessions has written to the next one before, so no keys are fetched now.
    let times = fleet.waiting_sends(WAITING_SENDS)?;
    report(
        "whatsapp_send_sync",
        json!({
            "p50": quantile_ms(&times, 0.5), "p99": quantile_ms(&times, 0.99), "unit": "ms",
            "sends": times.len(), "sessions": count,
        }),
    )?;

    println!("restarting the simulator");
    let pid = fleet.server.id()?;
    let before = crate::meter::processor_time(pid)?;
    let mut down = Instant::now();
    fleet.whatsapp.restart(|| {
        std::thread::sleep(Duration::from_secs(5));
        down = Instant::now();
        Ok(())
    })?;
    let mut curve = Vec::new();
    until("every session to be back", Duration::from_secs(300), || {
        let connected = fleet.connected()?;
        curve.push((down.elapsed().as_secs_f64(), connected));
        std::thread::sleep(Duration::from_millis(500));
        Ok((connected == count).then_some(()))
    })?;
    let back = down.elapsed().as_secs_f64();
    let reconnecting = (crate::meter::processor_time(pid)? - before).as_secs_f64();
    // The steepest second: without a spread it would be all of them.
    let steepest = curve
        .iter()
        .map(|(at, n)| n - curve.iter().rev().find(|(t, _)| *t <= at - 1.0).map_or(0, |(_, n)| *n).min(*n))
        .max()
        .unwrap_or(0);
    report(
        "whatsapp_sessions",
        json!({
            "sessions": count, "pairing_seconds": pairing,
            "bare_mb": fleet.bare_mb, "rested_mb": rested_mb, "after_traffic_mb": busy_mb,
            "mb_a_session": (rested_mb - fleet.bare_mb) / count as f64,
            "mb_a_session_after_traffic": (busy_mb - fleet.bare_mb) / count as f64,
            "aim_mb_a_session": 1.5, "peer_documents_mb_a_session": 50,
            "idle_processor_share": idle, "traffic_processor_share": busy, "messages_a_second": rate,
            "messages": sent, "received": received,
            "all_back_seconds": back, "reconnect_processor_seconds": reconnecting, "most_back_in_one_second": steepest,
        }),
    )
}
