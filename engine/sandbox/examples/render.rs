//! Renders batches of 100 in the sandbox and by native minijinja, templates cached on both sides, and prints a JSON line for
//! each template: microseconds a text, and their ratio. Also what one send through a no-op connector costs.
//!
//! Both sides get the variables as JSON text, as the queue holds them. Spintax is unknown to minijinja: there the native side
//! draws by a function, in the same template otherwise.

#[allow(dead_code, reason = "shared with the tests")]
#[path = "../tests/sandbox/support.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use minijinja::{Environment, UndefinedBehavior};
use pombo_domain::ports::{RenderJob, Renderer, SendOutcome};
use serde_json::{Value, json};

const BATCH: usize = 100;
const FOR: Duration = Duration::from_secs(1);

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

#[tokio::main]
async fn main() {
    let noop = support::built("plugins/noop.wasm");
    let world = support::world(support::Wish { plugins: vec![("noop.wasm", noop)], ..Default::default() }).await;
    let renderer = world.sandbox.renderers();
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

    world.start(1, "noop", json!({})).await;
    let mut rounds = Vec::new();
    let start = Instant::now();
    while start.elapsed() < FOR {
        let round = Instant::now();
        let outcomes = join_all((0..1000).map(|_| world.send(1, "x"))).await;
        rounds.push(round.elapsed().as_secs_f64() * 1e6 / outcomes.len() as f64);
        assert!(outcomes.iter().all(|o| matches!(o, SendOutcome::Accepted { .. })));
    }
    println!("{}", json!({"figure": "send", "ours": best(rounds), "unit": "µs a send"}));
}
