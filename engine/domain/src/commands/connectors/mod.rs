//! Connectors: created from a plugin with a checked configuration, paced, paused, resumed, deleted.
//!
//! A secret field of the configuration is sealed before it is stored, and decrypted only to check a changed configuration or to
//! start the plugin; no command returns it. The password of a proxy (`proxy`) is kept in the same way. The plugin is started and stopped here, after the commit.

pub mod activity;
pub mod groups;
pub mod lookups;
pub mod offering;
pub mod operations;
pub mod overview;
pub mod pace;
pub mod pictures;
pub mod proxy;
pub mod receiving;
pub mod sessions;
pub mod webhooks;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::connectors::pace::check_pace;
use crate::commands::connectors::proxy::ProxyRequest;
use crate::commands::text::{self, Rule};
use crate::model::{Connector, ConnectorStatus, Pace};
use crate::ports::{
    Batch, Change, ConnectorError, ConnectorSpec, PluginDescription, ProxyStatus, SecretBox, SessionState,
    WebhookChange,
};
use crate::{ConnectorIndex, Error, ErrorCode, Field, FieldProblem, Result, TenantIndex};

/// Maximum size of a configuration, in bytes of JSON.
pub const MAX_CONFIG_BYTES: usize = 64 * 1024;

/// Changes of one connector happen one after the other, so that none is lost between its read and its write, and the plugin runs
/// the configuration that was stored last. The locks are striped, so their number is bounded.
#[derive(Clone, Default)]
pub struct WriteLocks(Arc<[futures::lock::Mutex<()>; 32]>);

impl WriteLocks {
    /// The lock to read, change and write `connector`.
    pub async fn of(&self, connector: ConnectorIndex) -> futures::lock::MutexGuard<'_, ()> {
        self.0[connector.0 as usize % self.0.len()].lock().await
    }
}

/// A connector to create.
pub struct ConnectorRequest {
    /// Display name.
    pub name: String,
    /// Name of the plugin.
    pub plugin: String,
    /// The whole configuration, including secrets: a JSON object.
    pub config: Value,
    /// How fast it may send. If omitted, the plugin's default pace, or else no limits.
    pub pace: Option<Pace>,
    /// The proxy by which all connections of its plugin leave; `None`: they leave directly.
    pub proxy: Option<ProxyRequest>,
}

/// A change of a connector. Omitted fields stay as they are.
#[derive(Default)]
pub struct ConnectorChange {
    /// New display name.
    pub name: Option<String>,
    /// New configuration. An omitted secret field stays as it is, one that is `null` is removed; all other fields are replaced.
    pub config: Option<Value>,
    /// New proxy; `Some(None)` removes the one that is there.
    pub proxy: Option<Option<ProxyRequest>>,
}

/// A connector with the state of its session.
pub struct ConnectorView {
    /// The stored connector.
    pub connector: Arc<Connector>,
    /// The state of its session.
    pub session: SessionState,
    /// What is known of its proxy, while it runs with one.
    pub proxy: Option<ProxyStatus>,
}

/// A connector that did not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartFailure {
    /// Public id of the connector.
    pub id: Uuid,
    /// Name of its plugin.
    pub plugin: String,
    /// Why it did not start, without secrets.
    pub reason: String,
}

impl Commands {
    /// The plugins from which a connector can be created.
    pub fn list_plugins(&self) -> Vec<PluginDescription> {
        let mut plugins = self.ports().connectors.plugins();
        plugins.sort_by(|a, b| a.name.cmp(&b.name));
        plugins
    }

    /// Creates a connector and starts it.
    pub async fn create_connector(&self, tenant: TenantIndex, request: ConnectorRequest) -> Result<ConnectorView> {
        let name = checked_name(&request.name)?;
        let plugin = self.ports().connectors.plugin(&request.plugin).ok_or_else(|| {
            Error::invalid(Field::Plugin, "no installed plugin has this name; see the list of plugins")
        })?;
        let pace = request.pace.or_else(|| plugin.pace.clone()).unwrap_or_default();
        check_pace(&pace, self.now())?;
        let (open, secrets) = split_secrets(request.config, &plugin.secret_fields)?;
        let secrets: BTreeMap<String, String> =
            secrets.into_iter().filter_map(|(field, value)| Some((field, value?))).collect();
        self.check_config(&plugin, &open, &secrets)?;

        let id = self.ports().entropy.uuid();
        let proxy = request.proxy.map(|proxy| self.checked_proxy(id, proxy, None)).transpose()?;
        let now = self.ports().clock.now();
        let connector = Connector {
            id,
            index: self.ports().store.next_connector_index().await?,
            tenant,
            name,
            channel: plugin.channel,
            config: config_text(open)?,
            secrets: seal(self.ports().secrets.as_ref(), id, &secrets),
            plugin: plugin.name,
            status: ConnectorStatus::Active,
            status_reason: None,
            pace,
            created_at: now,
            updated_at: now,
            receive_epoch: 0,
            proxy,
        };
        let _turn = self.connector_writes.of(connector.index).await;
        self.ports().store.commit(Batch::of(vec![Change::Connector(connector.clone())])).await?;
        Ok(self.started(Arc::new(connector)).await)
    }

