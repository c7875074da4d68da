//! What tests share: one engine for the whole run. Each test has its own simulator, tenant and connector.

use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result};
use pombo_tests::campaigns::api;
use pombo_tests::graph::{Graph, connect, options};
use pombo_tests::meta::{Hook, now};
use pombo_tests::process::target;
use pombo_tests::server::Server;
use pombo_tests::tenant::{Tenant, text_of, unique};
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

/// The shared engine. Tests on it cause no fault that another could feel.
pub(crate) fn server() -> Result<&'static Server> {
    static SERVER: OnceLock<Server> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = SERVER.get() {
        return Ok(server);
    }
    let mut options = options("");
    options.folder = Some(target().join("cloud-server"));
    let server = Server::start(options)?;
    Ok(SERVER.get_or_init(|| server))
}

/// A number of this run's own: Brazilian, mobile, nobody's. It has the ninth digit.
pub(crate) fn person() -> String {
    format!("551198{:07}", unique())
}

/// A simulator with one number, and a tenant whose connector has that number.
pub(crate) struct Bench {
    pub(crate) graph: Graph,
    pub(crate) tenant: Tenant,
    pub(crate) connector: String,
    /// Where webhooks of the test's own go.
    pub(crate) hook: Hook,
    /// Whether the simulator posts webhooks.
    calls_back: bool,
}

impl Bench {
    /// One whose simulator posts webhooks to the connector.
    pub(crate) fn new() -> Result<Self> {
        let mut bench = Self::silent()?;
        bench.let_call_back(server()?)?;
        Ok(bench)
    }

    /// One whose simulator posts nothing: the test posts all webhooks itself.
    pub(crate) fn silent() -> Result<Self> {
        Self::on(server()?)
    }

    /// The same on an engine of the test's own.
    pub(crate) fn on(server: &Server) -> Result<Self> {
        Self::at(server, Graph::start()?, &json!({}))
    }

    /// The same at this simulator, with further settings of the connector.
    pub(crate) fn at(server: &Server, graph: Graph, further: &Value) -> Result<Self> {
        let tenant = Tenant::create(server)?;
        let connector = connect(&tenant, &graph.config(further))?;
        let hook = Hook::to(server, &connector, graph.app_secret());
        Ok(Self { graph, tenant, connector, hook, calls_back: false })
    }

    /// Has the simulator post its webhooks to the connector.
    pub(crate) fn let_call_back(&mut self, server: &Server) -> Result<()> {
        self.graph.call_back(&self.hook.url(server))?;
        self.calls_back = true;
        Ok(())
    }

    /// Queues a message by the control API; the answer, whatever its status.
    pub(crate) fn try_queue(&self, body: &Value) -> Result<pombo_tests::http::Reply> {
        self.tenant.client.post(&format!("/v1/connectors/{}/messages", self.connector), body)
    }

    /// Queues a message by the control API; its id.
    pub(crate) fn queue(&self, body: &Value) -> Result<String> {
        text_of(&self.try_queue(body)?.expect_json(201)?, "id")
    }

    /// Queues a message and waits until it is SENT; its id and Meta's.
    pub(crate) fn send(&self, body: &Value) -> Result<(String, String)> {
        let id = self.queue(body)?;
        let message = self.tenant.wait_status(&id, &["SENT", "FAILED"])?;
        let provider_id = text_of(&message, "providerId").with_context(|| message.to_string())?;
        Ok((id, provider_id))
    }

    /// A person writes, at the simulator and by a webhook: the window is open then.
    pub(crate) fn opened(&self, person: &str) -> Result<String> {
        let id = self.graph.says(person, &json!({"type": "text", "text": {"body": "oi"}}))?;
        if !self.calls_back {
            self.hook.post(&self.graph.line().text(person, &id, "oi", now()))?;
        }
        until(&format!("the reply window of {person}"), PATIENCE, || {
            Ok(self.listed(person)?.filter(|conversation| conversation["replyWindow"]["open"] == true))
        })?;
        Ok(id)
    }

    /// Waits for the conversation with this person.
    pub(crate) fn conversation(&self, person: &str) -> Result<Value> {
        until(&format!("the conversation with {person}"), PATIENCE, || self.listed(person))
    }

