//! The sentence itself: a pure function, and one function for each status.

use super::{Fact, FactName, NotSeen, Why, WhyCode};
use crate::Timestamp;
use crate::model::hearing::Deaf;
use crate::model::pace::{PaceView, WaitReason};
use crate::model::{MessageState, Reason, ReasonCode, Receipts, Status, StoredMessage};
use crate::ports::SessionState;
use crate::words::Word;

/// What is known of a message.
pub(super) struct Known<'a> {
    /// The message with its state.
    pub(super) stored: &'a StoredMessage,
    /// What the channel reported.
    pub(super) receipts: &'a Receipts,
    /// The session of its connector, where that needs one.
    pub(super) session: Option<&'a SessionState>,
    /// The pace of its connector, if it is known.
    pub(super) pace: Option<&'a PaceView>,
    /// That it was accepted and is not seen.
    pub(super) not_seen: Option<&'a NotSeen>,
    /// Set while its connector is connected and does not hear.
    pub(super) deaf: Option<&'a Deaf>,
    /// Whether the channel reports deliveries at all.
    pub(super) tells_receipts: bool,
    /// Whether another message to the same recipient is with the connector and goes first.
    pub(super) behind: bool,
    /// The present instant.
    pub(super) now: Timestamp,
}

impl Known<'_> {
    fn state(&self) -> &MessageState {
        &self.stored.state
    }
}

impl Why {
    fn new(code: WhyCode, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), until: None, facts: Vec::new() }
    }

    fn until(self, until: Timestamp) -> Self {
        Self { until: Some(until), ..self }
    }

    fn fact(mut self, name: FactName, value: impl ToString) -> Self {
        self.facts.push(Fact { name, value: value.to_string() });
        self
    }

    fn maybe(self, name: FactName, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.fact(name, value),
            None => self,
        }
    }

    /// The attempts, where there were any.
    fn attempts(self, known: &Known<'_>) -> Self {
        let (begun, most) = (known.state().attempts, max_attempts(known));
        match begun {
            0 => self,
            begun => self.fact(FactName::Attempts, begun).maybe(FactName::MaxAttempts, most),
        }
    }

    /// Why the message has its status, as it is stored.
    fn reason(self, reason: Option<&Reason>) -> Self {
        let code = reason.map(|reason| reason.code.as_str());
        let channel_code = reason.and_then(|reason| reason.channel_code.as_deref());
        self.maybe(FactName::Reason, code).maybe(FactName::ChannelCode, channel_code)
    }
}

/// Attempts that count until the message is given up, if that is known.
fn max_attempts(known: &Known<'_>) -> Option<u16> {
    known.pace.map(|pace| pace.max_attempts).filter(|most| *most > 0)
}

/// Why a message is where it is.
pub(super) fn explain(known: &Known<'_>) -> Why {
    let state = known.state();
    match state.status {
        Status::PendingApproval => Why::new(WhyCode::Approval, "It waits until a person approves it."),
        Status::Pending => queued(known),
        Status::Waiting if state.held || state.due_at <= known.now => queued(known),
        Status::Waiting => later(known),
        Status::Processing => sending(known),
        Status::Sent => sent(known),
        Status::Failed => failed(known),
        Status::Canceled => canceled(known),
        Status::Unknown => unknown(known),
    }
}

/// What holds back all messages of the connector, or the next one.
struct Held {
    code: WhyCode,
    sentence: String,
    until: Option<Timestamp>,
}

fn held_by_connector(known: &Known<'_>) -> Option<Held> {
    let pace = known.pace?;
    let reason = pace.reason?;
    let is_paced = matches!(reason, WaitReason::Delay | WaitReason::DailyCap | WaitReason::QuietHours);
    if is_paced && known.stored.message.content.force_direct {
        return None;
    }
    let code = match reason {
        WaitReason::Paused => WhyCode::ConnectorPaused,
        WaitReason::Health => WhyCode::ConnectorHealth,
        WaitReason::Deleted => WhyCode::ConnectorDeleted,
        WaitReason::NoSession if known.session.is_some_and(needs_pairing) => WhyCode::Pairing,
        // The others have the same words.
        other => WhyCode::parse(other.as_str()).unwrap_or(WhyCode::Waiting),
    };
    let until = pace.next_at.filter(|until| *until > known.now);
    let goes_on = until.map_or(String::new(), |until| format!("; it goes on at {}", until.to_iso()));
    let sentence = match reason {
        WaitReason::Delay => format!("The connector pauses between two messages{goes_on}."),
        WaitReason::DailyCap => format!("The connector's cap of the day is reached{goes_on}."),
        WaitReason::QuietHours => format!("These are the connector's quiet hours{goes_on}."),
        WaitReason::Throttled => format!("The channel asked the connector to slow down{goes_on}."),
        WaitReason::Disconnected => format!("The connector's connection to the channel failed{goes_on}."),
        other => {
            let detail = pace.detail.as_deref().unwrap_or(other.as_str());
            format!("It waits for its connector: {detail}.")
        }
    };
    Some(Held { code, sentence, until })
}

