//! What a group does to tags. A conversation's steps name tags; here the names become references, and tags that are not there yet
//! are made.

use std::sync::Arc;

use pombo_domain::TenantIndex;
use pombo_domain::model::conversation::MAX_TAGS;
use pombo_domain::model::tag::MAX_TAGS_OF_TENANT;
use pombo_domain::model::{Color, Conversation, ConversationStep, Tag};
use pombo_domain::ports::{Conflict, StoreError, StoreResult, TagChange};
use uuid::Uuid;

use super::Group;
use super::automations::gone;
use super::pending::Undo;
use crate::catalog::CatalogChange;
use crate::tables::numbers::{self, Series};
use crate::tables::tags::{self, folded, number_of, reference};
use crate::tag_catalog::{TagCatalogChange, TagKey};

impl Group<'_> {
    pub(super) fn tag(&mut self, change: TagChange) -> StoreResult<()> {
        match change {
            TagChange::Create { tenant, id, name, color } => {
                if self.tag_named(tenant, &name).is_some() {
                    return Err(StoreError::Conflict(Conflict::TagName));
                }
                if self.tags_of(tenant) >= MAX_TAGS_OF_TENANT {
                    return Err(StoreError::Conflict(Conflict::TooManyTags));
                }
                self.make_tag(tenant, id, name, color).map(|_| ())
            }
            TagChange::Update { tenant, id, name, color } => {
                let old = self.tag_by_id(tenant, id).ok_or_else(gone)?;
                let mut tag = Tag { updated_at: self.now, color: color.unwrap_or(old.color), ..(*old).clone() };
                if let Some(name) = name {
                    if self.tag_named(tenant, &name).is_some_and(|other| other.number != old.number) {
                        return Err(StoreError::Conflict(Conflict::TagName));
                    }
                    tag.name = name;
                }
                tags::put(&mut self.staged, &tag);
                self.set_tag((tenant, tag.number), Some(Arc::new(tag)));
                Ok(())
            }
            TagChange::Delete(tenant, id) => {
                let number = self.tag_by_id(tenant, id).ok_or_else(gone)?.number;
                tags::delete(&mut self.staged, tenant, number);
                self.set_tag((tenant, number), None);
                Ok(())
            }
        }
    }

    /// A conversation's step with references instead of names; `None` where nothing is to be done. A tag that is added and not there
    /// yet is made, if the conversation and the tenant have room for it.
    pub(super) fn by_reference(
        &mut self,
        conversation: &mut Conversation,
        step: &ConversationStep,
    ) -> StoreResult<Option<ConversationStep>> {
        let tenant = conversation.tenant;
        Ok(match step {
            ConversationStep::Tag(name) => {
                self.drop_dead_tags(conversation);
                let number = match self.tag_named(tenant, name) {
                    Some(tag) => tag.number,
                    None if conversation.tags.len() >= MAX_TAGS || self.tags_of(tenant) >= MAX_TAGS_OF_TENANT => {
                        return Ok(None);
                    }
                    None => {
                        let mut randomness = [0; 10];
                        self.entropy.fill(&mut randomness);
                        let ms = self.now.0.max(0) as u64;
                        let id = uuid::Builder::from_unix_timestamp_millis(ms, &randomness).into_uuid();
                        self.make_tag(tenant, id, name.clone(), Color::default())?
                    }
                };
                Some(ConversationStep::Tag(reference(number)))
            }
            ConversationStep::Untag(name) => {
                self.tag_named(tenant, name).map(|tag| ConversationStep::Untag(reference(tag.number)))
            }
            other => Some(other.clone()),
        })
    }

    /// Takes the references to deleted tags out of a row that is about to be written: they would take the place of others.
    fn drop_dead_tags(&self, conversation: &mut Conversation) {
        let tenant = conversation.tenant;
        let is_live = |reference: &String| {
            let number = number_of(reference);
            number.is_some_and(|number| match self.pending.tags.get(&(tenant, number)) {
                Some(tag) => tag.is_some(),
                None => self.shared.catalog.read().tags.get((tenant, number)).is_some(),
            })
        };
        conversation.tags.retain(is_live);
    }

    fn make_tag(&mut self, tenant: TenantIndex, id: Uuid, name: String, color: Color) -> StoreResult<u32> {
        // The series ends where the type does.
        let number = numbers::next(&mut self.staged, tenant, Series::Tags)? as u32;
        let tag = Tag { tenant, number, id, name, color, created_at: self.now, updated_at: self.now };
        tags::put(&mut self.staged, &tag);
        self.set_tag((tenant, number), Some(Arc::new(tag)));
        Ok(number)
    }

    fn set_tag(&mut self, key: TagKey, tag: Option<Arc<Tag>>) {
        let old = self.pending.tags.insert(key, tag.clone());
        self.pending.undo.push(Undo::Tag(key, old));
        self.outcome.catalog.push(CatalogChange::Tag(TagCatalogChange(key, tag)));
    }

    /// Those that this very group changed, without deleted ones.
    fn pending_tags(&self, tenant: TenantIndex) -> impl Iterator<Item = &Arc<Tag>> {
        self.pending.tags.range((tenant, 0)..=(tenant, u32::MAX)).filter_map(|(_, tag)| tag.as_ref())
    }

    /// A tag that this very group did not change.
    fn is_settled(&self, tag: &Tag) -> bool {
        !self.pending.tags.contains_key(&(tag.tenant, tag.number))
    }

    fn tag_named(&self, tenant: TenantIndex, name: &str) -> Option<Arc<Tag>> {
        let folded_name = folded(name);
        let pending = self.pending_tags(tenant).find(|tag| folded(&tag.name) == folded_name);
        if let Some(tag) = pending {
            return Some(tag.clone());
        }
        let catalog = self.shared.catalog.read();
        catalog.tags.named(tenant, &folded_name).filter(|tag| self.is_settled(tag)).cloned()
    }

    fn tag_by_id(&self, tenant: TenantIndex, id: Uuid) -> Option<Arc<Tag>> {
        if let Some(tag) = self.pending_tags(tenant).find(|tag| tag.id == id) {
            return Some(tag.clone());
        }
        self.shared.catalog.read().tags.by_id(tenant, id).filter(|tag| self.is_settled(tag)).cloned()
    }

    fn tags_of(&self, tenant: TenantIndex) -> usize {
        let settled = self.shared.catalog.read().tags.of(tenant).filter(|tag| self.is_settled(tag)).count();
        settled + self.pending_tags(tenant).count()
    }
}
