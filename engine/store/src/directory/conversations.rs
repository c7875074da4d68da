//! Lists of conversations in memory, one for each tenant that asked lately: what a list filters, searches and sorts by, without the
//! conversations themselves. A tenant's list is read from the store when it is first asked for, followed by the committer after each
//! commit, and let go when others need the memory.
//!
//! Invariant: a list that is held shows what is on disk. While one is read, changes are kept aside and applied afterwards: they are
//! whole rows, so a change that was read as well does no harm.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use pombo_domain::model::{Conversation, Tag};
use pombo_domain::ports::{ConversationCounts, ConversationFilter, ConversationOrder, MAX_COUNTED_TAGS, StoreResult};
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use uuid::Uuid;

use super::first::First;
use super::tags::tags_of;
use crate::backend::{Backend, KeyRange, Order};
use crate::codec::bad_key;
use crate::keys;
use crate::space::Space;
use crate::tables::conversations;

const GROUP: u8 = 1;
const PAUSED: u8 = 2;
const ARCHIVED: u8 = 4;
const UNREAD: u8 = 8;
const ENGAGED: u8 = 16;
const ASSIGNED: u8 = 32;

/// Behind every instant.
const NEVER: Timestamp = Timestamp(i64::MAX);

/// A conversation as lists see it.
#[derive(PartialEq)]
struct Row {
    id: Uuid,
    connector: ConnectorIndex,
    active_at: Timestamp,
    /// Since when the other side waits for an answer; [`NEVER`] where it does not.
    waiting: Timestamp,
    flags: u8,
    assignee: Option<Box<str>>,
    assigned_user: Option<Uuid>,
    queue: Option<u32>,
    status_label: Option<u32>,
    /// The numbers of its tags. Some may have been deleted since.
    tags: Box<[u32]>,
    /// See [`conversations::searched`].
    text: Box<str>,
}

impl Row {
    fn of(conversation: &Conversation) -> Self {
        let is_assigned = conversation.assignee.is_some() || conversation.assigned_user.is_some();
        let flags = [
            (GROUP, conversation.is_group),
            (PAUSED, conversation.handover.is_some()),
            (ARCHIVED, conversation.archived_at.is_some()),
            (UNREAD, conversation.unread() > 0),
            (ENGAGED, conversation.engaged),
            (ASSIGNED, is_assigned),
        ];
        Self {
            id: conversation.id,
            connector: conversation.connector,
            active_at: conversation.active_at(),
            waiting: conversation.waiting_since.unwrap_or(NEVER),
            flags: flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag).sum(),
            assignee: conversation.assignee.as_deref().map(Box::from),
            assigned_user: conversation.assigned_user,
            queue: conversation.queue,
            status_label: conversation.status_label,
            tags: tags_of(conversation),
            text: conversations::searched(conversation).into(),
        }
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn bytes(&self) -> usize {
        let tags = size_of_val(&*self.tags);
        size_of::<Self>() + 16 + self.text.len() + self.assignee.as_ref().map_or(0, |who| who.len()) + tags
    }
}

/// The tags of a tenant as they are now, and those that a filter names. Rows have numbers, also those of tags that were deleted.
#[derive(Default)]
pub(crate) struct TagsNow {
    /// All of the tenant's, by number.
    pub(crate) all: BTreeMap<u32, Arc<Tag>>,
    /// That of [`ConversationFilter::tag`]; 0, which no tag has, where it names none.
    pub(crate) tag: Option<u32>,
    /// Those of [`ConversationFilter::tags`], in the same way.
    pub(crate) any_of: Vec<u32>,
}

/// A filter, prepared to be asked of many rows.
struct Wanted<'f> {
    filter: &'f ConversationFilter,
    tags: &'f TagsNow,
    /// Flags that must be set, and flags that must not.
    set: u8,
    unset: u8,
    words: Vec<String>,
    /// Words of name and address alone.
    who: Vec<String>,
}

