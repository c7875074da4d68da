//! Whether what is stored agrees with itself: each invariant of the tables, checked over all data. Commits wait until it is done.

mod automations;
mod campaigns;
mod chats;
mod contacts;
mod files;
mod stats;
mod templates;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};

use pombo_domain::model::{ConnectorStatus, DeliveryStatus, Status};
use pombo_domain::ports::{DueDelivery, StoreResult};
use pombo_domain::{MessageKey, TenantIndex};

use crate::DiskStore;
use crate::backend::{KeyRange, Order};
use crate::codec::bad_key;
use crate::columns::block::Row;
use crate::columns::word;
use crate::keys;
use crate::space::Space;
use crate::tables::meta::{self, Counter};
use crate::tables::{deliveries, events, health, messages, people, queues, receipts, states};

/// More problems than this are only counted.
const MOST: usize = 100;

#[derive(Default)]
struct Problems {
    found: Vec<String>,
    more: usize,
}

impl Problems {
    fn add(&mut self, problem: impl FnOnce() -> String) {
        if self.found.len() < MOST { self.found.push(problem()) } else { self.more += 1 }
    }
}

impl DiskStore {
    /// Checks the store's invariants. Returns the problems as sentences without contents of messages; empty when there are none.
    pub fn verify(&self) -> StoreResult<Vec<String>> {
        let _whole = self.shared.whole.lock();
        let mut problems = Problems::default();
        self.verify_messages(&mut problems)?;
        self.verify_deliveries(&mut problems)?;
        self.verify_documents(&mut problems)?;
        self.verify_contacts(&mut problems)?;
        self.verify_files(&mut problems)?;
        self.verify_templates(&mut problems)?;
        self.verify_events(&mut problems)?;
        self.verify_webhooks(&mut problems)?;
        self.verify_stats(&mut problems)?;
        self.verify_automations(&mut problems)?;
        self.verify_campaigns(&mut problems)?;
        if problems.more > 0 {
            problems.found.push(format!("and {} more", problems.more));
        }
        Ok(problems.found)
    }

