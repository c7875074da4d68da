//! The store as a naive program: vectors and maps, everything found by looking at all of it.

use std::collections::{BTreeMap, BTreeSet};

use pombo_domain::model::message::Position;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};

#[derive(Default)]
pub struct Model {
    pub messages: BTreeMap<TenantIndex, Vec<StoredMessage>>,
    pub deliveries: BTreeMap<DeliveryKey, Delivery>,
    pub contacts: BTreeMap<(ContactType, String), Contact>,
    pub kv: BTreeMap<String, Vec<u8>>,
    /// What each alias of tenant A names.
    pub aliases: BTreeMap<String, String>,
    /// The opt-outs that deleted contacts of tenant A left, by address.
    pub opt_outs: BTreeMap<String, OptOut>,
    /// How many contacts tenant A ever had.
    pub contacts_ever: u64,
    pub logs: BTreeMap<TenantIndex, Log>,
    pub receipts: BTreeMap<MessageKey, Receipts>,
    pub health: BTreeMap<ConnectorIndex, HealthState>,
}

/// A tenant's event log.
#[derive(Default, Clone)]
pub struct Log {
    /// Those not forgotten, oldest first, with their marks.
    pub events: Vec<(Event, Option<[u8; 16]>)>,
    /// The number of the newest event ever.
    pub last: u64,
}

/// Folds the few accented letters that the tests use.
pub fn fold(text: &str) -> String {
    let plain = |c: char| match c {
        'á' | 'ã' | 'â' | 'Á' | 'Ã' => 'a',
        'ç' | 'Ç' => 'c',
        'é' | 'ê' | 'É' => 'e',
        'í' => 'i',
        'õ' | 'ó' | 'Ó' => 'o',
        'ú' => 'u',
        other => other.to_ascii_lowercase(),
    };
    text.chars().map(plain).collect()
}

impl Model {
    pub fn all(&self) -> impl Iterator<Item = &StoredMessage> {
        self.messages.values().flatten()
    }

    pub fn get_mut(&mut self, key: MessageKey) -> &mut StoredMessage {
        &mut self.messages.get_mut(&key.tenant).unwrap()[key.serial as usize]
    }

    pub fn inserted(&mut self, tenant: TenantIndex, content: Vec<NewMessage>, committed: &Committed) {
        let rows = self.messages.entry(tenant).or_default();
        assert_eq!(content.len(), committed.inserted.len());
        for (content, (key, id, created_at)) in content.into_iter().zip(&committed.inserted) {
            assert_eq!(*key, MessageKey { tenant, serial: rows.len() as u64 });
            assert!(rows.last().is_none_or(|last| last.message.created_at <= *created_at));
            let message = Message { id: *id, key: *key, created_at: *created_at, ranking: Ranking::default(), content };
            let state = message.initial_state();
            if let Some(delivery) = Delivery::of(&message, None, &state) {
                self.deliveries.insert(delivery.key, delivery);
            }
            rows.push(StoredMessage { message, state });
        }
    }

    pub fn updated(&mut self, update: Update) {
        self.get_mut(update.key).state = update.state;
        if let Some(delivery) = update.delivery {
            self.deliveries.insert(delivery.key, delivery);
        }
    }

    /// The places of the repeated ones.
    pub fn appended(&mut self, events: Vec<AppendEvent>) -> Vec<usize> {
        let mut repeated = Vec::new();
        for (place, AppendEvent { tenant, event, once }) in events.into_iter().enumerate() {
            let log = self.logs.entry(tenant).or_default();
            if once.is_some() && log.events.iter().any(|(_, mark)| *mark == once) {
                repeated.push(place);
                continue;
            }
            log.last += 1;
            log.events.push((Event { key: EventKey { tenant, serial: log.last }, event }, once));
        }
        repeated
    }

    /// How many were forgotten.
    pub fn forgotten(&mut self, before: Timestamp, limit: usize) -> usize {
        let mut forgotten = 0;
        for log in self.logs.values_mut() {
            let old = log.events.iter().rposition(|(e, _)| e.event.at < before).map_or(0, |last| last + 1);
            let count = old.min(limit - forgotten);
            log.events.drain(..count);
            forgotten += count;
        }
        forgotten
    }

    fn contact_by_id(&self, id: uuid::Uuid) -> Option<Contact> {
        self.contacts.values().find(|contact| contact.id == id).cloned()
    }

    /// False if another contact has the address.
    pub fn contact_put(&mut self, mut contact: Contact) -> bool {
        let place = (contact.kind, contact.identifier.clone());
        if self.contacts.get(&place).is_some_and(|other| other.id != contact.id) {
            return false;
        }
        let old = self.contact_by_id(contact.id);
        let moved = old.as_ref().is_none_or(|old| old.identifier != contact.identifier);
        match old {
            Some(old) => {
                contact.number = old.number;
                contact.connectors.extend(old.connectors);
                contact.connectors.sort_unstable();
                contact.connectors.dedup();
            }
            None => {
                self.contacts_ever += 1;
                contact.number = self.contacts_ever;
            }
        }
        if moved {
            let own = self.opt_outs.remove(&contact.identifier);
            let left = own.or_else(|| self.opt_outs.get(self.aliases.get(&contact.identifier)?).cloned());
            if let (Some(left), true) = (left, contact.active) {
                (contact.active, contact.reason) = (false, left.reason);
            }
        }
        self.contacts.retain(|_, other| other.id != contact.id);
        self.contacts.insert(place, contact);
        true
    }

