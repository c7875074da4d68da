//! What an account's health does to its connector, as its owner sees it.

use pombo_domain::MessageKey;
use pombo_domain::model::connector::{ConnectorStatus, HealthRules, Pace};
use pombo_domain::model::message::{NewMessage, Status};
use pombo_domain::model::pace::WaitReason;
use pombo_domain::model::receipt::ReceiptKind;
use pombo_domain::ports::{Change, ChannelEvent, SendOutcome};
use pombo_scheduler::rules::health::HealthLevel;

use crate::support::*;

fn blocked() -> ChannelEvent {
    ChannelEvent::Blocked("5599".to_owned())
}

fn many(world: &World, count: usize) -> Vec<MessageKey> {
    world.post_all(TENANT, (0..count).map(|n| text(&n.to_string())).collect())
}

fn status(world: &World) -> (ConnectorStatus, Option<String>) {
    let connector = world.stored_connector(LANE);
    (connector.status, connector.status_reason.clone())
}

#[tokio::test]
async fn what_happens_to_messages_is_counted_and_seen() {
    let mut world = World::two_way(with_health(free()));
    world.connectors.act(|sent| match sent.text.as_str() {
        "0" => Does::Answer(SendOutcome::InvalidRecipient("no such number".into())),
        "1" => Does::Answer(SendOutcome::Rejected("463".into())),
        "2" => Does::Answer(SendOutcome::Temporary("later".to_owned())),
        _ => Does::Answer(accepted()),
    });
    world.start().await;
    let keys = many(&world, 10);
    settle().await;
    let heard = |sender: &str, id: &str| ChannelEvent::Message(from(sender, id));
    let receipts =
        vec![report(world.id(keys[5]), ReceiptKind::Delivered), report(world.id(keys[5]), ReceiptKind::Read)];
    world.tell(receipts).await.expect("taken");
    world.tell(vec![heard("5511", "1"), heard("5511", "2"), heard("5522", "1")]).await.expect("taken");
    world.clock.advance(3_600_000).await;
    world.tell(vec![heard("5511", "3")]).await.expect("taken");
    let health = world.view().health.expect("it has rules");
    assert_eq!((health.sent, health.failures, health.delivered, health.replies), (7, 2, 1, 3));
    assert_eq!((health.score, health.level, health.window_hours), (100, HealthLevel::Good, 168));
    // Given up after several tries: the channel said "not now", never "no".
    assert_eq!(world.shown(keys[2]), "FAILED temporary");
    // A restart forgets nothing.
    world.crash().await;
    world.start().await;
    assert_eq!(world.view().health, Some(health));
    assert_eq!(world.handle().health_levels().expect("the store answers")[0], (HealthLevel::Good, 1));
}

#[tokio::test]
async fn a_low_score_stretches_pauses_and_shrinks_the_cap_in_proportion() {
    let rules = HealthRules { slow_below: 80, pause_below: 10, min_sent: 25, ..HealthRules::default() };
    let pace = Pace { delay_min_ms: 10_000, delay_max_ms: 10_000, daily_cap: Some(40), health: Some(rules), ..free() };
    let mut world = World::new(pace);
    world.start().await;
    let before = world.view();
    assert_eq!((before.delay_ms, before.cap_today), ((10_000, 10_000), Some(40)));
    // One block of 25: forty points.
    world.tell(vec![blocked()]).await.expect("taken");
    let view = world.view();
    let health = view.health.expect("it has rules");
    assert_eq!((health.score, health.level, health.blocks), (60, HealthLevel::Slowed, 1));
    assert_eq!((view.delay_ms, view.cap_today), ((13_333, 13_333), Some(30)), "80 to 60");
    assert_eq!((view.limits.delay_min_ms, view.limits.daily_cap), (10_000, Some(40)), "what is set stays");
    assert_eq!(world.events(), ["health blocked 60", "health slowed 60"]);
    many(&world, 100);
    world.clock.advance(3 * 3_600_000).await;
    let at: Vec<i64> = world.connectors.sent.lock().iter().map(|sent| sent.at.since(NOON)).collect();
    // With more messages the block is a smaller part of them: at 35 the score is 71, and 71 of 80 of 40 is 35.
    assert_eq!(at.len(), 35, "the smaller cap");
    assert!(at.windows(2).all(|pair| (11_000..=13_333).contains(&(pair[1] - pair[0]))), "{at:?}");
    assert_eq!(world.view().reason, Some(WaitReason::DailyCap));
    world.post(NewMessage { force_direct: true, ..text("direct") });
    settle().await;
    assert_eq!(world.connectors.texts().len(), 36, "nor does the cap hold a direct one now");
    // Nobody else blocks it: at 50 messages the score is 80.
    world.clock.advance(24 * 3_600_000).await;
    assert_eq!(world.events()[2..], ["health restored 80"]);
    assert_eq!(world.view().cap_today, Some(40));
}

