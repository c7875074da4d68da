//! What a person does with a message: look at it, approve, reject, cancel, retry, resolve.
//!
//! A step is decided by the message's state machine on the state it reads, and stored on the condition that this state is
//! still the stored one. The scheduler writes the same messages: when it was quicker, the step is decided anew.

use uuid::Uuid;

use super::Commands;
use super::text::{self, Field};
use crate::model::message::{NotAllowed, Resolution};
use crate::model::{Delivery, MessageState, StoredMessage};
use crate::ports::{Batch, Change, Conflict, StoreError, Update};
use crate::{Error, Result, TenantIndex, Timestamp};

/// How often a step is decided anew after the scheduler was quicker.
const DECISIONS: usize = 6;

/// A step that a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Let a PENDING_APPROVAL message into the queue.
    Approve,
    /// Do not; with a reason.
    Reject(Option<String>),
    /// Do not send it; with a reason.
    Cancel(Option<String>),
    /// Try a FAILED or CANCELED one again.
    Retry,
    /// Say what became of an UNKNOWN one.
    Resolve(Resolution),
}

impl Step {
    fn checked(self) -> Result<Self> {
        let reason = |given: Option<String>| {
            text::checked_optional(Field { name: "reason", max_chars: 500, lines: true }, given.as_deref())
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

impl Commands {
    /// A message with its state.
    pub fn get_message(&self, tenant: TenantIndex, id: Uuid) -> Result<StoredMessage> {
        self.ports().store.message_by_id(tenant, id)?.ok_or_else(|| Error::not_found("Message"))
    }

    /// Takes a step, with its webhook delivery in the same batch; the message after it.
    pub async fn step_message(&self, tenant: TenantIndex, id: Uuid, step: Step) -> Result<StoredMessage> {
        let step = step.checked()?;
        let mut stale = None;
        for _ in 0..DECISIONS {
            let StoredMessage { message, state } = self.get_message(tenant, id)?;
            // The clock may step back; a message's own times do not.
            let now = self.ports().clock.now().max(state.updated_at);
            let next = step.next(&state, now)?;
            let delivery = Delivery::of(&message, Some(state.status), &next);
            let update = Change::Update(Update { key: message.key, state: next.clone(), delivery });
            match self.ports().store.commit(Batch::of(vec![update])).await {
                Ok(_) => return Ok(StoredMessage { message, state: next }),
                Err(error @ StoreError::Conflict(Conflict::Message(_))) => stale = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(stale.map_or_else(|| Error::internal("a step was never decided"), Error::from))
    }
}
