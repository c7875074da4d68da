//! The [`ContactStore`] port: lists of contacts and counts of tags from the directory, the rest from the tables and the catalog.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use pombo_domain::model::{Contact, ContactType, OptOut, Tag};
use pombo_domain::ports::{ContactFilter, ContactPage, ContactStore, StoreError, StoreResult};
use pombo_domain::{ConnectorIndex, TenantIndex};
use uuid::Uuid;

use crate::DiskStore;
use crate::directory::Kept;
use crate::directory::contacts::{ContactList, Found, Row};
use crate::directory::tags::tags_of;
use crate::shared::Shared;
use crate::tables::{contacts, conversations, tags};

/// Runs what may read much on a thread that may block.
async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> StoreResult<T> + Send + 'static,
) -> StoreResult<T> {
    let shared = shared.clone();
    tokio::task::spawn_blocking(move || work(&shared))
        .await
        .map_err(|_| StoreError::Unavailable("reading a directory panicked".to_owned()))?
}

fn found(
    shared: &Shared,
    tenant: TenantIndex,
    filter: &ContactFilter,
    (after, skip, limit): (u64, u64, usize),
) -> StoreResult<Found> {
    let chats = filter.tag.as_deref().map(|name| tagged_chats(shared, tenant, name)).transpose()?;
    shared.directory.contacts.with(
        tenant,
        |list| {
            let take = |contact: Contact| list.apply((contact.number, Some(Row::of(&contact))));
            contacts::all(&*shared.backend, tenant, take)
        },
        |list| -> StoreResult<Found> {
            let tagged = chats.map(|chats| numbers_of(shared, tenant, list, chats)).transpose()?;
            Ok(list.page((filter, tagged.as_ref()), after, skip, limit))
        },
    )?
}

/// Conversations by kind and folded address of the person.
type Chats = BTreeMap<ContactType, HashMap<String, Vec<Uuid>>>;

/// The conversations with one person that have the tag with this name.
fn tagged_chats(shared: &Shared, tenant: TenantIndex, name: &str) -> StoreResult<Chats> {
    let mut chats = Chats::new();
    let tag = shared.catalog.read().tags.named(tenant, &tags::folded(name)).map(|tag| tag.number);
    let Some(tag) = tag else { return Ok(chats) };
    let mut kinds: HashMap<ConnectorIndex, Option<ContactType>> = HashMap::new();
    for (connector, id, chat) in shared.directory.conversations.tagged(&*shared.backend, tenant, tag)? {
        let kind = *kinds.entry(connector).or_insert_with(|| {
            let catalog = shared.catalog.read();
            catalog.connectors.get(&connector).and_then(|found| ContactType::of_channel(&found.channel))
        });
        if let Some(kind) = kind {
            chats.entry(kind).or_default().entry(chat).or_default().push(id);
        }
    }
    Ok(chats)
}

/// The numbers of the contacts with whom these conversations are. One that goes on under another address of its contact is read; there
/// are few of those.
fn numbers_of(shared: &Shared, tenant: TenantIndex, list: &ContactList, mut chats: Chats) -> StoreResult<HashSet<u64>> {
    let backend = &*shared.backend;
    let mut numbers = list.numbers_of(&mut chats);
    for (kind, of_kind) in chats {
        for id in of_kind.into_values().flatten() {
            // One that was deleted since is left out.
            let Some(stored) = conversations::read(backend, id)? else { continue };
            let address = kind.identifier(&stored.conversation.chat);
            numbers.extend(contacts::by_address(backend, tenant, kind, &address)?.map(|contact| contact.number));
        }
    }
    Ok(numbers)
}

#[async_trait]
impl ContactStore for DiskStore {
    fn contact_by_number(&self, tenant: TenantIndex, number: u64) -> StoreResult<Option<Contact>> {
        contacts::by_number(&*self.shared.backend, tenant, number)
    }

    async fn list_contacts(
        &self,
        tenant: TenantIndex,
        filter: ContactFilter,
        after: u64,
        skip: u64,
        limit: usize,
    ) -> StoreResult<ContactPage> {
        blocking(&self.shared, move |shared| {
            let Found { numbers, total, more } = found(shared, tenant, &filter, (after, skip, limit))?;
            let next = numbers.last().copied().filter(|_| more);
            let mut rows = Vec::with_capacity(numbers.len());
            for number in numbers {
                // One that was deleted since is left out.
                rows.extend(contacts::by_number(&*shared.backend, tenant, number)?);
            }
            Ok(ContactPage { rows, total, next })
        })
        .await
    }

    fn contact_identifier(&self, tenant: TenantIndex, kind: ContactType, address: &str) -> StoreResult<String> {
        contacts::identifier_of(&*self.shared.backend, tenant, kind, address)
    }

    fn opt_out(&self, tenant: TenantIndex, kind: ContactType, address: &str) -> StoreResult<Option<OptOut>> {
        contacts::opt_out(&*self.shared.backend, tenant, kind, address)
    }

    fn tags(&self, tenant: TenantIndex) -> StoreResult<Vec<Arc<Tag>>> {
        Ok(self.shared.catalog.read().tags.of(tenant).cloned().collect())
    }

    fn tag_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Tag>>> {
        Ok(self.shared.catalog.read().tags.by_id(tenant, id).cloned())
    }

    fn tag_by_name(&self, tenant: TenantIndex, name: &str) -> StoreResult<Option<Arc<Tag>>> {
        Ok(self.shared.catalog.read().tags.named(tenant, &tags::folded(name)).cloned())
    }

    async fn tag_counts(&self, tenant: TenantIndex) -> StoreResult<BTreeMap<u32, u64>> {
        blocking(&self.shared, move |shared| {
            shared.directory.tags.with(
                tenant,
                |tags| {
                    conversations::all_of(&*shared.backend, tenant, |conversation| {
                        tags.apply((conversation.id, tags_of(&conversation)));
                    })
                },
                |tags| tags.counts().clone(),
            )
        })
        .await
    }
}