/// Whether nothing happens until a person pairs the account.
fn needs_pairing(session: &SessionState) -> bool {
    matches!(
        session,
        SessionState::QrCode(_) | SessionState::PairingCode(_) | SessionState::Unpaired(_) | SessionState::LoggedOut(_)
    )
}

/// It is in the queue of its connector, or its time has come.
fn queued(known: &Known<'_>) -> Why {
    let pace = known.pace;
    let why = match held_by_connector(known) {
        Some(held) => {
            let why = Why::new(held.code, held.sentence);
            let why = match held.until {
                Some(until) => why.until(until),
                None => why,
            };
            match held.code {
                WhyCode::DailyCap => why
                    .maybe(FactName::SentToday, pace.map(|pace| pace.sent_today))
                    .maybe(FactName::CapToday, pace.and_then(|pace| pace.cap_today)),
                _ => why,
            }
        }
        None => Why::new(
            WhyCode::Queue,
            "It is in the queue of its connector, and goes as soon as the messages before it have gone.",
        ),
    };
    why.maybe(FactName::Queued, pace.map(|pace| pace.queued)).reason(known.state().reason.as_ref()).attempts(known)
}

/// It waits for an instant of its own.
fn later(known: &Known<'_>) -> Why {
    let state = known.state();
    let at = state.due_at.to_iso();
    let reason = state.reason.as_ref();
    let detail = reason.map_or("", |reason| reason.detail.as_str());
    let tried = match (state.attempts, max_attempts(known)) {
        (0, _) => "It was not sent yet".to_owned(),
        (begun, Some(most)) => format!("Attempt {begun} of {most} did not send it"),
        (begun, None) => format!("Attempt {begun} did not send it"),
    };
    let code = match reason.map(|reason| &reason.code) {
        Some(Word::Known(code)) => Some(*code),
        _ => None,
    };
    let why = match code {
        None | Some(ReasonCode::Scheduled) if detail.is_empty() || code.is_some() => {
            Why::new(WhyCode::Scheduled, format!("It is scheduled for {at}."))
        }
        Some(ReasonCode::RecipientRate) => Why::new(
            WhyCode::RecipientRate,
            format!("Its recipient is written to as fast as the channel allows; it goes on at {at}."),
        ),
        Some(ReasonCode::Audience) => Why::new(
            WhyCode::Audience,
            format!("As many different people were written to as the channel allows; it goes on at {at}."),
        ),
        Some(ReasonCode::Outreach) => Why::new(
            WhyCode::Outreach,
            format!(
                "The channel lets the account start no conversation with somebody new; it goes on at {at} at the latest."
            ),
        ),
        Some(ReasonCode::Undeliverable) => Why::new(
            WhyCode::Retry,
            format!("The channel could not deliver it ({detail}); it is sent once more at {at}."),
        ),
        Some(
            ReasonCode::Throttled
            | ReasonCode::Disconnected
            | ReasonCode::Temporary
            | ReasonCode::NotCalled
            | ReasonCode::Render
            | ReasonCode::Attachment
            | ReasonCode::UnknownOutcome
            | ReasonCode::Crash,
        ) => Why::new(WhyCode::Retry, format!("{tried} ({detail}); it is tried again at {at}.")),
        _ => Why::new(WhyCode::Waiting, format!("It waits ({detail}) until {at}.")),
    };
    let connector = held_by_connector(known).map(|held| held.sentence);
    why.until(state.due_at).reason(reason).attempts(known).maybe(FactName::Connector, connector)
}

/// It is with its connector.
fn sending(known: &Known<'_>) -> Why {
    let why = match known.behind {
        true => Why::new(WhyCode::SameRecipient, "It waits until another message to the same recipient has been sent."),
        false => Why::new(WhyCode::Sending, "The connector is sending it."),
    };
    why.attempts(known)
}

