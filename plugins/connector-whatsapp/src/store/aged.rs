//! Tables whose rows expire: each row has a mark under the hour from which it may be deleted, so that a sweep reads only what is
//! due, never the whole table. A row whose time was extended leaves its old mark behind; the time in the row itself counts.

use pombo_plugin::connector::kv::Change;
use whatsapp_rust::wacore::store::error::Result;

use super::codec::{Reader, Writer};
use super::kv;

const HOUR: i64 = 3_600;

/// One such table.
pub(super) struct Aged {
    /// Its key's letter under `w/`.
    table: char,
}

/// Messages sent; the time is when.
pub(super) const SENT: Aged = Aged { table: 'o' };
/// Messages received and not committed; the time is when.
pub(super) const RECEIVED: Aged = Aged { table: 'r' };
/// Secrets of messages; the time is their end, and zero is never.
pub(super) const SECRETS: Aged = Aged { table: 'x' };

impl Aged {
    pub(super) fn key(&self, name: &str) -> String {
        format!("w/{}/{name}", self.table)
    }

    fn mark(&self, time: i64, name: &str) -> String {
        format!("w/A/{}/{:010}/{name}", self.table, time.max(0) / HOUR)
    }

    /// The changes that store a row. A time of zero is never due.
    pub(super) fn put(&self, name: &str, time: i64, value: &[u8]) -> Vec<Change> {
        let mut changes = vec![kv::put(self.key(name), Writer::new().signed(time).rest(value))];
        if time != 0 {
            changes.push(kv::put(self.mark(time, name), Vec::new()));
        }
        changes
    }

    /// The changes that delete a row whose time is known.
    pub(super) fn delete(&self, name: &str, time: i64) -> [Change; 2] {
        [kv::delete(self.key(name)), kv::delete(self.mark(time, name))]
    }

    /// A row and its time.
    pub(super) async fn get(&self, name: &str) -> Result<Option<(i64, Vec<u8>)>> {
        match kv::get(self.key(name)).await? {
            None => Ok(None),
            Some(value) => split(&value).map(Some).ok_or_else(|| kv::damaged("row with a time")),
        }
    }

    /// Deletes the rows whose time is at or before `cutoff`. Returns how many.
    pub(super) async fn sweep(&self, cutoff: i64) -> Result<u32> {
        let prefix = format!("w/A/{}/", self.table);
        let end = self.mark(cutoff, "\u{10ffff}");
        let mut gone = 0;
        let mut after = None;
        loop {
            let (marks, more) = kv::page(&prefix, after.take()).await?;
            after = marks.last().map(|mark| mark.key.clone());
            let mut changes = Vec::new();
            for mark in marks.into_iter().take_while(|mark| mark.key <= end) {
                let name = mark.key.get(prefix.len() + 11..).unwrap_or_default().to_owned();
                match self.get(&name).await? {
                    Some((time, _)) if time == 0 || time > cutoff => {
                        // Due later in this hour, or prolonged: then another mark stands for it.
                        if self.mark(time, &name) != mark.key {
                            changes.push(kv::delete(mark.key));
                        }
                    }
                    Some(_) => {
                        gone += 1;
                        changes.push(kv::delete(self.key(&name)));
                        changes.push(kv::delete(mark.key));
                    }
                    None => changes.push(kv::delete(mark.key)),
                }
            }
            let past_the_end = after.as_ref().is_none_or(|last| *last > end);
            kv::batch(changes).await?;
            if past_the_end || !more {
                return Ok(gone);
            }
        }
    }
}

fn split(value: &[u8]) -> Option<(i64, Vec<u8>)> {
    let mut reader = Reader::new(value);
    let time = reader.signed()?;
    Some((time, reader.rest().to_vec()))
}
