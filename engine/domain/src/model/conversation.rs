//! A conversation: a chat on a connector, with whatever was received and sent in it. It is changed in small steps that the store
//! applies to the newest version, so that a person and an automation never undo each other's changes.
//!
//! What was said in it is its timeline, see [`super::timeline`]; this is the head of it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::timeline::EntryKind;
use crate::words::words;
use crate::{ConnectorIndex, TenantIndex, Timestamp};

/// Maximum number of tags of a conversation; a further one is refused.
pub const MAX_TAGS: usize = 50;

/// A conversation. Invariants: there is one per (connector, chat); `read` is at most `received`, and `read_told` at most `read_to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Public id.
    pub id: Uuid,
    /// Its number: from 1, counted per tenant, never given again.
    pub number: u64,
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// The connector on which it takes place.
    pub connector: ConnectorIndex,
    /// Address of the contact, or of the group.
    pub chat: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// Name that the contact or the group goes by, if known.
    pub contact_name: Option<String>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When its newest event happened.
    pub last_event_at: Timestamp,
    /// The newest entry of its timeline.
    pub last: Option<LastMessage>,
    /// When the other side last wrote.
    pub last_received_at: Option<Timestamp>,
    /// Number of messages that the other side ever wrote in it: the newest one's ordinal.
    pub received: u64,
    /// The ordinal up to which they are read.
    pub read: u64,
    /// Number of the timeline entry up to which it was read.
    pub read_to: u64,
    /// Number of the timeline entry up to which the channel knows that it was read.
    pub read_told: u64,
    /// When it was archived. It comes back when the other side writes.
    pub archived_at: Option<Timestamp>,
    /// Names of its tags, sorted, without duplicates.
    pub tags: Vec<String>,
    /// Who the conversation is assigned to.
    pub assignee: Option<String>,
    /// The user that it is assigned to.
    pub assigned_user: Option<Uuid>,
    /// Present while the automations are paused in it.
    pub handover: Option<Handover>,
    /// Whether an automation ever took part in it: an event came that one listens to, or one was started in it. Only then is a person
    /// kept from writing into it by mistake.
    pub engaged: bool,
    /// Number of its next event task.
    pub next_task: u64,
    /// The channel's own time of the newest message of the other side. Stored beside the other fields.
    #[serde(skip)]
    pub written_at: Option<Timestamp>,
    /// Number of the queue that it is in, see [`super::Label`]. The label may have been deleted since.
    #[serde(skip)]
    pub queue: Option<u32>,
    /// Number of the status that it has, see [`super::Label`]. The label may have been deleted since.
    #[serde(skip)]
    pub status_label: Option<u32>,
    /// Since when the other side waits for an answer: when it wrote its first message behind the newest own one. `None`: it does not
    /// wait. Stored beside the other fields.
    #[serde(skip)]
    pub waiting_since: Option<Timestamp>,
}

/// The newest entry of a conversation's timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastMessage {
    /// Number of the entry.
    pub item: u64,
    /// When the engine took it.
    pub at: Timestamp,
    /// Whether the connector's own account wrote it.
    pub from_me: bool,
    /// Kind of content.
    pub kind: EntryKind,
    /// How its text begins: one line of at most [`super::timeline::MAX_PREVIEW_CHARS`] characters; empty after a deletion.
    pub preview: String,
}

/// Who paused the automations where somebody answered on the account's own phone, see [`Handover::by`].
pub const PHONE: &str = "phone";

/// Who paused the automations in a conversation, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// Who paused them: `user:…`, `key:…`, `operator`, `automation:…` or [`PHONE`].
    pub by: String,
    /// When they were paused.
    pub at: Timestamp,
    /// The reason, for the person who takes over.
    pub reason: String,
    /// When the pause ends by itself; `None`: when somebody resumes the automations. Only a pause by [`PHONE`] ends by itself. Stored
    /// beside the conversation's other fields.
    #[serde(skip)]
    pub until: Option<Timestamp>,
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
        /// What had been received in it was marked as read.
        Read = "read",
        /// It was marked as unread.
        Unread = "unread",
        /// It was archived.
        Archived = "archived",
        /// It was taken back from the archive.
        Restored = "restored",
        /// It was deleted, with its history.
        Deleted = "deleted",
        /// It was opened.
        Opened = "opened",
        /// It got other tags.
        Tagged = "tagged",
    }
}