    pub fn contact_deleted(&mut self, id: uuid::Uuid, now: Timestamp) {
        let Some(contact) = self.contact_by_id(id) else { return };
        self.contacts.retain(|_, other| other.id != id);
        if contact.active {
            self.aliases.retain(|_, identifier| *identifier != contact.identifier);
        } else {
            let known_as = self.aliases.get(&contact.identifier).unwrap_or(&contact.identifier).clone();
            self.opt_out_left(contact.kind, &known_as, OptOut { reason: contact.reason, at: now, only: None });
        }
    }

    fn opt_out_left(&mut self, kind: ContactType, identifier: &str, opt_out: OptOut) {
        match self.contacts.get_mut(&(kind, identifier.to_owned())) {
            Some(contact) if contact.active => {
                (contact.active, contact.reason, contact.updated_at) = (false, opt_out.reason, opt_out.at);
            }
            Some(_) => {}
            None => drop(self.opt_outs.insert(identifier.to_owned(), opt_out)),
        }
    }

    pub fn aliased(&mut self, kind: ContactType, alias: &str, identifier: &str) {
        if alias == identifier || self.aliases.get(alias).is_some_and(|old| old == identifier) {
            return;
        }
        self.aliases.insert(alias.to_owned(), identifier.to_owned());
        if let Some(opt_out) = self.opt_outs.remove(alias) {
            self.opt_out_left(kind, identifier, opt_out);
        }
    }

    pub fn opt_out(&self, address: &str) -> Option<OptOut> {
        let direct = self.opt_outs.get(address);
        direct.or_else(|| self.opt_outs.get(self.aliases.get(address)?)).cloned()
    }

    pub fn contact_at(&self, kind: ContactType, address: &str) -> Option<&Contact> {
        let known = |identifier: &str| self.contacts.get(&(kind, identifier.to_owned()));
        known(address).or_else(|| known(self.aliases.get(address)?))
    }

    fn matches(m: &StoredMessage, filter: &MessageFilter) -> bool {
        let content = &m.message.content;
        let name = content.contact_name.as_deref().unwrap_or_default();
        let haystack = fold(&format!("{}\n{}\n{}", content.to, name, content.text));
        let words = fold(filter.search.as_deref().unwrap_or_default());
        filter.status.is_none_or(|s| m.state.status == s)
            && filter.connector.is_none_or(|c| content.connector == c)
            && filter.message_type.is_none_or(|t| content.message_type == t)
            && filter.external_id.as_ref().is_none_or(|id| content.external_id.as_ref() == Some(id))
            && filter.from.is_none_or(|from| m.message.created_at >= from)
            && filter.to.is_none_or(|to| m.message.created_at <= to)
            && words.split_whitespace().all(|word| haystack.contains(word))
    }

    pub fn list(&self, tenant: TenantIndex, filter: &MessageFilter) -> Vec<&StoredMessage> {
        let rows = self.messages.get(&tenant).map(Vec::as_slice).unwrap_or_default();
        rows.iter().rev().filter(|m| Self::matches(m, filter)).collect()
    }

    pub fn ready(&self, connector: ConnectorIndex) -> Vec<ReadyEntry> {
        let entry = |m: &StoredMessage| match m.state.position(&m.message) {
            Position::Ready(order) if m.message.content.connector == connector => {
                Some(ReadyEntry { order, key: m.message.key })
            }
            _ => None,
        };
        self.all().filter_map(entry).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub fn scheduled(&self) -> Vec<ScheduledEntry> {
        let entry = |m: &StoredMessage| match m.state.position(&m.message) {
            Position::Scheduled(due_at) => {
                Some(ScheduledEntry { due_at, connector: m.message.content.connector, key: m.message.key })
            }
            _ => None,
        };
        self.all().filter_map(entry).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub fn in_flight(&self) -> Vec<MessageKey> {
        self.all().filter(|m| m.state.status == Status::Processing).map(|m| m.message.key).collect()
    }

    /// The oldest pending delivery of each message, by time.
    pub fn due(&self) -> Vec<DueDelivery> {
        let mut heads: BTreeMap<MessageKey, DueDelivery> = BTreeMap::new();
        for delivery in self.deliveries.values().filter(|d| d.status == DeliveryStatus::Pending) {
            heads.entry(delivery.key.message).or_insert(DueDelivery { due_at: delivery.next_at, key: delivery.key });
        }
        heads.into_values().collect::<BTreeSet<_>>().into_iter().collect()
    }
}
