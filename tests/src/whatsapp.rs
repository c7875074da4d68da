//! WhatsApp without WhatsApp: the simulator in this process, on an async runtime of its own, and the calls that join an engine's
//! connector to it. Tests stay plain: [`WhatsApp::wait`] blocks on what the simulator and its peers do.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pombo_whatsapp_sim::peer::{Endpoints, Peer};
use pombo_whatsapp_sim::world::NewAccount;
use pombo_whatsapp_sim::{Options, Ports, Simulator, World};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::process::target;
use crate::server;
use crate::tenant::{Tenant, text_of};
use crate::wait::{PATIENCE, until};

/// The plugin's name.
pub const PLUGIN: &str = "connector-whatsapp";

/// A running simulator.
pub struct WhatsApp {
    runtime: Runtime,
    simulator: Mutex<Option<Simulator>>,
    world: Arc<World>,
    ports: Ports,
}

/// The folder with the connector that was built for the simulator.
pub fn plugins() -> PathBuf {
    target().join("simulator")
}

/// The engine's options: its WhatsApp connector is the one built for the simulator.
pub fn options() -> server::Options {
    with("")
}

/// The same with further lines of configuration.
pub fn with(lines: &str) -> server::Options {
    let folder = plugins();
    server::Options {
        demo: false,
        ..server::Options::with(&format!("[sandbox]\nplugin_dir = {:?}\n{lines}", folder.display().to_string()))
    }
}

impl WhatsApp {
    /// Starts one with these accounts.
    pub fn start(phones: &[&str]) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let simulator = runtime.block_on(Simulator::start(Options::default()))?;
        let (world, ports) = (simulator.world().clone(), simulator.ports());
        let whatsapp = Self { runtime, simulator: Mutex::new(Some(simulator)), world, ports };
        phones.iter().try_for_each(|phone| whatsapp.register(phone))?;
        Ok(whatsapp)
    }

    /// Makes an account.
    pub fn register(&self, phone: &str) -> Result<()> {
        self.world.register(NewAccount { phone: phone.to_owned(), ..NewAccount::default() })?;
        Ok(())
    }

    /// What the simulator remembers: accounts, queues, faults, the ledger of what went through.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Blocks on something of the simulator's.
    pub fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Where its clients connect.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints {
            websocket: format!("ws://127.0.0.1:{}/ws/chat", self.ports.ws),
            admin: format!("http://127.0.0.1:{}", self.ports.admin),
        }
    }

    /// `host:port` of its media host.
    pub fn media_host(&self) -> String {
        format!("127.0.0.1:{}", self.ports.media)
    }

    /// The port of its websocket.
    pub fn port(&self) -> u16 {
        self.ports.ws
    }

    /// A native client on this account, paired.
    pub fn peer(&self, phone: &str) -> Result<Peer> {
        Ok(self.wait(Peer::pair(self.endpoints(), phone))?)
    }

    /// Calls the admin.
    pub fn admin(&self, path: &str, body: &Value) -> Result<Value> {
        Ok(self.wait(pombo_whatsapp_sim::peer::post(&format!("{}{path}", self.endpoints().admin), body))?)
    }

    /// Stops the servers, runs `meanwhile`, and starts them again on the same ports.
    pub fn restart(&self, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut held = self.simulator.lock().unwrap_or_else(PoisonError::into_inner);
        let running = held.take().context("the simulator is stopped")?;
        let (world, ports) = self.wait(running.stop());
        meanwhile()?;
        *held = Some(self.wait(Simulator::start_with(world, ports))?);
        Ok(())
    }

    /// The configuration of a connector that talks to this simulator, with further fields.
    pub fn config(&self, further: &Value) -> Value {
        let mut config = json!({
            "serverHost": format!("127.0.0.1:{}", self.ports.ws),
            "mediaHost": self.media_host(),
            "typing": {"enabled": false},
        });
        if let (Some(config), Some(further)) = (config.as_object_mut(), further.as_object()) {
            config.extend(further.clone());
        }
        config
    }

    /// A connector of `tenant` at full speed, not paired.
    pub fn unpaired(&self, tenant: &Tenant) -> Result<String> {
        let connector = tenant.connector(PLUGIN, &self.config(&json!({})))?;
        tenant.pace(&connector, &json!({}))?;
        Ok(connector)
    }

    /// A connector of `tenant`, paired with the account's phone by QR.
    pub fn paired(&self, tenant: &Tenant, phone: &str) -> Result<String> {
        let connector = self.unpaired(tenant)?;
        self.pair(tenant, &connector, phone)?;
        Ok(connector)
    }

    /// Pairs the connector with the account's phone by QR.
    pub fn pair(&self, tenant: &Tenant, connector: &str, phone: &str) -> Result<()> {
        let path = format!("/v1/connectors/{connector}/session");
        let session = tenant.client.post(&path, &json!({}))?.expect_json(200)?;
        if session["status"] != "QR_CODE" {
            bail!("no QR code: {session}");
        }
        self.admin(&format!("/phones/{phone}/scan"), &json!({"qr": text_of(&session, "qrText")?}))?;
        connected(tenant, connector)
    }
}

