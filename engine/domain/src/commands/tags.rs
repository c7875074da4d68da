//! Tags: the words that a tenant puts on conversations, each with its colour and the number of its conversations.

use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::text::{Rule, checked};
use crate::model::conversation::MAX_TAGS;
use crate::model::{Color, Tag};
use crate::ports::{Batch, Change, TagChange};
use crate::{Error, Field, Result, TenantIndex};

/// Maximum length of a tag's name, in characters. Automations, and versions before tags had colours, may have made longer ones, see
/// [`super::conversations::MAX_TAG_CHARS`].
pub const MAX_NAME_CHARS: usize = 50;

/// A tag with its use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagView {
    /// The tag.
    pub tag: Arc<Tag>,
    /// Number of conversations that have it.
    pub conversations: u64,
}

/// A change of a tag. `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagPatch {
    /// The new name, at most [`MAX_NAME_CHARS`].
    pub name: Option<String>,
    /// The new colour: `#` and six hexadecimal digits.
    pub color: Option<String>,
}

impl Commands {
    /// A tenant's tags, ordered by name.
    pub async fn list_tags(&self, tenant: TenantIndex) -> Result<Vec<TagView>> {
        let counts = self.ports().store.tag_counts(tenant).await?;
        let tags = self.ports().store.tags(tenant)?.into_iter();
        let view = |tag: Arc<Tag>| {
            let conversations = counts.get(&tag.number).copied().unwrap_or(0);
            TagView { tag, conversations }
        };
        let mut views: Vec<TagView> = tags.map(view).collect();
        views.sort_by_cached_key(|view| (view.tag.name.to_lowercase(), view.tag.number));
        Ok(views)
    }

    /// A tenant's tags without their use, ordered by number. Cheap.
    pub fn plain_tags(&self, tenant: TenantIndex) -> Result<Vec<Arc<Tag>>> {
        Ok(self.ports().store.tags(tenant)?)
    }

    /// The tags with these public ids, in the same order; an id that is not a tag's is named by its place. At most
    /// [`MAX_TAGS`], as many as a conversation can have.
    pub fn tags_with_ids(&self, tenant: TenantIndex, ids: &[Uuid]) -> Result<Vec<Arc<Tag>>> {
        if ids.len() > MAX_TAGS {
            return Err(Error::invalid(Field::Tags, format!("must be at most {MAX_TAGS}")));
        }
        let mut tags = Vec::with_capacity(ids.len());
        for (at, id) in ids.iter().enumerate() {
            let found = self.ports().store.tag_by_id(tenant, *id)?;
            tags.push(found.ok_or_else(|| Error::invalid(Field::Tags.at(at), "is not the id of a tag"))?);
        }
        Ok(tags)
    }

    /// A tag.
    pub async fn get_tag(&self, tenant: TenantIndex, id: Uuid) -> Result<TagView> {
        let tag = self.own_tag(tenant, id)?;
        let counts = self.ports().store.tag_counts(tenant).await?;
        let conversations = counts.get(&tag.number).copied().unwrap_or(0);
        Ok(TagView { tag, conversations })
    }

    /// Creates a tag. The default colour is a grey.
    pub async fn create_tag(&self, tenant: TenantIndex, name: &str, color: Option<&str>) -> Result<TagView> {
        let name = checked_name(name);
        let color = color.map_or(Ok(Color::default()), checked_color);
        let (name, color) = both(name, color)?;
        let id = self.ports().entropy.uuid();
        let change = Change::Tag(TagChange::Create { tenant, id, name, color });
        self.ports().store.commit(Batch::of(vec![change])).await?;
        self.get_tag(tenant, id).await
    }

    /// Changes a tag's name or colour; its conversations keep it.
    pub async fn update_tag(&self, tenant: TenantIndex, id: Uuid, patch: TagPatch) -> Result<TagView> {
        let name = patch.name.as_deref().map(checked_name).transpose();
        let color = patch.color.as_deref().map(checked_color).transpose();
        let (name, color) = both(name, color)?;
        let tag = self.own_tag(tenant, id)?;
        let name = name.filter(|name| *name != tag.name);
        let color = color.filter(|color| *color != tag.color);
        if name.is_some() || color.is_some() {
            let change = Change::Tag(TagChange::Update { tenant, id, name, color });
            self.ports().store.commit(Batch::of(vec![change])).await?;
        }
        self.get_tag(tenant, id).await
    }

    /// Deletes a tag; its conversations lose it.
    pub async fn delete_tag(&self, tenant: TenantIndex, id: Uuid) -> Result<()> {
        self.own_tag(tenant, id)?;
        self.ports().store.commit(Batch::of(vec![Change::Tag(TagChange::Delete(tenant, id))])).await?;
        Ok(())
    }

    fn own_tag(&self, tenant: TenantIndex, id: Uuid) -> Result<Arc<Tag>> {
        self.ports().store.tag_by_id(tenant, id)?.ok_or_else(|| Error::not_found("Tag"))
    }
}

fn checked_name(name: &str) -> Result<String> {
    checked(Rule { field: Field::Name, max_chars: MAX_NAME_CHARS, lines: false }, name)
}

pub(crate) fn checked_color(color: &str) -> Result<Color> {
    Color::parse(color)
        .ok_or_else(|| Error::invalid(Field::Color, "must be # and six hexadecimal digits, as in #3b82f6"))
}

/// Both values, or the problems of both.
pub(crate) fn both<A, B>(one: Result<A>, two: Result<B>) -> Result<(A, B)> {
    match (one, two) {
        (Ok(one), Ok(two)) => Ok((one, two)),
        (Err(one), Err(two)) => Err(Error::invalid_fields(one.fields.into_iter().chain(two.fields).collect())),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}
