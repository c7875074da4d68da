//! `make bench`: the figures that README states, each with a baseline measured in the same run on the same machine.
//!
//! | figure | ours | baseline |
//! |---|---|---|
//! | bulk, single | durable HTTP posts of 1000 and of 1 | fastify and BullMQ on Redis with its log synced at every write |
//! | drain | queue → renderer plugin → no-op connector plugin | BullMQ's worker at concurrency 50, no-op |
//! | conversations_*, history_* | over HTTP, exact total and a page of 50, of many conversations and of one with many messages; `conversations_zapini` and `history_chat` in Zapini's form | |
//! | contacts_* | over HTTP, a page of 50 of as many contacts | |
//! | search_messages | `GET /v1/search` in what was said in all conversations | |
//! | send_now | `POST /zapini/send-message` until the channel has accepted the message | |
//! | list_*, search | over HTTP, exact total and a page of 50 | an indexed SQL table in process (tests/peers/list-baseline) |
//! | open | from exec after kill -9 until `/ready` says 200 | |
//! | rss | resident memory with the whole queue | Redis' |
//! | render* | batches of 100 through the sandbox, templates cached | minijinja compiled into the same program |
//!
//! Sizes: BENCH_MESSAGES (default 1000000), BENCH_SECONDS of each rate (5), BENCH_ROUNDS (3), BENCH_QUERIES of each list (1000),
//! BENCH_CONVERSATIONS, and messages of the long one (100000), BENCH_PAGES of each of their lists and histories (300).
//! `bench render`, `bench queue` and `bench conversations` measure a part alone.
//! The servers' rounds alternate, and the median counts, so that a machine that slows down slows both.

mod conversations;
mod messages;
mod ours;
mod peer;
mod render;
mod report;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pombo_tests::load::{Rate, prepare, run};
use pombo_tests::tenant::SENDSYNC;
use serde_json::{Value, json};

use crate::conversations::Conversations;
use crate::ours::Ours;
use crate::peer::Peer;
use crate::report::Report;

const BULK: u64 = 1000;
const BULK_CONNECTIONS: usize = 8;
const SINGLE_CONNECTIONS: usize = 64;
const QUEUE_PEER: &str = "fastify + BullMQ on Redis, appendfsync always";
const LIST_PEER: &str = "indexed SQLite table in process: count and page of 250";

struct Sizes {
    messages: u64,
    seconds: u64,
    rounds: usize,
    queries: usize,
    conversations: usize,
    pages: usize,
}

fn size(name: &str, default: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is not a number: {text}")),
        Err(_) => Ok(default),
    }
}

/// A server that takes messages.
struct Target<'a> {
    address: SocketAddr,
    base: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    connectors: &'a [String],
    /// The number of the next message; the same sequence for both.
    next: AtomicU64,
}

