//! Which message of the engine's an id of WhatsApp's belongs to, so that a receipt can name it, also after a restart.
//!
//! The id comes with the gateway's answer, and a receipt may come before it: what belongs to no known message waits for
//! [`WAIT_MILLIS`] and is told as soon as the answer gives the id. Both are kept in the store; [`Ledger`] has the latest in memory, and
//! what the store did not take ([`owed`]).
//!
//! Keys: `sent/ID` has the client-id; `part/CLIENT` has what was already sent of a message that is several on the channel;
//! `due/DAY/KEY` is what the sweep reads; `early/ID/KIND` is a receipt that waits.

mod owed;
mod said;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use pombo_plugin::connector::kv;
use pombo_plugin::log;

use owed::Owed;
pub(crate) use said::{Said, Step};

use crate::outside::{Outside, Trouble, delete, put};

/// Phones that were off for longer do exist; their receipts are of no message then.
const KEPT_DAYS: u64 = 30;
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;
/// The most ids that are kept; the oldest go first.
const KEPT: usize = 50_000;
/// How many of the latest stay in memory: most receipts come within seconds.
const RECENT: usize = 256;
/// How long a receipt waits for the answer that says whose it is.
const WAIT_MILLIS: u64 = 60_000;
/// How many receipts wait; the oldest go first.
const WAITING: usize = 1_000;
/// How many entries are asked for at once.
const PAGE: u32 = 512;
/// Pauses before the further attempts to tell what waited.
const PAUSES_MILLIS: [u64; 2] = [200, 1_000];
/// How often it is looked whether an older note is written.
const LOOK: Duration = Duration::from_millis(50);

fn row(id: &str) -> String {
    format!("sent/{id}")
}

fn part(client: &str) -> String {
    format!("part/{client}")
}

fn due(now: u64, key: &str) -> String {
    format!("due/{:06}/{key}", now / DAY_MILLIS)
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Ids and client-ids, the latest last.
    recent: RefCell<VecDeque<(String, String)>>,
    early: RefCell<VecDeque<Said>>,
    /// What was not stored when it came.
    owed: Owed,
}

