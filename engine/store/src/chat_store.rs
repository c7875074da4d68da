//! The [`ChatStore`] port: reads of conversations and timelines, and the purge of what was deleted.

use std::collections::BTreeMap;

use async_trait::async_trait;
use pombo_domain::ids::message_serial;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use uuid::Uuid;

use crate::DiskStore;
use crate::backend::{KeyRange, Order};
use crate::codec::bad_key;
use crate::committer::Request;
use crate::directory::conversations::TagsNow;
use crate::entry_search;
use crate::keys;
use crate::shared::Shared;
use crate::space::Space;
use crate::tables::timeline::OfMessage;
use crate::tables::{conversations, tags, timeline};

/// Entries that a look for what is still to be told passes over, at most.
const LOOK: usize = 1_000;

impl DiskStore {
    /// Runs what may have to read a whole list first on a thread where that holds up nobody.
    async fn ask_directory<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Shared) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || ask(&shared))
            .await
            .map_err(|_| StoreError::Unavailable("a read of conversations panicked".to_owned()))?
    }
}

/// A tenant's tags, and those that a filter names.
fn tags_now(shared: &Shared, tenant: TenantIndex, filter: &ConversationFilter) -> TagsNow {
    let catalog = shared.catalog.read();
    // 0 is no tag's.
    let number = |name: &String| catalog.tags.named(tenant, &tags::folded(name)).map_or(0, |tag| tag.number);
    TagsNow {
        all: catalog.tags.of(tenant).map(|tag| (tag.number, tag.clone())).collect(),
        tag: filter.tag.as_ref().map(number),
        any_of: filter.tags.iter().map(number).collect(),
    }
}

#[async_trait]
impl ChatStore for DiskStore {
    fn conversation_by_number(&self, tenant: TenantIndex, number: u64) -> StoreResult<Option<Conversation>> {
        if number >= 1 << 40 {
            return Ok(None);
        }
        match conversations::id_by_number(&*self.shared.backend, tenant, number)? {
            Some(id) => self.conversation(id),
            None => Ok(None),
        }
    }

    async fn find_conversations(
        &self,
        tenant: TenantIndex,
        filter: ConversationFilter,
        order: ConversationOrder,
        limit: usize,
    ) -> StoreResult<FoundConversations> {
        let find = move |shared: &Shared| {
            let tags = tags_now(shared, tenant, &filter);
            shared.directory.conversations.page(&*shared.backend, tenant, (&filter, &tags), order, limit)
        };
        let page = self.ask_directory(find).await?;
        let mut rows = Vec::with_capacity(page.ids.len());
        for id in page.ids {
            // One that was deleted since is left out.
            rows.extend(self.conversation(id)?);
        }
        Ok(FoundConversations { rows, total: page.total, more: page.more })
    }

    async fn last_activity(&self, tenant: TenantIndex) -> StoreResult<BTreeMap<ConnectorIndex, Timestamp>> {
        self.ask_directory(move |shared| shared.directory.conversations.last_activity(&*shared.backend, tenant)).await
    }

    async fn count_conversations(&self, tenant: TenantIndex, user: Option<Uuid>) -> StoreResult<ConversationCounts> {
        self.ask_directory(move |shared| {
            let tags = tags_now(shared, tenant, &ConversationFilter::default());
            shared.directory.conversations.counts(&*shared.backend, tenant, user, &tags)
        })
        .await
    }

    fn timeline(
        &self,
        tenant: TenantIndex,
        conversation: u64,
        range: &TimelineRange,
        limit: usize,
    ) -> StoreResult<TimelinePage> {
        timeline::page(&*self.shared.backend, tenant, conversation, range, limit)
    }

    async fn search_entries(&self, tenant: TenantIndex, search: EntrySearch) -> StoreResult<FoundEntries> {
        let stopped = |_| StoreError::Unavailable("the store has stopped".to_owned());
        let turn = self.shared.entry_searches.clone().acquire_owned().await.map_err(stopped)?;
        let found = self.ask_directory(move |shared| {
            // Held as long as it runs, whoever still waits for it.
            let _turn = turn;
            entry_search::search(&*shared.backend, tenant, &search)
        });
        let found = found.await?;
        let mut hits = Vec::with_capacity(found.hits.len());
        for (item, marks) in found.hits {
            // One whose conversation was deleted since is left out.
            let conversation = self.conversation_by_number(tenant, item.conversation)?;
            hits.extend(conversation.map(|conversation| EntryHit { item, conversation, marks }));
        }
        Ok(FoundEntries { hits, rest_before: found.rest_before })
    }

    fn timeline_item(&self, tenant: TenantIndex, number: u64) -> StoreResult<Option<TimelineItem>> {
        match timeline::conversation_of(&*self.shared.backend, tenant, number)? {
            Some(conversation) => timeline::item(&*self.shared.backend, tenant, conversation, number),
            None => Ok(None),
        }
    }

    fn timeline_item_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<TimelineItem>> {
        // An own message has its serial in the id, a received one its number: two point reads, no index.
        let Some(number) = message_serial(id) else { return Ok(None) };
        let own = keys::of_message(keys::ENTRY_MESSAGE, MessageKey { tenant, serial: number });
        let row = self.shared.backend.get(Space::Timeline, &own)?;
        if let Some(OfMessage::Entry(conversation, item)) =
            row.map(|row| timeline::parse_of_message(&row)).transpose()?
        {
            let item = timeline::item(&*self.shared.backend, tenant, conversation, item)?;
            if let Some(item) = item.filter(|item| item.id == id) {
                return Ok(Some(item));
            }
        }
        Ok(self.timeline_item(tenant, number)?.filter(|item| item.id == id))
    }

