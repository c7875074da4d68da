//! Whose turn it is: order within a conversation, many conversations at once, claim, observers, bounds.

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{AutomationIndex, ConnectorIndex, TenantIndex};

use super::office::*;
use crate::support::*;

#[tokio::test]
async fn a_message_is_answered_once_and_its_conversation_is_there() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.plugins.act(|call| says(Some("seen"), true, vec![say(&format!("you said {}", text_of(&call.event)))]));
    office.start().await;
    office.hears("5511", "oi").await;
    assert_eq!(office.calls(), ["10: oi"]);
    assert_eq!(office.messages().await, ["you said oi"]);
    assert_eq!(office.connectors.texts(), ["you said oi"]);
    let conversation = office.conversation("5511");
    let state = office.store().automation_state(conversation.id, AutomationIndex(10)).expect("readable");
    assert_eq!(state.as_deref(), Some("seen"));
    let call = office.plugins.calls.lock()[0].clone();
    assert_eq!((&*call.digest, &*call.plugin, &*call.config, call.event.attempt), ("v1", PLUGIN, r#"{"n":10}"#, 1));
    assert_eq!((call.event.chat.as_str(), call.event.channel.as_str()), ("5511", "whatsapp"));
    assert_eq!(office.handle().metrics().automation_events, 1);
    office.assert_done();
}

#[tokio::test]
async fn a_message_that_is_told_twice_or_is_the_accounts_own_is_one_event_or_none() {
    let mut office = Office::new().await;
    office.automation(10, |a| a.events = EventKind::ALL.into_iter().collect()).await;
    office.start().await;
    let message = from("5511", "same");
    office.told(LANE, ChannelEvent::Message(message.clone())).await;
    office.told(LANE, ChannelEvent::Message(message)).await;
    let content = inbound::InboundContent::Reaction { to: "same".to_owned(), emoji: "👍".to_owned() };
    office.told(LANE, ChannelEvent::Message(Inbound { content, ..from("5511", "r") })).await;
    let group = Inbound { is_group: true, chat: "g@us".to_owned(), ..from("5511", "in a group") };
    office.told(LANE, ChannelEvent::Message(group)).await;
    office.told(LANE, ChannelEvent::Message(Inbound { from_me: true, ..from("5511", "own") })).await;
    assert_eq!(office.calls(), ["10: conversation-opened", "10: Oi", "10: reaction 👍"]);
    office.assert_done();
}

#[tokio::test]
async fn a_conversation_is_handled_in_order_and_others_beside_it() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.plugins.act(|call| {
        Says::After(1_000, Ok(Outcome { state: None, actions: vec![say(&text_of(&call.event))], claim: true }))
    });
    office.start().await;
    for n in 0..3 {
        for chat in ["a", "b", "c"] {
            office.hears(chat, &format!("{chat}{n}")).await;
        }
    }
    assert_eq!(office.calls(), ["10: a0", "10: b0", "10: c0"], "the next ones wait for the first");
    office.advance(10_000).await;
    assert_eq!(office.plugins.running.lock().1, 3);
    for chat in ["a", "b", "c"] {
        let own: Vec<String> = office.messages().await.into_iter().filter(|text| text.starts_with(chat)).collect();
        assert_eq!(own, [0, 1, 2].map(|n| format!("{chat}{n}")));
    }
    office.assert_done();
}

#[tokio::test]
async fn the_first_that_claims_answers_and_observers_see_everything() {
    let mut office = Office::new().await;
    for index in [10, 11, 12] {
        office.automation(index, |_| ()).await;
    }
    office.automation(20, |a| a.observer = true).await;
    office.plugins.act(|call| match (call.automation.0, text_of(&call.event).as_str()) {
        // It has something to keep, but does not answer.
        (10, _) => says(Some("met"), false, Vec::new()),
        (11, "for eleven") => says(None, true, vec![say("eleven")]),
        (12, _) => says(None, true, vec![say("twelve")]),
        // An observer's claim is none.
        (20, _) => says(None, true, vec![Action::AddTag("watched".to_owned())]),
        _ => nothing(call),
    });
    office.start().await;
    office.hears("5511", "for eleven").await;
    office.hears("5511", "for anybody").await;
    let mut calls = office.calls();
    let watched: Vec<String> = calls.extract_if(.., |call| call.starts_with("20")).collect();
    assert_eq!(watched, ["20: for eleven", "20: for anybody"]);
    let expected = ["10: for eleven", "11: for eleven", "10: for anybody", "11: for anybody", "12: for anybody"];
    assert_eq!(calls, expected);
    assert_eq!(office.messages().await, ["eleven", "twelve"]);
    assert_eq!(office.conversation("5511").tags, ["watched"]);
    office.assert_done();
}