    /// A connector that is not deleted.
    pub fn get_connector(&self, tenant: TenantIndex, id: Uuid) -> Result<ConnectorView> {
        let connector = self.live_connector(tenant, id)?;
        let session = self.ports().connectors.session(connector.index);
        Ok(self.connector_view(connector, session))
    }

    /// A tenant's connectors, oldest first, without deleted ones.
    pub fn list_connectors(&self, tenant: TenantIndex) -> Result<Vec<ConnectorView>> {
        let mut connectors = self.ports().store.connectors(Some(tenant))?;
        connectors.sort_by_key(|c| c.index);
        let view = |connector: Arc<Connector>| {
            let session = self.ports().connectors.session(connector.index);
            self.connector_view(connector, session)
        };
        Ok(connectors.into_iter().map(view).collect())
    }

    /// Changes name, configuration or proxy; a new configuration or proxy replaces the running instance.
    pub async fn update_connector(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        change: ConnectorChange,
    ) -> Result<ConnectorView> {
        let name = change.name.as_deref().map(checked_name).transpose()?;
        let _turn = self.connector_writes.of(self.live_connector(tenant, id)?.index).await;
        let mut connector = Connector::clone(self.live_connector(tenant, id)?.as_ref());
        if let Some(name) = name {
            connector.name = name;
        }
        let reconfigured = change.config.is_some() || change.proxy.is_some();
        if let Some(config) = change.config {
            let plugin = self.plugin_of(&connector)?;
            let (open, given) = split_secrets(config, &plugin.secret_fields)?;
            let mut secrets = open_secrets(self.ports().secrets.as_ref(), &connector)?;
            for (field, value) in given {
                match value {
                    Some(value) => secrets.insert(field, value),
                    None => secrets.remove(&field),
                };
            }
            self.check_config(&plugin, &open, &secrets)?;
            connector.config = config_text(open)?;
            connector.secrets = seal(self.ports().secrets.as_ref(), connector.id, &secrets);
        }
        if let Some(proxy) = change.proxy {
            let before = connector.proxy.take();
            connector.proxy =
                proxy.map(|proxy| self.checked_proxy(connector.id, proxy, before.as_ref())).transpose()?;
        }
        let connector = self.store_connector(connector).await?;
        if reconfigured {
            return Ok(self.started(connector).await);
        }
        let session = self.ports().connectors.session(connector.index);
        Ok(self.connector_view(connector, session))
    }

    /// Replaces how fast a connector may send.
    pub async fn set_connector_pace(&self, tenant: TenantIndex, id: Uuid, pace: Pace) -> Result<Arc<Connector>> {
        check_pace(&pace, self.now())?;
        self.change_connector(tenant, id, |connector| connector.pace = pace).await
    }

    /// Holds a connector's messages back; it continues to accept messages and keeps its session.
    pub async fn pause_connector(&self, tenant: TenantIndex, id: Uuid, reason: Option<&str>) -> Result<ConnectorView> {
        let reason = text::checked_optional(Rule { field: Field::Reason, max_chars: 500, lines: true }, reason)?;
        let connector = self
            .change_connector(tenant, id, |connector| {
                connector.status = ConnectorStatus::Paused;
                connector.status_reason = reason;
            })
            .await?;
        let session = self.ports().connectors.session(connector.index);
        Ok(self.connector_view(connector, session))
    }

