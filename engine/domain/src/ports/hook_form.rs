//! What a post to a connector's webhook looks like: a facade documents it, and the scheduler only posts it. And posts that a person asks
//! for, to see whether the receiver is there.

use async_trait::async_trait;

use super::StoreResult;
use crate::model::{Connector, Conversation, Event, HookKind, StoredMessage, TimelineItem};
use crate::{ConnectorIndex, Timestamp};

/// An event on its way to a connector's webhook, with what is known of it when it is posted.
pub struct ToldEvent<'a> {
    /// What is told of it.
    pub kind: HookKind,
    /// The connector on which it happened.
    pub connector: &'a Connector,
    /// The event.
    pub event: &'a Event,
    /// The conversation, unless the event has none or it was deleted.
    pub conversation: Option<&'a Conversation>,
    /// The entry of the message in the conversation's timeline, unless there is none or it was deleted. Of an own message that is told as
    /// sent, it has what was said then, whatever was edited or deleted for everyone since.
    pub item: Option<&'a TimelineItem>,
    /// The message, of an event about one that was sent with the engine.
    pub message: Option<&'a StoredMessage>,
    /// Of a session's event: the connector's event about its session before this one, if it is still in the log.
    pub before: Option<&'a Event>,
    /// The time of the attempt.
    pub now: Timestamp,
}

/// Writes posts to connectors' webhooks.
pub trait HookForm: Send + Sync + 'static {
    /// The exact body, as JSON; `None` if the event cannot be told, however often it is tried.
    fn body(&self, told: &ToldEvent<'_>) -> Option<String>;
    /// The headers besides the content type. `digest` is the HMAC-SHA256 of the body with the webhook's secret, in lower-case
    /// hexadecimal.
    fn headers(&self, told: &ToldEvent<'_>, digest: &str) -> Vec<(&'static str, String)>;
}

/// How a test post to a connector's webhook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookTested {
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why there was none, for a person.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
}

/// Posts tests to connectors' webhooks. Implemented by the scheduler, which posts everything else.
#[async_trait]
pub trait WebhookTests: Send + Sync + 'static {
    /// Tells the connector's webhook how its session stands now, once, signed like every post, also where the webhook is switched off or
    /// wants no such event. Nothing of it is stored, and no answer changes the webhook. `None` if the connector has no webhook.
    async fn test_webhook(&self, connector: ConnectorIndex) -> StoreResult<Option<WebhookTested>>;
}
