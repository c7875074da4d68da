//! Answers of automations that a person was faster than: somebody took the conversation over by the time they would be sent. Asked by a claim
//! for each message; cheap where the connector has no automations.

use pombo_domain::model::message::StoredMessage;
use pombo_domain::model::reason::Reason;
use pombo_domain::ports::{Store, StoreResult};

/// Why such a message is canceled, for people.
pub(super) const WHY: &str = "a person took the conversation over before it was sent";

/// What the name of who paused the automations begins with, where one of them did it: it says what it has to say before that.
const BY_AUTOMATION: &str = "automation:";

/// Whether an automation made the message, and a person has paused the automations of its conversation. One of which an earlier attempt may
/// have reached the channel is not: what became of it is not for a claim to say.
pub(super) fn is_overtaken(store: &dyn Store, stored: &StoredMessage) -> StoreResult<bool> {
    let in_doubt = stored.state.reason.as_ref().is_some_and(Reason::leaves_doubt);
    if in_doubt || store.automations_on(stored.message.content.connector)?.is_empty() {
        return Ok(false);
    }
    let Some(origin) = store.message_origin(stored.message.key)? else { return Ok(false) };
    let handover = store.conversation(origin.conversation)?.and_then(|conversation| conversation.handover);
    Ok(handover.is_some_and(|handover| !handover.by.starts_with(BY_AUTOMATION)))
}
