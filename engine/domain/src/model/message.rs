//! A message and its life.
//!
//! ```text
//!              approve                    claim                 accepted
//! PENDING_APPROVAL ──► PENDING ◄───────► PROCESSING ───────────────► SENT
//!        │               ▲  │  retry later │  │  └── outcome unknown ► UNKNOWN ── resolved ► SENT / FAILED / PENDING
//!   reject/cancel   due  │  │ cancel       │  └───── given up ───────► FAILED ── retried ─► PENDING
//!        ▼               │  ▼              ▼
//!    CANCELED ◄────── WAITING (scheduled, or backing off, or head of the queue held by the pace)
//! ```
//!
//! A message has two parts: [`Message`], written once, and [`MessageState`], rewritten on every transition. Where a message stands
//! in a queue follows from its state alone: see [`MessageState::position`].

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use super::action::{MessageAction, OwnContent, Target};
use super::reason::{Reason, ReasonCode};
use super::{Attachment, FileKind};
use crate::{ConnectorIndex, MessageKey, Timestamp};

/// Maximum length of a text, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// The category of a message. The numbers are stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[repr(u8)]
pub enum MessageType {
    /// None of the others.
    #[default]
    General = 0,
    /// Tells of something that happened.
    Notification = 1,
    /// Advertises.
    Marketing = 2,
    /// Belongs to a purchase or another process of the recipient.
    Transactional = 3,
    /// Answers a request for help.
    Support = 4,
    /// Reminds of something agreed on.
    Reminder = 5,
}

impl MessageType {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::General, Self::Notification, Self::Marketing, Self::Transactional, Self::Support, Self::Reminder];

    /// Its place among the categories at equal priority, from 1, which goes first. It is stored in the keys of queues: never change one.
    pub fn place(self) -> u8 {
        match self {
            Self::Transactional => 1,
            Self::Notification => 2,
            Self::Support => 3,
            Self::Reminder => 4,
            Self::General => 5,
            Self::Marketing => 6,
        }
    }
}

/// What orders a message among those of the same priority. It is decided when the message is accepted, and kept with it. The numbers
/// are stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[repr(u8)]
pub enum Ranking {
    /// An engine accepted it that did not order by category: it goes before all that are ordered otherwise, whatever their priority.
    Earlier = 0,
    /// Its due time: the connector does not order by category.
    ByTime = 1,
    /// Its category, then its due time.
    #[default]
    ByCategory = 2,
}

/// Status of a message. The numbers are stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Status {
    /// Ready in the queue.
    Pending = 0,
    /// Not ready yet: scheduled, waiting for a retry, or held back by the connector's pace.
    Waiting = 1,
    /// An attempt is stored and the connector is sending it.
    Processing = 2,
    /// The channel accepted it.
    Sent = 3,
    /// Given up, with the reason.
    Failed = 4,
    /// Canceled or rejected before it was sent.
    Canceled = 5,
    /// Waits for a person's approval.
    PendingApproval = 6,
    /// It may or may not have been sent, and sending it again could send it twice: a person decides.
    Unknown = 7,
}

impl Status {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Waiting,
        Self::Processing,
        Self::Sent,
        Self::Failed,
        Self::Canceled,
        Self::PendingApproval,
        Self::Unknown,
    ];
    /// The documented name (`UNKNOWN` is ours).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Waiting => "WAITING",
            Self::Processing => "PROCESSING",
            Self::Sent => "SENT",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
            Self::PendingApproval => "PENDING_APPROVAL",
            Self::Unknown => "UNKNOWN",
        }
    }
    /// The reverse of [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
    /// The status of a message at its creation.
    pub fn at_birth(requires_approval: bool, scheduled_at: Option<Timestamp>, created_at: Timestamp) -> Self {
        if requires_approval {
            Self::PendingApproval
        } else if scheduled_at.is_some_and(|at| at > created_at) {
            Self::Waiting
        } else {
            Self::Pending
        }
    }
}