/// One change of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationStep {
    /// Adds the tag with this name, unless there are already [`MAX_TAGS`]. A tag that the tenant does not have is created, unless it
    /// has [`super::tag::MAX_TAGS_OF_TENANT`].
    Tag(String),
    /// Removes the tag with this name.
    Untag(String),
    /// Sets or clears the assignee.
    Assign(Option<String>),
    /// Sets or clears the user that it is assigned to.
    AssignUser(Option<Uuid>),
    /// Archives it at this time; one that is archived stays as it is.
    Archive(Timestamp),
    /// Takes it back from the archive.
    Restore,
    /// What was received up to this entry of the timeline is read; the store finds the entry's ordinal. Never goes back.
    Read {
        /// Number of the entry; one that is higher than the newest means all of it.
        up_to: u64,
        /// Whether the channel is still to be told.
        tell: bool,
    },
    /// The channel knows that what was received up to this entry is read.
    ReadTold(u64),
    /// Puts it into the queue with this number, or into none.
    Queue(Option<u32>),
    /// Gives it the status with this number, or none.
    Status(Option<u32>),
    /// The newest message of the other side is to be read again; the channel is not told. Changes nothing where one is unread.
    Unread,
    /// Pauses its automations. If they are already paused, nothing changes, except that a pause that ends by itself gives way to one
    /// that does not.
    Pause(Handover),
    /// Resumes its automations: timers that came due in the meantime fire now.
    Resume,
}

