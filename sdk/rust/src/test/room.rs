//! One conversation as the engine keeps it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::answer::{Sent, SetTimer};
use crate::automation::types::{Action, Conversation};

pub(super) struct Timer {
    pub due: u64,
    pub payload: String,
}

pub(super) struct Room {
    pub conversation: Conversation,
    pub opened: bool,
    pub state: Option<String>,
    pub timers: BTreeMap<String, Timer>,
    pub sent: Vec<Sent>,
    pub handed_over: Option<String>,
    pub contact_active: bool,
    pub read: bool,
    /// The newest received message.
    pub newest: Option<String>,
}

impl Room {
    pub fn new(chat: &str, now: u64) -> Self {
        Self {
            conversation: Conversation {
                id: format!("conversation-{chat}"),
                connector: "connector-1".to_owned(),
                channel: "test".to_owned(),
                chat: chat.to_owned(),
                is_group: false,
                contact_name: None,
                tags: Vec::new(),
                assignee: None,
                opened_at_millis: now,
            },
            opened: false,
            state: None,
            timers: BTreeMap::new(),
            sent: Vec::new(),
            handed_over: None,
            contact_active: true,
            read: false,
            newest: None,
        }
    }

    pub fn timers(&self) -> Vec<SetTimer> {
        let timer = |(name, timer): (&String, &Timer)| SetTimer {
            name: name.clone(),
            due: Duration::from_millis(timer.due),
            payload: timer.payload.clone(),
        };
        let mut timers: Vec<_> = self.timers.iter().map(timer).collect();
        timers.sort_by_key(|t| t.due);
        timers
    }

    pub fn tag(&mut self, tag: &str) {
        if let Err(place) = self.conversation.tags.binary_search_by(|t| t.as_str().cmp(tag)) {
            self.conversation.tags.insert(place, tag.to_owned());
        }
    }

    /// Carries out an action that concerns the conversation; the script carries out the rest.
    pub fn apply(&mut self, action: &Action, now: u64) {
        match action {
            Action::Send(send) => self.sent.push(Sent {
                id: format!("sent-{}-{}", self.conversation.chat, self.sent.len() + 1),
                at: SystemTime::UNIX_EPOCH + Duration::from_millis(now.saturating_add(send.delay_millis)),
                content: send.content.clone(),
                reply_to: send.reply_to.clone(),
                label: send.label.clone(),
            }),
            Action::SetTimer(timer) => {
                let set = Timer { due: now + timer.delay_millis, payload: timer.payload.clone() };
                self.timers.insert(timer.name.clone(), set);
            }
            Action::CancelTimer(name) => {
                self.timers.remove(name);
            }
            Action::AddTag(tag) => self.tag(tag),
            Action::RemoveTag(tag) => self.conversation.tags.retain(|t| t != tag),
            Action::UpdateContact(update) => {
                if update.name.is_some() {
                    self.conversation.contact_name.clone_from(&update.name);
                }
                self.contact_active = update.active.unwrap_or(self.contact_active);
            }
            Action::HandOver(reason) => {
                self.handed_over.get_or_insert_with(|| reason.clone());
            }
            Action::Assign(to) => self.conversation.assignee.clone_from(to),
            Action::MarkRead => self.read = true,
            Action::WriteKv(_) | Action::Emit(_) => {}
        }
    }
}