/// The channel accepted it.
fn sent(known: &Known<'_>) -> Why {
    let (state, receipts) = (known.state(), known.receipts);
    let reached = &receipts.first;
    let accepted = state.sent_at.map_or(String::new(), |at| format!(" at {}", at.to_iso()));
    let is_held = state.reason.as_ref().is_some_and(|reason| reason.code == ReasonCode::Held);
    let why = if let Some(at) = reached.played_at {
        Why::new(WhyCode::Played, format!("The recipient played it at {}.", at.to_iso()))
    } else if let Some(at) = reached.read_at {
        Why::new(WhyCode::Read, format!("It was read at {}.", at.to_iso()))
    } else if let Some(at) = reached.delivered_at {
        Why::new(WhyCode::Delivered, format!("It was delivered at {}; it is not known to be read.", at.to_iso()))
    } else if let Some(failed) = &receipts.failed {
        let why = if failed.why.is_empty() { String::new() } else { format!(" ({})", failed.why) };
        let sentence = format!("The channel accepted it{accepted}, and reported that it could not be delivered{why}.");
        Why::new(WhyCode::NotDelivered, sentence)
            .fact(FactName::FailedAt, failed.at.to_iso())
            .maybe(FactName::ChannelCode, failed.code.as_deref())
    } else if is_held {
        let sentence =
            format!("The channel accepted it{accepted} and keeps it back; a report tells what becomes of it.");
        Why::new(WhyCode::HeldByChannel, sentence)
    } else if let Some(late) = known.not_seen {
        let sentence = format!(
            "The channel accepted it{accepted}, and the recipient's device has not reported it since; most others took less than {}. \
             {}.",
            minutes(late.late_after_ms),
            capital(&late.detail),
        );
        Why::new(WhyCode::NotSeen, sentence)
            .fact(FactName::Cause, late.cause)
            .fact(FactName::LateAfterMs, late.late_after_ms)
            .maybe(FactName::RecipientHeardAt, late.recipient_heard_at.map(Timestamp::to_iso))
    } else if let Some(deaf) = known.deaf {
        let sentence = format!(
            "The channel accepted it{accepted}, and has not reported its delivery; the connector may be deaf: {}.",
            deaf.detail
        );
        Why::new(WhyCode::Accepted, sentence).fact(FactName::Connector, deaf.reason)
    } else if known.tells_receipts {
        let sentence = format!("The channel accepted it{accepted}, and has not reported its delivery.");
        Why::new(WhyCode::Accepted, sentence)
    } else {
        let sentence = format!("The channel accepted it{accepted}; it does not report deliveries.");
        Why::new(WhyCode::Accepted, sentence)
    };
    let iso = |at: Option<Timestamp>| at.map(Timestamp::to_iso);
    why.maybe(FactName::AcceptedAt, iso(state.sent_at))
        .maybe(FactName::DeliveredAt, iso(reached.delivered_at))
        .maybe(FactName::ReadAt, iso(reached.read_at))
        .maybe(FactName::PlayedAt, iso(reached.played_at))
}

/// A time for a person, in whole minutes and never less than it is.
fn minutes(ms: i64) -> String {
    format!("{} minutes", ms.max(0).saturating_add(59_999) / 60_000)
}

/// The text as the beginning of a sentence.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// What to change about a message that failed for this reason.
fn advice(code: Option<ReasonCode>) -> &'static str {
    match code {
        Some(ReasonCode::InvalidRecipient) => "correct the recipient's address",
        Some(ReasonCode::Rejected | ReasonCode::Undeliverable) => {
            "see what the channel says of it, change that, and send it again"
        }
        Some(ReasonCode::Render) => "correct the template or its variables",
        Some(ReasonCode::Attachment) => "give a file that can be fetched",
        Some(ReasonCode::InactiveContact) => "the person asked for no messages; ask the person before you write again",
        Some(ReasonCode::CategoryRefused) => "the person asked for no messages of this category",
        Some(ReasonCode::WindowClosed) => "send a template, or wait until the person writes",
        Some(ReasonCode::ConnectorDeleted) => "send it with another connector",
        Some(ReasonCode::Expired) => "send it again if it is still wanted",
        _ => "try it again once the cause is gone",
    }
}

/// The end of a sentence that tells a stored reason.
fn because(reason: Option<&Reason>) -> String {
    let Some(reason) = reason else { return String::new() };
    let code = reason.channel_code.as_ref().map_or(String::new(), |code| format!(" (the channel's code is {code})"));
    format!(": {}{code}", reason.detail)
}

/// It was given up.
fn failed(known: &Known<'_>) -> Why {
    let reason = known.state().reason.as_ref();
    let code = reason.and_then(|reason| ReasonCode::parse(reason.code.as_str()));
    let advice = advice(code);
    Why::new(WhyCode::Failed, format!("It failed{}; {advice}.", because(reason)))
        .reason(reason)
        .attempts(known)
        .fact(FactName::Advice, advice)
}

/// It was stopped before it was sent.
fn canceled(known: &Known<'_>) -> Why {
    let reason = known.state().reason.as_ref();
    Why::new(WhyCode::Canceled, format!("It was stopped before it was sent{}.", because(reason))).reason(reason)
}

/// Nobody knows whether it was sent.
fn unknown(known: &Known<'_>) -> Why {
    let reason = known.state().reason.as_ref();
    let advice = "a report of the channel or a person decides, because sending it again could send it twice";
    Why::new(WhyCode::Unknown, format!("It may or may not have been sent{}; {advice}.", because(reason)))
        .reason(reason)
        .attempts(known)
        .fact(FactName::Advice, advice)
}
