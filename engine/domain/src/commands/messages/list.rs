//! A tenant's messages, newest first, a page at a time, with the exact number of matches.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::connectors::unknown_connector;
use crate::model::{Connector, MessageType, Status, StoredMessage};
use crate::ports::MessageFilter;
use crate::{ConnectorIndex, Error, Field, FieldProblem, Result, TenantIndex, Timestamp};

/// Maximum number of messages of one page.
pub const MAX_PAGE: u32 = 250;
/// Maximum length of a search, in characters.
pub const MAX_SEARCH_CHARS: usize = 200;
/// Minimum length of a search's longest word, in characters: a single letter matches nearly everything.
pub const MIN_SEARCH_CHARS: usize = 2;

/// Maximum length of a channel's id of a message, in bytes.
pub const MAX_PROVIDER_ID_BYTES: usize = 1_024;

/// The messages to list. All filters are optional and combined by AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageQuery {
    /// Only messages with this status.
    pub status: Option<Status>,
    /// Only messages of this connector, by its public id.
    pub connector: Option<Uuid>,
    /// Only messages of this category.
    pub message_type: Option<MessageType>,
    /// Only messages with exactly this external id.
    pub external_id: Option<String>,
    /// Only the messages that their channels know by this id, at most one of each connector. Not together with `search`.
    pub provider_id: Option<String>,
    /// Only messages whose recipient, contact name or text contains each of these words.
    pub search: Option<String>,
    /// Only messages created at this time or later.
    pub from: Option<Timestamp>,
    /// Only messages created at this time or earlier.
    pub to: Option<Timestamp>,
    /// Number of the page, from 1.
    pub page: u32,
    /// Maximum number of messages per page, from 1 to [`MAX_PAGE`].
    pub limit: u32,
}

/// A page of a list.
pub struct MessageListing {
    /// The messages, each with its connector's public id.
    pub rows: Vec<(StoredMessage, Uuid)>,
    /// Number of all matches.
    pub total: u64,
    /// Number of pages.
    pub pages: u64,
}

impl Commands {
    /// Lists a tenant's messages.
    pub async fn list_messages(&self, tenant: TenantIndex, query: MessageQuery) -> Result<MessageListing> {
        let problems = problems_of(&query);
        if !problems.is_empty() {
            return Err(Error::invalid_fields(problems));
        }
        let store = &self.ports().store;
        let connector = match query.connector {
            None => None,
            Some(id) => Some(store.connector_by_id(tenant, id)?.ok_or_else(unknown_connector)?.index),
        };
        if let Some(provider_id) = &query.provider_id {
            return self.known_by(tenant, connector, provider_id, &query);
        }
        let filter = MessageFilter {
            status: query.status,
            connector,
            message_type: query.message_type,
            external_id: query.external_id,
            search: query.search,
            from: query.from,
            to: query.to,
        };
        let offset = u64::from(query.page - 1) * u64::from(query.limit);
        let page = store.list_messages(tenant, filter, offset, query.limit).await?;
        let mut connectors: HashMap<ConnectorIndex, Uuid> = HashMap::new();
        let mut rows = Vec::with_capacity(page.rows.len());
        for message in page.rows {
            let index = message.message.content.connector;
            let id = match connectors.get(&index) {
                Some(id) => *id,
                None => {
                    let missing = || Error::internal("a message names a connector that is not stored");
                    let id = store.connector(index)?.ok_or_else(missing)?.id;
                    connectors.insert(index, id);
                    id
                }
            };
            rows.push((message, id));
        }
        Ok(MessageListing { rows, total: page.total, pages: page.total.div_ceil(u64::from(query.limit)) })
    }

    /// The messages that channels know by an id: looked up for each connector, of which a tenant has few.
    fn known_by(
        &self,
        tenant: TenantIndex,
        connector: Option<ConnectorIndex>,
        provider_id: &str,
        query: &MessageQuery,
    ) -> Result<MessageListing> {
        let store = &self.ports().store;
        let connectors: Vec<Arc<Connector>> = match connector {
            Some(index) => store.connector(index)?.into_iter().collect(),
            None => store.connectors(Some(tenant))?,
        };
        let mut rows = Vec::new();
        for connector in connectors {
            let found = store.message_by_provider_id(connector.index, provider_id)?;
            rows.extend(found.filter(|stored| query.takes(stored)).map(|stored| (stored, connector.id)));
        }
        rows.sort_by_key(|(stored, _)| std::cmp::Reverse(stored.message.key.serial));
        let total = rows.len() as u64;
        let (skipped, limit) = (u64::from(query.page - 1) * u64::from(query.limit), query.limit as usize);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let rows = rows.into_iter().skip(skipped).take(limit).collect();
        Ok(MessageListing { rows, total, pages: total.div_ceil(u64::from(query.limit)) })
    }
}

