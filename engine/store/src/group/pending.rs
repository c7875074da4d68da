//! What a group holds decoded until it is written: conversations, automations, numbers. However many events of a conversation a
//! group has, its row is written once. A batch that fails takes its versions back, like everything else of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pombo_domain::model::{Automation, ConnectorWebhook, Conversation, ConversationAction, Tag};
use pombo_domain::ports::StoreResult;
use pombo_domain::{AutomationIndex, ConnectorIndex, TenantIndex};
use uuid::Uuid;

use super::Group;
use crate::automation_catalog::Numbered;
use crate::backend::Bytes;
use crate::codec::damaged;
use crate::keys;
use crate::tables::conversations::{self, Stored};
use crate::tables::events::Extent;
use crate::tables::timeline::Numbers;
use crate::tag_catalog::TagKey;

/// Numbers take 5 bytes in keys.
const MOST_NUMBERS: u64 = 1 << 40;

/// What the group holds in addition to its staged rows.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) conversations: HashMap<Uuid, Touched>,
    /// The conversations of chats whose key the group changed, by their [`keys::chat`]; `None`: there is none any longer.
    pub(super) chats: HashMap<Bytes, Option<Uuid>>,
    /// The next numbers of the tenants that were given some.
    pub(super) chat_numbers: HashMap<TenantIndex, Numbers>,
    pub(super) automations: BTreeMap<AutomationIndex, Arc<Automation>>,
    pub(super) numbers: HashMap<Numbered, Extent>,
    /// Tags that the group made, changed or (`None`) deleted.
    pub(super) tags: BTreeMap<TagKey, Option<Arc<Tag>>>,
    /// Webhooks that the group set or (`None`) removed.
    pub(super) webhooks: HashMap<ConnectorIndex, Option<Arc<ConnectorWebhook>>>,
    /// What the present batch replaced.
    pub(super) undo: Vec<Undo>,
}

/// A conversation that the group looked at.
pub(crate) struct Touched {
    /// As it is on disk; `None` where it is not there.
    pub(crate) before: Option<Arc<Stored>>,
    pub(crate) now: Arc<Stored>,
    /// Whether it was deleted.
    pub(crate) is_gone: bool,
}

impl Touched {
    fn is_changed(&self) -> bool {
        self.is_gone || !self.before.as_ref().is_some_and(|before| Arc::ptr_eq(before, &self.now))
    }
}

pub(super) enum Undo {
    Conversation(Arc<Stored>),
    /// A chat's key, with what the group had under it.
    Chat(Bytes, Option<Option<Uuid>>),
    Opened(Uuid),
    Gone(Uuid),
    ChatNumbers(TenantIndex, Option<Numbers>),
    Automation(AutomationIndex, Option<Arc<Automation>>),
    Numbers(Numbered, Option<Extent>),
    Tag(TagKey, Option<Option<Arc<Tag>>>),
    Webhook(ConnectorIndex, Option<Option<Arc<ConnectorWebhook>>>),
}

impl Pending {
    /// The present batch is valid: its changes stay.
    pub(super) fn keep(&mut self) {
        self.undo.clear();
    }

    /// The present batch failed: restores what was there before it.
    pub(super) fn take_back(&mut self) {
        for undo in self.undo.drain(..).rev() {
            match undo {
                Undo::Conversation(stored) => {
                    if let Some(touched) = self.conversations.get_mut(&stored.conversation.id) {
                        touched.now = stored;
                    }
                }
                Undo::Chat(chat, Some(id)) => drop(self.chats.insert(chat, id)),
                Undo::Chat(chat, None) => drop(self.chats.remove(&chat)),
                Undo::Opened(id) => drop(self.conversations.remove(&id)),
                Undo::Gone(id) => {
                    if let Some(touched) = self.conversations.get_mut(&id) {
                        touched.is_gone = false;
                    }
                }
                Undo::ChatNumbers(tenant, Some(numbers)) => drop(self.chat_numbers.insert(tenant, numbers)),
                Undo::ChatNumbers(tenant, None) => drop(self.chat_numbers.remove(&tenant)),
                Undo::Automation(index, Some(automation)) => drop(self.automations.insert(index, automation)),
                Undo::Automation(index, None) => drop(self.automations.remove(&index)),
                Undo::Numbers(what, Some(extent)) => drop(self.numbers.insert(what, extent)),
                Undo::Numbers(what, None) => drop(self.numbers.remove(&what)),
                Undo::Tag(key, Some(tag)) => drop(self.tags.insert(key, tag)),
                Undo::Tag(key, None) => drop(self.tags.remove(&key)),
                Undo::Webhook(connector, Some(webhook)) => drop(self.webhooks.insert(connector, webhook)),
                Undo::Webhook(connector, None) => drop(self.webhooks.remove(&connector)),
            }
        }
    }

