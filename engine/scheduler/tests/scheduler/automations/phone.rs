//! Somebody answers on the account's own phone: the automation waits, and nobody is answered twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pombo_domain::model::conversation::PHONE;
use pombo_domain::model::message::{MessageAction, Target};
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{AutomationIndex, Timestamp};
use uuid::Uuid;

use super::office::*;
use crate::support::*;

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600_000;

/// The handover of a conversation, as who and until when.
fn paused(office: &Office, chat: &str) -> Option<(String, Option<Timestamp>)> {
    office.conversation(chat).handover.map(|handover| (handover.by, handover.until))
}

fn by_phone(until: Timestamp) -> Option<(String, Option<Timestamp>)> {
    Some((PHONE.to_owned(), Some(until)))
}

/// An office whose automation answers everything at once.
async fn answering() -> Office {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.plugins.act(|call| says(None, true, vec![say(&format!("answer to {}", text_of(&call.event)))]));
    office.start().await;
    office
}

fn step(office: &Office, chat: &str, step: ConversationStep) -> Change {
    change(AutomationChange::Conversation(TENANT, office.conversation(chat).id, vec![step]))
}

fn taken_over(office: &Office) -> ConversationStep {
    let (by, at) = ("user:1".to_owned(), office.now());
    ConversationStep::Pause(Handover { by, at, reason: String::new(), until: None })
}

#[tokio::test]
async fn the_automation_waits_until_the_phone_is_silent_and_answers_what_nobody_did() {
    let mut office = answering().await;
    office.hears("5511", "oi").await;
    office.types("5511", "it is me").await;
    assert_eq!(paused(&office, "5511"), by_phone(NOON.plus_ms(2 * HOUR)));
    office.hears("5511", "thanks").await;
    office.advance(HOUR).await;
    office.types("5511", "you are welcome").await;
    assert_eq!(paused(&office, "5511"), by_phone(NOON.plus_ms(3 * HOUR)), "moved on");
    office.hears("5511", "one more thing").await;
    office.hears("5511", "and another").await;
    office.restart().await;
    office.advance(2 * HOUR - 1).await;
    assert_eq!(office.messages().await, ["answer to oi"]);
    office.crash().await;
    office.advance(1).await;
    office.start().await;
    office.advance(SECOND).await;
    assert_eq!(office.messages().await[1..], ["answer to one more thing", "answer to and another"]);
    assert_eq!(
        office.log(),
        ["5511 paused by phone: answered on the phone", "5511 resumed by phone: nothing more was written on the phone"],
        "each once"
    );
    office.advance(5 * HOUR).await;
    assert_eq!(office.messages().await.len(), 3, "it ended once");
    office.assert_done();
}

#[tokio::test]
async fn an_answer_that_is_being_made_or_waits_to_be_sent_is_too_late() {
    let mut office = Office::new().await;
    office.automation(10, |a| a.events = EventKind::ALL.into_iter().collect()).await;
    office.plugins.act(|call| match text_of(&call.event).as_str() {
        "slow" => Says::After(SECOND, Ok(Outcome { state: None, actions: vec![say("slow")], claim: true })),
        "later" => {
            let content = SendContent::Text("later".to_owned());
            says(None, true, vec![Action::Send(SendAction { content, reply_to: None, delay_ms: 60_000, label: None })])
        }
        _ => nothing(call),
    });
    office.start().await;
    for text in ["slow", "later"] {
        let chat = format!("55{}", text.len());
        office.hears(&chat, text).await;
        office.types(&chat, "I am faster").await;
    }
    office.advance(3 * HOUR).await;
    assert_eq!(office.connectors.texts(), [""; 0]);
    assert_eq!(office.messages().await, ["later"], "the other one was never taken");
    let rows = office.store().list_messages(TENANT, MessageFilter::default(), 0, 9).await.expect("readable").rows;
    assert_eq!(rows[0].state.status, Status::Canceled);
    assert!(office.calls().contains(&"10: Canceled -".to_owned()), "it is told: {:?}", office.calls());
    office.assert_done();
}