impl<'f> Wanted<'f> {
    fn of(filter: &'f ConversationFilter, tags: &'f TagsNow) -> Self {
        let (mut set, mut unset) = (0, 0);
        for (flag, wanted) in [
            (GROUP, filter.is_group),
            (PAUSED, filter.paused),
            (ARCHIVED, filter.archived),
            (UNREAD, filter.unread),
            (ASSIGNED, filter.assigned),
        ] {
            match wanted {
                Some(true) => set |= flag,
                Some(false) => unset |= flag,
                None => {}
            }
        }
        let words_of = |search: &Option<String>| search.as_deref().map(conversations::search_words).unwrap_or_default();
        let (words, who) = (words_of(&filter.search), words_of(&filter.search_who));
        Self { filter, tags, set, unset, words, who }
    }

    fn matches(&self, row: &Row) -> bool {
        let (filter, tags) = (self.filter, self.tags);
        row.flags & self.set == self.set
            && row.flags & self.unset == 0
            && filter.automated.is_none_or(|automated| self.is_automated(row) == automated)
            && filter.connector.is_none_or(|connector| row.connector == connector)
            && filter.connectors.as_ref().is_none_or(|some| some.contains(&row.connector))
            && tags.tag.is_none_or(|tag| row.tags.contains(&tag))
            && (tags.any_of.is_empty() || tags.any_of.iter().any(|tag| row.tags.contains(tag)))
            && filter.tagged.is_none_or(|any| row.tags.iter().any(|tag| tags.all.contains_key(tag)) == any)
            && filter.assignee.as_ref().is_none_or(|who| row.assignee.as_deref() == Some(who.as_str()))
            && filter.assigned_user.is_none_or(|user| row.assigned_user == Some(user))
            && filter.queue.is_none_or(|queue| row.queue == Some(queue))
            && filter.status_label.is_none_or(|status| row.status_label == Some(status))
            && self.words.iter().all(|word| row.text.contains(word.as_str()))
            && (self.who.is_empty() || self.is_with(conversations::who(&row.text)))
    }

    fn is_automated(&self, row: &Row) -> bool {
        row.has(ENGAGED) && !row.has(PAUSED) && self.filter.answered.contains(&(row.connector, row.has(GROUP)))
    }

    fn is_with(&self, who: &str) -> bool {
        self.filter.search_chats.contains(chat_of(who)) || self.who.iter().all(|word| who.contains(word.as_str()))
    }
}

/// The address in a row's text, folded.
fn chat_of(text: &str) -> &str {
    conversations::who(text).rsplit('\n').next().unwrap_or_default()
}

/// A page: ids in order, the number of all matches, and whether more follow.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) total: u64,
    pub(crate) more: bool,
}

/// A tenant's list.
#[derive(Default)]
struct List {
    /// By number; numbers are dense but for what was deleted.
    rows: Vec<Option<Row>>,
    bytes: usize,
}

impl List {
    fn open(backend: &dyn Backend, tenant: TenantIndex) -> StoreResult<Self> {
        let mut list = Self::default();
        let range = KeyRange::prefix(&keys::one_of_tenant(keys::CONVERSATION_NUMBER, tenant));
        for row in backend.scan(Space::Conversations, range, Order::Forward) {
            let (key, row) = row?;
            let (_, number) = keys::parse_numbered(&key).ok_or_else(|| bad_key("conversations"))?;
            // One that was deleted since the scan began has no row.
            if let Some(stored) = conversations::read(backend, conversations::parse_id(&row)?)? {
                list.set(number, Some(Row::of(&stored.conversation)));
            }
        }
        Ok(list)
    }

    /// Puts a row under its number, or none. Returns whether the list grew.
    fn set(&mut self, number: u64, row: Option<Row>) -> bool {
        let place = number as usize;
        let grew = place >= self.rows.len() && row.is_some();
        if grew {
            self.rows.resize_with(place + 1, || None);
        }
        if let Some(there) = self.rows.get_mut(place) {
            self.bytes += row.as_ref().map_or(0, Row::bytes);
            let old = std::mem::replace(there, row);
            self.bytes -= old.as_ref().map_or(0, Row::bytes);
        }
        grew
    }

    fn size(&self) -> usize {
        self.bytes + self.rows.capacity() * size_of::<Option<Row>>()
    }

