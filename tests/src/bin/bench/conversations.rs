//! A tenant with many conversations and contacts, and one conversation with many messages: every list, search and page of history over
//! HTTP, of the engine's own API and of Zapini's, a search in what was said, and a send that waits for its outcome.
//!
//! What people wrote came through connectors of the plugin `pipe`, in a version whose channel is called `whatsapp`, because the API with
//! the waiting sends serves that channel only.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pombo_tests::automation::variant;
use pombo_tests::http::encode;
use pombo_tests::load::{latencies, prepare, quantile_ms, run};
use pombo_tests::pipe::Pipe;
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::{Tenant, text_of};
use serde_json::{Value, json};

use crate::messages::word;

/// Connectors: one with the long conversation, the others with the many.
const CONNECTORS: usize = 4;
/// The address of the long one.
const LONG: &str = "5521999999999";
/// One in so many is tagged and assigned, one archived, one read.
const MARKED: usize = 50;
const CONNECTIONS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(600);

const FIRST: [&str; 10] = ["Maria", "João", "Ana", "José", "Antônia", "Luís", "Inês", "Pedro", "Conceição", "Caetano"];
const LAST: [&str; 12] = [
    "Souza",
    "Araújo",
    "Lima",
    "Gonçalves",
    "Prado",
    "Falcão",
    "Moraes",
    "Antunes",
    "Brandão",
    "Teixeira",
    "Rocha",
    "Viana",
];

fn number(n: usize) -> String {
    format!("55119{n:08}")
}

fn name(n: usize) -> String {
    format!("{} {}", FIRST[n % FIRST.len()], LAST[n / FIRST.len() % LAST.len()])
}

fn text(n: usize) -> String {
    format!("Olá! O {} {n} já saiu para entrega?", word(n as u64))
}

/// The engine with its conversations.
pub(crate) struct Conversations {
    server: Server,
    tenant: Tenant,
    connectors: Vec<String>,
    // They are the other end of the connectors as long as these run.
    _pipes: Vec<Pipe>,
    /// How many conversations there are besides the long one, and how many messages that has.
    count: usize,
    /// The ids of all, in the order of the list by id.
    ids: Vec<String>,
}

