//! Meta without Meta: the simulator of the Graph API in this process, on an async runtime of its own, with one app, one portfolio, one
//! account and one number to begin with, and the calls that join an engine's connector to it. Tests stay plain: nothing here is async.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pombo_graph_sim::{Options, Sim};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::http::{Client, Reply};
use crate::meta::Line;
use crate::server;
use crate::tenant::{Tenant, merge, unique};
use crate::whatsapp::connected;

/// The plugin's name.
pub const PLUGIN: &str = "connector-whatsapp-cloud";

/// The version of the API in the connectors' configuration.
const VERSION: &str = "v26.0";
const APP_SECRET: &str = "an app's secret of the tests";
const VERIFY_TOKEN: &str = "a word of the tests & <signs>";

/// A running simulator.
pub struct Graph {
    runtime: Runtime,
    sim: Sim,
    ids: Ids,
    /// How many numbers there are.
    numbers: AtomicU64,
}

/// The ids of what is there from the beginning. No two simulators of this process have the same.
#[derive(Debug, Clone)]
struct Ids {
    app: String,
    token: String,
    portfolio: String,
    waba: String,
    own: u64,
}

/// The engine's options: connectors may send their secrets to this machine without TLS, as the simulator has none.
pub fn options(lines: &str) -> server::Options {
    // The file's sections are joined by name: what is given wins.
    let plain = "[sandbox]\nhttp_plain_hosts = [\"127.0.0.1\"]\n";
    server::Options { demo: false, ..server::Options::with(&format!("{plain}{lines}")) }
}

/// Creates a connector at full speed, and waits until its token is known to work; its id.
pub fn connect(tenant: &Tenant, config: &Value) -> Result<String> {
    let connector = tenant.connector(PLUGIN, config)?;
    tenant.pace(&connector, &json!({}))?;
    connected(tenant, &connector)?;
    Ok(connector)
}

impl Graph {
    /// Starts one.
    pub fn start() -> Result<Self> {
        Self::start_with(Options::default())
    }

    /// Starts one that accepts at once and remembers little: for measuring others.
    pub fn start_fast() -> Result<Self> {
        Self::start_with(Options { fast: true, ..Options::default() })
    }

