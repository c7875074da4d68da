//! Sends that wait for their outcome: a message goes ahead of the queue, and the answer says what became of it.
//!
//! What is not sent within the time is taken back, so that a caller who is told "not sent" may send it again. Only what the channel
//! already has cannot be taken back: then the outcome is still to come. `quota`: who may send at all now. `acts`: reactions, edits and
//! deletions, and how messages of a conversation are named.

mod acts;
mod quota;

use std::borrow::Cow;

use futures::future::{Either, select};
use uuid::Uuid;

pub use self::acts::{EntryRef, FoundEntry};
pub(crate) use self::quota::Reservations;
use self::quota::Reserved;
use crate::commands::Commands;
use crate::commands::media_files::{FileRequest, FileSource};
use crate::commands::messages::send::Draft;
use crate::model::reason::Reason;
use crate::model::variables::escaped;
use crate::model::{Delivery, FileKind, MessageOptions, MessageState, ReasonCode, Status, StoredMessage};
use crate::ports::{Batch, Change, Conflict, PaceViews, StoreError, Update};
use crate::{Error, Field, MessageKey, Result, TenantIndex, Timestamp, Word};

/// How long an outcome is waited for where nobody says otherwise, in milliseconds.
pub const WAIT_MS: i64 = 25_000;

/// How long after the request's deadline a message may still be sent where it was not taken back, in milliseconds.
pub const GRACE_MS: i64 = 60_000;

/// When to try again where nobody knows when a conversation may be started, in milliseconds.
const ASK_AGAIN_MS: u64 = 60_000;

/// Maximum number of times that it is decided again how a message stands that could not be taken back.
const DECISIONS: usize = 6;

/// How an outcome is waited for.
#[derive(Clone, Copy)]
pub struct Waiting<'a> {
    /// The connectors' paces: they have the cap of the day.
    pub paces: &'a dyn PaceViews,
    /// How long it is waited for, in milliseconds; see [`WAIT_MS`].
    pub wait_ms: i64,
}

/// A file that was fetched for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchedFile {
    /// Its id in the tenant's media.
    pub id: Uuid,
    /// What it is by its content.
    pub kind: FileKind,
}

/// What became of a message that was to be sent at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentNow {
    /// The channel accepted it.
    Sent {
        /// The message's id.
        id: Uuid,
        /// The channel's id of it, if the channel gave one.
        provider_id: Option<String>,
        /// When it was accepted.
        at: Timestamp,
    },
    /// It cannot be sent: the channel refused it, or it is not fit for sending. It will not be sent.
    Refused {
        /// The message's id.
        id: Uuid,
        /// Why.
        reason: Reason,
    },
    /// The channel asks to slow down. It will not be sent.
    Throttled {
        /// When to try again, in milliseconds from now.
        retry_after_ms: u64,
    },
    /// The channel lets the account start no conversation now, and the recipient is a stranger. It will not be sent.
    NoOutreach {
        /// Why, with the instant at which it ends where that is known.
        reason: Reason,
        /// When to try again, in milliseconds from now.
        retry_after_ms: u64,
    },
    /// The cap of the day is reached. Nothing was stored.
    CapReached {
        /// How long the day lasts, in milliseconds from now.
        retry_after_ms: u64,
    },
    /// It was not sent in time, or somebody canceled it. It will not be sent.
    NotSent {
        /// The message's id.
        id: Uuid,
        /// Why it waited or was given up, if that is known.
        reason: Option<Reason>,
    },
    /// The time is over while it may be with the channel. Its outcome is still to come.
    Pending {
        /// The message's id.
        id: Uuid,
    },
    /// Nobody can tell whether it was sent.
    Unknown {
        /// The message's id.
        id: Uuid,
        /// Why.
        reason: Option<Reason>,
    },
}

impl Commands {
    /// Sends a message at once and waits for its outcome. Its text is not a template: it arrives as it is written here. The pause
    /// between two messages and quiet hours do not hold it; the cap of the day, health and the channel's own limits do.
    ///
    /// Fails, with nothing stored, for a draft that [`Commands::send`] would refuse, and with [`crate::ErrorCode::Disconnected`] where
    /// the connector has no session, [`crate::ErrorCode::Conflict`] where it is paused, [`crate::ErrorCode::AutomationActive`] where an
    /// automation answers the conversation, unless the draft says [`Draft::in_spite_of_automation`].
    pub async fn send_now(&self, tenant: TenantIndex, draft: Draft<'_>, waiting: Waiting<'_>) -> Result<SentNow> {
        let text = draft.text.map(|text| Cow::Owned(escaped(&text)));
        self.send_draft_now(tenant, Draft { text, ..draft }, waiting).await
    }

