//! Lists and counts of conversations, and who they can be assigned to.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::ConversationView;
use crate::commands::Commands;
use crate::commands::access::actor::Actor;
use crate::commands::contacts::ContactRef;
use crate::model::{ContactType, LabelKind, User};
use crate::ports::{ContactFilter, ConversationFilter, ConversationOrder};
use crate::{ConnectorIndex, Error, Field, Result, TenantIndex};

/// Maximum length of a search, in characters.
pub const MAX_SEARCH_CHARS: usize = 200;
/// Maximum number of contacts whose chosen names a search looks at.
const MAX_NAMED_FOUND: usize = 1_000;
/// Maximum number of conversations that are listed of one contact.
const MAX_OF_CONTACT: usize = 250;
/// Maximum number of tags of which a conversation may have one.
pub const MAX_TAGS_ASKED: usize = 50;

/// Filters of a list of conversations, combined by AND.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationQuery {
    /// Only conversations on this connector.
    pub connector: Option<Uuid>,
    /// Only conversations in this queue.
    pub queue: Option<Uuid>,
    /// Only conversations that have this status.
    pub status: Option<Uuid>,
    /// All other filters; connector, queue and status of this one are not used.
    pub filter: ConversationFilter,
}

/// Order of a list, and where its page begins.
pub type ConversationPlace = ConversationOrder;

/// A page of conversations.
pub struct ConversationPage {
    /// The conversations, in the order that was asked for.
    pub items: Vec<ConversationView>,
    /// Number of all matches.
    pub total: u64,
    /// The `after` of the next page of a list by id, if there are more.
    pub next: Option<Uuid>,
}

/// How many conversations there are, by what they are. All but `archived` are of those that are not archived.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationOverview {
    /// Those that are not archived.
    pub open: u64,
    /// Those that are.
    pub archived: u64,
    /// Those with unread messages.
    pub unread: u64,
    /// Those that are assigned to nobody.
    pub unassigned: u64,
    /// Those that are assigned to the user who asks.
    pub mine: u64,
    /// Those in which the automations are paused.
    pub paused: u64,
    /// Those that an automation answers.
    pub automated: u64,
    /// By public id of the connector.
    pub by_connector: BTreeMap<Uuid, u64>,
    /// By tag; the most frequent ones.
    pub by_tag: BTreeMap<String, u64>,
}

impl Commands {
    /// A page of a tenant's conversations, with the exact number of matches.
    pub async fn list_conversations(
        &self,
        tenant: TenantIndex,
        query: ConversationQuery,
        place: ConversationPlace,
        limit: usize,
    ) -> Result<ConversationPage> {
        let store = &self.ports().store;
        let connector = match query.connector {
            None => None,
            Some(id) => Some(store.connector_by_id(tenant, id)?.ok_or_else(|| Error::not_found("Connector"))?.index),
        };
        let numbered = |kind, id: Option<Uuid>| -> Result<Option<u32>> {
            Ok(match id {
                Some(id) => Some(self.get_label(tenant, kind, id)?.number),
                None => None,
            })
        };
        let (queue, status_label) =
            (numbered(LabelKind::Queue, query.queue)?, numbered(LabelKind::Status, query.status)?);
        let mut filter = ConversationFilter { connector, queue, status_label, ..query.filter };
        let searches = [&filter.search, &filter.search_who];
        if searches.into_iter().flatten().any(|search| search.chars().count() > MAX_SEARCH_CHARS) {
            return Err(Error::invalid(Field::Search, format!("must have at most {MAX_SEARCH_CHARS} characters")));
        }
        if filter.tags.len() > MAX_TAGS_ASKED {
            return Err(Error::invalid(Field::Tags, format!("must be at most {MAX_TAGS_ASKED}")));
        }
        if let Some(search) = &filter.search_who {
            filter.search_chats = self.named_addresses(tenant, search).await?;
        }
        if filter.automated.is_some() {
            filter.answered = self.answered(tenant)?;
        }
        let found = store.find_conversations(tenant, filter, place, limit).await?;
        let mut items = Vec::with_capacity(found.rows.len());
        for conversation in found.rows {
            items.push(self.conversation_view(conversation)?);
        }
        let is_by_id = matches!(place, ConversationOrder::Id { .. });
        let next = items.last().map(|view| view.conversation.id).filter(|_| is_by_id && found.more);
        Ok(ConversationPage { items, total: found.total, next })
    }

