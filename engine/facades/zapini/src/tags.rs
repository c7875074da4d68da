//! Section "Tags": the words that a tenant puts on conversations. They are the whole tenant's: a key of one instance sees them and puts
//! them on its own conversations, but does not change them.

use std::borrow::Cow;

use poem_openapi::param::Path;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{Object, OpenApi};
use pombo_api::declared::{Declared, Declares, Param};
use pombo_api::error::Failure;
use pombo_api::fields::required;
use pombo_api::json::JsonBytes;
use pombo_api::json_fields;
use pombo_domain::commands::conversations::ConversationPatch;
use pombo_domain::commands::tags::{MAX_NAME_CHARS, TagPatch, TagView};
use pombo_domain::model::Right;
use pombo_domain::model::conversation::MAX_TAGS;
use pombo_domain::{Error, Field, FieldProblem};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::Section;
use crate::conversations::ShownTag;
use crate::credentials::Caller;
use crate::envelope::{Created, Said, Success};
use crate::errors::{BODY, EVERY, NAMED, Refused, VALUES, WRITE};
use crate::gate::State;
use crate::params::{Text, Texts, bounded};
use crate::refs::conversation;
use crate::schemas::{described, inline, text};
use crate::times::seconds;

json_fields! {
    /// A tag, or a change of one.
    struct TagFields<'a> {
        name: "name" as Cow<'a, str>,
        color: "color" as Cow<'a, str>,
    }
}

json_fields! {
    /// The tags of a conversation.
    struct TagIdFields<'a> {
        tag_ids: "tag_ids" as Texts,
    }
}

fn hexadecimal(description: &'static str) -> MetaSchema {
    MetaSchema {
        description: Some(description),
        pattern: Some("^#[0-9A-Fa-f]{6}$".to_owned()),
        ..MetaSchema::new("string")
    }
}

/// A colour that may be left out.
fn color(description: &'static str) -> MetaSchemaRef {
    inline(MetaSchema { nullable: true, ..hexadecimal(description) })
}

/// `CreateTag` in the document.
struct CreateTag;

impl Declares for CreateTag {
    const NAME: &'static str = "CreateTag";

    fn schema(_: &mut Registry) -> MetaSchema {
        let name = "Name of the tag. No two tags have the same one; case and accents do not count.";
        MetaSchema {
            description: Some("A tag to create."),
            required: vec!["name", "color"],
            properties: vec![
                ("name", text(name, Some(1), MAX_NAME_CHARS)),
                ("color", inline(hexadecimal("Colour: `#` and six hexadecimal digits."))),
            ],
            example: Some(json!({"name": "Important", "color": "#ef4444"})),
            ..MetaSchema::new("object")
        }
    }
}

/// `UpdateTag` in the document.
struct UpdateTag;

impl Declares for UpdateTag {
    const NAME: &'static str = "UpdateTag";

    fn schema(_: &mut Registry) -> MetaSchema {
        let name = described("New name; conversations keep the tag.");
        let name = MetaSchema { min_length: Some(1), max_length: Some(MAX_NAME_CHARS), nullable: true, ..name };
        MetaSchema {
            description: Some("A change of a tag. Omitted fields stay as they are."),
            properties: vec![("name", inline(name)), ("color", color("New colour: `#` and six hexadecimal digits."))],
            example: Some(json!({"name": "Very Important", "color": "#dc2626"})),
            ..MetaSchema::new("object")
        }
    }
}

/// `ConversationTags` in the document.
struct ConversationTags;

impl Declares for ConversationTags {
    const NAME: &'static str = "ConversationTags";

    fn schema(_: &mut Registry) -> MetaSchema {
        let ids = MetaSchema {
            description: Some("Ids of the tags that the conversation is to have; an empty list takes all away."),
            items: Some(Box::new(inline(MetaSchema::new_with_format("string", "uuid")))),
            max_items: Some(MAX_TAGS),
            ..MetaSchema::new("array")
        };
        MetaSchema {
            description: Some("The tags of a conversation, which replace those that it has."),
            required: vec!["tag_ids"],
            properties: vec![("tag_ids", inline(ids))],
            example: Some(json!({
                "tag_ids": ["550e8400-e29b-41d4-a716-446655440001", "550e8400-e29b-41d4-a716-446655440002"]
            })),
            ..MetaSchema::new("object")
        }
    }
}