    /// The same for a message with a file, which needs no text. The draft itself has no files.
    ///
    /// Session, limits and the draft are looked at first, so that nothing is fetched for a message that would be refused; what stands
    /// against the file then fails as in [`Commands::file_to_send`]. A file that was fetched in vain expires.
    pub async fn send_file_now(
        &self,
        tenant: TenantIndex,
        draft: Draft<'_>,
        request: FileRequest<'_>,
        waiting: Waiting<'_>,
    ) -> Result<SentNow> {
        let reserved = match self.reserve_for(tenant, &draft, waiting)? {
            Ok(reserved) => reserved,
            Err(refused) => return Ok(refused),
        };
        let text = draft.text.as_deref().map(|text| Cow::Owned(escaped(text)));
        let options = MessageOptions { file_kind: Some(request.kind), ..draft.options.clone() };
        let draft = Draft { text, options, wordless: true, manual: true, ..draft };
        if let FileSource::Url(url) = request.source {
            let announced = Draft { attachment_url: Some(Cow::Borrowed(url)), ..draft.clone() };
            self.check_draft(tenant, &announced).await?;
        }
        let file = self.file_to_send(tenant, request).await?;
        self.send_reserved(tenant, Draft { attachments: vec![file], ..draft }, reserved, waiting).await
    }

    /// The same for a file that is fetched from a URL now and sent as what it is by its content. Returns the file beside the outcome;
    /// `None` where limits did not allow a send and nothing was fetched. `fits` may refuse what the file turned out to be, before
    /// anything is stored but the file.
    pub async fn send_fetched_now(
        &self,
        tenant: TenantIndex,
        draft: Draft<'_>,
        url: &str,
        fits: impl FnOnce(FileKind) -> Result<()> + Send,
        waiting: Waiting<'_>,
    ) -> Result<(SentNow, Option<FetchedFile>)> {
        let reserved = match self.reserve_for(tenant, &draft, waiting)? {
            Ok(reserved) => reserved,
            Err(refused) => return Ok((refused, None)),
        };
        let text = draft.text.as_deref().map(|text| Cow::Owned(escaped(text)));
        let draft = Draft { text, wordless: true, manual: true, ..draft };
        let announced = Draft { attachment_url: Some(Cow::Borrowed(url)), ..draft.clone() };
        self.check_draft(tenant, &announced).await?;
        let (file, kind) = self.file_as_it_is(tenant, url).await?;
        fits(kind)?;
        let fetched = FetchedFile { id: file.id, kind };
        let options = MessageOptions { file_kind: Some(kind), ..draft.options.clone() };
        let draft = Draft { attachments: vec![file], options, ..draft };
        let sent = self.send_reserved(tenant, draft, reserved, waiting).await?;
        Ok((sent, Some(fetched)))
    }

    /// Sends a draft whose text is already what is to be rendered.
    async fn send_draft_now(&self, tenant: TenantIndex, draft: Draft<'_>, waiting: Waiting<'_>) -> Result<SentNow> {
        match self.reserve_for(tenant, &draft, waiting)? {
            Ok(reserved) => self.send_reserved(tenant, draft, reserved, waiting).await,
            Err(refused) => Ok(refused),
        }
    }

    /// A place for the draft among the day's sends of its connector; see [`Commands::reserve`].
    fn reserve_for(
        &self,
        tenant: TenantIndex,
        draft: &Draft<'_>,
        waiting: Waiting<'_>,
    ) -> Result<Result<Reserved, SentNow>> {
        let Some(id) = draft.connector else { return Err(Error::invalid(Field::Connector, "is required")) };
        let connector = self.live_connector(tenant, id)?;
        self.reserve(&connector, waiting)
    }

    async fn send_reserved(
        &self,
        tenant: TenantIndex,
        draft: Draft<'_>,
        reserved: Reserved,
        waiting: Waiting<'_>,
    ) -> Result<SentNow> {
        let end = self.ports().clock.now().plus_ms(waiting.wait_ms.max(0)).plus_ms(GRACE_MS);
        let options = MessageOptions { expires_at: Some(end), ..draft.options };
        let manual = !draft.in_spite_of_automation;
        let draft =
            Draft { force_direct: true, manual, scheduled_at: None, requires_approval: false, options, ..draft };
        let stored = self.send(tenant, &draft, None).await?;
        Ok(self.outcome(stored, reserved, waiting).await)
    }

