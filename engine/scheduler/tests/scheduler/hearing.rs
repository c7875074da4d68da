//! Connectors that are connected and deaf: what is noticed, told and done, and what a quiet connector looks like.

use std::collections::HashSet;

use pombo_domain::model::hearing::{DeafReason, HearingView};
use pombo_domain::model::message::NewMessage;
use pombo_domain::model::receipt::ReceiptKind;
use pombo_domain::ports::{ChannelEvent, HearingViews, Operation, OperationError, OwnKind, SendOutcome, SessionState};
use pombo_domain::{MessageKey, Timestamp};

use crate::support::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn hearing(world: &World) -> HearingView {
    world.handle().hearing(LANE)
}

/// Messages to so many people who were not written to before.
async fn write(world: &World, first: usize, people: usize) -> Vec<MessageKey> {
    let to = |n: usize| NewMessage { to: format!("p{n}@example.org"), ..text("x") };
    let keys = world.post_all(TENANT, (first..first + people).map(to).collect());
    settle().await;
    keys
}

fn receipt(world: &World, key: MessageKey, kind: ReceiptKind) -> ChannelEvent {
    ChannelEvent::Receipt {
        client_id: Some(world.id(key)),
        provider_id: format!("p-{}", key.serial),
        recipient: None,
        kind,
        at: world.clock_now(),
        reason: None,
    }
}

async fn reach(world: &World, keys: &[MessageKey], kind: ReceiptKind) {
    let receipts = keys.iter().map(|key| receipt(world, *key, kind)).collect();
    world.tell(receipts).await.expect("taken");
}

/// A connector on which receipts come within seconds, as is known from sixty messages.
async fn prompt() -> World {
    let mut world = World::two_way(free());
    world.start().await;
    learn(&world).await;
    world
}

async fn learn(world: &World) {
    let keys = write(world, 0, 60).await;
    world.clock.advance(2_000).await;
    reach(world, &keys, ReceiptKind::Delivered).await;
    world.clock.advance(MINUTE).await;
    assert_eq!((hearing(world).unanswered, hearing(world).deaf), (0, None));
}

/// How long after `begin` it was noticed, and why.
fn noticed(world: &World, begin: Timestamp) -> Option<(DeafReason, i64)> {
    hearing(world).deaf.map(|deaf| (deaf.reason, deaf.noticed_at.since(begin)))
}

#[tokio::test]
async fn a_dead_read_side_is_noticed_told_and_cured_by_another_instance() {
    let world = prompt().await;
    let begin = world.clock_now();
    let keys = write(&world, 100, 8).await;
    // The channel's server answers what is sent; that is not heard on the read side.
    reach(&world, &keys, ReceiptKind::Server).await;
    world.clock.advance(2 * MINUTE).await;
    let (reason, after) = noticed(&world, begin).expect("it is noticed");
    assert!(reason == DeafReason::NothingHeard && after <= 2 * MINUTE, "{reason} after {after} ms");
    assert_eq!(world.session_events(), ["connected -", "deaf -"]);
    assert_eq!(*world.connectors.restarted.lock(), [(LANE, begin.plus_ms(after))]);
    assert_eq!(world.connectors.asked(), [], "nobody logs out, nobody asks for a code");
    assert_eq!(hearing(&world).restarted_at, Some(begin.plus_ms(after)));

    // The new instance connects, and what had been missed comes.
    world.session(SessionState::Connecting, None).await;
    assert_eq!(hearing(&world).deaf, None, "it is not connected");
    world.session(SessionState::Connected, None).await;
    assert!(hearing(&world).deaf.is_some(), "nothing was heard since");
    reach(&world, &keys, ReceiptKind::Delivered).await;
    world.clock.advance(MINUTE).await;
    assert_eq!((hearing(&world).deaf, hearing(&world).unanswered), (None, 0));
    assert_eq!(world.session_events(), ["connected -", "deaf -", "hears -"]);
    assert_eq!(world.connectors.restarted.lock().len(), 1);
    assert_eq!(world.handle().metrics().hearing_deaf, 1);
}