/// The connector may be given the same message again, so that one in doubt is tried once more. The doubt is not in its state by then.
#[tokio::test]
async fn an_answer_that_may_have_been_sent_already_is_not_canceled() {
    let mut office = Office::new().await;
    office.connectors.describe(|plugin| plugin.idempotent_resend = true);
    office.connectors.act(|sent| match sent.attempt {
        1 => Does::Answer(SendOutcome::Unknown("the connection broke".to_owned())),
        _ => Does::Answer(accepted()),
    });
    office.automation(10, |_| ()).await;
    office.plugins.act(|call| says(None, true, vec![say(&format!("answer to {}", text_of(&call.event)))]));
    office.start().await;
    office.hears("5511", "oi").await;
    assert_eq!(office.connectors.texts(), ["answer to oi"]);
    office.types("5511", "it is me").await;
    assert_eq!(paused(&office, "5511"), by_phone(NOON.plus_ms(2 * HOUR)));
    office.advance(60 * SECOND).await;
    assert_eq!(office.connectors.texts(), ["answer to oi"; 2]);
    let rows = office.store().list_messages(TENANT, MessageFilter::default(), 0, 9).await.expect("readable").rows;
    assert_eq!((rows.len(), rows[0].state.status), (1, Status::Sent));
    office.assert_done();
}

#[tokio::test]
async fn a_word_on_the_phone_gives_the_conversation_back_and_is_deleted() {
    let mut office = answering().await;
    office.connectors.describe(|plugin| plugin.features.push("revoke".to_owned()));
    office.types("5511", "hello, we spoke yesterday").await;
    office.hears("5511", "how much is it?").await;
    assert_eq!(office.messages().await, [""; 0], "also where the owner wrote first");
    let word = inbound::InboundContent::Text(" /BOT ".to_owned());
    let word = Inbound { from_me: true, content: word, ..from("5511", "word") };
    for _ in 0..2 {
        office.told(LANE, ChannelEvent::Message(word.clone())).await;
    }
    office.advance(SECOND).await;
    assert_eq!(paused(&office, "5511"), None);
    let sent = office.connectors.sent.lock().clone();
    let deleted: Vec<_> = sent.iter().filter(|sent| matches!(sent.options.action, MessageAction::Revoke(_))).collect();
    let target = Target { provider_id: "word".to_owned(), sender: None, text: None };
    assert_eq!(deleted.len(), 1, "once, however often it is told");
    assert_eq!(deleted[0].options.action, MessageAction::Revoke(target));
    assert!(office.connectors.texts().contains(&"answer to how much is it?".to_owned()));
    assert_eq!(office.log()[1], "5511 resumed by phone: given back on the phone");
    office.assert_done();
}

#[tokio::test]
async fn what_is_not_said_by_the_owner_now_pauses_nothing() {
    use inbound::InboundContent as Content;
    let mut office = answering().await;
    office.connectors.act(|_| Does::Answer(SendOutcome::accepted(Some("OURS".to_owned()))));
    office.hears("5511", "oi").await;
    office.advance(SECOND).await;
    let own = |id: &str, content| Inbound { from_me: true, content, ..from("5511", id) };
    let text = |text: &str| Content::Text(text.to_owned());
    let old = Inbound { sent_at: NOON.plus_ms(-2 * HOUR), ..own("old", text("said long ago")) };
    for message in [
        own("OURS", text("answer to oi")),
        own("r", Content::Reaction { to: "in-1".to_owned(), emoji: "👍".to_owned() }),
        own("e", Content::Edit { of: "old".to_owned(), text: "said longer ago".to_owned() }),
        own("d", Content::Revoke("old".to_owned())),
        own("o", Content::Other("poll".to_owned(), "{}".to_owned())),
        own("b", text("  ")),
        old,
    ] {
        let id = message.provider_id.clone();
        office.told(LANE, ChannelEvent::Message(message)).await;
        assert_eq!(paused(&office, "5511"), None, "{id}");
    }
    let never = TenantSettings { phone_pause_minutes: Some(0), ..TenantSettings::default() };
    office.write(vec![Change::Chat(Box::new(ChatChange::Settings(TENANT, never)))]).await;
    office.types("5511", "it is me").await;
    assert_eq!(paused(&office, "5511"), None, "the tenant does not want it");
    let own_word = TenantSettings {
        phone_pause_minutes: Some(5),
        phone_resume_word: Some("robô".to_owned()),
        ..TenantSettings::default()
    };
    office.write(vec![Change::Chat(Box::new(ChatChange::Settings(TENANT, own_word)))]).await;
    let at = office.now();
    office.types("5511", "/bot").await;
    assert_eq!(paused(&office, "5511"), by_phone(at.plus_ms(300_000)), "as long as the tenant says, by another word");
    office.types("5511", "Robô").await;
    assert_eq!(paused(&office, "5511"), None);
    office.assert_done();
}

