//! The invariants of contacts, their numbers and addresses, of opt-outs and of tags.

use std::collections::{BTreeMap, BTreeSet};

use pombo_domain::TenantIndex;
use pombo_domain::ports::StoreResult;

use super::Problems;
use crate::DiskStore;
use crate::backend::{Bytes, KeyRange, Order};
use crate::codec::bad_key;
use crate::directory::Kept;
use crate::directory::contacts::Row;
use crate::directory::tags::{TagUse, tags_of};
use crate::keys;
use crate::space::Space;
use crate::tables::numbers::{self, Series};
use crate::tables::{contacts, conversations, opt_outs, tags};

impl DiskStore {
    pub(super) fn verify_contacts(&self, problems: &mut Problems) -> StoreResult<()> {
        self.verify_contact_rows(problems)?;
        self.verify_aliases(problems)?;
        self.verify_opt_outs(problems)?;
        self.verify_tags(problems)?;
        self.verify_directory(problems)
    }

    pub(super) fn documents(&self, tag: u8) -> impl Iterator<Item = StoreResult<(Bytes, Bytes)>> {
        self.shared.backend.scan(Space::Documents, KeyRange::prefix(&[tag]), Order::Forward)
    }

    fn verify_contact_rows(&self, problems: &mut Problems) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let mut count = 0_usize;
        for row in self.documents(keys::CONTACT) {
            let (key, row) = row?;
            let contact = contacts::parse(&row)?;
            let (tenant, number) = (contact.tenant, contact.number);
            let name = || format!("contact {}/{number}", tenant.0);
            count += 1;
            if key != keys::contact(tenant, contact.kind, &contact.identifier) {
                problems.add(|| format!("{}: under another's address", name()));
            }
            let address = contacts::address(contact.kind, &contact.identifier);
            let by_id = keys::owned(keys::CONTACT_ID, tenant, contact.id);
            for second in [by_id, keys::contact_number(tenant, number)] {
                if backend.get(Space::Documents, &second)?.is_none_or(|row| row[..] != address) {
                    problems.add(|| format!("{}: its id or number names another address", name()));
                }
            }
            if number == 0 || number > numbers::last(backend, tenant, Series::Contacts)? {
                problems.add(|| format!("{}: a number that was not given", name()));
            }
            if !contact.connectors.is_sorted_by(|one, two| one < two) {
                problems.add(|| format!("{}: its connectors are not sorted", name()));
            }
        }
        // Each contact has its own of both: as many keys means that each key has its contact.
        for (tag, what) in [(keys::CONTACT_ID, "ids"), (keys::CONTACT_NUMBER, "numbers")] {
            let keys = self.documents(tag).count();
            if keys != count {
                problems.add(|| format!("{keys} {what} of {count} contacts"));
            }
        }
        Ok(())
    }

    fn verify_aliases(&self, problems: &mut Problems) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let mut expected = BTreeSet::new();
        for row in backend.scan(Space::Documents, KeyRange::prefix(&[keys::CONTACT_ALIAS]), Order::Forward) {
            let (key, identifier) = row?;
            let (tenant, kind, alias) = keys::parse_contact_address(&key).ok_or_else(|| bad_key("contacts"))?;
            expected.insert(keys::contact_alias_of(tenant, kind, contacts::parse_identifier(&identifier)?, alias));
        }
        for row in backend.scan(Space::Documents, KeyRange::prefix(&[keys::CONTACT_ALIASES]), Order::Forward) {
            let (key, _) = row?;
            if !expected.remove(&key) {
                problems.add(|| format!("a contact's alias ({} bytes) names another identifier", key.len()));
            }
        }
        if !expected.is_empty() {
            problems.add(|| format!("{} aliases are not listed with their identifier", expected.len()));
        }
        Ok(())
    }

    fn verify_opt_outs(&self, problems: &mut Problems) -> StoreResult<()> {
        for row in self.documents(keys::OPT_OUT) {
            let (key, row) = row?;
            opt_outs::parse(&row)?;
            let (tenant, kind, address) = keys::parse_contact_address(&key).ok_or_else(|| bad_key("opt-outs"))?;
            if self.shared.backend.get(Space::Documents, &keys::contact(tenant, kind, address))?.is_some() {
                problems.add(|| format!("{}: an opt-out at the address of a contact", tenant.0));
            }
        }
        Ok(())
    }

    fn verify_tags(&self, problems: &mut Problems) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let catalog = self.shared.catalog.read();
        let mut names: BTreeSet<(TenantIndex, String)> = BTreeSet::new();
        for row in self.documents(keys::TAG) {
            let (key, row) = row?;
            let tag = tags::parse(&row)?;
            let (tenant, number) = (tag.tenant, tag.number);
            if key != keys::tag(tenant, number).bytes() {
                problems.add(|| format!("tag {}/{number}: under another's key", tenant.0));
            }
            if number == 0 || u64::from(number) > numbers::last(backend, tenant, Series::Tags)? {
                problems.add(|| format!("tag {}/{number}: a number that was not given", tenant.0));
            }
            let name = tags::folded(&tag.name);
            if catalog.tags.get((tenant, number)).is_none_or(|known| **known != tag)
                || catalog.tags.named(tenant, &name).is_none_or(|known| known.number != number)
            {
                problems.add(|| format!("tag {}/{number}: memory has another", tenant.0));
            }
            if !names.insert((tenant, name)) {
                problems.add(|| format!("tag {}/{number}: another has its name", tenant.0));
            }
        }
        let tenants: BTreeSet<TenantIndex> = names.iter().map(|(tenant, _)| *tenant).collect();
        let known: usize = tenants.into_iter().map(|tenant| catalog.tags.of(tenant).count()).sum();
        if known != names.len() {
            problems.add(|| format!("{known} tags in memory, {} on disk", names.len()));
        }
        let all = backend.scan(Space::Conversations, KeyRange::prefix(&[keys::CONVERSATION]), Order::Forward);
        for row in all {
            let conversation = conversations::parse(&row?.1)?.conversation;
            if tags_of(&conversation).len() != conversation.tags.len() {
                problems.add(|| format!("conversation {}: a tag that is no reference", conversation.id));
            }
        }
        Ok(())
    }

    /// What is kept in memory of the tenants that asked.
    fn verify_directory(&self, problems: &mut Problems) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let mut failed = Ok(());
        self.shared.directory.contacts.each(|tenant, list| {
            let mut expected = BTreeMap::new();
            let take = |contact: pombo_domain::model::Contact| drop(expected.insert(contact.number, Row::of(&contact)));
            failed = std::mem::replace(&mut failed, Ok(())).and(contacts::all(backend, tenant, take));
            if expected != *list.rows() {
                problems.add(|| format!("{}: the list of contacts differs from them", tenant.0));
            }
        });
        self.shared.directory.tags.each(|tenant, tags| {
            let mut expected = TagUse::default();
            let counted = conversations::all_of(backend, tenant, |c| expected.apply((c.id, tags_of(&c))));
            failed = std::mem::replace(&mut failed, Ok(())).and(counted);
            if expected.counts() != tags.counts() {
                problems.add(|| format!("{}: the counts of tags differ from the conversations", tenant.0));
            }
        });
        failed
    }
}