    /// Lets a connector send again, and starts it if it is not running. After a pause by its health, the account is observed from
    /// scratch, see [`crate::model::HealthState::since`]: the scheduler, which counts, sees the change.
    pub async fn resume_connector(&self, tenant: TenantIndex, id: Uuid) -> Result<ConnectorView> {
        let connector = self
            .change_connector(tenant, id, |connector| {
                connector.status = ConnectorStatus::Active;
                connector.status_reason = None;
            })
            .await?;
        match self.ports().connectors.session(connector.index) {
            SessionState::Stopped => self.start_stopped(tenant, id).await,
            session => Ok(self.connector_view(connector, session)),
        }
    }

    /// Reloads a plugin's component and moves its connectors to it; after an error the old version is still running.
    pub async fn reload_plugin(&self, name: &str) -> Result<PluginDescription> {
        if self.ports().connectors.plugin(name).is_none() {
            return Err(Error::not_found("Plugin"));
        }
        self.ports().connectors.reload(name).await.map_err(|error| match error {
            ConnectorError::UnknownPlugin(_) => Error::not_found("Plugin"),
            ConnectorError::Plugin(reason) => {
                Error::conflict(format!("the plugin was not reloaded and its current version continues: {reason}"))
            }
        })
    }

    /// Deletes a connector and its automations: their secrets are deleted and its plugin stops. Its messages still refer to it.
    pub async fn delete_connector(&self, tenant: TenantIndex, id: Uuid) -> Result<()> {
        let _turn = self.connector_writes.of(self.live_connector(tenant, id)?.index).await;
        let mut connector = Connector::clone(self.live_connector(tenant, id)?.as_ref());
        connector.status = ConnectorStatus::Deleted;
        connector.status_reason = None;
        connector.secrets.clear();
        connector.proxy = None;
        connector.updated_at = self.ports().clock.now();
        let index = connector.index;
        let mut changes = self.deleted_automations(index)?;
        changes.extend(self.revoked_api_keys(tenant, index)?);
        changes.push(Change::Webhook(Box::new(WebhookChange::Remove(index))));
        changes.push(Change::Connector(connector));
        self.ports().store.commit(Batch::of(changes)).await?;
        self.ports().connectors.stop(index).await;
        Ok(())
    }

    /// Starts every connector that is not deleted; for the server, at boot. The result lists those that failed; the others run.
    pub async fn start_connectors(&self) -> Result<Vec<StartFailure>> {
        let mut failures = Vec::new();
        for connector in self.ports().store.connectors(None)? {
            if let Err(reason) = self.start(&connector).await {
                failures.push(StartFailure { id: connector.id, plugin: connector.plugin.clone(), reason });
            }
        }
        Ok(failures)
    }

    pub(crate) fn live_connector(&self, tenant: TenantIndex, id: Uuid) -> Result<Arc<Connector>> {
        let found = self.ports().store.connector_by_id(tenant, id)?;
        found.filter(|c| c.status != ConnectorStatus::Deleted).ok_or_else(|| Error::not_found("Connector"))
    }

    /// The connector that a field of a request names; if there is none, the error names the field.
    pub(crate) fn connector_named(&self, tenant: TenantIndex, id: Uuid) -> Result<Arc<Connector>> {
        self.live_connector(tenant, id).map_err(|error| match error.code {
            ErrorCode::NotFound => unknown_connector(),
            _ => error,
        })
    }

    pub(crate) fn plugin_of(&self, connector: &Connector) -> Result<PluginDescription> {
        self.ports().connectors.plugin(&connector.plugin).ok_or_else(|| {
            Error::new(
                ErrorCode::Unavailable,
                "this connector's plugin is not loaded, so the request cannot be carried out now",
            )
        })
    }

    async fn change_connector(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        change: impl FnOnce(&mut Connector) + Send,
    ) -> Result<Arc<Connector>> {
        let _turn = self.connector_writes.of(self.live_connector(tenant, id)?.index).await;
        let mut connector = Connector::clone(self.live_connector(tenant, id)?.as_ref());
        change(&mut connector);
        self.store_connector(connector).await
    }

    async fn store_connector(&self, mut connector: Connector) -> Result<Arc<Connector>> {
        connector.updated_at = self.ports().clock.now();
        self.ports().store.commit(Batch::of(vec![Change::Connector(connector.clone())])).await?;
        Ok(Arc::new(connector))
    }

    fn check_config(
        &self,
        plugin: &PluginDescription,
        open: &Map<String, Value>,
        secrets: &BTreeMap<String, String>,
    ) -> Result<()> {
        let mut whole = open.clone();
        whole.extend(secrets.iter().map(|(field, value)| (field.clone(), Value::String(value.clone()))));
        let checked = self.ports().connectors.check_config(&plugin.name, &Value::Object(whole));
        checked.map_err(|problems| Error::invalid_fields(problems.into_iter().map(under_config).collect()))
    }

