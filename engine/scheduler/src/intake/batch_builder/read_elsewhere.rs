//! What the account read on another device.

use pombo_domain::Timestamp;
use pombo_domain::model::event::EventBody;
use pombo_domain::model::{ConversationAction, ConversationStep};
use pombo_domain::ports::{AutomationChange, Change, ChannelEvent, StoreResult, TimelineRange};
use serde::Deserialize;

use super::BatchBuilder;
use crate::intake::bounds::{self, Unfit};

/// The kind of an event without a case of its own: the account read a conversation on another device.
pub(super) const CHAT_READ: &str = "chat-read";
/// Who read it, for the event in the log.
const ELSEWHERE: &str = "channel";
/// Entries of a conversation that are looked through for the newest one that was read.
const READ_PAGE: usize = 200;

/// What an event of the kind [`CHAT_READ`] says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChatRead {
    /// Address of the conversation.
    chat: String,
    /// When it was read, in milliseconds since 1970.
    at_millis: i64,
}

/// Whether the event says what was read. It is looked at when the other events of its call are stored: their messages get their numbers
/// then. Which of them were read is a matter of time, not of their order.
pub(in crate::intake) fn says_what_was_read(event: &ChannelEvent) -> bool {
    matches!(event, ChannelEvent::Other(kind, _) if kind == CHAT_READ)
}

impl BatchBuilder<'_> {
    /// The account read a conversation on another device: what was written up to then is read, and the channel knows it. What is not
    /// of the event's form is passed over.
    pub(super) fn read_elsewhere(&mut self, json: &str) -> StoreResult<Result<(), Unfit>> {
        let Ok(read) = serde_json::from_str::<ChatRead>(json) else {
            tracing::debug!(connector = %self.connector.id, "an event of the kind chat-read is not of its form");
            return Ok(Ok(()));
        };
        if let Err(unfit) = bounds::id(&read.chat) {
            return Ok(Err(unfit));
        }
        let store = &self.context.ports.store;
        let found = match store.conversation_with(self.connector.index, &read.chat)? {
            Some(found) => Some(found),
            // A person is known by another address, perhaps.
            None => {
                let chat = self.chat_of(&read.chat, false)?;
                self.context.ports.store.conversation_with(self.connector.index, &chat)?
            }
        };
        let Some(conversation) = found.filter(|found| found.tenant == self.tenant && found.unread() > 0) else {
            return Ok(Ok(()));
        };
        let page = self.context.ports.store.timeline(
            self.tenant,
            conversation.number,
            &TimelineRange::default(),
            READ_PAGE,
        )?;
        // By the channel's own clock: what was missed while the connection was down is taken later than it was read.
        let until = Timestamp(read.at_millis);
        let newest = page.items.iter().rev().find(|item| !item.entry.from_me && item.entry.sent_at <= until);
        // What was read before is no news.
        let Some(up_to) = newest.map(|item| item.number).filter(|up_to| *up_to > conversation.read_to) else {
            return Ok(Ok(()));
        };
        let (tenant, id) = (self.tenant, conversation.id);
        let step = ConversationStep::Read { up_to, tell: false };
        let change = AutomationChange::Conversation(tenant, id, vec![step]);
        self.changes.push(Change::Automation(Box::new(change)));
        let body = EventBody::Conversation {
            conversation: id,
            chat: conversation.chat,
            step: ConversationAction::Read.into(),
            by: ELSEWHERE.to_owned(),
            detail: String::new(),
        };
        self.append(body, None);
        Ok(Ok(()))
    }
}