impl Ledger {
    /// Takes up the receipts that waited when the connector ended. After a failure it can be repeated.
    pub(crate) async fn load(&self, outside: &impl Outside) -> Result<(), Trouble> {
        let now = outside.now_millis();
        let mut after = None;
        loop {
            let page = outside.list("early/".to_owned(), after.take(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key.clone());
            let mut gone = Vec::new();
            for entry in page {
                let Ok(said) = serde_json::from_slice::<Said>(&entry.value) else {
                    gone.push(delete(entry.key));
                    continue;
                };
                match self.client_of(outside, &said.id).await? {
                    Some(client) => {
                        let told = vec![said.event(&client)];
                        match outside.commit(told, vec![delete(entry.key.as_str())]).await {
                            // It never will be taken.
                            Err(Trouble::Final(_)) => gone.push(delete(entry.key)),
                            done => done?,
                        }
                    }
                    None if said.at + WAIT_MILLIS <= now => gone.push(delete(entry.key)),
                    None => {
                        let mut early = self.early.borrow_mut();
                        // One that came while this was read is there already.
                        if !early.contains(&said) {
                            early.push_back(said);
                        }
                    }
                }
            }
            if !gone.is_empty() {
                outside.batch(gone).await?;
            }
        }
    }

    /// The client-id of a message that this connector sent, where it is known.
    pub(crate) async fn client_of(&self, outside: &impl Outside, id: &str) -> Result<Option<String>, Trouble> {
        if let Some(known) = self.recall(id) {
            return Ok(Some(known));
        }
        let stored = outside.get(row(id)).await?.and_then(|value| String::from_utf8(value).ok());
        // The answer may have come meanwhile.
        Ok(stored.or_else(|| self.recall(id)))
    }

    /// Notes that `client` was sent, as `id` if the gateway named it, with further changes of the store, and tells the receipts that
    /// came before. After a failure it is known in memory only, until [`flush`](Self::flush) succeeds.
    pub(crate) async fn sent(
        &self,
        outside: &impl Outside,
        id: Option<&str>,
        client: &str,
        further: Vec<kv::Change>,
    ) -> Result<(), Trouble> {
        // An older note must neither be written after this one, nor while it is.
        while self.owed.writes(&further) {
            outside.sleep(LOOK).await;
        }
        self.owed.supersede(&further);
        let (mut told, mut changes) = (Vec::new(), Vec::new());
        if let Some(id) = id {
            self.keep(id, client);
            let waiting = self.take(id);
            told.extend(waiting.iter().map(|said| said.event(client)));
            changes.extend([put(row(id), client.as_bytes()), put(due(outside.now_millis(), &row(id)), Vec::new())]);
            changes.extend(waiting.iter().map(|said| delete(said.key())));
        }
        changes.extend(further);
        if changes.is_empty() {
            return Ok(());
        }
        let mut pauses = PAUSES_MILLIS.into_iter();
        loop {
            let trouble = match outside.commit(told.clone(), changes.clone()).await {
                Ok(()) => return Ok(()),
                Err(trouble) => trouble,
            };
            match (&trouble, pauses.next()) {
                (Trouble::Temporary(_), Some(pause)) => outside.sleep(Duration::from_millis(pause)).await,
                (Trouble::Temporary(_), None) => {
                    self.owed.add(told, changes);
                    return Err(trouble);
                }
                (Trouble::Final(_), _) => {
                    // The receipts are what it does not take; the ids it may.
                    self.owed.add(Vec::new(), changes);
                    return Err(trouble);
                }
            }
        }
    }

    /// Stores and tells what could not be when it came.
    pub(crate) async fn flush(&self, outside: &impl Outside) -> Result<(), Trouble> {
        self.owed.flush(outside).await
    }

    /// Takes a receipt: tells it, or keeps it until the answer says whose it is. After `Ok`, it is stored either way.
    pub(crate) async fn receipt(&self, outside: &impl Outside, said: Said) -> Result<(), Trouble> {
        if let Some(client) = self.client_of(outside, &said.id).await? {
            return outside.commit(vec![said.event(&client)], Vec::new()).await;
        }
        // Nothing is awaited between the look above and this line: an answer finds it.
        let mut changes = self.wait(said.clone(), outside.now_millis());
        let value = serde_json::to_vec(&said).map_err(|error| Trouble::Final(error.to_string()))?;
        changes.push(put(said.key(), value));
        outside.batch(changes).await?;
        // If the answer came while this was being written, it may have been deleted before it was there.
        match self.recall(&said.id) {
            Some(client) => outside.commit(vec![said.event(&client)], vec![delete(said.key())]).await,
            None => Ok(()),
        }
    }

    /// What was already sent of a message, part by part, with their ids.
    pub(crate) async fn parts(&self, outside: &impl Outside, client: &str) -> Result<Vec<Option<String>>, Trouble> {
        let stored = outside.get(part(client)).await?;
        Ok(stored.and_then(|value| serde_json::from_slice(&value).ok()).unwrap_or_default())
    }

    /// The changes that note what was sent of a message of several parts; once it is `complete`, it need not be known any more.
    pub(crate) fn note_parts(now: u64, client: &str, sent: &[Option<String>], complete: bool) -> Vec<kv::Change> {
        if complete {
            return vec![delete(part(client))];
        }
        let value = serde_json::to_vec(sent).unwrap_or_default();
        vec![put(part(client), value), put(due(now, &part(client)), Vec::new())]
    }

    /// Forgets what is too old, or too much.
    pub(crate) async fn sweep(&self, outside: &impl Outside) -> Result<(), Trouble> {
        let end = due(outside.now_millis().saturating_sub(KEPT_DAYS * DAY_MILLIS), "");
        let mut count = 0;
        let mut after = None;
        loop {
            let page = outside.list("due/".to_owned(), after.take(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            let old: Vec<_> = page.iter().filter(|mark| mark.key < end).map(|mark| mark.key.clone()).collect();
            count += page.len() - old.len();
            forget(outside, old).await?;
        }
        while count > KEPT {
            let page =
                outside.list("due/".to_owned(), None, PAGE.min(u32::try_from(count - KEPT).unwrap_or(PAGE))).await?;
            if page.is_empty() {
                break;
            }
            count -= page.len().min(count);
            forget(outside, page.into_iter().map(|mark| mark.key).collect()).await?;
        }
        Ok(())
    }

    fn recall(&self, id: &str) -> Option<String> {
        let recent = self.recent.borrow();
        recent.iter().rev().find(|(known, _)| known == id).map(|(_, client)| client.clone())
    }

    fn keep(&self, id: &str, client: &str) {
        let mut recent = self.recent.borrow_mut();
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back((id.to_owned(), client.to_owned()));
    }

    /// The receipts that waited for this id.
    fn take(&self, id: &str) -> Vec<Said> {
        let mut early = self.early.borrow_mut();
        let (found, rest) = std::mem::take(&mut *early).into_iter().partition(|said| said.id == id);
        *early = rest;
        Vec::from(found)
    }

    /// Lets a receipt wait; the changes that delete those that waited too long, or are too many.
    fn wait(&self, said: Said, now: u64) -> Vec<kv::Change> {
        let mut early = self.early.borrow_mut();
        early.retain(|other| (&other.id, other.step, &other.recipient) != (&said.id, said.step, &said.recipient));
        early.push_back(said);
        let mut gone = Vec::new();
        while early.len() > WAITING || early.front().is_some_and(|first| first.at + WAIT_MILLIS <= now) {
            gone.extend(early.pop_front().map(|said| delete(said.key())));
        }
        if !gone.is_empty() {
            log::debug("receipts", &format!("{} receipts belong to no message of the engine's", gone.len()));
        }
        gone
    }
}

/// Deletes marks and what they stand for.
async fn forget(outside: &impl Outside, marks: Vec<String>) -> Result<(), Trouble> {
    let before = due(0, "").len();
    let row = |mark: &String| mark.get(before..).filter(|row| !row.is_empty()).map(delete);
    let changes: Vec<_> = marks.iter().flat_map(|mark| row(mark).into_iter().chain([delete(mark.as_str())])).collect();
    if changes.is_empty() { Ok(()) } else { outside.batch(changes).await }
}

#[cfg(test)]
mod tests;
