//! What a group does where somebody answers on the account's own phone: pauses that end by themselves, and what waits for their end.
//!
//! Invariant: what waits in the answering lane of a conversation with such a pause was not answered by a person since it came.

use pombo_domain::MessageKey;
use pombo_domain::model::conversation::PHONE;
use pombo_domain::model::event_task::ANSWERING;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use uuid::Uuid;

use super::chat::CHANNEL;
use super::{Group, check_key};
use crate::codec::bad_key;
use crate::keys;
use crate::space::Space;
use crate::tables::conversations::{Lane, Stored};
use crate::tables::tasks::{self, Head};

/// Whether a person who answers has dealt with an event of this kind. The others are between the automation and the engine.
fn is_answered(kind: EventKind) -> bool {
    match kind {
        EventKind::MessageReceived | EventKind::Reaction | EventKind::ConversationOpened => true,
        EventKind::StatusChanged | EventKind::TimerFired | EventKind::Started | EventKind::WebhookCalled => false,
    }
}

impl Group<'_> {
    /// Somebody wrote on the account's own phone.
    pub(super) fn own_message(&mut self, message: OwnMessage) -> StoreResult<()> {
        let OwnMessage { tenant, connector, chat, is_group, effect, event, reason } = message;
        if self.left_out {
            return Ok(());
        }
        check_key(&chat)?;
        let stored = self.chat_of(tenant, connector, chat, Some(is_group), CHANNEL)?;
        let mut next = (*stored).clone();
        let there = next.conversation.handover.as_ref().map(|handover| handover.until);
        let action = match (effect, there) {
            (OwnEffect::PausesUntil(until), None) => {
                if !self.is_answered_on(&next) {
                    return Ok(());
                }
                let (by, at, reason) = (PHONE.to_owned(), self.now, reason.clone());
                next.conversation.handover = Some(Handover { by, at, reason, until: Some(until) });
                self.drop_waiting(&mut next, is_answered)?;
                Some(ConversationAction::Paused)
            }
            (OwnEffect::PausesUntil(until), Some(Some(end))) => {
                if let Some(handover) = &mut next.conversation.handover {
                    handover.until = Some(until.max(end));
                }
                self.drop_waiting(&mut next, is_answered)?;
                None
            }
            (OwnEffect::Resumes, Some(Some(_))) => {
                next.conversation.handover = None;
                self.resume(&mut next)?;
                Some(ConversationAction::Resumed)
            }
            // A pause that does not end by itself is somebody's, and without one there is nothing to resume.
            (OwnEffect::PausesUntil(_), Some(None)) | (OwnEffect::Resumes, Some(None) | None) => return Ok(()),
        };
        if let Some(action) = action {
            self.tell(&next, action, event, reason)?;
        }
        self.save(next);
        Ok(())
    }

    /// A pause ends by itself, unless it was moved on or ended before.
    pub(super) fn end_pause(&mut self, end: PauseEnd, event: Uuid, reason: String) -> StoreResult<()> {
        let Some(stored) = self.conversation(end.conversation)? else { return Ok(()) };
        if stored.conversation.pause_ends_at() != Some(end.at) {
            return Ok(());
        }
        let mut next = (*stored).clone();
        next.conversation.handover = None;
        self.resume(&mut next)?;
        self.tell(&next, ConversationAction::Resumed, event, reason)?;
        self.save(next);
        Ok(())
    }

    /// A message was sent with the engine while a pause lasts that ends by itself: one that a person wrote answers what waits.
    pub(super) fn answered_by_hand(&mut self, next: &mut Stored, message: MessageKey) -> StoreResult<()> {
        if self.staged.get(Space::Timeline, &keys::of_message(keys::AUTHOR, message))?.is_some() {
            self.drop_waiting(next, is_answered)?;
        }
        Ok(())
    }

    /// Takes the events of these kinds out of the answering lane. What is left of it rests, so that no answer to it that is being made
    /// is taken: the conversation's automations are paused.
    pub(super) fn drop_waiting(&mut self, stored: &mut Stored, dropped: impl Fn(EventKind) -> bool) -> StoreResult<()> {
        let Ok(place) = stored.lanes.binary_search_by_key(&ANSWERING, |lane| lane.lane) else { return Ok(()) };
        let mut left = None;
        for (row_key, row) in self.staged.prefix(Space::Work, &keys::lane(stored.conversation.id, ANSWERING))? {
            let key = keys::parse_task(&row_key).ok_or_else(|| bad_key("work"))?;
            if dropped(tasks::parse(key, &row)?.body.kind()) {
                self.staged.delete(Space::Work, row_key);
                continue;
            }
            let (_, last) = left.get_or_insert(((key.number, row), key.number));
            *last = key.number;
        }
        let Some(((first, row), last)) = left else {
            stored.lanes.remove(place);
            return Ok(());
        };
        let head = tasks::head(&row)?;
        stored.lanes[place] = Lane { lane: ANSWERING, first, last, due_at: head.due_at, held: head.held };
        self.set_first(stored, place, row.to_vec(), Head { held: true, ..head });
        Ok(())
    }

    /// Whether an active automation answers in such conversations.
    fn is_answered_on(&self, stored: &Stored) -> bool {
        let Conversation { connector, is_group, .. } = stored.conversation;
        self.automations_on(connector).iter().any(|automation| {
            !automation.observer && automation.events.iter().any(|kind| automation.listens_to(kind, is_group))
        })
    }

    /// Appends the event of what was done with the automations of a conversation.
    fn tell(&mut self, stored: &Stored, action: ConversationAction, id: Uuid, detail: String) -> StoreResult<()> {
        let Conversation { id: conversation, tenant, connector, .. } = stored.conversation;
        let chat = stored.conversation.chat.clone();
        let by = PHONE.to_owned();
        let body = EventBody::Conversation { conversation, chat, step: action.into(), by, detail };
        self.append_event(tenant, NewEvent { id, connector, at: self.now, body })
    }
}
