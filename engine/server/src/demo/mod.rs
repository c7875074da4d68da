//! `--demo`: something to try at once. On an empty data folder it creates a tenant, a user, an API key and an e-mail connector
//! that points at a mailbox on loopback, prints them once and writes `DATA/demo.json`; later starts find them again.
//!
//! Uses the domain's commands like any other client. Never use it in production.

mod mailbox;
mod page;
mod smtp;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use pombo_domain::commands::Commands;
use pombo_domain::commands::access::users::UserRequest;
use pombo_domain::commands::connectors::{ConnectorChange, ConnectorRequest};
use pombo_domain::model::Role;
use pombo_domain::ports::Entropy;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::adapters::clock::SystemClock;
use crate::adapters::entropy::OsEntropy;
use crate::adapters::keys::write_private;
use crate::config::{Config, Demo as Settings};
use crate::http::{Limits, Listener, TrustedProxies};
use crate::telemetry::metrics::HttpMetrics;
use mailbox::Mailbox;

/// The plugin of the demo's connector.
const EMAIL_PLUGIN: &str = "connector-email";
const EMAIL: &str = "demo@example.com";

/// The content of `DATA/demo.json`.
#[derive(Serialize, Deserialize, PartialEq)]
struct DemoFile {
    operator_token: String,
    tenant_id: Uuid,
    email: String,
    password: String,
    api_key: String,
    connectors: Vec<DemoConnector>,
    mailbox_url: String,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct DemoConnector {
    id: Uuid,
    name: String,
    #[serde(rename = "type")]
    channel: String,
}

/// Where the mailbox listened last, so that it listens there again.
#[derive(Serialize, Deserialize, PartialEq)]
struct Addresses {
    smtp: SocketAddr,
    page: SocketAddr,
}

/// The running mailbox.
pub(crate) struct DemoMailbox {
    smtp: SocketAddr,
    page: SocketAddr,
    /// Whether the SMTP port is not the one that the connector was created with.
    moved: bool,
}

impl DemoMailbox {
    /// Binds and serves before anything else of the engine starts, because the connectors' hosts are granted by its address.
    pub(crate) async fn start(config: &Config) -> anyhow::Result<Self> {
        let folder = config.in_data("demo-mailbox");
        let mailbox = Arc::new(Mailbox::open(folder.clone(), config.demo.max_mails).context("the demo's mailbox")?);
        let file = folder.join("addresses.json");
        let last: Option<Addresses> = read_json(&file)?;
        let Settings { smtp_listen, page_listen, .. } = config.demo;
        let smtp_socket = bind_again(smtp_listen, last.as_ref().map(|l| l.smtp)).await?;
        let smtp = smtp_socket.local_addr()?;
        let page_socket = bind_page(page_listen, last.as_ref().map(|l| l.page))?;
        let page = page_socket.address();
        let now = Addresses { smtp, page };
        let moved = last.as_ref().is_some_and(|last| last.smtp != smtp);
        if last.as_ref() != Some(&now) {
            write_private(&file, &serde_json::to_string(&now)?)?;
        }
        tokio::spawn(smtp::serve(smtp_socket, Arc::clone(&mailbox), Arc::new(SystemClock)));
        let limits = Limits { max_connections: 256, ..Limits::from(&config.http) };
        let metrics = HttpMetrics::default();
        let never = CancellationToken::new();
        let endpoint = page::endpoint(mailbox);
        let serve = page_socket.serve(endpoint, limits, TrustedProxies::default(), metrics, never, Duration::ZERO);
        tokio::spawn(serve);
        Ok(Self { smtp, page, moved })
    }

    /// `host:port` of its SMTP server, which has no TLS.
    pub(crate) fn smtp(&self) -> SocketAddr {
        self.smtp
    }

    fn url(&self) -> String {
        format!("http://{}", self.page)
    }

    /// Creates the demo's accounts in an empty store, or finds those of an earlier start. Returns true if they were created.
    pub(crate) async fn provide(&self, config: &Config, commands: &Commands, operator: &str) -> anyhow::Result<bool> {
        let path = config.in_data("demo.json");
        if let Some(mut file) = read_json::<DemoFile>(&path)? {
            self.point_connector(commands, &file).await?;
            if file.mailbox_url != self.url() || file.operator_token != operator {
                file.mailbox_url = self.url();
                operator.clone_into(&mut file.operator_token);
                write_private(&path, &format!("{}\n", serde_json::to_string_pretty(&file)?))?;
            }
            return Ok(false);
        }
        if !commands.list_tenants()?.is_empty() {
            bail!(
                "{} has data but no demo.json, so it is not the folder of a demo: start without --demo, or with another --data",
                config.data.dir.display()
            );
        }
        let file = self.make_accounts(commands, operator).await?;
        write_private(&path, &format!("{}\n", serde_json::to_string_pretty(&file)?))?;
        print_once(&file, config, &path);
        Ok(true)
    }

