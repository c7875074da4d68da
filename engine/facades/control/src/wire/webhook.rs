//! Wire types of what a webhook is told.

use poem_openapi::Enum;
use pombo_domain::model::HookKind;
use serde::Deserialize;

/// What a connector's webhook can be told.
#[derive(Enum, Deserialize, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WebhookEvent {
    /// A message was received. Reactions, edits and deletions are not told.
    #[oai(rename = "message.received")]
    #[serde(rename = "message.received")]
    MessageReceived,
    /// A message of the account's own was sent, here or from another of its devices.
    #[oai(rename = "message.sent")]
    #[serde(rename = "message.sent")]
    MessageSent,
    /// An own message was sent, delivered, read or played, or failed.
    #[oai(rename = "message.status")]
    #[serde(rename = "message.status")]
    MessageStatus,
    /// The account is connected to its channel.
    #[oai(rename = "session.connected")]
    #[serde(rename = "session.connected")]
    SessionConnected,
    /// The connection was lost, or the session ended.
    #[oai(rename = "session.disconnected")]
    #[serde(rename = "session.disconnected")]
    SessionDisconnected,
    /// There is a new code to scan.
    #[oai(rename = "session.code")]
    #[serde(rename = "session.code")]
    SessionCode,
}

impl From<HookKind> for WebhookEvent {
    fn from(kind: HookKind) -> Self {
        match kind {
            HookKind::Received => Self::MessageReceived,
            HookKind::Sent => Self::MessageSent,
            HookKind::Status => Self::MessageStatus,
            HookKind::Connected => Self::SessionConnected,
            HookKind::Disconnected => Self::SessionDisconnected,
            HookKind::Code => Self::SessionCode,
        }
    }
}

impl From<WebhookEvent> for HookKind {
    fn from(event: WebhookEvent) -> Self {
        match event {
            WebhookEvent::MessageReceived => Self::Received,
            WebhookEvent::MessageSent => Self::Sent,
            WebhookEvent::MessageStatus => Self::Status,
            WebhookEvent::SessionConnected => Self::Connected,
            WebhookEvent::SessionDisconnected => Self::Disconnected,
            WebhookEvent::SessionCode => Self::Code,
        }
    }
}