/// Waits until the connector's session is connected.
pub fn connected(tenant: &Tenant, connector: &str) -> Result<()> {
    session(tenant, connector, "CONNECTED").map(|_| ())
}

/// Waits until the connector's session is in this state; the session.
pub fn session(tenant: &Tenant, connector: &str, status: &str) -> Result<Value> {
    let mut last = Value::Null;
    until(&format!("the session to be {status}"), PATIENCE, || {
        last = tenant.client.get(&format!("/v1/connectors/{connector}/session"))?.expect_json(200)?;
        Ok((last["status"] == status).then(|| last.clone()))
    })
    .with_context(|| format!("the session's last state: {last}"))
}

/// A reader of a tenant's events, from where it was made.
pub struct Events<'a> {
    tenant: &'a Tenant,
    next: u64,
    seen: Vec<Value>,
}

impl<'a> Events<'a> {
    /// From now on.
    pub fn from_now(tenant: &'a Tenant) -> Result<Self> {
        let page = tenant.client.get("/v1/events?after=latest&limit=1")?.expect_json(200)?;
        Ok(Self { tenant, next: page["next"].as_u64().context("no next")?, seen: Vec::new() })
    }

    /// From the beginning.
    pub fn all(tenant: &'a Tenant) -> Self {
        Self { tenant, next: 0, seen: Vec::new() }
    }

    /// The first event, seen before or still to come, that `wanted` takes.
    pub fn expect(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let start = std::time::Instant::now();
        let mut looked = 0;
        loop {
            if let Some(found) = self.seen[looked..].iter().find(|event| wanted(event)) {
                return Ok(found.clone());
            }
            looked = self.seen.len();
            if start.elapsed() > PATIENCE {
                bail!("no event: {what}; seen: {}", json!(self.seen));
            }
            self.read(Duration::from_secs(5))?;
        }
    }

    /// The received message with this provider id.
    pub fn message(&mut self, provider_id: &str) -> Result<Value> {
        let event = self.expect(&format!("message {provider_id}"), |event| {
            event["type"] == "message.received" && event["data"]["providerId"] == provider_id
        })?;
        Ok(event["data"].clone())
    }

    /// A receipt of this kind for a message that was sent.
    pub fn receipt(&mut self, message: &str, kind: &str) -> Result<Value> {
        let event = self.expect(&format!("receipt {kind} of {message}"), |event| {
            event["type"] == "message.receipt" && event["data"]["messageId"] == message && event["data"]["kind"] == kind
        })?;
        Ok(event["data"].clone())
    }

    /// Reads what there is, waiting up to `wait` when there is nothing; all that was seen so far.
    pub fn read(&mut self, wait: Duration) -> Result<&[Value]> {
        let path = format!("/v1/events?after={}&limit=250&wait={}", self.next, wait.as_secs());
        let page = self.tenant.client.get(&path)?.expect_json(200)?;
        self.next = page["next"].as_u64().context("no next")?;
        self.seen.extend(page["data"].as_array().context("no data")?.iter().cloned());
        Ok(&self.seen)
    }

    /// Reads until there is nothing more; all that was seen.
    pub fn drain(&mut self) -> Result<&[Value]> {
        loop {
            let before = self.seen.len();
            self.read(Duration::ZERO)?;
            if self.seen.len() == before {
                return Ok(&self.seen);
            }
        }
    }
}
