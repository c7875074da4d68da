//! How far the due queue was read. Pure, apart from the reads.
//!
//! Everything up to the cursor was taken in, so that it is not read again while it waits in memory. What joins the queue behind
//! the cursor, at a place that was read already, is noted one by one: the observer and the task tell of it.

use std::collections::BTreeSet;

use pombo_domain::Timestamp;
use pombo_domain::ports::{DueDelivery, DueEventDelivery, Store, StoreResult};

/// Entries noted behind the cursor; past this the queue is read from its beginning instead.
const MOST: usize = 65_536;

/// An entry of a due queue.
pub(super) trait Entry: Copy + Ord {
    /// When it is due.
    fn due_at(&self) -> Timestamp;
    /// The queue up to `until`, after an entry.
    fn read(store: &dyn Store, until: Timestamp, after: Option<Self>, limit: usize) -> StoreResult<Vec<Self>>;
}

impl Entry for DueDelivery {
    fn due_at(&self) -> Timestamp {
        self.due_at
    }
    fn read(store: &dyn Store, until: Timestamp, after: Option<Self>, limit: usize) -> StoreResult<Vec<Self>> {
        store.due_deliveries(until, after, limit)
    }
}

impl Entry for DueEventDelivery {
    fn due_at(&self) -> Timestamp {
        self.due_at
    }
    fn read(store: &dyn Store, until: Timestamp, after: Option<Self>, limit: usize) -> StoreResult<Vec<Self>> {
        store.due_event_deliveries(until, after, limit)
    }
}

pub(super) struct Cursor<E> {
    /// Everything up to here was taken in; `None` at the queue's beginning.
    read_to: Option<E>,
    /// What joined behind, to be taken in.
    behind: BTreeSet<E>,
}

impl<E: Entry> Default for Cursor<E> {
    fn default() -> Self {
        Self { read_to: None, behind: BTreeSet::new() }
    }
}

impl<E: Entry> Cursor<E> {
    /// An entry is in the queue that may have joined behind the cursor.
    pub(super) fn note(&mut self, due: E) {
        if self.read_to.is_none_or(|read_to| due > read_to) {
            return;
        }
        self.behind.insert(due);
        if self.behind.len() > MOST {
            self.begin_again();
        }
    }

    /// Goes back to the queue's beginning: the next pages hold what is in memory as well.
    pub(super) fn begin_again(&mut self) {
        *self = Self::default();
    }

    /// Up to `limit` entries that are due until `until`, oldest first. Entries that were noted may be gone from the queue.
    pub(super) fn page(&self, store: &dyn Store, until: Timestamp, limit: usize) -> StoreResult<Vec<E>> {
        let mut page: Vec<_> =
            self.behind.iter().copied().take_while(|due| due.due_at() <= until).take(limit).collect();
        if page.len() < limit {
            page.extend(E::read(store, until, self.read_to, limit - page.len())?);
        }
        Ok(page)
    }

    /// An entry of a page was taken in.
    pub(super) fn passed(&mut self, due: E) {
        if !self.behind.remove(&due) {
            self.read_to = self.read_to.max(Some(due));
        }
    }

    /// When the first entry is due that was not taken in yet.
    pub(super) fn next_due(&self, store: &dyn Store) -> StoreResult<Option<Timestamp>> {
        let ahead = E::read(store, Timestamp(crate::FAR), self.read_to, 1)?;
        Ok(self.behind.iter().chain(&ahead).map(E::due_at).min())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pombo_domain::model::delivery::DeliveryKey;
    use pombo_domain::model::message::NewMessage;
    use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex};
    use pombo_testkit::store::unavailable;
    use pombo_testkit::{ManualClock, NOON, TestStore, samples};

    use super::*;

    const TENANT: TenantIndex = TenantIndex(1);

    fn due(ms: i64, serial: u64) -> DueDelivery {
        let key = DeliveryKey { message: MessageKey { tenant: TENANT, serial }, revision: 0 };
        DueDelivery { due_at: NOON.plus_ms(ms), key }
    }

    /// A store with this many deliveries, all due at noon, and their places in the queue.
    fn stored(count: usize) -> (Arc<TestStore>, Vec<DueDelivery>) {
        let store = TestStore::open(ManualClock::new(NOON));
        let message = samples::message(ConnectorIndex(1), "ana@example.org", "x");
        let hooked = NewMessage { webhook_url: Some("https://x/".to_owned()), ..message };
        let inserted = store.write(samples::inserts(TENANT, vec![hooked; count])).expect("stored").inserted;
        let key = |message| DeliveryKey { message, revision: 0 };
        (store, inserted.iter().map(|(message, ..)| DueDelivery { due_at: NOON, key: key(*message) }).collect())
    }

    #[test]
    fn each_entry_is_read_once_and_those_that_join_behind_come_first() {
        let (store, all) = stored(5);
        let mut cursor = Cursor::default();
        cursor.note(all[0]);
        assert_eq!(cursor.page(&*store, NOON, 2).expect("read"), all[..2]);
        assert_eq!(cursor.page(&*store, NOON, 2).expect("read"), all[..2], "not taken in yet");
        all[..2].iter().for_each(|due| cursor.passed(*due));
        let earlier = due(-10, 9);
        cursor.note(earlier);
        cursor.note(all[4]);
        assert_eq!(cursor.page(&*store, NOON, 3).expect("read"), [earlier, all[2], all[3]]);
        [earlier, all[2], all[3]].into_iter().for_each(|due| cursor.passed(due));
        assert_eq!(cursor.next_due(&*store).expect("read"), Some(NOON));
        assert_eq!(cursor.page(&*store, NOON, 3).expect("read"), [all[4]]);
        cursor.passed(all[4]);
        assert_eq!(cursor.page(&*store, NOON, 3).expect("read"), []);
        assert_eq!(cursor.next_due(&*store).expect("read"), None);
        assert_eq!(store.due_deliveries_read(), 2 + 2 + 2 + 1 + 1);
    }

    #[test]
    fn what_is_noted_waits_for_its_time_where_the_clock_went_back() {
        let (store, all) = stored(1);
        let mut cursor = Cursor::default();
        cursor.passed(due(60_000, 9));
        cursor.note(all[0]);
        let before = NOON.plus_ms(-1);
        assert_eq!(cursor.page(&*store, before, 3).expect("read"), []);
        assert_eq!(cursor.next_due(&*store).expect("read"), Some(NOON));
        assert_eq!(cursor.page(&*store, NOON, 3).expect("read"), all);
    }

    #[test]
    fn too_much_behind_it_begins_again() {
        let (store, all) = stored(2);
        let mut cursor = Cursor::default();
        all.iter().for_each(|due| cursor.passed(*due));
        for serial in 0..=MOST as u64 {
            cursor.note(due(-1, serial));
        }
        assert_eq!(cursor.page(&*store, NOON, 3).expect("read"), all);
        store.fail_reads(|method| (method == "due_deliveries").then(unavailable));
        assert!(cursor.page(&*store, NOON, 3).is_err());
    }
}