impl Target<'_> {
    fn bulk(&self, limit: impl Fn(u64, Duration) -> bool + Sync) -> Result<Rate> {
        let path = format!("{}/queue/bulk", self.base);
        run(self.address, BULK_CONNECTIONS, 201, limit, |_| {
            let first = self.next.fetch_add(BULK, Ordering::Relaxed);
            prepare("POST", &path, &self.headers, messages::bulk(self.connectors, first, BULK).as_bytes())
        })
    }

    fn single(&self, limit: impl Fn(u64, Duration) -> bool + Sync) -> Result<Rate> {
        let path = format!("{}/queue/send", self.base);
        run(self.address, SINGLE_CONNECTIONS, 201, limit, |_| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            prepare("POST", &path, &self.headers, messages::single(self.connectors, number).as_bytes())
        })
    }

    /// Fills the queue up to about `messages`.
    fn fill(&self, present: u64, messages: u64) -> Result<()> {
        let bulks = messages.saturating_sub(present) / BULK;
        self.bulk(|number, _| number >= bulks)?;
        Ok(())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How fast a growing count grows: from the moment it first moves, over `window` or until it stops.
fn growth(window: Duration, count: impl Fn() -> Result<u64>) -> Result<f64> {
    let before = count()?;
    let begun = Instant::now();
    let (start, first) = loop {
        let now = count()?;
        if now > before {
            break (Instant::now(), now);
        }
        if begun.elapsed() > Duration::from_secs(30) {
            bail!("nothing was drained in 30 s");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let (mut at, mut last) = (start, first);
    loop {
        std::thread::sleep(Duration::from_millis(250));
        let now = count()?;
        if now == last {
            break;
        }
        (at, last) = (Instant::now(), now);
        if start.elapsed() > window {
            break;
        }
    }
    let elapsed = (at - start).as_secs_f64();
    if elapsed < 0.2 {
        bail!("it was drained too fast to be measured: use more messages");
    }
    Ok((last - first) as f64 / elapsed)
}

/// What is measured apart from the rest.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Render,
    Queue,
    Conversations,
}

impl Part {
    const ALL: [(&'static str, Self); 3] =
        [("render", Self::Render), ("queue", Self::Queue), ("conversations", Self::Conversations)];

    /// The parts that the command line names; all of them if it names none.
    fn wanted() -> Result<Vec<Self>> {
        let mut wanted = Vec::new();
        for word in std::env::args().skip(1) {
            let found = Self::ALL.iter().find(|(name, _)| *name == word);
            let (_, part) = found.with_context(|| format!("{word} is not render, queue or conversations"))?;
            wanted.push(*part);
        }
        if wanted.is_empty() {
            wanted.extend(Self::ALL.map(|(_, part)| part));
        }
        Ok(wanted)
    }
}

fn main() -> Result<()> {
    let sizes = Sizes {
        messages: size("BENCH_MESSAGES", 1_000_000)?,
        seconds: size("BENCH_SECONDS", 5)?,
        rounds: usize::try_from(size("BENCH_ROUNDS", 3)?)?.max(1),
        queries: usize::try_from(size("BENCH_QUERIES", 1000)?)?.max(10),
        conversations: usize::try_from(size("BENCH_CONVERSATIONS", 100_000)?)?.max(1_000),
        pages: usize::try_from(size("BENCH_PAGES", 300)?)?.max(10),
    };
    let parts = Part::wanted()?;
    let begun = Instant::now();
    let mut report = Report::default();
    let mut total = 0;

    if parts.contains(&Part::Render) {
        println!("rendering");
        for (name, figure) in render::measure()? {
            report.lower(&name, "minijinja compiled into the same program", "us/text", figure.ours, figure.native, 1.5);
        }
    }
    if parts.contains(&Part::Queue) {
        total = queue(&sizes, &mut report)?;
    }
    if parts.contains(&Part::Conversations) {
        println!("filling {} conversations, and one with as many messages", sizes.conversations);
        for (name, figure) in Conversations::fill(sizes.conversations)?.measure(sizes.pages)? {
            // It reads what was said from the disk; all others answer from memory or by one place in it.
            let aim = if name == "search_messages" { 100.0 } else { 10.0 };
            report.bounded(name, &figure, aim);
        }
    }
    report.finish(context(&sizes, total, begun.elapsed()))
}

/// Posts, drain, memory, opening and lists, beside the service that Pombo replaces. Returns how many messages the lists have.
fn queue(sizes: &Sizes, report: &mut Report) -> Result<u64> {
    println!("starting both servers");
    let mut ours = Ours::start()?;
    let mut peer = Peer::start()?;
    let names: Vec<String> = (0..4).map(|n| format!("connector-{n}")).collect();
    let (our_headers, peer_headers) = (ours.headers(), peer.headers());
    let to_ours = target(ours.address(), SENDSYNC, &our_headers, &ours.connectors);
    let to_peer = target(peer.address, "", &peer_headers, &names);
    rates(sizes, &to_ours, &to_peer, report)?;

    println!("filling both queues to {}", sizes.messages);
    to_ours.fill(ours.tenant.total(&[])?, sizes.messages)?;
    to_peer.fill(peer.waiting()?, sizes.messages)?;
    drop((to_ours, to_peer));
    // A queue that the rounds made longer than asked for is counted by the message.
    let million = sizes.messages as f64 / 1e6;
    let our_memory = ours.server.memory("VmRSS")? as f64 / ours.tenant.total(&[])? as f64 * million;
    let peer_memory = peer.memory()? as f64 / peer.waiting()? as f64 * million;
    report.lower("rss", "Redis", "MB", our_memory, peer_memory, 0.1);

    println!("draining the peer");
    let window = Duration::from_secs(sizes.seconds * 2);
    peer.start_worker()?;
    let peer_drain = growth(window, || peer.completed())?;
    peer.stop_worker();
    drop(peer);

    println!("opening after kill -9");
    ours.server.kill()?;
    ours.server.launch()?;
    report.seconds("open", "", ours.server.started_in.as_secs_f64(), None, 1.0);

    println!("draining ours");
    ours.tenant.set_paused(&ours.connectors[0], false)?;
    let ours_drain = growth(window, || ours.sent())?;
    ours.tenant.set_paused(&ours.connectors[0], true)?;
    report.higher("drain", "BullMQ worker, concurrency 50", "msgs/s", ours_drain, peer_drain, 3.0);

    println!("lists");
    let measured = ours.lists(sizes.messages, sizes.queries)?;
    let total = ours.tenant.total(&[])?;
    drop(ours);
    let baseline = peer::list_baseline(sizes.messages, sizes.queries.min(200))?;
    for (name, figure) in measured {
        let aim = if name == "search" { 10.0 } else { 2.0 };
        report.latency(name, LIST_PEER, figure, &baseline[name], aim);
    }
    Ok(total)
}

/// (a): posts, in alternating rounds.
fn rates(sizes: &Sizes, ours: &Target<'_>, peer: &Target<'_>, report: &mut Report) -> Result<()> {
    let period = Duration::from_secs(sizes.seconds);
    let enough = move |_: u64, elapsed: Duration| elapsed >= period;
    let (mut bulk, mut single) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 1..=sizes.rounds {
        println!("posting, round {round}");
        for (place, server) in [peer, ours].into_iter().enumerate() {
            bulk[place].push(server.bulk(enough)?.per_second(BULK));
            single[place].push(server.single(enough)?.per_second(1));
        }
    }
    let [peer_bulk, our_bulk] = bulk.map(median);
    let [peer_single, our_single] = single.map(median);
    report.higher("bulk", QUEUE_PEER, "msgs/s", our_bulk, peer_bulk, 4.0);
    report.higher("single", QUEUE_PEER, "msgs/s", our_single, peer_single, 2.0);
    Ok(())
}

fn target<'a>(
    address: SocketAddr,
    base: &'a str,
    headers: &'a [(&'static str, String)],
    connectors: &'a [String],
) -> Target<'a> {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Target { address, base, headers, connectors, next: AtomicU64::new(0) }
}

fn context(sizes: &Sizes, total: u64, elapsed: Duration) -> Value {
    json!({
        "messages": sizes.messages,
        "messages_in_lists": total,
        "seconds_of_each_rate": sizes.seconds,
        "rounds": sizes.rounds,
        "queries_of_each_list": sizes.queries,
        "conversations": sizes.conversations,
        "pages_of_conversations": sizes.pages,
        "processors": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "took_seconds": elapsed.as_secs(),
    })
}