    async fn make_accounts(&self, commands: &Commands, operator: &str) -> anyhow::Result<DemoFile> {
        let tenant = commands.create_tenant("Demo").await?;
        let mut random = [0; 12];
        OsEntropy.fill(&mut random);
        let password = hex::encode(random);
        let user = UserRequest {
            email: EMAIL.to_owned(),
            name: "Demo".to_owned(),
            password: password.clone(),
            role: Role::Owner,
        };
        commands.create_user(tenant.index, user).await?;
        let key = commands.create_api_key(tenant.index, "demo", None).await?;
        let request = ConnectorRequest {
            name: "Demo e-mail".to_owned(),
            plugin: EMAIL_PLUGIN.to_owned(),
            config: self.connector_config(),
            pace: None,
            proxy: None,
        };
        let connector = commands.create_connector(tenant.index, request).await?.connector;
        Ok(DemoFile {
            operator_token: operator.to_owned(),
            tenant_id: tenant.id,
            email: EMAIL.to_owned(),
            password,
            api_key: key.key,
            connectors: vec![DemoConnector {
                id: connector.id,
                name: connector.name.clone(),
                channel: connector.channel.to_uppercase(),
            }],
            mailbox_url: self.url(),
        })
    }

    fn connector_config(&self) -> serde_json::Value {
        json!({
            "host": self.smtp.ip().to_string(),
            "port": self.smtp.port(),
            "security": "none",
            "from": { "name": "Pombo demo", "email": "demo@example.com" },
        })
    }

    /// Another program took the old port: updates the connector.
    async fn point_connector(&self, commands: &Commands, file: &DemoFile) -> anyhow::Result<()> {
        if !self.moved {
            return Ok(());
        }
        let Some(connector) = file.connectors.first() else { return Ok(()) };
        let tenant = commands.get_tenant(file.tenant_id)?.index;
        let change = ConnectorChange { config: Some(self.connector_config()), ..ConnectorChange::default() };
        match commands.update_connector(tenant, connector.id, change).await {
            Ok(_) => tracing::info!("the demo's mailbox moved to another port; its connector was updated"),
            // The user may have deleted the connector in the meantime; that is not an error.
            Err(error) => {
                tracing::warn!(code = ?error.code, "the demo's connector could not be updated to its mailbox's port")
            }
        }
        Ok(())
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The wanted address; if it leaves the port open, the last one if that is still free.
async fn bind_again(wanted: SocketAddr, last: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    if wanted.port() == 0
        && let Some(last) = last.filter(|l| l.ip() == wanted.ip())
        && let Ok(socket) = TcpListener::bind(last).await
    {
        return Ok(socket);
    }
    TcpListener::bind(wanted).await.with_context(|| format!("demo.smtp_listen: cannot listen on {wanted}"))
}

fn bind_page(wanted: SocketAddr, last: Option<SocketAddr>) -> anyhow::Result<Listener> {
    if wanted.port() == 0
        && let Some(last) = last.filter(|l| l.ip() == wanted.ip())
        && let Ok(listener) = Listener::bind(last)
    {
        return Ok(listener);
    }
    Listener::bind(wanted).with_context(|| format!("demo.page_listen: cannot listen on {wanted}"))
}

/// Prints to standard output, once, because the log must not contain secrets.
fn print_once(file: &DemoFile, config: &Config, path: &Path) {
    let base = config.public_url();
    println!("Demo accounts (also in {}):", path.display());
    println!("  queue API       {base}/sendsync/api   documentation {base}/docs");
    println!("  login           {} / {}", file.email, file.password);
    println!("  API key         {}", file.api_key);
    for connector in &file.connectors {
        println!("  connector       {} ({}, {})", connector.id, connector.name, connector.channel);
    }
    println!("  operator token  {}", file.operator_token);
    println!("  mailbox         {}", file.mailbox_url);
}