/// What a caller asked for, checked and normalised: a message without the fields that the store assigns.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMessage {
    /// The connector that sends it.
    pub connector: ConnectorIndex,
    /// Address of the recipient, normalised by the connector's plugin.
    pub to: String,
    /// The template as posted; rendered for each attempt with the same seed.
    pub text: String,
    /// Subject template, for channels that have one.
    pub subject: Option<String>,
    /// The contact's name at the time of posting.
    pub contact_name: Option<String>,
    /// Category.
    pub message_type: MessageType,
    /// Priority, from 1 to 10, where 10 goes first.
    pub priority: u8,
    /// When to send it at the earliest.
    pub scheduled_at: Option<Timestamp>,
    /// Whether it starts in [`Status::PendingApproval`].
    pub requires_approval: bool,
    /// Whether it goes ahead of the queue and bypasses the pace.
    pub force_direct: bool,
    /// Internal remark, never sent.
    pub notes: Option<String>,
    /// URL that receives every status change.
    pub webhook_url: Option<String>,
    /// The caller's own reference.
    pub external_id: Option<String>,
    /// Files posted with it.
    pub attachments: Vec<Attachment>,
    /// URL of a file to fetch before the first attempt.
    pub attachment_url: Option<String>,
    /// The caller's variables, a JSON object as text.
    pub variables: Option<String>,
    /// Options that only some channels support.
    pub options: MessageOptions,
}

/// What a message asks for beyond text and files. The default is a plain message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MessageOptions {
    /// What it does.
    pub action: MessageAction,
    /// The message that it replies to.
    pub reply_to: Option<Target>,
    /// Addresses mentioned in the text.
    pub mentions: Vec<String>,
    /// Whether audio is sent as a voice note.
    pub voice_note: bool,
    /// What its files are shown as; `None`: whatever their types say.
    pub file_kind: Option<FileKind>,
    /// The instant after which it is not sent any more; see [`Message::expires_at`]. Set where somebody waits for the outcome.
    pub expires_at: Option<Timestamp>,
    /// Number of the tenant's template that it was made from.
    pub template: Option<u32>,
    /// Number of the tenant's campaign that it is a row of.
    pub campaign: Option<u32>,
}

/// A message as it was accepted. Immutable.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Public id, see [`crate::ids::message_id`].
    pub id: Uuid,
    /// The key under which it is stored.
    pub key: MessageKey,
    /// When it was accepted. Never decreases with the serial within a tenant.
    pub created_at: Timestamp,
    /// What orders it among those of the same priority.
    pub ranking: Ranking,
    /// What the caller asked for.
    pub content: NewMessage,
}

/// The part of a message that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageState {
    /// Status of the message.
    pub status: Status,
    /// Number of changes so far; an update names the revision that it saw.
    pub revision: u32,
    /// Attempts begun so far.
    pub attempts: u16,
    /// When the next attempt may be made at the earliest; orders the queue within a priority.
    pub due_at: Timestamp,
    /// True while it is WAITING at the head of the ready queue because the pace holds it back until `hold_until`.
    pub held: bool,
    /// With `held`: the instant until which the pace holds it back.
    pub hold_until: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When the channel accepted it.
    pub sent_at: Option<Timestamp>,
    /// The provider's id of the message.
    pub provider_id: Option<String>,
    /// Why it failed, waits, was canceled or is unknown.
    pub reason: Option<Reason>,
    /// The file fetched from `attachment_url`, so that a retry sends the same bytes.
    pub fetched: Option<Attachment>,
}

/// A message with its state.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMessage {
    /// The immutable part.
    pub message: Message,
    /// The part that changes.
    pub state: MessageState,
}

/// The order within a connector's ready queue: rank, then due time, then arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadyOrder {
    /// 0 for a message ahead of the queue, otherwise what [`Message::rank`] says.
    pub rank: u8,
    /// [`MessageState::due_at`].
    pub due_at: Timestamp,
    /// The message's serial.
    pub serial: u64,
}

impl ReadyOrder {
    /// True for a message ahead of the queue.
    pub fn is_direct(&self) -> bool {
        self.rank == 0
    }
}

/// The position of a message in the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// In its connector's ready queue.
    Ready(ReadyOrder),
    /// Among the scheduled messages, until `due_at`.
    Scheduled(Timestamp),
    /// Being sent by the connector.
    InFlight,
    /// In no queue.
    None,
}

impl Message {
    /// The rank in the ready queue: 0 ahead of it; 1 to 10 by priority of those with [`Ranking::Earlier`]; from 16 on, 16 for each
    /// priority, and in it the place of the category. Ranks are stored: what one means never changes.
    pub fn rank(&self) -> u8 {
        if self.content.force_direct {
            return 0;
        }
        let by_priority = 11 - self.content.priority.clamp(1, 10);
        match self.ranking {
            Ranking::Earlier => by_priority,
            Ranking::ByTime => by_priority * 16,
            Ranking::ByCategory => by_priority * 16 + self.content.message_type.place(),
        }
    }