    fn timeline_item_of(
        &self,
        tenant: TenantIndex,
        conversation: u64,
        provider_id: &str,
    ) -> StoreResult<Option<TimelineItem>> {
        let backend = &*self.shared.backend;
        let row = backend.get(Space::Timeline, &keys::entry_provider(tenant, conversation, provider_id))?;
        match row.map(|row| timeline::parse_number(&row)).transpose()? {
            Some(number) => timeline::item(backend, tenant, conversation, number),
            None => Ok(None),
        }
    }

    fn message_author(&self, key: MessageKey) -> StoreResult<Option<String>> {
        let row = self.shared.backend.get(Space::Timeline, &keys::of_message(keys::AUTHOR, key))?;
        row.map(|row| timeline::parse_author(&row)).transpose()
    }

    fn message_origin(&self, key: MessageKey) -> StoreResult<Option<Origin>> {
        let row = self.shared.backend.get(Space::Conversations, &keys::origin(key))?;
        Ok(row.map(|row| conversations::parse_origin(&row)).transpose()?.map(|(_, origin)| origin))
    }

    fn read_untold(&self, conversation: &Conversation, limit: usize) -> StoreResult<Vec<TimelineItem>> {
        let Conversation { tenant, number, read_told, read_to, .. } = *conversation;
        let all = KeyRange::prefix(&keys::numbered(keys::ENTRY, tenant, number));
        let range = all.after(&keys::entry(tenant, number, read_told)).through(&keys::entry(tenant, number, read_to));
        let mut found = Vec::new();
        if read_told >= read_to {
            return Ok(found);
        }
        for row in self.shared.backend.scan(Space::Timeline, range, Order::Reverse).take(LOOK) {
            let (key, row) = row?;
            let item = timeline::parse(&key, &row)?;
            if item.entry.is_received() && item.entry.provider_id.is_some() {
                found.push(item);
                if found.len() >= limit {
                    break;
                }
            }
        }
        found.reverse();
        Ok(found)
    }

    fn untold_conversations(
        &self,
        connector: ConnectorIndex,
        after: Option<Uuid>,
        limit: usize,
    ) -> StoreResult<Vec<Uuid>> {
        let all = KeyRange::prefix(&keys::untold_of(connector));
        let range = match after {
            Some(after) => all.after(&keys::untold(connector, after)),
            None => all,
        };
        let mut found = Vec::new();
        for row in self.shared.backend.scan(Space::Timeline, range, Order::Forward).take(limit) {
            let (_, id) = keys::parse_untold(&row?.0).ok_or_else(|| bad_key("timelines"))?;
            found.push(id);
        }
        Ok(found)
    }

    fn tenant_settings(&self, tenant: TenantIndex) -> StoreResult<TenantSettings> {
        Ok(self.shared.catalog.read().settings.get(&tenant).cloned().unwrap_or_default())
    }

    fn purgeable(&self, limit: usize) -> StoreResult<Option<Purge>> {
        let backend = &*self.shared.backend;
        let deleted = KeyRange::prefix(&[keys::DELETED]);
        let Some(row) = backend.scan(Space::Timeline, deleted, Order::Forward).next() else { return Ok(None) };
        let (key, row) = row?;
        let (tenant, number) = keys::parse_numbered(&key).ok_or_else(|| bad_key("timelines"))?;
        let id = conversations::parse_id(&row)?;
        let entries = KeyRange::prefix(&keys::numbered(keys::ENTRY, tenant, number));
        let (mut items, mut files) = (Vec::new(), Vec::new());
        for row in backend.scan(Space::Timeline, entries, Order::Forward).take(limit) {
            let (key, row) = row?;
            let item = timeline::parse(&key, &row)?;
            files.extend(item.entry.received_file().map(|file| file.id));
            items.push(item.number);
        }
        let last = items.len() < limit;
        Ok(Some(Purge { tenant, files, what: Purged::Conversation { number, id, items, last } }))
    }

    fn outdated(&self, tenant: TenantIndex, before: Timestamp, limit: usize) -> StoreResult<Option<Purge>> {
        let backend = &*self.shared.backend;
        let looked = self.shared.chats.numbers(tenant).looked;
        let all = KeyRange::prefix(&keys::one_of_tenant(keys::ENTRY_CONVERSATION, tenant));
        let range = all.after(&keys::numbered(keys::ENTRY_CONVERSATION, tenant, looked));
        let (mut items, mut files, mut upto) = (Vec::new(), Vec::new(), looked);
        for row in backend.scan(Space::Timeline, range, Order::Forward).take(limit) {
            let (key, row) = row?;
            let (_, number) = keys::parse_numbered(&key).ok_or_else(|| bad_key("timelines"))?;
            let conversation = timeline::parse_number(&row)?;
            if let Some(item) = timeline::item(backend, tenant, conversation, number)? {
                if item.at >= before {
                    break;
                }
                if item.entry.message.is_none() {
                    files.extend(item.entry.received_file().map(|file| file.id));
                    items.push((conversation, number));
                }
            }
            upto = number;
        }
        Ok((upto > looked).then_some(Purge { tenant, files, what: Purged::Outdated { items, upto } }))
    }

    async fn purge(&self, purge: Purge) -> StoreResult<()> {
        self.ask(|asker| Request::Purge(purge, asker)).await
    }
}