    async fn start(&self, connector: &Connector) -> Result<(), String> {
        let secrets = open_secrets(self.ports().secrets.as_ref(), connector).map_err(|error| error.message)?;
        let proxy = self.opened_proxy(connector).map_err(|error| error.message)?;
        let config = serde_json::from_str(&connector.config).map_err(|_| "its stored configuration is damaged")?;
        let spec = ConnectorSpec {
            index: connector.index,
            id: connector.id,
            tenant: connector.tenant,
            plugin: connector.plugin.clone(),
            config,
            secrets,
            proxy,
        };
        self.ports().connectors.start(spec).await.map_err(|error| match error {
            ConnectorError::UnknownPlugin(_) => "its plugin is not installed".to_owned(),
            ConnectorError::Plugin(reason) => reason,
        })
    }

    /// Starts a connector that is stopped; waits for other changes of the connector.
    pub(crate) async fn start_stopped(&self, tenant: TenantIndex, id: Uuid) -> Result<ConnectorView> {
        let _turn = self.connector_writes.of(self.live_connector(tenant, id)?.index).await;
        let connector = self.live_connector(tenant, id)?;
        match self.ports().connectors.session(connector.index) {
            SessionState::Stopped => Ok(self.started(connector).await),
            session => Ok(self.connector_view(connector, session)),
        }
    }

    /// Starts it. If it does not start, the view shows that, because it is stored anyway.
    pub(crate) async fn started(&self, connector: Arc<Connector>) -> ConnectorView {
        let session = match self.start(&connector).await {
            Ok(()) => self.ports().connectors.session(connector.index),
            Err(reason) => SessionState::Failing(reason),
        };
        self.connector_view(connector, session)
    }
}

/// The error of a connector that is not there, is deleted or is another tenant's.
pub(crate) fn unknown_connector() -> Error {
    Error::unknown(Field::Connector, "no such connector; use the id of one of your connectors")
}

pub(crate) fn checked_name(name: &str) -> Result<String> {
    text::checked(Rule { field: Field::Name, max_chars: 120, lines: false }, name)
}

pub(crate) fn config_text(open: Map<String, Value>) -> Result<String> {
    let text = Value::Object(open).to_string();
    if text.len() > MAX_CONFIG_BYTES {
        return Err(Error::invalid(Field::Config, format!("must be at most {} KB of JSON", MAX_CONFIG_BYTES / 1024)));
    }
    Ok(text)
}

pub(crate) fn under_config(problem: FieldProblem) -> FieldProblem {
    let written = problem.field.to_string();
    let inside = match written.strip_prefix(Field::Config.as_str()) {
        Some(inside) if inside.is_empty() || inside.starts_with(['.', '[']) => inside,
        _ => written.as_str(),
    };
    let inside = inside.trim_start_matches(['/', '.']);
    let field = if inside.is_empty() { Field::Config.into() } else { Field::Config.named(inside) };
    FieldProblem { field, ..problem }
}

/// Secret fields by name; `None` for one that the caller sets to null.
pub(crate) type GivenSecrets = BTreeMap<String, Option<String>>;

/// Separates the secret fields from a configuration.
pub(crate) fn split_secrets(config: Value, secret_fields: &[String]) -> Result<(Map<String, Value>, GivenSecrets)> {
    let Value::Object(mut open) = config else {
        return Err(Error::invalid(Field::Config, "must be a JSON object"));
    };
    let mut secrets = BTreeMap::new();
    let mut problems = Vec::new();
    for field in secret_fields {
        match open.remove(field) {
            None => {}
            Some(Value::Null) => {
                secrets.insert(field.clone(), None);
            }
            Some(Value::String(value)) if value.len() <= MAX_CONFIG_BYTES => {
                secrets.insert(field.clone(), Some(value));
            }
            Some(_) => problems.push(FieldProblem::new(
                Field::Config.named(field),
                format!("must be a text of at most {} KB", MAX_CONFIG_BYTES / 1024),
            )),
        }
    }
    if problems.is_empty() { Ok((open, secrets)) } else { Err(Error::invalid_fields(problems)) }
}

/// The context of a sealed secret: it can be decrypted only as this field of this connector.
fn seal_context(connector: Uuid, field: &str) -> String {
    format!("{connector}/{field}")
}

