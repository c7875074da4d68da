//! What becomes of an answer: messages, timers, tags, contacts, hand-over, recordings.

use pombo_domain::AutomationIndex;
use pombo_domain::model::message::{MessageAction, Target};
use pombo_domain::model::recording::Recording;
use pombo_domain::model::*;
use pombo_domain::ports::*;

use super::office::*;
use crate::support::*;

const DAY: i64 = 86_400_000;

fn all_events(automation: &mut Automation) {
    automation.events = EventKind::ALL.into_iter().collect();
}

#[tokio::test]
async fn everything_that_an_answer_can_hold_is_done_together() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.plugins.act(|call| {
        let TaskBody::Message(inbound) = &call.event.body else { return nothing(call) };
        let reply = SendAction {
            content: SendContent::Template("Olá, {{ n }}".to_owned(), r#"{"n":1}"#.to_owned()),
            reply_to: Some(inbound.provider_id.clone()),
            delay_ms: 5_000,
            label: None,
        };
        let react = SendContent::Reaction {
            message: inbound.provider_id.clone(),
            sender: Some(inbound.sender.clone()),
            emoji: "👍".to_owned(),
        };
        let file = SendContent::FileUrl {
            url: "https://files.test/a.pdf".to_owned(),
            caption: Some("{see}".to_owned()),
            voice_note: false,
        };
        let send = |content| Action::Send(SendAction { content, reply_to: None, delay_ms: 0, label: None });
        says(
            Some("s1"),
            true,
            vec![
                say(r"a {choice|or} a \ slash"),
                Action::Send(reply),
                send(react),
                send(file),
                Action::WriteKv("seen".to_owned(), Some("1".to_owned())),
                Action::AddTag("vip".to_owned()),
                Action::AddTag("late".to_owned()),
                Action::RemoveTag("late".to_owned()),
                Action::UpdateContact(Some("Ana".to_owned()), None),
                Action::Assign(Some("maria".to_owned())),
                Action::Emit("order".to_owned(), r#"{"id":7}"#.to_owned()),
                Action::MarkRead,
            ],
        )
    });
    office.start().await;
    office.hears("5511", "oi").await;
    office.advance(1_000).await;
    assert_eq!(office.messages().await, [r"a \{choice\|or\} a \\ slash", "Olá, {{ n }}", "👍", r"\{see\}"]);
    assert_eq!(office.connectors.sent.lock().len(), 3, "one is delayed");
    office.advance(5_000).await;
    let sent = office.connectors.sent.lock().clone();
    let of = |text: &str| sent.iter().find(|sent| sent.text == text).expect("sent").options.clone();
    let target = Target { provider_id: "in-1".to_owned(), sender: Some("5511".to_owned()), text: None };
    assert_eq!(of("👍").action, MessageAction::React(target.clone()));
    assert_eq!(of("Olá, 1").reply_to, Some(Target { text: Some("oi".to_owned()), ..target.clone() }));
    let conversation = office.conversation("5511");
    assert_eq!(
        (conversation.tags.as_slice(), conversation.assignee.as_deref()),
        (&["vip".to_owned()][..], Some("maria"))
    );
    let store = office.store();
    let contact = store.contact(TENANT, ContactType::WhatsApp, "5511").expect("readable").expect("there");
    assert_eq!(contact.name.as_deref(), Some("Ana"));
    assert_eq!(store.kv_get(AutomationIndex(10).kv(), "seen").expect("readable").as_deref(), Some(&b"1"[..]));
    let by = uuid::Uuid::from_u128(10);
    let told = [
        format!("5511 assigned by automation:{by}: maria"),
        r#"emitted order {"id":7}"#.to_owned(),
        format!("5511 tagged by automation:{by}: vip"),
    ];
    assert_eq!(office.log(), told);
    let read = Operation::Read { chat: "5511".to_owned(), messages: vec![target] };
    assert_eq!(*office.connectors.operations.lock(), [read]);
    office.assert_done();
}

#[tokio::test]
async fn timers_fire_after_months_and_restarts_and_can_be_replaced_and_canceled() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    let set = |name: &str, ms: i64| Action::SetTimer(name.to_owned(), ms.unsigned_abs(), format!("of {name}"));
    office.plugins.act(move |call| match (&call.event.body, text_of(&call.event).as_str()) {
        (TaskBody::Timer { name, payload, .. }, _) => says(None, true, vec![say(&format!("{name} {payload}"))]),
        (_, "begin") => {
            says(None, true, vec![set("soon", 2_000), set("months", 90 * DAY), set("never", DAY), set("moved", DAY)])
        }
        (_, "change") => says(None, true, vec![Action::CancelTimer("never".to_owned()), set("moved", 3 * DAY)]),
        _ => nothing(call),
    });
    office.start().await;
    office.hears("5511", "begin").await;
    office.hears("5511", "change").await;
    office.advance(1_999).await;
    assert_eq!(office.messages().await, [""; 0]);
    office.advance(1).await;
    assert_eq!(office.messages().await, ["soon of soon"]);
    office.restart().await;
    office.advance(2 * DAY).await;
    assert_eq!(office.messages().await.len(), 1);
    office.advance(DAY).await;
    assert_eq!(office.messages().await[1..], ["moved of moved"]);
    // It runs out while nobody is there.
    office.crash().await;
    office.advance(100 * DAY).await;
    office.start().await;
    office.advance(1_000).await;
    assert_eq!(office.messages().await[2..], ["months of months"]);
    assert_eq!(office.handle().metrics().automation_timers, 1);
    office.assert_done();
}

