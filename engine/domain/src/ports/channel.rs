//! Connectors: the plugins that talk to a channel.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;

use crate::error::FieldProblem;
use crate::model::connector::Pace;
use crate::model::event::GroupStep;
use crate::model::message::{MessageAction, Target};
use crate::model::{Attachment, FileKind, Inbound, MediaState, ReceiptKind, Rules};
use crate::ports::{
    Answer, KvWrite, Operation, OperationError, ProxySpec, ProxyStatus, ReceiveError, ReceivedRequest, ReceivedResponse,
};
use crate::{ConnectorIndex, TenantIndex, Timestamp};

/// The description of a connector plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginDescription {
    /// Its name, e.g. `connector-email`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component in hexadecimal.
    pub digest: String,
    /// Channel, such as `email` or `whatsapp`.
    pub channel: String,
    /// Name to show to people.
    pub display_name: String,
    /// JSON Schema of its configuration.
    pub config_schema: Value,
    /// Top-level configuration fields that are secret: sealed at rest, never returned.
    pub secret_fields: Vec<String>,
    /// Host interfaces that it wants: `smtp`, `http`, `websocket`, `kv`, `media` …
    pub capabilities: Vec<String>,
    /// What it can do besides sending texts: `groups`, `reactions`, `typing` …; also names that this engine does not know.
    pub features: Vec<String>,
    /// The kinds of content of its own that it sends.
    pub contents: Vec<OwnKind>,
    /// The operations of its own that it does, see [`Operation::Other`].
    pub operations: Vec<OwnKind>,
    /// Whether sending again with the same client id cannot produce a second message, or produces one that the recipient's
    /// software recognises as the same.
    pub idempotent_resend: bool,
    /// Maximum number of sends at the same time on one instance.
    pub max_in_flight: u16,
    /// Whether sends need a session that somebody must open (with a QR code).
    pub needs_session: bool,
    /// Default pace of a new connector.
    pub pace: Option<Pace>,
    /// How the channel proves its requests; empty: only by the secret in the connector's address.
    pub proofs: Vec<Proof>,
    /// The top-level configuration field by which connectors share one address: a request at the address of one goes to each connector
    /// of the tenant that runs this plugin and has the same value.
    pub shared_address: Option<String>,
    /// What the channel demands of senders; `None`: nothing.
    pub rules: Option<Rules>,
}

/// How a channel proves that a request is its own. The secrets are top-level secret fields of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A header holds the HMAC-SHA256 of the raw body in hexadecimal.
    BodyHmac {
        /// The header's name in lower case.
        header: String,
        /// What stands before the signature in the header; may be empty.
        prefix: String,
        /// The secret field that holds the key.
        secret: String,
    },
    /// A query parameter holds a secret.
    QuerySecret {
        /// The parameter's name.
        parameter: String,
        /// The secret field whose value it must have.
        secret: String,
        /// The only method that it proves, in upper case.
        method: String,
    },
}

impl Proof {
    /// The secret field that it is checked with.
    pub fn secret(&self) -> &str {
        match self {
            Self::BodyHmac { secret, .. } | Self::QuerySecret { secret, .. } => secret,
        }
    }
}

/// A kind of content or operation that only its plugin knows, and what its JSON looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnKind {
    /// Its name, lower-case with dashes.
    pub name: String,
    /// JSON Schema of the value that travels with the name, if there is one.
    pub schema: Option<Value>,
}

impl PluginDescription {
    /// Whether it declared `feature`.
    pub fn offers(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }

    /// Whether it described this operation of its own.
    pub fn takes_operation(&self, kind: &str) -> bool {
        self.operations.iter().any(|own| own.name == kind)
    }

    /// Maximum number of sends at the same time on an instance with this configuration (a JSON object as text). A plugin that
    /// lets its user choose declares a top-level integer `maxInFlight`: its value counts, then the schema's default, but never
    /// more than [`Self::max_in_flight`]. Without this, sends would wait inside the plugin, where neither a drain nor a deadline
    /// can tell them from sends in progress.
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
    /// The connector.
    pub index: ConnectorIndex,
    /// Its public id, for logs.
    pub id: uuid::Uuid,
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// Name of the plugin.
    pub plugin: String,
    /// Configuration without secrets.
    pub config: Value,
    /// The decrypted secrets; they stay in the host.
    pub secrets: BTreeMap<String, String>,
    /// The proxy by which all connections of the plugin leave; `None`: they leave directly.
    pub proxy: Option<ProxySpec>,
}