    /// The instant after which a message in this state is not sent any more. `None`: it may be sent at any time. So may one that a person
    /// wants to have tried again after that instant; before it, the instant counts for the retry too.
    pub fn expires_at(&self, state: &MessageState) -> Option<Timestamp> {
        self.content.options.expires_at.filter(|at| state.due_at <= *at)
    }

    /// The state of a message at its creation.
    pub fn initial_state(&self) -> MessageState {
        let now = self.created_at;
        let due_at = self.content.scheduled_at.filter(|at| *at > now).unwrap_or(now);
        let mut state = MessageState {
            status: Status::Pending,
            revision: 0,
            attempts: 0,
            due_at,
            held: false,
            hold_until: None,
            updated_at: now,
            sent_at: None,
            provider_id: None,
            reason: None,
            fetched: None,
        };
        state.status = Status::at_birth(self.content.requires_approval, self.content.scheduled_at, now);
        if state.status == Status::Waiting {
            state.reason = Some(Reason::new(ReasonCode::Scheduled, format!("scheduled for {}", due_at.to_iso())));
        }
        state
    }
}

/// A transition that the current status does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message that is {} cannot be {transition}", .from.as_str())]
pub struct NotAllowed {
    /// The current status.
    pub from: Status,
    /// The transition, as a participle: `canceled`, `approved` …
    pub transition: &'static str,
}

/// A person's decision about an UNKNOWN message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The message arrived.
    Sent,
    /// The message did not arrive and is not to be sent again.
    Failed,
    /// The message did not arrive and is to be sent again.
    Retry,
}

impl MessageState {
    /// The position of a message in this state. Invariant: the store keeps the queues equal to this.
    pub fn position(&self, message: &Message) -> Position {
        self.position_at(message.rank(), message.key.serial)
    }

    /// The same of a message of which only its rank and its serial are at hand.
    pub fn position_at(&self, rank: u8, serial: u64) -> Position {
        let order = ReadyOrder { rank, due_at: self.due_at, serial };
        match self.status {
            Status::Pending => Position::Ready(order),
            Status::Waiting if self.held => Position::Ready(order),
            Status::Waiting => Position::Scheduled(self.due_at),
            Status::Processing => Position::InFlight,
            _ => Position::None,
        }
    }

    fn next(&self, status: Status, now: Timestamp) -> Self {
        Self { status, revision: self.revision + 1, updated_at: now, held: false, hold_until: None, ..self.clone() }
    }

    fn allow(&self, from: &[Status], transition: &'static str) -> Result<(), NotAllowed> {
        if from.contains(&self.status) { Ok(()) } else { Err(NotAllowed { from: self.status, transition }) }
    }

