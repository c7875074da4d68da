//! A conversation: a chat on a connector, once an automation could take part in it. Changed in small steps that the store applies
//! to the newest version, so that a person and an automation never undo each other's changes.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ConnectorIndex, TenantIndex, Timestamp};

/// The most tags of a conversation; a further one is refused.
pub const MAX_TAGS: usize = 50;

/// A conversation. Invariant: one per (connector, chat).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Public id.
    pub id: Uuid,
    /// Owner.
    pub tenant: TenantIndex,
    /// The connector.
    pub connector: ConnectorIndex,
    /// The other side's address, or the group's.
    pub chat: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// The other side's name, where it gave one.
    pub contact_name: Option<String>,
    /// When its first event came.
    pub opened_at: Timestamp,
    /// When its newest event came.
    pub last_event_at: Timestamp,
    /// Sorted, without repetition.
    pub tags: Vec<String>,
    /// Who is in charge of it.
    pub assignee: Option<String>,
    /// Set while automations are paused in it.
    pub handover: Option<Handover>,
    /// The number of its next work item.
    pub next_work: u64,
}

/// Who paused the automations of a conversation, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// `user:…`, `key:…`, `operator` or `automation:…`.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// For the person who takes over.
    pub reason: String,
}

/// One change of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationStep {
    /// Adds a tag; beyond [`MAX_TAGS`] it is left out.
    Tag(String),
    /// Takes a tag away.
    Untag(String),
    /// Puts somebody, or nobody, in charge.
    Assign(Option<String>),
    /// Pauses its automations; a pause that stands stays as it is.
    Pause(Handover),
    /// Lets its automations go on: timers that ran out meanwhile fire now.
    Resume,
}

impl Conversation {
    /// Applies a step; whether anything changed.
    pub fn apply(&mut self, step: &ConversationStep) -> bool {
        match step {
            ConversationStep::Tag(tag) => match self.tags.binary_search(tag) {
                Err(place) if self.tags.len() < MAX_TAGS => {
                    self.tags.insert(place, tag.clone());
                    true
                }
                _ => false,
            },
            ConversationStep::Untag(tag) => match self.tags.binary_search(tag) {
                Ok(place) => {
                    self.tags.remove(place);
                    true
                }
                Err(_) => false,
            },
            ConversationStep::Assign(who) => {
                let changed = self.assignee != *who;
                self.assignee.clone_from(who);
                changed
            }
            ConversationStep::Pause(handover) => {
                let changed = self.handover.is_none();
                self.handover.get_or_insert_with(|| handover.clone());
                changed
            }
            ConversationStep::Resume => self.handover.take().is_some(),
        }
    }
}