    /// The conversations that the group changed.
    pub(super) fn take_changed(&mut self) -> Vec<Touched> {
        std::mem::take(&mut self.conversations).into_values().filter(Touched::is_changed).collect()
    }
}

impl Group<'_> {
    /// A conversation as the group has it now.
    pub(super) fn conversation(&mut self, id: Uuid) -> StoreResult<Option<Arc<Stored>>> {
        if let Some(touched) = self.pending.conversations.get(&id) {
            return Ok((!touched.is_gone).then(|| touched.now.clone()));
        }
        let found = match self.shared.conversations.get(id) {
            Some(stored) => Some(stored),
            None => conversations::read(&*self.shared.backend, id)?.map(Arc::new),
        };
        if let Some(now) = &found {
            let before = Some(now.clone());
            self.pending.conversations.insert(id, Touched { before, now: now.clone(), is_gone: false });
        }
        Ok(found)
    }

    pub(super) fn conversation_with(
        &mut self,
        connector: ConnectorIndex,
        chat: &str,
    ) -> StoreResult<Option<Arc<Stored>>> {
        let key = keys::chat(connector, chat);
        let id = match (self.pending.chats.get(&key), self.shared.conversations.with(&key)) {
            (Some(known), _) => *known,
            (None, Some(id)) => Some(id),
            (None, None) => conversations::id_of(&*self.shared.backend, connector, chat)?,
        };
        let Some(id) = id else { return Ok(None) };
        self.conversation(id)?.map(Some).ok_or_else(|| damaged("conversations: a row is missing"))
    }

    /// Opens a conversation that is not there, and appends the event of it.
    pub(super) fn open(
        &mut self,
        tenant: TenantIndex,
        connector: ConnectorIndex,
        chat: String,
        is_group: bool,
        by: &str,
    ) -> StoreResult<Arc<Stored>> {
        let mut randomness = [0; 10];
        self.entropy.fill(&mut randomness);
        let id = uuid::Builder::from_unix_timestamp_millis(self.now.0.max(0) as u64, &randomness).into_uuid();
        let mut conversation = Conversation::new(id, tenant, connector, chat, is_group, self.now);
        conversation.number = self.next_number(tenant, |numbers| &mut numbers.conversation)?;
        conversations::put_keys(&mut self.staged, &conversation);
        self.set_chat(conversations::chat_key(&conversation), Some(id));
        self.pending.undo.push(Undo::Opened(id));
        self.append_of_conversation(&conversation, ConversationAction::Opened, by);
        let now = Arc::new(Stored { conversation, lanes: Vec::new() });
        self.pending.conversations.insert(id, Touched { before: None, now: now.clone(), is_gone: false });
        Ok(now)
    }

    /// From now on a chat's key names this conversation, or none.
    pub(super) fn set_chat(&mut self, key: Bytes, id: Option<Uuid>) {
        let old = self.pending.chats.insert(key.clone(), id);
        self.pending.undo.push(Undo::Chat(key, old));
    }

    /// Gives a tenant's next number of a conversation or an entry.
    pub(super) fn next_number(
        &mut self,
        tenant: TenantIndex,
        which: impl FnOnce(&mut Numbers) -> &mut u64,
    ) -> StoreResult<u64> {
        let mut numbers = self.chat_numbers(tenant);
        let next = which(&mut numbers);
        let given = *next;
        if given >= MOST_NUMBERS {
            return Err(damaged("all numbers of conversations or entries are given"));
        }
        *next += 1;
        self.set_chat_numbers(tenant, numbers);
        Ok(given)
    }

    pub(super) fn chat_numbers(&self, tenant: TenantIndex) -> Numbers {
        match self.pending.chat_numbers.get(&tenant) {
            Some(numbers) => *numbers,
            None => self.shared.chats.numbers(tenant),
        }
    }

    pub(super) fn set_chat_numbers(&mut self, tenant: TenantIndex, numbers: Numbers) {
        let old = self.pending.chat_numbers.insert(tenant, numbers);
        self.pending.undo.push(Undo::ChatNumbers(tenant, old));
    }

    /// A conversation's next version.
    pub(super) fn save(&mut self, stored: Stored) {
        if let Some(touched) = self.pending.conversations.get_mut(&stored.conversation.id) {
            let old = std::mem::replace(&mut touched.now, Arc::new(stored));
            self.pending.undo.push(Undo::Conversation(old));
        }
    }
}