    /// Waits until a message has ended, or its time is over. It never fails: by now the message is stored, and a caller must not be
    /// told otherwise.
    async fn outcome(&self, stored: StoredMessage, reserved: Reserved, waiting: Waiting<'_>) -> SentNow {
        let connector = stored.message.content.connector;
        match self.outcome_of(stored, reserved, waiting).await {
            SentNow::NotSent { reason: Some(reason), .. } if reason.code == ReasonCode::Outreach => {
                let now = self.ports().clock.now();
                let view = waiting.paces.pace(connector).ok().flatten();
                let until = view.and_then(|view| view.outreach?.wait(now)?.until());
                let retry_after_ms =
                    until.and_then(|until| u64::try_from(until.since(now)).ok()).unwrap_or(ASK_AGAIN_MS);
                SentNow::NoOutreach { reason, retry_after_ms: retry_after_ms.max(1_000) }
            }
            // The channel asked for a pause that is longer than anybody waits: the message ended without another attempt.
            SentNow::NotSent { id, reason: Some(reason) } if reason.code == ReasonCode::Expired => {
                let now = self.ports().clock.now();
                let view = waiting.paces.pace(connector).ok().flatten();
                match view.and_then(|view| view.throttled_until).filter(|until| *until > now) {
                    Some(until) => {
                        SentNow::Throttled { retry_after_ms: u64::try_from(until.since(now)).unwrap_or(0).max(1_000) }
                    }
                    None => SentNow::NotSent { id, reason: Some(reason) },
                }
            }
            other => other,
        }
    }

    async fn outcome_of(&self, stored: StoredMessage, reserved: Reserved, waiting: Waiting<'_>) -> SentNow {
        let StoredMessage { message, mut state } = stored;
        let (store, clock) = (&self.ports().store, &self.ports().clock);
        let deadline = clock.now().plus_ms(waiting.wait_ms.max(0));
        let mut alarm = clock.sleep_until(deadline);
        let mut reserved = Some(reserved);
        let mut in_doubt = false;
        loop {
            if state.attempts > 0 {
                // From here on the pace itself counts it.
                drop(reserved.take());
            }
            if let Some(ended) = ended(message.id, &state) {
                return if in_doubt { in_spite_of_doubt(ended) } else { ended };
            }
            in_doubt |= state.reason.as_ref().is_some_and(Reason::leaves_doubt);
            if waits_beyond(&state, deadline) {
                break;
            }
            match select(store.message_after(message.key, state.revision), alarm).await {
                Either::Left((Ok(Some(next)), rest)) => {
                    state = next;
                    alarm = rest;
                }
                // Nobody can tell how it stands: it is taken back, if it can be.
                Either::Left((Ok(None) | Err(_), _)) | Either::Right(_) => break,
            }
        }
        if in_doubt {
            // An attempt may have reached the channel: "not sent" could be wrong. It is tried again under the same id.
            return SentNow::Pending { id: message.id };
        }
        self.taken_back(message.id, message.key).await
    }

    /// Takes back a message whose time is over: in the state in which it was read, because the next one may leave doubt.
    async fn taken_back(&self, id: Uuid, key: MessageKey) -> SentNow {
        let (store, clock) = (&self.ports().store, &self.ports().clock);
        for _ in 0..DECISIONS {
            let Ok(Some(StoredMessage { message, state })) = store.message(key) else { break };
            if let Some(ended) = ended(id, &state) {
                return ended;
            }
            if state.reason.as_ref().is_some_and(Reason::leaves_doubt) {
                break;
            }
            // The clock may step back; a message's own times do not.
            let now = clock.now().max(state.updated_at);
            // The channel may have it.
            let Ok(canceled) = state.cancel(Some("not sent in time"), now) else { break };
            let delivery = Delivery::of(&message, Some(state.status), &canceled);
            let update = Change::Update(Update { key, state: canceled, delivery });
            match store.commit(Batch::of(vec![update])).await {
                Ok(_) => return self.not_sent(id, state),
                // The lane was faster.
                Err(StoreError::Conflict(Conflict::Message(_))) => {}
                Err(_) => break,
            }
        }
        SentNow::Pending { id }
    }

    /// What to say of a message that was taken back in this state.
    fn not_sent(&self, id: Uuid, state: MessageState) -> SentNow {
        let throttled = |reason: &Reason| reason.code == Word::Known(ReasonCode::Throttled);
        if state.reason.as_ref().is_some_and(throttled) {
            let wait = state.due_at.since(self.ports().clock.now());
            return SentNow::Throttled { retry_after_ms: u64::try_from(wait).unwrap_or(0).max(1_000) };
        }
        SentNow::NotSent { id, reason: state.reason }
    }
}

