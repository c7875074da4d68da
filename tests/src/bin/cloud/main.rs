//! Measures the Cloud connector against the simulator of Meta's Graph API in its fast mode, which accepts at once and remembers little.
//! Writes its figures to target/bench.json.
//!
//! `cloud rows` sends a campaign of ROWS (20000) rows by NUMBERS (4) numbers and measures messages a second, from the first that Graph
//! accepted to the last; the baseline is a plain loop over reqwest in this program, which sends the same bodies to the same simulator and
//! stores nothing.
//!
//! `cloud webhooks` posts the statuses of MESSAGES (4000) sent messages, 1,000 a POST, over and over for SECONDS (10): statuses a second,
//! and how long a webhook with one message waits for its answer meanwhile.

mod rows;
mod webhooks;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use pombo_tests::campaigns::api;
use pombo_tests::graph::{Graph, connect, options};
use pombo_tests::meta::Line;
use pombo_tests::process::target;
use pombo_tests::server::Server;
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::wait::until;
use serde_json::{Map, Value, json};

const PATIENCE: Duration = Duration::from_secs(900);
/// The template.
const NAME: &str = "medida";
/// Messages a second of each number: the most that Meta gives.
const PER_SECOND: u32 = 1000;

/// A number from the environment.
fn size(name: &str, default: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is not a number: {text}")),
        Err(_) => Ok(default),
    }
}

/// Puts a figure into target/bench.json, in addition to what other programs measured.
fn report(name: &str, figure: Value) -> Result<()> {
    println!("{name}: {}", serde_json::to_string_pretty(&figure)?);
    let path = target().join("bench.json");
    let mut figures: Map<String, Value> = match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("{} is not ours", path.display()))?,
        Err(_) => Map::new(),
    };
    figures.insert(name.to_owned(), figure);
    std::fs::write(&path, serde_json::to_string_pretty(&Value::Object(figures))? + "\n")?;
    Ok(())
}

/// An engine, the fast simulator, and one connector for each number.
struct Stage {
    server: Server,
    graph: Graph,
    tenant: Tenant,
    /// Each connector with its number.
    connectors: Vec<(String, Line)>,
}

impl Stage {
    fn start(numbers: usize) -> Result<Self> {
        let server = Server::start(options("[sandbox]\nevents_per_second = 1000000\nevent_kb_per_second = 1000000\n"))?;
        let (graph, tenant) = (Graph::start_fast()?, Tenant::create(&server)?);
        let mut lines = vec![graph.line()];
        for _ in 1..numbers {
            lines.push(graph.another_number()?);
        }
        let mut connectors = Vec::new();
        for line in lines {
            graph.number_of(&line, &json!({"throughput": PER_SECOND}))?;
            let config = graph.config_of(&line, &json!({"perSecond": PER_SECOND}));
            connectors.push((connect(&tenant, &config)?, line));
        }
        graph.template(
            &json!({"name": NAME, "language": "pt_BR", "category": "UTILITY", "parameter_format": "NAMED",
            "components": [{"type": "BODY", "text": "Olá {{nome}}, seu pedido saiu.",
                "example": {"body_text_named_params": [{"param_name": "nome", "example": "Ana"}]}}]}),
        )?;
        Ok(Self { server, graph, tenant, connectors })
    }

    /// Starts a campaign of this connector to so many people, from the `first`th on; its id.
    fn campaign(&self, connector: &str, first: usize, count: usize) -> Result<String> {
        let client = &self.tenant.client;
        api::sync(client, connector)?;
        let template = api::template(client, connector, NAME)?;
        let rows: Vec<Value> = (first..first + count).map(row).collect();
        text_of(&api::draft(client, connector, &template["number"], &rows)?, "id")
    }

    fn begin(&self, campaign: &str) -> Result<()> {
        api::step(&self.tenant.client, campaign, "start").map(drop)
    }

    /// Waits until Graph accepted so many messages.
    fn accepted(&self, goal: usize) -> Result<()> {
        until(&format!("{goal} messages"), PATIENCE, || Ok((self.graph.accepted_count()? >= goal).then_some(())))
    }
}

/// A phone number.
fn phone(n: usize) -> String {
    format!("55219{:08}", 40_000_000 + n)
}

fn row(n: usize) -> Value {
    api::recipient(&phone(n), &json!({"nome": format!("Cliente {n}")}))
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("rows") => rows::measure(size("ROWS", 20_000)?, size("NUMBERS", 4)?.max(1)),
        Some("webhooks") => webhooks::measure(size("MESSAGES", 4_000)?, size("SECONDS", 10)?),
        _ => bail!("say which: rows or webhooks"),
    }
}
