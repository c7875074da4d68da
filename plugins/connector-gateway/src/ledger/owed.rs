//! What could not be committed when it came: it is kept in memory and committed later.

use std::cell::RefCell;
use std::collections::VecDeque;

use pombo_plugin::connector::{events, kv};
use pombo_plugin::log;

use crate::outside::{Outside, Trouble};

/// How many commits are kept; the oldest go first.
const MOST: usize = 1_000;

#[derive(Debug)]
struct Commit {
    told: Vec<events::Event>,
    changes: Vec<kv::Change>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Owed {
    commits: RefCell<VecDeque<Commit>>,
    /// The keys that are being written.
    writing: RefCell<Vec<String>>,
}

impl Owed {
    /// Keeps what is to be committed.
    pub(super) fn add(&self, told: Vec<events::Event>, changes: Vec<kv::Change>) {
        let mut commits = self.commits.borrow_mut();
        if commits.len() >= MOST {
            commits.pop_front();
            log::warn("receipts", "too much could not be stored: the oldest is given up");
        }
        commits.push_back(Commit { told, changes });
    }

    /// Whether one of these keys is being written.
    pub(super) fn writes(&self, changes: &[kv::Change]) -> bool {
        let writing = self.writing.borrow();
        changes.iter().any(|change| writing.contains(&change.key))
    }

    /// Leaves out what newer changes make old.
    pub(super) fn supersede(&self, newer: &[kv::Change]) {
        let is_old = |change: &kv::Change| newer.iter().any(|newer| newer.key == change.key);
        for commit in self.commits.borrow_mut().iter_mut() {
            commit.changes.retain(|change| !is_old(change));
        }
    }

    /// Commits what is kept, the oldest first, until the engine does not take it.
    pub(super) async fn flush(&self, outside: &impl Outside) -> Result<(), Trouble> {
        loop {
            let next = self.commits.borrow_mut().pop_front();
            let Some(commit) = next else { return Ok(()) };
            *self.writing.borrow_mut() = commit.changes.iter().map(|change| change.key.clone()).collect();
            let done = outside.commit(commit.told.clone(), commit.changes.clone()).await;
            self.writing.borrow_mut().clear();
            match done {
                Ok(()) => {}
                Err(Trouble::Final(why)) => {
                    log::warn("receipts", &format!("the engine does not take a receipt: {why}"))
                }
                Err(trouble) => {
                    self.commits.borrow_mut().push_front(commit);
                    return Err(trouble);
                }
            }
        }
    }
}