/// The channel's id leads to a message of ours, whatever else is known of it.
#[tokio::test]
async fn the_echo_of_a_message_that_is_damaged_is_taken_and_pauses_nothing() {
    let mut office = answering().await;
    office.hears("5511", "oi").await;
    let content = inbound::InboundContent::Text("answer to oi".to_owned());
    let echo = Inbound { from_me: true, content, sent_at: office.now(), ..from("5511", "OURS") };
    for (error, is_taken) in [(unavailable(), false), (StoreError::Damaged("a planned fault".to_owned()), true)] {
        let told = error.to_string();
        office.store().fail_reads(move |method| (method == "message_by_provider_id").then(|| error.clone()));
        let events = vec![ChannelEvent::Message(echo.clone())];
        let taken = office.handle().intake().take(LANE, events, Vec::new()).await;
        assert_eq!(taken.is_ok(), is_taken, "{told}");
        office.settle().await;
        assert_eq!(paused(&office, "5511"), None, "{told}");
    }
    office.store().no_read_plan();
    assert_eq!(office.log(), [""; 0]);
    office.assert_done();
}

#[tokio::test]
async fn a_persons_pause_is_not_the_phones_to_end_or_to_move() {
    let mut office = answering().await;
    office.hears("5511", "oi").await;
    office.write(vec![step(&office, "5511", taken_over(&office))]).await;
    let theirs = Some(("user:1".to_owned(), None));
    for text in ["me too", "/bot"] {
        office.types("5511", text).await;
        assert_eq!(paused(&office, "5511"), theirs, "{text}");
    }
    office.write(vec![step(&office, "5511", ConversationStep::Resume)]).await;
    // It takes the phone's place, and what waited for that one's end passes by.
    office.types("5511", "it is me").await;
    office.hears("5511", "are you there?").await;
    office.write(vec![step(&office, "5511", taken_over(&office))]).await;
    assert_eq!(paused(&office, "5511"), theirs);
    office.advance(3 * HOUR).await;
    office.write(vec![step(&office, "5511", ConversationStep::Resume)]).await;
    office.advance(SECOND).await;
    assert_eq!(office.messages().await, ["answer to oi"]);
    office.assert_done();
}

/// Who answers the conversation, as the engine should see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answers {
    Bot,
    Phone(Timestamp),
    Agent,
}

/// One conversation as it should go.
struct Model {
    chat: String,
    answers: Answers,
    /// Messages of the other side that the automation is still to answer.
    open: BTreeSet<u32>,
    /// Those that it must never answer: a person did, or had the conversation.
    closed: BTreeSet<u32>,
    answered: BTreeSet<u32>,
}

impl Model {
    fn person_answers(&mut self) {
        self.closed.append(&mut self.open);
    }