#[tokio::test]
async fn under_the_threshold_the_connector_is_paused_until_a_person_resumes_it() {
    let mut world = World::two_way(with_health(free()));
    world.start().await;
    world.tell(vec![blocked(), blocked()]).await.expect("taken");
    let (paused, reason) = status(&world);
    assert_eq!(paused, ConnectorStatus::Paused);
    assert!(
        reason.as_ref().is_some_and(|reason| reason.contains("33 of 100") && reason.contains("2 blocks")),
        "{reason:?}"
    );
    assert_eq!(world.events(), ["health blocked 33", "health blocked 33", "health paused 33"]);
    let waiting = [world.post(text("x")), world.post(NewMessage { force_direct: true, ..text("direct") })];
    world.clock.advance(10 * 24 * 3_600_000).await;
    assert_eq!(waiting.map(|key| world.shown(key)), ["PENDING", "PENDING"], "a pause holds direct ones too");
    let view = world.view();
    assert_eq!((view.reason, view.next_at, view.detail), (Some(WaitReason::Health), None, reason));
    assert_eq!(view.health.expect("it has rules").level, HealthLevel::Paused, "also once the window is empty");
    assert_eq!(world.handle().health_levels().expect("the store answers")[2], (HealthLevel::Paused, 1));
    // Over a restart too.
    world.crash().await;
    world.start().await;
    assert_eq!(status(&world).0, ConnectorStatus::Paused);

    world.change_connector(|connector| {
        connector.status = ConnectorStatus::Active;
        connector.status_reason = None;
    });
    settle().await;
    assert_eq!(waiting.map(|key| world.shown(key)), ["SENT", "SENT"]);
    assert_eq!(world.events()[3..], ["health restored 100"]);
    let health = world.view().health.expect("it has rules");
    assert_eq!((health.blocks, health.since, health.score), (0, Some(world.clock_now()), 100), "observed anew");
    // It counts again from here.
    world.tell(vec![blocked(), blocked()]).await.expect("taken");
    assert_eq!(status(&world).0, ConnectorStatus::Paused);
}

#[tokio::test]
async fn a_resume_at_once_is_not_paused_again_by_what_was_counted_before() {
    let mut world = World::two_way(with_health(free()));
    world.start().await;
    world.tell(vec![blocked(), blocked(), blocked()]).await.expect("taken");
    world.change_connector(|connector| connector.status = ConnectorStatus::Active);
    settle().await;
    assert_eq!(status(&world).0, ConnectorStatus::Active);
    let key = world.post(text("x"));
    settle().await;
    assert_eq!(world.shown(key), "SENT");
}

#[tokio::test]
async fn refusals_alone_pause_a_connector() {
    let mut world = World::two_way(Pace { max_in_flight: 1, ..with_health(free()) });
    world.connectors.act(|_| Does::Answer(SendOutcome::InvalidRecipient("no such number".into())));
    world.start().await;
    let keys = many(&world, 200);
    world.clock.advance(60_000).await;
    assert_eq!(status(&world).0, ConnectorStatus::Paused);
    let failed = keys.iter().filter(|key| world.shown(**key) == "FAILED invalid_recipient").count();
    assert!((30..60).contains(&failed), "the rest waits for a person: {failed}");
    assert_eq!(keys.iter().filter(|key| world.status(**key) == Status::Pending).count(), 200 - failed);
}

