//! A test's tenant: its key, its connectors, and the calls that most tests make. Each test creates its own tenants, so tests
//! share a server without seeing each other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::http::{Client, Reply, query};
use crate::mail::FaultySmtp;
use crate::server::Server;
use crate::wait::{PATIENCE, until};

/// The base path of the SendSync facade.
pub const SENDSYNC: &str = "/sendsync/api";

/// A tenant with an API key and a user.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// A client with its API key.
    pub client: Client,
    /// The API key.
    pub key: String,
    /// Its user's login.
    pub email: String,
    /// Its user's password.
    pub password: String,
}

/// A number that is unique in this process.
pub fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A field of `value` as text; an error when it is absent or not text.
pub fn text_of(value: &Value, field: &str) -> Result<String> {
    value[field].as_str().map(str::to_owned).with_context(|| format!("no {field} in {value}"))
}

impl Tenant {
    /// Creates a tenant with a user and a key.
    pub fn create(server: &Server) -> Result<Self> {
        let operator = server.operator()?;
        let number = unique();
        let tenant = operator.post("/v1/tenants", &json!({"name": format!("Tenant {number}")}))?.expect_json(201)?;
        let id = text_of(&tenant, "id")?;
        let acting = operator.with("X-Pombo-Tenant", &id);
        let email = format!("user{number}@{}.test", std::process::id());
        let password = "a long enough password".to_owned();
        acting.post("/v1/users", &json!({"email": email, "name": "User", "password": password}))?.expect(201)?;
        let made = acting.post("/v1/keys", &json!({"name": "test"}))?.expect_json(201)?;
        let key = text_of(&made, "key")?;
        Ok(Self { id, client: server.client().key(&key), key, email, password })
    }

    /// The tenant that `--demo` created.
    pub fn demo(server: &Server) -> Result<Self> {
        let demo = server.demo()?;
        let key = text_of(&demo, "api_key")?;
        Ok(Self {
            id: text_of(&demo, "tenant_id")?,
            client: server.client().key(&key),
            key,
            email: text_of(&demo, "email")?,
            password: text_of(&demo, "password")?,
        })
    }

    /// Creates a connector and returns its id.
    pub fn connector(&self, plugin: &str, config: &Value) -> Result<String> {
        let request = json!({"name": format!("{plugin} {}", unique()), "plugin": plugin, "config": config});
        text_of(&self.client.post("/v1/connectors", &request)?.expect_json(201)?, "id")
    }

    /// An e-mail connector to a listener of the scripted server, with further fields of its configuration.
    pub fn email(&self, smtp: &FaultySmtp, listener: &str, further: &Value) -> Result<String> {
        let mut config = email_config(smtp.port(listener)?);
        merge(&mut config, further);
        self.connector("connector-email", &config)
    }

    /// Sends a message and returns the answer, whatever its status.
    pub fn try_send(&self, body: &Value) -> Result<Reply> {
        self.client.post(&format!("{SENDSYNC}/queue/send"), body)
    }

    /// Sends a message and returns it; fails if it was not accepted.
    pub fn send(&self, body: &Value) -> Result<Value> {
        self.try_send(body)?.expect_json(201)
    }

    /// Sends one message of three fields and returns its id.
    pub fn send_text(&self, connector: &str, to: &str, message: &str) -> Result<String> {
        text_of(&self.send(&json!({"connectorId": connector, "to": to, "message": message}))?, "id")
    }

    /// Sends a bulk and returns the answer, whatever its status.
    pub fn try_bulk(&self, messages: &[Value]) -> Result<Reply> {
        self.client.post(&format!("{SENDSYNC}/queue/bulk"), &json!({"messages": messages}))
    }

    /// The list of messages with these filters.
    pub fn list(&self, filters: &[(&str, &str)]) -> Result<Value> {
        self.client.get(&query(&format!("{SENDSYNC}/queue/list"), filters))?.expect_json(200)
    }

    /// The exact total of a list.
    pub fn total(&self, filters: &[(&str, &str)]) -> Result<u64> {
        let mut filters = filters.to_vec();
        filters.push(("limit", "1"));
        let list = self.list(&filters)?;
        list["meta"]["total"].as_u64().with_context(|| format!("no total in {list}"))
    }

    /// A message, read with the control API.
    pub fn message(&self, id: &str) -> Result<Value> {
        self.client.get(&format!("/v1/messages/{id}"))?.expect_json(200)
    }

    /// Waits until a message has one of these states.
    pub fn wait_status(&self, id: &str, wanted: &[&str]) -> Result<Value> {
        self.wait_status_for(id, wanted, PATIENCE)
    }

    /// Like [`Self::wait_status`], with a given time limit.
    pub fn wait_status_for(&self, id: &str, wanted: &[&str], patience: Duration) -> Result<Value> {
        let mut last = Value::Null;
        let found = until(&format!("message {id} to be {wanted:?}"), patience, || {
            last = self.message(id)?;
            Ok(last["status"].as_str().is_some_and(|status| wanted.contains(&status)).then(|| last.clone()))
        });
        found.with_context(|| format!("it is {last}"))
    }

    /// Waits until a list with these filters has this total.
    pub fn wait_total(&self, filters: &[(&str, &str)], total: u64, patience: Duration) -> Result<()> {
        let mut last = 0;
        let found = until(&format!("a total of {total} with {filters:?}"), patience, || {
            last = self.total(filters)?;
            Ok((last == total).then_some(()))
        });
        found.with_context(|| format!("the total is {last}"))
    }

    /// Replaces a connector's pace.
    pub fn pace(&self, connector: &str, pace: &Value) -> Result<()> {
        self.client.put(&format!("/v1/connectors/{connector}/pace"), pace)?.expect(200)?;
        Ok(())
    }

    /// Pauses or resumes a connector.
    pub fn set_paused(&self, connector: &str, paused: bool) -> Result<()> {
        let step = if paused { "pause" } else { "resume" };
        let reply = self.client.post(&format!("/v1/connectors/{connector}/{step}"), &json!({}))?;
        if reply.status != 200 {
            bail!("{reply:?}");
        }
        Ok(())
    }

    /// Logs in and returns a client with the JWT.
    pub fn login(&self, server: &Server) -> Result<Client> {
        let login = json!({"email": self.email, "password": self.password});
        let answer = server.client().post(&format!("{SENDSYNC}/auth/login"), &login)?;
        // The documentation does not show the status of a login; both are in use.
        let body = if answer.status == 200 { answer.json()? } else { answer.expect_json(201)? };
        Ok(server.client().bearer(&text_of(&body, "access_token")?))
    }
}

/// The configuration of an e-mail connector to a plain server on this machine.
pub fn email_config(port: u16) -> Value {
    json!({
        "host": "127.0.0.1", "port": port, "security": "none", "timeoutSeconds": 5,
        "from": {"name": "Pombo", "email": "pombo@sender.test"},
    })
}

/// Sets the fields of `further` in `config`; null removes a field.
pub fn merge(config: &mut Value, further: &Value) {
    let (Some(config), Some(further)) = (config.as_object_mut(), further.as_object()) else { return };
    for (name, value) in further {
        match value {
            Value::Null => config.remove(name),
            value => config.insert(name.clone(), value.clone()),
        };
    }
}