    /// Looks at what the automation sent since the last look.
    fn look(&mut self, office: &Office, seen: &mut usize, trace: &[String]) {
        let new: Vec<String> = office.connectors.sent.lock()[*seen..].iter().map(|sent| sent.text.clone()).collect();
        *seen += new.len();
        for text in new {
            let Some(number) = text.strip_prefix("answer to ").and_then(|number| number.parse::<u32>().ok()) else {
                continue;
            };
            assert!(self.open.remove(&number), "two voices: {number} was answered by a person; {trace:?}");
            self.answered.insert(number);
        }
        if let Answers::Phone(until) = self.answers
            && until <= office.now()
        {
            self.answers = Answers::Bot;
        }
        let expected = match self.answers {
            Answers::Bot => None,
            Answers::Phone(until) => by_phone(until),
            Answers::Agent => Some(("user:1".to_owned(), None)),
        };
        assert_eq!(paused(office, &self.chat), expected, "{trace:?}");
    }
}

/// What an agent writes by hand, as the commands store it.
fn by_hand(chat: &str) -> Vec<Change> {
    let message = samples::message(LANE, chat, "the agent says");
    vec![
        Change::Insert(Insert { tenant: TENANT, messages: vec![message], idempotency: None }),
        Change::Chat(Box::new(ChatChange::Author("user:1".to_owned()))),
    ]
}

#[tokio::test]
async fn in_500_interleavings_of_phone_agent_and_bot_nobody_is_answered_twice() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    // At once, after thinking, or with a delay before it is sent.
    office.plugins.act(|call| {
        let number = text_of(&call.event);
        let delay_ms = if number.ends_with(['2', '5', '8']) { 2_000 } else { 0 };
        let content = SendContent::Text(format!("answer to {number}"));
        let send = Action::Send(SendAction { content, reply_to: None, delay_ms, label: None });
        let outcome = Outcome { state: None, actions: vec![send], claim: true };
        if number.ends_with(['1', '4', '7']) { Says::After(SECOND, Ok(outcome)) } else { Says::Now(Ok(outcome)) }
    });
    office.start().await;
    let (draw, mut number, mut seen) = (CountingEntropy::new(0x5eed), 0, 0);
    let mut totals = [0, 0];
    for run in 0..500 {
        let mut model = Model {
            chat: format!("5511{run:07}"),
            answers: Answers::Bot,
            open: BTreeSet::new(),
            closed: BTreeSet::new(),
            answered: BTreeSet::new(),
        };
        let chat = model.chat.clone();
        let mut trace = Vec::new();
        for turn in 0..10 {
            // The other side begins, so that there is a conversation.
            let deed = if turn == 0 { 0 } else { draw.u64() % 10 };
            // Who gives a conversation back needs longer for it than an answer is under way.
            if matches!(deed, 6 | 8) {
                office.advance(4 * SECOND).await;
                model.look(&office, &mut seen, &trace);
            }
            match deed {
                0..=2 => {
                    number += 1;
                    trace.push(format!("person {number}"));
                    let to_whom = if model.answers == Answers::Agent { &mut model.closed } else { &mut model.open };
                    to_whom.insert(number);
                    office.hears(&chat, &number.to_string()).await;
                }
                3 | 4 => {
                    trace.push("phone".to_owned());
                    let until = office.now().plus_ms(2 * HOUR);
                    match model.answers {
                        Answers::Bot | Answers::Phone(_) => {
                            model.answers = Answers::Phone(until);
                            model.person_answers();
                        }
                        Answers::Agent => {}
                    }
                    office.types(&chat, "the owner says").await;
                }
                5 if model.answers != Answers::Bot => {
                    trace.push("agent".to_owned());
                    model.person_answers();
                    office.write(by_hand(&chat)).await;
                }
                6 => {
                    trace.push("word".to_owned());
                    if matches!(model.answers, Answers::Phone(_)) {
                        model.answers = Answers::Bot;
                    }
                    office.types(&chat, "/bot").await;
                }
                7 => {
                    trace.push("agent takes over".to_owned());
                    if model.answers != Answers::Agent {
                        model.answers = Answers::Agent;
                        model.person_answers();
                    }
                    office.write(vec![step(&office, &chat, taken_over(&office))]).await;
                }
                8 => {
                    trace.push("agent gives back".to_owned());
                    model.answers = Answers::Bot;
                    office.write(vec![step(&office, &chat, ConversationStep::Resume)]).await;
                }
                _ => {
                    let ms = [100, 700, SECOND, 5 * SECOND, HOUR, 2 * HOUR][(draw.u64() % 6) as usize];
                    trace.push(format!("{ms} ms"));
                    office.advance(ms).await;
                }
            }
            model.look(&office, &mut seen, &trace);
        }
        // Everybody is silent.
        office.advance(4 * SECOND).await;
        model.look(&office, &mut seen, &trace);
        office.advance(2 * HOUR).await;
        model.look(&office, &mut seen, &trace);
        office.advance(60 * SECOND).await;
        model.look(&office, &mut seen, &trace);
        assert!(model.open.is_empty(), "{:?} were answered by nobody; {trace:?}", model.open);
        assert!(model.closed.is_disjoint(&model.answered));
        totals[0] += model.answered.len();
        totals[1] += model.closed.len();
        if run % 100 == 99 {
            office.restart().await;
        }
    }
    assert!(totals.iter().all(|total| *total > 300), "each of them answered: {totals:?}");
    office.assert_done();
}