    fn page(&self, filter: &ConversationFilter, tags: &TagsNow, order: ConversationOrder, limit: usize) -> Page {
        let wanted = Wanted::of(filter, tags);
        let found = self.rows.iter().flatten().filter(|row| wanted.matches(row));
        let mut total = 0_usize;
        match order {
            ConversationOrder::Id { after } => {
                let mut follow = 0;
                let mut first = First::new(0, limit);
                for row in found {
                    total += 1;
                    if after.is_none_or(|after| row.id > after) {
                        follow += 1;
                        first.push(row.id);
                    }
                }
                Page { ids: first.sorted(), total: total as u64, more: follow > limit }
            }
            ConversationOrder::Activity { offset } => {
                sorted(found, self.place(offset), limit, |row| Reverse(row.active_at))
            }
            ConversationOrder::Waiting { offset } => {
                sorted(found, self.place(offset), limit, |row| (row.waiting, Reverse(row.active_at)))
            }
            ConversationOrder::Opened { offset } => {
                // The numbers are given in the order of opening.
                let (offset, mut ids) = (self.place(offset), Vec::new());
                for row in self.rows.iter().rev().flatten().filter(|row| wanted.matches(row)) {
                    if total >= offset && ids.len() < limit {
                        ids.push(row.id);
                    }
                    total += 1;
                }
                Page { more: offset + ids.len() < total, ids, total: total as u64 }
            }
        }
    }

    /// A number of rows to skip, no larger than there are.
    fn place(&self, offset: u64) -> usize {
        usize::try_from(offset).unwrap_or(usize::MAX).min(self.rows.len())
    }

    /// The conversations with one person that have a tag: connector, id and folded address.
    fn tagged(&self, tag: u32) -> Vec<(ConnectorIndex, Uuid, String)> {
        let rows = self.rows.iter().flatten().filter(|row| !row.has(GROUP) && row.tags.contains(&tag));
        rows.map(|row| (row.connector, row.id, chat_of(&row.text).to_owned())).collect()
    }

    fn last_activity(&self) -> BTreeMap<ConnectorIndex, Timestamp> {
        let mut last: HashMap<ConnectorIndex, Timestamp> = HashMap::new();
        for row in self.rows.iter().flatten() {
            let at = last.entry(row.connector).or_insert(row.active_at);
            *at = row.active_at.max(*at);
        }
        last.into_iter().collect()
    }

    fn counts(&self, user: Option<Uuid>, tags: &TagsNow) -> ConversationCounts {
        let mut counts = ConversationCounts::default();
        let mut engaged: HashMap<(ConnectorIndex, bool), u64> = HashMap::new();
        let mut by_connector: HashMap<ConnectorIndex, u64> = HashMap::new();
        let mut by_tag: HashMap<u32, u64> = HashMap::new();
        for row in self.rows.iter().flatten() {
            if row.has(ARCHIVED) {
                counts.archived += 1;
                continue;
            }
            counts.open += 1;
            counts.unread += u64::from(row.has(UNREAD));
            counts.unassigned += u64::from(!row.has(ASSIGNED));
            counts.mine += u64::from(user.is_some() && row.assigned_user == user);
            counts.paused += u64::from(row.has(PAUSED));
            *by_connector.entry(row.connector).or_default() += 1;
            if row.has(ENGAGED) && !row.has(PAUSED) {
                *engaged.entry((row.connector, row.has(GROUP))).or_default() += 1;
            }
            for tag in &row.tags {
                *by_tag.entry(*tag).or_default() += 1;
            }
        }
        counts.engaged =
            engaged.into_iter().map(|((connector, is_group), count)| (connector, is_group, count)).collect();
        counts.engaged.sort_unstable();
        counts.by_connector = by_connector.into_iter().collect();
        counts.by_connector.sort_unstable();
        let named = by_tag.into_iter().filter_map(|(tag, count)| Some((tags.all.get(&tag)?.name.as_str(), count)));
        let mut named: Vec<(&str, u64)> = named.collect();
        named.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        named.truncate(MAX_COUNTED_TAGS);
        counts.by_tag = named.into_iter().map(|(tag, count)| (tag.to_owned(), count)).collect();
        counts
    }
}

