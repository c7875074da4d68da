//! What the store shows, compared with what the model does.

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};

use super::World;
use super::operations::{Filter, KINDS, QUERIES};
use crate::support::*;

impl World {
    pub(super) fn check(&self) {
        let store = &self.store;
        for connector in (0..3).chain(10..13).map(ConnectorIndex) {
            let expected = self.model.ready(connector);
            assert_eq!(store.ready(connector, None, 1000).unwrap(), expected);
            if let [_, second, rest @ ..] = expected.as_slice() {
                assert_eq!(store.ready(connector, Some(second.order), 1000).unwrap(), rest);
            }
            let mirrored: Vec<ReadyEntry> =
                self.mirror.0.lock().iter().filter(|(c, _)| *c == connector).map(|(_, e)| *e).collect();
            assert_eq!(mirrored, expected, "the effects tell the ready queues");
        }
        let scheduled = self.model.scheduled();
        assert_eq!(store.scheduled(Timestamp(i64::MAX), None, 1000).unwrap(), scheduled);
        assert_eq!(store.next_scheduled().unwrap(), scheduled.first().map(|e| e.due_at));
        if let [first, rest @ ..] = scheduled.as_slice() {
            assert_eq!(store.scheduled(Timestamp(i64::MAX), Some(*first), 1000).unwrap(), rest);
            let until = rest.first().map_or(first.due_at, |e| e.due_at);
            let expected: Vec<_> = scheduled.iter().filter(|e| e.due_at <= until).copied().collect();
            assert_eq!(store.scheduled(until, None, 1000).unwrap(), expected);
        }
        assert_eq!(store.in_flight(None, 1000).unwrap(), self.model.in_flight());
        let due = self.model.due();
        assert_eq!(store.due_deliveries(Timestamp(i64::MAX), None, 1000).unwrap(), due);
        if let [first, rest @ ..] = due.as_slice() {
            assert_eq!(store.due_deliveries(Timestamp(i64::MAX), Some(*first), 1000).unwrap(), rest);
            let until: Vec<_> = due.iter().filter(|entry| entry.due_at <= first.due_at).copied().collect();
            assert_eq!(store.due_deliveries(first.due_at, None, 1000).unwrap(), until);
        }
        self.check_deliveries();
        for tenant in [A, B] {
            let mut counts = [0; 8];
            self.model
                .all()
                .filter(|m| m.message.key.tenant == tenant)
                .for_each(|m| counts[m.state.status as usize] += 1);
            assert_eq!(store.status_counts(tenant), counts);
        }
        for message in self.model.all() {
            let MessageKey { tenant, .. } = message.message.key;
            assert!(store.message_by_id(tenant, message.message.id).unwrap().as_ref() == Some(message));
            let stranger = TenantIndex(3 - tenant.0);
            assert!(store.message_by_id(stranger, message.message.id).unwrap().is_none());
        }
        let mut contacts: Vec<_> = self.model.contacts.values().cloned().collect();
        contacts.sort_by_key(|contact| contact.id);
        assert!(store.contacts(A, None, 1000).unwrap() == contacts);
        for contact in &contacts {
            assert!(store.contact_by_id(A, contact.id).unwrap().as_ref() == Some(contact));
            assert!(store.contact(A, contact.kind, &contact.identifier).unwrap().as_ref() == Some(contact));
            assert!(store.contact_by_number(A, contact.number).unwrap().as_ref() == Some(contact));
            assert!(store.contact_by_number(B, contact.number).unwrap().is_none());
        }
        self.check_addresses();
        self.check_events();
        self.check_chats();
        for message in self.model.all() {
            let expected = self.model.receipts.get(&message.message.key).cloned().unwrap_or_default();
            assert_eq!(store.receipts(message.message.key).unwrap(), expected);
        }
        for connector in (0..3).map(ConnectorIndex) {
            let expected = self.model.health.get(&connector).cloned().unwrap_or_default();
            assert_eq!(store.health_state(connector).unwrap(), expected);
        }
        let kv: Vec<_> = self.model.kv.clone().into_iter().collect();
        assert_eq!(store.kv_list(ConnectorIndex(1), "k", None, 1000).unwrap(), kv);
        let bytes: usize = kv.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert_eq!(store.kv_bytes(ConnectorIndex(1)).unwrap(), bytes as u64);
        assert_sound(store);
    }