impl MessageQuery {
    /// Whether a message passes the filters that need no index.
    fn takes(&self, stored: &StoredMessage) -> bool {
        let StoredMessage { message, state } = stored;
        self.status.is_none_or(|status| status == state.status)
            && self.message_type.is_none_or(|kind| kind == message.content.message_type)
            && self.external_id.as_ref().is_none_or(|id| message.content.external_id.as_ref() == Some(id))
            && self.from.is_none_or(|from| from <= message.created_at)
            && self.to.is_none_or(|to| message.created_at <= to)
    }
}

fn problems_of(query: &MessageQuery) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if query.page == 0 {
        problems.push(FieldProblem::new(Field::Page, "must be 1 or more"));
    }
    if !(1..=MAX_PAGE).contains(&query.limit) {
        problems.push(FieldProblem::new(Field::Limit, format!("must be from 1 to {MAX_PAGE}")));
    }
    if let (Some(from), Some(to)) = (query.from, query.to)
        && from > to
    {
        problems.push(FieldProblem::against(Field::Since, "must not be after", Field::UpTo));
    }
    if let Some(id) = query.provider_id.as_deref() {
        if id.is_empty() || id.len() > MAX_PROVIDER_ID_BYTES {
            let message = format!("must have 1 to {MAX_PROVIDER_ID_BYTES} bytes");
            problems.push(FieldProblem::new(Field::ProviderId, message));
        } else if query.search.is_some() {
            problems.push(FieldProblem::against(Field::Search, "cannot be used together with", Field::ProviderId));
        }
    }
    if let Some(search) = query.search.as_deref() {
        let longest = search.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
        if search.chars().count() > MAX_SEARCH_CHARS {
            problems.push(FieldProblem::new(Field::Search, format!("must have at most {MAX_SEARCH_CHARS} characters")));
        } else if longest < MIN_SEARCH_CHARS {
            problems.push(FieldProblem::new(
                Field::Search,
                format!("needs a word of at least {MIN_SEARCH_CHARS} characters"),
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(query: MessageQuery) -> Vec<Field> {
        problems_of(&query).iter().filter_map(|problem| problem.field.only()).collect()
    }

    #[test]
    fn limits_pages_dates_and_searches_out_of_range_are_named() {
        let good = || MessageQuery { page: 1, limit: 250, ..MessageQuery::default() };
        assert_eq!(fields(good()), []);
        assert_eq!(fields(MessageQuery { page: 0, ..good() }), [Field::Page]);
        for limit in [0, 251] {
            assert_eq!(fields(MessageQuery { limit, ..good() }), [Field::Limit]);
        }
        let later = MessageQuery { from: Some(Timestamp(2)), to: Some(Timestamp(1)), ..good() };
        assert_eq!(fields(later), [Field::Since]);
        for (search, refused) in [("a", true), ("  ", true), ("a b", true), ("plano b", false), ("ção", false)] {
            let query = MessageQuery { search: Some(search.to_owned()), ..good() };
            assert_eq!(!fields(query).is_empty(), refused, "{search:?}");
        }
        assert_eq!(fields(MessageQuery { search: Some("x".repeat(201)), ..good() }), [Field::Search]);
        let known_by = |id: &str| MessageQuery { provider_id: Some(id.to_owned()), ..good() };
        assert_eq!(fields(known_by("wamid.1")), []);
        assert_eq!(fields(known_by("")), [Field::ProviderId]);
        assert_eq!(fields(known_by(&"x".repeat(MAX_PROVIDER_ID_BYTES + 1))), [Field::ProviderId]);
        assert_eq!(fields(MessageQuery { search: Some("ana".to_owned()), ..known_by("a") }), [Field::Search]);
    }
}
