//! Refused commits, commits whose answer is lost, panics and restarts: every event has one effect.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_scheduler::rules::draw::{Draw, between};

use super::office::*;
use crate::support::*;

#[tokio::test]
async fn whichever_commit_is_refused_the_answer_is_stored_once() {
    for (nth, lost) in (0..6).flat_map(|nth| [(nth, false), (nth, true)]) {
        let mut office = Office::new().await;
        office.automation(10, |_| ()).await;
        office.automation(11, |_| ()).await;
        office.plugins.act(|call| match call.automation.0 {
            10 => says(Some("kept"), false, vec![Action::AddTag("met".to_owned())]),
            _ => says(None, true, vec![say(&text_of(&call.event))]),
        });
        office.start().await;
        let mut number = 0;
        office.store().plan(move |_, _| {
            number += 1;
            match number == nth + 1 {
                true if lost => Fate::lost(),
                true => Fate::refused(),
                false => Fate::Passes,
            }
        });
        office.hears("5511", "one").await;
        office.hears("5511", "two").await;
        office.advance(60_000).await;
        assert_eq!(office.messages().await, ["one", "two"], "commit {nth}, stored {lost}");
        assert_eq!(office.dead_letters(), []);
        office.store().no_plan();
        office.assert_done();
    }
}

#[tokio::test]
async fn an_answer_that_is_not_stored_at_a_crash_is_given_again() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.plugins.act(|call| says(None, true, vec![say(&text_of(&call.event))]));
    office.start().await;
    let answers = |batch: &Batch| batch.changes.iter().any(|change| matches!(change, Change::Insert(_)));
    office.store().plan(move |_, batch| if answers(batch) { Fate::refused() } else { Fate::Passes });
    office.hears("5511", "hello").await;
    office.advance(120_000).await;
    assert_eq!(
        (office.calls().len(), office.messages().await.len()),
        (1, 0),
        "the answer is kept, not asked for again"
    );
    office.restart().await;
    office.advance(1_000).await;
    assert_eq!((office.calls().len(), office.messages().await), (2, vec!["hello".to_owned()]));
    assert_eq!(office.plugins.calls.lock()[1].event.attempt, 1, "that was no failure");
    office.assert_done();
}

#[tokio::test]
async fn a_panic_in_a_call_is_no_end() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    let calls = AtomicUsize::new(0);
    office.plugins.act(move |call| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Says::Panic,
        _ => says(None, true, vec![say(&text_of(&call.event))]),
    });
    office.start().await;
    office.hears("5511", "one").await;
    office.hears("5522", "two").await;
    assert_eq!(office.messages().await, ["two"]);
    office.advance(10_000).await;
    assert_eq!(office.messages().await, ["two", "one"]);
    office.assert_done();
}

#[tokio::test]
async fn a_contact_that_somebody_makes_meanwhile_is_changed_not_doubled() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.plugins.act(|_| says(None, true, vec![Action::UpdateContact(Some("Ana".to_owned()), Some(false))]));
    office.start().await;
    let store = office.store().disk().clone();
    let made = Arc::new(Mutex::new(false));
    let by_other = made.clone();
    // Between the look and the write somebody replaces the contact by one with another id.
    office.store().plan(move |_, batch| {
        let ours = batch.changes.iter().find_map(|change| match change {
            Change::ContactSteps { id, steps, .. } if steps.iter().any(|s| matches!(s, ContactStep::Name(_))) => {
                Some(*id)
            }
            _ => None,
        });
        if let Some(ours) = ours
            && !std::mem::replace(&mut *by_other.lock(), true)
        {
            let other = samples::contact(TENANT, ContactType::WhatsApp, "5511");
            let other = Contact { id: uuid::Uuid::from_u128(99), ..other };
            let commit = store.commit(Batch::of(vec![Change::DeleteContact(TENANT, ours), Change::Contact(other)]));
            let done = || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                runtime.block_on(commit)
            };
            std::thread::scope(|scope| scope.spawn(done).join()).expect("it ends").expect("a test's own write");
        }
        Fate::Passes
    });
    office.hears("5511", "stop").await;
    assert!(*made.lock());
    let contact = office.store().contact(TENANT, ContactType::WhatsApp, "5511").expect("readable").expect("there");
    assert_eq!((contact.id, contact.active, contact.name.as_deref()), (uuid::Uuid::from_u128(99), false, Some("Ana")));
    assert_eq!(office.calls().len(), 1);
    office.store().no_plan();
    office.assert_done();
}

