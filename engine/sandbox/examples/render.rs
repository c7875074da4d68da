//! Renders batches of 100 in the sandbox and by native minijinja, templates cached on both sides, and prints a JSON line for
//! each template: microseconds a text, and their ratio. Also what one send through a no-op connector costs.
//!
//! Both sides get the variables as JSON text, as the queue holds them. Spintax is unknown to minijinja: there the native side
//! draws by a function, in the same template otherwise.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use minijinja::{Environment, UndefinedBehavior};
use pombo_domain::ports::{ConnectorSpec, Connectors, RenderJob, Renderer, SendOutcome, SessionState};
use pombo_domain::{ConnectorIndex, TenantIndex};
use pombo_sandbox::{Compiling, Embedded, Limits, Options, Ports, Sandbox};
use pombo_testkit::{CountingEntropy, SystemClock, built, samples};
use serde_json::{Value, json};
use uuid::Uuid;

const BATCH: usize = 100;
const FOR: Duration = Duration::from_secs(1);
/// The no-op connector.
const NOOP: ConnectorIndex = ConnectorIndex(1);

/// The best of several rounds: what the code costs, not what the machine was doing besides.
fn best(mut micros: Vec<f64>) -> f64 {
    micros.sort_by(f64::total_cmp);
    micros.first().copied().unwrap_or(f64::NAN)
}

fn native(template: &str, variables: &[Arc<str>]) -> f64 {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.add_function("draw", |n: u64| 7 % n);
    env.add_template("t", template).expect("compiles");
    let mut rounds = Vec::new();
    let start = Instant::now();
    while start.elapsed() < FOR {
        let round = Instant::now();
        for text in variables {
            let context: minijinja::Value = serde_json::from_str(text).expect("JSON");
            let template = env.get_template("t").expect("is there");
            std::hint::black_box(template.render(context).expect("renders"));
        }
        rounds.push(round.elapsed().as_secs_f64() * 1e6 / variables.len() as f64);
    }
    best(rounds)
}

async fn sandboxed(renderer: &dyn Renderer, template: &str, variables: &[Arc<str>]) -> f64 {
    let template: Arc<str> = template.into();
    let mut rounds = Vec::new();
    let start = Instant::now();
    while start.elapsed() < FOR {
        let jobs = variables
            .iter()
            .enumerate()
            .map(|(i, v)| RenderJob { template: template.clone(), seed: i as u64, variables: v.clone() })
            .collect();
        let round = Instant::now();
        let results = renderer.render(jobs).await;
        rounds.push(round.elapsed().as_secs_f64() * 1e6 / variables.len() as f64);
        assert!(results.iter().all(Result::is_ok), "{:?}", results[0]);
    }
    best(rounds)
}

/// A sandbox with the renderer and the no-op connector's plugin. Neither needs anything of an engine.
async fn opened(folder: &Path) -> Sandbox {
    let operator_dir = folder.join("plugins");
    std::fs::create_dir_all(&operator_dir).expect("a folder");
    std::fs::write(operator_dir.join("noop.wasm"), built("plugins/noop.wasm")).expect("written");
    let options = Options {
        cache_dir: folder.join("cache"),
        compiled_ahead: None,
        operator_dir: Some(operator_dir),
        uploads_dir: folder.join("uploads"),
        compile_command: None,
        embedded: vec![Embedded { name: "renderer", component: Vec::leak(built("plugins/renderer.wasm")) }],
        grants: BTreeMap::new(),
        smtp_plain_hosts: Vec::new(),
        http_plain_hosts: Vec::new(),
        authorities: Vec::new(),
        connect_to: BTreeMap::new(),
        limits: Limits::default(),
        renderers: 2,
        compiling: Compiling::default(),
    };
    let ports = Ports::offline(Arc::new(SystemClock), Arc::new(CountingEntropy::new(42)));
    Sandbox::open(options, ports).await.expect("opens")
}

/// Starts the no-op connector and waits until it can send.
async fn start_noop(sandbox: &Sandbox) {
    let spec = ConnectorSpec {
        index: NOOP,
        id: Uuid::from_u128(1),
        tenant: TenantIndex(1),
        plugin: "noop".to_owned(),
        config: json!({}),
        secrets: BTreeMap::new(),
        proxy: None,
    };
    sandbox.start(spec).await.expect("starts");
    let mut state = sandbox.session(NOOP);
    while state != SessionState::Connected {
        state = sandbox.session_after(NOOP, &state).await;
    }
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = opened(folder.path()).await;
    let renderer = sandbox.renderers();
    let variables: Vec<Arc<str>> = (0..BATCH)
        .map(|i| json!({"nome": format!("Maria da Silva {i}"), "pedido": 4000 + i, "cidade": "São Paulo", "vip": i % 2 == 0}))
        .map(|v: Value| v.to_string().into())
        .collect();
    let body =
        "o pedido {{ pedido }} saiu para entrega em {{ cidade }} e chega até as 18h. Obrigado por comprar conosco!";
    let spun = format!("{{Olá|Oi|Bom dia}} {{{{ nome }}}}, {body} {{Abraço|Até logo}}.");
    let drawn = format!(
        "{{% set d = draw(3) %}}{{% if d == 0 %}}Olá{{% elif d == 1 %}}Oi{{% else %}}Bom dia{{% endif %}} {{{{ nome }}}}, {body} \
         {{% set d = draw(2) %}}{{% if d == 0 %}}Abraço{{% else %}}Até logo{{% endif %}}."
    );
    let plain = format!("Olá {{{{ nome }}}}, {body}");
    let rich = format!(
        "Olá {{{{ nome|upper }}}}, {body}{{% if vip %}} O frete foi grátis.{{% endif %}}{{% for i in range(3) %}} {{{{ i }}}}{{% endfor %}}"
    );
    for (name, ours, theirs) in
        [("variables", &plain, &plain), ("spintax", &spun, &drawn), ("filters and conditions", &rich, &rich)]
    {
        let native = native(theirs, &variables);
        let ours = sandboxed(&*renderer, ours, &variables).await;
        println!(
            "{}",
            json!({"figure": "render", "template": name, "ours": ours, "peer": native, "ratio": ours / native, "unit": "µs a text"})
        );
    }

    start_noop(&sandbox).await;
    let message = samples::outgoing("ana@exemplo.com", "x");
    let mut rounds = Vec::new();
    let start = Instant::now();
    while start.elapsed() < FOR {
        let round = Instant::now();
        let outcomes = join_all((0..1000).map(|_| sandbox.send(NOOP, message.clone()))).await;
        rounds.push(round.elapsed().as_secs_f64() * 1e6 / outcomes.len() as f64);
        assert!(outcomes.iter().all(|o| matches!(o, SendOutcome::Accepted { .. })));
    }
    println!("{}", json!({"figure": "send", "ours": best(rounds), "unit": "µs a send"}));
}