/// The page from the place `offset` on, of rows in the order of their keys. Of two with the same key, the younger one goes first.
fn sorted<'r, K: Ord + Copy>(
    rows: impl Iterator<Item = &'r Row>,
    offset: usize,
    limit: usize,
    key: impl Fn(&Row) -> K,
) -> Page {
    let (mut first, mut total) = (First::new(offset, limit), 0_usize);
    for row in rows {
        total += 1;
        first.push((key(row), Reverse(row.id)));
    }
    let ids: Vec<Uuid> = first.sorted().into_iter().map(|(_, Reverse(id))| id).collect();
    Page { more: offset + ids.len() < total, ids, total: total as u64 }
}

/// A tenant's place.
enum Slot {
    /// It is being read; what commits do meanwhile, by number, and how many wait for it.
    Opening(HashMap<u64, Option<Row>>),
    Open {
        list: Arc<RwLock<List>>,
        used: u64,
    },
}

#[derive(Default)]
struct Slots {
    by_tenant: HashMap<TenantIndex, Slot>,
    /// Counts uses.
    clock: u64,
}

/// The lists; see the module.
pub(crate) struct Lists {
    slots: Mutex<Slots>,
    /// One list is read at a time: a second asker for the same one finds it, and memory is not needed twice.
    opening: Mutex<()>,
    most_bytes: usize,
}

impl Lists {
    pub(crate) fn new(most_bytes: u64) -> Self {
        Self {
            slots: Mutex::default(),
            opening: Mutex::default(),
            most_bytes: usize::try_from(most_bytes).unwrap_or(usize::MAX),
        }
    }

    /// A page of a tenant's list. Blocks: a list that is not held is read from the store.
    pub(crate) fn page(
        &self,
        backend: &dyn Backend,
        tenant: TenantIndex,
        (filter, tags): (&ConversationFilter, &TagsNow),
        order: ConversationOrder,
        limit: usize,
    ) -> StoreResult<Page> {
        self.with(backend, tenant, |list| list.page(filter, tags, order, limit))
    }

    /// Counts a tenant's conversations. Blocks, as [`Self::page`] does.
    pub(crate) fn counts(
        &self,
        backend: &dyn Backend,
        tenant: TenantIndex,
        user: Option<Uuid>,
        tags: &TagsNow,
    ) -> StoreResult<ConversationCounts> {
        self.with(backend, tenant, |list| list.counts(user, tags))
    }

    /// The conversations with one person that have a tag: connector, id and folded address. Blocks, as [`Self::page`] does.
    pub(crate) fn tagged(
        &self,
        backend: &dyn Backend,
        tenant: TenantIndex,
        tag: u32,
    ) -> StoreResult<Vec<(ConnectorIndex, Uuid, String)>> {
        self.with(backend, tenant, |list| list.tagged(tag))
    }

    /// When something was last said on each connector. Blocks, as [`Self::page`] does.
    pub(crate) fn last_activity(
        &self,
        backend: &dyn Backend,
        tenant: TenantIndex,
    ) -> StoreResult<BTreeMap<ConnectorIndex, Timestamp>> {
        self.with(backend, tenant, List::last_activity)
    }

    fn with<T>(&self, backend: &dyn Backend, tenant: TenantIndex, ask: impl FnOnce(&List) -> T) -> StoreResult<T> {
        let list = self.list(backend, tenant)?;
        let list = list.read();
        Ok(ask(&list))
    }

    fn list(&self, backend: &dyn Backend, tenant: TenantIndex) -> StoreResult<Arc<RwLock<List>>> {
        if let Some(list) = self.held(tenant) {
            return Ok(list);
        }
        let _opening = self.opening.lock();
        if let Some(list) = self.held(tenant) {
            return Ok(list);
        }
        self.slots.lock().by_tenant.insert(tenant, Slot::Opening(HashMap::new()));
        let opened = List::open(backend, tenant);
        let mut slots = self.slots.lock();
        let aside = slots.by_tenant.remove(&tenant);
        let mut list = opened?;
        if let Some(Slot::Opening(changes)) = aside {
            for (number, row) in changes {
                list.set(number, row);
            }
        }
        let list = Arc::new(RwLock::new(list));
        slots.clock += 1;
        let used = slots.clock;
        slots.by_tenant.insert(tenant, Slot::Open { list: list.clone(), used });
        self.let_go(&mut slots, tenant);
        Ok(list)
    }