    pub(super) async fn list(&self, filter: Filter) {
        let tenant = if filter.second { B } else { A };
        let at = |ms: i64| self.start.plus_ms(ms);
        let wanted = MessageFilter {
            status: filter.status.map(|s| Status::ALL[s]),
            connector: filter.connector.map(|c| ConnectorIndex(if filter.second { c + 10 } else { c })),
            message_type: filter.kind.map(|k| KINDS[k]),
            external_id: filter.external.map(|n| format!("ext{n}")),
            search: filter.query.map(|q| QUERIES[q].to_owned()),
            from: filter.from.map(at),
            to: filter.to.map(at),
        };
        let expected = self.model.list(tenant, &wanted);
        let page = self.store.list_messages(tenant, wanted.clone(), filter.offset, filter.limit).await.unwrap();
        assert_eq!(page.total, expected.len() as u64, "{wanted:?}");
        let expected: Vec<_> =
            expected.into_iter().skip(filter.offset as usize).take(filter.limit as usize).cloned().collect();
        assert!(page.rows == expected, "{wanted:?}");
        self.list_contacts(filter.connector, filter.kind).await;
    }

    async fn list_contacts(&self, connector: Option<u32>, active: Option<usize>) {
        let filter = ContactFilter {
            connector: connector.map(ConnectorIndex),
            active: active.map(|n| n % 2 == 0),
            ..ContactFilter::default()
        };
        let matches = |contact: &&Contact| {
            filter.connector.is_none_or(|connector| contact.is_on(connector))
                && filter.active.is_none_or(|active| contact.active == active)
        };
        let mut expected: Vec<_> = self.model.contacts.values().filter(matches).cloned().collect();
        expected.sort_by_key(|contact| contact.number);
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let page = self.store.list_contacts(A, filter.clone(), after, 0, 2).await.unwrap();
            assert_eq!(page.total, expected.len() as u64);
            found.extend(page.rows);
            let Some(next) = page.next else { break };
            after = next;
        }
        assert!(found == expected, "{filter:?}");
    }

    fn check_events(&self) {
        for tenant in [A, B, TenantIndex(3)] {
            let log = self.model.logs.get(&tenant).cloned().unwrap_or_default();
            assert_eq!(self.store.last_event(tenant).unwrap(), log.last);
            let kinds = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect();
            for filter in [
                EventFilter::default(),
                EventFilter { connector: Some(ConnectorIndex(1)), kinds: Vec::new() },
                EventFilter { connector: None, kinds: kinds(&["other"]) },
                EventFilter { connector: Some(ConnectorIndex(0)), kinds: kinds(&["session.changed"]) },
            ] {
                let wanted = |e: &&Event| {
                    filter.connector.is_none_or(|c| e.event.connector == c)
                        && (filter.kinds.is_empty() || filter.kinds.iter().any(|kind| kind == e.event.body.kind()))
                };
                let expected: Vec<Event> = log.events.iter().map(|(e, _)| e).filter(wanted).cloned().collect();
                let (mut found, mut after) = (Vec::new(), 0);
                loop {
                    let (page, next) = self.store.events(tenant, &filter, after, 3).unwrap();
                    assert!(page.len() <= 3 && page.iter().all(|e| e.key.serial > after && e.key.serial <= next));
                    found.extend(page);
                    if next == after {
                        break;
                    }
                    after = next;
                }
                assert_eq!(found, expected);
            }
        }
    }

    fn check_addresses(&self) {
        for address in (0..7).map(|n| format!("{n}@x")) {
            let expected = self.model.contact_at(ContactType::Email, &address);
            assert!(self.store.contact(A, ContactType::Email, &address).unwrap().as_ref() == expected);
            assert!(self.store.contact(B, ContactType::Email, &address).unwrap().is_none());
            assert_eq!(self.store.opt_out(A, ContactType::Email, &address).unwrap(), self.model.opt_out(&address));
            let known = |alias: &String| self.model.contacts.contains_key(&(ContactType::Email, alias.clone()));
            let of = self.model.aliases.iter().filter(|(alias, of)| **of == address && !known(alias));
            let expected: Vec<String> = of.map(|(alias, _)| alias.clone()).collect();
            assert_eq!(self.store.contact_aliases(A, ContactType::Email, &address).unwrap(), expected);
        }
    }

    fn check_deliveries(&self) {
        for status in
            [None, Some(DeliveryStatus::Pending), Some(DeliveryStatus::Delivered), Some(DeliveryStatus::Abandoned)]
        {
            let expected: Vec<_> = self
                .model
                .deliveries
                .values()
                .rev()
                .filter(|d| d.key.message.tenant == A && status.is_none_or(|s| d.status == s))
                .skip(1)
                .take(5)
                .cloned()
                .collect();
            let filter = DeliveryFilter { message: None, status };
            assert!(self.store.deliveries(A, &filter, 1, 5).unwrap() == expected);
        }
        for delivery in self.model.deliveries.values() {
            let found = self.store.delivery_by_id(delivery.key.message.tenant, delivery.id).unwrap();
            assert!(found.as_ref() == Some(delivery));
        }
    }
}
