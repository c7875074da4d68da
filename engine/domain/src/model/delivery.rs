//! A webhook delivery: one status change on its way to the message's webhook URL. How far a delivery is, [`DeliveryState`], is the same for
//! those of [`super::webhook`].
//!
//! Invariant: of one message, at most one delivery is in the due queue: the oldest one that is neither delivered nor given up.
//! This keeps the deliveries in order.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::reason::Reason;
use crate::{MessageKey, Timestamp};

/// The key of a delivery: its message, and the revision of the status change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeliveryKey {
    /// The message whose status changed.
    pub message: MessageKey,
    /// [`super::MessageState::revision`] after the change.
    pub revision: u32,
}

/// State of a delivery. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum DeliveryStatus {
    /// Not delivered yet.
    Pending = 0,
    /// The receiver answered 2xx.
    Delivered = 1,
    /// The receiver answered 410, or the last attempt failed.
    Abandoned = 2,
}

impl DeliveryStatus {
    /// The documented name: `PENDING`, `DELIVERED` or `ABANDONED`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Delivered => "DELIVERED",
            Self::Abandoned => "ABANDONED",
        }
    }
}

/// An attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAttempt {
    /// When it was made.
    pub at: Timestamp,
    /// HTTP status of the receiver's answer; `None` if there was no answer.
    pub status: Option<u16>,
    /// Why it failed, without the URL.
    pub error: Option<String>,
    /// Duration in milliseconds.
    pub took_ms: u32,
}

/// How far a delivery is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryState {
    /// State of the delivery.
    pub status: DeliveryStatus,
    /// When the next attempt is due.
    pub next_at: Timestamp,
    /// The attempts, oldest first, at most the last [`Delivery::KEPT_ATTEMPTS`].
    pub attempts: Vec<DeliveryAttempt>,
    /// Number of attempts since its creation or its last replay.
    pub tries: u16,
}

impl DeliveryState {
    /// Of a new delivery, due at once.
    pub fn new(now: Timestamp) -> Self {
        Self { status: DeliveryStatus::Pending, next_at: now, attempts: Vec::new(), tries: 0 }
    }

    /// The same delivery to be posted again, starting with the first attempt. Its attempts stay on record.
    pub fn replayed(self, now: Timestamp) -> Self {
        Self { status: DeliveryStatus::Pending, next_at: now, tries: 0, ..self }
    }

    /// Records an attempt; the oldest is forgotten beyond [`Delivery::KEPT_ATTEMPTS`].
    pub fn record(&mut self, attempt: DeliveryAttempt) {
        let surplus = (self.attempts.len() + 1).saturating_sub(Delivery::KEPT_ATTEMPTS);
        self.attempts.drain(..surplus);
        self.attempts.push(attempt);
    }

    /// Gives it up without another attempt, for this reason.
    pub fn abandon(&mut self, why: &str, at: Timestamp) {
        self.record(DeliveryAttempt { at, status: None, error: Some(why.to_owned()), took_ms: 0 });
        self.status = DeliveryStatus::Abandoned;
    }
}

/// A delivery with its attempts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Public id; the same in every attempt (`webhook-id`), so that the receiver can recognise a repetition.
    pub id: Uuid,
    /// The key under which it is stored.
    pub key: DeliveryKey,
    /// URL that it is posted to.
    pub url: String,
    /// The exact body, as JSON.
    pub body: String,
    /// State of the delivery.
    pub status: DeliveryStatus,
    /// When the next attempt is due.
    pub next_at: Timestamp,
    /// The attempts, oldest first, at most the last [`Delivery::KEPT_ATTEMPTS`].
    pub attempts: Vec<DeliveryAttempt>,
    /// Number of attempts since its creation or its last replay.
    pub tries: u16,
    /// When the status changed.
    pub created_at: Timestamp,
}

impl Delivery {
    /// Number of attempts that are kept.
    pub const KEPT_ATTEMPTS: usize = 20;

    /// How far it is.
    pub fn state(&self) -> DeliveryState {
        let Self { status, next_at, attempts, tries, .. } = self;
        DeliveryState { status: *status, next_at: *next_at, attempts: attempts.clone(), tries: *tries }
    }

    /// The same delivery, so far.
    pub fn with_state(self, state: DeliveryState) -> Self {
        let DeliveryState { status, next_at, attempts, tries } = state;
        Self { status, next_at, attempts, tries, ..self }
    }
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
    reason: Option<StatusReason<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_id: Option<&'a str>,
    created_at: String,
    occurred_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    sequence: u32,
}

/// Why the message has its status. Not [`Reason`] itself: that is stored, and the channel's code beside it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusReason<'a> {
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_code: Option<&'a str>,
}

impl<'a> From<&'a Reason> for StatusReason<'a> {
    fn from(reason: &'a Reason) -> Self {
        let Reason { code, detail, channel_code } = reason;
        Self { code: code.as_str(), detail, channel_code: channel_code.as_deref() }
    }
}

impl Delivery {
    /// The delivery of a message's change to `state` (from `previous`; `None` at its creation), if the message has a webhook URL
    /// and its status did change. Deterministic: the delivery's id is derived from the message's id and the revision.
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
            reason: state.reason.as_ref().map(StatusReason::from),
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