fn seal(secret_box: &dyn SecretBox, connector: Uuid, secrets: &BTreeMap<String, String>) -> BTreeMap<String, Vec<u8>> {
    let sealed = |(field, value): (&String, &String)| {
        (field.clone(), secret_box.seal(&seal_context(connector, field), value.as_bytes()))
    };
    secrets.iter().map(sealed).collect()
}

fn open_secrets(secret_box: &dyn SecretBox, connector: &Connector) -> Result<BTreeMap<String, String>> {
    let mut opened = BTreeMap::new();
    for (field, sealed) in &connector.secrets {
        let plain = secret_box
            .open(&seal_context(connector.id, field), sealed)
            .ok()
            .and_then(|plain| String::from_utf8(plain).ok())
            .ok_or_else(|| {
                Error::conflict(
                    "the stored secrets cannot be decrypted with the engine's current key; start it with the key they were \
                     encrypted with, or delete the connector and create it again",
                )
            })?;
        opened.insert(field.clone(), plain);
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ports::SecretError;

    /// Reverses the bytes and binds the context in plain: enough to see what was sealed, and under what.
    struct ReversingBox;

    impl SecretBox for ReversingBox {
        fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
            let mut sealed: Vec<u8> = plain.iter().rev().copied().collect();
            sealed.extend(context.as_bytes());
            sealed
        }
        fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
            let plain = sealed.strip_suffix(context.as_bytes()).ok_or(SecretError)?;
            Ok(plain.iter().rev().copied().collect())
        }
    }

    fn secret_fields() -> Vec<String> {
        vec!["password".to_owned(), "token".to_owned()]
    }

    #[test]
    fn secrets_leave_the_configuration_and_null_is_told_from_absent() {
        let config = json!({"host": "h", "password": "p", "token": null, "nested": {"password": "stays"}});
        let (open, secrets) = split_secrets(config, &secret_fields()).expect("an object with text secrets");
        assert_eq!(Value::Object(open), json!({"host": "h", "nested": {"password": "stays"}}));
        assert_eq!(secrets.get("password"), Some(&Some("p".to_owned())));
        assert_eq!(secrets.get("token"), Some(&None));
        let (_, none) = split_secrets(json!({"host": "h"}), &secret_fields()).expect("no secrets given");
        assert!(none.is_empty());
    }

    #[test]
    fn a_secret_that_is_no_text_or_a_configuration_that_is_no_object_is_refused() {
        let error = split_secrets(json!({"password": 5}), &secret_fields()).expect_err("a number");
        assert_eq!(error.fields[0].field, Field::Config.named("password"));
        assert!(!error.message.contains('5'));
        assert!(split_secrets(json!([1]), &secret_fields()).is_err());
    }

    #[test]
    fn a_sealed_secret_opens_for_its_own_connector_and_field_only() {
        let id = Uuid::from_u128(7);
        let sealed = seal(&ReversingBox, id, &BTreeMap::from([("password".to_owned(), "s3cret".to_owned())]));
        assert!(!String::from_utf8_lossy(&sealed["password"]).contains("s3cret"));
        let mut connector = Connector {
            id,
            index: ConnectorIndex(0),
            tenant: TenantIndex(0),
            name: String::new(),
            plugin: String::new(),
            channel: String::new(),
            config: "{}".to_owned(),
            secrets: sealed,
            status: ConnectorStatus::Active,
            status_reason: None,
            pace: Pace::default(),
            created_at: crate::Timestamp(0),
            updated_at: crate::Timestamp(0),
            receive_epoch: 0,
            proxy: None,
        };
        assert_eq!(open_secrets(&ReversingBox, &connector).expect("its own")["password"], "s3cret");
        connector.id = Uuid::from_u128(8);
        assert_eq!(open_secrets(&ReversingBox, &connector).map_err(|e| e.code), Err(ErrorCode::Conflict));
    }

    #[test]
    fn schema_problems_are_named_below_config() {
        let cases = [
            ("", "config"),
            ("config", "config"),
            ("host", "config.host"),
            ("config.host", "config.host"),
            ("config[0]", "config[0]"),
            ("configured", "config.configured"),
            ("/smtp", "config.smtp"),
        ];
        for (given, expected) in cases {
            let problem = under_config(FieldProblem::new(given, "m"));
            assert_eq!(problem.field.to_string(), expected);
        }
    }
}
