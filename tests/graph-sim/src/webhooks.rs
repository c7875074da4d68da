//! Webhooks: the queue of updates, Meta's envelope, escaping and signature, and the task that posts them. The queue is owned by the
//! world; the task ([`run`]) takes what is due, posts it without the lock, and puts failures back for later.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hmac::{Hmac, Mac};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::sim::Shared;
use crate::world::World;

/// How long a failed POST is retried.
const LONGEST: i64 = 7 * crate::limits::DAY;
/// How long the receiver may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most durations that are remembered.
const MOST_DURATIONS: usize = 100_000;

/// What an update says.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// A message or a status of field `messages`.
    Messaging { number: String, display: String, contact: Option<Value>, item: Value, status: bool },
    /// Another field.
    Field { field: String, value: Value },
}

#[derive(Debug, Clone)]
struct Event {
    app: String,
    url: String,
    waba: String,
    content: Content,
}

/// A POST.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    url: String,
    signature: String,
    body: Bytes,
    first: i64,
    attempt: usize,
    events: usize,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: BTreeMap<(i64, u64), Event>,
    retries: BTreeMap<(i64, u64), Batch>,
    ready: VecDeque<Batch>,
    in_flight: usize,
    order: u64,
    random: u64,
    dropped: u32,
    durations: VecDeque<u64>,
    posts: u64,
    updates: u64,
    failures: u64,
    given_up: u64,
}

impl Outbox {
    fn quiet(&self, now: i64) -> bool {
        self.in_flight == 0
            && self.ready.is_empty()
            && self.waiting.first_key_value().is_none_or(|((due, _), _)| *due > now)
            && self.retries.first_key_value().is_none_or(|((due, _), _)| *due > now)
    }

    fn next_due(&self) -> Option<i64> {
        let waiting = self.waiting.first_key_value().map(|((due, _), _)| *due);
        let retries = self.retries.first_key_value().map(|((due, _), _)| *due);
        waiting.into_iter().chain(retries).min()
    }

    fn order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    fn random(&mut self, below: usize) -> usize {
        // xorshift: the order is arbitrary, and the same in each run.
        let mut x = self.random.max(0x9e37_79b9);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random = x;
        usize::try_from(x % (below as u64)).unwrap_or(0)
    }

    /// Forgets the count of POSTs that `drop_first` dropped: the knob was set anew.
    pub(crate) fn begin_dropping(&mut self) {
        self.dropped = 0;
    }

