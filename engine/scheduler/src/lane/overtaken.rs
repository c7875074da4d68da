//! Answers of automations that a person was faster than: somebody answers the conversation on the account's own phone by the time they
//! would be sent. Asked by a claim for each message; cheap while nobody does.

use pombo_domain::model::message::StoredMessage;
use pombo_domain::model::reason::Reason;
use pombo_domain::ports::{Store, StoreResult};

/// Why such a message is canceled, for people.
pub(super) const WHY: &str = "somebody answered on the phone before it was sent";

/// Whether an automation made the message for the conversation of this chat, and a person answers there now. One of which an earlier attempt
/// may have reached the channel is not: what becomes of it is not for a claim to say.
pub(super) fn is_overtaken(store: &dyn Store, stored: &StoredMessage, chat: Option<&str>) -> StoreResult<bool> {
    let Some(chat) = chat else { return Ok(false) };
    let in_doubt = stored.state.reason.as_ref().is_some_and(Reason::leaves_doubt);
    if in_doubt || !store.is_paused_for_now(stored.message.content.connector, chat)? {
        return Ok(false);
    }
    Ok(store.message_origin(stored.message.key)?.is_some())
}