#[tokio::test]
async fn an_event_is_one_commit_whether_it_is_claimed_or_not() {
    for claim in [true, false] {
        let mut office = Office::new().await;
        office.automation(10, |_| ()).await;
        office.automation(11, |_| ()).await;
        office.plugins.act(move |call| match call.automation.0 {
            10 => nothing(call),
            _ => says(Some("kept"), claim, vec![Action::AddTag("t".to_owned())]),
        });
        office.start().await;
        let steps = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = steps.clone();
        office.store().plan(move |_, batch| {
            let step = |change: &Change| matches!(change, Change::Automation(c) if matches!(**c, AutomationChange::Step { .. }));
            if batch.changes.iter().any(step) {
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            Fate::Passes
        });
        for n in 0..5 {
            office.hears("5511", &n.to_string()).await;
        }
        assert_eq!(
            (office.calls().len(), steps.load(std::sync::atomic::Ordering::Relaxed)),
            (10, 5),
            "claimed {claim}"
        );
        office.assert_done();
    }
}

#[tokio::test]
async fn an_observer_that_fails_holds_up_nobody_and_may_not_answer() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.automation(20, |a| a.observer = true).await;
    office.plugins.act(|call| match call.automation.0 {
        10 => says(None, true, vec![say(&text_of(&call.event))]),
        _ => says(None, false, vec![say("I may not")]),
    });
    office.start().await;
    office.hears("5511", "one").await;
    office.hears("5511", "two").await;
    assert_eq!(office.messages().await, ["one", "two"]);
    office.advance(3_600_000).await;
    let dead_letters = office.dead_letters();
    assert!(
        dead_letters.iter().all(|p| p.code == FailureCode::Unfit && p.automation.0 == 20 && p.tries == 6),
        "{dead_letters:?}"
    );
    assert_eq!((dead_letters.len(), office.messages().await.len()), (2, 2));
    office.assert_done();
}

#[tokio::test]
async fn calls_are_bounded_in_all_and_by_tenant_and_every_tenant_has_its_turn() {
    let mut office = Office::new().await;
    office.options.automations.in_flight = 6;
    office.options.automations.in_flight_per_tenant = 4;
    office.automation(10, |_| ()).await;
    let (other, tenant) = (ConnectorIndex(2), TenantIndex(2));
    office.connector(other, tenant).await;
    office.automation(11, |a| (a.connector, a.tenant) = (other, tenant)).await;
    office.plugins.act(|_| Says::After(1_000, Ok(Outcome { state: None, actions: Vec::new(), claim: true })));
    office.start().await;
    for n in 0..50 {
        office.hears(&format!("chat{n}"), "x").await;
    }
    assert_eq!(office.plugins.running.lock().0, 4);
    let counts = office.handle().automation_metrics();
    assert_eq!((counts.calling, counts.waiting), (4, 46));
    for n in 0..10 {
        office.told(other, ChannelEvent::Message(from(&format!("other{n}"), "1"))).await;
    }
    assert_eq!(office.plugins.running.lock().0, 6);
    office.advance(5_000).await;
    let of_other = office.calls().iter().filter(|call| call.starts_with("11")).count();
    assert_eq!(of_other, 10, "fifty before them are no reason to wait");
    office.advance(60_000).await;
    assert_eq!((office.calls().len(), office.plugins.running.lock().1), (60, 6));
    office.assert_done();
}

#[tokio::test]
async fn more_conversations_than_fit_in_memory_are_read_from_disk() {
    let mut office = Office::new().await;
    office.options.automations.in_flight_per_tenant = 1;
    office.options.automations.queued_per_tenant = 4;
    office.automation(10, |_| ()).await;
    office.plugins.act(|_| Says::After(10, Ok(Outcome { state: None, actions: Vec::new(), claim: true })));
    office.start().await;
    for n in 0..100 {
        office.hears(&format!("chat{n}"), "x").await;
    }
    assert!(office.handle().automation_metrics().waiting <= 4);
    office.advance(5_000).await;
    assert_eq!(office.calls().len(), 100);
    office.assert_done();
}