#[tokio::test]
async fn after_a_hand_over_a_person_answers_until_the_automations_are_resumed() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.automation(20, |a| a.observer = true).await;
    office.plugins.act(|call| match (call.automation.0, text_of(&call.event).as_str()) {
        (20, _) => nothing(call),
        (_, "a person, please") => says(
            Some("waiting"),
            true,
            vec![
                Action::SetTimer("ask".to_owned(), 60_000, String::new()),
                say("one moment"),
                Action::HandOver("wants a person".to_owned()),
            ],
        ),
        (_, text) => says(None, true, vec![say(&format!("answer to {text}"))]),
    });
    office.start().await;
    office.hears("5511", "a person, please").await;
    let handover = office.conversation("5511").handover.expect("it is handed over");
    assert_eq!((handover.reason.as_str(), handover.at), ("wants a person", NOON));
    let by = format!("automation:{}", uuid::Uuid::from_u128(10));
    assert_eq!(office.log(), [format!("5511 paused by {by}: wants a person")]);
    office.hears("5511", "hello?").await;
    office.advance(120_000).await;
    office.hears("5511", "are you there?").await;
    office.hears("5522", "another one").await;
    assert_eq!(office.messages().await, ["one moment", "answer to another one"]);
    let watched = office.calls().iter().filter(|call| call.starts_with("20")).count();
    assert_eq!(watched, 4, "observers go on");
    office.restart().await;
    let conversation = office.conversation("5511").id;
    let resume = AutomationChange::Conversation(TENANT, conversation, vec![ConversationStep::Resume]);
    office.write(vec![change(resume)]).await;
    assert_eq!(office.messages().await[2..], ["answer to timer ask"], "what ran out meanwhile, and nothing older");
    office.hears("5511", "back").await;
    assert_eq!(office.messages().await[3..], ["answer to back"]);
    office.assert_done();
}

#[tokio::test]
async fn who_opts_out_gets_nothing_more() {
    let mut office = Office::new().await;
    office.automation(10, all_events).await;
    office.plugins.act(|call| match text_of(&call.event).as_str() {
        "stop" => says(None, true, vec![Action::UpdateContact(None, Some(false)), labelled("bye", Some("bye"))]),
        "start" => says(None, true, vec![Action::UpdateContact(None, Some(true)), labelled("welcome", Some("hi"))]),
        _ => nothing(call),
    });
    office.start().await;
    office.hears("5511", "stop").await;
    office.advance(1_000).await;
    assert_eq!(office.connectors.texts(), [""; 0]);
    let contact = office.store().contact(TENANT, ContactType::WhatsApp, "5511").expect("readable").expect("there");
    assert!(!contact.active && contact.reason.is_some_and(|why| why.contains("automation 10")));
    office.hears("5511", "start").await;
    office.advance(1_000).await;
    assert_eq!(office.connectors.texts(), ["welcome"]);
    let steps: Vec<String> =
        office.calls().into_iter().filter(|c| c.contains("Sent") || c.contains("Failed")).collect();
    assert_eq!(steps, ["10: Failed bye", "10: Sent hi"], "it is told what became of its messages");
    office.assert_done();
}

