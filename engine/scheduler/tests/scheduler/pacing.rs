//! A connector's pace as its owner sees it.

use pombo_domain::model::connector::{Pace, QuietHours, WarmUp};
use pombo_domain::model::message::NewMessage;
use pombo_domain::model::pace::WaitReason;
use pombo_domain::{MessageKey, Timestamp};
use pombo_scheduler::BreakerView;

use crate::support::*;

fn paused_between(min: u64, max: u64) -> Pace {
    Pace { delay_min_ms: min, delay_max_ms: max, ..free() }
}

fn many(world: &World, count: usize) -> Vec<MessageKey> {
    world.post_all(TENANT, (0..count).map(|n| text(&n.to_string())).collect())
}

fn sent_at(world: &World) -> Vec<i64> {
    world.connectors.sent.lock().iter().map(|sent| sent.at.since(NOON)).collect()
}

#[tokio::test]
async fn messages_keep_a_random_distance() {
    let mut world = World::new(paused_between(3_000, 9_000));
    world.start().await;
    many(&world, 200);
    world.clock.advance(3_600_000).await;
    let at = sent_at(&world);
    assert_eq!(at.len(), 200);
    let pauses: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|pause| (3_000..=9_000).contains(pause)), "{pauses:?}");
    let distinct: std::collections::BTreeSet<_> = pauses.iter().collect();
    assert!(distinct.len() > 150, "drawn anew each time");
    assert_eq!(world.connectors.texts()[..3], ["0", "1", "2"]);
}

#[tokio::test]
async fn the_head_says_why_it_waits_once_and_may_be_canceled() {
    let mut world = World::new(paused_between(60_000, 60_000));
    world.start().await;
    let keys = many(&world, 4);
    world.clock.advance(1_000).await;
    assert_eq!(world.shown(keys[1]), "WAITING pace");
    let state = world.state(keys[1]);
    assert_eq!(state.hold_until, Some(NOON.plus_ms(60_000)));
    let detail = state.reason.expect("a reason").detail;
    assert_eq!(detail, "pausing between two messages; until 2024-05-01T12:01:00.000Z");
    assert_eq!(world.shown(keys[2]), "PENDING", "only the head");
    for _ in 0..20 {
        world.post(NewMessage { priority: 1, ..text("more") });
        world.clock.advance(100).await;
    }
    assert_eq!(world.history(keys[1]), ["PENDING", "WAITING"], "shown once, whatever else happens");
    world.cancel(keys[1]);
    settle().await;
    assert_eq!(world.shown(keys[2]), "WAITING pace", "the next one is the head");
    world.clock.advance(60_000).await;
    assert_eq!(world.connectors.texts(), ["0", "2"]);
    assert_eq!(world.history(keys[2]), ["PENDING", "WAITING", "PROCESSING", "SENT"]);
}

#[tokio::test]
async fn a_pace_that_is_lifted_lets_the_queue_go() {
    let mut world = World::new(paused_between(3_600_000, 3_600_000));
    world.start().await;
    let keys = many(&world, 10);
    world.clock.advance(5_000).await;
    assert_eq!(world.connectors.texts().len(), 1);
    world.change_connector(|connector| connector.pace = free());
    settle().await;
    assert!(keys.iter().all(|key| world.shown(*key) == "SENT"));
}

#[tokio::test]
async fn the_days_cap_holds_until_midnight_even_over_a_restart() {
    let mut world = World::new(Pace { daily_cap: Some(5), ..free() });
    world.start().await;
    let keys = many(&world, 12);
    settle().await;
    assert_eq!(world.connectors.texts().len(), 5);
    assert_eq!(world.shown(keys[5]), "WAITING pace");
    world.crash().await;
    world.start().await;
    assert_eq!(world.connectors.texts().len(), 5, "the count is stored with the claims");
    let view = world.handle().pace(LANE).expect("the store answers").expect("it exists");
    assert_eq!((view.sent_today, view.cap_today, view.reason), (5, Some(5), Some(WaitReason::DailyCap)));
    assert_eq!(view.next_at, Timestamp::parse("2024-05-02"));
    assert_eq!((view.breaker, view.quiet, view.more_queued), (BreakerView::Closed, false, false));
    world.clock.advance(12 * 3_600_000 - 1).await;
    assert_eq!(world.connectors.texts().len(), 5);
    world.clock.advance(1).await;
    assert_eq!(world.connectors.texts().len(), 10);
    world.clock.advance(24 * 3_600_000).await;
    assert_eq!(world.connectors.texts().len(), 12);
}

#[tokio::test]
async fn warming_up_follows_the_documented_curve() {
    let mut world = World::new(Pace { warm_up: Some(WarmUp::default()), ..free() });
    world.start().await;
    many(&world, 1_000);
    let mut last = 0;
    let mut days = Vec::new();
    for _ in 0..5 {
        settle().await;
        let sent = world.connectors.texts().len();
        days.push(sent - last);
        last = sent;
        world.clock.advance(24 * 3_600_000).await;
    }
    assert_eq!(days, [50, 100, 200, 280, 370]);
}

#[tokio::test]
async fn quiet_hours_hold_all_but_direct_messages() {
    let quiet = QuietHours { from_minute: 11 * 60, to_minute: 13 * 60 };
    let mut world = World::new(Pace { quiet_hours: Some(quiet), daily_cap: Some(2), ..free() });
    world.start().await;
    let keys = many(&world, 3);
    settle().await;
    assert_eq!(world.shown(keys[0]), "WAITING pace");
    let direct = world.post(NewMessage { force_direct: true, ..text("direct") });
    settle().await;
    assert_eq!(world.shown(direct), "SENT");
    world.clock.advance(3_600_000 - 1).await;
    assert_eq!(world.connectors.texts(), ["direct"]);
    world.clock.advance(1).await;
    assert_eq!(world.connectors.texts(), ["direct", "0"], "the direct one counted for the day");
    let view = world.handle().pace(LANE).expect("the store answers").expect("it exists");
    assert_eq!((view.sent_today, view.reason), (2, Some(WaitReason::DailyCap)));
    for name in ["direct 2", "direct 3"] {
        world.post(NewMessage { force_direct: true, ..text(name) });
    }
    settle().await;
    assert_eq!(world.connectors.texts()[2..], ["direct 2", "direct 3"], "nor does the cap hold them");
}

#[tokio::test]
async fn no_more_than_the_allowed_sends_run_at_once() {
    let mut world = World::new(Pace { max_in_flight: 7, ..free() });
    world.connectors.act(|_| Does::After(100, accepted()));
    world.start().await;
    many(&world, 100);
    world.clock.advance(10_000).await;
    assert_eq!(world.connectors.texts().len(), 100);
    assert_eq!(*world.connectors.running.lock(), (0, 7));
}
