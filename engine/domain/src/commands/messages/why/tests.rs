//! What is said of every state that a message can be in, as tables.

use uuid::Uuid;

use super::explain::{Known, explain};
use super::unseen::{Signs, cause, lateness};
use super::*;
use crate::model::hearing::{Deaf, DeafReason, DeliveryTimes, HearingView};
use crate::model::message::{Message, MessageOptions, NewMessage, Ranking, Resolution};
use crate::model::pace::{PaceView, WaitReason};
use crate::model::{MessageState, MessageType, NotDelivered, Reached, Reason, ReasonCode, Receipts};
use crate::ports::SessionState;
use crate::{ConnectorIndex, TenantIndex};

/// 1 May 2024, 12:00 UTC.
const NOW: Timestamp = Timestamp(1_714_564_800_000);

fn message() -> Message {
    let content = NewMessage {
        connector: ConnectorIndex(1),
        to: "551199".to_owned(),
        text: "a secret text".to_owned(),
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
    let key = MessageKey { tenant: TenantIndex(1), serial: 9 };
    Message { id: Uuid::from_u128(9), key, created_at: NOW, ranking: Ranking::ByCategory, content }
}

/// A message, and all that is known of it.
struct Case {
    stored: StoredMessage,
    receipts: Receipts,
    session: Option<SessionState>,
    hearing: HearingView,
    signs: Signs,
    pace: Option<PaceView>,
    tells_receipts: bool,
    behind: bool,
}

impl Case {
    fn new(state: impl FnOnce(&MessageState) -> MessageState) -> Self {
        let message = message();
        let state = state(&message.initial_state());
        Self {
            stored: StoredMessage { message, state },
            receipts: Receipts::default(),
            session: None,
            hearing: HearingView::default(),
            signs: Signs::default(),
            pace: Some(PaceView { max_attempts: 5, ..PaceView::default() }),
            tells_receipts: true,
            behind: false,
        }
    }

    fn paced(mut self, reason: WaitReason, detail: &str, next_at: Option<Timestamp>) -> Self {
        let detail = Some(detail.to_owned());
        let (sent_today, cap_today) = (50, Some(50));
        let reason = Some(reason);
        self.pace = Some(PaceView { reason, detail, next_at, sent_today, cap_today, ..PaceView::default() });
        self
    }

    fn reached(mut self, delivered: Option<i64>, read: Option<i64>, played: Option<i64>) -> Self {
        let at = |ms: Option<i64>| ms.map(|ms| NOW.plus_ms(ms));
        self.receipts.first = Reached { delivered_at: at(delivered), read_at: at(read), played_at: at(played) };
        self
    }

    fn why(&self) -> Why {
        let late = lateness(&self.stored, &self.receipts, &self.hearing, NOW);
        let not_seen = late.map(|(since, after)| cause(since, after, &self.hearing, self.signs));
        explain(&Known {
            not_seen: not_seen.as_ref(),
            deaf: self.hearing.deaf.as_ref(),
            stored: &self.stored,
            receipts: &self.receipts,
            session: self.session.as_ref(),
            pace: self.pace.as_ref(),
            tells_receipts: self.tells_receipts,
            behind: self.behind,
            now: NOW,
        })
    }
}

#[track_caller]
fn says(case: &Case, code: WhyCode, sentence: &str, until: Option<Timestamp>) {
    let why = case.why();
    assert_eq!((why.code, why.sentence.as_str(), why.until), (code, sentence, until));
    let shown = format!("{why:?}");
    assert!(!shown.contains("a secret text"), "{shown}");
}

fn fact(why: &Why, name: FactName) -> Option<&str> {
    why.facts.iter().find(|fact| fact.name == name).map(|fact| fact.value.as_str())
}

fn same(state: &MessageState) -> MessageState {
    state.clone()
}

fn processing(state: &MessageState) -> MessageState {
    state.claim(NOW).expect("allowed")
}

fn sent(state: &MessageState) -> MessageState {
    processing(state).sent(Some("p-1".to_owned()), NOW).expect("allowed")
}

/// One that failed an attempt for this reason, and is due in a minute.
fn later(code: ReasonCode, free: bool) -> impl FnOnce(&MessageState) -> MessageState {
    move |state| {
        let reason = Reason::new(code, "the detail");
        processing(state).retry_later(reason, NOW.plus_ms(60_000), free, NOW).expect("allowed")
    }
}

#[test]
fn before_it_is_due() {
    let born = |status| move |state: &MessageState| MessageState { status, ..state.clone() };
    says(&Case::new(born(Status::PendingApproval)), WhyCode::Approval, "It waits until a person approves it.", None);
    let at = NOW.plus_ms(3_600_000);
    let scheduled = Case::new(|state| MessageState {
        status: Status::Waiting,
        due_at: at,
        reason: Some(Reason::new(ReasonCode::Scheduled, "scheduled for later")),
        ..state.clone()
    });
    says(&scheduled, WhyCode::Scheduled, "It is scheduled for 2024-05-01T13:00:00.000Z.", Some(at));
    let paused = scheduled.paced(WaitReason::Paused, "the connector is paused; resume it to send", None);
    assert_eq!(
        fact(&paused.why(), FactName::Connector),
        Some("It waits for its connector: the connector is paused; resume it to send."),
        "what would hold it then"
    );
}

#[test]
fn what_holds_the_connector_back_holds_the_message_back() {
    let until = NOW.plus_ms(90_000);
    let iso = "2024-05-01T12:01:30.000Z";
    for (reason, code, next_at, sentence) in [
        (
            WaitReason::Delay,
            WhyCode::Delay,
            Some(until),
            format!("The connector pauses between two messages; it goes on at {iso}."),
        ),
        (
            WaitReason::DailyCap,
            WhyCode::DailyCap,
            Some(until),
            format!("The connector's cap of the day is reached; it goes on at {iso}."),
        ),
        (
            WaitReason::QuietHours,
            WhyCode::QuietHours,
            Some(until),
            format!("These are the connector's quiet hours; it goes on at {iso}."),
        ),
        (
            WaitReason::Throttled,
            WhyCode::Throttled,
            Some(until),
            format!("The channel asked the connector to slow down; it goes on at {iso}."),
        ),
        (
            WaitReason::Disconnected,
            WhyCode::Disconnected,
            Some(until),
            format!("The connector's connection to the channel failed; it goes on at {iso}."),
        ),
        (WaitReason::Paused, WhyCode::ConnectorPaused, None, "It waits for its connector: the detail.".to_owned()),
        (WaitReason::Health, WhyCode::ConnectorHealth, None, "It waits for its connector: the detail.".to_owned()),
        (WaitReason::Deleted, WhyCode::ConnectorDeleted, None, "It waits for its connector: the detail.".to_owned()),
        (WaitReason::NoSession, WhyCode::NoSession, None, "It waits for its connector: the detail.".to_owned()),
    ] {
        says(&Case::new(same).paced(reason, "the detail", next_at), code, &sentence, next_at);
        let held = Case::new(|state| state.hold(Reason::new(ReasonCode::Pace, "held"), until, NOW).expect("allowed"));
        says(&held.paced(reason, "the detail", next_at), code, &sentence, next_at);
    }
    let capped = Case::new(same).paced(WaitReason::DailyCap, "", Some(until)).why();
    assert_eq!((fact(&capped, FactName::SentToday), fact(&capped, FactName::CapToday)), (Some("50"), Some("50")));
}

#[test]
fn a_message_that_bypasses_the_pace_does_not_wait_for_it() {
    for (reason, code) in [
        (WaitReason::Delay, WhyCode::Queue),
        (WaitReason::DailyCap, WhyCode::Queue),
        (WaitReason::QuietHours, WhyCode::Queue),
        (WaitReason::Throttled, WhyCode::Throttled),
        (WaitReason::Paused, WhyCode::ConnectorPaused),
    ] {
        let mut case = Case::new(same).paced(reason, "", Some(NOW.plus_ms(1)));
        case.stored.message.content.force_direct = true;
        assert_eq!(case.why().code, code, "{reason}");
    }
}

#[test]
fn a_session_that_a_person_must_open_is_told_from_one_that_opens_itself() {
    let state = || "gone".to_owned();
    for (session, code) in [
        (SessionState::Unpaired(state()), WhyCode::Pairing),
        (SessionState::LoggedOut(state()), WhyCode::Pairing),
        (SessionState::QrCode("2@secret".to_owned()), WhyCode::Pairing),
        (SessionState::PairingCode("2@secret".to_owned()), WhyCode::Pairing),
        (SessionState::Connecting, WhyCode::NoSession),
        (SessionState::Disconnected(state()), WhyCode::NoSession),
        (SessionState::Failing(state()), WhyCode::NoSession),
    ] {
        let mut case = Case::new(same).paced(WaitReason::NoSession, "scan the QR code", None);
        case.session = Some(session);
        let why = case.why();
        assert_eq!((why.code, why.until), (code, None));
        assert!(!format!("{why:?}").contains("2@secret"), "{why:?}");
    }
}

#[test]
fn in_the_queue_with_nothing_to_wait_for() {
    let sentence = "It is in the queue of its connector, and goes as soon as the messages before it have gone.";
    says(&Case::new(same), WhyCode::Queue, sentence, None);
    let mut unknown = Case::new(same);
    unknown.pace = None;
    says(&unknown, WhyCode::Queue, sentence, None);
    let due = Case::new(|state| MessageState { status: Status::Waiting, due_at: NOW, ..state.clone() });
    says(&due, WhyCode::Queue, sentence, None);
}

#[test]
fn after_an_attempt_that_did_not_send_it() {
    let at = Some(NOW.plus_ms(60_000));
    let iso = "2024-05-01T12:01:00.000Z";
    for code in [
        ReasonCode::Temporary,
        ReasonCode::UnknownOutcome,
        ReasonCode::Crash,
        ReasonCode::Render,
        ReasonCode::Attachment,
        ReasonCode::Throttled,
    ] {
        let sentence = format!("Attempt 1 of 5 did not send it (the detail); it is tried again at {iso}.");
        let case = Case::new(later(code, false));
        says(&case, WhyCode::Retry, &sentence, at);
        let why = case.why();
        assert_eq!((fact(&why, FactName::Attempts), fact(&why, FactName::MaxAttempts)), (Some("1"), Some("5")));
        assert_eq!(fact(&why, FactName::Reason), Some(code.as_str()));
        let free = format!("It was not sent yet (the detail); it is tried again at {iso}.");
        says(&Case::new(later(code, true)), WhyCode::Retry, &free, at);
    }
    let mut unlimited = Case::new(later(ReasonCode::Temporary, false));
    unlimited.pace = None;
    let sentence = format!("Attempt 1 did not send it (the detail); it is tried again at {iso}.");
    says(&unlimited, WhyCode::Retry, &sentence, at);
    let again = Case::new(|state| {
        let reason = Reason::new(ReasonCode::Undeliverable, "131049");
        sent(state).send_again(reason, NOW.plus_ms(60_000), NOW).expect("allowed")
    });
    let sentence = format!("The channel could not deliver it (131049); it is sent once more at {iso}.");
    says(&again, WhyCode::Retry, &sentence, at);
}

#[test]
fn what_the_channel_demands() {
    let at = Some(NOW.plus_ms(60_000));
    let postponed = |code| {
        Case::new(move |state| state.postpone(Reason::new(code, "d"), NOW.plus_ms(60_000), NOW).expect("allowed"))
    };
    let iso = "2024-05-01T12:01:00.000Z";
    let rate = format!("Its recipient is written to as fast as the channel allows; it goes on at {iso}.");
    says(&postponed(ReasonCode::RecipientRate), WhyCode::RecipientRate, &rate, at);
    let audience = format!("As many different people were written to as the channel allows; it goes on at {iso}.");
    says(&postponed(ReasonCode::Audience), WhyCode::Audience, &audience, at);
    let outreach = format!(
        "The channel lets the account start no conversation with somebody new; it goes on at {iso} at the latest."
    );
    says(&postponed(ReasonCode::Outreach), WhyCode::Outreach, &outreach, at);
    says(&postponed(ReasonCode::Throughput), WhyCode::Waiting, &format!("It waits (d) until {iso}."), at);
    let of_tomorrow = Case::new(|state| MessageState {
        status: Status::Waiting,
        due_at: NOW.plus_ms(60_000),
        reason: Some(Reason { code: "of_tomorrow".into(), detail: "e".to_owned(), channel_code: None }),
        ..state.clone()
    });
    says(&of_tomorrow, WhyCode::Waiting, &format!("It waits (e) until {iso}."), at);
}

#[test]
fn with_its_connector() {
    let mut case = Case::new(processing);
    says(&case, WhyCode::Sending, "The connector is sending it.", None);
    case.behind = true;
    says(&case, WhyCode::SameRecipient, "It waits until another message to the same recipient has been sent.", None);
}

#[test]
fn what_became_of_it_after_it_was_accepted() {
    let accepted = "The channel accepted it at 2024-05-01T12:00:00.000Z";
    says(&Case::new(sent), WhyCode::Accepted, &format!("{accepted}, and has not reported its delivery."), None);
    let mut silent = Case::new(sent);
    silent.tells_receipts = false;
    says(&silent, WhyCode::Accepted, &format!("{accepted}; it does not report deliveries."), None);
    let by_a_person = Case::new(|state| {
        let unknown = processing(state).unknown(Reason::new(ReasonCode::Crash, "d"), NOW).expect("allowed");
        unknown.resolve(Resolution::Sent, NOW).expect("allowed")
    });
    assert_eq!(by_a_person.why().code, WhyCode::Accepted);
    let held = Case::new(|state| sent(state).held_by_channel());
    let sentence = format!("{accepted} and keeps it back; a report tells what becomes of it.");
    says(&held, WhyCode::HeldByChannel, &sentence, None);
    for (reached, code, sentence) in [
        (
            [Some(1_000), None, None],
            WhyCode::Delivered,
            "It was delivered at 2024-05-01T12:00:01.000Z; it is not known to be read.",
        ),
        ([Some(1_000), Some(2_000), None], WhyCode::Read, "It was read at 2024-05-01T12:00:02.000Z."),
        (
            [Some(1_000), Some(2_000), Some(3_000)],
            WhyCode::Played,
            "The recipient played it at 2024-05-01T12:00:03.000Z.",
        ),
    ] {
        let [delivered, read, played] = reached;
        says(&Case::new(sent).reached(delivered, read, played), code, sentence, None);
    }
    let mut refused = Case::new(sent);
    let code = Some("131026".to_owned());
    refused.receipts.failed = Some(NotDelivered { at: NOW, why: "gone".to_owned(), code, ..NotDelivered::default() });
    let sentence = format!("{accepted}, and reported that it could not be delivered (gone).");
    says(&refused, WhyCode::NotDelivered, &sentence, None);
    assert_eq!(fact(&refused.why(), FactName::ChannelCode), Some("131026"));
}

#[test]
fn a_failure_says_what_to_change() {
    for (code, advice) in [
        (ReasonCode::InvalidRecipient, "correct the recipient's address"),
        (ReasonCode::Rejected, "see what the channel says of it, change that, and send it again"),
        (ReasonCode::Render, "correct the template or its variables"),
        (ReasonCode::Attachment, "give a file that can be fetched"),
        (ReasonCode::InactiveContact, "the person asked for no messages; ask the person before you write again"),
        (ReasonCode::CategoryRefused, "the person asked for no messages of this category"),
        (ReasonCode::WindowClosed, "send a template, or wait until the person writes"),
        (ReasonCode::ConnectorDeleted, "send it with another connector"),
        (ReasonCode::Expired, "send it again if it is still wanted"),
        (ReasonCode::Temporary, "try it again once the cause is gone"),
    ] {
        let case = Case::new(move |state| {
            let reason = Reason::new(code, "the detail").with_channel_code(Some("470"));
            processing(state).failed(reason, NOW).expect("allowed")
        });
        let sentence = format!("It failed: the detail (the channel's code is 470); {advice}.");
        says(&case, WhyCode::Failed, &sentence, None);
        let why = case.why();
        assert_eq!((fact(&why, FactName::Advice), fact(&why, FactName::ChannelCode)), (Some(advice), Some("470")));
    }
}

#[test]
fn what_nobody_knows_and_what_was_stopped() {
    let case = Case::new(|state| {
        processing(state)
            .unknown(Reason::new(ReasonCode::UnknownOutcome, "the connection broke"), NOW)
            .expect("allowed")
    });
    let sentence = "It may or may not have been sent: the connection broke; a report of the channel or a person decides, because \
                    sending it again could send it twice.";
    says(&case, WhyCode::Unknown, sentence, None);
    let canceled = Case::new(|state| state.cancel(Some("not wanted"), NOW).expect("allowed"));
    says(&canceled, WhyCode::Canceled, "It was stopped before it was sent: not wanted.", None);
}

/// One that was accepted so long before now, among peers of which all but a hundredth were delivered within two minutes.
fn accepted_before(ms: i64) -> Case {
    let mut case = Case::new(|state| MessageState { sent_at: Some(NOW.plus_ms(-ms)), ..sent(state) });
    case.hearing.delivery = Some(DeliveryTimes { samples: 100, p50_ms: 2_000, p99_ms: 120_000 });
    case
}

const HOUR: i64 = 3_600_000;

#[test]
fn a_message_that_is_later_than_its_peers_is_not_seen() {
    let deaf = || Deaf {
        since: NOW,
        noticed_at: NOW,
        reason: DeafReason::NothingHeard,
        detail: "8 people were written to".to_owned(),
    };
    let offline = Signs { heard_at: Some(NOW.plus_ms(-86_400_000)), later_delivered: false };
    let later = Signs { later_delivered: true, ..offline };
    type Change = fn(&mut Case);
    let many: Change = |case| (case.hearing.unanswered, case.hearing.receipt_at) = (4, Some(NOW.plus_ms(-2 * HOUR)));
    let heard_since: Change = |case| (case.hearing.unanswered, case.hearing.receipt_at) = (4, Some(NOW));
    let nothing: Change = |_| ();
    for (signs, change, expected, detail) in [
        (Signs::default(), nothing, UnseenCause::RecipientSilent, "Nothing was ever heard of the recipient."),
        (
            offline,
            nothing,
            UnseenCause::RecipientOffline,
            "Nothing was heard of the recipient since 2024-04-30T12:00:00.000Z.",
        ),
        (
            later,
            nothing,
            UnseenCause::LaterDelivered,
            "Later messages to the recipient were delivered, so this one may be unreadable there.",
        ),
        (later, many, UnseenCause::ManyAtOnce, "4 people gave no receipt since then, so the connector may be deaf."),
        (
            offline,
            heard_since,
            UnseenCause::RecipientOffline,
            "Nothing was heard of the recipient since 2024-04-30T12:00:00.000Z.",
        ),
    ] {
        let mut case = accepted_before(HOUR);
        case.signs = signs;
        change(&mut case);
        let sentence = format!(
            "The channel accepted it at 2024-05-01T11:00:00.000Z, and the recipient's device has not reported it since; most others \
             took less than 10 minutes. {detail}"
        );
        says(&case, WhyCode::NotSeen, &sentence, None);
        let why = case.why();
        assert_eq!(fact(&why, FactName::Cause), Some(expected.as_str()));
        assert_eq!(fact(&why, FactName::LateAfterMs), Some("600000"));
    }
    let mut case = accepted_before(HOUR);
    (case.signs, case.hearing.deaf) = (later, Some(deaf()));
    assert_eq!(fact(&case.why(), FactName::Cause), Some("connector_deaf"));
    let mut early = accepted_before(60_000);
    early.hearing.deaf = Some(deaf());
    let sentence = "The channel accepted it at 2024-05-01T11:59:00.000Z, and has not reported its delivery; the connector may be deaf: \
                    8 people were written to.";
    says(&early, WhyCode::Accepted, sentence, None);
}

#[test]
fn a_message_is_not_late_by_guess() {
    let code = |case: Case| case.why().code;
    assert_eq!(code(accepted_before(599_999)), WhyCode::Accepted, "never before ten minutes");
    assert_eq!(code(accepted_before(600_000)), WhyCode::NotSeen);
    let mut slow = accepted_before(2 * HOUR);
    slow.hearing.delivery = Some(DeliveryTimes { samples: 100, p50_ms: 2_000, p99_ms: 3 * HOUR });
    assert_eq!(code(slow), WhyCode::Accepted, "its peers take that long");
    let mut few = accepted_before(24 * HOUR);
    few.hearing.delivery = Some(DeliveryTimes { samples: 99, p50_ms: 2_000, p99_ms: 120_000 });
    assert_eq!(code(few), WhyCode::Accepted, "too few peers");
    assert_eq!(code(accepted_before(24 * HOUR).reached(Some(-1), None, None)), WhyCode::Delivered);
    let mut reaction = accepted_before(24 * HOUR);
    let target = crate::model::Target { provider_id: "p".to_owned(), sender: None, text: None };
    reaction.stored.message.content.options.action = crate::model::MessageAction::React(target);
    assert_eq!(code(reaction), WhyCode::Accepted, "nobody is shown a reaction as delivered");
    let mut unsent = accepted_before(24 * HOUR);
    unsent.stored.state.status = Status::Unknown;
    assert_eq!(code(unsent), WhyCode::Unknown);
}