#[tokio::test]
async fn faults_of_the_read_side_are_named_within_two_minutes() {
    // Receipts are swallowed while people go on writing.
    let world = prompt().await;
    let begin = world.clock_now();
    write(&world, 100, 8).await;
    for n in 0..12 {
        world.clock.advance(10_000).await;
        world.tell(vec![ChannelEvent::Message(from("5511", &format!("m{n}")))]).await.expect("taken");
    }
    let (reason, after) = noticed(&world, begin).expect("it is noticed");
    assert!(reason == DeafReason::NoReceipts && after <= 2 * MINUTE, "{reason} after {after} ms");

    // The channel does not answer what is sent, either.
    let world = prompt().await;
    world.connectors.act(|_| Does::Answer(SendOutcome::Unknown("no answer".to_owned())));
    let begin = world.clock_now();
    write(&world, 100, 8).await;
    world.clock.advance(2 * MINUTE).await;
    let (reason, after) = noticed(&world, begin).expect("it is noticed");
    assert!(reason == DeafReason::NothingHeard && after <= 2 * MINUTE, "{reason} after {after} ms");
}

/// A fault of one person's is none of the connector's.
#[tokio::test]
async fn one_person_who_is_not_reached_makes_nobody_deaf() {
    let world = prompt().await;
    for n in 0..60 {
        // What goes to the one whose session is broken has no receipt, what goes to others has.
        world.post(NewMessage { to: "broken@example.org".to_owned(), ..text("x") });
        let keys = write(&world, 100 + n, 1).await;
        world.clock.advance(10_000).await;
        reach(&world, &keys, ReceiptKind::Delivered).await;
    }
    world.clock.advance(HOUR).await;
    assert_eq!(hearing(&world).deaf, None);
    assert_eq!(*world.connectors.restarted.lock(), []);
}

#[tokio::test]
async fn an_instance_is_restarted_once_in_a_quarter_of_an_hour() {
    let world = prompt().await;
    write(&world, 100, 8).await;
    world.clock.advance(2 * MINUTE).await;
    let first = world.connectors.restarted.lock()[0].1;
    world.session(SessionState::Connecting, None).await;
    world.session(SessionState::Connected, None).await;
    write(&world, 200, 8).await;
    world.clock.advance_to(first.plus_ms(15 * MINUTE - 1)).await;
    assert_eq!(world.connectors.restarted.lock().len(), 1);
    world.clock.advance_to(first.plus_ms(15 * MINUTE)).await;
    assert_eq!(world.connectors.restarted.lock().len(), 2);
    assert_eq!(world.session_events().iter().filter(|event| event.starts_with("deaf")).count(), 1, "told once");
}

#[tokio::test]
async fn restarts_can_be_switched_off() {
    let mut world = World::two_way(free());
    world.options.hearing.restarts = false;
    world.start().await;
    learn(&world).await;
    write(&world, 100, 8).await;
    world.clock.advance(HOUR).await;
    assert_eq!(world.session_events(), ["connected -", "deaf -"]);
    assert_eq!(*world.connectors.restarted.lock(), []);
}

#[tokio::test]
async fn what_the_store_refuses_is_told_later_and_once() {
    let world = prompt().await;
    write(&world, 100, 8).await;
    world.clock.advance(30_000).await;
    world.store.refuse(|_, _| Some(unavailable()));
    world.clock.advance(5 * MINUTE).await;
    assert_eq!(world.session_events(), ["connected -"]);
    world.store.no_plan();
    world.clock.advance(5 * MINUTE).await;
    assert_eq!(world.session_events(), ["connected -", "deaf -"]);
}

