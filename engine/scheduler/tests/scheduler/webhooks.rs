//! Webhooks as their receivers see them.

use base64::Engine as _;
use hmac::{Hmac, Mac};
use pombo_domain::model::delivery::{Delivery, DeliveryStatus};
use pombo_domain::model::message::NewMessage;
use pombo_domain::ports::{Change, DeliveryFilter, OutboundError, SendOutcome, Store};
use sha2::Sha256;

use crate::support::*;

fn told(world: &World, name: &str, url: &str) -> pombo_domain::MessageKey {
    world.post(NewMessage { webhook_url: Some(url.to_owned()), ..text(name) })
}

fn deliveries(world: &World) -> Vec<Delivery> {
    let mut all = world.store.deliveries(TENANT, &DeliveryFilter::default(), 0, 10_000).expect("readable");
    all.sort_by_key(|delivery| delivery.key);
    all
}

const URL: &str = "https://example.org/hook";

#[tokio::test]
async fn every_status_change_arrives_in_order_and_signed() {
    let mut world = World::new(free());
    world.connectors.act(|sent| match sent.attempt {
        1 => Does::Answer(SendOutcome::Temporary("busy".to_owned())),
        _ => Does::Answer(accepted()),
    });
    world.start().await;
    told(&world, "x", URL);
    world.clock.advance(60_000).await;
    assert_eq!(world.webhooks.told(URL), ["PENDING", "PROCESSING", "WAITING", "PENDING", "PROCESSING", "SENT"]);
    let hooks = world.webhooks.hooks.lock().clone();
    let sequence: Vec<u64> = hooks.iter().filter_map(|hook| hook.body["sequence"].as_u64()).collect();
    assert_eq!(sequence, [0, 1, 2, 3, 4, 5]);
    for (hook, delivery) in hooks.iter().zip(deliveries(&world)) {
        let header = |name| hook.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str()).expect(name);
        assert_eq!(header("webhook-id"), delivery.id.to_string());
        let mut mac = Hmac::<Sha256>::new_from_slice(b"secret of 1").expect("any key");
        mac.update(format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), delivery.body).as_bytes());
        let signature =
            base64::engine::general_purpose::STANDARD.decode(&header("webhook-signature")[3..]).expect("base64");
        mac.verify_slice(&signature).expect("signed with the tenant's secret");
        let mut mac = Hmac::<Sha256>::new_from_slice(b"secret of 1").expect("any key");
        mac.update(delivery.body.as_bytes());
        mac.verify_slice(&hex::decode(header("x-pombo-signature")).expect("hex")).expect("the body's own");
        assert_eq!((delivery.status, delivery.tries, delivery.attempts.len()), (DeliveryStatus::Delivered, 1, 1));
    }
}

#[tokio::test]
async fn a_failing_receiver_is_tried_for_hours_and_then_given_up() {
    let mut world = World::new(free());
    world.webhooks.act(|_| HookAct::Answer(503));
    world.start().await;
    told(&world, "x", URL);
    world.clock.advance(40 * 3_600_000).await;
    let first = deliveries(&world).remove(0);
    assert_eq!((first.status, first.tries, first.attempts.len()), (DeliveryStatus::Abandoned, 11, 11));
    assert_eq!(first.attempts[0].status, Some(503));
    assert_eq!(first.attempts[0].error.as_deref(), Some("the receiver answered 503"));
    let at: Vec<i64> = first.attempts.iter().map(|attempt| attempt.at.since(NOON)).collect();
    for (pair, base) in at.windows(2).zip(&world.options.webhooks.schedule_ms) {
        let (pause, base) = (pair[1] - pair[0], i64::try_from(*base).expect("small"));
        assert!((base * 9 / 10..=base * 11 / 10).contains(&pause), "{pause} for {base}");
    }
    assert!(deliveries(&world)[1].tries > 0, "only then the next one");
}

