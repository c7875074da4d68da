//! The states of messages that are with a connector, which the committer would otherwise read again when their outcome comes. The
//! committer alone changes states, so they are its own.

use std::collections::HashMap;

use pombo_domain::MessageKey;
use pombo_domain::model::{MessageState, Status};

/// How many are kept; those past it are read from the store.
const MOST: usize = 8192;

/// The states of messages with a connector, as they are on disk.
#[derive(Default)]
pub(crate) struct InFlight(HashMap<MessageKey, (u8, MessageState)>);

impl InFlight {
    pub(crate) fn get(&self, key: MessageKey) -> Option<&(u8, MessageState)> {
        self.0.get(&key)
    }

    /// A message's new state is on disk.
    pub(crate) fn stepped(&mut self, key: MessageKey, rank: u8, state: MessageState) {
        if state.status != Status::Processing {
            self.0.remove(&key);
        } else if self.0.len() < MOST || self.0.contains_key(&key) {
            self.0.insert(key, (rank, state));
        }
    }
}
