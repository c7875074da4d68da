//! The births of messages that were read recently: their ranks and initial states, which the committer would otherwise read again
//! when the message changes its state, and what they are counted under. With [`crate::in_flight`], a claim and its outcome read no table.
//!
//! Births never change, so any reader may note them.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use pombo_domain::MessageKey;
use pombo_domain::model::stats::StatSubject;
use pombo_domain::model::{Message, MessageState};

use crate::tables::stats::subject_of;

/// How many are kept.
const MOST: usize = 8192;

/// A message's rank and initial state.
pub(crate) type Birth = (u8, MessageState);

/// The births; see the module.
#[derive(Default)]
pub(crate) struct BirthCache(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    births: HashMap<MessageKey, (Birth, Option<StatSubject>)>,
    order: VecDeque<MessageKey>,
}

impl BirthCache {
    pub(crate) fn note<'a>(&self, messages: impl Iterator<Item = &'a Message>) {
        let mut kept = self.0.lock();
        for message in messages {
            let born = ((message.rank(), message.initial_state()), subject_of(&message.content));
            if kept.births.insert(message.key, born).is_none() {
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
        self.0.lock().births.get(&key).map(|(birth, _)| birth.clone())
    }

    /// What a message is counted under, see [`subject_of`]; `None` where it must be read.
    pub(crate) fn subject(&self, key: MessageKey) -> Option<Option<StatSubject>> {
        self.0.lock().births.get(&key).map(|(_, subject)| *subject)
    }
}
