//! What tests share: one engine and one simulator for the whole run, and phone numbers that nobody else uses.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::Result;
use pombo_tests::process::target;
use pombo_tests::server::Server;
use pombo_tests::tenant::Tenant;
use pombo_tests::whatsapp::{WhatsApp, options};
use pombo_whatsapp_sim::peer::Peer;
use serde_json::Value;

/// An engine with the connector that was built for the simulator, and that simulator.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) whatsapp: WhatsApp,
}

/// The shared one. Tests on it cause no fault that another could feel.
pub(crate) fn stage() -> Result<&'static Stage> {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stage) = STAGE.get() {
        return Ok(stage);
    }
    let mut options = options();
    options.folder = Some(target().join("whatsapp-server"));
    let stage = Stage { server: Server::start(options)?, whatsapp: WhatsApp::start(&[])? };
    Ok(STAGE.get_or_init(|| stage))
}

/// A phone number of this run's own: Brazilian, mobile, nobody's.
pub(crate) fn number() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("551199{:07}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A tenant with a paired connector, and a person's native client that is paired too.
pub(crate) struct Pair {
    pub(crate) tenant: Tenant,
    pub(crate) connector: String,
    /// The connector's number.
    pub(crate) ours: String,
    pub(crate) peer: Peer,
    /// The person's number.
    pub(crate) theirs: String,
}

/// One of them on the shared stage.
pub(crate) fn pair() -> Result<(&'static Stage, Pair)> {
    let stage = stage()?;
    Ok((stage, pair_on(&stage.server, &stage.whatsapp)?))
}

/// One of them on a stage of the test's own.
pub(crate) fn pair_on(server: &Server, whatsapp: &WhatsApp) -> Result<Pair> {
    let (ours, theirs) = (number(), number());
    whatsapp.register(&ours)?;
    whatsapp.register(&theirs)?;
    let tenant = Tenant::create(server)?;
    let connector = whatsapp.paired(&tenant, &ours)?;
    let peer = whatsapp.peer(&theirs)?;
    Ok(Pair { tenant, connector, ours, peer, theirs })
}

impl Pair {
    /// Queues a message by the control API; its id.
    pub(crate) fn queue(&self, body: &Value) -> Result<String> {
        queue(&self.tenant, &self.connector, body)
    }
    /// Queues a message and waits until it is SENT; its id and the channel's id for it.
    pub(crate) fn send(&self, body: &Value) -> Result<(String, String)> {
        sent(&self.tenant, &self.queue(body)?)
    }
}

/// Queues a message by the control API; its id.
pub(crate) fn queue(tenant: &Tenant, connector: &str, body: &Value) -> Result<String> {
    let made = tenant.client.post(&format!("/v1/connectors/{connector}/messages"), body)?.expect_json(201)?;
    pombo_tests::tenant::text_of(&made, "id")
}

/// Waits until a message is SENT; its id and the channel's id for it.
pub(crate) fn sent(tenant: &Tenant, id: &str) -> Result<(String, String)> {
    tenant.wait_status(id, &["SENT"])?;
    let message = tenant.client.get(&format!("/v1/messages/{id}"))?.expect_json(200)?;
    Ok((id.to_owned(), pombo_tests::tenant::text_of(&message, "providerId")?))
}
