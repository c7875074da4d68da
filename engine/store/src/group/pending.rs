//! What a group holds decoded until it is written: conversations, automations, numbers. However many events of a conversation a
//! group has, its row is written once. A batch that fails takes its versions back, like everything else of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pombo_domain::model::{Automation, Conversation};
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

/// What the group holds in addition to its staged rows.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) conversations: HashMap<Uuid, Touched>,
    /// Conversations that the group opened, by their [`keys::chat`].
    pub(super) opened: HashMap<Bytes, Uuid>,
    pub(super) automations: BTreeMap<AutomationIndex, Arc<Automation>>,
    pub(super) numbers: HashMap<Numbered, Extent>,
    /// What the present batch replaced.
    pub(super) undo: Vec<Undo>,
}

/// A conversation that the group looked at.
pub(crate) struct Touched {
    /// As it is on disk; `None` where it is not there.
    pub(crate) before: Option<Arc<Stored>>,
    pub(crate) now: Arc<Stored>,
}

impl Touched {
    fn is_changed(&self) -> bool {
        !self.before.as_ref().is_some_and(|before| Arc::ptr_eq(before, &self.now))
    }
}

pub(super) enum Undo {
    Conversation(Arc<Stored>),
    Opened(Bytes, Uuid),
    Automation(AutomationIndex, Option<Arc<Automation>>),
    Numbers(Numbered, Option<Extent>),
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
                Undo::Opened(chat, id) => {
                    self.opened.remove(&chat);
                    self.conversations.remove(&id);
                }
                Undo::Automation(index, Some(automation)) => drop(self.automations.insert(index, automation)),
                Undo::Automation(index, None) => drop(self.automations.remove(&index)),
                Undo::Numbers(what, Some(extent)) => drop(self.numbers.insert(what, extent)),
                Undo::Numbers(what, None) => drop(self.numbers.remove(&what)),
            }
        }
    }

    /// The conversations that the group changed.
    pub(super) fn into_changed(self) -> Vec<Touched> {
        self.conversations.into_values().filter(Touched::is_changed).collect()
    }
}

impl Group<'_> {
    /// A conversation as the group has it now.
    pub(super) fn conversation(&mut self, id: Uuid) -> StoreResult<Option<Arc<Stored>>> {
        if let Some(touched) = self.pending.conversations.get(&id) {
            return Ok(Some(touched.now.clone()));
        }
        let found = match self.shared.conversations.get(id) {
            Some(stored) => Some(stored),
            None => conversations::read(&*self.shared.backend, id)?.map(Arc::new),
        };
        if let Some(now) = &found {
            let before = Some(now.clone());
            self.pending.conversations.insert(id, Touched { before, now: now.clone() });
        }
        Ok(found)
    }

    pub(super) fn conversation_with(
        &mut self,
        connector: ConnectorIndex,
        chat: &str,
    ) -> StoreResult<Option<Arc<Stored>>> {
        let key = keys::chat(connector, chat);
        let known = self.pending.opened.get(&key).copied().or_else(|| self.shared.conversations.with(&key));
        let id = match known {
            Some(id) => Some(id),
            None => conversations::id_of(&*self.shared.backend, connector, chat)?,
        };
        let Some(id) = id else { return Ok(None) };
        self.conversation(id)?.map(Some).ok_or_else(|| damaged("conversations: a row is missing"))
    }

    /// Opens a conversation that is not there.
    pub(super) fn open(
        &mut self,
        tenant: TenantIndex,
        connector: ConnectorIndex,
        chat: String,
        is_group: bool,
    ) -> StoreResult<Arc<Stored>> {
        let mut randomness = [0; 10];
        self.entropy.fill(&mut randomness);
        let id = uuid::Builder::from_unix_timestamp_millis(self.now.0.max(0) as u64, &randomness).into_uuid();
        let conversation = Conversation {
            id,
            tenant,
            connector,
            chat,
            is_group,
            contact_name: None,
            opened_at: self.now,
            last_event_at: self.now,
            tags: Vec::new(),
            assignee: None,
            handover: None,
            next_task: 0,
        };
        conversations::put_keys(&mut self.staged, &conversation);
        let chat = conversations::chat_key(&conversation);
        self.pending.opened.insert(chat.clone(), id);
        self.pending.undo.push(Undo::Opened(chat, id));
        let now = Arc::new(Stored { conversation, lanes: Vec::new() });
        self.pending.conversations.insert(id, Touched { before: None, now: now.clone() });
        Ok(now)
    }

    /// A conversation's next version.
    pub(super) fn save(&mut self, stored: Stored) {
        if let Some(touched) = self.pending.conversations.get_mut(&stored.conversation.id) {
            let old = std::mem::replace(&mut touched.now, Arc::new(stored));
            self.pending.undo.push(Undo::Conversation(old));
        }
    }
}