/// Whether a batch ends the pause of this conversation.
fn ends_pause_of(batch: &Batch, conversation: Uuid) -> bool {
    let ends = |change: &AutomationChange| matches!(change, AutomationChange::EndPause { end, .. } if end.conversation == conversation);
    batch.changes.iter().any(|change| matches!(change, Change::Automation(change) if ends(change)))
}

/// A timer of a conversation that nobody paused, at the instant at which the first pauses end.
async fn timer_beside(office: &mut Office) {
    office.hears("5544", "hello").await;
    let (due_at, conversation) = (NOON.plus_ms(2 * HOUR), office.conversation("5544").id);
    let key = TimerKey { due_at, conversation, automation: AutomationIndex(10), name: "t".to_owned() };
    office.write(vec![change(AutomationChange::SetTimer { key, payload: String::new() })]).await;
}

#[tokio::test]
async fn a_pause_that_is_damaged_keeps_no_other_one_and_no_timer() {
    let mut office = answering().await;
    office.types("5511", "it is me").await;
    office.types("5522", "it is me").await;
    office.hears("5522", "thanks").await;
    timer_beside(&mut office).await;
    office.advance(HOUR).await;
    office.types("5533", "it is me").await;
    office.hears("5533", "bye").await;
    let (broken, refused) = (office.conversation("5511").id, Arc::new(AtomicUsize::new(0)));
    let counted = refused.clone();
    office.store().refuse(move |_, batch| {
        ends_pause_of(batch, broken).then(|| {
            counted.fetch_add(1, Ordering::SeqCst);
            StoreError::Damaged("a planned fault".to_owned())
        })
    });
    office.advance(HOUR + SECOND).await;
    let answers: BTreeSet<String> = office.messages().await.into_iter().collect();
    let expected = ["answer to hello", "answer to thanks", "answer to timer t"].map(str::to_owned);
    assert_eq!(answers, BTreeSet::from(expected));
    office.advance(HOUR).await;
    assert_eq!(office.messages().await[3..], ["answer to bye"], "also what ends later");
    assert_eq!(paused(&office, "5511"), by_phone(NOON.plus_ms(2 * HOUR)));
    assert_eq!(refused.load(Ordering::SeqCst), 2, "with the others, and alone");
    office.assert_done();
}

#[tokio::test]
async fn timers_run_out_while_the_store_ends_no_pause() {
    let mut office = answering().await;
    office.types("5511", "it is me").await;
    office.hears("5511", "thanks").await;
    timer_beside(&mut office).await;
    let broken = office.conversation("5511").id;
    office.store().refuse(move |_, batch| ends_pause_of(batch, broken).then(unavailable));
    office.advance(2 * HOUR + SECOND).await;
    assert_eq!(office.messages().await, ["answer to hello", "answer to timer t"]);
    office.store().no_plan();
    office.advance(HOUR).await;
    assert_eq!(office.messages().await[2..], ["answer to thanks"], "it is tried again");
    office.assert_done();
}