/// A message for the channel.
#[derive(Clone)]
pub struct Outgoing {
    /// The same on every attempt; the plugin derives the channel's own id from it.
    pub client_id: uuid::Uuid,
    /// Address of the recipient, normalised.
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
    pub action: MessageAction,
    /// The message that it replies to.
    pub reply_to: Option<Target>,
    /// Addresses mentioned in the text.
    pub mentions: Vec<String>,
    /// Whether audio is sent as a voice note.
    pub voice_note: bool,
    /// What the files are shown as; `None`: whatever their types say.
    pub file_kind: Option<FileKind>,
    /// Whether somebody waits for its outcome: then the plugin must not hold it without need.
    pub awaited: bool,
    /// Number of the attempt, from 1.
    pub attempt: u16,
}

/// The outcome of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The channel accepted it.
    Accepted {
        /// The provider's id of the message.
        provider_id: Option<String>,
        /// Other addresses of the recipient that the provider told.
        aliases: Vec<String>,
        /// Whether the provider keeps it back for now; a receipt tells what becomes of it. The message is SENT as any other one, with that
        /// as its reason.
        held: bool,
    },
    /// The recipient does not exist: never try again.
    InvalidRecipient(Refusal),
    /// Refused permanently for another reason.
    Rejected(Refusal),
    /// The provider asks to slow down.
    Throttled {
        /// How long to wait, in milliseconds, if the provider said so.
        retry_after_ms: Option<u64>,
        /// The provider's reason.
        reason: String,
        /// What must wait.
        scope: ThrottleScope,
        /// The channel's own code, if it gave one.
        code: Option<String>,
    },
    /// It failed temporarily; nothing was sent.
    Temporary(String),
    /// No session or no connection; nothing was sent, and it is not the message's fault.
    Disconnected(String),
    /// It may or may not have been sent.
    Unknown(String),
}

impl SendOutcome {
    /// The channel accepted it, and told nothing but its id.
    pub fn accepted(provider_id: Option<String>) -> Self {
        Self::Accepted { provider_id, aliases: Vec::new(), held: false }
    }
}

/// Why a channel refused a message for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub reason: String,
    /// The channel's own code, if it gave one.
    pub code: Option<String>,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self { reason, code: None }
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

/// What a channel that asks to slow down holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleScope {
    /// All messages of the connector.
    Connector,
    /// Messages to this recipient.
    Recipient,
    /// This message alone.
    Message,
}

/// The state of a connector's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionState {
    /// Not started, or stopped.
    Stopped,
    /// Starting or reconnecting.
    Connecting,
    /// Ready to send.
    Connected,
    /// Not connected, for this reason.
    Disconnected(String),
    /// Waits for somebody to scan this code.
    QrCode(String),
    /// Waits for somebody to type this code on the account's device.
    PairingCode(String),
    /// There is no session, and the connector does not try to open one, for this reason: somebody must open one.
    Unpaired(String),
    /// The session was ended, for this reason; somebody must open a new one.
    LoggedOut(String),
    /// The plugin failed, for this reason, and is restarted after growing pauses.
    Failing(String),
}

/// Why the sandbox could not carry out a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectorError {
    /// There is no plugin with this name.
    #[error("there is no plugin named {0:?}")]
    UnknownPlugin(String),
    /// The plugin failed; it may work again.
    #[error("the connector's plugin failed: {0}")]
    Plugin(String),
}

