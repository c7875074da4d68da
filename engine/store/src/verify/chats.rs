//! The invariants of conversations' numbers and timelines: each entry under all its keys and no others, and the head of a conversation
//! (newest entry, counts, what is read) as its entries say.

use std::collections::{BTreeMap, BTreeSet};

use pombo_domain::model::{Conversation, TimelineItem};
use pombo_domain::ports::StoreResult;
use pombo_domain::{MessageKey, TenantIndex};
use uuid::Uuid;

use super::Problems;
use super::automations::rows;
use crate::DiskStore;
use crate::codec::bad_key;
use crate::keys;
use crate::space::Space;
use crate::tables::conversations::{self, Stored};
use crate::tables::timeline::{self, OfMessage};

/// Conversations by tenant and number.
type ByNumber<'a> = BTreeMap<(TenantIndex, u64), &'a Conversation>;

impl DiskStore {
    /// The ids of deleted conversations of which something is still there.
    pub(super) fn deleted_conversations(&self) -> StoreResult<BTreeSet<Uuid>> {
        let mut deleted = BTreeSet::new();
        for row in rows(&*self.shared.backend, Space::Timeline, keys::DELETED) {
            deleted.insert(conversations::parse_id(&row?.1)?);
        }
        Ok(deleted)
    }

    pub(super) fn verify_chats(&self, all: &BTreeMap<Uuid, Stored>, problems: &mut Problems) -> StoreResult<()> {
        let by_number = self.verify_chat_numbers(all, problems)?;
        let entries = self.verify_entries(&by_number, problems)?;
        self.verify_entry_keys(&entries, problems)?;
        let untold: BTreeSet<(u32, Uuid)> = all
            .values()
            .filter(|stored| stored.conversation.is_untold())
            .map(|stored| (stored.conversation.connector.0, stored.conversation.id))
            .collect();
        let mut found = BTreeSet::new();
        for row in rows(&*self.shared.backend, Space::Timeline, keys::UNTOLD) {
            let (connector, id) = keys::parse_untold(&row?.0).ok_or_else(|| bad_key("timelines"))?;
            found.insert((connector.0, id));
        }
        for (_, id) in found.symmetric_difference(&untold) {
            problems.add(|| format!("conversation {id}: what its channel is still to be told is listed wrongly"));
        }
        for row in rows(&*self.shared.backend, Space::Timeline, keys::AUTHOR) {
            let (key, row) = row?;
            timeline::parse_author(&row)?;
            let (tenant, serial) = keys::parse_numbered(&key).ok_or_else(|| bad_key("timelines"))?;
            if self.shared.columns.word(MessageKey { tenant, serial }).is_none() {
                problems.add(|| format!("{}/{serial}: the author of no message", tenant.0));
            }
        }
        for tenant in self.shared.directory.conversations.differing(&*self.shared.backend)? {
            problems.add(|| format!("{}: the list of conversations in memory differs", tenant.0));
        }
        Ok(())
    }