#[tokio::test]
async fn receipts_of_its_messages_reach_the_automation_that_sent_them() {
    let mut office = Office::new().await;
    office.automation(10, all_events).await;
    office.automation(11, all_events).await;
    office.plugins.act(|call| match (call.automation.0, text_of(&call.event).as_str()) {
        (11, "oi") => says(None, true, vec![labelled("hello", Some("greeting"))]),
        _ => nothing(call),
    });
    office.start().await;
    office.hears("5511", "oi").await;
    office.advance(1_000).await;
    let id = office.connectors.sent.lock()[0].client_id;
    for kind in [receipt::ReceiptKind::Delivered, receipt::ReceiptKind::Delivered, receipt::ReceiptKind::Read] {
        office.told(LANE, report(id, kind)).await;
    }
    let steps: Vec<String> = office.calls().into_iter().filter(|call| call.contains("greeting")).collect();
    assert_eq!(steps, ["11: Sent greeting", "11: Delivered greeting", "11: Read greeting"]);
    office.assert_done();
}

#[tokio::test]
async fn a_failing_automation_is_tried_again_then_put_aside_and_can_be_replayed() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.plugins.act(|call| match text_of(&call.event).as_str() {
        "bad" => fails(CallFailure::Trap("unreachable".to_owned())),
        text => says(None, true, vec![say(text)]),
    });
    office.start().await;
    office.hears("5511", "bad").await;
    office.hears("5511", "behind it").await;
    let mut tries = Vec::new();
    // How long ago the last try may have been, as pauses are spread.
    let mut ago = 0;
    for pause in [1_000, 5_000, 30_000, 120_000, 600_000] {
        tries.push(office.calls().len());
        office.advance(pause - ago - 1).await;
        assert_eq!(Some(&office.calls().len()), tries.last(), "not before its pause of {pause} is over");
        ago += pause / 10 + 1;
        office.advance(ago).await;
    }
    assert_eq!(tries, [1, 2, 3, 4, 5]);
    let attempts: Vec<u32> = office.plugins.calls.lock().iter().map(|call| call.event.attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4, 5, 6, 1]);
    assert_eq!(office.messages().await, ["behind it"], "then the lane goes on");
    let dead_letters = office.dead_letters();
    assert_eq!((dead_letters.len(), dead_letters[0].code.as_str(), dead_letters[0].tries), (1, "trap", 6));
    assert_eq!(dead_letters[0].reason, "it failed: unreachable");
    assert_eq!(office.log(), ["parked trap"]);
    let (events, _) = office.store().events(TENANT, &EventFilter::default(), 0, 100).expect("readable");
    let told = events.iter().find_map(|event| match &event.event.body {
        EventBody::DeadLetter { dead_letter, .. } => Some(*dead_letter),
        _ => None,
    });
    assert_eq!(told, Some(dead_letters[0].id), "the event names what a person finds");
    office.plugins.act(|call| says(None, true, vec![say(&format!("now {}", text_of(&call.event)))]));
    office.write(vec![change(AutomationChange::Requeue(TENANT, dead_letters[0].id))]).await;
    assert_eq!(office.messages().await[1..], ["now bad"]);
    assert_eq!((office.dead_letters().len(), office.handle().metrics().automation_parked), (0, 1));
    office.assert_done();
}

#[tokio::test]
async fn one_that_did_its_part_is_not_called_again_when_a_later_one_fails() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.automation(11, |_| ()).await;
    office.plugins.act(|call| match (call.automation.0, call.event.attempt) {
        (10, _) => nothing(call),
        (_, 1 | 2) => fails(CallFailure::Said("not yet".to_owned())),
        _ => says(None, true, vec![say("done")]),
    });
    office.start().await;
    office.hears("5511", "x").await;
    office.advance(60_000).await;
    assert_eq!(office.calls(), ["10: x", "11: x", "11: x", "11: x"]);
    assert_eq!(office.messages().await, ["done"]);
    office.assert_done();
}