/// Runs connectors and sends through them.
#[async_trait]
pub trait Connectors: Send + Sync + 'static {
    /// The plugins from which connectors can be created.
    fn plugins(&self) -> Vec<PluginDescription>;
    /// One of these plugins.
    fn plugin(&self, name: &str) -> Option<PluginDescription> {
        self.plugins().into_iter().find(|p| p.name == name)
    }
    /// Checks a whole configuration, including secrets, against the plugin's schema.
    fn check_config(&self, plugin: &str, config: &Value) -> Result<(), Vec<FieldProblem>>;
    /// Checks content of a kind of the plugin's own against the schema that the plugin gave for it; without one anything fits.
    fn check_content(&self, plugin: &str, kind: &str, value: &Value) -> Result<(), Vec<FieldProblem>> {
        let _ = (plugin, kind, value);
        Ok(())
    }
    /// Checks the value of an operation of the plugin's own in the same way; a wrong place is named below `value`.
    fn check_operation(&self, plugin: &str, kind: &str, value: &Value) -> Result<(), Vec<FieldProblem>> {
        let _ = (plugin, kind, value);
        Ok(())
    }
    /// Normalises recipients, in order; an `Err` says what is wrong with that one. Needs no session.
    async fn check_recipients(
        &self,
        plugin: &str,
        recipients: Vec<String>,
    ) -> Result<Vec<Result<String, String>>, ConnectorError>;
    /// Starts a connector, or replaces a running one: the old instance finishes its sends, the new one gets all further sends.
    async fn start(&self, spec: ConnectorSpec) -> Result<(), ConnectorError>;
    /// Stops a connector: sends in progress may finish within the sandbox's drain time.
    async fn stop(&self, connector: ConnectorIndex);
    /// Sends a message. Fails only through its outcome: a trap or a deadline is [`SendOutcome::Unknown`], a connector that is not
    /// running [`SendOutcome::Disconnected`].
    async fn send(&self, connector: ConnectorIndex, message: Outgoing) -> SendOutcome;
    /// Does anything other than sending. A connector that is not running answers [`OperationError::Disconnected`], a deadline or
    /// a trap [`OperationError::Unknown`].
    async fn operate(&self, connector: ConnectorIndex, operation: Operation) -> Result<Answer, OperationError> {
        self.operate_with_files(connector, operation, Vec::new()).await
    }
    /// The same for an operation that names files of the connector's tenant: the plugin may read them until it is answered.
    async fn operate_with_files(
        &self,
        connector: ConnectorIndex,
        operation: Operation,
        files: Vec<Attachment>,
    ) -> Result<Answer, OperationError>;
    /// Passes a request of the channel to the connector, and returns the plugin's answer. What the plugin reported is stored when it
    /// answers.
    async fn receive(
        &self,
        connector: ConnectorIndex,
        request: ReceivedRequest,
    ) -> Result<ReceivedResponse, ReceiveError> {
        let _ = (connector, request);
        Err(ReceiveError::Unsupported)
    }
    /// Whether the operator lets a connector have the proxy at `host` and `port`. `Err` says why not, for the tenant.
    fn check_proxy(&self, host: &str, port: u16) -> Result<(), String> {
        let _ = (host, port);
        Ok(())
    }
    /// What is known of the proxy of a running connector; `None` if it does not run or has none.
    fn proxy_status(&self, connector: ConnectorIndex) -> Option<ProxyStatus> {
        let _ = connector;
        None
    }
    /// Starts another instance of a running connector on the same version, configuration and session, in the place of the one that runs,
    /// whose sends finish first. It never ends the session: nobody has to pair the account again. Returns when the old instance is gone.
    async fn restart(&self, connector: ConnectorIndex) -> Result<(), ConnectorError> {
        let _ = connector;
        Err(ConnectorError::Plugin("its instance cannot be restarted".to_owned()))
    }
    /// The state of its session.
    fn session(&self, connector: ConnectorIndex) -> SessionState;
    /// The account of its session, while it is connected.
    fn account(&self, connector: ConnectorIndex) -> Option<Account>;
    /// What linking the account asks of a person now, beside a code to scan or to type; `None` where it asks nothing.
    fn link_step(&self, connector: ConnectorIndex) -> Option<LinkStep> {
        let _ = connector;
        None
    }
    /// When the session last became connected; `None` where it did not since the engine started.
    fn connected_at(&self, connector: ConnectorIndex) -> Option<Timestamp> {
        let _ = connector;
        None
    }
    /// Since when the session has been in its state; `None` where it has not changed since the engine started. A new code to scan is
    /// a new state.
    fn session_since(&self, connector: ConnectorIndex) -> Option<Timestamp>;
    /// Waits until the session's state differs from `seen`, and returns the new one.
    async fn session_after(&self, connector: ConnectorIndex, seen: &SessionState) -> SessionState;
    /// Reloads the plugin's component from where it was loaded, and moves every connector on it to the new version: the old
    /// instance is stopped (its sends finish first) and a new one started; sends wait until then. After an `Err` the old version
    /// is still running.
    async fn reload(&self, plugin: &str) -> Result<PluginDescription, ConnectorError>;

    /// Runs a stored component (see [`super::PluginEngine::inspect`]) alongside the running version of its plugin: `share`
    /// percent of the sends go to it, chosen by the message's id, or, if the plugin needs sessions, `share` percent of the
    /// connectors (at least one). With 100, all of the work. A plugin that did not exist before exists from then on. An `Err`
    /// leaves everything as it was.
    async fn stage(&self, plugin: &str, digest: &str, share: u8) -> Result<(), ConnectorError> {
        let _ = (digest, share);
        Err(ConnectorError::UnknownPlugin(plugin.to_owned()))
    }
    /// Gives all the work to the staged version; the old one finishes its sends. It stays loaded, for [`Self::unstage`].
    async fn promote(&self, plugin: &str) -> Result<PluginDescription, ConnectorError> {
        Err(ConnectorError::UnknownPlugin(plugin.to_owned()))
    }
    /// Gives all the work back to the version before the staged (or promoted) one.
    async fn unstage(&self, plugin: &str) -> Result<(), ConnectorError> {
        Err(ConnectorError::UnknownPlugin(plugin.to_owned()))
    }
    /// Ends the staged change: the previous version is no longer needed.
    async fn settle(&self, plugin: &str) {
        let _ = plugin;
    }
}