/// Random answers, failures, timers, refused commits, lost answers and restarts. Every event that was not put aside is answered once,
/// and the answers of a conversation are in the order of its events.
#[tokio::test]
async fn chaos_answers_each_event_once_and_in_order() {
    for seed in 0..12 {
        let mut office = Office::new().await;
        office.options.automations.retry_ms = vec![500, 2_000, 10_000];
        office.options.automations.queued_per_tenant = 3;
        office.automation(10, |_| ()).await;
        office.automation(11, |_| ()).await;
        office.automation(20, |a| a.observer = true).await;
        let mut draw = Draw::new(seed);
        let salt = draw.seed();
        office.plugins.act(move |call| {
            let mut draw = Draw::new(salt ^ call.seed ^ u64::try_from(call.now.0).unwrap_or(0));
            let chance = between(draw.seed(), 0, 19);
            let count = call.state.as_deref().and_then(|state| state.parse::<u32>().ok()).unwrap_or(0);
            let text = text_of(&call.event);
            match (call.automation.0, chance) {
                (_, 0) => fails(CallFailure::Said("not now".to_owned())),
                (_, 1) => fails(CallFailure::NotCalled("no room".to_owned())),
                (_, 2) => fails(CallFailure::TimedOut),
                (10, 3..8) => nothing(call),
                (10, _) => says(Some(&(count + 1).to_string()), false, vec![Action::AddTag(format!("t{chance}"))]),
                (20, _) => says(Some(&(count + 1).to_string()), false, Vec::new()),
                (_, _) => {
                    let mut actions = vec![say(&text)];
                    if chance > 14 && !text.starts_with("timer") {
                        actions.push(Action::SetTimer(format!("of {text}"), 1_000 + chance * 500, String::new()));
                    }
                    let outcome = Outcome { state: Some((count + 1).to_string()), actions, claim: true };
                    Says::After(if chance > 10 { 50 } else { 0 }, Ok(outcome))
                }
            }
        });
        let plan = |office: &Office, seed: u64| {
            let mut faults = Draw::new(seed);
            office.store().plan(move |_, _| match between(faults.seed(), 0, 19) {
                0 => Fate::refused(),
                1 => Fate::lost(),
                _ => Fate::Passes,
            });
        };
        office.start().await;
        plan(&office, seed + 100);
        let chats = ["a", "b", "c", "d"];
        for round in 0..60 {
            let chat = chats[usize::try_from(between(draw.seed(), 0, 3)).expect("small")];
            office.hears(chat, &format!("{chat}-{round:02}")).await;
            office.advance(i64::try_from(between(draw.seed(), 0, 600)).expect("small")).await;
            if between(draw.seed(), 0, 11) == 0 {
                office.restart().await;
                plan(&office, seed * 1_000 + round);
            }
        }
        office.advance(120_000).await;
        office.store().no_plan();
        office.advance(600_000).await;
        let texts = office.messages().await;
        let dead_letters: Vec<String> =
            office.dead_letters().iter().filter(|p| p.automation.0 != 20).map(dead_letter_text).collect();
        let mut answers: HashMap<&str, usize> = HashMap::new();
        for text in &texts {
            *answers.entry(text).or_default() += 1;
        }
        assert!(answers.values().all(|count| *count == 1), "seed {seed}: {answers:?}");
        let heard = |text: &&String| !text.starts_with("timer");
        let dead_letters_heard = dead_letters.iter().filter(heard).count();
        assert_eq!(texts.iter().filter(heard).count() + dead_letters_heard, 60, "seed {seed}: {dead_letters:?}");
        for chat in chats {
            let own: Vec<&String> = texts.iter().filter(|text| text.starts_with(&format!("{chat}-"))).collect();
            assert!(own.is_sorted(), "seed {seed}: {own:?}");
        }
        // Each timer that was set with an answer has fired, and its answer is there once.
        let timers = texts.iter().chain(&dead_letters).filter(|text| text.starts_with("timer")).count();
        let set = office.store().check_automations();
        assert!(set.is_ok() && timers > 0, "seed {seed}");
        office.assert_done();
    }
}

fn dead_letter_text(dead_letter: &DeadLetter) -> String {
    match &dead_letter.task.body {
        TaskBody::Message(Inbound { content: inbound::InboundContent::Text(text), .. }) => text.clone(),
        TaskBody::Timer { name, .. } => format!("timer {name}"),
        other => other.kind().as_str().to_owned(),
    }
}
