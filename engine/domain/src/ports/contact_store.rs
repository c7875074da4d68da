//! What the store keeps of contacts besides their records, and of tags: lists, numbers, opt-outs, and how tags may change.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreResult;
use crate::model::{Color, Contact, ContactType, OptOut, Tag};
use crate::{ConnectorIndex, TenantIndex};

/// Filters of a list of contacts, combined by AND.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactFilter {
    /// Only contacts with this kind of address.
    pub kind: Option<ContactType>,
    /// Only contacts that accept messages, or only those that do not.
    pub active: Option<bool>,
    /// Only contacts that are known on this connector.
    pub connector: Option<ConnectorIndex>,
    /// Only contacts that contain every word in identifier, names, e-mail address or company; case and accents are ignored. A phone
    /// number may be written with `+`, spaces, hyphens and parentheses.
    pub search: Option<String>,
    /// Only contacts with whom there is a conversation, not a group, that has the tag with this name; case and accents are ignored.
    pub tag: Option<String>,
}

/// A page of contacts, ordered by number.
pub struct ContactPage {
    /// The rows of the page.
    pub rows: Vec<Contact>,
    /// Number of all matches, on every page.
    pub total: u64,
    /// The number of the last row, if there are more behind it.
    pub next: Option<u64>,
}

/// A change of a tenant's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagChange {
    /// Creates a tag. [`super::Conflict::TagName`] if the name is taken, [`super::Conflict::TooManyTags`] if there are too many.
    Create {
        /// The tenant that will own it.
        tenant: TenantIndex,
        /// Its public id.
        id: Uuid,
        /// Its name.
        name: String,
        /// Its colour.
        color: Color,
    },
    /// Changes what is given. [`super::Conflict::Gone`] if it does not exist, [`super::Conflict::TagName`] if the name is another's.
    Update {
        /// The tenant that owns it.
        tenant: TenantIndex,
        /// Its public id.
        id: Uuid,
        /// The new name.
        name: Option<String>,
        /// The new colour.
        color: Option<Color>,
    },
    /// Deletes a tag; its conversations lose it. [`super::Conflict::Gone`] if it does not exist.
    Delete(TenantIndex, Uuid),
}

/// Reads of contacts and tags; part of [`super::Store`].
#[async_trait]
pub trait ContactStore: Send + Sync + 'static {
    /// A contact by the tenant's number for it.
    fn contact_by_number(&self, tenant: TenantIndex, number: u64) -> StoreResult<Option<Contact>>;
    /// A page of a tenant's contacts behind the number `after`, of which the first `skip` matches are left out.
    async fn list_contacts(
        &self,
        tenant: TenantIndex,
        filter: ContactFilter,
        after: u64,
        skip: u64,
        limit: usize,
    ) -> StoreResult<ContactPage>;
    /// The identifier that an address leads to, whether there is a contact or not: the address itself, unless it is known as another
    /// address of somebody and not of a contact of its own.
    fn contact_identifier(&self, tenant: TenantIndex, kind: ContactType, address: &str) -> StoreResult<String>;
    /// The opt-out that a deleted contact left at an address, under whichever of its addresses.
    fn opt_out(&self, tenant: TenantIndex, kind: ContactType, address: &str) -> StoreResult<Option<OptOut>>;

    /// A tenant's tags, ordered by number. Cheap: from memory.
    fn tags(&self, tenant: TenantIndex) -> StoreResult<Vec<Arc<Tag>>>;
    /// A tag by its public id. Cheap: from memory.
    fn tag_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Tag>>>;
    /// A tag by its name; case and accents are ignored. Cheap: from memory.
    fn tag_by_name(&self, tenant: TenantIndex, name: &str) -> StoreResult<Option<Arc<Tag>>>;
    /// Number of conversations of each tag, by the tag's number; tags without conversations are left out.
    async fn tag_counts(&self, tenant: TenantIndex) -> StoreResult<BTreeMap<u32, u64>>;
}
