//! The ledger of message stanzas that went through the server: how tests prove that nothing was lost or doubled.

use std::collections::HashMap;

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
    /// How many copies went to devices that did not have it yet.
    pub fanout: u32,
    /// Seconds since 1970 when it came first.
    pub first_at: u64,
}

/// All of them.
#[derive(Default)]
pub struct Ledger {
    entries: Vec<Relayed>,
    by_id: HashMap<(String, String), usize>,
}

impl Ledger {
    /// Notes a stanza. Answers how often it came before.
    pub(crate) fn note(&mut self, id: &str, from: &str, to: &str, fanout: u32) -> u32 {
        let key = (from.to_owned(), id.to_owned());
        if let Some(index) = self.by_id.get(&key) {
            let entry = &mut self.entries[*index];
            entry.count += 1;
            entry.fanout += fanout;
            return entry.count - 1;
        }
        self.by_id.insert(key, self.entries.len());
        self.entries.push(Relayed {
            id: id.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            count: 1,
            fanout,
            first_at: super::now(),
        });
        0
    }

    pub(super) fn all(&self) -> Vec<Relayed> {
        self.entries.clone()
    }

    /// How many messages, and how many stanzas carried them.
    pub fn totals(&self) -> (u64, u64) {
        (self.entries.len() as u64, self.entries.iter().map(|entry| u64::from(entry.count)).sum())
    }
}
