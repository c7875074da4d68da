//! The automations that are shipped with the engine, each over WhatsApp.

use anyhow::{Result, ensure};
use pombo_tests::automation::automate;
use pombo_tests::server::Server;
use pombo_tests::tenant::Tenant;
use pombo_tests::whatsapp::{Events, WhatsApp, options};
use pombo_whatsapp_sim::peer::Peer;
use serde_json::{Value, json};

use crate::service::Service;

const OURS: &str = "5511900000001";
const THEIRS: &str = "5511900000002";

struct Pair {
    whatsapp: WhatsApp,
    _server: Server,
    tenant: Tenant,
    connector: String,
    peer: Peer,
}

impl Pair {
    fn new() -> Result<Self> {
        let whatsapp = WhatsApp::start(&[OURS, THEIRS])?;
        let server = Server::start(options())?;
        let tenant = Tenant::create(&server)?;
        let connector = whatsapp.paired(&tenant, OURS)?;
        let peer = whatsapp.peer(THEIRS)?;
        Ok(Self { whatsapp, _server: server, tenant, connector, peer })
    }

    fn automate(&self, plugin: &str, config: &Value) -> Result<String> {
        automate(&self.tenant, &self.connector, plugin, config)
    }

    /// The person writes.
    fn says(&self, text: &str) -> Result<()> {
        let chat = format!("{OURS}@s.whatsapp.net").parse()?;
        self.whatsapp.wait(self.peer.send_text(&chat, text))?;
        Ok(())
    }

    /// Waits until the person has got so many messages; their texts.
    fn reads(&self, count: usize) -> Result<Vec<String>> {
        let texts = self.whatsapp.wait(self.peer.wait_for("the answers", |seen| {
            (seen.received.len() >= count)
                .then(|| seen.received.iter().map(|m| m.text.clone().unwrap_or_default()).collect::<Vec<_>>())
        }))?;
        Ok(texts)
    }
}

#[test]
fn a_flow_takes_an_order_over_whatsapp() -> Result<()> {
    let pair = Pair::new()?;
    let mut config: Value = serde_json::from_str(include_str!("../../plugins/flow/examples/pizzaria.json"))?;
    // Open all week: the test runs whenever it runs.
    config["flow"]["businessHours"] = json!({});
    pair.automate("flow", &config)?;
    let mut events = Events::from_now(&pair.tenant)?;
    let script = [
        ("oi", "O que você deseja?"),
        ("quero pedir", "Qual sabor?"),
        ("queijo", "Quantas pizzas de quatro queijos?"),
        ("muitas", "Diga só o número"),
        ("12", "CEP"),
        ("01310-100", "complemento"),
        ("42, fundos {{x}}", "Confirma: 12 de quatro queijos para o CEP 01310100, 42, fundos {{x}}?"),
        ("sim", "Pedido anotado!"),
    ];
    for (turn, (says, answer)) in script.iter().enumerate() {
        pair.says(says)?;
        let texts = pair.reads(turn + 1)?;
        ensure!(texts[turn].contains(answer), "{says}: {texts:?}");
    }
    let page = pair.tenant.client.get("/v1/conversations?tag=festa")?.expect_json(200)?;
    ensure!(page["data"][0]["tags"] == json!(["festa", "pedido"]), "{page}");
    pair.says("atendente")?;
    // The flow waits three hours for the opinion and leaves messages until then to people: nothing is answered, nobody is called.
    events.expect("the message", |e| e["type"] == "message.received" && e["data"]["text"] == "atendente")?;
    Ok(())
}

#[test]
fn a_webhook_decides_the_answer_over_whatsapp() -> Result<()> {
    let pair = Pair::new()?;
    let service = Service::start(|request| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let text = asked.pointer("/message/text").and_then(Value::as_str).unwrap_or_default();
        match text {
            "nada" => (204, String::new()),
            text => (200, json!({"messages": [{"text": format!("você disse: {text}")}, {"text": "mais algo?"}], "actions": [{"type": "tag", "tag": "bot"}]}).to_string()),
        }
    })?;
    let config = json!({"url": service.url("/bot"), "secret": "um segredo bem comprido"});
    pair.automate("integration-webhook", &config)?;
    pair.says("olá")?;
    let texts = pair.reads(2)?;
    assert_eq!(texts, ["você disse: olá", "mais algo?"]);
    let request = service.requests().remove(0);
    ensure!(!request.header("x-pombo-signature").is_empty(), "{:?}", request.headers);
    ensure!(
        request.json()["conversation"]["chat"].as_str().is_some_and(|chat| chat.contains(THEIRS)),
        "{:?}",
        request.json()
    );
    pair.says("nada")?;
    pair.says("fim")?;
    assert_eq!(pair.reads(4)?[2], "você disse: fim");
    Ok(())
}

#[test]
fn a_model_answers_over_whatsapp_within_its_budget_and_hands_over() -> Result<()> {
    let pair = Pair::new()?;
    let service = Service::start(|request| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let messages = asked["messages"].as_array().cloned().unwrap_or_default();
        let last = messages.last().and_then(|m| m["content"].as_str()).unwrap_or_default().to_owned();
        let answer = json!({"id": "x", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": format!("{} mensagens até «{last}»", messages.len())}}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}});
        (200, answer.to_string())
    })?;
    let config =
        json!({"baseUrl": service.url("/v1"), "model": "um-modelo", "auth": "none", "systemPrompt": "Você é breve."});
    pair.automate("integration-llm", &config)?;
    pair.says("bom dia")?;
    let first = pair.reads(1)?;
    ensure!(first[0].contains("«bom dia»"), "{first:?}");
    pair.says("e o preço?")?;
    let second = pair.reads(2)?;
    ensure!(second[1].contains("«e o preço?»"), "{second:?}");
    let last = service.requests().pop().map(|r| r.json()).unwrap_or_default();
    let roles: Vec<&str> =
        last["messages"].as_array().into_iter().flatten().filter_map(|m| m["role"].as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"], "{last}");
    pair.says("quero falar com um atendente")?;
    pombo_tests::wait::until("the hand-over", pombo_tests::wait::PATIENCE, || {
        let page = pair.tenant.client.get("/v1/conversations?paused=true")?.expect_json(200)?;
        Ok(page["data"].as_array().is_some_and(|all| all.len() == 1).then_some(()))
    })?;
    Ok(())
}