/// A tag with its use.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Tag")]
struct TagBody {
    /// Id of the tag.
    id: Uuid,
    /// Name of the tag.
    name: String,
    /// Colour that the tag is shown in, such as `#f59e0b`.
    color: String,
    /// Number of conversations that have the tag, archived ones included.
    conversations_count: u64,
    /// When it was created.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

impl From<TagView> for TagBody {
    fn from(TagView { tag, conversations }: TagView) -> Self {
        Self {
            id: tag.id,
            name: tag.name.clone(),
            color: tag.color.to_hex(),
            conversations_count: conversations,
            created_at: seconds(tag.created_at),
            updated_at: seconds(tag.updated_at),
        }
    }
}

/// The tenant's tags.
#[derive(Debug, Serialize, Object)]
struct TagList {
    /// The tags, by name.
    tags: Vec<TagBody>,
}

/// One tag.
#[derive(Debug, Serialize, Object)]
struct OneTag {
    /// The tag.
    tag: TagBody,
}

impl OneTag {
    fn of(view: TagView) -> Self {
        Self { tag: view.into() }
    }
}

/// The tags of a conversation.
#[derive(Debug, Serialize, Object)]
struct AssignedTags {
    /// The tags, in the conversation's order.
    tags: Vec<ShownTag>,
}

/// The id in a path.
fn tag_id(given: &str) -> Result<Uuid, Failure> {
    bounded("uuid", given)?;
    Uuid::try_parse(given.trim()).map_err(|_| Failure::not_found("Tag"))
}

/// The name and colour in a body.
fn said(fields: TagFields<'_>, problems: &mut Vec<FieldProblem>) -> TagPatch {
    let name = fields.name.take(Field::Name, problems).map(Cow::into_owned);
    let color = fields.color.take(Field::Color, problems).map(Cow::into_owned);
    TagPatch { name, color }
}

/// The ids in a body; required.
fn tag_ids(fields: TagIdFields<'_>) -> Result<Vec<Uuid>, Failure> {
    let mut problems = Vec::new();
    let given = fields.tag_ids.take(Field::Tags, &mut problems);
    let given = required(Field::Tags, given, &mut problems).map(|texts| texts.0).unwrap_or_default();
    let mut ids = Vec::with_capacity(given.len().min(MAX_TAGS));
    if given.len() > MAX_TAGS {
        problems.push(FieldProblem::new(Field::Tags, format!("must be at most {MAX_TAGS}")));
    } else {
        for (at, text) in given.iter().enumerate() {
            match Uuid::try_parse(text.trim()) {
                Ok(id) => ids.push(id),
                Err(_) => problems.push(FieldProblem::new(Field::Tags.at(at), "is not the id of a tag")),
            }
        }
    }
    if problems.is_empty() { Ok(ids) } else { Err(Error::invalid_fields(problems).into()) }
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct TagsApi;

impl pombo_api::Section for TagsApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Tags")]
impl TagsApi {
    /// List the tags
    ///
    /// All of them, each with the number of its conversations.
    #[oai(path = "/tags", method = "get", operation_id = "list_tags")]
    async fn list_tags(&self, caller: Caller, state: State<'_>) -> Result<Success<TagList>, Refused<EVERY>> {
        caller.must(Right::Read)?;
        let tags = state.commands.list_tags(caller.tenant).await?.into_iter().map(TagBody::from).collect();
        Ok(Success::of(TagList { tags }))
    }

    /// Create a tag
    ///
    /// At most 1000 for a tenant. 403 for a key of one instance.
    #[oai(path = "/tags", method = "post", operation_id = "create_tag")]
    async fn create_tag(
        &self,
        caller: Caller,
        state: State<'_>,
        body: JsonBytes<Declared<CreateTag>>,
    ) -> Result<Created<OneTag>, Refused<{ EVERY | BODY | WRITE }>> {
        caller.must(Right::Converse)?;
        caller.must_be_for_all()?;
        let mut problems = Vec::new();
        let TagPatch { name, color } = said(body.object()?, &mut problems);
        let name = required(Field::Name, name, &mut problems);
        let color = required(Field::Color, color, &mut problems);
        let (Some(name), Some(color), true) = (name, color, problems.is_empty()) else {
            return Err(Error::invalid_fields(problems).into());
        };
        let made = state.commands.create_tag(caller.tenant, &name, Some(&color)).await?;
        Ok(Created::saying("Tag created successfully", OneTag::of(made)))
    }

    /// Get a tag
    #[oai(path = "/tags/:uuid", method = "get", operation_id = "get_tag")]
    async fn get_tag(
        &self,
        caller: Caller,
        state: State<'_>,
        /// Id of the tag.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<OneTag>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::Read)?;
        let found = state.commands.get_tag(caller.tenant, tag_id(&uuid.0.0)?).await?;
        Ok(Success::of(OneTag::of(found)))
    }

    /// Change a tag's name or colour
    ///
    /// Its conversations keep it. 403 for a key of one instance.
    #[oai(path = "/tags/:uuid", method = "patch", operation_id = "update_tag")]
    async fn update_tag(
        &self,
        caller: Caller,
        state: State<'_>,
        /// Id of the tag.
        uuid: Path<Param<Text>>,
        body: JsonBytes<Declared<UpdateTag>>,
    ) -> Result<Success<OneTag>, Refused<{ NAMED | BODY | WRITE }>> {
        caller.must(Right::Converse)?;
        caller.must_be_for_all()?;
        let id = tag_id(&uuid.0.0)?;
        let mut problems = Vec::new();
        let patch = said(body.object()?, &mut problems);
        if !problems.is_empty() {
            return Err(Error::invalid_fields(problems).into());
        }
        let changed = state.commands.update_tag(caller.tenant, id, patch).await?;
        Ok(Success::saying("Tag updated successfully", OneTag::of(changed)))
    }

    /// Delete a tag
    ///
    /// All conversations lose it. 403 for a key of one instance.
    #[oai(path = "/tags/:uuid", method = "delete", operation_id = "delete_tag")]
    async fn delete_tag(
        &self,
        caller: Caller,
        state: State<'_>,
        /// Id of the tag.
        uuid: Path<Param<Text>>,
    ) -> Result<Said, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::DeleteRecords)?;
        caller.must_be_for_all()?;
        state.commands.delete_tag(caller.tenant, tag_id(&uuid.0.0)?).await?;
        Ok(Said("Tag deleted successfully".into()))
    }

    /// Replace a conversation's tags
    ///
    /// It has exactly the named ones afterwards, at most 50.
    #[oai(path = "/conversations/:uuid/tags", method = "put", operation_id = "replace_conversation_tags")]
    async fn replace_conversation_tags(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
        body: JsonBytes<Declared<ConversationTags>>,
    ) -> Result<Success<AssignedTags>, Refused<{ NAMED | BODY | WRITE }>> {
        caller.must(Right::Converse)?;
        let id = conversation(&state, &caller, &uuid.0.0)?.conversation.id;
        let wanted = state.commands.tags_with_ids(caller.tenant, &tag_ids(body.object()?)?)?;
        let names = wanted.iter().map(|tag| tag.name.clone()).collect();
        let patch = ConversationPatch { tags: Some(names), ..ConversationPatch::default() };
        let changed = state.commands.update_conversation(&caller.actor(), id, patch).await?.conversation;
        let known = state.commands.plain_tags(caller.tenant)?;
        let named = |name: &String| known.iter().find(|tag| tag.name == *name).map(|tag| ShownTag::of(tag));
        let tags = changed.tags.iter().filter_map(named).collect();
        Ok(Success::saying("Conversation tags updated", AssignedTags { tags }))
    }
}
