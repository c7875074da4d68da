//! Contacts get numbers, in the order in which they were created; the tags of conversations become tags of their tenants.

use std::collections::BTreeMap;

use pombo_domain::model::{Color, Tag};
use pombo_domain::ports::StoreResult;
use pombo_domain::{TenantIndex, Timestamp};

use super::BATCH;
use crate::Error;
use crate::backend::{Backend, Bytes, KeyRange, Order, Write};
use crate::codec::bad_key;
use crate::keys::{self, Key, Parts};
use crate::space::Space;
use crate::tables::numbers::{self, Series};
use crate::tables::{contacts, conversations, tags};

pub(super) fn run(backend: &dyn Backend) -> Result<(), Error> {
    let mut after: Option<TenantIndex> = None;
    while let Some(tenant) = next_tenant(backend, after)? {
        number_contacts(backend, tenant)?;
        after = Some(tenant);
    }
    name_tags(backend)
}

/// The first tenant behind `after` that has contacts.
fn next_tenant(backend: &dyn Backend, after: Option<TenantIndex>) -> StoreResult<Option<TenantIndex>> {
    let all = KeyRange::prefix(&[keys::CONTACT]);
    let range = match after {
        // No key of a tenant comes behind this one: no kind has this number.
        Some(tenant) => all.after(&Key::tag(keys::CONTACT).u32(tenant.0).u8(u8::MAX)),
        None => all,
    };
    let Some(row) = backend.scan(Space::Documents, range, Order::Forward).next() else { return Ok(None) };
    let (key, _) = row?;
    Parts(&key[1..]).u32().map(TenantIndex).map(Some).ok_or_else(|| bad_key("contacts"))
}

fn number_contacts(backend: &dyn Backend, tenant: TenantIndex) -> Result<(), Error> {
    let mut old: Vec<(Timestamp, Bytes)> = Vec::new();
    let range = KeyRange::prefix(&Key::tag(keys::CONTACT).u32(tenant.0));
    for row in backend.scan(Space::Documents, range, Order::Forward) {
        let (key, row) = row?;
        if !contacts::is_present(&row) {
            old.push((contacts::parse(&row)?.created_at, key));
        }
    }
    old.sort_unstable();
    let mut last = numbers::last(backend, tenant, Series::Contacts)?;
    for some in old.chunks(BATCH / 2) {
        let mut writes = Vec::with_capacity(some.len() * 2 + 1);
        for (_, key) in some {
            let row = backend.get(Space::Documents, key)?.ok_or_else(|| bad_key("contacts"))?;
            let mut contact = contacts::parse(&row)?;
            last += 1;
            contact.number = last;
            let address = contacts::address(contact.kind, &contact.identifier);
            writes.push(document(keys::contact_number(tenant, last).bytes(), address));
            writes.push(document(key.clone(), contacts::encode(&contact)));
        }
        writes.push(last_number(tenant, Series::Contacts, last));
        backend.write(writes)?;
        tracing::info!(tenant = tenant.0, contacts = last, "contacts have numbers");
    }
    Ok(())
}

/// The tags that there are so far.
#[derive(Default)]
struct Tags {
    numbers: BTreeMap<(TenantIndex, String), u32>,
    last: BTreeMap<TenantIndex, u64>,
}

fn name_tags(backend: &dyn Backend) -> Result<(), Error> {
    let mut known = Tags::default();
    for row in backend.scan(Space::Documents, KeyRange::prefix(&[keys::TAG]), Order::Forward) {
        let tag = tags::parse(&row?.1)?;
        known.numbers.insert((tag.tenant, tags::folded(&tag.name)), tag.number);
    }
    let mut writes = Vec::new();
    let all = KeyRange::prefix(&[keys::CONVERSATION]);
    for row in backend.scan(Space::Conversations, all, Order::Forward) {
        let (key, row) = row?;
        let mut stored = conversations::parse(&row)?;
        let conversation = &mut stored.conversation;
        if conversation.tags.iter().all(|tag| tags::number_of(tag).is_some()) {
            continue;
        }
        let (tenant, at) = (conversation.tenant, conversation.opened_at);
        let mut references = Vec::with_capacity(conversation.tags.len());
        for tag in &conversation.tags {
            references.push(match tags::number_of(tag) {
                Some(_) => tag.clone(),
                None => tags::reference(known.number(backend, tenant, tag, at, &mut writes)?),
            });
        }
        references.sort_unstable();
        references.dedup();
        conversation.tags = references;
        let value = Some(Bytes::from(conversations::encode(&stored)));
        writes.push(Write { space: Space::Conversations, key, value });
        if writes.len() >= BATCH {
            backend.write(std::mem::take(&mut writes))?;
        }
    }
    if !writes.is_empty() {
        backend.write(writes)?;
    }
    if !known.numbers.is_empty() {
        tracing::info!(tags = known.numbers.len(), "the tags of conversations are tags of their tenants");
    }
    Ok(())
}

