//! Connectors: the plugins that talk to a channel.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;

use crate::error::FieldProblem;
use crate::model::Attachment;
use crate::{ConnectorIndex, TenantIndex};

/// What a connector plugin says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginDescription {
    /// Its name, e.g. `connector-email`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component, hex.
    pub digest: String,
    /// `email`, `whatsapp` …
    pub channel: String,
    /// For people.
    pub display_name: String,
    /// JSON Schema of its configuration.
    pub config_schema: Value,
    /// Top-level configuration fields that are secret: sealed at rest, never returned.
    pub secret_fields: Vec<String>,
    /// Host interfaces it wants: `smtp`, `http`, `websocket`, `kv`, `media` …
    pub capabilities: Vec<String>,
    /// What else it can do: `groups`, `reactions`, `typing` …
    pub features: Vec<String>,
    /// Sending again with the same client id can not send twice, or is told apart by the receiver.
    pub idempotent_resend: bool,
    /// Sends at once on one instance, at most.
    pub max_in_flight: u16,
    /// True when sends need a session that somebody must open (a QR code).
    pub needs_session: bool,
}

impl PluginDescription {
    /// Sends at once on an instance with this configuration (a JSON object as text). A plugin that lets its user choose
    /// declares a top-level integer `maxInFlight`: its value counts, then the schema's default, never more than
    /// [`Self::max_in_flight`]. Without this, sends would wait inside the plugin, where neither a drain nor a deadline can
    /// tell them from those under way.
    pub fn max_in_flight_with(&self, config: &str) -> u16 {
        let chosen = serde_json::from_str::<Value>(config).ok().and_then(|config| config.get("maxInFlight")?.as_u64());
        let default = || self.config_schema.pointer("/properties/maxInFlight/default")?.as_u64();
        let wanted = chosen.or_else(default).unwrap_or(u64::from(self.max_in_flight));
        u16::try_from(wanted).unwrap_or(u16::MAX).min(self.max_in_flight).max(1)
    }
}

/// What the sandbox needs to run a connector.
#[derive(Clone)]
pub struct ConnectorSpec {
    /// Which one.
    pub index: ConnectorIndex,
    /// Its public id, for logs.
    pub id: uuid::Uuid,
    /// Its owner.
    pub tenant: TenantIndex,
    /// The plugin's name.
    pub plugin: String,
    /// Configuration without secrets.
    pub config: Value,
    /// The opened secrets; they stay in the host.
    pub secrets: BTreeMap<String, String>,
}

/// A message for the channel.
#[derive(Clone)]
pub struct Outgoing {
    /// Stable across retries; the plugin derives the channel's own id from it.
    pub client_id: uuid::Uuid,
    /// Normalised recipient.
    pub to: String,
    /// The contact's name.
    pub contact_name: Option<String>,
    /// The rendered text.
    pub text: String,
    /// The rendered subject.
    pub subject: Option<String>,
    /// Files, in order.
    pub attachments: Vec<Attachment>,
    /// Counts from 1.
    pub attempt: u16,
}

/// What became of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The channel has it.
    Accepted {
        /// The provider's id for it.
        provider_id: Option<String>,
    },
    /// The recipient does not exist: never try again.
    InvalidRecipient(String),
    /// Refused for good for another reason.
    Rejected(String),
    /// The provider asks to slow down.
    Throttled {
        /// How long, where it said so.
        retry_after_ms: Option<u64>,
        /// Its words.
        reason: String,
    },
    /// Not now; nothing was sent.
    Temporary(String),
    /// No session or no connection; nothing was sent, and it is not the message's fault.
    Disconnected(String),
    /// It may or may not have been sent.
    Unknown(String),
}

/// How a connector's session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionState {
    /// Not started, or stopped.
    Stopped,
    /// Starting or reconnecting.
    Connecting,
    /// Ready to send.
    Connected,
    /// Not connected; with the reason.
    Disconnected(String),
    /// Waits for somebody to scan this.
    QrCode(String),
    /// The plugin failed and restarts with backoff; with the reason.
    Failing(String),
}

/// Why the sandbox could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectorError {
    /// No plugin by that name.
    #[error("no plugin is called {0:?}")]
    UnknownPlugin(String),
    /// The plugin failed; may work again.
    #[error("the connector's plugin failed: {0}")]
    Plugin(String),
}

/// The connectors port.
#[async_trait]
pub trait Connectors: Send + Sync + 'static {
    /// The plugins that can be made into a connector.
    fn plugins(&self) -> Vec<PluginDescription>;
    /// One of them.
    fn plugin(&self, name: &str) -> Option<PluginDescription> {
        self.plugins().into_iter().find(|p| p.name == name)
    }
    /// Checks a whole configuration, secrets included, against the plugin's schema.
    fn check_config(&self, plugin: &str, config: &Value) -> Result<(), Vec<FieldProblem>>;
    /// Normalises recipients, in order; an `Err` says what is wrong with that one. Needs no session.
    async fn check_recipients(
        &self,
        plugin: &str,
        recipients: Vec<String>,
    ) -> Result<Vec<Result<String, String>>, ConnectorError>;
    /// Starts a connector, or replaces a running one by this specification: the old instance drains, the new one takes all
    /// new sends.
    async fn start(&self, spec: ConnectorSpec) -> Result<(), ConnectorError>;
    /// Stops it: sends in flight may end within the sandbox's drain time.
    async fn stop(&self, connector: ConnectorIndex);
    /// Sends a message. Never fails otherwise than by its outcome: a trap or a deadline is [`SendOutcome::Unknown`], a
    /// connector that is not running [`SendOutcome::Disconnected`].
    async fn send(&self, connector: ConnectorIndex, message: Outgoing) -> SendOutcome;
    /// How its session stands.
    fn session(&self, connector: ConnectorIndex) -> SessionState;
}

/// Told by the sandbox of what happens inside a connector. Must not block.
pub trait ConnectorEvents: Send + Sync + 'static {
    /// The session's state changed.
    fn session_changed(&self, connector: ConnectorIndex, state: SessionState);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_concurrency_counts_up_to_the_plugins_own() {
        let plugin = |schema: Value| PluginDescription {
            name: "c".to_owned(),
            version: "1".to_owned(),
            digest: String::new(),
            channel: "email".to_owned(),
            display_name: String::new(),
            config_schema: schema,
            secret_fields: Vec::new(),
            capabilities: Vec::new(),
            features: Vec::new(),
            idempotent_resend: true,
            max_in_flight: 100,
            needs_session: false,
        };
        let choosing = plugin(serde_json::json!({"properties": {"maxInFlight": {"default": 10}}}));
        for (config, expected) in
            [("{}", 10), (r#"{"maxInFlight":5}"#, 5), (r#"{"maxInFlight":5000}"#, 100), (r#"{"maxInFlight":0}"#, 1)]
        {
            assert_eq!(choosing.max_in_flight_with(config), expected, "{config}");
        }
        assert_eq!(plugin(serde_json::json!({})).max_in_flight_with("{}"), 100);
    }
}
