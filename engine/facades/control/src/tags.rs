//! Section Tags: the words that a tenant puts on conversations.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::commands::tags::{TagPatch, TagView};
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::wire::{BODY, CONFLICT, Created, Deleted, Instant, PathId, READ, Refused, WRITE, body};
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Tags;

impl pombo_api::Section for Tags {
    const FILE: &'static str = file!();
}

/// A tag with its use.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Tag {
    /// Id of the tag.
    id: Uuid,
    /// The tenant's number for the tag: from 1, never given twice.
    number: u32,
    /// Name of the tag. No two tags have the same one; case and accents do not count.
    name: String,
    /// Colour that the tag is shown in, such as `#3b82f6`.
    color: String,
    /// Number of conversations that have the tag.
    conversations: u64,
    /// The same as `conversations`.
    count: u64,
    /// When it was created.
    created_at: Instant,
    /// When it was last changed.
    updated_at: Instant,
}

impl From<TagView> for Tag {
    fn from(TagView { tag, conversations }: TagView) -> Self {
        Self {
            id: tag.id,
            number: tag.number,
            name: tag.name.clone(),
            color: tag.color.to_hex(),
            conversations,
            count: conversations,
            created_at: Instant(tag.created_at),
            updated_at: Instant(tag.updated_at),
        }
    }
}

/// All tags.
#[derive(Object)]
pub(crate) struct TagList {
    /// The tags, ordered by name.
    data: Vec<Tag>,
}

/// A tag to create.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTag {
    /// Name of the tag, at most 50 characters.
    #[oai(validator(min_length = 1, max_length = 50))]
    name: String,
    /// Colour: `#` and six hexadecimal digits; a grey if omitted.
    #[oai(nullable, validator(pattern = "^#[0-9A-Fa-f]{6}$"))]
    color: Option<String>,
}

/// A change of a tag. Omitted fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateTag {
    /// The new name, at most 50 characters. Conversations keep the tag.
    #[oai(nullable, validator(min_length = 1, max_length = 50))]
    name: Option<String>,
    /// The new colour: `#` and six hexadecimal digits.
    #[oai(nullable, validator(pattern = "^#[0-9A-Fa-f]{6}$"))]
    color: Option<String>,
}

#[OpenApi(tag = "Section::Tags")]
impl Tags {
    /// List the tags
    ///
    /// All of them, at most 1000, each with the number of its conversations.
    #[oai(path = "/v1/tags", method = "get", operation_id = "list_tags")]
    async fn list_tags(&self, state: Data<&Arc<ApiState>>, acting: Acting) -> Result<Json<TagList>, Refused<READ>> {
        let data = state.commands.list_tags(acting.tenant).await?.into_iter().map(Tag::from).collect();
        Ok(Json(TagList { data }))
    }

    /// Create a tag
    ///
    /// A tag is also created when it is put on a conversation for the first time.
    #[oai(path = "/v1/tags", method = "post", operation_id = "create_tag")]
    async fn create_tag(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<CreateTag>,
    ) -> Result<Created<Tag>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        let CreateTag { name, color } = body(&json)?;
        let tag = state.commands.create_tag(acting.tenant, &name, color.as_deref()).await?;
        Ok(Created::Made(Json(tag.into())))
    }

    /// Get a tag
    #[oai(path = "/v1/tags/:id", method = "get", operation_id = "get_tag")]
    async fn get_tag(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Tag>, Refused<READ>> {
        Ok(Json(state.commands.get_tag(acting.tenant, id.of("Tag")?).await?.into()))
    }

    /// Change a tag's name or colour
    #[oai(path = "/v1/tags/:id", method = "patch", operation_id = "update_tag")]
    async fn update_tag(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<UpdateTag>,
    ) -> Result<Json<Tag>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        let UpdateTag { name, color } = body(&json)?;
        let patch = TagPatch { name, color };
        Ok(Json(state.commands.update_tag(acting.tenant, id.of("Tag")?, patch).await?.into()))
    }

    /// Delete a tag
    ///
    /// Its conversations lose it.
    #[oai(path = "/v1/tags/:id", method = "delete", operation_id = "delete_tag")]
    async fn delete_tag(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Deleted, Refused<{ READ | WRITE }>> {
        state.commands.delete_tag(acting.tenant, id.of("Tag")?).await?;
        Ok(Deleted::Done)
    }
}