#[tokio::test]
async fn a_receiver_that_comes_back_gets_all_in_order_over_a_restart() {
    let mut world = World::new(free());
    world.webhooks.act(|_| HookAct::Fail(OutboundError::Unreachable("connection refused".to_owned())));
    world.start().await;
    told(&world, "x", URL);
    world.clock.advance(60_000).await;
    assert!(world.webhooks.told(URL).iter().all(|status| status == "PENDING"));
    world.crash().await;
    world.webhooks.hooks.lock().clear();
    world.webhooks.act(|_| HookAct::Answer(204));
    world.start().await;
    world.clock.advance(900_000).await;
    assert_eq!(world.webhooks.told(URL), ["PENDING", "PROCESSING", "SENT"]);
    let first = deliveries(&world).remove(0);
    assert_eq!(first.attempts[0].error.as_deref(), Some("connection refused"));
    assert_eq!(first.status, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn gone_ends_this_delivery_and_the_later_ones_of_the_message() {
    let mut world = World::new(free());
    world.connectors.act(|_| Does::After(5_000, accepted()));
    world.webhooks.act(|hook| HookAct::Answer(if hook.body["status"] == "PROCESSING" { 410 } else { 200 }));
    world.start().await;
    let key = told(&world, "x", URL);
    world.clock.advance(3_600_000).await;
    assert_eq!(world.shown(key), "SENT");
    assert_eq!(world.webhooks.told(URL), ["PENDING", "PROCESSING"], "SENT came after the 410");
    let all = deliveries(&world);
    let statuses: Vec<_> = all.iter().map(|delivery| delivery.status).collect();
    assert_eq!(statuses, [DeliveryStatus::Delivered, DeliveryStatus::Abandoned, DeliveryStatus::Abandoned]);
    assert!(all[2].attempts[0].error.as_deref().is_some_and(|why| why.contains("410")));

    // A replay is tried regardless.
    world.webhooks.act(|_| HookAct::Answer(200));
    let mut replayed = all[2].clone();
    (replayed.status, replayed.tries, replayed.next_at) = (DeliveryStatus::Pending, 0, world.clock_now());
    world.write(vec![Change::Delivery(replayed)]);
    settle().await;
    assert_eq!(world.webhooks.told(URL).last().map(String::as_str), Some("SENT"));
    assert_eq!(deliveries(&world)[2].status, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn a_target_that_is_not_allowed_is_given_up_with_the_reason() {
    for error in [OutboundError::Forbidden, OutboundError::BadUrl("not http".to_owned())] {
        let mut world = World::new(free());
        let why = error.to_string();
        world.webhooks.act(move |_| HookAct::Fail(error.clone()));
        world.start().await;
        told(&world, "x", URL);
        world.clock.advance(3_600_000).await;
        for delivery in deliveries(&world) {
            assert_eq!((delivery.status, delivery.tries), (DeliveryStatus::Abandoned, 1));
            assert_eq!(delivery.attempts[0].error.as_deref(), Some(why.as_str()));
        }
        assert_eq!(deliveries(&world).len(), 3);
    }
}

#[tokio::test]
async fn slow_receivers_hold_up_nobody_else() {
    for receivers in [1, 4, 30] {
        let mut world = World::new(free());
        world.webhooks.act(|hook| if hook.url.contains("slow") { HookAct::TimeOut } else { HookAct::Answer(200) });
        world.start().await;
        // Far more than fits in memory, all due before the good one's.
        let slow =
            |n: usize| NewMessage { webhook_url: Some(format!("https://slow{}/x", n % receivers)), ..text("slow") };
        for _ in 0..5 {
            world.post_all(TENANT, (0..1_000).map(slow).collect());
        }
        let keys: Vec<_> = (0..50).map(|_| told(&world, "good", URL)).collect();
        world.clock.advance(5_000).await;
        assert!(keys.iter().all(|key| world.shown(*key) == "SENT"));
        assert_eq!(world.webhooks.told(URL).len(), 150, "all three of each, before the first slow one timed out");
        let metrics = world.handle().metrics();
        assert!(metrics.webhooks_deferred > 0 && metrics.webhooks_delivered == 150, "{receivers}: {metrics:?}");
    }
}

#[tokio::test]
async fn what_waits_in_memory_is_not_read_again() {
    let mut world = World::new(free());
    (world.options.webhooks.queued, world.options.webhooks.queued_per_host) = (4_000, 1_000);
    world.webhooks.act(|hook| if hook.url.contains("slow") { HookAct::TimeOut } else { HookAct::Answer(200) });
    world.start().await;
    let slow = |_| NewMessage { webhook_url: Some("https://slow/x".to_owned()), ..text("slow") };
    world.post_all(TENANT, (0..1_000).map(slow).collect());
    world.clock.advance(5_000).await;
    let before = world.store.due_deliveries_read();
    for _ in 0..50 {
        told(&world, "good", URL);
        world.clock.advance(20).await;
    }
    assert_eq!(world.webhooks.told(URL).len(), 150);
    // Each of the 150 when it is due, and at each look the one that is due next.
    let read = world.store.due_deliveries_read() - before;
    assert!(read <= 150 * 5, "{read}");
    assert_eq!(world.handle().metrics().webhooks_deferred, 0, "all the slow one's waited in memory");
}

#[tokio::test]
async fn a_try_that_is_due_again_in_the_same_instant_is_made() {
    let mut world = World::new(free());
    world.options.webhooks.schedule_ms = vec![0, 0];
    world.webhooks.act(|_| HookAct::Answer(500));
    world.start().await;
    told(&world, "x", URL);
    world.clock.advance(1_000).await;
    let found: Vec<_> = deliveries(&world).iter().map(|delivery| (delivery.status, delivery.tries)).collect();
    assert_eq!(found, [(DeliveryStatus::Abandoned, 3); 3]);
}

#[tokio::test]
async fn a_long_backlog_of_one_fast_receiver_arrives_completely() {
    let mut world = World::new(free());
    world.start().await;
    let one = |_| NewMessage { webhook_url: Some(URL.to_owned()), ..text("x") };
    world.post_all(TENANT, (0..1_000).map(one).collect());
    world.clock.advance(600_000).await;
    assert_eq!(world.webhooks.told(URL).len(), 3_000);
    assert!(deliveries(&world).iter().all(|delivery| delivery.status == DeliveryStatus::Delivered));
}

#[tokio::test]
async fn attempts_are_kept_bounded() {
    let mut world = World::new(free());
    world.options.webhooks.schedule_ms = vec![1_000; 60];
    world.webhooks.act(|_| HookAct::Answer(500));
    world.start().await;
    told(&world, "x", URL);
    world.clock.advance(120_000).await;
    let first = deliveries(&world).remove(0);
    assert_eq!((first.tries, first.attempts.len()), (61, Delivery::KEPT_ATTEMPTS));
}

#[tokio::test]
async fn a_try_whose_outcome_is_not_stored_is_stored_later() {
    let mut world = World::new(free());
    world.store.refuse(|number, _| (number % 3 == 1).then(|| unavailable()));
    world.start().await;
    told(&world, "x", URL);
    world.clock.advance(600_000).await;
    assert_eq!(world.webhooks.told(URL), ["PENDING", "PROCESSING", "SENT"]);
    assert!(deliveries(&world).iter().all(|delivery| delivery.status == DeliveryStatus::Delivered));
}
