//! Connectors: the plugins that talk to a channel.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;

use crate::error::FieldProblem;
use crate::model::connector::Pace;
use crate::model::event::GroupStep;
use crate::model::message::{Act, Target};
use crate::model::{Attachment, Inbound, MediaState, ReceiptKind};
use crate::ports::{Answer, KvWrite, Operation, OperationError};
use crate::{ConnectorIndex, TenantIndex, Timestamp};

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
    /// The pace of a new connector when nobody says otherwise.
    pub pace: Option<Pace>,
}

impl PluginDescription {
    /// Whether it declared `feature`.
    pub fn offers(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }

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
    /// What it does.
    pub act: Act,
    /// The message that it answers.
    pub reply_to: Option<Target>,
    /// Addresses mentioned in the text.
    pub mentions: Vec<String>,
    /// Audio goes as a voice note.
    pub voice_note: bool,
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
    /// Waits for somebody to type this on the account's device.
    PairingCode(String),
    /// There is no session and nothing is tried until somebody opens one; with the reason.
    Unpaired(String),
    /// The session was ended for good; with the reason. Somebody must open a new one.
    LoggedOut(String),
    /// The plugin failed and restarts with backoff; with the reason.
    Failing(String),
}

/// Why the sandbox could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectorError {
    /// No plugin by that name.
    #[error("there is no plugin named {0:?}")]
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
    /// Anything but sending. A connector that is not running answers [`OperationError::Disconnected`], a deadline or a trap
    /// [`OperationError::Unknown`].
    async fn operate(&self, connector: ConnectorIndex, operation: Operation) -> Result<Answer, OperationError>;
    /// How its session stands.
    fn session(&self, connector: ConnectorIndex) -> SessionState;
    /// The account that its session belongs to, while it is connected.
    fn account(&self, connector: ConnectorIndex) -> Option<Account>;
    /// Returns when the session's state is no longer `seen`, with the new one.
    async fn session_after(&self, connector: ConnectorIndex, seen: &SessionState) -> SessionState;
    /// Reads the plugin's component anew from where it was loaded and puts every connector on it onto the new version, each
    /// by stopping the old instance (its sends end first) and starting the new one; sends wait meanwhile. An `Err` leaves the
    /// old version running.
    async fn reload(&self, plugin: &str) -> Result<PluginDescription, ConnectorError>;

    /// Brings a kept component (see [`super::PluginEngine::inspect`]) beside the running version of its plugin: `share` percent of the
    /// sends go to it, drawn from the message's id, or, where the plugin needs sessions, `share` percent of the connectors (one at
    /// least). With 100, all of it. A plugin that was not there before is there from now on. An `Err` leaves everything as it was.
    async fn stage(&self, plugin: &str, digest: &str, share: u8) -> Result<(), ConnectorError> {
        let _ = (digest, share);
        Err(ConnectorError::UnknownPlugin(plugin.to_owned()))
    }
    /// Gives all the work to the staged version; the old one ends its sends. It is kept, for [`Self::unstage`].
    async fn promote(&self, plugin: &str) -> Result<PluginDescription, ConnectorError> {
        Err(ConnectorError::UnknownPlugin(plugin.to_owned()))
    }
    /// Gives all the work back to the version before the staged (or promoted) one.
    async fn unstage(&self, plugin: &str) -> Result<(), ConnectorError> {
        Err(ConnectorError::UnknownPlugin(plugin.to_owned()))
    }
    /// The change that was staged is over: the version before is not needed any more.
    async fn settle(&self, plugin: &str) {
        let _ = plugin;
    }
}

/// The account of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its address on the channel.
    pub address: String,
    /// The name it gave itself.
    pub display_name: Option<String>,
    /// Other addresses of it.
    pub aliases: Vec<String>,
}

/// What a connector tells of its channel.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most events are messages: a box would cost each of them an allocation")]
pub enum ChannelEvent {
    /// A receipt of a message.
    Receipt {
        /// The message's id, where the connector knows it.
        client_id: Option<uuid::Uuid>,
        /// The channel's id for it.
        provider_id: String,
        /// In a group, the member.
        recipient: Option<String>,
        /// Which step.
        kind: ReceiptKind,
        /// When, as the channel says.
        at: Timestamp,
        /// For a failure.
        reason: Option<String>,
    },
    /// A message was received.
    Message(Inbound),
    /// The file of an earlier one.
    Media {
        /// The conversation.
        chat: String,
        /// That message's provider id.
        provider_id: String,
        /// How far the file is.
        media: MediaState,
    },
    /// Somebody is online or writes. Not stored.
    Presence {
        /// The conversation.
        chat: String,
        /// Who.
        sender: String,
        /// `online`, `offline`, `typing`, `recording`, `paused`.
        kind: &'static str,
    },
    /// A contact's name or addresses.
    Contact {
        /// How the engine shall know it.
        address: String,
        /// The name it gave itself.
        display_name: Option<String>,
        /// Other addresses of it.
        aliases: Vec<String>,
    },
    /// A group changed.
    Group {
        /// Its address.
        group: String,
        /// Who did it.
        actor: Option<String>,
        /// When, as the channel says.
        at: Timestamp,
        /// What.
        step: GroupStep,
    },
    /// A recipient blocked or reported the account.
    Blocked(String),
    /// The channel restricts the account; says how.
    Restricted(String),
    /// Something else: a kind and JSON.
    Other(String, String),
}

/// Why an event was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// Not now; the connector shall tell it again.
    #[error("{0}")]
    Unavailable(String),
}

/// Told by the sandbox of what happens inside a connector.
#[async_trait]
pub trait ConnectorEvents: Send + Sync + 'static {
    /// The session's state changed. Must not block.
    fn session_changed(&self, connector: ConnectorIndex, state: SessionState, account: Option<Account>);
    /// Takes events, and writes of the plugin's key/value store, in one batch: all are stored when it returns `Ok`, none
    /// otherwise. A message that was taken before (same connector, chat, sender and provider id) is not taken again; the
    /// writes are made all the same.
    async fn take(
        &self,
        connector: ConnectorIndex,
        events: Vec<ChannelEvent>,
        writes: Vec<KvWrite>,
    ) -> Result<(), IntakeError>;
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
            pace: None,
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
