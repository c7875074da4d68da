//! Who is a stranger to a connector: a person with whom it has no conversation in which the other side ever wrote, and to whom it sent
//! nothing that the channel accepted. Asked only while the channel limits how conversations are started.

use pombo_domain::MessageKey;
use pombo_domain::TenantIndex;
use pombo_domain::model::contact::ContactType;
use pombo_domain::model::{Conversation, Status};
use pombo_domain::ports::{StoreError, StoreResult, TimelineRange};

use crate::context::Context;

/// Messages of a conversation that are looked at, the newest ones: whoever was sent so many in vain remains a stranger.
const LOOKED_AT: usize = 16;

/// Whether the recipient `to` is a stranger. `chat` is the address of the conversation, where the channel has conversations. A group is
/// none, nor is anybody where the channel has no conversations.
pub(super) fn is_stranger(
    context: &Context,
    tenant: TenantIndex,
    kind: Option<ContactType>,
    (to, chat): (&str, Option<&str>),
    conversation: Option<&Conversation>,
) -> StoreResult<bool> {
    if chat.is_none() || kind.is_some_and(|kind| !kind.may_be_person(to)) {
        return Ok(false);
    }
    let Some(conversation) = conversation else { return Ok(true) };
    if conversation.is_group || conversation.received > 0 || conversation.written_at.is_some() {
        return Ok(false);
    }
    let store = &context.ports.store;
    let page = store.timeline(tenant, conversation.number, &TimelineRange::default(), LOOKED_AT)?;
    let entries = || page.items.iter().map(|item| &item.entry);
    // Written on the account's phone.
    if entries().any(|entry| entry.from_me && entry.message.is_none()) {
        return Ok(false);
    }
    let keys: Vec<MessageKey> =
        entries().filter_map(|entry| entry.message).map(|serial| MessageKey { tenant, serial }).collect();
    match store.messages(&keys) {
        Ok(sent) => Ok(!sent.iter().flatten().any(|stored| stored.state.status == Status::Sent)),
        // A row that nobody can read must not keep the lane from going on.
        Err(StoreError::Damaged(what)) => {
            tracing::error!(
                tenant = tenant.0,
                what,
                "a message of a conversation is damaged; its person counts as a stranger"
            );
            Ok(true)
        }
        Err(error) => Err(error),
    }
}