impl Tags {
    /// The number of the tag with this name, which is made if it is not there.
    fn number(
        &mut self,
        backend: &dyn Backend,
        tenant: TenantIndex,
        name: &str,
        at: Timestamp,
        writes: &mut Vec<Write>,
    ) -> StoreResult<u32> {
        let place = (tenant, tags::folded(name));
        if let Some(number) = self.numbers.get(&place) {
            return Ok(*number);
        }
        let last = match self.last.get(&tenant) {
            Some(last) => *last,
            None => numbers::last(backend, tenant, Series::Tags)?,
        };
        // There are far fewer conversations than numbers.
        let number = last as u32 + 1;
        let mut bytes = [0; 10];
        let print = xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), u64::from(tenant.0));
        bytes[..8].copy_from_slice(&print.to_be_bytes());
        bytes[8..].copy_from_slice(&number.to_be_bytes()[2..]);
        let id = uuid::Builder::from_unix_timestamp_millis(at.0.max(0) as u64, &bytes).into_uuid();
        let (name, color) = (name.to_owned(), Color::default());
        let tag = Tag { tenant, number, id, name, color, created_at: at, updated_at: at };
        writes.push(document(keys::tag(tenant, number).bytes(), tags::encode_row(&tag)));
        writes.push(last_number(tenant, Series::Tags, u64::from(number)));
        self.last.insert(tenant, u64::from(number));
        self.numbers.insert(place, number);
        Ok(number)
    }
}

fn document(key: Bytes, row: Vec<u8>) -> Write {
    Write { space: Space::Documents, key, value: Some(Bytes::from(row)) }
}

fn last_number(tenant: TenantIndex, series: Series, last: u64) -> Write {
    document(keys::last_number(tenant, series as u8).bytes(), last.to_be_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use pombo_domain::model::{ContactType, Conversation};
    use pombo_domain::{ConnectorIndex, TenantIndex};
    use uuid::Uuid;

    use super::*;
    use crate::codec::encode;
    use crate::memory_backend::MemoryBackend;
    use crate::tables::conversations::Stored;

    const T: TenantIndex = TenantIndex(7);

    /// A contact as schema 3 had it.
    fn old_contact(tenant: TenantIndex, id: u128, created: i64) -> Vec<Write> {
        let identifier = format!("55{id}");
        let (created, id) = (Timestamp(created), Uuid::from_u128(id));
        let kind = ContactType::WhatsApp;
        let row = encode(&(id, tenant, kind, &identifier, Some("Ana"), false, Some("asked"), created, created));
        let by_id = keys::owned(keys::CONTACT_ID, tenant, id).bytes();
        let address = contacts::address(kind, &identifier);
        vec![document(keys::contact(tenant, kind, &identifier), row), document(by_id, address)]
    }

    fn conversation(id: u128, tags: &[&str]) -> Write {
        let id = Uuid::from_u128(id);
        let new = Conversation::new(id, T, ConnectorIndex(1), "5511".to_owned(), false, Timestamp(5));
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let conversation = Conversation { tags, ..new };
        let key = keys::conversation(conversation.id).bytes();
        let row = conversations::encode(&Stored { conversation, lanes: Vec::new() });
        Write { space: Space::Conversations, key, value: Some(Bytes::from(row)) }
    }

    fn tags_of(backend: &MemoryBackend, id: u128) -> Vec<String> {
        conversations::read(backend, Uuid::from_u128(id)).expect("reads").expect("there").conversation.tags
    }

    #[test]
    fn contacts_get_numbers_in_the_order_of_their_creation_and_keep_them() {
        let backend = MemoryBackend::default();
        let other = TenantIndex(8);
        for (tenant, id, created) in [(T, 1, 30), (T, 2, 10), (T, 3, 20), (other, 4, 5)] {
            backend.write(old_contact(tenant, id, created)).expect("written");
        }
        // As if the first run had been cut short, a second one runs over all of it.
        for _ in 0..2 {
            run(&backend).expect("migrates");
            let number = |tenant, id| {
                let contact = contacts::by_id(&backend, tenant, Uuid::from_u128(id)).expect("reads").expect("there");
                let same = contacts::by_number(&backend, tenant, contact.number).expect("reads").expect("there");
                assert!(same == contact && contact.name.as_deref() == Some("Ana") && !contact.active);
                contact.number
            };
            assert_eq!([number(T, 2), number(T, 3), number(T, 1), number(other, 4)], [1, 2, 3, 1]);
            assert_eq!(numbers::last(&backend, T, Series::Contacts), Ok(3));
        }
        backend.write(old_contact(T, 9, 1)).expect("written");
        run(&backend).expect("migrates");
        let late = contacts::by_id(&backend, T, Uuid::from_u128(9)).expect("reads").expect("there");
        assert_eq!(late.number, 4, "no number is given twice");
    }

    #[test]
    fn names_on_conversations_become_tags_once_however_they_are_written() {
        let backend = MemoryBackend::default();
        backend.write(vec![conversation(1, &["VIP", "boleto", "vip"]), conversation(2, &["Vip"])]).expect("written");
        run(&backend).expect("migrates");
        let before = [tags_of(&backend, 1), tags_of(&backend, 2)];
        assert_eq!(before[1], [tags::reference(1)]);
        assert_eq!(before[0], [tags::reference(1), tags::reference(2)]);
        let tag = |number| {
            let row = backend.get(Space::Documents, &keys::tag(T, number)).expect("reads");
            row.map(|row| tags::parse(&row).expect("a tag").name)
        };
        assert_eq!([tag(1), tag(2), tag(3)], [Some("VIP".to_owned()), Some("boleto".to_owned()), None]);
        // One that came too late for the first run.
        backend.write(vec![conversation(3, &["Novo", "BOLETO"])]).expect("written");
        run(&backend).expect("migrates");
        assert_eq!([tags_of(&backend, 1), tags_of(&backend, 2)], before);
        assert_eq!(tags_of(&backend, 3), [tags::reference(2), tags::reference(3)]);
    }
}
