//! Measures the store alone, for tuning:
//! `cargo run --release -p pombo-store --example bench -- DIR [MESSAGES] [workers=N] [memtable=MB] [cache=MB] [search=MB]`.
//! Fills DIR (which should not exist yet) and dies without closing; when it does exist, opens, reads and verifies it.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use pombo_store::{DiskStore, Options};
use pombo_testkit::{CountingEntropy, SystemClock, samples};

/// The allocator of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NAMES: [&str; 12] = [
    "Maria Silva",
    "João Souza",
    "Ana Oliveira",
    "Pedro Santos",
    "Carla Lima",
    "José Almeida",
    "Letícia Rocha",
    "Antônio Pereira",
    "Beatriz Costa",
    "Rafael Gomes",
    "Patrícia Nunes",
    "Conceição Araújo",
];
const WORDS: [&str; 24] = [
    "pedido",
    "entrega",
    "amanhã",
    "confirmação",
    "boleto",
    "pagamento",
    "vencimento",
    "promoção",
    "desconto",
    "obrigado",
    "agendamento",
    "consulta",
    "reunião",
    "código",
    "acesso",
    "segurança",
    "atualização",
    "cadastro",
    "cliente",
    "oferta",
    "especial",
    "prazo",
    "endereço",
    "horário",
];
const TYPES: [MessageType; 6] = [
    MessageType::General,
    MessageType::Notification,
    MessageType::Marketing,
    MessageType::Transactional,
    MessageType::Support,
    MessageType::Reminder,
];

/// Deterministic variety.
fn mix(n: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ (x >> 31)
}

fn message(n: u64) -> NewMessage {
    let r = mix(n);
    let name = NAMES[(r % 12) as usize];
    let words: Vec<&str> = (0..14).map(|i| WORDS[(mix(n * 31 + i) % 24) as usize]).collect();
    let connector = ConnectorIndex((r >> 8) as u32 % 4 + 1);
    let to = format!("55119{:08}", mix(n ^ 0xabcd) % 100_000_000);
    let link = format!("https://loja.exemplo/p/{}", r % 5000);
    let text = format!("{{Olá|Oi}} {name}, {} número {n}: {link}", words.join(" "));
    NewMessage {
        contact_name: Some(name.to_owned()),
        message_type: TYPES[(r >> 16) as usize % 6],
        priority: ((r >> 24) % 10 + 1) as u8,
        requires_approval: (r >> 32).is_multiple_of(50),
        external_id: Some(format!("ext-{n}")),
        variables: Some(format!("{{\"pedido\":{n}}}")),
        ..samples::message(connector, &to, &text)
    }
}

fn insert(numbers: std::ops::Range<u64>) -> Batch {
    samples::inserts(TenantIndex(1), numbers.map(message).collect())
}

fn rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:"));
    line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 = stat
        .rsplit(')')
        .next()
        .map_or(0, |rest| rest.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum());
    Duration::from_millis(ticks * 10)
}