    /// The conversations with a contact, under whichever of its addresses, the last active first; at most [`MAX_OF_CONTACT`].
    pub fn conversations_of_contact(&self, tenant: TenantIndex, contact: ContactRef) -> Result<Vec<ConversationView>> {
        let contact = self.get_contact(tenant, contact)?;
        let store = &self.ports().store;
        let mut connectors: BTreeSet<ConnectorIndex> = contact.connectors.iter().copied().collect();
        for connector in store.connectors(Some(tenant))? {
            if ContactType::of_channel(&connector.channel) == Some(contact.kind) {
                connectors.insert(connector.index);
            }
        }
        let mut addresses = self.aliases_of_contact(&contact)?;
        addresses.push(contact.identifier);
        let mut found = Vec::new();
        for connector in connectors {
            for address in &addresses {
                found.extend(store.conversation_with(connector, address)?.filter(|one| !one.is_group));
            }
        }
        found.sort_by_key(|conversation| Reverse((conversation.active_at(), conversation.id)));
        found.truncate(MAX_OF_CONTACT);
        found.into_iter().map(|conversation| self.conversation_view(conversation)).collect()
    }

    /// Addresses of contacts to whom the tenant gave a name that a search finds: their conversations know only the name that the contacts
    /// give themselves. At most [`MAX_NAMED_FOUND`].
    async fn named_addresses(&self, tenant: TenantIndex, search: &str) -> Result<BTreeSet<String>> {
        // A number is found by the address itself.
        if !search.chars().any(char::is_alphabetic) {
            return Ok(BTreeSet::new());
        }
        let filter = ContactFilter { search: Some(search.to_owned()), ..ContactFilter::default() };
        let found = self.ports().store.list_contacts(tenant, filter, 0, 0, MAX_NAMED_FOUND).await?;
        let named = found.rows.into_iter().filter(|contact| contact.name.is_some());
        Ok(named.map(|contact| contact.identifier).collect())
    }

    /// Counts the conversations of the actor's tenant.
    pub async fn count_conversations(&self, actor: &Actor) -> Result<ConversationOverview> {
        let tenant = actor.tenant()?;
        let user = actor.by.strip_prefix("user:").and_then(|id| Uuid::try_parse(id).ok());
        let counts = self.ports().store.count_conversations(tenant, user).await?;
        let mut overview = ConversationOverview {
            open: counts.open,
            archived: counts.archived,
            unread: counts.unread,
            unassigned: counts.unassigned,
            mine: counts.mine,
            paused: counts.paused,
            by_tag: counts.by_tag.into_iter().collect(),
            ..ConversationOverview::default()
        };
        for (connector, is_group, count) in counts.engaged {
            overview.automated += if self.is_answered(connector, is_group)? { count } else { 0 };
        }
        for (connector, count) in counts.by_connector {
            overview.by_connector.insert(self.connector_id(connector)?, count);
        }
        Ok(overview)
    }

    /// The users that a conversation can be assigned to, oldest first.
    pub fn list_assignees(&self, tenant: TenantIndex) -> Result<Vec<User>> {
        self.list_users(tenant)
    }

    /// The name of a user that a conversation is to be assigned to.
    pub(super) fn assignee_name(&self, tenant: TenantIndex, id: Uuid) -> Result<String> {
        let found = self.ports().store.users(tenant)?.into_iter().find(|user| user.id == id);
        found.map(|user| user.name).ok_or_else(|| Error::invalid(Field::AssigneeId, "is not a user of this tenant"))
    }
}