/// What linking an account asks of a person, beside a code to scan or to type. What it means is the plugin's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStep {
    /// Names the step: its answer carries it.
    pub id: String,
    /// What is asked: `code`, `password`, `passkey`, or the plugin's own word.
    pub kind: String,
    /// The same for a person.
    pub text: Option<String>,
    /// What the answer is made from, such as the request options for a passkey.
    pub options: Option<Value>,
    /// A picture that belongs to the question, as a data URL.
    pub picture: Option<String>,
    /// JSON Schema of the answer; `None`: a text.
    pub schema: Option<Value>,
    /// Until when an answer is taken.
    pub expires_at: Option<Timestamp>,
}

/// The account of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its address on the channel.
    pub address: String,
    /// Name that the account goes by.
    pub display_name: Option<String>,
    /// Other addresses of the account.
    pub aliases: Vec<String>,
    /// What its app runs on, if the connector knows it, e.g. `android`.
    pub platform: Option<String>,
    /// Whether it is an account for businesses, if the connector knows it.
    pub business: Option<bool>,
    /// The version of the channel's protocol that the connector speaks, if it tells it.
    pub protocol_version: Option<String>,
}

/// An event that a connector reports.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most events are messages: a box would cost each of them an allocation")]
pub enum ChannelEvent {
    /// A receipt of a message.
    Receipt {
        /// Id of the message, if the connector knows it.
        client_id: Option<uuid::Uuid>,
        /// The channel's id of the message.
        provider_id: String,
        /// In a group, address of the member.
        recipient: Option<String>,
        /// The progress.
        kind: ReceiptKind,
        /// When it happened, according to the channel.
        at: Timestamp,
        /// Why it failed.
        reason: Option<String>,
    },
    /// A message was received.
    Message(Inbound),
    /// The file of an earlier message is available, or cannot be fetched.
    Media {
        /// The conversation: address of a contact or group.
        chat: String,
        /// Provider id of that message.
        provider_id: String,
        /// Whether the file's bytes are available.
        media: MediaState,
    },
    /// Somebody is online or typing. Not stored.
    Presence {
        /// The conversation.
        chat: String,
        /// Address of that person.
        sender: String,
        /// What the person does: `online`, `offline`, `typing`, `recording`, `paused`.
        kind: &'static str,
    },
    /// A contact's name or addresses became known.
    Contact {
        /// The contact's main address from now on.
        address: String,
        /// Name that the contact goes by.
        display_name: Option<String>,
        /// Other addresses of the contact.
        aliases: Vec<String>,
    },
    /// A group changed.
    Group {
        /// Address of the group.
        group: String,
        /// Address of the person who made the change.
        actor: Option<String>,
        /// When it happened, according to the channel.
        at: Timestamp,
        /// The change.
        step: GroupStep,
    },
    /// A recipient blocked or reported the account.
    Blocked(String),
    /// The channel restricts the account; says how.
    Restricted(String),
    /// Another event: a kind and JSON.
    Other(String, String),
}

/// Why an event was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// It cannot be accepted now; the connector must emit it again.
    #[error("{0}")]
    Unavailable(String),
}

/// Gets the events that the sandbox reports from connectors.
#[async_trait]
pub trait ConnectorEvents: Send + Sync + 'static {
    /// The session's state changed. Must not block.
    fn session_changed(&self, connector: ConnectorIndex, state: SessionState, account: Option<Account>);
    /// Accepts events, and writes of the plugin's key/value store, in one batch: all are stored when it returns `Ok`, none
    /// otherwise; only what comes before a conversation that was read on another device may be stored all the same. A message that was accepted before (same connector, chat, sender and provider id) is not stored again, but the
    /// writes are.
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
            contents: Vec::new(),
            operations: Vec::new(),
            idempotent_resend: true,
            max_in_flight: 100,
            needs_session: false,
            pace: None,
            proofs: Vec::new(),
            shared_address: None,
            rules: None,
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
