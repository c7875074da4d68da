//! Lists of conversations: their filters, as the parameters say them, and a page of what they find.

use poem_openapi::registry::MetaSchema;
use pombo_api::declared::ParamKind;
use pombo_api::error::Failure;
use pombo_api::options::ApiState;
use pombo_domain::commands::conversations::{ConversationPlace, ConversationQuery};
use pombo_domain::ports::ConversationFilter;
use uuid::Uuid;

use super::wire::{ConversationBody, Form, shown};
use crate::credentials::Caller;
use crate::envelope::{Listed, Meta};
use crate::params::{Page, bounded};
use crate::refs::{instance, instances};

/// The parameter `format`. It has one value, so that it is given says everything.
pub(crate) struct ChatFormat;

impl ParamKind for ChatFormat {
    type Value = ();

    fn schema() -> MetaSchema {
        MetaSchema { enum_items: vec!["chat".into()], ..MetaSchema::new("string") }
    }
    fn parse(text: &str) -> Result<(), String> {
        if text.trim() == "chat" { Ok(()) } else { Err("must be chat, or be left out".to_owned()) }
    }
}

/// Which conversations are asked for.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    /// Those of this instance, by its UUID or number.
    pub(crate) instance_id: Option<String>,
    /// Those with unread messages; false does not filter.
    pub(crate) unread: Option<bool>,
    /// Those of which name and number together contain every word.
    pub(crate) search: Option<String>,
    /// Groups, or the others.
    pub(crate) is_group: Option<bool>,
    /// Those with one of these tags; empty for all.
    pub(crate) tags: Vec<Uuid>,
    /// Those without a tag; false does not filter.
    pub(crate) untagged: Option<bool>,
    /// The archived ones, instead of the others.
    pub(crate) archived: bool,
}

/// A page of the conversations that the caller may see, the last active first.
pub(crate) async fn listed(
    state: &ApiState,
    caller: &Caller,
    filters: Filters,
    page: Page,
    form: Form,
) -> Result<Listed<ConversationBody>, Failure> {
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let connectors = match given(filters.instance_id) {
        Some(id) => vec![instance(state, caller, &id)?.connector.index],
        None => instances(state, caller)?.iter().map(|view| view.connector.index).collect(),
    };
    let search_who = given(filters.search);
    if let Some(search) = &search_who {
        bounded("search", search)?;
    }
    let mut tags = Vec::new();
    if !filters.tags.is_empty() {
        let all = state.commands.plain_tags(caller.tenant)?;
        tags.extend(all.iter().filter(|tag| filters.tags.contains(&tag.id)).map(|tag| tag.name.clone()));
        // No conversation has a tag that does not exist.
        if tags.is_empty() {
            return Ok(Listed { data: Vec::new(), meta: Meta::of(page, 0) });
        }
    }
    let filter = ConversationFilter {
        connectors: Some(connectors),
        archived: Some(filters.archived),
        unread: filters.unread.filter(|unread| *unread),
        is_group: filters.is_group,
        tags,
        tagged: filters.untagged.filter(|untagged| *untagged).map(|_| false),
        search_who,
        ..ConversationFilter::default()
    };
    let query = ConversationQuery { filter, ..ConversationQuery::default() };
    let place = ConversationPlace::Activity { offset: page.offset() };
    let found = state.commands.list_conversations(caller.tenant, query, place, page.size as usize).await?;
    Ok(Listed { data: shown(state, caller, form, found.items)?, meta: Meta::of(page, found.total) })
}
