//! What the committer would otherwise read again for a step: the births of messages that a lane has just read, and the states
//! of those that are with a connector. A claim and its outcome then touch no table for reading.
//!
//! Births never change, so any reader may note them. States are the committer's own: it alone changes them.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use pombo_domain::MessageKey;
use pombo_domain::model::{Message, MessageState, Status};

/// How many of each are kept.
const MOST: usize = 8192;

/// A message's rank and initial state.
pub(crate) type Birth = (u8, MessageState);

/// The births of messages lately read.
#[derive(Default)]
pub(crate) struct Births(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    births: HashMap<MessageKey, Birth>,
    order: VecDeque<MessageKey>,
}

impl Births {
    pub(crate) fn note<'a>(&self, messages: impl Iterator<Item = &'a Message>) {
        let mut kept = self.0.lock();
        for message in messages {
            if kept.births.insert(message.key, (message.rank(), message.initial_state())).is_none() {
                kept.order.push_back(message.key);
            }
            if kept.order.len() > MOST
                && let Some(oldest) = kept.order.pop_front()
            {
                kept.births.remove(&oldest);
            }
        }
    }

    pub(crate) fn get(&self, key: MessageKey) -> Option<Birth> {
        self.0.lock().births.get(&key).cloned()
    }
}

/// The states of messages with a connector, as they are on disk.
#[derive(Default)]
pub(crate) struct InFlight(HashMap<MessageKey, (u8, MessageState)>);

impl InFlight {
    pub(crate) fn get(&self, key: MessageKey) -> Option<&(u8, MessageState)> {
        self.0.get(&key)
    }

    /// A step is on disk.
    pub(crate) fn stepped(&mut self, key: MessageKey, rank: u8, state: MessageState) {
        if state.status != Status::Processing {
            self.0.remove(&key);
        } else if self.0.len() < MOST || self.0.contains_key(&key) {
            self.0.insert(key, (rank, state));
        }
    }
}
