//! Every request to Graph with its answer, in order. Owned by the world, used under its lock. The newest are kept.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

/// Most entries that are kept.
const MOST: usize = 200_000;

/// A request and its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Place in the journal, from 1.
    pub seq: u64,
    /// Milliseconds of the driven clock.
    pub time: i64,
    /// The method.
    pub method: String,
    /// The path with its version, without the query.
    pub path: String,
    /// The query.
    pub query: String,
    /// The token that came with it.
    pub token: Option<String>,
    /// The body: JSON, or the number of bytes.
    pub body: Value,
    /// The status of the answer; 0 if there was none.
    pub status: u16,
    /// The answer.
    pub answer: Value,
    /// `ok`, `accepted`, `error <code>`, `hang`, `reset`.
    pub outcome: String,
}

/// The entries.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: VecDeque<Entry>,
    seq: u64,
}

impl Journal {
    /// Adds an entry and numbers it.
    pub(crate) fn add(&mut self, mut entry: Entry) {
        self.seq += 1;
        entry.seq = self.seq;
        if self.entries.len() == MOST {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// The entries after this one.
    pub(crate) fn after(&self, seq: u64) -> Vec<Entry> {
        let skip = self.entries.partition_point(|entry| entry.seq <= seq);
        self.entries.iter().skip(skip).cloned().collect()
    }
}