    fn verify_messages(&self, problems: &mut Problems) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let mut expected = BTreeSet::new();
        let mut next: BTreeMap<TenantIndex, u64> = BTreeMap::new();
        let mut counts: BTreeMap<TenantIndex, [u64; 8]> = BTreeMap::new();
        let mut in_flight = BTreeSet::new();
        let mut state_rows = 0usize;
        for row in backend.scan(Space::Messages, KeyRange::prefix(&[]), Order::Forward) {
            let (key, row) = row?;
            let key = keys::parse_message(&key).ok_or_else(|| bad_key("messages"))?;
            let message = messages::parse(key, &row)?;
            let serial = next.entry(key.tenant).or_default();
            if *serial != key.serial {
                problems.add(|| format!("{}: serial {} follows {}", key.tenant.0, key.serial, *serial));
            }
            *serial = key.serial + 1;
            if pombo_domain::ids::message_serial(message.id) != Some(key.serial) {
                problems.add(|| format!("{key:?}: its id carries another serial"));
            }
            let state_row = backend.get(Space::States, &keys::message(key))?;
            let changed = state_row.is_some();
            let state = match state_row {
                Some(row) => {
                    state_rows += 1;
                    let (rank, state) = states::decode(&row)?;
                    if rank != message.rank() {
                        problems.add(|| format!("{key:?}: its state has another rank"));
                    }
                    state
                }
                None => message.initial_state(),
            };
            let connector = message.content.connector;
            if let Some(entry) = queues::entry(connector, key, state.position(&message)) {
                expected.insert((entry.key, entry.value.to_vec()));
            }
            if state.status == Status::Processing {
                in_flight.insert(key);
            }
            counts.entry(key.tenant).or_default()[state.status as usize] += 1;
            let print = message.content.external_id.as_deref().map(|id| self.print_of(id));
            let born = word::pack(state.status, message.content.message_type, connector);
            let word = if changed { word::stepped(born, state.status) } else { born };
            let row = self.shared.columns.of(key.tenant).and_then(|columns| columns.read().row(key.serial));
            if row != Some(Row { word, at: message.created_at, print }) {
                problems.add(|| format!("{key:?}: its columns differ from its record and state"));
            }
        }
        for row in backend.scan(Space::Queues, KeyRange::prefix(&[]), Order::Forward) {
            let (key, value) = row?;
            if !expected.remove(&(key.clone(), value.to_vec())) {
                problems.add(|| format!("queue entry {key:?} is not where its message's state puts it"));
            }
        }
        for (key, _) in &expected {
            problems.add(|| format!("queue entry {key:?} is missing"));
        }
        let all_states = backend.scan(Space::States, KeyRange::prefix(&[]), Order::Forward).count();
        if all_states != state_rows {
            problems.add(|| format!("{} states have no record", all_states - state_rows));
        }
        for (tenant, columns) in self.shared.columns.tenants() {
            let columns = columns.read();
            if columns.len() != next.get(&tenant).copied().unwrap_or(0) {
                problems.add(|| format!("{}: {} rows in the columns", tenant.0, columns.len()));
            }
            if columns.counts() != counts.get(&tenant).copied().unwrap_or_default() {
                problems.add(|| format!("{}: the counts by status differ", tenant.0));
            }
        }
        let found: BTreeSet<MessageKey> =
            pombo_domain::ports::Store::in_flight(self, None, usize::MAX)?.into_iter().collect();
        if found != in_flight {
            problems.add(|| format!("{} messages in flight, {} expected", found.len(), in_flight.len()));
        }
        Ok(())
    }

    fn verify_deliveries(&self, problems: &mut Problems) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let (mut due, mut open) = (BTreeSet::new(), BTreeSet::new());
        let mut queued: Option<MessageKey> = None;
        for row in backend.scan(Space::Deliveries, KeyRange::prefix(&[keys::DELIVERY]), Order::Forward) {
            let (key, row) = row?;
            let key = keys::parse_delivery(&key).ok_or_else(|| bad_key("deliveries"))?;
            let delivery = deliveries::decode(&row)?;
            if delivery.key != key {
                problems.add(|| format!("{key:?}: a delivery under another's key"));
            }
            if delivery.status != DeliveryStatus::Delivered {
                open.insert(keys::delivery_open(delivery.status, key).bytes());
            }
            if delivery.status == DeliveryStatus::Pending && queued != Some(key.message) {
                queued = Some(key.message);
                due.insert(keys::delivery_due(DueDelivery { due_at: delivery.next_at, key }).bytes());
            }
        }
        for (tag, mut expected) in [(keys::DELIVERY_DUE, due), (keys::DELIVERY_OPEN, open)] {
            for row in backend.scan(Space::Deliveries, KeyRange::prefix(&[tag]), Order::Forward) {
                let (key, _) = row?;
                if !expected.remove(&key) {
                    problems.add(|| format!("delivery entry {key:?} should not be"));
                }
            }
            for key in expected {
                problems.add(|| format!("delivery entry {key:?} is missing"));
            }
        }
        Ok(())
    }

    fn verify_documents(&self, problems: &mut Problems) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let catalog = self.shared.catalog.read();
        for row in backend.scan(Space::Documents, KeyRange::prefix(&[keys::USER_EMAIL]), Order::Forward) {
            let (key, value) = row?;
            let owner = people::parse_owner(&value)?;
            let user = catalog.users.get(&owner);
            if user.is_none_or(|user| keys::user_email(&user.email) != key) {
                problems.add(|| format!("an e-mail row names a user that has another: {owner:?}"));
            }
        }
        let (mut numbers, last) = (BTreeSet::new(), meta::number(backend, Counter::User.name())?.unwrap_or(0));
        for user in catalog.users.values() {
            if !numbers.insert(user.number) || u64::from(user.number) > last || user.number == 0 {
                problems.add(|| format!("user {} has the number {}, of {last} that were given", user.id, user.number));
            }
        }
        let last = meta::number(backend, Counter::AccessToken.name())?.unwrap_or(0);
        for token in catalog.access_tokens.values() {
            if !catalog.users.contains_key(&(token.tenant, token.user)) {
                problems.add(|| format!("access token {} has no user", token.number));
            }
            if token.number > last || token.number == 0 {
                problems.add(|| format!("access token {} of {last} that were given", token.number));
            }
        }
        for key in catalog.api_keys.values() {
            let Some(index) = key.connector else { continue };
            match catalog.connectors.get(&index).filter(|connector| connector.tenant == key.tenant) {
                None => {
                    problems.add(|| format!("API key {} is bound to connector {}, which is not there", key.id, index.0))
                }
                Some(connector) if connector.status == ConnectorStatus::Deleted && key.revoked_at.is_none() => {
                    problems.add(|| format!("API key {} outlived its connector", key.id));
                }
                Some(_) => {}
            }
        }
        let mut bytes: BTreeMap<u32, u64> = BTreeMap::new();
        for row in backend.scan(Space::Kv, KeyRange::prefix(&[]), Order::Forward) {
            let (key, value) = row?;
            let connector = keys::Parts(&key).u32().ok_or_else(|| bad_key("kv"))?;
            *bytes.entry(connector).or_default() += (key.len() - 4 + value.len()) as u64;
        }
        for (connector, counted) in &catalog.kv_bytes {
            if bytes.get(&connector.0).copied().unwrap_or(0) != *counted {
                problems.add(|| format!("the kv of connector {} is counted wrongly", connector.0));
            }
        }
        for row in backend.scan(Space::Documents, KeyRange::prefix(&[keys::HEALTH]), Order::Forward) {
            health::parse(&row?.1)?;
        }
        Ok(())
    }

    fn verify_events(&self, problems: &mut Problems) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let mut next: BTreeMap<TenantIndex, u64> = BTreeMap::new();
        let mut marked = 0_usize;
        for row in backend.scan(Space::Events, KeyRange::prefix(&[keys::EVENT]), Order::Forward) {
            let (key, row) = row?;
            let key = keys::parse_event(&key).ok_or_else(|| bad_key("events"))?;
            events::parse(key, &row)?;
            let expected = next.entry(key.tenant).or_insert_with(|| self.shared.events.of(key.tenant).first);
            if *expected != key.serial {
                problems.add(|| format!("{}: event {} follows {}", key.tenant.0, key.serial, *expected));
            }
            *expected = key.serial + 1;
            if let Some(mark) = events::head(&row)?.0.mark {
                marked += 1;
                let named = backend.get(Space::Events, &keys::event_mark(key.tenant, &mark))?;
                if named.is_none_or(|row| row[..] != key.serial.to_be_bytes()) {
                    problems.add(|| format!("{key:?}: its mark does not name it"));
                }
            }
        }
        for tenant in self.shared.events.tenants() {
            let log = self.shared.events.of(tenant);
            if next.remove(&tenant).unwrap_or(log.first) != log.next {
                problems.add(|| format!("{}: its events do not end at {}", tenant.0, log.next));
            }
            let edge = backend.get(Space::Events, &keys::event_edge(tenant))?;
            if edge.map_or(Ok(1), |row| events::parse_number(&row))? != log.first {
                problems.add(|| format!("{}: its events do not begin at {}", tenant.0, log.first));
            }
        }
        for tenant in next.keys() {
            problems.add(|| format!("{}: events of a log that is not known", tenant.0));
        }
        // Each marked event has its mark: as many marks means that each mark has its event.
        let marks = backend.scan(Space::Events, KeyRange::prefix(&[keys::EVENT_MARK]), Order::Forward).count();
        if marks != marked {
            problems.add(|| format!("{marks} marks of {marked} marked events"));
        }
        for row in backend.scan(Space::Events, KeyRange::prefix(&[keys::RECEIPTS]), Order::Forward) {
            let (key, row) = row?;
            let key = keys::parse_receipts(&key).ok_or_else(|| bad_key("receipts"))?;
            receipts::parse(&row)?;
            if self.shared.columns.word(key).is_none() {
                problems.add(|| format!("{key:?}: receipts of no message"));
            }
        }
        Ok(())
    }
}