#[tokio::test]
async fn the_pause_its_event_and_the_mark_are_one_batch_however_often_it_is_refused() {
    for refused in 0..6 {
        let mut world = World::two_way(with_health(free()));
        world.start().await;
        let start = world.store.commits();
        world.store.refuse(move |number, batch| {
            let pauses = batch.changes.iter().filter(
                |change| matches!(change, Change::Connector(connector) if connector.status == ConnectorStatus::Paused),
            );
            if pauses.count() == 1 {
                let tells = batch.changes.iter().any(|change| matches!(change, Change::Event(_)));
                let marks = batch.changes.iter().any(|change| matches!(change, Change::Health(..)));
                assert!(tells && marks, "together");
            }
            (start + 1..start + 1 + refused).contains(&number).then(|| unavailable())
        });
        world.tell(vec![blocked(), blocked()]).await.expect("the first commit is taken");
        let key = world.post(text("x"));
        world.clock.advance(200).await;
        if refused > 0 {
            assert_eq!(status(&world).0, ConnectorStatus::Active);
        }
        assert_eq!(world.connectors.texts().len(), 0, "nothing goes while the pause is being stored");
        world.clock.advance(120_000).await;
        assert_eq!((status(&world).0, world.shown(key).as_str()), (ConnectorStatus::Paused, "PENDING"));
        assert_eq!(world.events().iter().filter(|event| event.starts_with("health paused")).count(), 1);
    }
}

#[tokio::test]
async fn a_pause_that_a_crash_cut_short_is_made_at_the_next_start() {
    let mut world = World::two_way(with_health(free()));
    world.start().await;
    let start = world.store.commits();
    world.store.refuse(move |number, _| (number > start).then(|| unavailable()));
    world.tell(vec![blocked(), blocked()]).await.expect("taken");
    world.crash().await;
    world.store.no_plan();
    assert_eq!(status(&world).0, ConnectorStatus::Active);
    world.start().await;
    assert_eq!(status(&world).0, ConnectorStatus::Paused);
    assert_eq!(world.events().last().map(String::as_str), Some("health paused 33"));
}

#[tokio::test]
async fn without_rules_warnings_are_told_and_nothing_slows() {
    let mut world = World::two_way(free());
    world.start().await;
    world.tell(vec![blocked(), ChannelEvent::Restricted("no new chats".to_owned())]).await.expect("taken");
    assert_eq!(world.events(), ["health blocked 100", "health restricted 100"]);
    assert_eq!((status(&world).0, world.view().health), (ConnectorStatus::Active, None));
    let key = world.post(text("x"));
    settle().await;
    assert_eq!(world.shown(key), "SENT");
    assert_eq!(world.health_state().hours[0].sent, 0, "and nothing more is counted");
    // Rules that are set later know of what the channel held against it.
    world.change_connector(|connector| connector.pace = with_health(free()));
    settle().await;
    assert_eq!(status(&world).0, ConnectorStatus::Paused);
}

#[tokio::test]
async fn a_persons_pause_is_left_alone() {
    let mut world = World::two_way(with_health(free()));
    world.change_connector(|connector| {
        connector.status = ConnectorStatus::Paused;
        connector.status_reason = Some("holidays".to_owned());
    });
    world.start().await;
    world.tell(vec![blocked(), blocked()]).await.expect("taken");
    assert_eq!(status(&world), (ConnectorStatus::Paused, Some("holidays".to_owned())));
    assert_eq!((world.view().reason, world.view().detail.as_deref()), (Some(WaitReason::Paused), Some("holidays")));
    assert_eq!(world.events(), ["health blocked 33", "health blocked 33"]);
}

#[tokio::test]
async fn a_message_that_is_no_longer_observed_does_not_count() {
    let mut world = World::two_way(with_health(free()));
    world.start().await;
    let key = world.post(text("x"));
    settle().await;
    world.tell(vec![blocked(), blocked()]).await.expect("taken");
    world.clock.advance(1_000).await;
    world.change_connector(|connector| connector.status = ConnectorStatus::Active);
    settle().await;
    world.tell(vec![report(world.id(key), ReceiptKind::Delivered)]).await.expect("taken");
    assert_eq!(world.view().health.expect("it has rules").delivered, 0);
    assert_eq!(world.events().last().map(String::as_str), Some("receipt delivered"), "told all the same");
}
