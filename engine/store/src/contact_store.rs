//! The [`ContactStore`] port: lists of contacts and counts of tags from the directory, the rest from the tables and the catalog.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use pombo_domain::TenantIndex;
use pombo_domain::model::{Contact, ContactType, OptOut, Tag};
use pombo_domain::ports::{ContactFilter, ContactPage, ContactStore, StoreError, StoreResult};
use uuid::Uuid;

use crate::DiskStore;
use crate::directory::Kept;
use crate::directory::contacts::{Found, Row};
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
    shared.directory.contacts.with(
        tenant,
        |list| {
            let take = |contact: Contact| list.apply((contact.number, Some(Row::of(&contact))));
            contacts::all(&*shared.backend, tenant, take)
        },
        |list| list.page(filter, after, skip, limit),
    )
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