impl Conversation {
    /// A conversation that is opened now, without a number: the store gives it one.
    pub fn new(
        id: Uuid,
        tenant: TenantIndex,
        connector: ConnectorIndex,
        chat: String,
        is_group: bool,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            number: 0,
            tenant,
            connector,
            chat,
            is_group,
            contact_name: None,
            opened_at: now,
            last_event_at: now,
            last: None,
            last_received_at: None,
            received: 0,
            read: 0,
            read_to: 0,
            read_told: 0,
            archived_at: None,
            tags: Vec::new(),
            assignee: None,
            assigned_user: None,
            handover: None,
            engaged: false,
            next_task: 0,
            written_at: None,
            queue: None,
            status_label: None,
            waiting_since: None,
        }
    }

    /// Number of messages of the other side that nobody has read.
    pub fn unread(&self) -> u64 {
        self.received.saturating_sub(self.read)
    }

    /// When something was last said in it, or else when it was opened: lists show the newest first.
    pub fn active_at(&self) -> Timestamp {
        self.last.as_ref().map_or(self.opened_at, |last| last.at)
    }

    /// When the pause of its automations ends by itself; `None` while they are not paused, or until somebody resumes them.
    pub fn pause_ends_at(&self) -> Option<Timestamp> {
        self.handover.as_ref().and_then(|handover| handover.until)
    }

    /// Whether the channel is still to be told that something was read.
    pub fn is_untold(&self) -> bool {
        self.read_told < self.read_to
    }

    /// What was received up to the entry `item`, whose ordinal is `ordinal`, is read.
    pub fn read_up_to(&mut self, item: u64, ordinal: u64, tell: bool) {
        self.read = self.read.max(ordinal.min(self.received));
        self.read_to = self.read_to.max(item);
        if !tell {
            self.read_told = self.read_to;
        }
    }

    /// Applies a step; returns whether anything changed. [`ConversationStep::Read`] changes nothing here: only the store knows the
    /// entry's ordinal, see [`Self::read_up_to`].
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
                let changed =
                    self.handover.as_ref().is_none_or(|there| there.until.is_some() && handover.until.is_none());
                if changed {
                    self.handover = Some(handover.clone());
                }
                changed
            }
            ConversationStep::Resume => self.handover.take().is_some(),
            ConversationStep::AssignUser(user) => {
                let changed = self.assigned_user != *user;
                self.assigned_user = *user;
                changed
            }
            ConversationStep::Archive(at) => {
                let changed = self.archived_at.is_none();
                self.archived_at.get_or_insert(*at);
                changed
            }
            ConversationStep::Restore => self.archived_at.take().is_some(),
            ConversationStep::Queue(number) => std::mem::replace(&mut self.queue, *number) != *number,
            ConversationStep::Status(number) => std::mem::replace(&mut self.status_label, *number) != *number,
            ConversationStep::Read { .. } => false,
            ConversationStep::Unread => {
                let changed = self.unread() == 0 && self.received > 0 && self.last.is_some();
                self.read -= u64::from(changed);
                changed
            }
            ConversationStep::ReadTold(item) => {
                let told = self.read_told.max((*item).min(self.read_to));
                let changed = self.read_told != told;
                self.read_told = told;
                changed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_never_goes_back_and_is_told_once() {
        let chat = "5511".to_owned();
        let mut one = Conversation::new(Uuid::nil(), TenantIndex(1), ConnectorIndex(1), chat, false, Timestamp(0));
        one.received = 5;
        one.read_up_to(40, 3, true);
        assert_eq!((one.unread(), one.is_untold()), (2, true));
        one.read_up_to(30, 2, true);
        assert_eq!((one.unread(), one.read_to), (2, 40));
        assert!(one.apply(&ConversationStep::ReadTold(99)), "no further than what was read");
        assert_eq!((one.read_told, one.is_untold()), (40, false));
        assert!(!one.apply(&ConversationStep::ReadTold(7)));
        one.read_up_to(50, 9, false);
        assert_eq!((one.unread(), one.is_untold()), (0, false));
        assert!(!one.apply(&ConversationStep::Unread), "there is nothing to be read again");
        let (kind, preview) = (EntryKind::Text, String::new());
        one.last = Some(LastMessage { item: 50, at: Timestamp(0), from_me: false, kind, preview });
        assert!(one.apply(&ConversationStep::Unread) && !one.apply(&ConversationStep::Unread));
        assert_eq!((one.unread(), one.is_untold()), (1, false));
    }

    #[test]
    fn a_pause_stands_unless_it_would_end_by_itself() {
        let chat = "5511".to_owned();
        let mut one = Conversation::new(Uuid::nil(), TenantIndex(1), ConnectorIndex(1), chat, false, Timestamp(0));
        let pause = |by: &str, until| {
            let (by, at, reason) = (by.to_owned(), Timestamp(1), String::new());
            ConversationStep::Pause(Handover { by, at, reason, until })
        };
        let by = |one: &Conversation| one.handover.as_ref().map(|handover| handover.by.clone()).unwrap_or_default();
        assert!(one.apply(&pause(PHONE, Some(Timestamp(9)))) && !one.apply(&pause(PHONE, Some(Timestamp(20)))));
        assert_eq!((by(&one).as_str(), one.pause_ends_at()), (PHONE, Some(Timestamp(9))));
        assert!(one.apply(&pause("user:1", None)), "a person's pause does not end by itself");
        assert_eq!((by(&one).as_str(), one.pause_ends_at()), ("user:1", None));
        assert!(!one.apply(&pause(PHONE, Some(Timestamp(9)))) && !one.apply(&pause("user:2", None)));
        assert!(one.apply(&ConversationStep::Resume) && one.pause_ends_at().is_none());
    }

    #[test]
    fn a_conversation_is_in_one_queue_and_has_one_status() {
        let chat = "5511".to_owned();
        let mut one = Conversation::new(Uuid::nil(), TenantIndex(1), ConnectorIndex(1), chat, false, Timestamp(0));
        assert!(one.apply(&ConversationStep::Queue(Some(3))) && !one.apply(&ConversationStep::Queue(Some(3))));
        assert!(one.apply(&ConversationStep::Status(Some(4))) && one.apply(&ConversationStep::Queue(None)));
        assert_eq!((one.queue, one.status_label), (None, Some(4)));
    }

    #[test]
    fn an_archived_conversation_keeps_the_time_of_its_archiving() {
        let chat = "5511".to_owned();
        let mut one = Conversation::new(Uuid::nil(), TenantIndex(1), ConnectorIndex(1), chat, false, Timestamp(0));
        assert!(
            one.apply(&ConversationStep::Archive(Timestamp(5))) && !one.apply(&ConversationStep::Archive(Timestamp(9)))
        );
        assert_eq!(one.archived_at, Some(Timestamp(5)));
        assert!(one.apply(&ConversationStep::Restore) && !one.apply(&ConversationStep::Restore));
    }
}