    /// A person approves it: it joins the queue, or waits for its schedule.
    pub fn approve(&self, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::PendingApproval], "approved")?;
        let status = if self.due_at > now { Status::Waiting } else { Status::Pending };
        Ok(Self { reason: None, ..self.next(status, now) })
    }

    /// A person rejects it.
    pub fn reject(&self, why: Option<&str>, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::PendingApproval], "rejected")?;
        let reason = Reason::new(ReasonCode::RejectedByPerson, why.unwrap_or("rejected"));
        Ok(Self { reason: Some(reason), ..self.next(Status::Canceled, now) })
    }

    /// A person cancels it. Not allowed once an attempt is running, because the message may already have been sent.
    pub fn cancel(&self, why: Option<&str>, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Pending, Status::Waiting, Status::PendingApproval], "canceled")?;
        let reason = Reason::new(ReasonCode::Canceled, why.unwrap_or("canceled"));
        Ok(Self { reason: Some(reason), ..self.next(Status::Canceled, now) })
    }

    /// Its campaign is paused: it is taken back, to become another message later. Only before the first attempt: what an attempt may have
    /// sent must not be sent under another id.
    pub fn withdraw(&self, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Pending, Status::Waiting, Status::PendingApproval], "taken back")?;
        if self.attempts > 0 {
            return Err(NotAllowed { from: self.status, transition: "taken back after an attempt" });
        }
        let reason = Reason::new(ReasonCode::Withdrawn, "its campaign was paused");
        Ok(Self { reason: Some(reason), ..self.next(Status::Canceled, now) })
    }

    /// A person wants it tried again, from the first attempt on. Not one that was taken back: its campaign makes another message of it.
    pub fn retry(&self, now: Timestamp) -> Result<Self, NotAllowed> {
        let from: &[Status] = if self.is_withdrawn() { &[Status::Failed] } else { &[Status::Failed, Status::Canceled] };
        self.allow(from, "retried")?;
        // What the channel tells of an earlier attempt is not about the next one.
        Ok(Self { attempts: 0, due_at: now, reason: None, provider_id: None, ..self.next(Status::Pending, now) })
    }

    /// A person decides what happened to an UNKNOWN message.
    pub fn resolve(&self, resolution: Resolution, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Unknown], "resolved")?;
        Ok(match resolution {
            Resolution::Sent => Self { sent_at: Some(now), reason: None, ..self.next(Status::Sent, now) },
            Resolution::Failed => self.next(Status::Failed, now),
            Resolution::Retry => Self { attempts: 0, due_at: now, reason: None, ..self.next(Status::Pending, now) },
        })
    }

    /// It became due: it moves from the scheduled to the ready queue. `due_at` stays, so earlier ones go first.
    pub fn due(&self, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Waiting], "made ready")?;
        Ok(Self { reason: None, ..self.next(Status::Pending, now) })
    }

    /// The pace holds it back at the head of the queue until `until`.
    pub fn hold(&self, reason: Reason, until: Timestamp, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Pending, Status::Waiting], "held")?;
        Ok(Self { held: true, hold_until: Some(until), reason: Some(reason), ..self.next(Status::Waiting, now) })
    }

    /// What the channel demands keeps it back: it leaves the ready queue until `due_at`, so that others go on. No attempt is spent.
    pub fn postpone(&self, reason: Reason, due_at: Timestamp, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Pending, Status::Waiting], "postponed")?;
        Ok(Self { due_at, reason: Some(reason), ..self.next(Status::Waiting, now) })
    }

    /// What kept it back ended earlier than it was told: it goes to the ready queue now.
    pub fn release(&self, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Waiting], "released")?;
        Ok(Self { due_at: self.due_at.min(now), reason: None, ..self.next(Status::Pending, now) })
    }

    /// An attempt begins. Stored before the connector is called.
    pub fn claim(&self, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Pending, Status::Waiting], "claimed")?;
        Ok(Self { attempts: self.attempts.saturating_add(1), reason: None, ..self.next(Status::Processing, now) })
    }

    /// The channel accepted it.
    pub fn sent(&self, provider_id: Option<String>, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Processing, Status::Unknown], "sent")?;
        Ok(Self { sent_at: Some(now), provider_id, reason: None, ..self.next(Status::Sent, now) })
    }

    /// The same, of one that the channel accepted and keeps back for now. A report tells what becomes of it.
    #[must_use]
    pub fn held_by_channel(self) -> Self {
        let detail = "the channel accepted it and kept it back at first; a report tells what becomes of it";
        Self { reason: Some(Reason::new(ReasonCode::Held, detail)), ..self }
    }

    /// It was given up.
    pub fn failed(&self, reason: Reason, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Processing, Status::Pending, Status::Waiting], "failed")?;
        Ok(Self { reason: Some(reason), ..self.next(Status::Failed, now) })
    }

    /// The channel, which had accepted it or may have, could not deliver it.
    pub fn failed_late(&self, reason: Reason, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Sent, Status::Unknown], "failed")?;
        Ok(Self { reason: Some(reason), ..self.next(Status::Failed, now) })
    }

    /// The channel, which had accepted it, could not deliver it: it is sent once more at `due_at`. It keeps when it was sent first, by which
    /// it is not counted as accepted twice.
    pub fn send_again(&self, reason: Reason, due_at: Timestamp, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Sent, Status::Unknown], "sent again")?;
        Ok(Self { due_at, reason: Some(reason), provider_id: None, ..self.next(Status::Waiting, now) })
    }

    /// It will be tried again at `due_at`. With `free`, the attempt does not count, because it was not the message's fault
    /// (throttled, disconnected).
    pub fn retry_later(
        &self,
        reason: Reason,
        due_at: Timestamp,
        free: bool,
        now: Timestamp,
    ) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Processing], "put back")?;
        let attempts = if free { self.attempts.saturating_sub(1) } else { self.attempts };
        let status = if due_at > now { Status::Waiting } else { Status::Pending };
        Ok(Self { attempts, due_at, reason: Some(reason), ..self.next(status, now) })
    }

    /// Nobody can tell whether it was sent, and sending it again could send it twice.
    pub fn unknown(&self, reason: Reason, now: Timestamp) -> Result<Self, NotAllowed> {
        self.allow(&[Status::Processing], "unknown")?;
        Ok(Self { reason: Some(reason), ..self.next(Status::Unknown, now) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TenantIndex;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn message(change: impl FnOnce(&mut NewMessage)) -> Message {
        let mut content = NewMessage {
            connector: ConnectorIndex(1),
            to: "ana@example.com".to_owned(),
            text: "Olá".to_owned(),
            subject: None,
            contact_name: None,
            message_type: MessageType::General,
            priority: 5,
            scheduled_at: None,
            requires_approval: false,
            force_direct: false,
            notes: None,
            webhook_url: None,
            external_id: None,
            attachments: Vec::new(),
            attachment_url: None,
            variables: None,
            options: MessageOptions::default(),
        };
        change(&mut content);
        let key = MessageKey { tenant: TenantIndex(1), serial: 9 };
        Message { id: crate::ids::message_id(NOW, 9, 7), key, created_at: NOW, ranking: Ranking::ByCategory, content }
    }

    #[test]
    fn at_equal_priority_the_category_decides_unless_the_connector_goes_by_time() {
        let of = |message_type, priority, ranking| {
            let message = message(|m| (m.message_type, m.priority) = (message_type, priority));
            Message { ranking, ..message }.rank()
        };
        let order = [
            MessageType::Transactional,
            MessageType::Notification,
            MessageType::Support,
            MessageType::Reminder,
            MessageType::General,
            MessageType::Marketing,
        ];
        let ranks = order.map(|kind| of(kind, 5, Ranking::ByCategory));
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        assert!(of(MessageType::Marketing, 6, Ranking::ByCategory) < ranks[0], "the priority goes first");
        let by_time = order.map(|kind| of(kind, 5, Ranking::ByTime));
        assert!(by_time.iter().all(|rank| *rank == by_time[0] && *rank < ranks[0]));
        let earlier = (1..=10).map(|priority| of(MessageType::Marketing, priority, Ranking::Earlier));
        let least = of(MessageType::Transactional, 10, Ranking::ByTime);
        assert!(earlier.into_iter().all(|rank| (1..=10).contains(&rank) && rank < least));
    }

    #[test]
    fn is_born_where_its_request_puts_it() {
        let plain = message(|_| ());
        let order = ReadyOrder { rank: 6 * 16 + 5, due_at: NOW, serial: 9 };
        assert_eq!(plain.initial_state().position(&plain), Position::Ready(order));

        let later = NOW.plus_ms(60_000);
        let scheduled = message(|m| m.scheduled_at = Some(later));
        assert_eq!(scheduled.initial_state().status, Status::Waiting);
        assert_eq!(scheduled.initial_state().position(&scheduled), Position::Scheduled(later));

        let overdue = message(|m| m.scheduled_at = Some(NOW.plus_ms(-1)));
        assert_eq!(overdue.initial_state().position(&overdue), Position::Ready(order));

        let direct = message(|m| m.force_direct = true);
        assert!(matches!(direct.initial_state().position(&direct), Position::Ready(o) if o.is_direct()));

        let unapproved = message(|m| {
            m.requires_approval = true;
            m.scheduled_at = Some(later);
        });
        let state = unapproved.initial_state();
        assert_eq!((state.status, state.position(&unapproved)), (Status::PendingApproval, Position::None));
        assert_eq!(state.approve(NOW).expect("allowed").position(&unapproved), Position::Scheduled(later));
    }

    #[test]
    fn a_held_message_keeps_its_place_and_can_still_be_claimed_or_canceled() {
        let m = message(|_| ());
        let born = m.initial_state();
        let held = born.hold(Reason::new(ReasonCode::Pace, "daily cap"), NOW.plus_ms(5_000), NOW).expect("allowed");
        assert_eq!(held.status, Status::Waiting);
        assert_eq!(held.position(&m), born.position(&m));
        assert_eq!(held.claim(NOW).expect("allowed").status, Status::Processing);
        assert_eq!(held.cancel(None, NOW).expect("allowed").position(&m), Position::None);
    }

    #[test]
    fn a_message_that_was_put_off_is_released_before_its_time() {
        let m = message(|_| ());
        let reason = Reason::new(ReasonCode::Outreach, "locked");
        let put_off = m.initial_state().postpone(reason, NOW.plus_ms(9_000), NOW).expect("allowed");
        let released = put_off.release(NOW.plus_ms(2_000)).expect("allowed");
        assert_eq!(
            (released.status, released.due_at, released.reason.is_none()),
            (Status::Pending, NOW.plus_ms(2_000), true)
        );
        assert_eq!(
            put_off.release(NOW.plus_ms(9_500)).expect("allowed").due_at,
            NOW.plus_ms(9_000),
            "it was due already"
        );
    }

    #[test]
    fn a_person_who_wants_it_tried_again_later_sets_its_end_aside() {
        let at = NOW.plus_ms(1_000);
        let m = message(|m| m.options.expires_at = Some(at));
        let born = m.initial_state();
        assert_eq!(m.expires_at(&born), Some(at));
        let failed = born.failed(Reason::new(ReasonCode::Expired, "y"), at.plus_ms(1)).expect("allowed");
        assert_eq!(m.expires_at(&failed.retry(at).expect("allowed")), Some(at));
        assert_eq!(m.expires_at(&failed.retry(at.plus_ms(1)).expect("allowed")), None);
        assert_eq!(message(|_| ()).expires_at(&born), None);
    }

    #[test]
    fn a_retry_that_is_not_the_messages_fault_costs_no_attempt() {
        let m = message(|_| ());
        let running = m.initial_state().claim(NOW).expect("allowed");
        assert_eq!(running.attempts, 1);
        let reason = Reason::new(ReasonCode::Throttled, "slow down");
        let back = running.retry_later(reason.clone(), NOW.plus_ms(1_000), true, NOW).expect("allowed");
        assert_eq!((back.attempts, back.status), (0, Status::Waiting));
        assert_eq!(back.position(&m), Position::Scheduled(NOW.plus_ms(1_000)));
        let counted = running.retry_later(reason, NOW, false, NOW).expect("allowed");
        assert_eq!((counted.attempts, counted.status), (1, Status::Pending));
    }

    /// Every transition from every status: exactly the drawn arrows are allowed, each makes the next revision.
    #[test]
    fn only_the_drawn_arrows_exist() {
        type Transition = fn(&MessageState) -> Result<MessageState, NotAllowed>;
        let transitions: [(&str, Transition, &[Status]); 15] = [
            ("approve", |s| s.approve(NOW), &[Status::PendingApproval]),
            ("reject", |s| s.reject(None, NOW), &[Status::PendingApproval]),
            ("cancel", |s| s.cancel(None, NOW), &[Status::Pending, Status::Waiting, Status::PendingApproval]),
            ("retry", |s| s.retry(NOW), &[Status::Failed, Status::Canceled]),
            ("resolve", |s| s.resolve(Resolution::Sent, NOW), &[Status::Unknown]),
            ("due", |s| s.due(NOW), &[Status::Waiting]),
            ("release", |s| s.release(NOW), &[Status::Waiting]),
            ("claim", |s| s.claim(NOW), &[Status::Pending, Status::Waiting]),
            (
                "postpone",
                |s| s.postpone(Reason::new(ReasonCode::Audience, "y"), NOW, NOW),
                &[Status::Pending, Status::Waiting],
            ),
            (
                "failed_late",
                |s| s.failed_late(Reason::new(ReasonCode::Undeliverable, "y"), NOW),
                &[Status::Sent, Status::Unknown],
            ),
            (
                "send_again",
                |s| s.send_again(Reason::new(ReasonCode::Undeliverable, "y"), NOW, NOW),
                &[Status::Sent, Status::Unknown],
            ),
            ("sent", |s| s.sent(None, NOW), &[Status::Processing, Status::Unknown]),
            (
                "failed",
                |s| s.failed(Reason::new(ReasonCode::Rejected, "y"), NOW),
                &[Status::Processing, Status::Pending, Status::Waiting],
            ),
            (
                "retry_later",
                |s| s.retry_later(Reason::new(ReasonCode::Rejected, "y"), NOW, false, NOW),
                &[Status::Processing],
            ),
            ("unknown", |s| s.unknown(Reason::new(ReasonCode::Rejected, "y"), NOW), &[Status::Processing]),
        ];
        let m = message(|_| ());
        for status in Status::ALL {
            let state = MessageState { status, revision: 4, ..m.initial_state() };
            for (name, transition, from) in &transitions {
                let next = transition(&state);
                assert_eq!(next.is_ok(), from.contains(&status), "{name} from {}", status.as_str());
                if let Ok(next) = next {
                    assert_eq!(next.revision, 5, "{name}");
                }
            }
        }
    }

    #[test]
    fn names_round_trip() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert_eq!(Status::ALL[status as usize], status);
        }
        for kind in MessageType::ALL {
            assert_eq!(MessageType::ALL[kind as usize], kind);
        }
    }
}
