//! All tags in memory, by tenant. Part of [`crate::catalog`]: the rows on disk are the truth, and the committer changes this after a
//! commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pombo_domain::TenantIndex;
use pombo_domain::model::{Conversation, Tag};
use pombo_domain::ports::StoreResult;
use uuid::Uuid;

use crate::backend::{Backend, KeyRange, Order};
use crate::keys;
use crate::space::Space;
use crate::tables::tags::{folded, number_of, parse};

/// What a tag is known by in the store.
pub(crate) type TagKey = (TenantIndex, u32);

/// A change that a commit made: a tag as it is now, or that it was deleted.
#[derive(Clone)]
pub(crate) struct TagCatalogChange(pub(crate) TagKey, pub(crate) Option<Arc<Tag>>);

/// The tags; see the module.
#[derive(Default)]
pub(crate) struct TagCatalog {
    tags: BTreeMap<TagKey, Arc<Tag>>,
    ids: HashMap<Uuid, TagKey>,
    /// By folded name.
    names: HashMap<(TenantIndex, String), u32>,
}

impl TagCatalog {
    /// Reads it from the store.
    pub(crate) fn open(backend: &dyn Backend) -> StoreResult<Self> {
        let mut catalog = Self::default();
        for row in backend.scan(Space::Documents, KeyRange::prefix(&[keys::TAG]), Order::Forward) {
            let tag = parse(&row?.1)?;
            catalog.apply(TagCatalogChange((tag.tenant, tag.number), Some(Arc::new(tag))));
        }
        Ok(catalog)
    }

    pub(crate) fn apply(&mut self, TagCatalogChange(key, tag): TagCatalogChange) {
        if let Some(old) = self.tags.remove(&key) {
            self.ids.remove(&old.id);
            self.names.remove(&(key.0, folded(&old.name)));
        }
        if let Some(tag) = tag {
            self.ids.insert(tag.id, key);
            self.names.insert((key.0, folded(&tag.name)), key.1);
            self.tags.insert(key, tag);
        }
    }

    pub(crate) fn get(&self, key: TagKey) -> Option<&Arc<Tag>> {
        self.tags.get(&key)
    }

    /// A tenant's tags, by number.
    pub(crate) fn of(&self, tenant: TenantIndex) -> impl Iterator<Item = &Arc<Tag>> {
        self.tags.range((tenant, 0)..=(tenant, u32::MAX)).map(|(_, tag)| tag)
    }

    pub(crate) fn by_id(&self, tenant: TenantIndex, id: Uuid) -> Option<&Arc<Tag>> {
        self.tags.get(self.ids.get(&id)?).filter(|tag| tag.tenant == tenant)
    }

    /// A tag by its folded name.
    pub(crate) fn named(&self, tenant: TenantIndex, folded: &str) -> Option<&Arc<Tag>> {
        self.tags.get(&(tenant, *self.names.get(&(tenant, folded.to_owned()))?))
    }

    /// Puts the names of its tags into a conversation as its row has it, and leaves out deleted ones.
    pub(crate) fn name(&self, conversation: &mut Conversation) {
        if conversation.tags.is_empty() {
            return;
        }
        let name = |reference: &String| {
            let number = number_of(reference)?;
            Some(self.tags.get(&(conversation.tenant, number))?.name.clone())
        };
        let mut names: Vec<String> = conversation.tags.iter().filter_map(name).collect();
        names.sort_unstable();
        conversation.tags = names;
    }
}
