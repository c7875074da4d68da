//! What a group does to conversations and their timelines, change by change.

use std::sync::Arc;

use pombo_domain::ids::message_id;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use uuid::Uuid;

use super::ENGINE;
use super::automations::gone;
use super::pending::Undo;
use super::{Group, check_key};
use crate::catalog::CatalogChange;
use crate::codec::damaged;
use crate::keys;
use crate::space::Space;
use crate::tables::conversations::{self, Stored};
use crate::tables::people::settings_row;
use crate::tables::states;
use crate::tables::timeline::{self, NewItem, Numbers, OfMessage};
use crate::tables::timers;

/// Other addresses of a contact under which a conversation is looked for before one is opened.
const ALIASES: usize = 64;

/// Who did what happened on the channel, for the event in the log.
pub(super) const CHANNEL: &str = "channel";

/// The longest id of a channel that can be part of a key here.
const LONGEST_ID: usize = 1_024;

impl Group<'_> {
    /// `row` is an entry's, as [`timeline::prepare`] made it.
    pub(super) fn chat(&mut self, change: ChatChange, row: Option<Vec<u8>>, committed: &Committed) -> StoreResult<()> {
        match change {
            ChatChange::Received(_) if self.left_out => Ok(()),
            ChatChange::Received(message) => self.received(message, row),
            // It is directly behind its update.
            ChatChange::Attempted(key, ..) if committed.stale.last() == Some(&key) => Ok(()),
            ChatChange::Attempted(key, id, message) => self.attempted(key, id, message, row),
            ChatChange::Open { tenant, connector, chat, is_group, by } => {
                check_key(&chat)?;
                self.chat_of(tenant, connector, chat, Some(is_group), &by).map(drop)
            }
            ChatChange::Sort { tenant, connector, chat, queue, status } => {
                check_key(&chat)?;
                let stored = self.chat_of(tenant, connector, chat, None, ENGINE)?;
                let mut next = (*stored).clone();
                next.conversation.queue = queue.or(next.conversation.queue);
                next.conversation.status_label = status.or(next.conversation.status_label);
                if next != *stored {
                    self.save(next);
                }
                Ok(())
            }
            ChatChange::Media { connector, chat, provider_id, media } => {
                self.change_entry(connector, &chat, &provider_id, |entry| match &mut entry.content {
                    EntryContent::Received(InboundContent::Attachment(file)) => {
                        let changed = file.media != media;
                        file.media = media;
                        changed
                    }
                    _ => false,
                })
            }
            ChatChange::GroupName { connector, chat, name } => {
                check_key(&chat)?;
                let Some(stored) = self.conversation_with(connector, &chat)? else { return Ok(()) };
                let mut next = (*stored).clone();
                (next.conversation.is_group, next.conversation.contact_name) = (true, Some(name));
                if next != *stored {
                    self.save(next);
                }
                Ok(())
            }
            ChatChange::Author(by) => {
                let (message, ..) = *committed.inserted.last().ok_or_else(gone)?;
                timeline::put_author(&mut self.staged, message, &by);
                Ok(())
            }
            ChatChange::Delete(tenant, id) => self.delete_conversation(tenant, id),
            ChatChange::Settings(tenant, settings) => {
                let key = keys::one_of_tenant(keys::SETTINGS, tenant).bytes();
                self.staged.put(Space::Documents, key, settings_row(&settings));
                self.outcome.effects.push(Effect::Settings(tenant));
                self.outcome.catalog.push(CatalogChange::Settings(tenant, settings));
                Ok(())
            }
        }
    }

    fn received(&mut self, message: ChatMessage, row: Option<Vec<u8>>) -> StoreResult<()> {
        let ChatMessage { tenant, connector, chat, is_group, contact_name, act } = message;
        check_key(&chat)?;
        match act {
            TimelineAct::Say(entry) => {
                let row = row.ok_or_else(|| damaged("an entry that was not prepared"))?;
                let stored = self.chat_of(tenant, connector, chat, is_group, CHANNEL)?;
                let mut next = (*stored).clone();
                let number = self.next_number(tenant, |numbers| &mut numbers.item)?;
                let mut entropy = [0; 8];
                self.entropy.fill(&mut entropy);
                let id = message_id(self.now, number, u64::from_le_bytes(entropy));
                self.add_entry(
                    &mut next,
                    NewItem { number, id, at: self.now, entry: &entry, row },
                    is_group,
                    contact_name,
                )?;
                if let Some((event, kinds)) = self.heard.take() {
                    self.hook(event, connector, next.conversation.number, kinds)?;
                }
                self.save(next);
            }
            act => {
                let Some(stored) = self.known_chat(tenant, connector, &chat)? else { return Ok(()) };
                let mut next = (*stored).clone();
                timeline::apply(&mut self.staged, &mut next.conversation, act, self.now)?;
                if next != *stored {
                    self.save(next);
                }
            }
        }
        Ok(())
    }

    fn attempted(&mut self, key: MessageKey, id: Uuid, message: ChatMessage, row: Option<Vec<u8>>) -> StoreResult<()> {
        let ChatMessage { tenant, connector, chat, is_group, contact_name, act } = message;
        check_key(&chat)?;
        let of_message = keys::of_message(keys::ENTRY_MESSAGE, key);
        if self.staged.get(Space::Timeline, &of_message)?.is_some() {
            return Ok(());
        }
        let stored = self.chat_of(tenant, connector, chat, is_group, ENGINE)?;
        let mut next = (*stored).clone();
        match act {
            TimelineAct::Say(entry) => {
                let row = row.ok_or_else(|| damaged("an entry that was not prepared"))?;
                let number = self.next_number(tenant, |numbers| &mut numbers.item)?;
                let contact_name = contact_name.filter(|_| next.conversation.contact_name.is_none());
                self.add_entry(
                    &mut next,
                    NewItem { number, id, at: self.now, entry: &entry, row },
                    is_group,
                    contact_name,
                )?;
                if next.conversation.pause_ends_at().is_some() {
                    self.answered_by_hand(&mut next, key)?;
                }
            }
            act => {
                let changes = OfMessage::Changes(next.conversation.id, act);
                timeline::put_of_message(&mut self.staged, key, &changes);
            }
        }
        if next != *stored {
            self.save(next);
        }
        Ok(())
    }

    fn add_entry(
        &mut self,
        next: &mut Stored,
        new: NewItem<'_>,
        is_group: Option<bool>,
        contact_name: Option<String>,
    ) -> StoreResult<()> {
        let conversation = &mut next.conversation;
        let (was_untold, was_archived) = (conversation.is_untold(), conversation.archived_at.is_some());
        if let Some(is_group) = is_group {
            conversation.is_group = is_group;
        }
        if contact_name.is_some() {
            conversation.contact_name = contact_name;
        }
        timeline::add(&mut self.staged, conversation, new)?;
        self.put_untold(was_untold, conversation);
        if was_archived && conversation.archived_at.is_none() {
            self.append_of_conversation(conversation, ConversationAction::Restored, CHANNEL);
        }
        Ok(())
    }

    /// A message is with its channel: its entry is known by the channel's id, or what it does to another entry is done.
    pub(super) fn entry_sent(&mut self, key: MessageKey, provider_id: Option<&str>) -> StoreResult<()> {
        let of_message = keys::of_message(keys::ENTRY_MESSAGE, key).bytes();
        let Some(row) = self.staged.get(Space::Timeline, &of_message)? else { return Ok(()) };
        match timeline::parse_of_message(&row)? {
            OfMessage::Entry(conversation, item) => match provider_id {
                Some(id) if id.len() <= LONGEST_ID => {
                    timeline::put_provider(&mut self.staged, key.tenant, conversation, id, item)
                }
                _ => Ok(()),
            },
            OfMessage::Changes(conversation, act) => {
                self.staged.delete(Space::Timeline, of_message);
                let Some(stored) = self.conversation(conversation)? else { return Ok(()) };
                let mut next = (*stored).clone();
                timeline::apply(&mut self.staged, &mut next.conversation, act, self.now)?;
                if next != *stored {
                    self.save(next);
                }
                Ok(())
            }
        }
    }

    fn change_entry(
        &mut self,
        connector: ConnectorIndex,
        chat: &str,
        provider_id: &str,
        change: impl FnOnce(&mut TimelineEntry) -> bool,
    ) -> StoreResult<()> {
        check_key(chat)?;
        let Some(stored) = self.conversation_with(connector, chat)? else { return Ok(()) };
        let mut next = (*stored).clone();
        timeline::change(&mut self.staged, &mut next.conversation, provider_id, change)?;
        if next != *stored {
            self.save(next);
        }
        Ok(())
    }

    /// The conversation of a chat, which is opened if it is not there: by whom is for the event of it.
    pub(super) fn chat_of(
        &mut self,
        tenant: TenantIndex,
        connector: ConnectorIndex,
        chat: String,
        is_group: Option<bool>,
        by: &str,
    ) -> StoreResult<Arc<Stored>> {
        match self.known_chat(tenant, connector, &chat)? {
            Some(stored) => Ok(stored),
            None => self.open(tenant, connector, chat, is_group.unwrap_or_default(), by),
        }
    }

    /// The conversation of a chat. One that was opened under another address of the contact, before both were known to be the same
    /// person's, is found by this one from now on. Where each has a conversation, both stay, and what comes goes into this one.
    fn known_chat(
        &mut self,
        tenant: TenantIndex,
        connector: ConnectorIndex,
        chat: &str,
    ) -> StoreResult<Option<Arc<Stored>>> {
        if let Some(stored) = self.conversation_with(connector, chat)? {
            return Ok(Some(stored));
        }
        let channel = self.shared.catalog.read().connectors.get(&connector).map(|found| found.channel.clone());
        let Some(kind) = channel.and_then(|channel| ContactType::of_channel(&channel)) else { return Ok(None) };
        if chat.len() > usize::from(u16::MAX) {
            return Ok(None);
        }
        let prefix = keys::contact_aliases(tenant, kind, chat);
        for (key, _) in self.staged.prefix(Space::Documents, &prefix)?.into_iter().take(ALIASES) {
            let alias =
                std::str::from_utf8(&key[prefix.len()..]).map_err(|_| damaged("contacts: a malformed alias"))?;
            let Some(stored) = self.conversation_with(connector, alias)? else { continue };
            let mut next = (*stored).clone();
            next.conversation.chat = chat.to_owned();
            let (old, new) =
                (conversations::chat_key(&stored.conversation), conversations::chat_key(&next.conversation));
            self.staged.delete(Space::Conversations, old.clone());
            self.staged.put(Space::Conversations, new.clone(), next.conversation.id.as_bytes().to_vec());
            self.set_chat(old, None);
            self.set_chat(new, Some(next.conversation.id));
            self.save(next);
            return self.conversation(stored.conversation.id);
        }
        Ok(None)
    }

    /// What was received up to an entry is read.
    pub(super) fn read(&mut self, next: &mut Stored, up_to: u64, tell: bool) -> StoreResult<()> {
        let conversation = &mut next.conversation;
        let newest = conversation.last.as_ref().map(|last| last.item);
        let reached = match newest {
            Some(newest) if up_to >= newest => Some((newest, conversation.received)),
            Some(_) => {
                let Conversation { tenant, number, .. } = *conversation;
                timeline::ordinal_at(&*self.shared.backend, tenant, number, up_to)?
            }
            None => None,
        };
        if let Some((item, ordinal)) = reached {
            // Nothing is told of what was read before.
            let is_news = ordinal > conversation.read;
            conversation.read_up_to(item, ordinal, if is_news { tell } else { conversation.is_untold() });
        }
        Ok(())
    }

    /// Lists a conversation among those of which the channel is still to be told something, or no longer.
    pub(super) fn put_untold(&mut self, was_untold: bool, conversation: &Conversation) {
        let key = || keys::untold(conversation.connector, conversation.id).bytes();
        match (was_untold, conversation.is_untold()) {
            (false, true) => self.staged.put(Space::Timeline, key(), Vec::new()),
            (true, false) => self.staged.delete(Space::Timeline, key()),
            _ => {}
        }
    }

    fn delete_conversation(&mut self, tenant: TenantIndex, id: Uuid) -> StoreResult<()> {
        let stored = self.conversation(id)?.filter(|s| s.conversation.tenant == tenant).ok_or_else(gone)?;
        let conversation = &stored.conversation;
        conversations::delete(&mut self.staged, conversation);
        if conversation.is_untold() {
            self.staged.delete(Space::Timeline, keys::untold(conversation.connector, id).bytes());
        }
        let deleted = keys::numbered(keys::DELETED, tenant, conversation.number).bytes();
        self.staged.put(Space::Timeline, deleted, id.as_bytes().to_vec());
        self.set_chat(conversations::chat_key(conversation), None);
        if let Some(touched) = self.pending.conversations.get_mut(&id) {
            touched.is_gone = true;
            self.pending.undo.push(Undo::Gone(id));
        }
        Ok(())
    }

    /// Deletes rows of deleted conversations, or of messages that are kept no longer. On an error the group is as it was before.
    pub(crate) fn purge(&mut self, purge: Purge, now: Timestamp) -> StoreResult<()> {
        self.now = now;
        let Purge { tenant, what, .. } = purge;
        let done = match what {
            Purged::Conversation { number, id, items, last } => {
                self.purge_conversation(tenant, number, id, &items, last)
            }
            Purged::Outdated { items, upto } => self.purge_outdated(tenant, &items, upto),
        };
        match done {
            Ok(()) => {
                self.staged.keep();
                self.pending.keep();
            }
            Err(_) => {
                self.staged.take_back();
                self.pending.take_back();
            }
        }
        done
    }

    /// Deletes an entry with its keys. Returns it, if it was there and `wanted`.
    fn purge_item(
        &mut self,
        tenant: TenantIndex,
        conversation: u64,
        number: u64,
        wanted: impl FnOnce(&TimelineItem) -> bool,
    ) -> StoreResult<Option<TimelineItem>> {
        let key = keys::entry(tenant, conversation, number);
        let Some(row) = self.staged.get(Space::Timeline, &key)? else { return Ok(None) };
        let item = timeline::parse(&key, &row)?;
        if !wanted(&item) {
            return Ok(None);
        }
        let provider_id = match item.entry.message {
            Some(serial) => {
                let row = self.staged.get(Space::States, &keys::message(MessageKey { tenant, serial }))?;
                row.map(|row| states::decode(&row)).transpose()?.and_then(|(_, state)| state.provider_id)
            }
            None => None,
        };
        let provider_id = provider_id.as_deref().filter(|id| id.len() <= LONGEST_ID);
        timeline::delete(&mut self.staged, tenant, &item, provider_id)?;
        Ok(Some(item))
    }

    fn purge_conversation(
        &mut self,
        tenant: TenantIndex,
        number: u64,
        id: Uuid,
        items: &[u64],
        last: bool,
    ) -> StoreResult<()> {
        for item in items {
            self.purge_item(tenant, number, *item, |_| true)?;
        }
        if !last {
            return Ok(());
        }
        for (space, prefix) in
            [(Space::Work, keys::tasks_of(id)), (Space::Conversations, keys::automation_states_of(id))]
        {
            for (key, _) in self.staged.prefix(space, &prefix)? {
                self.staged.delete(space, key);
            }
        }
        for (key, _) in self.staged.prefix(Space::Conversations, &keys::timers_of(id))? {
            let (_, automation, name) = keys::parse_timer(&key).ok_or_else(|| damaged("timers: a malformed key"))?;
            timers::cancel(&mut self.staged, id, automation, name)?;
        }
        self.staged.delete(Space::Timeline, keys::numbered(keys::DELETED, tenant, number).bytes());
        Ok(())
    }

    fn purge_outdated(&mut self, tenant: TenantIndex, items: &[(u64, u64)], upto: u64) -> StoreResult<()> {
        for (number, item) in items {
            let came = |item: &TimelineItem| item.entry.message.is_none();
            let Some(item) = self.purge_item(tenant, *number, *item, came)? else { continue };
            let id = match conversations::id_by_number(&*self.shared.backend, tenant, *number)? {
                Some(id) => id,
                // It was deleted, and is purged as a whole.
                None => continue,
            };
            let Some(stored) = self.conversation(id)? else { continue };
            let mut next = (*stored).clone();
            let conversation = &mut next.conversation;
            // What is no longer there cannot be read, nor be told of.
            conversation.read = conversation.read.max(item.ordinal.min(conversation.received));
            if conversation.last.as_ref().is_some_and(|last| last.item == item.number) {
                conversation.last = timeline::newest(&*self.shared.backend, &self.staged, tenant, *number)?;
                // Nobody waits for an answer to what is no longer there.
                if conversation.last.as_ref().is_none_or(|last| last.from_me) {
                    conversation.waiting_since = None;
                }
            }
            if next != *stored {
                self.save(next);
            }
        }
        let numbers = self.chat_numbers(tenant);
        let looked = numbers.looked.max(upto);
        if looked != numbers.looked {
            self.set_chat_numbers(tenant, Numbers { looked, ..numbers });
        }
        Ok(())
    }
}
