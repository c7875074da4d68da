//! Which message of the engine's an id on the channel belongs to, so that a receipt can name it, also after a restart. Written before
//! the message leaves; forgotten after [`KEPT_DAYS`].
//!
//! Keys: `sent/ID` holds the day and the client-id; `sent-on/DAY/ID` is what the sweep reads.

use std::cell::RefCell;
use std::collections::VecDeque;

use pombo_plugin::clock;
use whatsapp_rust::wacore::store::error::Result;

use crate::store::codec::{Reader, Writer};
use crate::store::kv;

/// Phones that were off for longer do exist; their receipts are of no message then.
const KEPT_DAYS: u64 = 45;
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;
/// How many of the latest stay in memory: most receipts come within seconds.
const RECENT: usize = 32;

fn row(id: &str) -> String {
    format!("sent/{id}")
}
fn mark(day: u64, id: &str) -> String {
    format!("sent-on/{day:06}/{id}")
}
fn today() -> u64 {
    clock::now_millis() / DAY_MILLIS
}

/// The store's answers, and the latest of them.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    recent: RefCell<VecDeque<(String, String)>>,
}

impl Ledger {
    /// Durably notes that `id` is the message `client_id`. A message that is sent again keeps its id, and its entry.
    pub(crate) async fn remember(&self, id: &str, client_id: &str) -> Result<()> {
        if self.recall(id).is_some() {
            return Ok(());
        }
        let day = today();
        let value = Writer::new().varint(day).rest(client_id.as_bytes());
        kv::batch(vec![kv::put(row(id), value), kv::put(mark(day, id), Vec::new())]).await?;
        self.keep(id, client_id);
        Ok(())
    }

    /// The engine's id of a message that this account sent, where it is still known.
    pub(crate) async fn client_id(&self, id: &str) -> Result<Option<String>> {
        if let Some(known) = self.recall(id) {
            return Ok(Some(known));
        }
        let Some(value) = kv::get(row(id)).await? else { return Ok(None) };
        let mut reader = Reader::new(&value);
        let client_id = reader.varint().and_then(|_| String::from_utf8(reader.rest().to_vec()).ok());
        let client_id = client_id.ok_or_else(|| kv::damaged("entry of a sent message"))?;
        self.keep(id, &client_id);
        Ok(Some(client_id))
    }

    /// Forgets what is too old. Cheap when there is nothing.
    pub(crate) async fn sweep(&self) -> Result<()> {
        let end = mark(today().saturating_sub(KEPT_DAYS), "");
        loop {
            let (marks, more) = kv::page("sent-on/", None).await?;
            let due: Vec<String> = marks.into_iter().map(|m| m.key).take_while(|key| *key < end).collect();
            let all_due = more && !due.is_empty();
            let both = due.into_iter().flat_map(|key| [key.rsplit('/').next().map(row).unwrap_or_default(), key]);
            kv::sweep(both.collect::<Vec<_>>()).await?;
            if !all_due {
                return Ok(());
            }
        }
    }

    fn recall(&self, id: &str) -> Option<String> {
        let recent = self.recent.borrow();
        recent.iter().find(|(known, _)| known == id).map(|(_, client_id)| client_id.clone())
    }

    fn keep(&self, id: &str, client_id: &str) {
        let mut recent = self.recent.borrow_mut();
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back((id.to_owned(), client_id.to_owned()));
    }
}
