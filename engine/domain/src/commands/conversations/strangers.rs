//! Who is a stranger to a connector: a person with whom it has no conversation in which the other side ever wrote, and to whom it sent
//! nothing that the channel accepted. Asked only where the channel limits how conversations are started. Reads only, and few rows.

use super::ALIASES;
use crate::model::{Connector, ContactType, Conversation, Status};
use crate::ports::{Store, StoreError, StoreResult, TimelineRange};
use crate::{ConnectorIndex, MessageKey, TenantIndex};

/// Messages of a conversation that are looked at, the newest ones: whoever was sent so many in vain remains a stranger.
const LOOKED_AT: usize = 16;

/// Whose strangers are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Acquaintances {
    tenant: TenantIndex,
    connector: ConnectorIndex,
    kind: Option<ContactType>,
}

impl Acquaintances {
    /// Those of a connector.
    pub fn of(connector: &Connector) -> Self {
        let kind = ContactType::of_channel(&connector.channel);
        Self { tenant: connector.tenant, connector: connector.index, kind }
    }

    /// Whether the recipient `to` is a stranger, whose conversation has the address `chat`. A group is none. A message that cannot be read
    /// makes nobody known.
    pub fn lack(self, store: &dyn Store, to: &str, chat: &str) -> StoreResult<bool> {
        if self.kind.is_some_and(|kind| !kind.may_be_person(to)) {
            return Ok(false);
        }
        let Some(conversation) = conversation_with(store, self, chat)? else { return Ok(true) };
        if conversation.is_group || conversation.received > 0 || conversation.written_at.is_some() {
            return Ok(false);
        }
        let tenant = self.tenant;
        let page = store.timeline(tenant, conversation.number, &TimelineRange::default(), LOOKED_AT)?;
        // Written on the account's phone.
        if page.items.iter().any(|item| item.entry.from_me && item.entry.message.is_none()) {
            return Ok(false);
        }
        let serials = page.items.iter().filter_map(|item| item.entry.message);
        let keys: Vec<MessageKey> = serials.map(|serial| MessageKey { tenant, serial }).collect();
        match store.messages(&keys) {
            Ok(sent) => Ok(!sent.iter().flatten().any(|stored| stored.state.status == Status::Sent)),
            Err(StoreError::Damaged(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// The conversation with a person. It may have been opened under another address, before both were known to be the same person's.
pub(super) fn conversation_with(store: &dyn Store, of: Acquaintances, chat: &str) -> StoreResult<Option<Conversation>> {
    if let Some(found) = store.conversation_with(of.connector, chat)? {
        return Ok(Some(found));
    }
    let Some(kind) = of.kind else { return Ok(None) };
    for alias in store.contact_aliases(of.tenant, kind, chat)?.iter().take(ALIASES) {
        if let Some(found) = store.conversation_with(of.connector, alias)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