    /// The conversation with this person, if there is one.
    fn listed(&self, person: &str) -> Result<Option<Value>> {
        let path = format!("/v1/conversations?connectorId={}&limit=100", self.connector);
        let page = self.tenant.client.get(&path)?.expect_json(200)?;
        let all = page["data"].as_array().context("no data")?;
        Ok(all.iter().find(|one| one["chat"] == person).cloned())
    }

    /// What was said in the conversation with this person, oldest first.
    pub(crate) fn said(&self, person: &str) -> Result<Vec<Value>> {
        let id = text_of(&self.conversation(person)?, "id")?;
        let page = self.tenant.client.get(&format!("/v1/conversations/{id}/messages?limit=100"))?.expect_json(200)?;
        let mut all = page["data"].as_array().context("no data")?.clone();
        all.sort_by_key(|entry| entry["number"].as_u64());
        Ok(all)
    }

    /// Waits until a message looks as wanted; the message.
    pub(crate) fn message_when(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        until(&format!("message {id} to be {what}"), PATIENCE, || {
            last = self.tenant.message(id)?;
            Ok(wanted(&last).then(|| last.clone()))
        })
        .with_context(|| format!("it is {last}"))
    }

    /// Queues a template by its content, as the plugin takes it.
    pub(crate) fn queue_template(&self, to: &str, value: &Value) -> Result<String> {
        self.queue(&json!({"to": to, "content": {"kind": "template", "value": value}}))
    }

    /// Queues the template of [`named_template`] for this person.
    pub(crate) fn queue_named(&self, to: &str, name: &str) -> Result<String> {
        self.queue_template(to, &named_content(name))
    }

    /// The bodies of the messages that Graph accepted for this person (by `to` or `recipient`), in order.
    pub(crate) fn accepted(&self, person: &str) -> Result<Vec<Value>> {
        let wanted = |body: &Value| [&body["to"], &body["recipient"]].iter().any(|to| same_address(to, person));
        Ok(self.graph.accepted()?.into_iter().filter(wanted).collect())
    }

    /// Makes an approved template at the simulator and syncs; the tenant's number for it.
    pub(crate) fn template(&self, template: &Value) -> Result<u64> {
        self.graph.template(template)?;
        self.sync()?;
        self.found(&text_of(template, "name")?)?["number"].as_u64().context("no number")
    }

    /// Takes the connector's templates over from Graph.
    pub(crate) fn sync(&self) -> Result<Value> {
        api::sync(&self.tenant.client, &self.connector)
    }

    /// The connector's template with this name.
    pub(crate) fn found(&self, name: &str) -> Result<Value> {
        api::template(&self.tenant.client, &self.connector, name)
    }

    /// Fails if the simulator saw a rule broken.
    pub(crate) fn nothing_violated(&self) -> Result<()> {
        self.graph.nothing_violated()
    }
}

/// Whether this is that person, with or without the plus.
fn same_address(to: &Value, person: &str) -> bool {
    to.as_str().is_some_and(|to| to.trim_start_matches('+') == person.trim_start_matches('+'))
}

/// The content of a message that sends the template of [`named_template`].
pub(crate) fn named_content(name: &str) -> Value {
    json!({"name": name, "language": "pt_BR", "format": "named", "category": "utility",
        "body": [{"name": "nome", "value": "João"}, {"name": "codigo", "value": "ABC123"}]})
}

/// A template of Graph's form with named variables: utility, Portuguese, a body with `nome` and `codigo`.
pub(crate) fn named_template(name: &str) -> Value {
    json!({"name": name, "language": "pt_BR", "category": "UTILITY", "parameter_format": "NAMED", "components": [
        {"type": "BODY", "text": "Olá {{nome}}, seu código é {{codigo}}.", "example": {"body_text_named_params": [
            {"param_name": "nome", "example": "Ana"}, {"param_name": "codigo", "example": "A1"}]}}]})
}

/// The same for marketing, with one variable.
pub(crate) fn marketing_template(name: &str) -> Value {
    json!({"name": name, "language": "pt_BR", "category": "MARKETING", "parameter_format": "NAMED", "components": [
        {"type": "BODY", "text": "Oi {{nome}}, temos pão fresco hoje!", "example": {"body_text_named_params": [
            {"param_name": "nome", "example": "Ana"}]}}]})
}
