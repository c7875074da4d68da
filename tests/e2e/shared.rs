//! What tests share: one server and one mail server for the whole run.

use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::Result;
use pombo_tests::mail::FaultySmtp;
use pombo_tests::process::target;
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::wait::{PATIENCE, until};
use serde_json::json;

fn once<T: Sync + Send>(cell: &'static OnceLock<T>, start: impl FnOnce() -> Result<T>) -> Result<&'static T> {
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(started) = cell.get() {
        return Ok(started);
    }
    let started = start()?;
    Ok(cell.get_or_init(|| started))
}

/// The server.
pub(crate) fn server() -> Result<&'static Server> {
    static SERVER: OnceLock<Server> = OnceLock::new();
    // An event that an automation fails at is put aside soon.
    let options = Options::with("[automations]\nretry_seconds = [1]");
    once(&SERVER, || Server::start(Options { folder: Some(target().join("e2e-server")), ..options }))
}

/// The mail server.
pub(crate) fn smtp() -> Result<&'static FaultySmtp> {
    static SMTP: OnceLock<FaultySmtp> = OnceLock::new();
    once(&SMTP, FaultySmtp::start)
}

/// A tenant with an e-mail connector to the plain listener.
pub(crate) fn mailing_tenant() -> Result<(Tenant, String)> {
    let tenant = Tenant::create(server()?)?;
    let connector = tenant.email(smtp()?, "plain", &json!({}))?;
    Ok((tenant, connector))
}

/// A tenant with an e-mail connector that is paused: what is sent stays in the queue.
pub(crate) fn queueing_tenant() -> Result<(Tenant, String)> {
    let (tenant, connector) = mailing_tenant()?;
    tenant.set_paused(&connector, true)?;
    Ok((tenant, connector))
}

/// What a tenant has of automations and plugins, by the name that stands in a path.
pub(crate) struct Automated {
    pub(crate) automation: String,
    pub(crate) conversation: String,
    pub(crate) parked: String,
    pub(crate) trust_root: String,
}

/// Puts an automation on a connector that is e-mail, and has it fail at an event.
pub(crate) fn automated(tenant: &Tenant, connector: &str) -> Result<Automated> {
    let client = &tenant.client;
    // Nobody listens at its server.
    let config = json!({"url": "http://127.0.0.1:9/private", "secret": "0123456789abcdef"});
    let body = json!({"name": "private", "plugin": "integration-webhook", "connectorId": connector, "config": config});
    let automation = text_of(&client.post("/v1/automations", &body)?.expect_json(201)?, "id")?;
    let start = json!({"to": "private@customers.test", "input": {"words": "private"}});
    let started = client.post(&format!("/v1/automations/{automation}/start"), &start)?.expect_json(202)?;
    let parked = until("an event to be put aside", PATIENCE, || {
        let page = client.get("/v1/automations/parked")?.expect_json(200)?;
        Ok(page["data"][0]["id"].as_str().map(str::to_owned))
    })?;
    let root = json!({"name": "private", "key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="});
    let root = client.post("/v1/trust-roots", &root)?.expect_json(201)?;
    Ok(Automated {
        automation,
        conversation: text_of(&started, "conversationId")?,
        parked,
        trust_root: text_of(&root, "id")?,
    })
}