#[tokio::test]
async fn an_answer_that_cannot_be_carried_out_leaves_nothing_behind() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.plugins.act(|_| says(Some("never kept"), true, vec![say("never sent"), say("  ")]));
    office.start().await;
    office.hears("5511", "x").await;
    office.advance(3_600_000).await;
    assert_eq!(office.messages().await, [""; 0]);
    let state = office.store().automation_state(office.conversation("5511").id, AutomationIndex(10)).expect("readable");
    assert_eq!((state, office.dead_letters()[0].code.as_str()), (None, "unfit"));
    office.assert_done();
}

#[tokio::test]
async fn calls_are_recorded_sealed_and_bounded() {
    let mut office = Office::new().await;
    office.options.automations.record_keep = 3;
    office.options.automations.record_bytes = 4_096;
    office.automation(10, |a| a.record = true).await;
    office.automation(11, |_| ()).await;
    office.plugins.act(|call| match (call.automation.0, text_of(&call.event).as_str()) {
        // It passes, and still is recorded.
        (10, "5") => nothing(call),
        (10, "6") => fails(CallFailure::Said("no".to_owned())),
        (_, text) => says(Some("s"), true, vec![say(text)]),
    });
    office.start().await;
    for n in 1..=5 {
        office.hears("5511", &n.to_string()).await;
    }
    let read = |office: &Office| {
        let kept = office.store().recordings(AutomationIndex(10), 100).expect("readable");
        let context = recording::context(uuid::Uuid::from_u128(10));
        let open =
            |sealed: &Vec<u8>| Recording::decode(&ReversingBox.open(&context, sealed).expect("sealed")).expect("whole");
        kept.iter().map(open).collect::<Vec<Recording>>()
    };
    let kept = read(&office);
    assert_eq!(kept.iter().map(|r| text_of(&r.event)).collect::<Vec<_>>(), ["5", "4", "3"]);
    assert_eq!(
        (kept[1].config.as_str(), kept[1].state.as_deref(), kept[1].digest.as_str()),
        (r#"{"n":10}"#, Some("s"), "v1")
    );
    let call = office.plugins.calls.lock().iter().find(|call| text_of(&call.event) == "4").cloned().expect("called");
    assert_eq!((kept[1].seed, kept[1].now, &kept[1].event), (call.seed, call.now, &*call.event));
    office.hears("5511", "6").await;
    assert_eq!(read(&office)[0].outcome, Err(CallFailure::Said("no".to_owned())));
    office.advance(3_600_000).await;
    office.hears("5511", &"long".repeat(2_000)).await;
    assert_eq!(text_of(&read(&office)[0].event), "6", "the long one is too large");
    assert_eq!(office.store().recordings(AutomationIndex(11), 10).expect("readable"), Vec::<Vec<u8>>::new());
}

#[tokio::test]
async fn secrets_are_opened_for_the_host_and_a_new_configuration_counts_at_once() {
    let mut office = Office::new().await;
    let sealed =
        |value: &str| ReversingBox.seal(&format!("automation:{}:key", uuid::Uuid::from_u128(10)), value.as_bytes());
    office.automation(10, |a| drop(a.secrets.insert("key".to_owned(), sealed("one")))).await;
    office.plugins.act(|_| says(None, true, Vec::new()));
    office.start().await;
    office.hears("5511", "x").await;
    let changed = |a: &mut Automation| {
        a.secrets.insert("key".to_owned(), sealed("two"));
        a.config = r#"{"new":true}"#.to_owned();
    };
    office.automation(10, changed).await;
    office.hears("5511", "y").await;
    let seen: Vec<(String, String)> =
        office.plugins.calls.lock().iter().map(|call| (call.secrets["key"].clone(), call.config.to_string())).collect();
    assert_eq!(seen[0], ("one".to_owned(), r#"{"n":10}"#.to_owned()));
    assert_eq!(seen[1], ("two".to_owned(), r#"{"new":true}"#.to_owned()));
    office.automation(10, |a| drop(a.secrets.insert("key".to_owned(), b"of another key".to_vec()))).await;
    office.hears("5511", "z").await;
    assert_eq!(office.calls().len(), 2, "it waits until the secret is set again");
    office.automation(10, |_| ()).await;
    assert_eq!(office.calls().len(), 3);
}
