//! A conversation: a chat on a connector in which an automation could take part. It is changed in small steps that the store
//! applies to the newest version, so that a person and an automation never undo each other's changes.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::words::words;
use crate::{ConnectorIndex, TenantIndex, Timestamp};

/// Maximum number of tags of a conversation; a further one is refused.
pub const MAX_TAGS: usize = 50;

/// A conversation. Invariant: there is one per (connector, chat).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Public id.
    pub id: Uuid,
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// The connector on which it takes place.
    pub connector: ConnectorIndex,
    /// Address of the contact, or of the group.
    pub chat: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// Name that the contact goes by, if known.
    pub contact_name: Option<String>,
    /// When its first event happened.
    pub opened_at: Timestamp,
    /// When its newest event happened.
    pub last_event_at: Timestamp,
    /// Tags, sorted, without duplicates.
    pub tags: Vec<String>,
    /// Who the conversation is assigned to.
    pub assignee: Option<String>,
    /// Present while the automations are paused in it.
    pub handover: Option<Handover>,
    /// Number of its next event task.
    pub next_task: u64,
}

/// Who paused the automations in a conversation, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// Who paused them: `user:…`, `key:…`, `operator` or `automation:…`.
    pub by: String,
    /// When they were paused.
    pub at: Timestamp,
    /// The reason, for the person who takes over.
    pub reason: String,
}

words! {
    /// What was done with a conversation.
    pub enum ConversationAction {
        /// Its automations were paused: a person took it over, or an automation handed it over.
        Paused = "paused",
        /// Its automations were resumed.
        Resumed = "resumed",
        /// It was assigned to somebody, or to nobody.
        Assigned = "assigned",
    }
}

/// One change of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationStep {
    /// Adds a tag, unless there are already [`MAX_TAGS`].
    Tag(String),
    /// Removes a tag.
    Untag(String),
    /// Sets or clears the assignee.
    Assign(Option<String>),
    /// Pauses its automations; if they are already paused, nothing changes.
    Pause(Handover),
    /// Resumes its automations: timers that came due in the meantime fire now.
    Resume,
}

impl Conversation {
    /// Applies a step; returns whether anything changed.
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