    fn start_with(options: Options) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let sim = runtime.block_on(Sim::start(options))?;
        let own = u64::from(std::process::id()) * 1000 + unique();
        let ids = Ids {
            app: format!("10{own}"),
            token: format!("EAA-token-{own}"),
            portfolio: format!("20{own}"),
            waba: format!("30{own}"),
            own,
        };
        let graph = Self { runtime, sim, ids, numbers: AtomicU64::new(1) };
        let Ids { app, token, portfolio, waba, .. } = &graph.ids;
        graph.setup(&json!({
            "apps": [{"id": app, "secret": APP_SECRET, "verify_token": VERIFY_TOKEN}],
            "tokens": [{"token": token, "app": app}],
            "portfolios": [{"id": portfolio}],
            "wabas": [{"id": waba, "portfolio": portfolio, "name": "Padaria"}],
        }))?;
        graph.number(&json!({}))?;
        Ok(graph)
    }

    fn setup(&self, document: &Value) -> Result<()> {
        self.sim.setup(document).with_context(|| format!("the simulator's set-up: {document}"))?;
        Ok(())
    }

    /// The number that is there from the beginning.
    pub fn line(&self) -> Line {
        self.line_at(1)
    }

    fn line_at(&self, place: u64) -> Line {
        let Ids { waba, own, .. } = &self.ids;
        Line {
            waba: waba.clone(),
            phone_number_id: format!("4{place}{own}"),
            display: format!("55113{:07}{place}", own % 10_000_000),
        }
    }

    /// Makes another number of the same account.
    pub fn another_number(&self) -> Result<Line> {
        let line = self.line_at(self.numbers.fetch_add(1, Ordering::Relaxed) + 1);
        self.number_of(&line, &json!({}))?;
        Ok(line)
    }

    /// Changes the first number, e.g. its `throughput`.
    pub fn number(&self, further: &Value) -> Result<()> {
        self.number_of(&self.line(), further)
    }

    /// Changes this number.
    pub fn number_of(&self, line: &Line, further: &Value) -> Result<()> {
        let mut number = json!({"id": line.phone_number_id, "display_phone_number": format!("+{}", line.display),
            "waba": line.waba, "verified_name": "Padaria Aurora"});
        merge(&mut number, further);
        self.setup(&json!({"numbers": [number]}))
    }

    /// Changes the portfolio: its `tier` is a word of Meta's or a number.
    pub fn portfolio(&self, further: &Value) -> Result<()> {
        let mut portfolio = json!({"id": self.ids.portfolio});
        merge(&mut portfolio, further);
        self.setup(&json!({"portfolios": [portfolio]}))
    }

    /// Takes the token back, or gives it again.
    pub fn revoke(&self, revoked: bool) -> Result<()> {
        self.token_is(&json!({"revoked": revoked}))
    }

    /// Changes the token, e.g. its `expires_at`.
    pub fn token_is(&self, further: &Value) -> Result<()> {
        let mut token = json!({"token": self.ids.token, "app": self.ids.app});
        merge(&mut token, further);
        self.setup(&json!({"tokens": [token]}))
    }

    /// Makes a person, or changes one: `phone`, `wa_id`, `user_id`, `has_whatsapp` …
    pub fn person(&self, person: &Value) -> Result<()> {
        self.setup(&json!({"users": [person]}))
    }

    /// Makes a template in the form of Graph, approved unless it has a `status`.
    pub fn template(&self, template: &Value) -> Result<()> {
        let mut template = template.clone();
        merge(&mut template, &json!({"waba": self.ids.waba}));
        self.setup(&json!({"templates": [template]}))
    }

    /// Keeps a file under this id of Meta's.
    pub fn file(&self, id: &str, mime: &str, content: &[u8]) -> Result<()> {
        let data = STANDARD.encode(content);
        self.setup(&json!({"media": [{"id": id, "waba": self.ids.waba, "mime_type": mime, "data": data}]}))
    }

    /// What Meta says of a file that was uploaded: `mime_type`, `sha256` in hexadecimal digits, `file_size`.
    pub fn uploaded(&self, id: &str) -> Result<Value> {
        self.client()?.get(&format!("/{VERSION}/{id}"))?.expect_json(200)
    }

    /// The configuration of a connector of the first number, with further fields.
    pub fn config(&self, further: &Value) -> Value {
        self.config_of(&self.line(), further)
    }

    /// The configuration of a connector of this number, with further fields.
    pub fn config_of(&self, line: &Line, further: &Value) -> Value {
        let mut config = json!({
            "baseUrl": self.sim.base(), "version": VERSION,
            "phoneNumberId": line.phone_number_id, "wabaId": line.waba,
            "accessToken": self.ids.token, "appSecret": APP_SECRET, "verifyToken": VERIFY_TOKEN,
            "appId": self.ids.app, "portfolioId": self.ids.portfolio,
        });
        merge(&mut config, further);
        config
    }

    /// The secret that webhooks are signed with.
    pub fn app_secret(&self) -> &str {
        APP_SECRET
    }

    /// The word with which the callback is verified.
    pub fn verify_token(&self) -> &str {
        VERIFY_TOKEN
    }

    /// The access token.
    pub fn token(&self) -> &str {
        &self.ids.token
    }

    /// Where the first number's messages are posted.
    pub fn messages_url(&self) -> String {
        format!("{}/{VERSION}/{}/messages", self.sim.base(), self.line().phone_number_id)
    }

    /// Has webhooks posted to this URL.
    pub fn call_back(&self, url: &str) -> Result<()> {
        let Ids { app, .. } = &self.ids;
        self.setup(&json!({"apps": [{"id": app, "secret": APP_SECRET, "verify_token": VERIFY_TOKEN, "callback": url}]}))
    }

    /// Enters this URL as Meta's dashboard does: it is verified first.
    pub fn subscribe(&self, url: &str) -> Result<()> {
        let path = format!("/{VERSION}/{}/subscriptions", self.ids.app);
        let body = json!({"object": "whatsapp_business_account", "callback_url": url, "verify_token": VERIFY_TOKEN,
            "fields": "messages"});
        // An app's secret is the token for its own settings.
        let client = self.anonymous()?.bearer(&format!("{}|{APP_SECRET}", self.ids.app));
        let answer = client.post(&path, &body)?.expect_json(200)?;
        ensure!(answer["success"] == true, "{answer}");
        Ok(())
    }

    /// A client of the simulator's API, without a token.
    fn anonymous(&self) -> Result<Client> {
        let base = self.sim.base();
        let address = base.strip_prefix("http://").with_context(|| base.clone())?.parse()?;
        Ok(Client::new(address))
    }

    /// A client of the simulator's API, with the token.
    fn client(&self) -> Result<Client> {
        Ok(self.anonymous()?.bearer(&self.ids.token))
    }

    /// Posts a message to Graph, past the engine.
    pub fn post_message(&self, body: &Value) -> Result<Reply> {
        self.client()?.post(&format!("/{VERSION}/{}/messages", self.line().phone_number_id), body)
    }

    /// Makes a template by Graph's own operation.
    pub fn create_template(&self, template: &Value) -> Result<()> {
        self.client()?.post(&format!("/{VERSION}/{}/message_templates", self.ids.waba), template)?.expect(200)?;
        Ok(())
    }

    /// Changes settings: what is uncertain about Meta, and how webhooks are posted.
    pub fn knobs(&self, changes: &Value) -> Result<()> {
        self.sim.knobs(changes)
    }

    /// Adds a rule of what goes wrong.
    pub fn fault(&self, rule: &Value) -> Result<()> {
        self.sim.faults(&json!([rule]))
    }

    /// Removes all of those rules.
    pub fn no_faults(&self) -> Result<()> {
        self.runtime.block_on(self.sim.call("DELETE", "/admin/faults", json!({})))?;
        Ok(())
    }

    /// A person writes to the first number; Meta's id of the message.
    pub fn says(&self, person: &str, message: &Value) -> Result<String> {
        self.says_to(&self.line(), person, message)
    }

    /// A person writes to this number.
    pub fn says_to(&self, line: &Line, person: &str, message: &Value) -> Result<String> {
        let body = json!({"number_id": line.phone_number_id, "message": message});
        if !self.knows(person) {
            self.person(&json!({"phone": person, "name": "Ana"}))?;
        }
        self.sim.say(person, &body)
    }

    /// A person stops marketing in the app (`stop`), or takes it again (`resume`).
    pub fn prefers(&self, person: &str, value: &str) -> Result<()> {
        self.does(person, "preference", json!({"value": value}))?;
        Ok(())
    }

    /// A person deletes a message for everyone.
    pub fn deletes(&self, person: &str, message: &str) -> Result<()> {
        self.does(person, "delete", json!({"message_id": message}))?;
        Ok(())
    }

    /// A person gets another number, and with it another id of Meta's.
    pub fn changes_number(&self, person: &str, phone: &str, user_id: &str) -> Result<()> {
        self.does(person, "number", json!({"phone": phone, "user_id": user_id}))?;
        Ok(())
    }

    /// What a person does, as the simulator's admin names it; its answer.
    fn does(&self, person: &str, what: &str, body: Value) -> Result<Value> {
        let path = format!("/admin/user/{person}/{what}");
        self.runtime.block_on(self.sim.call("POST", &path, body)).with_context(|| format!("{person}: {what}"))
    }

    fn knows(&self, person: &str) -> bool {
        let state = self.sim.state();
        let mut users = state["users"].as_array().into_iter().flatten();
        let names = |user: &Value| ["id", "phone", "wa_id", "user_id"].iter().any(|name| user[*name] == person);
        users.any(names)
    }

    /// The simulator's id of a template.
    fn template_id(&self, name: &str) -> Result<u64> {
        let state = self.sim.state();
        let mut templates = state["templates"].as_array().into_iter().flatten();
        let id = templates.find(|one| one["name"] == name).and_then(|one| one["id"].as_str()?.parse().ok());
        id.with_context(|| format!("there is no template {name} in {}", state["templates"]))
    }

    /// Drops the messages of a template that are held back.
    pub fn drop_held(&self, name: &str) -> Result<()> {
        self.decide_held(name, false)
    }

    /// Delivers the messages of a template that are held back.
    pub fn release_held(&self, name: &str) -> Result<()> {
        self.decide_held(name, true)
    }

    fn decide_held(&self, name: &str, deliver: bool) -> Result<()> {
        let path = format!("/admin/template/{}/release", self.template_id(name)?);
        let answer = self.runtime.block_on(self.sim.call("POST", &path, json!({"deliver": deliver})))?;
        ensure!(answer["released"].as_u64().is_some_and(|count| count > 0), "nothing was held: {answer}");
        Ok(())
    }

    /// Something happens to a template: `APPROVED`, `REJECTED`, `PAUSED`.
    pub fn review(&self, name: &str, event: &str, reason: &str) -> Result<()> {
        let id = self.template_id(name)?;
        ensure!(self.sim.template_status(id, event, Some(reason)), "the simulator does not know template {name}");
        Ok(())
    }

    /// The simulator's clock goes on, and what is due then is posted.
    pub fn advance(&self, seconds: i64) -> Result<()> {
        self.sim.advance(seconds);
        self.settle()
    }

    /// Waits until every webhook that is due was posted.
    pub fn settle(&self) -> Result<()> {
        self.runtime.block_on(self.sim.flush());
        Ok(())
    }

    /// The requests to paths that contain this, with their answers.
    pub fn requests(&self, path: &str) -> Result<Vec<Value>> {
        let entries = self.sim.journal(0).into_iter().filter(|entry| entry.path.contains(path));
        entries.map(|entry| Ok(serde_json::to_value(entry)?)).collect()
    }

    /// The requests that send a message, with their answers. Read marks are none.
    fn sends(&self) -> Result<Vec<Value>> {
        let mut all = self.requests("/messages")?;
        all.retain(|entry| entry["method"] == "POST" && entry["body"]["status"].is_null());
        Ok(all)
    }

    /// The bodies of the messages that were accepted, in order, also those whose answer was lost.
    pub fn accepted(&self) -> Result<Vec<Value>> {
        let is_accepted = |entry: &Value| entry["answer"]["messages"].is_array();
        Ok(self.sends()?.into_iter().filter(is_accepted).map(|entry| entry["body"].clone()).collect())
    }

    /// How many messages were accepted.
    pub fn accepted_count(&self) -> Result<usize> {
        Ok(usize::try_from(self.sim.accepted())?)
    }

    /// How many requests there were to send a message to this person, however they ended.
    pub fn messages_to(&self, person: &str) -> Result<usize> {
        let digits = person.trim_start_matches('+');
        let is_to = |entry: &Value| {
            ["to", "recipient"]
                .iter()
                .any(|name| entry["body"][*name].as_str().is_some_and(|to| to.trim_start_matches('+') == digits))
        };
        Ok(self.sends()?.iter().filter(|entry| is_to(entry)).count())
    }

    /// Fails if a rule was broken: more people than the portfolio may reach, a rate, the window, a message sent twice, a token or an id
    /// where it must not be.
    pub fn nothing_violated(&self) -> Result<()> {
        let violations = serde_json::to_value(self.sim.violations())?;
        let broken: Vec<String> = violations
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, count)| **count != 0)
            .map(|(rule, count)| format!("{rule}: {count}"))
            .collect();
        ensure!(broken.is_empty(), "the simulator saw rules broken: {}", broken.join(", "));
        Ok(())
    }
}
