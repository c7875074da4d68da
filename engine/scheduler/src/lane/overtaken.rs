//! Answers of automations that a person was faster than: somebody took the conversation over by the time they would be sent. Asked by a claim
//! for each message of a connector that has automations.

use pombo_domain::ConnectorIndex;
use pombo_domain::model::message::StoredMessage;
use pombo_domain::ports::{Store, StoreResult};

/// Why such a message is canceled, for people.
pub(super) const WHY: &str = "a person took the conversation over before it was sent";

/// What the name of who paused the automations begins with, where one of them did it: it says what it has to say before that.
const BY_AUTOMATION: &str = "automation:";

/// What is the same for all messages of a claim.
#[derive(Clone, Copy)]
pub(super) struct Overtaken {
    /// The connector has automations.
    is_automated: bool,
    /// The connector may be given the same message again.
    is_idempotent: bool,
}

impl Overtaken {
    pub(super) fn of(store: &dyn Store, connector: ConnectorIndex, is_idempotent: bool) -> StoreResult<Self> {
        Ok(Self { is_automated: !store.automations_on(connector)?.is_empty(), is_idempotent })
    }

    /// Whether an automation made the message, and a person has paused the automations of its conversation. One of which an earlier attempt
    /// may have reached the channel is not: it would be shown as canceled, and the person may have it. Only a connector that may be given
    /// the same message again has such messages in its queue.
    pub(super) fn takes(self, store: &dyn Store, stored: &StoredMessage) -> StoreResult<bool> {
        if !self.is_automated || (self.is_idempotent && stored.state.attempts > 0) {
            return Ok(false);
        }
        let Some(origin) = store.message_origin(stored.message.key)? else { return Ok(false) };
        let handover = store.conversation(origin.conversation)?.and_then(|conversation| conversation.handover);
        Ok(handover.is_some_and(|handover| !handover.by.starts_with(BY_AUTOMATION)))
    }
}