#[tokio::test]
async fn another_account_begins_anew_and_a_lost_session_is_not_deaf() {
    let world = prompt().await;
    world.session(SessionState::Connected, Some("5500")).await;
    assert!(hearing(&world).delivery.is_some());
    world.session(SessionState::LoggedOut("by the phone".to_owned()), None).await;
    world.session(SessionState::Connected, Some("5511")).await;
    world.clock.advance(1_000).await;
    assert_eq!(hearing(&world), HearingView::default());

    let world = prompt().await;
    write(&world, 100, 8).await;
    world.clock.advance(2 * MINUTE).await;
    assert!(hearing(&world).deaf.is_some());
    world.session(SessionState::LoggedOut("by the phone".to_owned()), None).await;
    world.session(SessionState::Connected, None).await;
    world.clock.advance(HOUR).await;
    assert_eq!(hearing(&world).deaf, None);
    assert_eq!(world.session_events(), ["connected -", "deaf -", "logged-out -", "connected -"]);
}

#[tokio::test]
async fn a_channel_without_sessions_has_times_and_is_never_deaf() {
    let mut world = World::two_way(free());
    world.connectors.describe(|plugin| plugin.needs_session = false);
    world.start().await;
    let keys = write(&world, 0, 120).await;
    world.clock.advance(2_000).await;
    reach(&world, &keys, ReceiptKind::Delivered).await;
    let times = hearing(&world).delivery.expect("they were delivered");
    assert_eq!((times.samples, times.late_after_ms()), (120, Some(600_000)));
    assert!((2_000..=2_500).contains(&times.p50_ms), "{times:?}");
    write(&world, 200, 50).await;
    world.clock.advance(DAY).await;
    assert_eq!((hearing(&world).deaf, world.connectors.restarted.lock().len()), (None, 0));
}

/// Messages by day, with receipts and answers; by night one to somebody whose phone is off until the morning.
#[tokio::test]
async fn thirty_quiet_nights_raise_no_alarm() {
    let mut world = World::two_way(free());
    world.start().await;
    let mut people = 0;
    for day in 0..30 {
        for _ in 0..4 {
            let keys = write(&world, people, 20).await;
            people += 20;
            world.clock.advance(3_000).await;
            reach(&world, &keys, ReceiptKind::Delivered).await;
            world.tell(vec![ChannelEvent::Message(from("5511", &format!("m{people}")))]).await.expect("taken");
            world.clock.advance(HOUR - 3_000).await;
        }
        let late = write(&world, people, 1).await;
        people += 1;
        world.clock.advance(20 * HOUR).await;
        reach(&world, &late, ReceiptKind::Delivered).await;
        assert_eq!(hearing(&world).deaf, None, "night {day}");
    }
    let told: HashSet<String> = world.session_events().into_iter().collect();
    assert_eq!(told, HashSet::from(["connected -".to_owned()]));
    assert_eq!(*world.connectors.restarted.lock(), []);
    assert_eq!(world.connectors.asked(), [], "a plugin without a heartbeat is not asked for one");
}

#[tokio::test]
async fn a_plugin_that_offers_a_heartbeat_is_asked_for_it_after_silence() {
    let mut world = World::two_way(free());
    world.connectors.describe(|plugin| {
        plugin.operations = vec![OwnKind { name: pombo_scheduler::HEARTBEAT.to_owned(), schema: None }];
    });
    world.start().await;
    let asked = Operation::Other("heartbeat".to_owned(), "{}".to_owned());
    world.clock.advance(12 * HOUR - 1).await;
    assert_eq!(world.connectors.asked(), []);
    world.clock.advance(1).await;
    assert_eq!(world.connectors.asked(), [asked.clone()]);
    assert_eq!(hearing(&world).heard_at, Some(world.clock_now()), "it was answered");
    world.clock.advance(12 * HOUR - 1).await;
    assert_eq!(world.connectors.asked(), []);
    world.connectors.answer(Err(OperationError::Failed("no receipt came".to_owned())));
    world.clock.advance(1).await;
    assert_eq!(world.connectors.asked(), [asked]);
    assert_eq!(hearing(&world).deaf.map(|deaf| deaf.reason), Some(DeafReason::Heartbeat));
    world.clock.advance(2_000).await;
    assert_eq!(world.session_events(), ["connected -", "deaf -"]);
    assert_eq!(world.connectors.restarted.lock().len(), 1);
}