impl Conversations {
    /// An engine with so many conversations, and so many messages in one.
    pub(crate) fn fill(count: usize) -> Result<Self> {
        let mut server = Server::prepare(Options { demo: false, ..Options::only("") })?;
        let plugins = server.folder().join("plugins");
        std::fs::create_dir(&plugins)?;
        std::fs::write(plugins.join("pipe.wasm"), variant("pipe", "whatsapp 1")?)?;
        let config = format!(
            "[sandbox]\nplugin_dir = {plugins:?}\nevents_per_second = 1000000\nevent_kb_per_second = 1000000\n\
             allow_private = [\"127.0.0.1\"]\n[zapini]\nrate_limit = 0\n[log]\nlevel = \"warn\"\n"
        );
        std::fs::write(server.folder().join("config.toml"), config)?;
        server.launch()?;
        let tenant = Tenant::create(&server)?;
        let (mut pipes, mut connectors) = (Vec::new(), Vec::new());
        for _ in 0..CONNECTORS {
            let pipe = Pipe::start()?;
            let connector = tenant.connector("pipe", &pipe.config())?;
            tenant.pace(&connector, &json!({}))?;
            pipes.push(pipe);
            connectors.push(connector);
        }
        let began = Instant::now();
        for (place, pipe) in pipes.iter().enumerate() {
            if place == 0 {
                pipe.write_all((0..count).map(|n| (LONG.to_owned(), text(n))));
            } else {
                let own = (place - 1..count).step_by(CONNECTORS - 1);
                pipe.write_named(own.map(|n| (number(n), name(n), text(n))));
            }
        }
        for pipe in &pipes {
            pipe.wait_stored(pipe.intake().0, PATIENCE)?;
        }
        println!("received {} messages in {:.1} s", 2 * count, began.elapsed().as_secs_f64());
        let mut filled = Self { server, tenant, connectors, _pipes: pipes, count, ids: Vec::new() };
        filled.ids = filled.listed()?;
        filled.mark()?;
        Ok(filled)
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A request with the tenant's key, in the header that the API at this path takes.
    fn request(&self, method: &str, path: &str, body: &Value) -> Vec<u8> {
        let bearer = format!("Bearer {}", self.tenant.key);
        let header = match path.starts_with("/zapini") {
            true => ("Authorization", bearer.as_str()),
            false => ("X-API-Key", self.tenant.key.as_str()),
        };
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        prepare(method, path, &[header], &body)
    }

    fn listed(&self) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.tenant.client.get(&format!("/v1/conversations?limit=250{after}"))?.expect_json(200)?;
            for conversation in page["data"].as_array().context("no data")? {
                ids.push(text_of(conversation, "id")?);
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(ids),
            }
        }
    }

    /// Tags, assigns, archives and reads some, so that lists have something to tell apart.
    fn mark(&self) -> Result<()> {
        let rounds = self.ids.len() / MARKED;
        let enough = |n: u64, _: Duration| n >= 3 * rounds as u64;
        run(self.address(), CONNECTIONS, 200, enough, |n| {
            let (round, what) = (n as usize / 3, n as usize % 3);
            let at = format!("/v1/conversations/{}", self.ids[round * MARKED + what]);
            match what {
                0 => self.request("PATCH", &at, &json!({"tags": ["vip"], "assignee": "Rui"})),
                1 => self.request("POST", &format!("{at}/archive"), &json!({})),
                _ => self.request("POST", &format!("{at}/read"), &json!({"tellChannel": false})),
            }
        })?;
        Ok(())
    }

    /// p50 and p99 in ms of every kind of page, and of the sends.
    pub(crate) fn measure(&self, queries: usize) -> Result<Vec<(&'static str, Value)>> {
        // In an order that no cache expects.
        let at = |n: usize| (n as u64).wrapping_mul(2_654_435_761) as usize % self.count;
        let history = self.history_of_the_long_one()?;
        let between = |n: usize| history.oldest + (history.newest - history.oldest) * at(n) as u64 / self.count as u64;
        let list = |filter: String| format!("/v1/conversations?limit=50&order=-lastActivity&{filter}");
        let search = |words: String| list(format!("search={}", encode(&words)));
        let page = |place: String| format!("/v1/conversations/{}/messages?limit=50{place}", history.id);
        let chat =
            |before: u64| format!("/zapini/chat/conversations/{}/messages?limit=50&before_id={before}", history.id);
        let found = |words: String| format!("/v1/search?in=messages&limit=20&q={}", encode(&words));
        type Path<'a> = Box<dyn Fn(usize) -> String + 'a>;
        let cases: Vec<(&'static str, Path<'_>)> = vec![
            ("conversations_all", Box::new(|_| list("archived=false".to_owned()))),
            ("conversations_unread", Box::new(|_| list("unread=true".to_owned()))),
            ("conversations_archived", Box::new(|_| list("archived=true".to_owned()))),
            ("conversations_tag", Box::new(|_| list("tag=vip".to_owned()))),
            ("conversations_connector", Box::new(|n| list(format!("connectorId={}", self.connectors[1 + n % 3])))),
            ("conversations_assigned", Box::new(|_| list("assigned=true".to_owned()))),
            ("conversations_search_name", Box::new(|n| search(name(at(n))))),
            ("conversations_search_number", Box::new(|n| search(number(at(n))))),
            ("conversations_search_text", Box::new(|n| search(format!("{} {}", word(at(n) as u64), at(n))))),
            ("conversations_deep", Box::new(|n| list(format!("offset={}", at(n))))),
            (
                "conversations_cursor",
                Box::new(|n| format!("/v1/conversations?limit=50&after={}", self.ids[at(n) % self.ids.len()])),
            ),
            ("conversations_counts", Box::new(|_| "/v1/conversations/counts".to_owned())),
            ("history_newest", Box::new(|_| page(String::new()))),
            ("history_before", Box::new(|n| page(format!("&before={}", between(n))))),
            ("history_after", Box::new(|n| page(format!("&after={}", between(n))))),
            ("history_until", Box::new(|_| page(format!("&to={}", encode(&history.middle))))),
            ("conversations_zapini", Box::new(|_| "/zapini/conversations?per_page=50&include_tags=true".to_owned())),
            ("history_chat", Box::new(|n| chat(between(n)))),
            ("contacts_list", Box::new(|n| format!("/v1/contacts?limit=50&after={}", at(n)))),
            ("contacts_search", Box::new(|n| format!("/v1/contacts?limit=50&search={}", encode(&name(at(n)))))),
            ("search_messages", Box::new(|n| found(format!("{} {}", word(at(n) as u64), at(n))))),
        ];
        let mut results: Vec<(&'static str, Value)> = Vec::new();
        let mut measured = |name: &'static str, request: &dyn Fn(usize) -> Vec<u8>| -> Result<()> {
            latencies(self.address(), queries / 10 + 1, 200, request)?;
            let times = latencies(self.address(), queries, 200, request)?;
            let figure = json!({"p50": quantile_ms(&times, 0.5), "p99": quantile_ms(&times, 0.99), "unit": "ms"});
            results.push((name, figure));
            Ok(())
        };
        for (name, path) in &cases {
            measured(*name, &|n: usize| self.request("GET", &path(n), &Value::Null))?;
        }
        measured("send_now", &|n: usize| {
            let to = number(at(n));
            let body = json!({"instance_id": self.connectors[1], "recipient": to, "message": "saiu agora"});
            self.request("POST", "/zapini/send-message", &body)
        })?;
        Ok(results)
    }

    fn history_of_the_long_one(&self) -> Result<History> {
        let client = &self.tenant.client;
        let found = client.get(&format!("/v1/conversations?search={LONG}"))?.expect_json(200)?;
        let id = text_of(&found["data"][0], "id")?;
        let page = |place: &str| -> Result<Value> {
            client.get(&format!("/v1/conversations/{id}/messages?limit=1{place}"))?.expect_json(200)
        };
        let number = |page: &Value| page["newest"].as_u64().context("an empty page");
        let (oldest, newest) = (number(&page("&after=0")?)?, number(&page("")?)?);
        let middle = text_of(&page(&format!("&after={}", oldest + (newest - oldest) / 2))?["data"][0], "at")?;
        Ok(History { id, oldest, newest, middle })
    }
}

/// The long conversation.
struct History {
    id: String,
    /// The numbers of its first and its last message.
    oldest: u64,
    newest: u64,
    /// When one in the middle was taken.
    middle: String,
}