/// What became of a message in this state; `None` while that is open.
fn ended(id: Uuid, state: &MessageState) -> Option<SentNow> {
    let reason = state.reason.clone();
    match state.status {
        Status::Pending | Status::Waiting | Status::Processing | Status::PendingApproval => None,
        Status::Sent => {
            let at = state.sent_at.unwrap_or(state.updated_at);
            Some(SentNow::Sent { id, provider_id: state.provider_id.clone(), at })
        }
        Status::Failed => Some(match reason {
            Some(reason) if is_refusal(&reason) => SentNow::Refused { id, reason },
            reason => SentNow::NotSent { id, reason },
        }),
        Status::Canceled => Some(SentNow::NotSent { id, reason }),
        Status::Unknown => Some(SentNow::Unknown { id, reason }),
    }
}

/// What to say of a message that ended so after an attempt that ended in doubt: "not sent" could be wrong.
fn in_spite_of_doubt(ended: SentNow) -> SentNow {
    match ended {
        SentNow::NotSent { id, reason } => SentNow::Unknown { id, reason },
        ended => ended,
    }
}

/// Whether sending the same again would fail again.
fn is_refusal(reason: &Reason) -> bool {
    matches!(
        reason.code,
        Word::Known(
            ReasonCode::InvalidRecipient
                | ReasonCode::Rejected
                | ReasonCode::InactiveContact
                | ReasonCode::CategoryRefused
                | ReasonCode::WindowClosed
                | ReasonCode::Attachment
                | ReasonCode::Render
        )
    )
}

/// Whether nothing will be tried before `deadline`.
fn waits_beyond(state: &MessageState, deadline: Timestamp) -> bool {
    let until = if state.held { state.hold_until } else { Some(state.due_at) };
    state.status == Status::Waiting && until.is_some_and(|until| until > deadline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::message::{Message, MessageOptions, MessageType, NewMessage};
    use crate::{ConnectorIndex, ids};

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn message() -> Message {
        let content = NewMessage {
            connector: ConnectorIndex(1),
            to: "5511".to_owned(),
            text: "Oi".to_owned(),
            subject: None,
            contact_name: None,
            message_type: MessageType::General,
            priority: 5,
            scheduled_at: None,
            requires_approval: false,
            force_direct: true,
            notes: None,
            webhook_url: None,
            external_id: None,
            attachments: Vec::new(),
            attachment_url: None,
            variables: None,
            options: MessageOptions::default(),
        };
        let key = MessageKey { tenant: TenantIndex(1), serial: 9 };
        Message {
            id: ids::message_id(NOW, 9, 7),
            key,
            created_at: NOW,
            ranking: crate::model::Ranking::default(),
            content,
        }
    }

    #[test]
    fn only_what_would_fail_again_is_a_refusal() {
        let message = message();
        let running = message.initial_state().claim(NOW).expect("it is ready");
        for (code, is_refused) in [
            (ReasonCode::InvalidRecipient, true),
            (ReasonCode::Rejected, true),
            (ReasonCode::InactiveContact, true),
            (ReasonCode::Temporary, false),
            (ReasonCode::ConnectorDeleted, false),
            (ReasonCode::Expired, false),
        ] {
            let failed = running.failed(Reason::new(code, "why"), NOW).expect("it runs");
            let ended = ended(message.id, &failed).expect("it has ended");
            assert_eq!(matches!(ended, SentNow::Refused { .. }), is_refused, "{code}");
            assert_eq!(matches!(ended, SentNow::NotSent { .. }), !is_refused, "{code}");
        }
        assert_eq!(ended(message.id, &running), None);
    }

    #[test]
    fn a_retry_after_the_deadline_need_not_be_waited_for() {
        let running = message().initial_state().claim(NOW).expect("it is ready");
        let later = |ms| {
            let reason = Reason::new(ReasonCode::Temporary, "why");
            running.retry_later(reason, NOW.plus_ms(ms), false, NOW).expect("it runs")
        };
        let deadline = NOW.plus_ms(1_000);
        assert!(waits_beyond(&later(1_001), deadline) && !waits_beyond(&later(1_000), deadline));
        assert!(!waits_beyond(&running, deadline));
        let hold = |ms| {
            let reason = Reason::new(ReasonCode::Disconnected, "why");
            message().initial_state().hold(reason, NOW.plus_ms(ms), NOW).expect("it is ready")
        };
        assert!(waits_beyond(&hold(1_001), deadline) && !waits_beyond(&hold(999), deadline));
    }
}