    /// What was delivered, and how fast the receiver was.
    pub(crate) fn report(&self) -> Value {
        let mut sorted: Vec<u64> = self.durations.iter().copied().collect();
        sorted.sort_unstable();
        let at = |share: usize| {
            sorted.get((sorted.len() * share / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
        };
        json!({
            "posts": self.posts, "updates": self.updates, "failures": self.failures, "given_up": self.given_up,
            "waiting": self.waiting.len(), "retrying": self.retries.len(),
            "median_micros": at(50), "p99_micros": at(99), "max_micros": sorted.last().copied().unwrap_or(0),
        })
    }
}

impl World {
    /// Queues an update for every app that listens to a WABA.
    pub(crate) fn emit(&mut self, waba: &str, number: Option<usize>, content: Content) {
        if !self.knobs.webhooks {
            return;
        }
        let Some(account) = self.wabas.get(waba) else { return };
        let own = number
            .and_then(|number| self.numbers.get(number))
            .and_then(|number| number.override_callback.clone())
            .or_else(|| account.override_callback.clone());
        let targets: Vec<(String, String)> = self
            .apps
            .values()
            .filter(|app| account.apps.as_ref().is_none_or(|apps| apps.contains(&app.id)))
            .filter_map(|app| Some((app.id.clone(), own.clone().or_else(|| app.callback.clone())?)))
            .collect();
        let due = self.now() + self.knobs.delay_seconds * 1000;
        for (app, url) in targets {
            let order = self.outbox.order();
            let event = Event { app, url, waba: waba.to_owned(), content: content.clone() };
            self.outbox.waiting.insert((due, order), event);
        }
    }

    /// Makes POSTs of what is due.
    fn collect_due(&mut self) {
        let now = self.now();
        while self.outbox.retries.first_key_value().is_some_and(|((due, _), _)| *due <= now) {
            if let Some((_, batch)) = self.outbox.retries.pop_first() {
                self.outbox.ready.push_back(batch);
            }
        }
        let mut due = Vec::new();
        while self.outbox.waiting.first_key_value().is_some_and(|((at, _), _)| *at <= now) {
            if let Some((_, event)) = self.outbox.waiting.pop_first() {
                due.push(event);
            }
        }
        if self.knobs.shuffle {
            for place in (1..due.len()).rev() {
                let other = self.outbox.random(place + 1);
                due.swap(place, other);
            }
        }
        let mut targets: Vec<((String, String), Vec<Event>)> = Vec::new();
        for event in due {
            let target = (event.app.clone(), event.url.clone());
            match targets.iter_mut().find(|(known, _)| *known == target) {
                Some((_, events)) => events.push(event),
                None => targets.push((target, vec![event])),
            }
        }
        for ((app, url), events) in targets {
            let secret = self.apps.get(&app).map(|app| app.secret.clone()).unwrap_or_default();
            for events in events.chunks(self.knobs.batch.max(1)) {
                let body = Bytes::from(escaped(&envelope(events, now / 1000)));
                let signature = signature(&secret, &body);
                self.outbox.ready.push_back(Batch {
                    url: url.clone(),
                    signature,
                    body,
                    first: now,
                    attempt: 0,
                    events: events.len(),
                });
            }
        }
    }

    fn take_ready(&mut self) -> Vec<Batch> {
        let mut taken = Vec::new();
        while taken.len() < self.knobs.parallel.max(1) {
            let Some(batch) = self.outbox.ready.pop_front() else { break };
            if self.outbox.dropped < self.knobs.drop_first {
                self.outbox.dropped += 1;
                self.outbox.failures += 1;
                self.put_back(batch);
                continue;
            }
            taken.push(batch);
        }
        self.outbox.in_flight += taken.len();
        taken
    }

    fn put_back(&mut self, mut batch: Batch) {
        let gaps = &self.knobs.retry_gaps_seconds;
        let gap = gaps.get(batch.attempt).or(gaps.last()).copied().unwrap_or(60);
        batch.attempt += 1;
        let due = self.now() + gap * 1000;
        // A gap of nothing again and again would never end.
        if due - batch.first > LONGEST || batch.attempt > 10_000 {
            self.outbox.given_up += 1;
            return;
        }
        let order = self.outbox.order();
        self.outbox.retries.insert((due, order), batch);
    }

    fn settle(&mut self, batch: Batch, delivered: bool, took: Duration) {
        self.outbox.in_flight = self.outbox.in_flight.saturating_sub(1);
        if delivered {
            self.outbox.posts += 1;
            self.outbox.updates += batch.events as u64;
            if self.outbox.durations.len() == MOST_DURATIONS {
                self.outbox.durations.pop_front();
            }
            self.outbox.durations.push_back(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        } else {
            self.outbox.failures += 1;
            self.put_back(batch);
        }
    }
}

/// Posts what is due, until the task is ended.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        let (batches, duplicates, nap) = {
            let mut world = shared.world.lock();
            world.review_templates();
            if world.outbox.ready.is_empty() {
                world.collect_due();
            }
            let batches = world.take_ready();
            (batches, world.knobs.duplicates, world.nap())
        };
        if batches.is_empty() {
            if shared.world.lock().is_quiet() {
                shared.quiet.notify_waiters();
                tokio::select! {
                    () = shared.wake.notified() => {}
                    () = tokio::time::sleep(nap) => {}
                }
            }
            continue;
        }
        let mut posts = JoinSet::new();
        for batch in batches {
            posts.spawn(async move {
                let began = Instant::now();
                let mut copies = JoinSet::new();
                for _ in 0..duplicates {
                    let batch = batch.clone();
                    copies.spawn(async move { deliver(&batch).await });
                }
                let delivered = deliver(&batch).await;
                let took = began.elapsed();
                while copies.join_next().await.is_some() {}
                (batch, delivered, took)
            });
        }
        while let Some(done) = posts.join_next().await {
            if let Ok((batch, delivered, took)) = done {
                shared.world.lock().settle(batch, delivered, took);
            }
        }
    }
}

impl World {
    pub(crate) fn is_quiet(&self) -> bool {
        self.outbox.quiet(self.now())
    }

    /// How long there is nothing to do, unless somebody wakes the task.
    fn nap(&self) -> Duration {
        let longest = Duration::from_secs(3600);
        if self.clock.frozen.is_some() {
            return longest;
        }
        let review = self.reviews.iter().map(|(due, _)| *due).min();
        match self.outbox.next_due().into_iter().chain(review).min() {
            Some(due) => Duration::from_millis(u64::try_from(due - self.now()).unwrap_or(0) + 1).min(longest),
            None => longest,
        }
    }
}

async fn deliver(batch: &Batch) -> bool {
    matches!(post(&batch.url, &batch.signature, batch.body.clone()).await, Ok((200, _)))
}

/// Posts a body with its signature. The answer: status and text.
pub(crate) async fn post(url: &str, signature: &str, body: Bytes) -> anyhow::Result<(u16, String)> {
    let request = Request::builder()
        .method(Method::POST)
        .header("content-type", "application/json")
        .header("user-agent", "facebookexternalua")
        .header("x-hub-signature-256", format!("sha256={signature}"))
        .body(Full::new(body))?;
    exchange(url, request).await
}

