//! Wire types of what a stream says in addition to the log: where it begins, what is missing, and what is told live and stored nowhere.

use poem_openapi::{Enum, Object, Union};
use pombo_api::sse::Streamed;
use pombo_domain::commands::events::live::{ToldAutomation, ToldMessage};
use pombo_domain::ports::MessageStep;
use uuid::Uuid;

use crate::events::wire::Event;
use crate::wire::Instant;
use crate::wire::message::{MessageReason, MessageStatus};
use crate::wire::session::{Session, SessionStatus};

/// The types of what is told live.
pub(crate) const LIVE_KINDS: [&str; 4] = [MESSAGE, SESSION, CONNECTOR, AUTOMATION];
pub(crate) const MESSAGE: &str = "message.changed";
/// Events of the log have this type as well.
pub(crate) const SESSION: &str = "session.changed";
pub(crate) const CONNECTOR: &str = "connector.changed";
pub(crate) const AUTOMATION: &str = "automation.changed";

/// The data of an event of a stream.
#[derive(Union)]
#[expect(clippy::large_enum_variant, reason = "each is written out at once")]
pub(crate) enum Followed {
    /// An event of the log, with an `id`.
    Logged(Event),
    /// The first event, `hello`.
    Hello(Hello),
    /// An event `resync`.
    Resync(Resync),
    /// An event `message.changed`, without an `id`.
    Message(LiveMessage),
    /// An event `session.changed` without an `id`.
    Session(LiveSession),
    /// An event `automation.changed`, without an `id`.
    Automation(LiveAutomation),
    /// An event `connector.changed`, without an `id`.
    Connector(LiveConnector),
}

impl Streamed for Followed {
    const DESCRIPTION: &'static str = "First comes an event `hello`, which says where the stream begins. Then each event of the log: its `id` is its \
         `cursor`, its name the `type`, its `data` the event as it is in the list. An event `resync` means that something is missing: its \
         `data` has a `reason`, and the `cursor` behind which the stream goes on. Read again what you keep, with the lists. With `live`, \
         there are also events without an `id`, which are stored nowhere: `message.changed`, `session.changed`, `connector.changed` and \
         `automation.changed`. What of them happened while the client was away is not repeated, so read the present state after each \
         `hello`.";
}

/// Where a stream begins.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Hello {
    /// The stream has the events behind this cursor.
    pub(crate) cursor: u64,
    /// The engine's time.
    pub(crate) server_time: Instant,
    /// Version of the engine.
    pub(crate) version: String,
}

/// Why events are missing.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
pub(crate) enum Missing {
    /// They were deleted before this client read them.
    Forgotten,
    /// The cursor is not one of this log.
    UnknownCursor,
    /// The client was too slow for what is told live. Of the log nothing is missing.
    FellBehind,
}

/// Something is missing.
#[derive(Object)]
pub(crate) struct Resync {
    /// Why something is missing.
    pub(crate) reason: Missing,
    /// The stream goes on behind this cursor.
    pub(crate) cursor: u64,
}

/// A message is new, or has another status.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct LiveMessage {
    /// Id of the message.
    id: Uuid,
    /// Id of the conversation that it is sent in; absent if there is none yet, or the channel has none.
    conversation_id: Option<Uuid>,
    /// Id of its connector.
    connector_id: Uuid,
    /// The status that it came to.
    status: MessageStatus,
    /// Number of changes up to this one; 0 for a new message.
    revision: u32,
    /// Why it has this status.
    reason: Option<MessageReason>,
}

impl LiveMessage {
    pub(crate) fn of(message: ToldMessage, step: MessageStep) -> Self {
        Self {
            id: message.id,
            conversation_id: message.conversation,
            connector_id: message.connector,
            status: step.status.into(),
            revision: step.revision,
            reason: step.reason.map(MessageReason::from),
        }
    }
}

/// A session came to another state. With QR_CODE and PAIRING_CODE there is a new code: ask for the session to get it.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct LiveSession {
    /// Id of the connector.
    connector_id: Uuid,
    /// State of the session.
    status: SessionStatus,
    /// Why it is not connected.
    reason: Option<String>,
}

impl LiveSession {
    pub(crate) fn of(connector_id: Uuid, session: Session) -> Self {
        Self { connector_id, status: session.status, reason: session.reason }
    }
}

/// A connector was created, changed or deleted.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct LiveConnector {
    /// Id of the connector.
    pub(crate) connector_id: Uuid,
}

/// An automation was created, changed or deleted.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct LiveAutomation {
    /// Id of the automation.
    automation_id: Uuid,
    /// Id of the connector in whose conversations it answers.
    connector_id: Uuid,
}

impl From<ToldAutomation> for LiveAutomation {
    fn from(automation: ToldAutomation) -> Self {
        Self { automation_id: automation.id, connector_id: automation.connector }
    }
}