async fn fill(store: &Arc<DiskStore>, total: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
    let next = Arc::new(AtomicU64::new(0));
    let (started, cpu_before) = (Instant::now(), cpu());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, next) = (store.clone(), next.clone());
        tasks.spawn(async move {
            loop {
                let first = next.fetch_add(1000, Ordering::Relaxed);
                if first >= total {
                    return Ok::<_, StoreError>(());
                }
                store.commit(insert(first..first + 1000)).await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let took = started.elapsed();
    println!(
        "insert in batches of 1000: {:.0}/s, {:.2} µs CPU each, RSS {} MB",
        total as f64 / took.as_secs_f64(),
        (cpu() - cpu_before).as_micros() as f64 / total as f64,
        rss()
    );
    Ok(())
}

async fn singles(store: &Arc<DiskStore>, writers: u64, each: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (started, cpu_before) = (Instant::now(), cpu());
    let mut tasks = tokio::task::JoinSet::new();
    for w in 0..writers {
        let store = store.clone();
        tasks.spawn(async move {
            for i in 0..each {
                let n = 1_000_000_000 + w * each + i;
                store.commit(insert(n..n + 1)).await?;
            }
            Ok::<_, StoreError>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let total = writers * each;
    println!(
        "single commits, {writers} writers: {:.0}/s, {:.1} µs CPU each",
        total as f64 / started.elapsed().as_secs_f64(),
        (cpu() - cpu_before).as_micros() as f64 / total as f64
    );
    Ok(())
}

/// Claims and completes in batches of 100, like a lane does.
async fn drain(store: &Arc<DiskStore>, total: usize) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (started, cpu_before) = (Instant::now(), cpu());
    let mut done = 0;
    let mut tasks = tokio::task::JoinSet::new();
    for connector in 1..=4u32 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut after = None;
            let mut mine = 0;
            while mine < total / 4 {
                let entries = store.ready(ConnectorIndex(connector), after, 100)?;
                let Some(last) = entries.last() else { break };
                after = Some(last.order);
                let keys: Vec<_> = entries.iter().map(|e| e.key).collect();
                let now = SystemClock.now();
                let step = |state: &dyn Fn(&MessageState) -> MessageState, messages: &[StoredMessage]| {
                    let update = |m: &StoredMessage| {
                        Change::Update(Update { key: m.message.key, state: state(&m.state), delivery: None })
                    };
                    Batch::of(messages.iter().map(update).collect())
                };
                let mut messages: Vec<StoredMessage> = store.messages(&keys)?.into_iter().flatten().collect();
                let claim = |s: &MessageState| s.claim(now).expect("a ready message can be claimed");
                store.commit(step(&claim, &messages)).await?;
                messages.iter_mut().for_each(|m| m.state = claim(&m.state));
                let sent = |s: &MessageState| s.sent(Some("id".to_owned()), now).expect("a claimed one can be sent");
                store.commit(step(&sent, &messages)).await?;
                mine += keys.len();
            }
            Ok::<_, StoreError>(mine)
        });
    }
    while let Some(mine) = tasks.join_next().await {
        done += mine??;
    }
    println!(
        "claim + sent, batches of 100 on 4 lanes: {:.0}/s, {:.1} µs CPU each",
        done as f64 / started.elapsed().as_secs_f64(),
        (cpu() - cpu_before).as_micros() as f64 / done as f64
    );
    Ok(())
}

fn event(n: u64) -> Change {
    let message = message(n);
    let body = EventBody::Message(Inbound {
        sender_name: message.contact_name,
        sent_at: SystemClock.now(),
        content: InboundContent::Text(message.text),
        ..samples::inbound(&message.to, &format!("3EB0{n:016X}"))
    });
    let id = uuid::Uuid::from_u128(n.into());
    let event = NewEvent { id, connector: message.connector, at: SystemClock.now(), body };
    let once = Some(((u128::from(mix(n)) << 64) | u128::from(n)).to_be_bytes());
    Change::Event(AppendEvent { tenant: TenantIndex(1), event, once })
}

/// Appends marked events, `size` a batch.
async fn append(
    store: &Arc<DiskStore>,
    numbers: std::ops::Range<u64>,
    size: u64,
    writers: u64,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (started, cpu_before) = (Instant::now(), cpu());
    let total = numbers.end - numbers.start;
    let next = Arc::new(AtomicU64::new(numbers.start));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..writers {
        let (store, next, end) = (store.clone(), next.clone(), numbers.end);
        tasks.spawn(async move {
            loop {
                let first = next.fetch_add(size, Ordering::Relaxed);
                if first >= end {
                    return Ok::<_, StoreError>(());
                }
                store.commit(Batch::of((first..first + size).map(event).collect())).await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    println!(
        "events, {size} a batch, {writers} writers: {:.0}/s, {:.2} µs CPU each, RSS {} MB",
        total as f64 / started.elapsed().as_secs_f64(),
        (cpu() - cpu_before).as_micros() as f64 / total as f64,
        rss()
    );
    Ok(())
}

/// Reads the log by pages, with a filter that matches nothing, and forgets half of it.
async fn read_events(store: &Arc<DiskStore>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let tenant = TenantIndex(1);
    let last = store.last_event(tenant)?;
    let nothing = EventFilter { connector: Some(ConnectorIndex(77)), kinds: Vec::new() };
    for (name, filter) in [("all, pages of 100", EventFilter::default()), ("no match", nothing)] {
        let (started, mut after, mut calls, mut longest) = (Instant::now(), 0, 0_u32, Duration::ZERO);
        while after < last {
            let call = Instant::now();
            after = store.events(tenant, &filter, after, 100)?.1;
            longest = longest.max(call.elapsed());
            calls += 1;
        }
        println!(
            "events read, {name}: {last} in {:.2} s, {calls} calls, the longest {longest:.1?}",
            started.elapsed().as_secs_f64()
        );
    }
    let (started, half) = (Instant::now(), last as usize / 2);
    let forgotten = store.forget_events(Timestamp(i64::MAX), half).await?;
    println!("events forgotten: {forgotten} in {:.2} s", started.elapsed().as_secs_f64());
    let started = Instant::now();
    store.events(tenant, &EventFilter::default(), 0, 100)?;
    println!("first page after forgetting: {:.1?}", started.elapsed());
    Ok(())
}

async fn lists(store: &Arc<DiskStore>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let all = store.list_messages(TenantIndex(1), MessageFilter::default(), 0, 1).await?;
    let newest = all.rows.first().map_or(Timestamp(0), |m| m.message.created_at);
    let oldest = store.list_messages(TenantIndex(1), MessageFilter::default(), all.total - 1, 1).await?;
    let oldest = oldest.rows.first().map_or(Timestamp(0), |m| m.message.created_at);
    let middle = Timestamp((oldest.0 + newest.0) / 2);
    let none = MessageFilter::default;
    let search = |text: &str| MessageFilter { search: Some(text.to_owned()), ..none() };
    let cases: Vec<(&str, MessageFilter)> = vec![
        ("all", none()),
        ("status", MessageFilter { status: Some(Status::Sent), ..none() }),
        ("rare status", MessageFilter { status: Some(Status::PendingApproval), ..none() }),
        (
            "status+type+connector",
            MessageFilter {
                status: Some(Status::Pending),
                message_type: Some(MessageType::Marketing),
                connector: Some(ConnectorIndex(2)),
                ..none()
            },
        ),
        ("date range", MessageFilter { from: Some(oldest), to: Some(middle), ..none() }),
        (
            "date range + status",
            MessageFilter { from: Some(middle), to: Some(newest), status: Some(Status::PendingApproval), ..none() },
        ),
        ("externalId", MessageFilter { external_id: Some("ext-123456".to_owned()), ..none() }),
        ("search recipient part", search("98765")),
        ("search number", search("123456")),
        ("search common word", search("confirmacao")),
        ("search two common words", search("boleto maria")),
        ("search + status", MessageFilter { status: Some(Status::PendingApproval), ..search("pagamento") }),
        ("search absent", search("inexistente")),
        ("search one letter", search("a")),
    ];
    for (name, filter) in cases {
        let mut took = Vec::new();
        let mut total = 0;
        for i in 0..300u64 {
            let started = Instant::now();
            let page = store.list_messages(TenantIndex(1), filter.clone(), (i % 3) * 250, 250).await?;
            took.push(started.elapsed());
            total = page.total;
        }
        took.sort();
        println!(
            "list {name:<26} p50 {:>7.3} ms  p99 {:>7.3} ms  total {total}",
            took[took.len() / 2].as_secs_f64() * 1e3,
            took[took.len() * 99 / 100].as_secs_f64() * 1e3
        );
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut args = std::env::args().skip(1);
    let (Some(folder), total) = (args.next(), args.next().map_or(Ok(1_000_000), |n| n.parse())?) else {
        return Err("usage: bench DIR [MESSAGES]".into());
    };
    let mut options = Options::default();
    for arg in args {
        match arg.split_once('=').and_then(|(name, n)| Some((name, n.parse::<u64>().ok()?))) {
            Some(("workers", n)) => options.backend.workers = n as usize,
            Some(("memtable", n)) => options.backend.memtable_bytes = n << 20,
            Some(("cache", n)) => options.backend.cache_bytes = n << 20,
            Some(("search", n)) => options.search_bytes = n << 20,
            _ => return Err(format!("what is {arg}?").into()),
        }
    }
    let fresh = !Path::new(&folder).exists();
    let started = Instant::now();
    let store = pombo_store::open(
        options,
        Path::new(&folder),
        Arc::new(SystemClock),
        Arc::new(CountingEntropy::new(SystemClock.now().0.unsigned_abs())),
    )?;
    println!("open: {:.3} s, RSS {} MB", started.elapsed().as_secs_f64(), rss());
    if fresh {
        fill(&store, total).await?;
        let started = Instant::now();
        store
            .list_messages(TenantIndex(1), MessageFilter { search: Some("x".into()), ..Default::default() }, 0, 1)
            .await?;
        println!("search index caught up after {:.3} s", started.elapsed().as_secs_f64());
    }
    lists(&store).await?;
    println!("RSS {} MB", rss());
    if fresh {
        singles(&store, 8, 2_000).await?;
        singles(&store, 32, 2_000).await?;
        singles(&store, 128, 2_000).await?;
        drain(&store, 200_000).await?;
        append(&store, 0..total, 1000, 4).await?;
        append(&store, 2_000_000_000..2_000_064_000, 1, 32).await?;
        read_events(&store).await?;
        lists(&store).await?;
        println!("RSS {} MB", rss());
        println!("dying without closing");
        std::process::abort();
    }
    let started = Instant::now();
    let problems = store.verify()?;
    println!("verify: {} problems in {:.1} s", problems.len(), started.elapsed().as_secs_f64());
    problems.iter().take(10).for_each(|p| println!("  {p}"));
    Ok(())
}