/// Asks a callback to verify itself: Meta's GET with a challenge.
pub(crate) async fn verify(url: &str, token: &str, challenge: &str) -> Result<(), String> {
    let joint = if url.contains('?') { '&' } else { '?' };
    let token = percent_encoding::utf8_percent_encode(token, percent_encoding::NON_ALPHANUMERIC);
    let asked = format!("{url}{joint}hub.mode=subscribe&hub.challenge={challenge}&hub.verify_token={token}");
    let request = Request::builder().method(Method::GET).body(Full::new(Bytes::new())).map_err(|e| e.to_string())?;
    match exchange(&asked, request).await {
        Ok((200, body)) if body == challenge => Ok(()),
        Ok((200, _)) => Err("The response does not match challenge".to_owned()),
        Ok((status, _)) => Err(format!("HTTP Status Code = {status}")),
        Err(e) => Err(e.to_string()),
    }
}

async fn exchange(url: &str, mut request: Request<Full<Bytes>>) -> anyhow::Result<(u16, String)> {
    let uri: Uri = url.parse()?;
    anyhow::ensure!(uri.scheme_str() == Some("http"), "callbacks of the simulator are http:// URLs");
    let host = uri.host().unwrap_or("127.0.0.1").to_owned();
    let port = uri.port_u16().unwrap_or(80);
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).parse::<Uri>()?;
    *request.uri_mut() = path;
    let named = format!("{host}:{port}");
    request.headers_mut().insert("host", named.parse()?);
    request.headers_mut().insert("connection", hyper::header::HeaderValue::from_static("close"));
    let exchanged = async move {
        let stream = TcpStream::connect((host.trim_start_matches('[').trim_end_matches(']'), port)).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let body =
            Limited::new(answer.into_body(), 1 << 20).collect().await.map_err(|e| anyhow::anyhow!("{e}"))?.to_bytes();
        driver.abort();
        anyhow::Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::time::timeout(PATIENCE, exchanged).await?
}

fn envelope(events: &[Event], seconds: i64) -> Value {
    let mut entries: Vec<(String, Vec<Value>)> = Vec::new();
    for event in events {
        let place = match entries.iter().position(|(waba, _)| *waba == event.waba) {
            Some(place) => place,
            None => {
                entries.push((event.waba.clone(), Vec::new()));
                entries.len() - 1
            }
        };
        let changes = &mut entries[place].1;
        match &event.content {
            Content::Field { field, value } => changes.push(json!({ "field": field, "value": value })),
            Content::Messaging { number, display, contact, item, status } => {
                let known = changes.iter().position(|change| {
                    change["field"] == "messages" && change["value"]["metadata"]["phone_number_id"] == number.as_str()
                });
                let place = known.unwrap_or_else(|| {
                    changes.push(json!({ "field": "messages", "value": {
                        "messaging_product": "whatsapp",
                        "metadata": { "display_phone_number": display, "phone_number_id": number },
                    } }));
                    changes.len() - 1
                });
                let value = &mut changes[place]["value"];
                append(value, if *status { "statuses" } else { "messages" }, item, false);
                if let Some(contact) = contact {
                    append(value, "contacts", contact, true);
                }
            }
        }
    }
    let entries: Vec<Value> = entries
        .into_iter()
        .map(|(waba, changes)| {
            let mut entry = json!({ "id": waba, "changes": changes });
            if entry["changes"][0]["field"] != "messages" {
                entry["time"] = json!(seconds);
            }
            entry
        })
        .collect();
    json!({ "object": "whatsapp_business_account", "entry": entries })
}

fn append(value: &mut Value, key: &str, item: &Value, once: bool) {
    match value[key].as_array_mut() {
        Some(items) if once && items.contains(item) => {}
        Some(items) => items.push(item.clone()),
        None => value[key] = json!([item]),
    }
}

/// The JSON as Meta writes it: `\uXXXX` in lower case for what is not ASCII, and `/`, `@`, `<`, `>`, `%` escaped too. A receiver
/// that signs its own serialisation instead of the bytes gets another signature.
pub fn escaped(value: &Value) -> String {
    let plain = value.to_string();
    let mut out = String::with_capacity(plain.len() + plain.len() / 8);
    for c in plain.chars() {
        // These stand inside of strings only: JSON itself uses none of them.
        match c {
            '/' => out.push_str("\\/"),
            '@' | '<' | '>' | '%' => push_unit(&mut out, c as u16),
            c if c.is_ascii() => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    push_unit(&mut out, *unit);
                }
            }
        }
    }
    out
}

fn push_unit(out: &mut String, unit: u16) {
    // Writing into a String cannot fail.
    if write!(out, "\\u{unit:04x}").is_err() {
        out.push('?');
    }
}

/// The lower-case hex of HMAC-SHA256 over the raw bytes.
pub fn signature(secret: &str, body: &[u8]) -> String {
    match Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        Ok(mut mac) => {
            mac.update(body);
            hex::encode(mac.finalize().into_bytes())
        }
        // HMAC takes keys of any length.
        Err(_) => String::new(),
    }
}