#[tokio::test]
async fn more_events_than_allowed_wait_and_none_fails() {
    let mut office = Office::new().await;
    let mut limited = uploaded_plugin(PluginKind::Automation, "v1");
    limited.revision = 2;
    if let Some(grants) = &mut limited.grants {
        grants.what.events_per_minute = 6;
    }
    office.write(vec![change(AutomationChange::Plugin(limited))]).await;
    office.automation(10, |_| ()).await;
    office.plugins.act(|_| says(None, true, Vec::new()));
    office.start().await;
    for n in 0..10 {
        office.hears(&format!("chat{n}"), "x").await;
    }
    assert_eq!(office.calls().len(), 6, "a minute's worth");
    assert_eq!(office.handle().automation_metrics().deferred, 4);
    office.advance(10_000).await;
    assert_eq!(office.calls().len(), 7, "then one every ten seconds");
    office.advance(30_000).await;
    assert_eq!(office.calls().len(), 10);
    assert!(office.plugins.calls.lock().iter().all(|call| call.event.attempt == 1));
    office.assert_done();
}

#[tokio::test]
async fn automations_that_are_paused_or_gone_are_not_asked_and_hold_up_nothing() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.plugins.act(|call| match text_of(&call.event).as_str() {
        "remind me" => says(None, true, vec![Action::SetTimer("t".to_owned(), 60_000, String::new())]),
        _ => says(None, true, Vec::new()),
    });
    office.start().await;
    office.hears("5511", "remind me").await;
    office.automation(10, |a| a.status = AutomationStatus::Paused).await;
    office.hears("5511", "nobody is there").await;
    office.advance(120_000).await;
    assert_eq!(office.calls(), ["10: remind me"]);
    office.automation(10, |_| ()).await;
    office.hears("5511", "there again").await;
    assert_eq!(office.calls().len(), 2, "what passed by is not made up for");
    office.assert_done();
}

#[tokio::test]
async fn what_cannot_be_called_waits_without_a_failure_until_it_can() {
    let mut office = Office::new().await;
    let none = Plugin { active: None, revision: 2, ..uploaded_plugin(PluginKind::Automation, "v1") };
    office.write(vec![change(AutomationChange::Plugin(none))]).await;
    office.automation(10, |_| ()).await;
    office.start().await;
    office.hears("5511", "anybody?").await;
    office.advance(3_600_000).await;
    assert_eq!((office.calls(), office.dead_letters().len()), (Vec::<String>::new(), 0));
    let there = Plugin { revision: 3, ..uploaded_plugin(PluginKind::Automation, "v1") };
    office.write(vec![change(AutomationChange::Plugin(there))]).await;
    assert_eq!(office.calls(), ["10: anybody?"], "at once");
    // No room is nobody's fault either.
    let tries = std::sync::atomic::AtomicUsize::new(0);
    office.plugins.act(move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0..20 => fails(CallFailure::NotCalled("no room".to_owned())),
        _ => says(None, true, vec![say("at last")]),
    });
    office.hears("5511", "still there?").await;
    office.advance(600_000).await;
    assert_eq!((office.messages().await, office.dead_letters().len()), (vec!["at last".to_owned()], 0));
    assert!(office.plugins.calls.lock().iter().all(|call| call.event.attempt == 1));
    office.assert_done();
}

#[tokio::test]
async fn draining_ends_what_runs_and_begins_nothing() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.plugins.act(|call| {
        Says::After(2_000, Ok(Outcome { state: None, actions: vec![say(&text_of(&call.event))], claim: true }))
    });
    office.start().await;
    office.hears("5511", "one").await;
    office.hears("5511", "two").await;
    let handle = office.handle().clone();
    let drain = tokio::spawn(async move { handle.drain(std::time::Duration::from_secs(10)).await });
    office.settle().await;
    office.hears("5522", "three").await;
    office.advance(9_000).await;
    assert!(drain.await.expect("it ends"), "in time");
    assert_eq!((office.calls(), office.messages().await), (vec!["10: one".to_owned()], vec!["one".to_owned()]));
    office.restart().await;
    office.advance(10_000).await;
    let mut texts = office.messages().await;
    texts.sort();
    assert_eq!(texts, ["one", "three", "two"]);
    office.assert_done();
}