    /// A list that is held.
    fn held(&self, tenant: TenantIndex) -> Option<Arc<RwLock<List>>> {
        let mut slots = self.slots.lock();
        slots.clock += 1;
        let now = slots.clock;
        match slots.by_tenant.get_mut(&tenant) {
            Some(Slot::Open { list, used }) => {
                *used = now;
                Some(list.clone())
            }
            _ => None,
        }
    }

    /// Lets lists go, the longest unused first, until the others fit. That of `keep` stays.
    fn let_go(&self, slots: &mut Slots, keep: TenantIndex) {
        loop {
            let held = || {
                slots.by_tenant.iter().filter_map(|(tenant, slot)| match slot {
                    Slot::Open { list, used } => Some((*used, *tenant, list.read().size())),
                    Slot::Opening(_) => None,
                })
            };
            if held().map(|(.., size)| size).sum::<usize>() <= self.most_bytes {
                return;
            }
            let Some((_, oldest, _)) = held().filter(|(_, tenant, _)| *tenant != keep).min() else { return };
            slots.by_tenant.remove(&oldest);
        }
    }

    /// What a commit did to conversations is on disk: each as it is now, and whether it is gone.
    pub(crate) fn changed<'a>(&self, touched: impl Iterator<Item = (&'a Conversation, bool)>) {
        let mut slots = self.slots.lock();
        if slots.by_tenant.is_empty() {
            return;
        }
        let mut grew = None;
        for (conversation, is_gone) in touched {
            let row = || (!is_gone).then(|| Row::of(conversation));
            match slots.by_tenant.get_mut(&conversation.tenant) {
                None => {}
                Some(Slot::Opening(aside)) => drop(aside.insert(conversation.number, row())),
                Some(Slot::Open { list, .. }) => {
                    if list.write().set(conversation.number, row()) {
                        grew = Some(conversation.tenant);
                    }
                }
            }
        }
        if let Some(tenant) = grew {
            self.let_go(&mut slots, tenant);
        }
    }

    /// The tenants whose lists are held and differ from what is on disk, for the check of the store.
    pub(crate) fn differing(&self, backend: &dyn Backend) -> StoreResult<Vec<TenantIndex>> {
        let slots = self.slots.lock();
        let mut differing = Vec::new();
        for (tenant, slot) in &slots.by_tenant {
            let Slot::Open { list, .. } = slot else { continue };
            let (held, stored) = (list.read(), List::open(backend, *tenant)?);
            if !held.rows.iter().flatten().eq(stored.rows.iter().flatten()) {
                differing.push(*tenant);
            }
        }
        Ok(differing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_backend::MemoryBackend;
    use crate::staged::Staged;
    use crate::tables::conversations::Stored;
    use crate::tables::tags::reference;
    use pombo_domain::model::{Color, EntryKind, LastMessage};

    const A: TenantIndex = TenantIndex(1);
    const B: TenantIndex = TenantIndex(2);

    fn conversation(tenant: TenantIndex, number: u64, change: impl FnOnce(&mut Conversation)) -> Conversation {
        let id = Uuid::from_u128(u128::from(tenant.0) << 64 | u128::from(number));
        let chat = format!("55119{number:04}");
        let mut one = Conversation::new(id, tenant, ConnectorIndex(1), chat, false, Timestamp(number as i64));
        one.number = number;
        change(&mut one);
        one
    }

    fn said(at: i64, preview: &str) -> Option<LastMessage> {
        let (kind, preview) = (EntryKind::Text, preview.to_owned());
        Some(LastMessage { item: at as u64, at: Timestamp(at), from_me: false, kind, preview })
    }

    fn put(backend: &MemoryBackend, conversations: &[Conversation]) {
        let mut staged = Staged::new(backend);
        for conversation in conversations {
            conversations::put_keys(&mut staged, conversation);
            conversations::put(&mut staged, &Stored { conversation: conversation.clone(), lanes: Vec::new() });
        }
        backend.write(staged.into_writes()).expect("written");
    }

    /// The tag 7 is `vip`; 8 was deleted.
    fn tags(filter: &ConversationFilter) -> TagsNow {
        let (id, name, at) = (Uuid::from_u128(7), "vip".to_owned(), Timestamp(0));
        let vip = Tag { tenant: A, number: 7, id, name, color: Color::default(), created_at: at, updated_at: at };
        let number = |name: &String| if name == "vip" { 7 } else { 0 };
        TagsNow {
            all: BTreeMap::from([(7, Arc::new(vip))]),
            tag: filter.tag.as_ref().map(number),
            any_of: filter.tags.iter().map(number).collect(),
        }
    }

    fn numbers(page: &Page) -> Vec<u64> {
        page.ids.iter().map(|id| id.as_u128() as u64).collect()
    }

    fn some() -> Vec<Conversation> {
        vec![
            conversation(A, 1, |c| c.last = said(50, "Olá, tudo bem?")),
            conversation(A, 2, |c| (c.contact_name, c.tags) = (Some("José Ação".to_owned()), vec![reference(7)])),
            conversation(A, 3, |c| (c.received, c.connector, c.tags) = (2, ConnectorIndex(9), vec![reference(8)])),
            conversation(A, 4, |c| (c.archived_at, c.last) = (Some(Timestamp(9)), said(60, "tchau"))),
            conversation(B, 1, |_| {}),
        ]
    }

    #[test]
    fn a_list_is_filtered_searched_counted_and_sorted() {
        let backend = MemoryBackend::default();
        put(&backend, &some());
        let directory = Lists::new(1 << 20);
        let ask = |filter: ConversationFilter, offset, limit| {
            let order = ConversationOrder::Activity { offset };
            let tags = tags(&filter);
            let page = directory.page(&backend, A, (&filter, &tags), order, limit).expect("readable");
            (numbers(&page), page.total, page.more)
        };
        let all = ConversationFilter::default;
        assert_eq!(ask(all(), 0, 9), (vec![4, 1, 3, 2], 4, false), "the last active first");
        assert_eq!(ask(all(), 1, 2), (vec![1, 3], 4, true));
        assert_eq!(ask(all(), 4, 2), (vec![], 4, false));
        assert_eq!(ask(all(), u64::MAX, 2), (vec![], 4, false));
        assert_eq!(ask(ConversationFilter { archived: Some(false), ..all() }, 0, 9).0, [1, 3, 2]);
        assert_eq!(ask(ConversationFilter { unread: Some(true), ..all() }, 0, 9).0, [3]);
        assert_eq!(ask(ConversationFilter { connector: Some(ConnectorIndex(9)), ..all() }, 0, 9).0, [3]);
        assert_eq!(ask(ConversationFilter { tags: vec!["x".into(), "vip".into()], ..all() }, 0, 9).0, [2]);
        assert_eq!(ask(ConversationFilter { tagged: Some(false), ..all() }, 0, 9).0, [4, 1, 3], "that of 3 is gone");
        let search = |text: &str| ask(ConversationFilter { search: Some(text.to_owned()), ..all() }, 0, 9).0;
        assert_eq!((search("acao"), search("OLA bem"), search("+55 (11)90003")), (vec![2], vec![1], vec![3]));
        assert_eq!(search("ninguém"), Vec::<u64>::new());
        let order = ConversationOrder::Id { after: None };
        let page = directory.page(&backend, A, (&all(), &TagsNow::default()), order, 3).expect("readable");
        assert_eq!((numbers(&page), page.more), (vec![1, 2, 3], true));
        let order = ConversationOrder::Id { after: page.ids.last().copied() };
        let page = directory.page(&backend, A, (&all(), &TagsNow::default()), order, 3).expect("readable");
        assert_eq!((numbers(&page), page.total, page.more), (vec![4], 4, false));
        let counts = directory.counts(&backend, A, None, &tags(&all())).expect("readable");
        assert_eq!((counts.open, counts.archived, counts.unread, counts.unassigned), (3, 1, 1, 3));
        assert_eq!(counts.by_tag, [("vip".to_owned(), 1)]);
        assert_eq!(counts.by_connector, [(ConnectorIndex(1), 2), (ConnectorIndex(9), 1)]);
    }

    #[test]
    fn a_list_is_sorted_by_who_waits_and_filtered_by_who_answers() {
        let backend = MemoryBackend::default();
        let waits = |c: &mut Conversation, since: i64| {
            (c.last, c.last_received_at) = (said(since + 5, "oi"), Some(Timestamp(since + 5)));
            c.waiting_since = Some(Timestamp(since));
        };
        let some = [
            conversation(A, 1, |c| waits(c, 30)),
            conversation(A, 2, |c| (c.engaged, c.tags) = (true, vec![reference(7)])),
            conversation(A, 3, |c| waits(c, 20)),
            conversation(A, 4, |c| (c.engaged, c.is_group, c.tags) = (true, true, vec![reference(7)])),
        ];
        put(&backend, &some);
        let directory = Lists::new(1 << 20);
        let ask = |filter: &ConversationFilter, order, limit| {
            let page = directory.page(&backend, A, (filter, &TagsNow::default()), order, limit).expect("readable");
            (numbers(&page), page.total, page.more)
        };
        let all = ConversationFilter::default();
        assert_eq!(ask(&all, ConversationOrder::Waiting { offset: 0 }, 9), (vec![3, 1, 4, 2], 4, false));
        assert_eq!(ask(&all, ConversationOrder::Waiting { offset: 1 }, 2), (vec![1, 4], 4, true));
        assert_eq!(ask(&all, ConversationOrder::Opened { offset: 0 }, 9), (vec![4, 3, 2, 1], 4, false));
        assert_eq!(ask(&all, ConversationOrder::Opened { offset: 1 }, 2), (vec![3, 2], 4, true));
        assert_eq!(ask(&all, ConversationOrder::Opened { offset: u64::MAX }, 2), (vec![], 4, false));
        let automated = |automated| {
            let answered = [(ConnectorIndex(1), false)].into();
            let filter = ConversationFilter { automated: Some(automated), answered, ..ConversationFilter::default() };
            ask(&filter, ConversationOrder::Opened { offset: 0 }, 9).0
        };
        assert_eq!((automated(true), automated(false)), (vec![2], vec![4, 3, 1]), "nothing answers in groups");
        let said = directory.last_activity(&backend, A).expect("readable");
        assert_eq!(said, BTreeMap::from([(ConnectorIndex(1), Timestamp(35))]));
        let tagged = directory.tagged(&backend, A, 7).expect("readable");
        assert_eq!(tagged, [(ConnectorIndex(1), some[1].id, "551190002".to_owned())], "groups are left out");
    }

    #[test]
    fn what_commits_do_while_a_list_is_read_is_not_lost() {
        let backend = MemoryBackend::default();
        put(&backend, &some());
        let directory = Lists::new(1 << 20);
        directory.slots.lock().by_tenant.insert(A, Slot::Opening(HashMap::new()));
        let new = conversation(A, 6, |c| c.last = said(70, ""));
        directory.changed([(&new, false), (&some()[0], true)].into_iter());
        let mut list = List::open(&backend, A).expect("readable");
        let aside = directory.slots.lock().by_tenant.remove(&A);
        let Some(Slot::Opening(changes)) = aside else { panic!("it is being read") };
        for (number, row) in changes {
            list.set(number, row);
        }
        let page = list.page(
            &ConversationFilter::default(),
            &TagsNow::default(),
            ConversationOrder::Activity { offset: 0 },
            9,
        );
        assert_eq!(numbers(&page), [6, 4, 3, 2]);
    }

    #[test]
    fn a_list_is_followed_and_the_longest_unused_one_is_let_go() {
        let backend = MemoryBackend::default();
        put(&backend, &some());
        let directory = Lists::new(1);
        let order = ConversationOrder::Activity { offset: 0 };
        let (all, none) = (ConversationFilter::default(), TagsNow::default());
        let of = |tenant| numbers(&directory.page(&backend, tenant, (&all, &none), order, 9).expect("readable"));
        assert_eq!(of(A).len(), 4);
        directory.changed([(&some()[1], true)].into_iter());
        assert_eq!(of(A), [4, 1, 3], "it is followed, not read again");
        assert_eq!(of(B), [1]);
        assert!(!directory.slots.lock().by_tenant.contains_key(&A), "there is no room for both");
        assert_eq!(of(A).len(), 4, "read again");
        assert!(directory.differing(&backend).expect("readable").is_empty());
        directory.changed([(&some()[1], true)].into_iter());
        assert_eq!(directory.differing(&backend).expect("readable"), [A]);
    }
}
