//! What a post to a connector's webhook looks like. A facade documents it; the scheduler only posts it.

use crate::Timestamp;
use crate::model::{Connector, Conversation, Event, HookKind, StoredMessage, TimelineItem};

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
