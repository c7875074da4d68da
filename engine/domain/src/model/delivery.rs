//! A webhook delivery: one status change on its way to the message's `webhookUrl`.
//!
//! Invariant: of one message, at most one delivery is in the due queue, the oldest that is neither delivered nor given up:
//! that is what keeps the order.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{MessageKey, Timestamp};

/// Where a delivery lives: its message and the revision it tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeliveryKey {
    /// The message.
    pub message: MessageKey,
    /// [`super::MessageState::revision`] after the change.
    pub revision: u32,
}

/// Where it is in its life. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum DeliveryStatus {
    /// Still to be delivered.
    Pending = 0,
    /// The receiver answered 2xx.
    Delivered = 1,
    /// The receiver answered 410, or the last retry failed.
    Abandoned = 2,
}

impl DeliveryStatus {
    /// `PENDING`, `DELIVERED` or `ABANDONED`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Delivered => "DELIVERED",
            Self::Abandoned => "ABANDONED",
        }
    }
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAttempt {
    /// When.
    pub at: Timestamp,
    /// The receiver's status, `None` when there was no answer.
    pub status: Option<u16>,
    /// Why it failed, without the URL.
    pub error: Option<String>,
    /// How long it took.
    pub took_ms: u32,
}

/// A delivery with what was tried.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Public id; the same in every retry (`webhook-id`), so that the receiver can tell a repetition.
    pub id: Uuid,
    /// Where it lives.
    pub key: DeliveryKey,
    /// Where it goes.
    pub url: String,
    /// The exact body, JSON.
    pub body: String,
    /// Where it is in its life.
    pub status: DeliveryStatus,
    /// When the next try is due.
    pub next_at: Timestamp,
    /// What was tried, oldest first, at most the last [`Delivery::KEPT_ATTEMPTS`].
    pub attempts: Vec<DeliveryAttempt>,
    /// How often it was tried since its creation or its last replay.
    pub tries: u16,
    /// The status change's instant.
    pub created_at: Timestamp,
}

impl Delivery {
    /// How many attempts are kept.
    pub const KEPT_ATTEMPTS: usize = 20;
}

/// The event that a webhook receives. The field names are those of the queue API's message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusEvent<'a> {
    event: &'static str,
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    to: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_status: Option<&'static str>,
    attempts: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a super::message::Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_id: Option<&'a str>,
    created_at: String,
    occurred_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    sequence: u32,
}

impl Delivery {
    /// The delivery of a message's step to `state` (from `previous`, `None` at its birth), where it has a `webhookUrl` and
    /// the status did change. Deterministic: its id is derived from the message's id and the revision.
    pub fn of(message: &super::Message, previous: Option<super::Status>, state: &super::MessageState) -> Option<Self> {
        let url = message.content.webhook_url.as_deref()?;
        if previous == Some(state.status) {
            return None;
        }
        let event = StatusEvent {
            event: "message.status",
            id: message.id,
            external_id: message.content.external_id.as_deref(),
            to: &message.content.to,
            status: state.status.as_str(),
            previous_status: previous.map(super::Status::as_str),
            attempts: state.attempts,
            reason: state.reason.as_ref(),
            provider_id: state.provider_id.as_deref(),
            created_at: message.created_at.to_iso(),
            occurred_at: state.updated_at.to_iso(),
            sent_at: state.sent_at.map(Timestamp::to_iso),
            sequence: state.revision,
        };
        let (high, low) = message.id.as_u64_pair();
        let mixed = crate::ids::render_seed(Uuid::from_u64_pair(high, low ^ (u64::from(state.revision) << 32)));
        // The message's serial stays in the id, so that finding a delivery by it needs no index either.
        let id = crate::ids::message_id(state.updated_at, message.key.serial, mixed);
        Some(Self {
            id,
            key: DeliveryKey { message: message.key, revision: state.revision },
            url: url.to_owned(),
            body: serde_json::to_string(&event).expect("strings and numbers always serialise"),
            status: DeliveryStatus::Pending,
            next_at: state.updated_at,
            attempts: Vec::new(),
            tries: 0,
            created_at: state.updated_at,
        })
    }
}
