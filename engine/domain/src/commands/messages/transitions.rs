//! What a person does with a message: look at it, approve, reject, cancel, retry, resolve.
//!
//! The text that a message is sent with is not stored: it is rendered from the template with a seed that follows from the
//! message's id, so a person sees what the recipient gets.
//!
//! A transition is decided by the message's state machine on the state it reads, and stored on the condition that this state is
//! still the stored one. The scheduler writes the same messages: if it was faster, the transition is decided again.

use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::text::{self, Rule};
use crate::ids::render_seed;
use crate::model::message::{MessageAction, NotAllowed, Resolution};
use crate::model::variables::unescaped;
use crate::model::{Delivery, MessageState, Receipts, StoredMessage};
use crate::ports::{Batch, Change, Conflict, RenderJob, StoreError, Update};
use crate::{Error, Field, Result, TenantIndex, Timestamp};

/// Maximum number of times that a transition is decided again because the scheduler was faster.
const DECISIONS: usize = 6;

/// A change of status that a person requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// Approves a PENDING_APPROVAL message: it joins the queue.
    Approve,
    /// Rejects a PENDING_APPROVAL message, for this reason.
    Reject(Option<String>),
    /// Cancels a message, for this reason.
    Cancel(Option<String>),
    /// Tries a FAILED or CANCELED message again.
    Retry,
    /// Decides what happened to an UNKNOWN message.
    Resolve(Resolution),
}

impl Transition {
    fn checked(self) -> Result<Self> {
        let reason = |given: Option<String>| {
            text::checked_optional(Rule { field: Field::Reason, max_chars: 500, lines: true }, given.as_deref())
        };
        Ok(match self {
            Self::Reject(given) => Self::Reject(reason(given)?),
            Self::Cancel(given) => Self::Cancel(reason(given)?),
            other => other,
        })
    }

    fn next(&self, state: &MessageState, now: Timestamp) -> Result<MessageState, NotAllowed> {
        match self {
            Self::Approve => state.approve(now),
            Self::Reject(reason) => state.reject(reason.as_deref(), now),
            Self::Cancel(reason) => state.cancel(reason.as_deref(), now),
            Self::Retry => state.retry(now),
            Self::Resolve(resolution) => state.resolve(*resolution, now),
        }
    }
}

/// A message as a person sees it.
pub struct MessageView {
    /// The message with its state.
    pub stored: StoredMessage,
    /// Public id of its connector.
    pub connector_id: Uuid,
}

/// The text and subject that the recipient gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedMessage {
    /// The text.
    pub text: String,
    /// The subject, if the message has its own.
    pub subject: Option<String>,
}

impl Commands {
    /// A message with its state.
    pub fn get_message(&self, tenant: TenantIndex, id: Uuid) -> Result<MessageView> {
        self.message_view(self.stored_message(tenant, id)?)
    }

    /// What the channel reported about a message after it was sent.
    pub fn message_receipts(&self, stored: &StoredMessage) -> Result<Receipts> {
        Ok(self.ports().store.receipts(stored.message.key)?)
    }

    /// The text and subject that a message's recipient gets; `None` if the template cannot be rendered.
    pub async fn render_message(&self, stored: &StoredMessage) -> Option<RenderedMessage> {
        let content = &stored.message.content;
        if let MessageAction::Other(_) = content.options.action {
            return Some(RenderedMessage { text: unescaped(&content.text), subject: None });
        }
        let variables: Arc<str> = content.template_variables().into();
        let job = |template: &str| RenderJob {
            template: template.into(),
            seed: render_seed(stored.message.id),
            variables: variables.clone(),
        };
        let jobs = std::iter::once(job(&content.text)).chain(content.subject.as_deref().map(job)).collect();
        let mut rendered = self.ports().renderer.render(jobs).await.into_iter();
        let text = rendered.next()?.ok()?;
        let subject = match content.subject {
            Some(_) => Some(rendered.next()?.ok()?),
            None => None,
        };
        Some(RenderedMessage { text, subject })
    }

    fn stored_message(&self, tenant: TenantIndex, id: Uuid) -> Result<StoredMessage> {
        self.ports().store.message_by_id(tenant, id)?.ok_or_else(|| Error::not_found("Message"))
    }

    fn message_view(&self, stored: StoredMessage) -> Result<MessageView> {
        let connector = self.ports().store.connector(stored.message.content.connector)?;
        let missing = || Error::internal("a message names a connector that is not stored");
        Ok(MessageView { connector_id: connector.ok_or_else(missing)?.id, stored })
    }

    /// Carries out a transition, with its webhook delivery in the same batch; returns the message after it.
    pub async fn change_message_status(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        transition: Transition,
    ) -> Result<MessageView> {
        let transition = transition.checked()?;
        let mut stale = None;
        for _ in 0..DECISIONS {
            let StoredMessage { message, state } = self.stored_message(tenant, id)?;
            // The clock may step back; a message's own times do not.
            let now = self.ports().clock.now().max(state.updated_at);
            let next = transition.next(&state, now)?;
            let delivery = Delivery::of(&message, Some(state.status), &next);
            let update = Change::Update(Update { key: message.key, state: next.clone(), delivery });
            match self.ports().store.commit(Batch::of(vec![update])).await {
                Ok(_) => return self.message_view(StoredMessage { message, state: next }),
                Err(error @ StoreError::Conflict(Conflict::Message(_))) => stale = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(stale.map_or_else(|| Error::internal("a transition was never decided"), Error::from))
    }
}