    fn verify_chat_numbers<'a>(
        &self,
        all: &'a BTreeMap<Uuid, Stored>,
        problems: &mut Problems,
    ) -> StoreResult<ByNumber<'a>> {
        let mut by_number = ByNumber::new();
        for stored in all.values() {
            let conversation = &stored.conversation;
            let Conversation { id, tenant, number, .. } = *conversation;
            if by_number.insert((tenant, number), conversation).is_some() {
                problems.add(|| format!("conversation {id}: another has its number {number}"));
            }
            if number == 0 || number >= self.shared.chats.numbers(tenant).conversation {
                problems.add(|| format!("conversation {id}: its number {number} was not given yet"));
            }
            if conversations::id_by_number(&*self.shared.backend, tenant, number)? != Some(id) {
                problems.add(|| format!("conversation {id}: its number names another"));
            }
            let next_item = self.shared.chats.numbers(tenant).item;
            if conversation.read > conversation.received
                || conversation.read_told > conversation.read_to
                || conversation.read_to >= next_item
            {
                problems.add(|| format!("conversation {id}: more is read than there is"));
            }
            if !self.shared.chats.converses(conversation.connector) {
                problems.add(|| format!("conversation {id}: its connector is not known to have any"));
            }
        }
        let count = rows(&*self.shared.backend, Space::Conversations, keys::CONVERSATION_NUMBER).count();
        if count != all.len() {
            problems.add(|| format!("{count} numbers of {} conversations", all.len()));
        }
        for row in rows(&*self.shared.backend, Space::Timeline, keys::CHAT_NUMBERS) {
            let (key, row) = row?;
            let tenant = keys::parse_tenant(&key).ok_or_else(|| bad_key("timelines"))?;
            if timeline::parse_numbers(&row)? != self.shared.chats.numbers(tenant) {
                problems.add(|| format!("{}: memory has other numbers", tenant.0));
            }
        }
        Ok(by_number)
    }

    /// All entries by tenant and number: their conversation, and their message.
    fn verify_entries(
        &self,
        conversations: &ByNumber<'_>,
        problems: &mut Problems,
    ) -> StoreResult<BTreeMap<(TenantIndex, u64), (u64, Option<u64>)>> {
        let mut all = BTreeMap::new();
        let mut newest: BTreeMap<(TenantIndex, u64), TimelineItem> = BTreeMap::new();
        for row in rows(&*self.shared.backend, Space::Timeline, keys::ENTRY) {
            let (key, row) = row?;
            let (tenant, of, number) = keys::parse_entry(&key).ok_or_else(|| bad_key("timelines"))?;
            let item = timeline::parse(&key, &row)?;
            let numbers = self.shared.chats.numbers(tenant);
            let place = || format!("{}: entry {number} of conversation {of}", tenant.0);
            if number == 0 || number >= numbers.item {
                problems.add(|| format!("{}: a number that was not given yet", place()));
            }
            if all.insert((tenant, number), (of, item.entry.message)).is_some() {
                problems.add(|| format!("{}: its number is in two conversations", place()));
            }
            if !conversations.contains_key(&(tenant, of)) {
                let deleted = keys::numbered(keys::DELETED, tenant, of);
                if self.shared.backend.get(Space::Timeline, &deleted)?.is_none() {
                    problems.add(|| format!("{}: there is no such conversation", place()));
                }
            }
            // The step back to unread takes one message back, and the numbers stay where they were.
            let told = conversations.get(&(tenant, of)).filter(|conversation| conversation.read_to == number);
            if let Some(conversation) = told.filter(|conversation| conversation.read + 1 < item.ordinal) {
                let (id, read, ordinal) = (conversation.id, conversation.read, item.ordinal);
                problems.add(|| format!("conversation {id}: read up to ordinal {ordinal}, and {read} are read"));
            }
            let before = newest.insert((tenant, of), item.clone());
            let Some(before) = before else { continue };
            if before.at > item.at {
                problems.add(|| format!("{}: it was taken before the one before it", place()));
            }
            // Entries that are kept no longer leave gaps behind.
            let counted = before.ordinal + u64::from(item.entry.is_received());
            if item.ordinal < counted || item.ordinal > counted && before.number > numbers.looked {
                problems.add(|| format!("{}: ordinal {} follows {}", place(), item.ordinal, before.ordinal));
            }
        }
        for ((tenant, number), conversation) in conversations {
            let id = conversation.id;
            let looked = self.shared.chats.numbers(*tenant).looked;
            match (newest.get(&(*tenant, *number)), &conversation.last) {
                (Some(item), Some(last)) => {
                    let told = (last.item, last.at, last.from_me, last.kind, last.preview.clone());
                    let entry = &item.entry;
                    if told != (item.number, item.at, entry.from_me, entry.kind(), entry.preview()) {
                        problems.add(|| format!("conversation {id}: its last message is not its newest entry"));
                    }
                    if item.ordinal > conversation.received
                        || item.ordinal < conversation.received && item.number > looked
                    {
                        problems.add(|| {
                            format!("conversation {id}: {} received of {}", conversation.received, item.ordinal)
                        });
                    }
                }
                (None, None) => {
                    if conversation.unread() > 0 {
                        problems.add(|| format!("conversation {id}: unread messages that are not there"));
                    }
                }
                (newest, _) => {
                    let what =
                        if newest.is_some() { "entries and no last message" } else { "a last message and no entry" };
                    problems.add(|| format!("conversation {id}: {what}"));
                }
            }
        }
        Ok(all)
    }

    fn verify_entry_keys(
        &self,
        entries: &BTreeMap<(TenantIndex, u64), (u64, Option<u64>)>,
        problems: &mut Problems,
    ) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let mut found = 0;
        for row in rows(backend, Space::Timeline, keys::ENTRY_CONVERSATION) {
            let (key, row) = row?;
            let (tenant, number) = keys::parse_numbered(&key).ok_or_else(|| bad_key("timelines"))?;
            let of = timeline::parse_number(&row)?;
            found += 1;
            if entries.get(&(tenant, number)).is_none_or(|(conversation, _)| *conversation != of) {
                problems.add(|| format!("{}: entry {number} is not in conversation {of}", tenant.0));
            }
        }
        if found != entries.len() {
            problems.add(|| format!("{found} numbers of {} entries", entries.len()));
        }
        for row in rows(backend, Space::Timeline, keys::ENTRY_PROVIDER) {
            let (key, row) = row?;
            let (tenant, of) = keys::parse_numbered(&key).ok_or_else(|| bad_key("timelines"))?;
            let number = timeline::parse_number(&row)?;
            if entries.get(&(tenant, number)).is_none_or(|(conversation, _)| *conversation != of) {
                problems.add(|| format!("{}: a channel's id of no entry of conversation {of}", tenant.0));
            }
        }
        let mut of_messages = 0;
        for row in rows(backend, Space::Timeline, keys::ENTRY_MESSAGE) {
            let (key, row) = row?;
            let (tenant, serial) = keys::parse_numbered(&key).ok_or_else(|| bad_key("timelines"))?;
            if self.shared.columns.word(MessageKey { tenant, serial }).is_none() {
                problems.add(|| format!("{}/{serial}: in a timeline, and there is no such message", tenant.0));
            }
            // What would change an entry of a conversation that was deleted stays until its message is sent or given up.
            let OfMessage::Entry(of, number) = timeline::parse_of_message(&row)? else { continue };
            of_messages += 1;
            if entries.get(&(tenant, number)) != Some(&(of, Some(serial))) {
                problems.add(|| format!("{}/{serial}: it is not entry {number} of conversation {of}", tenant.0));
            }
        }
        let own = entries.values().filter(|(_, message)| message.is_some()).count();
        if own != of_messages {
            problems.add(|| format!("{of_messages} of {own} messages in timelines are found by their message"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pombo_domain::model::{Conversation, ConversationStep, TimelineAct};
    use pombo_domain::ports::{AutomationChange, Batch, Change, ChatChange, ChatMessage, Store};
    use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
    use pombo_testkit::{CountingEntropy, ManualClock, samples};
    use uuid::Uuid;

    use crate::backend::Backend;
    use crate::memory_backend::MemoryBackend;
    use crate::staged::Staged;
    use crate::tables::conversations;
    use crate::{DiskStore, Options};

    const T: TenantIndex = TenantIndex(1);
    const C: ConnectorIndex = ConnectorIndex(1);

    fn received(provider_id: &str) -> Change {
        let act = TimelineAct::of(&samples::inbound("ana", provider_id));
        let (chat, is_group) = ("ana".to_owned(), Some(false));
        let message = ChatMessage { tenant: T, connector: C, chat, is_group, contact_name: None, act };
        Change::Chat(Box::new(ChatChange::Received(message)))
    }

    /// A store with a conversation of three messages of the other side, all read, and one that is not.
    async fn filled(backend: &Arc<MemoryBackend>, folder: &std::path::Path) -> (Arc<DiskStore>, Uuid) {
        let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
        let entropy = Arc::new(CountingEntropy::new(1));
        let store = crate::open_over(&Options::default(), folder, backend.clone(), clock, entropy).expect("opens");
        store.commit(Batch::of(["1", "2", "3"].map(received).into())).await.expect("received");
        let id = conversations::id_of(&**backend, C, "ana").expect("readable").expect("opened");
        let read = vec![ConversationStep::Read { up_to: 3, tell: false }];
        let read = Change::Automation(Box::new(AutomationChange::Conversation(T, id, read)));
        store.commit(Batch::of(vec![read])).await.expect("read");
        store.commit(Batch::of(vec![received("4")])).await.expect("received");
        (store, id)
    }

    /// What is found after the row of the conversation was changed behind the store's back.
    async fn found_after(change: impl FnOnce(&mut Conversation)) -> Vec<String> {
        let (backend, folder) = (Arc::new(MemoryBackend::default()), tempfile::tempdir().expect("a folder"));
        let (store, id) = filled(&backend, folder.path()).await;
        assert_eq!(store.verify().expect("readable"), Vec::<String>::new());
        let mut stored = conversations::read(&*backend, id).expect("readable").expect("there");
        assert_eq!((stored.conversation.received, stored.conversation.unread()), (4, 1));
        change(&mut stored.conversation);
        let mut staged = Staged::new(&*backend);
        conversations::put(&mut staged, &stored);
        let writes = staged.into_writes();
        backend.write(writes).expect("written");
        store.verify().expect("readable")
    }

    #[tokio::test]
    async fn a_damaged_count_is_found() {
        let is_said = |problems: &[String], what: &str| {
            assert!(problems.iter().any(|problem| problem.contains(what)), "{what}: {problems:?}");
        };
        is_said(&found_after(|one| one.received = 5).await, "5 received of 4");
        is_said(&found_after(|one| one.received = 3).await, "3 received of 4");
        is_said(&found_after(|one| one.read = 1).await, "read up to ordinal 3, and 1 are read");
        is_said(&found_after(|one| one.read = 5).await, "more is read than there is");
        is_said(&found_after(|one| one.read_to = 99).await, "more is read than there is");
        let other_words = |one: &mut Conversation| {
            one.last.iter_mut().for_each(|last| last.preview.push('!'));
        };
        is_said(&found_after(other_words).await, "its last message is not its newest entry");
        is_said(&found_after(|one| one.last = None).await, "entries and no last message");
        is_said(&found_after(|one| one.number = 7).await, "its number 7 was not given yet");
    }
}
