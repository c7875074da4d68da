//! Which message a report is about.
//!
//! A connector names it by the engine's own id where the channel sends that back. Where it does not, or where that id is another
//! program's, the channel's id of the message leads to it. That costs one read of a key for each such report: a batch has a bounded
//! number of events, and what another program sends through the same account is found nowhere and passed over.

use std::collections::btree_map::Entry;

use pombo_domain::MessageKey;
use pombo_domain::model::message::StoredMessage;
use pombo_domain::ports::{StoreError, StoreResult};
use uuid::Uuid;

use super::{BatchBuilder, Reported};

impl BatchBuilder<'_> {
    /// The id of the message that a report is about; `None` where it is not about a message of this connector.
    pub(super) fn subject(&mut self, id: Option<Uuid>, provider_id: Option<&str>) -> StoreResult<Option<Uuid>> {
        if let Some(id) = id
            && self.reported(id)?.is_some()
        {
            return Ok(Some(id));
        }
        let Some(provider_id) = provider_id.filter(|id| !id.is_empty()) else { return Ok(None) };
        // An earlier report of this batch may have told the channel's id of it.
        let told = self.reported.values().find(|reported| reported.is_known_as(provider_id));
        if let Some(reported) = told {
            return Ok(Some(reported.stored.message.id));
        }
        let found = self.context.ports.store.message_by_provider_id(self.connector.index, provider_id);
        match self.readable(found)?.filter(|stored| stored.message.key.tenant == self.tenant) {
            Some(stored) => {
                let id = stored.message.id;
                self.note(stored)?;
                Ok(Some(id))
            }
            None => Ok(None),
        }
    }

    /// The key of a message that this connector sends; `None` for any other.
    pub(super) fn reported(&mut self, id: Uuid) -> StoreResult<Option<MessageKey>> {
        let found = self.context.ports.store.message_by_id(self.tenant, id);
        match self.readable(found)? {
            Some(stored) if stored.message.content.connector == self.connector.index => self.note(stored).map(Some),
            _ => Ok(None),
        }
    }

    /// Keeps a message for this batch, with what was reported of it so far.
    fn note(&mut self, stored: StoredMessage) -> StoreResult<MessageKey> {
        let key = stored.message.key;
        if let Entry::Vacant(entry) = self.reported.entry(key) {
            let receipts = self.context.ports.store.receipts(key)?;
            entry.insert(Reported { stored, state: None, receipts, changed: false, steps: false });
        }
        Ok(key)
    }

    /// A message that was read. One that is damaged counts as not there: it must not hold up all events of its connector forever.
    fn readable(&self, found: StoreResult<Option<StoredMessage>>) -> StoreResult<Option<StoredMessage>> {
        match found {
            Err(StoreError::Damaged(what)) => {
                tracing::error!(connector = %self.connector.id, what, "a report's message is damaged; the report is left out");
                Ok(None)
            }
            found => found,
        }
    }
}

impl Reported {
    /// Whether the channel knows it by this id, as far as this batch tells.
    fn is_known_as(&self, provider_id: &str) -> bool {
        let state = self.state.as_ref().unwrap_or(&self.stored.state);
        [&state.provider_id, &self.receipts.provider_id].into_iter().any(|known| known.as_deref() == Some(provider_id))
    }
}
