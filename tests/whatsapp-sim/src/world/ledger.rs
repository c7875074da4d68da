//! The ledger of message stanzas that went through the server: how tests prove that nothing was lost or doubled.

use std::collections::{HashMap, HashSet};

use super::account::DeviceId;

/// One message stanza as the server relayed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// The message id the sender gave.
    pub id: String,
    /// The sending device.
    pub from: String,
    /// The chat it was sent to.
    pub to: String,
    /// How often the sender sent it: more than one is a resend with the same id.
    pub count: u32,
    /// To how many devices it went that did not have it yet, or asked for it again.
    pub fanout: u32,
    /// Seconds since 1970 when it came first.
    pub first_at: u64,
}

/// All of them.
#[derive(Default)]
pub struct Ledger {
    entries: Vec<Relayed>,
    by_id: HashMap<(String, String), usize>,
    /// Who has each of them, by its place in `entries`.
    delivered: Vec<HashSet<DeviceId>>,
}

impl Ledger {
    /// Notes a stanza that came at `now` (seconds since 1970): its id, its sender and its chat. Answers to which of its targets it is new:
    /// those that never got a message of this id from this sender, or have `asked_for` it again because they could not decrypt it.
    pub(crate) fn note(
        &mut self,
        (id, from, to): (&str, &str, &str),
        targets: &[DeviceId],
        asked_for: bool,
        now: u64,
    ) -> Vec<bool> {
        let key = (from.to_owned(), id.to_owned());
        let index = match self.by_id.get(&key) {
            Some(index) => *index,
            None => {
                self.by_id.insert(key, self.entries.len());
                self.entries.push(Relayed {
                    id: id.to_owned(),
                    from: from.to_owned(),
                    to: to.to_owned(),
                    count: 0,
                    fanout: 0,
                    first_at: now,
                });
                self.delivered.push(HashSet::new());
                self.entries.len() - 1
            }
        };
        let delivered = &mut self.delivered[index];
        let new: Vec<bool> = targets.iter().map(|target| delivered.insert(target.clone()) || asked_for).collect();
        let entry = &mut self.entries[index];
        entry.count += 1;
        entry.fanout += new.iter().filter(|new| **new).count() as u32;
        new
    }

    pub(super) fn all(&self) -> Vec<Relayed> {
        self.entries.clone()
    }

    /// How many messages, and how many stanzas carried them.
    pub fn totals(&self) -> (u64, u64) {
        (self.entries.len() as u64, self.entries.iter().map(|entry| u64::from(entry.count)).sum())
    }
}
